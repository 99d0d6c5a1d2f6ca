//! The proof after an apply, from a user's seat: what is only shown late is waited for, and what
//! disagrees is told.

use crate::support::{Place, Ran};

const TAPE: &str = ".tokenform/sandbox/tape.jsonl";

/// One token to enable, and one that is as it should be.
fn place(portal: &str, faults: &str) -> Place {
    let place = Place::empty();
    place.write(
        "tokens.yaml",
        "version: 1
logicmonitor:
  acme:
    account: acme
    credential: { lmv1: { access_id: { env: I }, access_key: { env: K } } }
    users: { svc: { api_tokens: { ours: { status: enabled }, theirs: { status: enabled } } } }
",
    );
    let world = format!(
        "version: 1
clock: 2026-11-22T10:00:00Z
logicmonitor:
  acme:
{portal}    users:
      svc: {{ id: 32, api_tokens: [ {{ id: 7, note: ours, status: disabled }}, {{ id: 8, note: theirs }} ] }}
faults: [ {faults} ]
"
    );
    place.write("w.world.yaml", &world);
    place
}

fn apply(place: &Place) -> Ran {
    place.run(&["apply", "tokens.yaml", "--sandbox", "--auto-approve", "--new-state"])
}

/// How often everything was read.
fn reads(place: &Place) -> usize {
    let tape = place.tape(TAPE);
    tape.iter().filter(|e| e["path"] == "/santaba/rest/setting/admins").count()
}

#[test]
fn what_is_shown_late_is_waited_for() {
    let place = place("    token_list_lag: 20s\n", "");
    let ran = apply(&place).exits(0).says("live state matches the spec after ");
    assert!(ran.stderr.contains("waiting 2s: logicmonitor.acme.svc.api_token[\"ours\"]"), "{}", ran.stderr);
    assert!(!ran.all().contains("theirs\"]: to"), "{}", ran.all());
    assert!(reads(&place) > 3);
}

#[test]
fn what_is_never_shown_is_told_with_its_field_after_a_minute() {
    let place = place("    token_list_lag: 1h\n", "");
    let ran = apply(&place).exits(6).says("Apply complete: 1 done.");
    let ran = ran.says("api_token[\"ours\"]: to enable: status is disabled, and the spec wants enabled");
    ran.says("still so after 60 s").says("Next: tokenform plan");
    assert_eq!(reads(&place), 7, "a plan, and six looks in a minute");
}

#[test]
fn what_the_apply_did_not_touch_is_told_at_once() {
    // Somebody disables the other token between the apply and its proof.
    let meddle = "{ on: { path: /santaba/rest/setting/admins, nth: 2 }, do: { meddle: { set_token: { connection: acme, token: 8, status: disabled } } } }";
    let place = place("", meddle);
    let ran = apply(&place).exits(6).says("api_token[\"theirs\"]: to enable");
    let ran = ran.says("this apply did not touch it");
    assert!(!ran.all().contains("\"ours\"]: to enable: status"), "{}", ran.all());
    assert_eq!(reads(&place), 2, "it was waited for what can't come");
}
