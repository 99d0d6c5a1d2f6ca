//! One writer per state: who is told what, and what a dead run's lock comes to.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::support::{Place, Ran};

const APPLY: [&str; 3] = ["apply", "spec", "--auto-approve"];
const STATE: &str = "spec/.tokenform";

/// One token to create, against a server that needs a second for it.
pub fn slow() -> (Place, Server) {
    let place = Place::empty();
    let world = "version: 1
logicmonitor:
  acme:
    users: { svc: { id: 32 } }
faults:
  - { on: { method: POST, path: /santaba/rest/setting/admins/32/apitokens }, do: { delay: 1s } }
";
    let server = Server::start(&place, world);
    place.write(
        "spec/tokens.yaml",
        &format!(
            "version: 1
logicmonitor:
  acme:
    account: acme
    endpoint: \"{}\"
    credential: {{ bearer: {{ env: SANDBOX_LOGICMONITOR_ACME_BEARER }} }}
    users: {{ svc: {{ api_tokens: {{ ci: {{ deliver: [ {{ to: box, key: K }} ] }} }} }} }}
destinations:
  box: {{ file: {{ path: box.env, format: dotenv }} }}
",
            server.origin()
        ),
    );
    (place, server)
}

fn started(place: &Place, server: &Server) -> Child {
    let mut command = place.command(&APPLY);
    command.envs(&server.vars).env("USER", "ada").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until the apply has begun its step.
pub fn begun(place: &Place) {
    let journal = place.path(&format!("{STATE}/journal/current.jsonl"));
    let began = |_| {
        std::thread::sleep(Duration::from_millis(5));
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"began\""))
    };
    assert!((0..2000).any(began), "the apply never began its step");
}

fn killed(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn of_two_applies_started_together_exactly_one_acts() {
    for _ in 0..6 {
        let (place, server) = slow();
        let both = [started(&place, &server), started(&place, &server)];
        let pids = both.each_ref().map(Child::id);
        let [a, b] = both.map(|child| Ran::from(child.wait_with_output().unwrap()));
        let (won, lost, winner) = if a.code == 0 { (a, b, pids[0]) } else { (b, a, pids[1]) };
        won.exits(0).says("Apply complete: 1 done.");
        lost.exits(5)
            .says("tokenform::state::held")
            .says("ada@")
            .says(&format!("(pid {winner}, `tokenform apply"));
        assert_eq!(server.effects(), ["create"]);
    }
}

#[test]
fn who_holds_the_lock_is_told_until_it_ends_however_it_ends() {
    let (place, server) = slow();
    place.run(&["lock", "list", "spec"]).exits(0).says("The state's lock is free.");
    assert!(!place.path(STATE).exists(), "a question made a state");
    let child = started(&place, &server);
    begun(&place);
    let pid = child.id().to_string();
    place.run(&["status", "spec"]).exits(5).says("An apply is running").says(&pid).says("ada@");
    place
        .run(&["lock", "list", "spec"])
        .exits(0)
        .says("held  state")
        .says(&pid)
        .says("apply spec --auto-approve");
    let json = place.run(&["lock", "list", "spec", "--format", "json"]).exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["locks"][0]["state"], &json["locks"][0]["holder"]["by"]["user"]),
        (&"held".into(), &"ada".into())
    );
    // a live one is never broken
    place.run(&["lock", "break", "spec", "--reason", "in a hurry"]).exits(5).says("end process").says(&pid);
    assert!(!place.path(&format!("{STATE}/lock.log")).exists());
    killed(child);
    place.run(&["lock", "list", "spec"]).exits(0).says("dead  state").says(&pid);
    place.run(&["status", "spec"]).exits(6);
    // a dead one keeps nobody out
    server.run(&place, &APPLY).exits(0);
    place.run(&["lock", "list", "spec"]).exits(0).says("The state's lock is free.");
}

#[test]
fn a_dead_lock_is_broken_with_a_reason_that_is_kept() {
    let (place, server) = slow();
    let child = started(&place, &server);
    begun(&place);
    killed(child);
    place.run(&["lock", "break", "spec"]).exits(1).says("--reason");
    place.run(&["lock", "break", "spec", "--reason", "  "]).exits(1).says("--reason says nothing");
    place
        .run(&["lock", "break", "spec", "--reason", "the job was cancelled"])
        .exits(0)
        .says("it was dead, of ada@");
    place.run(&["lock", "break", "spec", "--reason", "again"]).exits(0).says("Nothing to break");
    let log = place.read(&format!("{STATE}/lock.log"));
    assert!(log.lines().count() == 1 && log.contains("the job was cancelled"), "{log}");
    place.run(&["lock", "list", "spec"]).exits(0).says("Broken 1 time").says("the job was cancelled");
}

/// A lock file that is not one stops everything before the first request.
#[test]
fn a_lock_that_can_t_be_opened_stops_everything() {
    let (place, server) = slow();
    place.write(&format!("{STATE}/lock/x"), "in the way");
    server.run(&place, &APPLY).exits(1).says("tokenform::state::io").says("lock");
    assert!(server.effects().is_empty());
}
