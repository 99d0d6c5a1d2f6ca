//! From a messy estate to one that an incident can be answered in: adopt it, rotate what may be
//! exposed, see what is left.

use serde_json::Value;

use crate::support::{CANARY, Place, Ran};

const STATE: &str = "examples/incident/.tokenform/sandbox";
const BEFORE: &str = "2026-11-20T00:00:00Z";

fn run(place: &Place, command: &str, more: &[&str]) -> Ran {
    place.run(&[&[command, "examples/incident", "--sandbox"], more].concat())
}

/// What changed something at the vendors, in order: the effect, and the token's id or the team's.
fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let effects = tape.iter().filter_map(|entry| entry["effect"].as_str().map(str::to_owned));
    effects.filter(|effect| !effect.is_empty()).collect()
}

/// The estate as tokenform took it over.
fn adopted() -> Place {
    let place = Place::example("incident");
    run(&place, "apply", &["--auto-approve"]).exits(0);
    place
}

fn incident(place: &Place, more: &[&str]) -> Ran {
    run(place, "plan", &[&["--issued-before", BEFORE, "--detailed-exitcode"], more].concat())
}

/// What the JSON says is not rotated: `address: cause`.
fn left(place: &Place, more: &[&str]) -> Vec<String> {
    let ran = incident(place, &[more, &["--format", "json"]].concat()).exits(2);
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = plan["extent"]["not_rotated"].as_array().unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter().map(|row| format!("{}: {}", text(row, "address"), text(row, "cause"))).collect()
}

#[test]
fn taking_over_a_messy_estate_changes_nothing_that_was_not_asked_for() {
    let place = Place::example("incident");
    let ran = run(&place, "plan", &["--detailed-exitcode"]).exits(2);
    assert!(ran.stdout.contains("Plan: 0 to create, 0 to rotate, 0 to lock, 0 to enable, 0 to disable, 0 to delete, 1 to deliver, 1 to protect. 0 irreversible."), "{}", ran.stdout);
    run(&place, "apply", &["--auto-approve"]).exits(0);
    assert_eq!(effects(&place), [""; 0], "a delivery and a protection change nothing at the vendor");
    run(&place, "plan", &["--detailed-exitcode"]).exits(0).says("No changes. Live state matches the spec.");
}

#[test]
fn everything_that_may_be_exposed_is_rotated_and_the_rest_is_told() {
    let place = adopted();
    let plan = incident(&place, &["--reason", "INC-7: laptop stolen", "-o", "incident.plan"]).exits(2);
    let plan = plan.says(
        "Incident: only what was issued before 2026-11-20T00:00:00Z is rotated (INC-7: laptop stolen).",
    );
    let plan = plan.says("3 to rotate").says("Possibly exposed, and not rotated by this plan:");
    let order: Vec<_> = [
        "reset ibm.prod.mon-ops",
        "issue logicmonitor.acme.svc-ci.api_token[\"ci-deploy\"]",
        "api_token[\"ci-nightly\"] (overlap",
    ]
    .iter()
    .map(|step| plan.stdout.find(step).unwrap_or_else(|| panic!("{step} is not in\n{}", plan.stdout)))
    .collect();
    assert!(order.is_sorted(), "most recently used first\n{}", plan.stdout);
    let told = left(&place, &[]);
    for row in [
        "logicmonitor.acme.svc-ci.api_token[\"ci-audit\"]: no-destination",
        "logicmonitor.acme.svc-ci.api_token[\"ci-vault\"]: protected",
        "logicmonitor.acme.svc-ci: unlisted",
        "logicmonitor.acme.alice: unlisted",
        "logicmonitor.acme: credential",
        "ibm.prod: credential",
        "ibm.prod.mon-ops: unlisted",
        "ibm.prod.mon-vault: iam-only",
    ] {
        assert!(told.contains(&row.to_owned()), "{row} is not in {told:#?}");
    }
    assert_eq!(told.len(), 8, "{told:#?}");
    place.run(&["apply", "incident.plan", "--sandbox"]).exits(0).says("Apply complete");
    assert_eq!(effects(&place).len(), 3, "{:?}", effects(&place));
    assert!(place.read(&format!("{STATE}/ledger.jsonl")).contains("incident: INC-7: laptop stolen"));
    let again =
        incident(&place, &[]).exits(2).says("Nothing to rotate.").says("works until it is retired (2)");
    assert!(!again.all().contains(CANARY));
    run(&place, "plan", &["--detailed-exitcode"]).says("predecessor id 248");
}

