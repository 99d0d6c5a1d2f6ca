//! Faults of the vendors, of the machine and of the operator: nothing is lost, nothing is sent twice
//! that must not be, no secret shows, and a second apply converges.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{CANARY, Place, Ran};

const SPEC: &str = "examples/quickstart";
const APPLY: [&str; 6] = ["apply", SPEC, "--sandbox", "--auto-approve", "--new-state", "-vv"];
const PLAN: [&str; 4] = ["plan", SPEC, "--sandbox", "--detailed-exitcode"];
const STATE: &str = "examples/quickstart/.tokenform/sandbox";

/// Every mutating call of the quickstart: its name and the rule that hits it.
const CALLS: [(&str, &str); 7] = [
    ("reset", "method: POST, path: /sandbox-invented/api/token/reset"),
    ("unlock", "method: PATCH, path: '/v2/resource_instances/*'"),
    ("lock", "method: PATCH, path: '/v2/resource_instances/*', nth: 2"),
    ("api token", "method: POST, path: /santaba/rest/setting/admins/32/apitokens"),
    ("bearer token", "method: POST, path: /santaba/rest/setting/admins/33/apitokens"),
    ("status", "method: PATCH, path: '/santaba/*'"),
    ("delete", "method: DELETE, path: '/santaba/*'"),
];

/// What happens to the call.
const FAULTS: [&str; 12] = [
    "drop_before",
    "drop_after",
    "{ throttle: { window: 60s } }",
    "{ reply: { status: 429, headers: { Retry-After: '0' }, body: '{}' } }",
    "html503",
    "{ reply: { status: 500, body: oops } }",
    "{ reply_after: { status: 500, body: oops } }",
    "{ reply_after: { status: 200, body: '' } }",
    "{ reply_after: { status: 200, body: '{\"cut\": ' } }",
    "error_in_200",
    "broker_502",
    "{ reply: { status: 403, body: '{\"errorMessage\": \"a\\u001b[2Jb\"}' } }",
];

fn with_faults(rules: &[(&str, &str)]) -> Place {
    let place = Place::example("quickstart");
    let path = "examples/quickstart/quickstart.world.yaml";
    let rules: String =
        rules.iter().map(|(on, action)| format!("  - {{ on: {{ {on} }}, do: {action} }}\n")).collect();
    place.write(path, &format!("{}\nfaults:\n{rules}", place.read(path)));
    place
}

fn tape(place: &Place) -> Vec<Value> {
    place.tape(&format!("{STATE}/tape.jsonl"))
}

fn world(place: &Place) -> Value {
    serde_yaml::from_str(&place.read(&format!("{STATE}/world.yaml"))).unwrap()
}

/// In one apply each team's reset is sent at most once.
#[track_caller]
fn no_reset_twice(place: &Place, why: &str) {
    let mut seen = BTreeSet::new();
    for entry in tape(place).iter().filter(|e| e["path"].as_str().unwrap().ends_with("/token/reset")) {
        let header = |name: &str| {
            let headers = entry["headers"].as_array().unwrap();
            headers.iter().find(|h| h[0] == name).map(|h| h[1].clone()).unwrap()
        };
        let team = format!("{} {}", header("ibminstanceid"), header("teamid"));
        assert!(seen.insert(team.clone()), "{why}: the reset of {team} was sent twice");
    }
    assert!(!seen.is_empty(), "{why}: no reset was sent");
}

