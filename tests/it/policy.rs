//! Policies: what Rego rules say to a plan, in each command that makes, judges or runs one.

use std::fs;

use crate::support::{Place, Ran, repository};

const SPEC: &str = "examples/quickstart";
const POLICIES: &str = "examples/policy";

/// The quickstart and the example policies, and a plan file.
fn planned() -> Place {
    let place = Place::examples();
    place.run(&["plan", SPEC, "--sandbox", "-o", "a.plan"]).exits(0);
    place
}

/// Judges the plan as if it said something else. No key is at hand, so its seal is not verified.
fn check(place: &Place, policy: &str, from: &str, to: &str) -> Ran {
    let plan = place.read("a.plan");
    assert!(plan.contains(from), "{from}");
    place.write("other.plan", &plan.replacen(from, to, 1));
    place.run(&[
        "check",
        "other.plan",
        "--state",
        "nowhere",
        "--policy",
        &format!("{POLICIES}/{policy}.rego"),
    ])
}

#[test]
fn a_denial_stops_plan_check_and_apply_and_names_rule_and_object() {
    let place = planned();
    let denied = |args: &[&str]| {
        let ran = place.run(&[args, &["--sandbox", "--policy", POLICIES]].concat()).exits(3);
        ran.says("tokenform::policy::denied").says("deny_open_production").says("ibm.prod.mon-dev")
    };
    denied(&["plan", SPEC, "-o", "b.plan"]);
    assert!(!place.path("b.plan").exists(), "a denied plan was saved");
    denied(&["apply", SPEC, "--auto-approve", "--new-state"]);
    denied(&["apply", "a.plan"]);
    let told = denied(&["apply", "a.plan", "--format", "json"]);
    assert_eq!(crate::events::events(&told).last().unwrap()["result"], "refused");
    place.run(&["check", "a.plan", "--policy", POLICIES]).exits(3).says("deny_open_production");
    let sarif = place.run(&["check", "a.plan", "--policy", POLICIES, "--format", "sarif"]).exits(3).stdout;
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "tokenform::policy::denied", "{sarif}");
    place.run(&["check", "a.plan", "--format", "junit"]).exits(0).says("failures=\"0\"");
    place.write("slip.yaml", "version: 1\nibmm: {}\n");
    let slip = place.run(&["validate", "slip.yaml", "--format", "sarif"]).exits(1);
    let slip: serde_json::Value = serde_json::from_str(&slip.stdout).unwrap();
    let place_of = &slip["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place_of["artifactLocation"]["uri"], &place_of["region"]["startLine"]),
        (&"slip.yaml".into(), &2.into())
    );
    let tape = place.tape(&format!("{SPEC}/.tokenform/sandbox/tape.jsonl"));
    assert!(tape.iter().all(|entry| entry["effect"] == ""), "something was changed");
    // one that holds on every day of the week
    let holds = format!("{POLICIES}/no_token_on_an_administrator.rego");
    place.run(&["apply", "a.plan", "--sandbox", "--policy", &holds]).exits(0);
}

#[test]
fn each_example_policy_holds_and_can_be_broken() {
    let place = planned();
    let plan = place.read("a.plan");
    let (_, rest) = plan.split_once("\"created_at\": \"").unwrap();
    let (now, _) = rest.split_once('"').unwrap();
    let now = format!("\"created_at\": \"{now}\"");
    check(&place, "no_deletes_on_friday", &now, "\"created_at\": \"2026-11-20T10:00:00Z\"")
        .exits(3)
        .says("deny_friday");
    check(&place, "no_deletes_on_friday", &now, "\"created_at\": \"2026-11-19T10:00:00Z\"").exits(0);
    check(&place, "no_token_on_an_administrator", &now, &now).exits(0);
    let users = plan.split_once("\"users\": [").expect("an estate has users").1;
    let roles = users.split_once("\"roles\": [").expect("a user has roles").1;
    let role = roles.split('"').nth(1).unwrap();
    let ran =
        check(&place, "no_token_on_an_administrator", &format!("\"{role}\""), "\"Administrator\"").exits(3);
    ran.says("deny_administrator");
    check(&place, "nothing_older_than_90_days", &now, "\"created_at\": \"2036-11-20T10:00:00Z\"").exits(0);
    place.write("a.plan", &plan.replace("\"action\": \"rotate\"", "\"action\": \"deliver\""));
    check(&place, "nothing_older_than_90_days", &now, "\"created_at\": \"2036-11-20T10:00:00Z\"")
        .exits(3)
        .says("deny_too_old");
    check(&place, "iam_only_in_production", &now, &now).exits(3).says("ibm.prod.mon-dev");
    // each example is judged above
    let all = fs::read_dir(repository().join(POLICIES)).unwrap().count();
    assert_eq!(all, 4);
}

#[test]
fn policies_that_cannot_be_evaluated_pass_nothing() {
    let place = planned();
    let judged = |name: &str, text: &str| {
        place.write(&format!("{name}/p.rego"), text);
        place.run(&["check", "a.plan", "--policy", name]).exits(1).says("tokenform::policy::broken")
    };
    judged("syntax", "package main\ndeny contains if").says("p.rego");
    judged("package", "package mine\ndeny contains \"x\" if true").says("package `main`");
    place.write("empty/readme.md", "");
    place.run(&["check", "a.plan", "--policy", "empty"]).exits(1).says("holds no *.rego file");
    place.run(&["check", "a.plan", "--policy", "nowhere"]).exits(1);
    place.write("warn/deep/p.rego", "package main\nwarn contains \"mind this\" if true");
    place.write("warn/p_test.rego", "package main\ndeny contains \"a test\" if true");
    place.run(&["check", "a.plan", "--policy", "warn"]).exits(0).says("mind this");
}

#[test]
fn policies_see_data_of_files_and_folders() {
    let place = planned();
    place.write("p/main.rego", "package main\ndeny contains sprintf(\"%s by %s\", [name, data.owner]) if some name in data.fleet.open\n");
    place.write("d/fleet/open.yaml", "open: [mon]\n");
    place.write("d/readme.md", "no data");
    place.write("owner.json", "{\"owner\": \"ada\"}");
    let check = ["check", "a.plan", "--policy", "p"];
    place.run(&check).exits(0);
    let data = ["--data", "d", "--data", "owner.json"];
    place.run(&[&check[..], &data].concat()).exits(3).says("mon by ada");
    place.run(&[&["check", "a.plan"], &data[..]].concat()).exits(1).says("--policy");
    place.write("twice.json", "{\"owner\": \"bob\"}");
    place.run(&[&check[..], &data, &["--data", "twice.json"]].concat()).exits(1).says("`data.owner`");
    place.run(&[&check[..], &["--data", "nowhere"]].concat()).exits(1);
}
