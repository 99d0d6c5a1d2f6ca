//! Snapshots: live state as a file without secrets, and plans from it: offline, and the same everywhere.

use crate::support::{CANARY, Place, Ran};

const SPEC: &str = "examples/quickstart";

/// A copy of the quickstart and a snapshot of its estate.
fn taken() -> Place {
    let place = Place::example("quickstart");
    place.run(&["snapshot", SPEC, "--sandbox", "-o", "estate.json"]).exits(0).says("Saved the snapshot");
    place
}

fn plan(place: &Place, more: &[&str]) -> Ran {
    place.run(&[&["plan", SPEC, "--live", "estate.json"], more].concat())
}

#[test]
fn a_plan_from_a_snapshot_is_the_live_one_made_anywhere_without_network_and_state() {
    let place = taken();
    assert!(!place.read("estate.json").contains(CANARY));
    let live = place.run(&["plan", SPEC, "--sandbox", "--format", "json"]).exits(0).stdout;
    let here = plan(&place, &["--format", "json"]).exits(0).stdout;
    // another machine: no state, no world, no credential
    let other = Place::empty();
    other.write(&format!("{SPEC}/tokens.yaml"), &place.read(&format!("{SPEC}/tokens.yaml")));
    other.write("estate.json", &place.read("estate.json"));
    let there = plan(&other, &["--format", "json", "-o", "a.plan"]).exits(0).stdout;
    assert_eq!(here, there);
    assert_eq!(other.read("a.plan"), there);
    assert!(!other.path(&format!("{SPEC}/.tokenform")).exists(), "a state was made");
    let [live, here]: [serde_json::Value; 2] = [&live, &here].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(here["source"], "snapshot");
    for same in ["summary", "changes", "waiting", "evidence"] {
        assert_eq!(live[same], here[same], "{same}");
    }
    let steps = |plan: &serde_json::Value| -> Vec<String> {
        plan["steps"].as_array().unwrap().iter().map(|step| step["id"].to_string()).collect()
    };
    assert_eq!(steps(&live), steps(&here));
    plan(&other, &["--detailed-exitcode"]).exits(2);
    other.run(&["check", "a.plan"]).exits(0);
}

#[test]
fn a_snapshot_of_the_same_estate_has_the_same_bytes_but_for_its_time() {
    let place = taken();
    let without_time = |text: String| -> Vec<String> {
        let timed = |line: &&str| !line.contains("\"taken_at\"") && !line.contains("\"sha256\"");
        text.lines().filter(timed).map(str::to_owned).collect()
    };
    let again = place.run(&["snapshot", SPEC, "--sandbox"]).exits(0).stdout;
    assert_eq!(without_time(again), without_time(place.read("estate.json")));
}

#[test]
fn a_snapshot_knows_what_the_ledger_remembers() {
    let place = Place::example("quickstart");
    place.run(&["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"]).exits(0);
    place.run(&["snapshot", SPEC, "--sandbox", "-o", "estate.json"]).exits(0);
    assert!(!place.read("estate.json").contains(CANARY), "a secret in the snapshot");
    plan(&place, &["--detailed-exitcode"]).exits(0).says("No changes.");
}

#[test]
fn a_changed_spec_is_planned_against_the_estate() {
    let place = taken();
    let spec = place.read(&format!("{SPEC}/tokens.yaml"));
    place.write(
        &format!("{SPEC}/tokens.yaml"),
        &spec.replace("external_api_auth: IAM_ONLY", "external_api_auth: ANY"),
    );
    let ran = plan(&place, &[]).exits(0);
    assert!(!ran.stdout.contains("to lock, ") || ran.stdout.contains("0 to lock"), "{}", ran.stdout);
    place.write(&format!("{SPEC}/tokens.yaml"), &spec.replace("mon-prod:", "mon-other:"));
    plan(&place, &[]).exits(1).says("tokenform::snapshot::other_spec").says("ibm.prod.mon-other");
    place.write(&format!("{SPEC}/tokens.yaml"), &spec.replace("account: acme", "account: other"));
    plan(&place, &[]).exits(1).says("the spec says other.logicmonitor.com");
}

#[test]
fn a_plan_from_a_snapshot_is_never_applied() {
    let place = taken();
    plan(&place, &["-o", "a.plan"]).exits(0).says("can't be applied");
    for sandbox in
        [&["apply", "a.plan", "--sandbox"][..], &["apply", "a.plan", "--sandbox", "--auto-approve"]]
    {
        place.run(sandbox).exits(3).says("tokenform::apply::from_snapshot");
    }
}

#[test]
fn what_is_no_whole_snapshot_of_ours_is_refused_as_what_it_is() {
    let place = taken();
    let whole = place.read("estate.json");
    let refused = |text: &str, code: &str| {
        place.write("estate.json", text);
        plan(&place, &[]).exits(1).says(&format!("tokenform::snapshot::{code}")).says("estate.json");
    };
    refused(&whole[..whole.len() / 2], "malformed");
    refused("", "malformed");
    refused("version: 1\n", "malformed");
    refused("{\"format_version\": \"1.0\"}", "malformed");
    refused(&whole.replacen("\"locked\": false", "\"locked\": true", 1), "damaged");
    refused(&whole.replace('\n', "\r\n"), "damaged");
    refused(&whole.replacen("\"1.0\"", "\"7.0\"", 1), "newer_format");
    place.write("notes.txt", "mine");
    place.run(&["snapshot", SPEC, "--sandbox", "-o", "notes.txt"]).exits(1).says("is not a snapshot file");
    place.run(&["plan", SPEC, "--sandbox", "--live", "estate.json"]).exits(1).says("--sandbox means nothing");
}

#[test]
fn a_user_that_is_surely_not_there_is_told_by_the_plan() {
    let place = Place::example("quickstart");
    let world = place.read(&format!("{SPEC}/quickstart.world.yaml"));
    place.write(&format!("{SPEC}/quickstart.world.yaml"), &world.replace("svc-ci:", "svc-gone:"));
    place.run(&["snapshot", SPEC, "--sandbox", "-o", "estate.json"]).exits(0);
    plan(&place, &[]).exits(1).says("tokenform::plan::user_missing");
}
