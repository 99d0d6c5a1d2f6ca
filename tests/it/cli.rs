//! The command line's promises around a plan: what is written where, and how each run ends.

use crate::support::{Place, Ran};

const SPEC: &str = "examples/quickstart";
const STATE: &str = "examples/quickstart/.tokenform";
const APPLY: [&str; 5] = ["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"];

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

#[test]
fn an_error_in_a_plan_file_refuses_it() {
    let place = planned();
    let error = r#"{ "code": "tokenform::plan::unreadable", "severity": "error", "address": null, "message": "it was not read" }"#;
    let text = place.read("a.plan").replacen("\"findings\": [", &format!("\"findings\": [ {error},"), 1);
    place.write("a.plan", &text);
    std::fs::remove_file(place.path(&format!("{STATE}/sandbox/key"))).unwrap();
    place.run(&["check", "a.plan"]).exits(3).says("the plan has an error").says("it was not read");
    place.run(&["show", "a.plan"]).exits(0).says("the plan has an error");
}

fn planned() -> Place {
    let place = Place::example("quickstart");
    place.run(&["plan", SPEC, "--sandbox", "-o", "a.plan"]).exits(0);
    place
}

#[test]
fn what_cannot_be_read_has_not_moved() {
    let place = planned();
    let world = format!("{STATE}/sandbox/world.yaml");
    let text = place.read(&world);
    let fault = "{ on: { path: '/santaba/*' }, do: { reply: { status: 403, body: '{}' } } }";
    let faulty = text.replacen("faults: []", &format!("faults: [{fault}]"), 1);
    assert_ne!(faulty, text);
    place.write(&world, &faulty);
    let ran = place.run(&["apply", "a.plan", "--sandbox"]).exits(1).says("403");
    assert!(!ran.all().contains("moved"), "{}", ran.all());
}

#[test]
fn a_plan_in_the_wrong_mode_is_told_so_and_makes_no_state() {
    let place = planned();
    place.run(&["apply", "a.plan"]).exits(3).says("tokenform::apply::wrong_target");
    assert!(!place.path(&format!("{STATE}/key")).exists());
    let elsewhere = ["apply", "a.plan", "--sandbox", "--state", "elsewhere"];
    place.run(&elsewhere).exits(3).says("tokenform::seal::other_key").says("has no key");
    assert!(!place.path("elsewhere").exists());
}

#[test]
fn a_destination_that_refuses_ends_in_a_summary_before_the_first_step() {
    let place = planned();
    std::fs::create_dir(place.path(&format!("{STATE}/sandbox/destinations/ops-env.env"))).unwrap();
    let ran = place.run(&["apply", "a.plan", "--sandbox"]).exits(1);
    assert!(ran.stdout.contains("Apply incomplete: 0 done, 0 failed, 0 in doubt,"), "{}", ran.stdout);
    ran.says("Next: tokenform apply --sandbox a.plan");
}

#[test]
fn the_command_that_continues_has_the_flags_of_the_run() {
    let place = Place::example("quickstart");
    let world = format!("{SPEC}/quickstart.world.yaml");
    let fault = "{ on: { method: DELETE }, do: { reply: { status: 403, body: '{}' } } }";
    place.write("my world.yaml", &format!("{}\nfaults:\n  - {fault}\n", place.read(&world)));
    let flags = ["--state", "my state", "--auto-approve", "--new-state", "--sandbox=my world.yaml"];
    let ran = place.run(&[&["apply", SPEC][..], &flags].concat()).exits(6);
    ran.says(&format!("Next: tokenform plan --state 'my state' --sandbox='my world.yaml' {SPEC}\n"));
    let plan = ["plan", SPEC, "--state", "my state", "--sandbox", "-o", "b.plan"];
    place.run(&plan).exits(0).says("tokenform apply --state 'my state' --sandbox b.plan\n");
}

#[test]
fn status_of_a_running_apply_gives_no_advice() {
    let place = planned();
    place.run(&APPLY).exits(0);
    let path = place.path(&format!("{STATE}/sandbox/lock"));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.lock().unwrap();
    let holder = r#"{"version":1,"by":{"user":"ada"},"host":"ci-1","pid":42,"command":"x","since":"2026-11-22T10:00:00Z"}"#;
    std::fs::write(&path, holder).unwrap();
    let ran = place.run(&["status", SPEC, "--sandbox"]).exits(5).says("An apply is running:");
    let ran = ran.says("42 on ci-1").says("look on ci-1");
    assert!(!ran.all().contains("move"), "{}", ran.all());
}

#[test]
fn status_brings_what_is_finished_into_the_ledger() {
    let place = Place::example("quickstart");
    place.run(&APPLY).exits(0);
    let state = place.path(&format!("{STATE}/sandbox"));
    let ledger = std::fs::read(state.join("ledger.jsonl")).unwrap();
    // As a crash between the last step and the ledger leaves them.
    std::fs::remove_file(state.join("ledger.jsonl")).unwrap();
    let archived = std::fs::read_dir(state.join("journal")).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(archived, state.join("journal/current.jsonl")).unwrap();
    place.run(&["status", SPEC, "--sandbox"]).exits(0).says("Nothing is in flight.");
    assert_eq!(std::fs::read(state.join("ledger.jsonl")).unwrap(), ledger);
}

