//! Change windows and freezes from a user's seat: what a plan says, what apply refuses, and the way round.

use serde_json::Value;

use crate::support::{Place, Ran, repository};

const SPEC: &str = "examples/windows";

/// A run so long after the world begins: on a Sunday at 10:00Z, which is 11:00 in Berlin.
fn run(place: &Place, args: &[&str], later: &str) -> Ran {
    let mut command = place.command(args);
    command.arg("--sandbox").env("USER", "ada").env("TOKENFORM_CLOCK_OFFSET", later);
    command.output().unwrap().into()
}

fn effects(place: &Place) -> usize {
    let tape = place.tape(&format!("{SPEC}/.tokenform/sandbox/tape.jsonl"));
    tape.iter().filter(|entry| entry["effect"].as_str().is_some_and(|effect| !effect.is_empty())).count()
}

const MONDAY_MORNING: &str = "23h";
const MONDAY_EVENING: &str = "31h";
const APPLY: [&str; 3] = ["apply", SPEC, "--auto-approve"];

#[test]
fn a_plan_is_made_at_any_time_and_says_when_it_may_run() {
    let place = Place::example("windows");
    let closed = "an apply now would be refused: Sun 2026-11-22 11:00 Europe/Berlin (2026-11-22T10:00:";
    let next = "changes may be made from Mon 2026-11-23 09:00 Europe/Berlin (2026-11-23T08:00:00Z)";
    for format in ["text", "markdown", "html", "json"] {
        let plan = run(&place, &["plan", SPEC, "--format", format], "0s").exits(0);
        let told = plan.stdout.replace("\n", " ").replace("  ", "");
        assert!(told.contains("outside of every change window"), "{format}: {}", plan.stdout);
    }
    let plan = run(&place, &["plan", SPEC, "--format", "json"], "0s").exits(0).says(closed).says(next);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let finding =
        plan["findings"].as_array().unwrap().iter().find(|f| f["code"] == "tokenform::plan::outside_window");
    assert_eq!(finding.unwrap()["severity"], "warning");
    let open = run(&place, &["plan", SPEC], MONDAY_MORNING).exits(0);
    assert!(!open.all().contains("would be refused"), "{}", open.all());
    let frozen = run(&place, &["plan", SPEC], "28d").exits(0);
    frozen.says("changes are frozen until Mon 2027-01-04 09:00 Europe/Berlin").says("(year end)");
}

#[test]
fn apply_refuses_outside_of_a_window_before_it_asks_or_sends_anything() {
    let place = Place::example("windows");
    run(&place, &APPLY, "0s").exits(3).says("tokenform::apply::outside_window").says("nothing new was sent");
    run(&place, &["plan", SPEC, "-o", "sunday.plan"], "0s").exits(0);
    run(&place, &["apply", "sunday.plan"], "0s")
        .exits(3)
        .says("changes may be made from Mon 2026-11-23 09:00");
    let asked = place.run_at_terminal(&["apply", SPEC, "--sandbox"], "yes\n").exits(3);
    assert!(!asked.all().contains("Enter a value"), "it asked for an approval that counts for nothing");
    assert_eq!(effects(&place), 0);
    let open = run(&place, &["apply", "sunday.plan"], MONDAY_MORNING).exits(0);
    open.says("Apply complete: 1 done.");
    assert_eq!(effects(&place), 1);
}

#[test]
fn a_plan_that_was_made_in_a_window_is_judged_again_when_it_is_applied() {
    let place = Place::example("windows");
    run(&place, &["plan", SPEC, "-o", "monday.plan"], MONDAY_MORNING).exits(0);
    run(&place, &["apply", "monday.plan"], MONDAY_EVENING)
        .exits(3)
        .says("changes may be made from Tue 2026-11-24 09:00 Europe/Berlin")
        .says("(2026-11-24T08:00:00Z)");
    assert_eq!(effects(&place), 0);
}

#[test]
fn the_way_round_is_reviewed_sealed_and_recorded() {
    let place = Place::example("windows");
    let plan = ["plan", SPEC, "-o", "now.plan", "--outside-window", "INC-7: key leaked"];
    let made = run(&place, &plan, "0s").exits(0);
    let first = made.stdout.trim_start().lines().next().unwrap().to_owned();
    assert_eq!(first, "OUTSIDE THE WINDOW: change windows and freezes do not hold this plan back.");
    assert!(!made.all().contains("would be refused"), "{}", made.all());
    for format in ["markdown", "html"] {
        place.run(&["show", "now.plan", "--format", format]).exits(0).says("INC-7: key leaked");
    }
    place.run(&["check", "now.plan"]).exits(0);
    let plain =
        place.read("now.plan").replace("\"outside_window\": \"INC-7: key leaked\"", "\"partial\": false");
    assert_ne!(plain, place.read("now.plan"), "the member is where the test looks for it");
    run(&place, &["plan", SPEC, "-o", "held.plan"], "0s").exits(0);
    let forged = place
        .read("held.plan")
        .replace("\"partial\": false", "\"partial\": false,\n    \"outside_window\": \"x\"");
    assert_ne!(forged, place.read("held.plan"));
    place.write("forged.plan", &forged);
    run(&place, &["apply", "forged.plan"], "0s").exits(3).says("tokenform::seal::edited");
    let beside = ["apply", "held.plan", "--outside-window", "INC-7"];
    run(&place, &beside, "0s").exits(1).says("a plan file says itself what it is about, so --outside-window");
    assert_eq!(effects(&place), 0);

    run(&place, &["apply", "now.plan"], "0s").exits(0).says("OUTSIDE THE WINDOW:");
    assert_eq!(effects(&place), 1);
    run(&place, &["history", SPEC], "0s").exits(0).says("outside the window: INC-7: key leaked");
    let told = run(&place, &["history", SPEC, "--format", "json"], "0s").exits(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["lines"][0]["outside_window"], "INC-7: key leaked");
}

#[test]
fn a_fresh_apply_takes_the_lever_too_and_wants_a_reason() {
    let place = Place::example("windows");
    run(&place, &[&APPLY[..], &["--outside-window", " "]].concat(), "0s").exits(1).says("say why");
    run(&place, &[&APPLY[..], &["--outside-window", "INC-7"]].concat(), "0s").exits(0).says("Reason: INC-7");
    assert_eq!(effects(&place), 1);
    let incident = ["plan", SPEC, "--issued-before", "2026-11-22T10:00:00Z", "--outside-window", "INC-7"];
    run(&place, &incident, "0s").exits(0).says("OUTSIDE THE WINDOW:").says("Incident:");
}

#[test]
fn a_machine_without_a_database_of_zones_has_the_program_s_own() {
    let place = Place::example("windows");
    let mut command = place.command(&["plan", SPEC, "--sandbox"]);
    let ran: Ran = command.env("TZDIR", "/no/such/folder").output().unwrap().into();
    ran.exits(0).says("Europe/Berlin");
}

#[test]
fn another_window_is_another_spec() {
    let place = Place::example("windows");
    run(&place, &["plan", SPEC, "-o", "a.plan"], MONDAY_MORNING).exits(0);
    let path = "examples/windows/tokens.yaml";
    place.write(path, &place.read(path).replace("to: \"16:00\"", "to: \"23:00\""));
    run(&place, &["apply", "a.plan"], MONDAY_MORNING).exits(4).says("changed since the plan was made");
    let text = std::fs::read_to_string(repository().join(path)).unwrap();
    place.write(path, &format!("# a comment\n{text}"));
    run(&place, &["apply", "a.plan"], MONDAY_MORNING).exits(0);
}