/// What was delivered is live, and every token that tokenform made was delivered.
#[track_caller]
fn nothing_is_lost(place: &Place, why: &str) {
    let world = world(place);
    let held: String = ["grafana.json", "lab-token.txt", "ops-env.env", "release-json.json"]
        .iter()
        .filter_map(|name| std::fs::read_to_string(place.path(&format!("{STATE}/destinations/{name}"))).ok())
        .collect();
    for (key, instance, team) in [
        ("SYSDIG_TOKEN", "mon-dev", "SRE"),
        ("SECURE_API_TOKEN", "wp-prod", "Secure Operations"),
        ("sysdig_token", "mon-dev", "Readers"),
    ] {
        let live = world["ibm"]["prod"]["instances"][instance]["teams"][team]["key"].as_str().unwrap();
        assert!(!held.contains(key) || held.contains(live), "{why}: {key} is not the live key");
    }
    let mut names = BTreeSet::new();
    let users = world["logicmonitor"]["acme"]["users"].as_object().unwrap();
    let kinds = users.values().flat_map(|user| [&user["api_tokens"], &user["bearer_tokens"]]);
    for token in kinds.filter_map(Value::as_array).flatten() {
        let Some((name, _)) = token["note"].as_str().unwrap().split_once(" ;tf1 ") else { continue };
        assert!(names.insert(name.to_owned()), "{why}: two live tokens of ours are called {name}");
        // An id and a key are written in one; the key alone may be quoted.
        let known = token["access_id"].as_str().filter(|_| name != "otel").unwrap_or("lmb_");
        assert!(held.contains(known), "{why}: {name} is live and nobody has it");
    }
}

/// No secret outside of destinations and the world, nothing that steers a terminal, no panic.
#[track_caller]
fn discreet(place: &Place, ran: &Ran, why: &str) {
    assert!(!ran.all().contains(CANARY), "{why}: a secret was printed");
    assert!(!ran.all().contains(['\x1b', '\x07']), "{why}: {:?}", ran.all());
    assert!(!ran.all().contains("panicked"), "{why}: {}", ran.all());
    let leaks = place.files_with_canary();
    let fit = |path: &&String| !path.contains("/destinations/") && !path.ends_with("sandbox/world.yaml");
    assert_eq!(leaks.iter().find(fit), None, "{why}");
}

#[test]
fn one_fault_of_an_ibm_call_loses_nothing_and_the_next_apply_converges() {
    every_fault_converges(&CALLS[..3]);
}

#[test]
fn one_fault_of_a_logicmonitor_call_loses_nothing_and_the_next_apply_converges() {
    every_fault_converges(&CALLS[3..]);
}

fn every_fault_converges(calls: &[(&str, &str)]) {
    for (call, on) in calls {
        for fault in FAULTS {
            let why = format!("{fault} on {call}");
            let place = with_faults(&[(*on, fault)]);
            let ran = place.run(&APPLY);
            assert!([0, 6].contains(&ran.code), "{why}: {} {}", ran.code, ran.all());
            assert!(
                ran.stdout.contains(if ran.code == 0 { "Apply complete" } else { "Apply incomplete" }),
                "{why}"
            );
            discreet(&place, &ran, &why);
            no_reset_twice(&place, &why);
            nothing_is_lost(&place, &why);
            if ran.code == 6 {
                assert!(ran.stdout.contains("Next: tokenform "), "{why}: {}", ran.stdout);
                assert_eq!(place.run(&PLAN).code, 2, "{why}");
                let again = place.run(&APPLY);
                assert_eq!(again.code, 0, "{why}: {}", again.all());
                discreet(&place, &again, &why);
                nothing_is_lost(&place, &why);
            }
            assert_eq!(place.run(&PLAN).code, 0, "{why}");
        }
    }
}

#[test]
fn a_failure_is_reported_once_and_says_what_to_do() {
    let place = with_faults(&[(CALLS[0].1, "{ reply: { status: 403, body: '{}' } }")]);
    let ran = place.run(&APPLY).exits(6);
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("FAILED, ") && ran.stderr.contains("help: "), "{}", ran.stderr);
}

/// A lost answer whose look fails too: in doubt, told as such, and nothing else is applied on top
/// until a look succeeds.
#[test]
fn what_cannot_be_seen_is_in_doubt_and_stops_the_next_apply() {
    let blind = "method: GET, path: /api/token, nth: 9, times: 0";
    let orphan = "method: DELETE, path: '/santaba/*', nth: 2, times: 0";
    for (call, look, words) in [
        (CALLS[0].1, (blind, "html503"), "it may have happened, and the look at it failed"),
        (CALLS[3].1, (orphan, "html503"), "the answer with the new token's secret was lost"),
    ] {
        let place = with_faults(&[(call, "drop_after"), look]);
        let ran = place.run(&APPLY).exits(6).says("1 in doubt").says(words).says("Next: tokenform resume");
        discreet(&place, &ran, words);
        no_reset_twice(&place, words);
        place.run(&["status", SPEC, "--sandbox"]).exits(6).says("in doubt");
        let effects = |place: &Place| tape(place).iter().filter(|entry| entry["effect"] != "").count();
        let before = effects(&place);
        place.run(&APPLY).exits(6).says("Settling apply").says("tokenform::apply::unfinished");
        assert_eq!(effects(&place), before, "something was changed");
        place.run(&PLAN).says("warning[tokenform::apply::in_flight]").says("tokenform status");
    }
}