#[test]
fn status_of_a_path_that_is_not_there_is_an_error() {
    Place::empty().run(&["status", "nowhere"]).exits(1).says("nowhere");
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let place = planned();
    for args in [&["schema", "spec"][..], &["show", "a.plan"], &["validate", SPEC], &["check", "a.plan"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran: Ran = place.command(args).stdout(full).output().unwrap().into();
        ran.exits(1).says("tokenform::cli::output");
    }
}

#[test]
fn a_plan_replaces_a_plan_and_nothing_else() {
    let place = planned();
    place.write("package.json", "{ \"name\": \"mine\" }");
    place.write("notes.txt", "mine");
    let key = format!("{STATE}/sandbox/key");
    for taken in ["package.json", "notes.txt", "new.yaml", key.as_str(), &format!("{STATE}/new.plan")] {
        let before = std::fs::read(place.path(taken)).ok();
        place.run(&["plan", SPEC, "--sandbox", "-o", taken]).exits(1).says("no plan is written to");
        assert_eq!(std::fs::read(place.path(taken)).ok(), before, "{taken}");
    }
    place.run(&["plan", SPEC, "--sandbox", "-o", "a.plan"]).exits(0);
    place.write("empty", "");
    place.run(&["plan", SPEC, "--sandbox", "-o", "empty"]).exits(0);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let place = Place::example("quickstart");
    for command in ["import", "completions", "man"] {
        let ran = place.run(&[command, "a", "--reason", "b"]).exits(1).says("tokenform::cli::not_yet");
        ran.says(&format!("`tokenform {command}` is not built yet"));
    }
    place.run(&["plan", SPEC, "--state", "s3://bucket/x"]).exits(1).says("`s3://` is not built yet");
    let help = place.run(&["--help"]).exits(0);
    assert!(!help.stdout.contains("completions"), "{}", help.stdout);
}

#[test]
fn parallelism_is_a_number_from_one() {
    let place = Place::example("quickstart");
    for command in ["plan", "apply"] {
        for wrong in ["0", "-1", "many"] {
            let ran = place.run(&[command, SPEC, "--sandbox", &format!("--parallelism={wrong}")]).exits(1);
            ran.says("--parallelism <N>").says("give a whole number from 1");
        }
    }
    place.run(&["plan", SPEC, "--sandbox", "--parallelism", "1"]).exits(0);
    let apply = ["apply", SPEC, "--sandbox", "--auto-approve", "--new-state", "--parallelism", "1"];
    place.run(&apply).exits(0).says("live state matches the spec");
}

#[test]
fn flags_without_an_effect_are_refused() {
    let place = planned();
    place
        .run(&["apply", SPEC, "--sandbox", "--auto-approve", "--spec", SPEC])
        .exits(1)
        .says("--spec goes with");
    for args in [&["validate", SPEC][..], &["schema", "spec"], &["sandbox"]] {
        place.run(&[args, &["--sandbox"]].concat()).exits(1).says("--sandbox means nothing");
    }
    let saved = ["apply", "a.plan", "--sandbox", "--auto-approve", "--new-state", "-v"];
    let ran = place.run(&saved).exits(0);
    assert!(ran.stderr.contains(" requests:\n"), "{}", ran.stderr);
}

#[test]
fn a_plan_is_readable_under_a_bad_key() {
    let place = planned();
    for command in ["show", "check"] {
        let ran: Ran =
            place.command(&[command, "a.plan"]).env("TOKENFORM_KEY", "short").output().unwrap().into();
        ran.exits(0).says("seal: not verified (the state key in TOKENFORM_KEY");
    }
}

#[test]
fn what_is_approved_was_seen() {
    let place = Place::example("quickstart");
    let ran = place.run_at_terminal(&["apply", SPEC, "--sandbox"], "no\n").exits(1);
    assert!(ran.stderr.contains("Plan: 2 to create"), "{}", ran.stderr);
}

#[test]
fn raised_limits_are_a_finding_of_the_plan() {
    let place = Place::example("quickstart");
    let args = ["plan", SPEC, "--sandbox", "--limit", "rotate=200"];
    place.run(&args).exits(0).says("limits given on the command line: rotate=200").says("Limits: rotate 200");
}

#[test]
fn help_is_coloured_as_asked_and_keeps_its_tables() {
    let place = Place::empty();
    let colored = place.run(&["--help", "--color", "always"]).exits(0);
    assert!(colored.stdout.contains('\x1b'), "{}", colored.stdout);
    for args in [["--help", "--color=never"], ["plna", "--color=never"]] {
        assert!(!place.run(&args).all().contains('\x1b'));
    }
    let help = place.run(&["sandbox", "--help"]).exits(0);
    assert!(help.stdout.contains("\n  GET  /__sandbox/world    the estate as it is"), "{}", help.stdout);
    place.run(&["--help"]).says("\n  tokenform apply examples/quickstart --sandbox\n");
}
