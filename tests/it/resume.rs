//! An apply that did not come to its end is finished by `resume`, or given up; and nothing else runs.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::support::Place;

/// An instance with two teams and a user, behind a server that outlives the program.
fn place(mode: &str) -> (Place, Server) {
    let place = Place::empty();
    let world = format!(
        "version: 1
ibm:
  prod:
    token_reset: {{ method: POST, path: /api/token/reset }}
    instances:
      mon:
        region: us-south
        parameters: {{ external_api_auth: {mode} }}
        teams: {{ Ops: {{ id: 1, default: true, immutable: true }}, SRE: {{ id: 2 }} }}
logicmonitor:
  acme:
    users: {{ svc: {{ id: 32 }} }}
"
    );
    let server = Server::start(&place, &world);
    (place, server)
}

fn spec(place: &Place, server: &Server, mode: &str) {
    let o = server.origin();
    let text = format!(
        "version: 1
ibm:
  prod:
    credential: {{ api_key: {{ env: SANDBOX_IBM_PROD_API_KEY }} }}
    token_reset: {{ method: POST, path: /api/token/reset }}
    endpoints: {{ iam: \"{o}\", resource_controller: \"{o}\", monitoring: \"{o}\", workload_protection: \"{o}\" }}
    instances:
      mon: {{ service: monitoring, region: us-south, external_api_auth: {mode}, teams: {{ Ops: {{}}, SRE: {{}} }} }}
"
    );
    place.write("spec.yaml", &text);
}

const APPLY: [&str; 5] = ["apply", "spec.yaml", "--auto-approve", "--parallelism", "1"];

const PATCH: &str = r#"{"method":"PATCH"}"#;
const RESET: &str = r#"{"path":"/api/token/reset"}"#;

/// Starts an apply whose request of a kind is never answered, and kills it there.
fn killed_at(place: &Place, server: &Server, args: &[&str], on: &str) {
    let step = if on == PATCH { "lock" } else { "reset" };
    killed_by(place, server, args, &format!(r#"{{"on":{on},"do":"hang"}}"#), step);
}

/// The same with another fault that lets nothing come to a step of this verb.
fn killed_by(place: &Place, server: &Server, args: &[&str], fault: &str, step: &str) {
    server.ask("POST /__sandbox/faults", fault);
    let mut command = place.command(args);
    let child = command.env("PATH", "/usr/bin:/bin").envs(&server.vars);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_it_hangs(place, &mut child, step);
    child.kill().unwrap();
    child.wait().unwrap();
    server.ask("DELETE /__sandbox/faults", "");
}

/// The step whose request is never answered has begun, and its request has had time to leave.
fn until_it_hangs(place: &Place, child: &mut Child, step: &str) {
    let journal = place.path(".tokenform/journal/current.jsonl");
    let began = format!(r#"{{"began":{{"step":"{step}"#);
    let last = || std::fs::read_to_string(&journal).unwrap_or_default().lines().last().map(str::to_owned);
    while !last().is_some_and(|line| line.starts_with(&began)) {
        assert!(child.try_wait().unwrap().is_none(), "it ended, and should have hung");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn resume_finishes_the_approved_plan_without_a_question_and_repeats_no_reset() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    killed_at(&place, &server, &APPLY, PATCH);
    let resets = server.effects().iter().filter(|effect| *effect == "reset").count();
    assert_eq!(resets, 2);
    server.run(&place, &["status", "spec.yaml"]).exits(6).says("tokenform resume");
    server.run(&place, &["resume", "spec.yaml"]).exits(0).says("lock ibm.prod.mon");
    assert_eq!(server.effects().iter().filter(|effect| *effect == "reset").count(), resets);
    assert_eq!(server.effects().last().unwrap(), "lock");
    server.run(&place, &["status", "spec.yaml"]).exits(0).says("Nothing is in flight");
    server.run(&place, &["resume", "spec.yaml"]).exits(0).says("Nothing to resume");
    server.run(&place, &["plan", "spec.yaml", "--detailed-exitcode"]).exits(0);
}

#[test]
fn resume_makes_the_resets_that_an_interrupted_unlock_still_owes() {
    let (place, server) = place("IAM_ONLY");
    spec(&place, &server, "ANY");
    killed_at(&place, &server, &APPLY, RESET);
    assert_eq!(server.effects(), ["unlock"]);
    server.run(&place, &["resume", "spec.yaml"]).exits(0);
    assert_eq!(server.effects(), ["unlock", "reset", "reset"]);
    server.run(&place, &["plan", "spec.yaml", "--detailed-exitcode"]).exits(0);
}

#[test]
fn applying_the_same_spec_makes_them_as_well() {
    let (place, server) = place("IAM_ONLY");
    spec(&place, &server, "ANY");
    killed_at(&place, &server, &APPLY, RESET);
    server.run(&place, &APPLY).exits(0);
    assert_eq!(server.effects(), ["unlock", "reset", "reset"]);
}

const UNLOCK: [&str; 8] =
    ["unlock", "mon", "spec.yaml", "--reason", "INC-7", "--for", "4h", "--auto-approve"];

/// An unlock by hand goes on wherever it was killed; its hold is kept.
fn unlock_killed_by(fault: &str, step: &str, go_on: &[&str]) {
    let (place, server) = place("IAM_ONLY");
    spec(&place, &server, "IAM_ONLY");
    killed_by(&place, &server, &UNLOCK, fault, step);
    assert_eq!(server.effects(), ["unlock"]);
    server.run(&place, go_on).exits(0);
    assert_eq!(server.effects(), ["unlock", "reset", "reset"]);
    server.run(&place, &["plan", "spec.yaml", "--detailed-exitcode"]).exits(0).says("held open by hand");
    server.run(&place, &["status", "spec.yaml"]).exits(0).says("ibm.prod.mon: held open until");
}

#[test]
fn resume_finishes_an_unlock_by_hand() {
    unlock_killed_by(r#"{"on":{"path":"/api/token/reset"},"do":"hang"}"#, "reset", &["resume", "spec.yaml"]);
}

#[test]
fn an_ordinary_apply_makes_the_resets_of_an_unlock_by_hand_and_does_not_lock() {
    unlock_killed_by(r#"{"on":{"path":"/api/token/reset"},"do":"hang"}"#, "reset", &APPLY);
}

#[test]
fn an_unlock_by_hand_whose_answer_was_lost_is_looked_up_and_keeps_its_hold() {
    unlock_killed_by(r#"{"on":{"method":"PATCH"},"do":"stall"}"#, "unlock", &["resume", "spec.yaml"]);
}

#[test]
fn a_step_that_was_refused_is_tried_again() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    let refusal = r#"{"on":{"method":"PATCH"},"do":{"reply":{"status":403,"body":"{}"}}}"#;
    server.ask("POST /__sandbox/faults", refusal);
    server.run(&place, &APPLY).exits(6);
    server.ask("DELETE /__sandbox/faults", "");
    server.run(&place, &["resume", "spec.yaml"]).exits(0);
    assert_eq!(server.effects(), ["reset", "reset", "lock"]);
}

#[test]
fn a_team_that_appeared_before_the_lock_amends_the_plan_and_is_asked_about() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    killed_at(&place, &server, &APPLY, PATCH);
    server.ask(
        "POST /__sandbox/meddle",
        r#"{"add_team":{"connection":"prod","instance":"mon","team":"Late"}}"#,
    );
    let asked =
        server.run(&place, &["resume", "spec.yaml"]).exits(1).says("not in the plan that was approved");
    asked.says("AMENDED PLAN:").says("there is no terminal");
    assert_eq!(server.effects(), ["reset", "reset"]);
    server.run(&place, &["resume", "spec.yaml", "--auto-approve"]).exits(0);
    assert_eq!(server.effects(), ["reset", "reset", "reset", "lock"]);
}

/// A run that was interrupted is no way around the policies: neither with its own plan nor an amended one.
#[test]
fn policies_judge_what_resume_runs() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    killed_at(&place, &server, &APPLY, RESET);
    let rule = |what: &str| format!("package main\nimport rego.v1\ndeny contains \"no\" if {{ {what} }}\n");
    place.write("own.rego", &rule("some step in input.steps; step.verb == \"lock\""));
    place.write("amended.rego", &rule("some step in input.steps; contains(step.address, \"Late\")"));
    let resume = |policy| server.run(&place, &["resume", "spec.yaml", "--auto-approve", "--policy", policy]);
    resume("own.rego").exits(3).says("tokenform::policy::denied");
    server.ask(
        "POST /__sandbox/meddle",
        r#"{"add_team":{"connection":"prod","instance":"mon","team":"Late"}}"#,
    );
    resume("amended.rego").exits(3).says("tokenform::policy::denied");
    assert!(server.effects().is_empty());
}

#[test]
fn an_object_that_somebody_else_changed_meanwhile_is_shown_and_asked_about() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    killed_at(&place, &server, &APPLY, r#"{"path":"/api/token/reset"}"#);
    let others = r#"{"reset_team":{"connection":"prod","instance":"mon","team":"SRE"}}"#;
    server.ask("POST /__sandbox/meddle", others);
    let asked = server.run(&place, &["resume", "spec.yaml"]).exits(1);
    asked.says("ibm.prod.mon.team[\"SRE\"]: live state moved since the plan was made").says("no terminal");
    assert!(server.effects().is_empty());
    server.run(&place, &["resume", "spec.yaml", "--auto-approve"]).exits(0);
    assert_eq!(server.effects(), ["reset", "reset", "lock"]);
}

#[test]
fn another_plan_file_does_not_run_over_an_interrupted_apply_and_the_same_one_goes_on() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    for file in ["a.plan", "b.plan"] {
        server.run(&place, &["plan", "spec.yaml", "-o", file]).exits(0);
    }
    killed_at(&place, &server, &["apply", "a.plan", "--parallelism", "1"], PATCH);
    let other = server.run(&place, &["apply", "b.plan"]).exits(6);
    other.says("Finish it: tokenform resume spec.yaml").says("--abandon");
    assert_eq!(server.effects(), ["reset", "reset"]);
    server.run(&place, &["apply", "a.plan"]).exits(0);
    assert_eq!(server.effects(), ["reset", "reset", "lock"]);
}

#[test]
fn another_spec_is_told_the_two_ways_on_and_abandoning_keeps_why() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    killed_at(&place, &server, &APPLY, PATCH);
    spec(&place, &server, "ANY");
    let stopped = server.run(&place, &APPLY).exits(6);
    stopped.says("resume --abandon --reason");
    server.run(&place, &["resume", "spec.yaml", "--abandon"]).exits(1).says("--reason");
    let gone = server.run(&place, &["resume", "spec.yaml", "--abandon", "--reason", "TRA-9: console"]);
    gone.exits(0).says("in doubt: lock ibm.prod.mon: look whether it happened");
    assert_eq!(server.effects(), ["reset", "reset"]);
    server.run(&place, &["status", "spec.yaml"]).exits(0).says("Nothing is in flight");
    server.run(&place, &["history", "spec.yaml"]).exits(0).says("TRA-9: console");
    server.run(&place, &APPLY).exits(0);
}

#[test]
fn an_edited_journal_is_refused() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    killed_at(&place, &server, &APPLY, PATCH);
    let journal = place.read(".tokenform/journal/current.jsonl");
    place.write(
        ".tokenform/journal/current.jsonl",
        &journal.replacen("other_teams", "other_beams", 1).replacen(
            "/api/token/reset",
            "/api/token/renew",
            1,
        ),
    );
    let ran = server.run(&place, &["resume", "spec.yaml"]);
    assert!([1, 3].contains(&ran.code), "{}", ran.all());
    assert_eq!(server.effects(), ["reset", "reset"]);
}

/// A freeze that begins in an hour: a clock that is two hours ahead stands in it.
fn with_a_freeze(place: &Place) {
    with_a_freeze_in(place, 3_600);
}

/// A freeze that begins in so many seconds.
#[expect(clippy::disallowed_methods, reason = "the server's clock is the machine's")]
fn with_a_freeze_in(place: &Place, seconds: i64) {
    let from = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let to = from + jiff::SignedDuration::from_hours(19);
    let freeze = format!("changes: {{ freezes: [ {{ from: {from}, to: {to} }} ] }}\n");
    place.write("spec.yaml", &format!("{}{freeze}", place.read("spec.yaml")));
}

/// A run in that freeze.
fn frozen(place: &Place, server: &Server, args: &[&str]) -> crate::support::Ran {
    let mut command = place.command(args);
    command.envs(&server.vars).env("TOKENFORM_CLOCK_OFFSET", "2h").output().unwrap().into()
}

#[test]
fn in_a_freeze_what_began_is_settled_and_what_did_not_waits() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    with_a_freeze(&place);
    killed_at(&place, &server, &APPLY, RESET);
    for _ in 0..2 {
        let resume = frozen(&place, &server, &["resume", "spec.yaml"]);
        resume.exits(3).says("changes are frozen until").says("nothing new was sent");
    }
    let status = server.run(&place, &["status", "spec.yaml"]).exits(0);
    assert!(!status.all().contains("in doubt"), "{}", status.all());
    assert!(server.effects().is_empty(), "{:?}", server.effects());
    server.run(&place, &["resume", "spec.yaml"]).exits(0);
    assert_eq!(server.effects(), ["reset", "reset", "lock"]);
}

#[test]
fn no_freeze_holds_back_the_resets_that_an_unlock_owes() {
    let (place, server) = place("IAM_ONLY");
    spec(&place, &server, "ANY");
    with_a_freeze(&place);
    killed_at(&place, &server, &APPLY, RESET);
    assert_eq!(server.effects(), ["unlock"]);
    frozen(&place, &server, &["resume", "spec.yaml"]).exits(0);
    assert_eq!(server.effects(), ["unlock", "reset", "reset"]);
}

#[test]
fn a_freeze_that_begins_while_somebody_thinks_refuses_the_answer() {
    let (place, server) = place("ANY");
    spec(&place, &server, "IAM_ONLY");
    with_a_freeze_in(&place, 3);
    let (mut terminal, mut command) = place.command_at_terminal(&["apply", "spec.yaml"]);
    let child = command.envs(&server.vars).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(3_200));
    terminal.write_all(b"yes\n").unwrap();
    let ran: crate::support::Ran = child.wait_with_output().unwrap().into();
    ran.exits(3).says("changes are frozen until").says("nothing new was sent");
    assert!(server.effects().is_empty(), "{:?}", server.effects());
}