/// An old key that still works is in doubt, and settling it does not make a proof of it.
#[test]
fn an_old_key_that_still_works_is_never_settled_as_proved() {
    let me = "{ reply: { status: 200, body: '{\"user\": {\"id\": 1, \"username\": \"x\", \"currentTeam\": 1}}' } }";
    // The plan asks once per instance; the 31 asks after the first reset are for the old key.
    let place = with_faults(&[("method: GET, path: /api/users/me, nth: 5, times: 31", me)]);
    place.run(&in_turn()).exits(6).says("1 in doubt");
    place
        .run(&APPLY)
        .says("Settling apply")
        .says("tokenform::apply::settled_unproved")
        .says("was still accepted");
    let ledger = place.read(&format!("{STATE}/ledger.jsonl"));
    let line = ledger.lines().find(|line| line.contains("reset ibm.prod.mon-dev")).unwrap();
    assert!(!line.contains("\"proof\""), "{line}");
}

#[test]
fn one_failed_request_is_told_once() {
    let place = with_faults(&[(
        "path: '/v2/resource_instances*', times: 0",
        "{ reply: { status: 403, body: '{}' } }",
    )]);
    let ran = place.run(&PLAN).exits(1);
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{}", ran.stderr);
}

#[test]
fn when_the_proof_cannot_be_read_the_summary_says_how_to_go_on() {
    let place =
        with_faults(&[("method: GET, path: '/santaba/rest/setting/admins', nth: 2, times: 0", "html503")]);
    place.run(&APPLY).exits(6).says("read again, but").says("Next: tokenform plan --sandbox");
}

/// An apply whose steps run one after the other: what faults count on.
fn in_turn() -> Vec<&'static str> {
    [&APPLY[..], &["--parallelism", "1"]].concat()
}

/// An apply that hangs in its first reset, as a child process.
fn hanging(place: &Place) -> std::process::Child {
    let mut command = place.command(&in_turn());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let journal = place.path(&format!("{STATE}/journal/current.jsonl"));
    let began = |_| {
        std::thread::sleep(Duration::from_millis(10));
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"began\""))
    };
    if !(0..2000).any(began) {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("the apply never began its first step");
    }
    child
}

#[test]
fn a_killed_apply_is_shown_and_settled_before_anything_else() {
    let place = with_faults(&[(CALLS[0].1, "{ delay: 3s }")]);
    let mut child = hanging(&place);
    let held = place.run(&APPLY).exits(5);
    assert!(!held.all().contains("reset ibm"), "it planned while the lock was held");
    child.kill().unwrap();
    child.wait().unwrap();
    place.run(&["status", SPEC, "--sandbox"]).exits(6).says("reset ibm.prod.mon-dev.team[\"SRE\"]");
    place.run(&PLAN).exits(2).says("tokenform::apply::in_flight");
    let spec = format!("{SPEC}/tokens.yaml");
    let text = place.read(&spec);
    place.write(&spec, &text.replace("max_age: 180d", "max_age: 170d"));
    place.run(&APPLY).exits(6).says("another version of the spec").says("Put that version back");
    place.write(&spec, &text);
    let again = place.run(&APPLY).exits(0).says("Settling apply").says("Settled.").says("Apply complete");
    discreet(&place, &again, "after a kill");
    no_reset_twice(&place, "after a kill");
    nothing_is_lost(&place, "after a kill");
    place.run(&PLAN).exits(0);
    place.run(&["status", SPEC, "--sandbox"]).exits(0).says("Nothing is in flight");
}

