//! `apply --format json`: a stream of events that always ends in one outcome, each of them of the schema.

use std::io::Read;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::locks::{begun, slow};
use crate::server::Server;
use crate::support::{CANARY, Place, Ran, repository};

const SPEC: &str = "examples/quickstart";

/// The events of a run; fails unless each is of the schema and the last, alone, is an outcome with the
/// run's exit code.
#[track_caller]
pub fn events(ran: &Ran) -> Vec<Value> {
    let schema = std::fs::read_to_string(repository().join("schemas/events.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let line = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no event ({error}): {line}"))
    };
    let events: Vec<Value> = ran.stdout.lines().map(line).collect();
    for (event, seq) in events.iter().zip(1..) {
        let errors: Vec<_> = validator.iter_errors(event).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{event}: {errors:?}");
        assert_eq!(event["seq"], seq, "{event}");
    }
    let outcomes: Vec<_> = events.iter().filter(|event| event["type"] == "outcome").collect();
    assert_eq!(outcomes.len(), 1, "{}\n{}", ran.stdout, ran.stderr);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "outcome", "{last}");
    assert_eq!(last["exit_code"], ran.code, "{last}");
    assert!(!ran.stdout.contains(CANARY), "a secret is in the stream");
    events
}

fn of_type<'e>(events: &'e [Value], name: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["type"] == name).collect()
}

/// The codes of the errors that were told.
fn errors(events: &[Value]) -> Vec<&str> {
    let findings = of_type(events, "finding").into_iter().map(|event| &event["finding"]);
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["code"].as_str().unwrap()).collect()
}

fn apply(place: &Place, args: &[&str]) -> Ran {
    place.run(&[&["apply", "--format", "json", "--sandbox"], args].concat())
}

#[test]
fn a_whole_apply_tells_its_plan_each_step_and_its_outcome() {
    let place = Place::example("quickstart");
    let ran = apply(&place, &[SPEC, "--auto-approve", "--new-state"]).exits(0);
    let told = events(&ran);
    assert_eq!(told[0]["type"], "begin");
    let [plan] = of_type(&told, "plan")[..] else { panic!("not one plan") };
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(of_type(&told, "step_began").len(), steps.len());
    let done = of_type(&told, "step_done");
    assert_eq!(done.len(), steps.len());
    let numbers: Vec<_> = steps.iter().map(|step| step["number"].as_u64().unwrap()).collect();
    for event in done {
        assert_eq!(event["total"], steps.len());
        let at = numbers.iter().position(|number| event["number"] == *number).unwrap();
        assert_eq!((&steps[at]["address"], &steps[at]["verb"]), (&event["address"], &event["verb"]));
    }
    let outcome = told.last().unwrap();
    assert_eq!(outcome["result"], "done");
    assert_eq!(outcome["done"].as_array().unwrap().len(), steps.len());
    assert!(outcome["proof"].as_str().unwrap().contains("live state matches the spec"));
    let again = events(&apply(&place, &[SPEC, "--auto-approve"]).exits(0));
    assert!(of_type(&again, "step_began").is_empty());
    assert_eq!(again.last().unwrap()["result"], "done");
}

#[test]
fn whatever_ends_a_run_before_its_first_step_ends_its_stream() {
    let place = Place::example("quickstart");
    place.run(&["plan", SPEC, "--sandbox", "-o", "a.plan"]).exits(0);
    let told = |args: &[&str], code: i32, error: &str| {
        let told = events(&apply(&place, args).exits(code));
        assert!(errors(&told).contains(&error), "{args:?}: {told:?}");
    };
    told(&[SPEC], 1, "tokenform::cli::usage");
    told(&[SPEC, "--auto-aprove"], 1, "tokenform::cli::usage");
    told(&["nowhere", "--auto-approve"], 1, "tokenform::cli::usage");
    told(&[SPEC, "--auto-approve"], 3, "tokenform::plan::new_state_refused");
    told(&[SPEC, "--auto-approve", "--state", "s3://x"], 1, "tokenform::cli::not_yet");
    place.write(
        "edited.plan",
        &place.read("a.plan").replacen("\"irreversible\": true", "\"irreversible\": false", 1),
    );
    told(&["edited.plan"], 3, "tokenform::seal::edited");
    place.write("half.plan", &place.read("a.plan")[..200]);
    told(&["half.plan"], 1, "tokenform::seal::malformed");
    let applied = events(&apply(&place, &["a.plan"]).exits(0));
    assert_eq!(of_type(&applied, "plan").len(), 1);
    told(&["a.plan"], 4, "tokenform::apply::stale");
    let nothing = place.run(&["resume", SPEC, "--sandbox", "--format=json"]).exits(0);
    assert_eq!(events(&nothing)[1]["type"], "note");
    // help is no run
    assert!(apply(&place, &["--help"]).exits(0).stdout.contains("Usage:"));
}

