//! The command line's own words.

use crate::support::Place;

const COMMANDS: [&str; 13] = [
    "validate", "plan", "apply", "resume", "show", "check", "status", "forget", "lock", "history", "unlock",
    "sandbox", "schema",
];

#[test]
fn every_command_explains_itself() {
    let place = Place::empty();
    let all = place.run(&["--help"]).exits(0);
    for command in COMMANDS {
        assert!(all.stdout.contains(&format!("\n  {command} ")), "{command} is not listed:\n{}", all.stdout);
        let help = place.run(&[command, "--help"]).exits(0);
        assert!(help.stdout.contains("Usage: tokenform "), "{}", help.stdout);
        let words = help.stdout.split("Usage:").next().unwrap().split_whitespace().count();
        assert!(words >= 15, "`{command} --help` teaches nothing:\n{}", help.stdout);
    }
    assert!(all.stdout.contains("Exit codes:") && all.stdout.contains("130  interrupted"), "{}", all.stdout);
}

#[test]
fn usage_errors_exit_with_1_and_name_the_nearest_word() {
    let place = Place::empty();
    place.run(&["plna"]).exits(1).says("'plan'");
    place.run(&["plan", "--detailed-exitcod"]).exits(1).says("--detailed-exitcode");
    place.run(&["plan", "--format", "pdf"]).exits(1).says("[possible values: text, json, markdown");
    place.run(&["plan", "--expires", "31d"]).exits(1).says("30d");
    let guided = Place::example("guided");
    let limited = ["plan", "examples/guided", "--sandbox", "--limit", "rotate=many"];
    guided.run(&limited).exits(1).says("rotate=many").says("NAME=COUNT");
    place.run(&["--version"]).exits(0).says(env!("CARGO_PKG_VERSION"));
}

#[test]
fn printed_schemas_are_the_committed_ones() {
    let place = Place::empty();
    for what in ["spec", "plan", "events"] {
        let committed = crate::support::repository().join(format!("schemas/{what}.schema.json"));
        let printed = place.run(&["schema", what]).exits(0).stdout;
        assert_eq!(printed, std::fs::read_to_string(committed).unwrap(), "run `tokenform schema {what}`");
    }
}