#[test]
fn within_the_limits_the_same_command_goes_on_where_the_last_one_ended() {
    let place = adopted();
    for rest in ["2 more", "1 more", ""] {
        let ran = incident(&place, &["--limit", "rotate=1", "-o", "part.plan"]).exits(2);
        let over = ran.stdout.contains("over the limit");
        assert_eq!(over, !rest.is_empty(), "{}", ran.stdout);
        assert!(ran.stdout.contains("1 to rotate"), "{}", ran.stdout);
        place.run(&["apply", "part.plan", "--sandbox"]).exits(0);
    }
    incident(&place, &["--limit", "rotate=1"]).exits(2).says("Nothing to rotate.");
    assert_eq!(effects(&place).len(), 3);
}

#[test]
fn a_scope_bounds_what_is_read_rotated_and_told() {
    let place = adopted();
    let ran = incident(&place, &["--scope", "ibm.prod"]).exits(2).says("Not contacted: logicmonitor.acme");
    assert!(ran.stdout.contains("1 to rotate") && !ran.stdout.contains("svc-ci"), "{}", ran.stdout);
    let ran = incident(&place, &["--scope", "logicmonitor.acme.svc-ci.api_token[\"ci-deploy\"]"]).exits(2);
    assert!(!ran.stdout.contains("Possibly exposed"), "{}", ran.stdout);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_read() {
    let place = Place::example("incident");
    run(&place, "plan", &["--issued-before", "2027-01-01T00:00:00Z"]).exits(1).says("lies in the future");
    run(&place, "plan", &["--scope", "ibm.prod"]).exits(1).says("--issued-before");
    run(&place, "plan", &["--issued-before", BEFORE, "--scope", "ibm.nowhere"]).exits(1).says("--scope");
    run(&place, "plan", &["--issued-before", BEFORE, "--target", "ibm.prod"]).exits(1).says("no other lever");
}

#[test]
fn a_portal_that_cannot_be_read_is_named_and_only_left_out_where_that_is_asked_for() {
    let place = adopted();
    let world = "examples/incident/incident.world.yaml";
    let fault = "faults:\n  - { on: { method: GET, path: /santaba/rest/setting/admins, times: 0 }, do: { reply: { status: 500, body: '{}' } } }\n";
    // the sandbox keeps its world: it begins anew with this one
    place.write(world, &(place.read(world) + fault));
    std::fs::remove_dir_all(place.path(STATE)).unwrap();
    let ran = incident(&place, &["-o", "whole.plan"]).exits(1).says("logicmonitor.acme");
    assert!(ran.all().contains("could not read the users"), "{}", ran.all());
    assert!(!place.path("whole.plan").exists(), "nothing is saved that leaves out a portal unasked");
    let ran = incident(&place, &["--partial", "-o", "part.plan"]).exits(2).says("1 to rotate");
    assert!(
        ran.stdout.contains("logicmonitor.acme: nothing is known of any token of its portal"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("logicmonitor.acme: the connection's own credential"), "{}", ran.stdout);
    let told = left(&place, &["--partial"]);
    assert!(told.contains(&"logicmonitor.acme: unreadable".to_owned()), "{told:?}");
    place.run(&["apply", "part.plan", "--sandbox"]).exits(0);
    assert_eq!(effects(&place), ["reset"]);
    // what can be read is done, and the rest is still open
    incident(&place, &["--partial"])
        .exits(2)
        .says("Nothing to rotate.")
        .says("logicmonitor.acme: nothing is known");
}
