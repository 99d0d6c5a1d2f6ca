//! Protections from a user's seat: applied, remembered whatever becomes of the spec, lifted on purpose.

use serde_json::Value;

use crate::support::{Place, Ran};

const WORLD: &str = "\
version: 1
clock: 2026-11-22T10:00:00Z
logicmonitor:
  acme:
    users:
      svc:
        id: 32
        api_tokens:
          - { id: 7, note: ci, created_on: 2026-08-14T09:00:00Z, last_used_on: 2026-08-20T09:00:00Z }
          - { id: 8, note: other, created_on: 2026-11-14T09:00:00Z }
";

/// A spec with these tokens, and a wish for all others.
fn write(place: &Place, tokens: &str) {
    let text = format!(
        "version: 1
logicmonitor:
  acme:
    account: acme
    credential: {{ lmv1: {{ access_id: {{ env: A }}, access_key: {{ env: B }} }} }}
    unlisted_tokens: {{ action: disable, unused_for: 30d }}
    users: {{ svc: {{ api_tokens: {{ {tokens} }} }} }}
"
    );
    place.write("spec/tokens.yaml", &text);
}

fn place() -> Place {
    let place = Place::empty();
    place.write("spec/w.world.yaml", WORLD);
    place
}

fn run(place: &Place, args: &[&str]) -> Ran {
    place.run(&[args, &["--sandbox"]].concat())
}

fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape("spec/.tokenform/sandbox/tape.jsonl");
    let effects = tape.iter().filter_map(|entry| entry["effect"].as_str()).filter(|e| !e.is_empty());
    effects.map(str::to_owned).collect()
}

const APPLY: [&str; 3] = ["apply", "spec", "--auto-approve"];
const PLAN: [&str; 3] = ["plan", "spec", "--detailed-exitcode"];

#[test]
fn a_protection_outlives_its_words_until_it_is_lifted_by_a_plan_of_its_own() {
    let place = place();
    write(&place, "ci: { protect: true }, other: {}");
    run(&place, &PLAN)
        .exits(2)
        .says("# logicmonitor.acme.svc.api_token[\"ci\"] will be protected")
        .says("RECORD in the ledger")
        .says("1 to protect");
    run(&place, &APPLY).exits(0).says("Apply complete: 1 done.").says("remembered in the ledger");
    assert!(effects(&place).is_empty(), "a protection is no request");
    run(&place, &PLAN).exits(0);

    run(&place, &["status", "spec"])
        .exits(0)
        .says("`protect: false` lifts it:\n  logicmonitor.acme.svc.api_token[\"ci\"]");
    write(&place, "ci: { status: absent }, other: {}");
    run(&place, &APPLY)
        .exits(3)
        .says("api_token[\"ci\"], which is protected")
        .says("tokenform::plan::protected");
    write(&place, "other: {}");
    run(&place, &PLAN).exits(0).says("it was protected when the spec declared it");
    run(&place, &["forget", "logicmonitor.acme.svc", "spec"]).exits(0);
    run(&place, &PLAN).exits(0).says("it was protected when the spec declared it");
    assert!(effects(&place).is_empty());

    write(&place, "ci: { status: absent, protect: false }, other: { status: disabled }");
    run(&place, &["plan", "spec", "-o", "lift.plan"])
        .exits(0)
        .says("will no longer be protected")
        .says("waits for the next plan");
    place.run(&["check", "lift.plan"]).exits(0);
    let lifted = run(&place, &["apply", "lift.plan"]).exits(0);
    lifted.says("Apply complete: 1 done.").says("lifted in the ledger").says("for the next apply: ");
    assert!(effects(&place).is_empty());
    run(&place, &APPLY).exits(0).says("Apply complete: 2 done.");
    assert_eq!(effects(&place).len(), 2);

    let told = run(&place, &["history", "spec", "--format", "json"]).exits(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let words: Vec<_> =
        told["lines"].as_array().unwrap().iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(words[..3], ["protect", "forget", "unprotect"]);
    run(&place, &["history", "spec", "--verb", "protect"]).exits(0).says("the spec protects it");
    run(&place, &["history", "spec", "--verify"]).exits(0);
}

#[test]
fn a_lost_ledger_costs_what_only_it_remembered_and_the_spec_protects_anew() {
    let place = place();
    write(&place, "ci: { protect: true }, other: {}");
    run(&place, &APPLY).exits(0);
    std::fs::remove_file(place.path("spec/.tokenform/sandbox/ledger.jsonl")).unwrap();
    let journals = place.path("spec/.tokenform/sandbox/journal");
    std::fs::remove_dir_all(journals).unwrap();
    run(&place, &PLAN).exits(2).says("1 to protect");
    run(&place, &APPLY).exits(0);
    run(&place, &PLAN).exits(0);
}