/// What the journal and the destinations remember has happened in the kept world too, and two runs
/// never work on one world.
#[test]
fn a_killed_apply_leaves_the_world_as_it_was_changed_and_other_runs_wait_for_it() {
    // the 12th step hangs after it was done
    let place = with_faults(&[(CALLS[3].1, "{ delay: 30s }")]);
    let mut child = hanging(&place);
    let created = |_| {
        std::thread::sleep(Duration::from_millis(10));
        let tokens = &world(&place)["logicmonitor"]["acme"]["users"]["svc-ci"]["api_tokens"];
        tokens.as_array().unwrap().iter().any(|token| token["note"].as_str().unwrap().contains(";tf1"))
    };
    let kept = (0..2000).any(created);
    place.run(&PLAN).exits(5).says("tokenform::state::held").says("the sandbox's world");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kept, "the new token is not kept");
    // an instance was locked and a token deleted before
    place.run(&PLAN).exits(2).says("tokenform::apply::in_flight").says("0 to lock").says("0 to delete");
    let kept = std::fs::metadata(place.path(&format!("{STATE}/world.yaml"))).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_interrupt_ends_after_the_step_that_runs() {
    let place = with_faults(&[(CALLS[0].1, "{ delay: 2s }")]);
    let child = hanging(&place);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    let ran = ran.exits(130).says("1 done").says("15 not started").says("interrupted before it began");
    discreet(&place, &ran, "interrupt");
    nothing_is_lost(&place, "interrupt");
    place.run(&APPLY).exits(0);
}

#[test]
fn a_ledger_that_cannot_be_written_takes_nothing_from_the_summary() {
    let place = with_faults(&[(CALLS[0].1, "{ delay: 2s }")]);
    let child = hanging(&place);
    let ledger = place.path(&format!("{STATE}/ledger.jsonl"));
    std::fs::create_dir(&ledger).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    ran.exits(6).says("Apply complete: 16 done.").says("ledger.jsonl");
    std::fs::remove_dir(&ledger).unwrap();
    place.run(&PLAN).exits(2).says("is not in the ledger yet");
    place.run(&["status", SPEC, "--sandbox"]).exits(0);
    place.run(&PLAN).exits(0);
    assert_eq!(place.read(&format!("{STATE}/ledger.jsonl")).lines().count(), 16);
}

#[test]
fn a_signal_during_the_proof_ends_it_and_what_was_done_is_told_already() {
    let place =
        with_faults(&[("method: GET, path: '/santaba/rest/setting/admins', nth: 2", "{ delay: 3s }")]);
    let mut command = place.command(&APPLY);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Apply complete")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.contains(&format!("Next: tokenform plan --sandbox {SPEC}")), "{rest:?}");
    place.run(&PLAN).exits(0);
}

#[test]
fn a_place_that_cannot_be_written_stops_everything_before_the_first_request() {
    for (blocked, words) in [
        (format!("{STATE}/journal"), "journal"),
        (format!("{STATE}/ledger.jsonl/x"), "ledger"),
        (format!("{STATE}/destinations/ops-env.env/x"), "ops-env"),
        ("examples/quickstart/.tokenform".to_owned(), ".tokenform"),
        (format!("{STATE}/key/x"), "key"),
    ] {
        let place = Place::example("quickstart");
        place.write(&blocked, "in the way");
        let ran = place.run(&APPLY);
        assert!(ran.code == 1 && ran.stderr.contains(words), "{blocked}: {} {}", ran.code, ran.all());
        assert!(ran.stderr.contains("error[tokenform::") && ran.stderr.contains("help: "), "{}", ran.stderr);
        assert!(!ran.all().contains("begun"), "{blocked}: a step was begun");
        let sent = std::fs::read_to_string(place.path(&format!("{STATE}/tape.jsonl"))).unwrap_or_default();
        assert!(!sent.contains("token/reset"), "{blocked}: something was sent");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_output_and_not_the_work() {
    let place = Place::example("quickstart");
    for args in [&PLAN[..], &["--help"], &["schema", "spec"], &APPLY[..]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(args);
        let ran: Ran = command.stdout(writer).output().unwrap().into();
        assert!([0, 2].contains(&ran.code) && !ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
    }
    place.run(&PLAN).exits(0);
}
