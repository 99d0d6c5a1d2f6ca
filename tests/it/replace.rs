//! `strategy: replace` as a whole program: at a portal that allows one bearer token for each user, the old
//! one goes before the new one is made, and an interrupted replacement is brought to its end.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::server::Server;
use crate::support::{Place, Ran};

const TAPE: &str = ".tokenform/sandbox/tape.jsonl";

/// `rotate` is the token's; the old one is too old.
fn place(rotate: &str, faults: &str) -> Place {
    let place = Place::empty();
    place.write(
        "tokens.yaml",
        &format!(
            "version: 1
logicmonitor:
  acme:
    account: acme
    credential: {{ lmv1: {{ access_id: {{ env: I }}, access_key: {{ env: K }} }} }}
    users:
      svc: {{ bearer_tokens: {{ otel: {{ id: 5, status: enabled, rotate: {rotate}, deliver: [ {{ to: out, key: OTEL }} ] }} }} }}
destinations: {{ out: {{ file: {{ path: out.env, format: dotenv }} }} }}
"
        ),
    );
    place.write(
        "w.world.yaml",
        &format!(
            "version: 1
clock: 2026-11-22T10:00:00Z
logicmonitor:
  acme:
    bearer: one_per_user
    users:
      svc: {{ id: 32, bearer_tokens: [ {{ id: 5, note: otel, created_on: 2026-01-01T00:00:00Z }} ] }}
faults: [ {faults} ]
"
        ),
    );
    place
}

const REPLACE: &str = "{ max_age: 90d, strategy: replace }";

fn run(place: &Place, args: &[&str]) -> Ran {
    place.run(&[args, &["tokens.yaml", "--sandbox"]].concat())
}

fn apply(place: &Place) -> Ran {
    run(place, &["apply", "--auto-approve", "--new-state"])
}

/// What was made and deleted, in order.
fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape(TAPE);
    let effects = tape.iter().map(|entry| entry["effect"].as_str().unwrap_or("").to_owned());
    effects.filter(|effect| !effect.is_empty()).collect()
}

fn delivered(place: &Place) -> String {
    place.read(".tokenform/sandbox/destinations/out.env")
}

#[test]
fn a_portal_with_one_bearer_token_for_each_user_refuses_a_second_one_and_the_ways_out_are_named() {
    let place = place("{ max_age: 90d }", "");
    let ran = apply(&place).exits(6);
    let words: Vec<String> = ran.all().split_whitespace().map(str::to_owned).collect();
    let said = words.join(" ");
    assert!(said.contains("`rotate: { max_age: 90d, strategy: replace }`"), "{said}");
    assert_eq!(effects(&place), [] as [&str; 0], "nothing is deleted by itself");
}

#[test]
fn the_old_one_goes_the_new_one_comes_and_the_plan_said_so() {
    let place = place(REPLACE, "");
    run(&place, &["plan"])
        .exits(0)
        .says("outage until the new token is delivered to out#OTEL")
        .says("from step 1 until step 2 is done, no token of this name works")
        .says("delete-before-issue");
    apply(&place).exits(0);
    assert_eq!(effects(&place), ["delete", "create"]);
    assert!(delivered(&place).contains("OTEL="));
    // the pin is followed
    run(&place, &["plan", "--detailed-exitcode"]).exits(0).says("No changes.");
    run(&place, &["plan", "--rotate", "logicmonitor.acme"]).exits(0).says("1 to rotate").says("replace");
}

#[test]
fn a_refused_create_tells_of_the_outage_and_the_next_run_ends_it() {
    let create = "{ on: { method: POST, path: /santaba/rest/setting/admins/32/apitokens }, do: { reply: { status: 400, body: '{}' } } }";
    for end in [&["resume"][..], &["apply", "--auto-approve"]] {
        let (place, server) = live(place(REPLACE, create));
        let run = |args: &[&str]| server.run(&place, &[args, &["tokens.yaml"]].concat());
        run(&["apply", "--auto-approve", "--new-state"])
            .exits(6)
            .says("Id 5 is deleted already, so no token of this name works until");
        assert_eq!(server.effects(), ["delete"]);
        // what is owed is planned, whatever else is asked for
        run(&["plan", "--issued-before", "2026-11-22T00:00:00Z"])
            .exits(0)
            .says("id 5 was deleted to be replaced, and its successor was not made");
        if end != ["resume"] {
            // an outage is no longer for a freeze
            let freeze =
                "changes: { freezes: [ { from: 2020-01-01T00:00:00Z, to: 2099-01-01T00:00:00Z } ] }\n";
            place.write("tokens.yaml", &(place.read("tokens.yaml") + freeze));
        }
        run(end).exits(0);
        assert_eq!(server.effects(), ["delete", "create"]);
        assert!(place.read("out.env").contains("OTEL="));
        run(&["plan", "--detailed-exitcode"]).exits(0);
        if end != ["resume"] {
            run(&["apply", "--rotate", "logicmonitor.acme", "--auto-approve"]).exits(3);
            assert_eq!(server.effects(), ["delete", "create"], "a freeze keeps a new one from being begun");
        }
    }
}

/// The same against a server that survives the program.
fn live(place: Place) -> (Place, Server) {
    let world = place.read("w.world.yaml").replace("clock: 2026-11-22T10:00:00Z\n", "");
    let server = Server::start(&place, &world);
    let endpoint = format!("    endpoint: \"{}\"\n", server.origin());
    let credential = "{ lmv1: { access_id: { env: SANDBOX_LOGICMONITOR_ACME_ACCESS_ID }, access_key: { env: SANDBOX_LOGICMONITOR_ACME_ACCESS_KEY } } }";
    let spec =
        place.read("tokens.yaml").replace("    account: acme\n", &format!("    account: acme\n{endpoint}"));
    let spec = spec.replace("{ lmv1: { access_id: { env: I }, access_key: { env: K } } }", credential);
    place.write("tokens.yaml", &spec);
    (place, server)
}

#[test]
fn nothing_is_deleted_for_a_value_that_could_go_nowhere() {
    let (place, server) = live(place(REPLACE, ""));
    std::fs::create_dir(place.path("out.env")).unwrap();
    server
        .run(&place, &["apply", "--auto-approve", "--new-state", "tokens.yaml"])
        .exits(1)
        .says("nothing was sent");
    assert_eq!(server.effects(), [] as [&str; 0]);
}

#[test]
fn an_interrupt_does_not_come_between_the_deletion_and_the_issue() {
    let slow = "{ on: { method: DELETE, path: '/santaba/*' }, do: { delay: 2s } }";
    let (place, server) = live(place(REPLACE, slow));
    let mut command = place.command(&["apply", "--auto-approve", "--new-state", "tokens.yaml"]);
    command.envs(&server.vars).env("PATH", "/usr/bin:/bin").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let journal = place.path(".tokenform/journal/current.jsonl");
    let begun = || std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"began\""));
    assert!((0..3000).any(|_| begun() || {
        std::thread::sleep(Duration::from_millis(10));
        false
    }));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(server.effects(), ["delete", "create"], "{}", ran.all());
    assert!(place.read("out.env").contains("OTEL="));
}

#[test]
fn an_incident_replaces_too() {
    let place = place("{ strategy: replace }", "");
    run(&place, &["plan", "--issued-before", "2026-11-22T09:00:00Z", "-o", "p.json"]).exits(0);
    place.run(&["apply", "p.json", "--sandbox"]).exits(0);
    assert_eq!(effects(&place), ["delete", "create"]);
}
