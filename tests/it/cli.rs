//! The command line's promises around a plan: what is written where, and how each run ends.

use crate::support::Place;

const SPEC: &str = "examples/quickstart";

/// A quickstart whose spec wishes for a team that is not there.
fn with_an_error() -> Place {
    let place = Place::example("quickstart");
    let spec = format!("{SPEC}/tokens.yaml");
    place.write(&spec, &place.read(&spec).replacen("          SRE:\n", "          Nobody:\n", 1));
    place
}

#[test]
fn a_plan_with_errors_is_never_sealed() {
    let place = with_an_error();
    let ran = place.run(&["plan", SPEC, "--sandbox", "--format", "json", "-o", "a.plan"]).exits(1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("Nobody"), "{}", ran.stderr);
    assert!(!place.path("a.plan").exists());
}
