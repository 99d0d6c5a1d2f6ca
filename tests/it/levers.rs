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
