//! What a run is asked for besides its spec, from a user's seat.

use crate::support::Place;

const SPEC: &str = "examples/quickstart";
const STATE: &str = "examples/quickstart/.tokenform/sandbox";

/// The requests on the tape by the host's first word that changed something.
fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let effects = tape.iter().filter_map(|entry| entry["effect"].as_str()).filter(|e| !e.is_empty());
    effects.map(str::to_owned).collect()
}

#[test]
fn a_target_plans_and_applies_its_part_alone_and_the_proof_is_content() {
    let place = Place::example("quickstart");
    let target = "ibm.prod.mon-prod.team[\"SRE\"]";
    let plan = place.run(&["plan", SPEC, "--sandbox", "--target", target]).exits(0);
    for words in [
        "Not complete: only a part of the spec was planned.",
        "Targets: ibm.prod.mon-prod.team[\"SRE\"]",
        "Pulled in: ibm.prod.mon-prod (reset-before-lock: it comes after `reset ibm.prod.mon-prod.team[\"SRE\"]`)",
        "Not contacted: logicmonitor.acme",
        "0 to rotate, 1 to lock",
    ] {
        assert!(plan.stdout.contains(words), "{words}\n{}", plan.stdout);
    }
    let hosts: Vec<_> = place.tape(&format!("{STATE}/tape.jsonl"));
    assert!(hosts.iter().all(|entry| !entry.to_string().contains("santaba")), "LogicMonitor was contacted");
    let apply = ["apply", SPEC, "--sandbox", "--auto-approve", "--target", target];
    place.run(&apply).exits(0).says("Apply complete: 4 done.").says("in the part that was planned");
    assert_eq!(effects(&place), ["reset", "reset", "reset", "lock"]);
    place.run(&["plan", SPEC, "--sandbox", "--detailed-exitcode"]).exits(2).says("0 to lock");
}

#[test]
fn a_saved_plan_keeps_its_target() {
    let place = Place::example("quickstart");
    place.run(&["plan", SPEC, "--sandbox", "-o", "a.plan", "--target", "logicmonitor"]).exits(0);
    place.run(&["show", "a.plan"]).exits(0).says("Targets: logicmonitor").says("Not contacted: ibm.prod");
    place.run(&["check", "a.plan"]).exits(0);
    place
        .run(&["apply", "a.plan", "--sandbox", "--target", "ibm"])
        .exits(1)
        .says("a plan file says itself what it is about");
    place.run(&["apply", "a.plan", "--sandbox"]).exits(0).says("Not contacted").says("Apply complete");
    assert!(!effects(&place).iter().any(|effect| effect == "reset"));
}

#[test]
fn a_target_that_is_not_there_is_told_with_the_nearest_name() {
    let place = Place::example("quickstart");
    place
        .run(&["plan", SPEC, "--sandbox", "--target", "ibm.prod.mon-prd"])
        .exits(1)
        .says("--target: the spec declares no `ibm.prod.mon-prd`")
        .says("did you mean `ibm.prod.mon-prod`?");
    place
        .run(&["plan", SPEC, "--sandbox", "--target", "ibm.prod.mon-prod.team[\"SER\"]"])
        .exits(1)
        .says("tokenform::plan::target");
    place.run(&["plan", SPEC, "--sandbox", "--target", "no/address"]).exits(1).says("neither an address");
}

#[test]
fn the_path_may_stand_behind_the_targets() {
    let place = Place::example("quickstart");
    let plan =
        place.run(&["plan", "--sandbox", "--target", "ibm.prod.mon-lab", "ibm.prod.wp-prod", SPEC]).exits(0);
    assert!(plan.stdout.contains("Targets: ibm.prod.mon-lab, ibm.prod.wp-prod\n"), "{}", plan.stdout);
}

const CI: &str = "logicmonitor.acme.svc-ci.api_token[\"ci-release\"]";

