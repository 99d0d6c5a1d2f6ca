//! Ctrl-C and SIGTERM, once and twice, while several lanes run: what runs comes to its end, or stops
//! where it is; either way the next apply goes on from what is true.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::server::Server;
use crate::support::{Place, Ran};

const APPLY: [&str; 4] = ["apply", "spec", "--auto-approve", "--new-state"];
const LANES: [&str; 3] = ["a", "b", "c"];

/// Takes its time, and keeps the value.
const STORE: &str = "#!/bin/sh
value=$(cat)
sleep 1
printf %s \"$value\" > \"$(dirname \"$0\")/value.$TOKENFORM_DELIVER_KEY\"
";

/// Three instances with two teams each, whose keys are single-slot; `faults` are the world's.
fn place(faults: &str, reset: &str, store: &str) -> (Place, Server) {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::empty();
    let mut world = "version: 1\nibm:\n  prod:\n    token_reset: { method: POST, path: /api/token/reset }\n    instances:\n".to_owned();
    for name in LANES {
        world.push_str(&format!("      {name}:\n        region: us-south\n        parameters: {{ external_api_auth: ANY }}\n        teams: {{ One: {{ id: 1, default: true, immutable: true }}, Two: {{ id: 2 }} }}\n"));
    }
    world.push_str("logicmonitor:\n  acme:\n    users: { svc: { id: 32 } }\n");
    let server = Server::start(&place, &format!("{world}{faults}"));
    let o = server.origin();
    let mut spec = format!(
        "version: 1\nibm:\n  prod:\n    credential: {{ api_key: {{ env: SANDBOX_IBM_PROD_API_KEY }} }}\n    token_reset: {reset}\n    endpoints: {{ iam: \"{o}\", resource_controller: \"{o}\", monitoring: \"{o}\", workload_protection: \"{o}\" }}\n    instances:\n"
    );
    for name in LANES {
        spec.push_str(&format!(
            "      {name}:\n        service: monitoring\n        region: us-south\n        teams:\n"
        ));
        for team in ["One", "Two"] {
            spec.push_str(&format!("          {team}: {{ token: {{ rotate: {{ max_age: 90d }}, deliver: [ {{ to: box, key: {}_{team} }} ] }} }}\n", name.to_uppercase()));
        }
    }
    spec.push_str(&format!("destinations:\n  box: {store}\n"));
    place.write("spec/tokens.yaml", &spec);
    place.write("store.sh", STORE);
    std::fs::set_permissions(place.path("store.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    (place, server)
}

const POST: &str = "{ method: POST, path: /api/token/reset }";
const FILE: &str = "{ file: { path: box.env, format: dotenv } }";

fn slow(what: &str, seconds: u32) -> String {
    format!("faults:\n  - {{ on: {{ {what} }}, do: {{ delay: {seconds}s }} }}\n")
}

/// An apply as a child process in a group of its own, as a shell starts it.
fn start(place: &Place, server: &Server, args: &[&str]) -> Child {
    let mut command: Command = place.command(args);
    command.envs(&server.vars).env("PATH", "/usr/bin:/bin").process_group(0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let seen = (0..3000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        holds()
    });
    assert!(seen, "never came: {what}");
}

/// Reads standard error up to a word.
#[track_caller]
fn heard(child: &mut Child, word: &str) -> String {
    let (stream, mut text) = (child.stderr.as_mut().unwrap(), Vec::new());
    let mut byte = [0];
    while !String::from_utf8_lossy(&text).contains(word) {
        assert_eq!(
            stream.read(&mut byte).unwrap(),
            1,
            "`{word}` never came: {}",
            String::from_utf8_lossy(&text)
        );
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn resets(server: &Server) -> usize {
    server.effects().iter().filter(|effect| *effect == "reset").count()
}

/// How many token reads have come.
fn reads(server: &Server) -> usize {
    let tape = server.ask("GET /__sandbox/tape", "");
    tape.as_array().unwrap().iter().filter(|call| call["path"] == "/api/token").count()
}

/// Goes on, and ends where one run would: each key reset once and delivered.
#[track_caller]
fn goes_on(place: &Place, server: &Server) {
    server.run(place, &APPLY).exits(0);
    assert_eq!(resets(server), 6, "a key that was reset and delivered was reset again");
    assert_eq!(place.read("spec/box.env").lines().filter(|line| line.contains('=')).count(), 6);
    server.run(place, &["plan", "spec", "--detailed-exitcode"]).exits(0);
    server.run(place, &["status", "spec"]).exits(0).says("Nothing is in flight");
}

#[test]
fn once_the_steps_that_run_come_to_their_end_and_no_other_begins() {
    for how in [Signal::INT, Signal::TERM] {
        let (place, server) = place(&slow("method: POST, path: /api/token/reset, times: 0", 2), POST, FILE);
        let child = start(&place, &server, &APPLY);
        wait_until("three lanes under way", || resets(&server) == 3);
        signal(&child, how);
        let ran = ended(child).exits(130).says("Interrupted: what runs is finished");
        let ran = ran.says("3 done, 0 failed, 0 in doubt, 3 not started").says("interrupted before it began");
        // In plan order, whichever came first.
        let rows: Vec<_> = ran.stdout.lines().filter(|l| l.starts_with("  reset ibm.prod.")).collect();
        let lane = |row: &&str| row["  reset ibm.prod.".len()..].starts_with('a');
        assert!(lane(&rows[0]) && !lane(&rows[1]) && !lane(&rows[2]) && lane(&rows[3]), "{rows:?}");
        assert_eq!(resets(&server), 3);
        goes_on(&place, &server);
    }
}

#[test]
fn twice_it_stops_at_once_and_the_next_apply_settles_what_is_in_doubt() {
    let (place, server) = place(&slow("method: POST, path: /api/token/reset, times: 3", 20), POST, FILE);
    let mut child = start(&place, &server, &APPLY);
    wait_until("three lanes under way", || resets(&server) == 3);
    signal(&child, Signal::INT);
    let said = heard(&mut child, "Once more: it stops now.");
    assert!(said.contains("[1/6]"), "{said}");
    signal(&child, Signal::INT);
    let ran = ended(child).exits(130).says("stopped where it was");
    let ran = ran.says("0 done, 0 failed, 3 in doubt, 3 not started").says("it may have happened");
    ran.says("Next: tokenform resume");
    server.run(&place, &["status", "spec"]).exits(6).says("reset ibm.prod.b.team[\"One\"]");
    goes_on(&place, &server);
}

#[test]
fn while_it_settles_the_first_ends_the_looking_and_the_second_the_look() {
    let (place, server) = place(&slow("method: POST, path: /api/token/reset, times: 3", 20), POST, FILE);
    let mut child = start(&place, &server, &APPLY);
    wait_until("three lanes under way", || resets(&server) == 3);
    child.kill().unwrap();
    child.wait().unwrap();
    // Twice: the look itself is dropped.
    server.ask("POST /__sandbox/faults", r#"{"on":{"path":"/api/token"},"do":{"delay":"20s"}}"#);
    let mut child = start(&place, &server, &APPLY);
    heard(&mut child, "begun");
    signal(&child, Signal::INT);
    heard(&mut child, "Once more: it stops now.");
    signal(&child, Signal::TERM);
    ended(child).exits(130).says("3 in doubt").says("not settled yet");
    // Once: the look comes to its end, and no other step is looked at.
    server.ask("POST /__sandbox/faults", r#"{"on":{"path":"/api/token"},"do":{"delay":"2s"}}"#);
    let mut child = start(&place, &server, &[&APPLY[..], &["--parallelism", "1"]].concat());
    heard(&mut child, "begun");
    signal(&child, Signal::INT);
    ended(child).exits(130).says("1 done").says("2 in doubt").says("not settled yet");
    goes_on(&place, &server);
}

#[test]
fn a_terminals_interrupt_is_not_for_the_program_that_takes_a_value() {
    let (place, server) = place("", POST, "{ command: { run: [../store.sh] } }");
    let child = start(&place, &server, &APPLY);
    wait_until("three lanes under way", || resets(&server) == 3);
    // What a terminal does: the whole group is told.
    kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    ended(child).exits(130).says("0 failed, 0 in doubt");
    assert!(place.read("value.A_One").contains("tfcanary"));
}

#[test]
fn a_person_who_is_waited_for_holds_up_neither_other_lanes_nor_an_interrupt() {
    let (place, server) = place("", "guided", FILE);
    let spec = place.read("spec/tokens.yaml");
    let spec = spec.replace(
        "destinations:",
        &format!("logicmonitor:\n  acme:\n    account: acme\n    endpoint: \"{}\"\n    credential: {{ bearer: {{ env: SANDBOX_LOGICMONITOR_ACME_BEARER }} }}\n    users:\n      svc: {{ api_tokens: {{ ci: {{ deliver: [ {{ to: box, key: K, id_key: I }} ] }} }} }}\ndestinations:", server.origin()),
    );
    place.write("spec/tokens.yaml", &spec);
    let mut child = start(&place, &server, &[&APPLY[..], &["--guided", "wait"]].concat());
    let said = heard(&mut child, "issue logicmonitor.acme.svc.api_token[\"ci\"]: done");
    assert_eq!(said.matches("By hand, for").count(), 1, "{said}");
    signal(&child, Signal::INT);
    let ran = ended(child).exits(130).says("1 done, 1 failed, 0 in doubt, 5 not started");
    ran.says("the key did not change in time");
    assert_eq!(resets(&server), 0);
}

#[test]
fn at_the_prompt_and_while_it_reads_nothing_was_sent() {
    let (place, server) = place(&slow("path: /api/token, times: 1", 20), POST, FILE);
    let mut child = start(&place, &server, &APPLY);
    wait_until("it reads", || !server.ask("GET /__sandbox/tape", "").as_array().unwrap().is_empty());
    signal(&child, Signal::INT);
    ended(child).exits(130).says("tokenform::cli::interrupted").says("nothing was sent");

    let (_terminal, mut command) = place.command_at_terminal(&["apply", "spec"]);
    command.envs(&server.vars).stdout(Stdio::piped()).stderr(Stdio::piped());
    child = command.spawn().unwrap();
    heard(&mut child, "Enter a value:");
    signal(&child, Signal::INT);
    ended(child).exits(130).says("nothing was sent");
    assert_eq!(server.effects(), [] as [&str; 0]);
}

#[test]
fn a_command_that_only_reads_ends_at_once_whatever_words_are_beside_it() {
    let (place, server) = place(&slow("path: /api/token, times: 0", 20), POST, FILE);
    place.write("apply/tokens.yaml", &place.read("spec/tokens.yaml"));
    let spec = place.read("spec/tokens.yaml");
    let instances = spec.lines().filter(|line| !line.trim_start().starts_with(['O', 'T']));
    let instances: Vec<_> = instances.take_while(|line| !line.starts_with("destinations")).collect();
    let locked = instances.join("\n").replace("        teams:", "        external_api_auth: IAM_ONLY");
    place.write("locked/tokens.yaml", &locked);
    let unlock = ["unlock", "a", "locked", "--reason", "INC-7", "-o", "unlock.plan"];
    for args in [&["plan", "apply"][..], &["plan", "spec"], &unlock] {
        let before = reads(&server);
        let child = start(&place, &server, args);
        wait_until("it reads", || reads(&server) > before);
        signal(&child, Signal::INT);
        let ran = ended(child);
        assert_eq!(ran.code, -1, "{args:?} is ended by the signal:\n{}", ran.all());
    }
}