#[test]
fn a_prompt_shows_the_plan_and_its_answer_ends_the_stream() {
    let place = Place::example("quickstart");
    let args = ["apply", SPEC, "--sandbox", "--format", "json"];
    let ran = place.run_at_terminal(&args, "no\n").exits(1);
    assert!(ran.stderr.contains("Plan: "), "nobody approves what was not seen:\n{}", ran.stderr);
    assert_eq!(errors(&events(&ran)), ["tokenform::apply::not_approved"]);
}

fn started(place: &Place, server: &Server) -> Child {
    let mut command = place.command(&["apply", "spec", "--auto-approve", "--format", "json"]);
    command.envs(&server.vars).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_held_lock_and_interrupts_end_their_streams_too() {
    let (place, server) = slow();
    let first = started(&place, &server);
    begun(&place);
    let second = Ran::from(started(&place, &server).wait_with_output().unwrap()).exits(5);
    let told = events(&second);
    assert_eq!(
        (errors(&told), &told.last().unwrap()["result"]),
        (vec!["tokenform::state::held"], &Value::from("locked"))
    );
    // once: the step that runs is finished; it was the only one, so that is all
    kill_process(Pid::from_child(&first), Signal::INT).unwrap();
    let told = events(&first.wait_with_output().unwrap().into());
    assert_eq!(of_type(&told, "step_done").len(), 1);
}

#[test]
fn an_interrupt_in_the_first_instants_ends_the_stream_in_its_one_outcome() {
    let (place, server) = slow();
    for wait in [0, 0, 1, 2, 4, 8, 16] {
        let mut child = started(&place, &server);
        // the first event is told before the spec is looked at
        let (stream, mut first) = (child.stdout.as_mut().unwrap(), vec![0]);
        stream.read_exact(&mut first).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let mut ran = Ran::from(child.wait_with_output().unwrap());
        ran.stdout.insert(0, char::from(first[0]));
        let told = events(&ran);
        if !of_type(&told, "step_began").is_empty() {
            return;
        }
        assert_eq!((ran.code, &told.last().unwrap()["result"]), (130, &Value::from("interrupted")));
    }
}

#[test]
fn an_apply_that_is_stopped_where_it_is_says_what_is_in_doubt() {
    let (place, server) = slow();
    let child = started(&place, &server);
    begun(&place);
    for _ in 0..2 {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let ran = Ran::from(child.wait_with_output().unwrap()).exits(130);
    let told = events(&ran);
    let outcome = told.last().unwrap();
    assert_eq!(outcome["result"], "interrupted");
    assert_eq!(outcome["in_doubt"].as_array().unwrap().len(), 1, "{outcome}");
    assert!(outcome["next"].as_str().unwrap().starts_with("tokenform resume"), "{outcome}");
}

#[test]
fn a_destination_that_fails_is_told_as_partial() {
    let place = Place::example("quickstart");
    place.write("examples/quickstart/.tokenform/sandbox/destinations/ops-env.env", "");
    let folder = place.path("examples/quickstart/.tokenform/sandbox/destinations/ops-env.env");
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir_all(folder.join("in-the-way")).unwrap();
    let ran = apply(&place, &[SPEC, "--auto-approve", "--new-state"]);
    let told = events(&ran);
    assert_ne!(ran.code, 0);
    assert!(errors(&told).contains(&"tokenform::destination::unusable"), "{told:?}");
    assert!(!told.last().unwrap()["not_started"].as_array().unwrap().is_empty());
}