#[test]
fn a_rotation_that_is_asked_for_is_planned_and_made_once() {
    let place = Place::example("quickstart");
    place.run(&["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"]).exits(0);
    place
        .run(&["plan", SPEC, "--sandbox", "-o", "a.plan", "--rotate", CI])
        .exits(0)
        .says("asked for with --rotate");
    place
        .run(&["show", "a.plan"])
        .exits(0)
        .says("Rotate now: logicmonitor.acme.svc-ci.api_token[\"ci-release\"]");
    place.run(&["apply", "a.plan", "--sandbox"]).exits(0).says("Apply complete: 1 done.");
    let sre = "ibm.prod.mon-dev.team[\"SRE\"]";
    place
        .run(&["apply", SPEC, "--sandbox", "--auto-approve", "--rotate", sre, "--target", sre])
        .exits(0)
        .says("Apply complete: 1 done.");
    assert_eq!(effects(&place).iter().filter(|effect| *effect == "reset").count(), 8);
    place.run(&["plan", SPEC, "--sandbox", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_cannot_be_rotated_is_refused_with_every_reason_before_anything_is_read() {
    let place = Place::example("quickstart");
    let ran =
        place.run(&["plan", SPEC, "--sandbox", "--rotate", "ibm.prod.mon-prod", "logicmonitor"]).exits(3);
    for words in [
        "team[\"Monitor Operations\"]: its instance is to refuse API tokens",
        "api_token[\"ci-2024\"]: the spec wants it absent",
        "api_token[\"ci-legacy\"]: the spec wants it disabled",
        "api_token[\"ci-nightly\"]: it has no `deliver`",
    ] {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.stderr);
    }
    let outside = ["plan", SPEC, "--sandbox", "--rotate", CI, "--target", "ibm"];
    place.run(&outside).exits(3).says("outside of every `--target`");
    let nothing = ["plan", SPEC, "--sandbox", "--rotate", "ibm.prod.mon-dev.team[\"Nobody\"]"];
    place.run(&nothing).exits(3).says("the spec declares no token at");
    assert!(
        !place.path(&format!("{STATE}/tape.jsonl")).exists()
            || place.tape(&format!("{STATE}/tape.jsonl")).is_empty()
    );
}

#[test]
fn a_new_destination_says_how_it_is_fed_now() {
    let place = Place::example("quickstart");
    place.run(&["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"]).exits(0);
    let spec = "examples/quickstart/tokens.yaml";
    let more =
        "{ to: release-json, key: access_key, id_key: access_id }\n              - { to: ops-env, key: NEW }";
    let text = place.read(spec).replacen("{ to: release-json, key: access_key, id_key: access_id }", more, 1);
    place.write(spec, &text);
    let hint = format!(
        "ops-env#NEW does not have this token; fed at the next rotation; now: `plan --rotate '{CI}'`"
    );
    place.run(&["plan", SPEC, "--sandbox"]).exits(0).says(&hint);
}

#[test]
fn what_is_forgotten_is_of_unknown_age_again_and_the_ledger_says_why() {
    let place = Place::example("quickstart");
    let sre = "ibm.prod.mon-dev.team[\"SRE\"]";
    place.run(&["forget", sre, SPEC, "--sandbox"]).exits(1).says("there is no state");
    place.run(&["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"]).exits(0);
    let wrong = ["forget", "ibm.prod.mon-dev.team[\"SER\"]", SPEC, "--sandbox"];
    place.run(&wrong).exits(1).says("did you mean `ibm.prod.mon-dev.team[\"SRE\"]`?");
    let forget = ["forget", sre, SPEC, "--sandbox", "--reason", "moved away"];
    place.run(&forget).exits(0).says(&format!("Forgotten: {sre}"));
    place.run(&forget).exits(1).says("the ledger remembers nothing of");
    let ledger = place.read(&format!("{STATE}/ledger.jsonl"));
    let last = ledger.lines().last().unwrap();
    assert!(last.contains("moved away") && last.contains("forgotten"), "{last}");
    place.run(&["plan", SPEC, "--sandbox", "--detailed-exitcode"]).exits(2).says("age unknown");
}

const TWO_VENDORS: &str = "version: 1
ibm:
  prod:
    credential: { api_key: { env: K } }
    token_reset: { method: POST, path: /sandbox-invented/reset }
    instances: { mon: { service: monitoring, external_api_auth: IAM_ONLY } }
logicmonitor:
  acme:
    account: acme
    credential: { lmv1: { access_id: { env: ID }, access_key: { env: KEY } } }
    users: { svc-ci: { api_tokens: { ci: { status: disabled } } } }
";

/// LogicMonitor refuses every signature: its clock is off.
const ONE_AWAY: &str = "version: 1
clock: 2026-11-22T10:00:00Z
skew_seconds: 2400
ibm:
  prod:
    token_reset: { method: POST, path: /sandbox-invented/reset }
    instances: { mon: { region: us-south, parameters: { external_api_auth: ANY }, teams: { Ops: { id: 1, default: true } } } }
logicmonitor: { acme: { users: { svc-ci: { api_tokens: [ { note: ci } ] } } } }
";

#[test]
fn one_vendor_that_is_away_stops_a_plan_and_partial_plans_and_applies_the_rest() {
    let place = Place::empty();
    place.write("tokens.yaml", TWO_VENDORS);
    place.write("w.world.yaml", ONE_AWAY);
    let plan = |more: &[&str]| place.run(&[&["plan", "tokens.yaml", "--sandbox"], more].concat());
    plan(&["-o", "a.plan"]).exits(1).says("1401").says("logicmonitor.acme.svc-ci");
    assert!(!place.path("a.plan").exists(), "no plan is saved");
    let ran = plan(&["--partial", "-o", "a.plan"]).exits(0).says("Not complete").says("1 to lock");
    let ran = ran.says("Not read: logicmonitor.acme.svc-ci (");
    assert!(!ran.stdout.contains("disable logicmonitor"), "{}", ran.stdout);
    place
        .run(&["apply", "a.plan", "--sandbox", "--partial"])
        .exits(1)
        .says("--partial means nothing beside it");
    place.run(&["apply", "a.plan", "--sandbox"]).exits(0).says("Apply complete");
    plan(&["--partial", "--detailed-exitcode"]).exits(2).says("No changes in the part of the spec");
    plan(&["--partial"]).exits(0);
}
