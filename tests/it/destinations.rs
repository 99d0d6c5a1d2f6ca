//! Destinations that fail: what is tried again, what becomes of a value, and how it goes on.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::support::{CANARY, Place, Ran};

/// A token that is reset, and one that is rotated beside its predecessor; each goes to a program and
/// to a file.
const WORLD: &str = "version: 1
ibm:
  prod:
    token_reset: { method: POST, path: /api/token/reset }
    instances:
      mon:
        region: us-south
        parameters: { external_api_auth: ANY }
        teams: { SRE: { id: 1, default: true, immutable: true } }
logicmonitor:
  acme:
    users:
      svc:
        id: 32
        api_tokens: [ { id: 248, note: ci, created_on: 2020-01-01T00:00:00Z } ]
";

/// Takes a value on its standard input, or fails as the files beside it say. `broken` breaks it until it
/// is removed; `flaky` holds how many times more.
const STORE: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$TOKENFORM_DELIVER_KEY" >> "$here/calls"
if [ -e "$here/hang" ]; then sleep 300 & echo $! > "$here/child"; wait; fi
if [ -e "$here/part" ]; then head -c 5 > "$here/half"; kill -9 $$; fi
value=$(cat)
if [ -e "$here/broken" ]; then exit 3; fi
if [ -s "$here/flaky" ]; then
  left=$(cat "$here/flaky")
  if [ "$left" -gt 0 ]; then echo $((left - 1)) > "$here/flaky"; kill -9 $$; fi
fi
printf %s "$value" > "$here/value.$TOKENFORM_DELIVER_KEY"
"#;

const RESET: &str = "ibm:
  prod:
    credential: { api_key: { env: SANDBOX_IBM_PROD_API_KEY } }
    token_reset: { method: POST, path: /api/token/reset }
    endpoints: { iam: \"ORIGIN\", resource_controller: \"ORIGIN\", monitoring: \"ORIGIN\", workload_protection: \"ORIGIN\" }
    instances:
      mon:
        service: monitoring
        region: us-south
        teams:
          SRE: { token: { rotate: { max_age: 90d }, deliver: [ { to: store, key: KEY }, { to: box, key: KEY } ] } }
";

const ISSUE: &str = "logicmonitor:
  acme:
    account: acme
    endpoint: \"ORIGIN\"
    credential: { bearer: { env: SANDBOX_LOGICMONITOR_ACME_BEARER } }
    users:
      svc:
        api_tokens:
          ci: { rotate: { max_age: 90d }, deliver: [ { to: store, key: KEY }, { to: box, key: KEY } ] }
";

fn place(systems: &str) -> (Place, Server) {
    let place = Place::empty();
    let server = Server::start(&place, WORLD);
    place.write("store.sh", STORE);
    std::fs::set_permissions(place.path("store.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(place.path("box")).unwrap();
    let destinations = "destinations:
  store: { command: { run: [../store.sh], timeout: 1s } }
  box: { file: { path: ../box/box.env, format: dotenv } }
";
    let spec = format!("version: 1\n{systems}{destinations}").replace("ORIGIN", server.origin());
    place.write("spec/tokens.yaml", &spec);
    (place, server)
}

const APPLY: [&str; 4] = ["apply", "spec", "--auto-approve", "--new-state"];
const PLAN: [&str; 3] = ["plan", "spec", "--detailed-exitcode"];

fn apply(place: &Place, server: &Server) -> Ran {
    let ran = server.run(place, &APPLY);
    assert!(!ran.all().contains(CANARY), "a secret was printed:\n{}", ran.all());
    let fit = |path: &String| ["box/box.env", "value.KEY"].contains(&path.as_str());
    let leaks = place.files_with_canary();
    assert!(leaks.iter().all(fit), "{leaks:?}");
    ran
}

fn mend(place: &Place, what: &str) {
    std::fs::remove_file(place.path(what)).unwrap();
}

/// The tokens of the user `svc`, as `id status`.
fn tokens(server: &Server) -> Vec<String> {
    let world = server.ask("GET /__sandbox/world", "");
    let tokens = world["logicmonitor"]["acme"]["users"]["svc"]["api_tokens"].as_array().unwrap().clone();
    tokens.iter().map(|t| format!("{} {}", t["id"], t["status"])).collect()
}

/// What both destinations hold is one value.
#[track_caller]
fn alike(place: &Place) {
    let value = place.read("value.KEY");
    assert!(value.len() > 8 && place.read("box/box.env").contains(&value), "they hold different values");
}

#[test]
fn a_failure_that_passes_is_waited_out_while_the_value_is_in_memory() {
    let (place, server) = place(RESET);
    place.write("flaky", "2\n");
    apply(&place, &server).exits(0).says("Apply complete: 1 done.");
    assert_eq!(place.read("calls").lines().count(), 3);
    assert_eq!(server.effects(), ["reset"]);
    alike(&place);
}

/// The old value is dead: the one that can be fed is, the other one is fed later and nothing is reset
/// for it.
#[test]
fn single_slot_with_one_destination_failing_is_delivered_later_and_not_reset_again() {
    let (place, server) = place(RESET);
    place.write("broken", "");
    let ran = apply(&place, &server).exits(6).says("1 failed").says("the value did not reach store#KEY");
    let ran = ran.says("Then apply again: the value is read");
    assert!(ran.all().contains("exit status: 3"), "{}", ran.all());
    assert!(place.read("box/box.env").contains(CANARY));
    server.run(&place, &PLAN).exits(2).says("1 to deliver").says("never delivered to store#KEY");
    mend(&place, "broken");
    apply(&place, &server).exits(0);
    assert_eq!(server.effects(), ["reset"]);
    alike(&place);
    server.run(&place, &PLAN).exits(0);
}

#[test]
fn single_slot_with_no_destination_left_is_delivered_later_and_not_reset_again() {
    let (place, server) = place(RESET);
    place.write("part", "");
    // the folder goes away after it was probed
    server.ask(
        "POST /__sandbox/faults",
        r#"{"on": {"method": "POST", "path": "/api/token/reset"}, "do": {"delay": "1s"}}"#,
    );
    let mut command = place.command(&APPLY);
    let child =
        command.env("PATH", "/usr/bin:/bin").envs(&server.vars).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    begun(&place, &child);
    std::fs::remove_dir(place.path("box")).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    let ran = ran.exits(6).says("signal: 9").says("nor box#KEY").says("does not exist");
    assert!(!ran.all().contains(CANARY) && place.read("half").len() == 5);
    assert_eq!(server.effects(), ["reset"]);
    // the probe sees it now
    apply(&place, &server).exits(1).says("does not exist").says("nothing was changed");
    std::fs::create_dir(place.path("box")).unwrap();
    mend(&place, "part");
    mend(&place, "half");
    apply(&place, &server).exits(0);
    assert_eq!(server.effects(), ["reset"]);
    alike(&place);
}

fn begun(place: &Place, child: &Child) {
    let journal = place.path("spec/.tokenform/journal/current.jsonl");
    let began = |_| {
        std::thread::sleep(Duration::from_millis(5));
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"began\""))
    };
    assert!((0..2000).any(began), "apply {} never began its step", child.id());
}

#[test]
fn overlap_that_reaches_nobody_is_taken_back_and_the_old_token_is_untouched() {
    let (place, server) = place(ISSUE);
    place.write("broken", "");
    let text = place.read("spec/tokens.yaml");
    place.write("spec/tokens.yaml", &text.replace(", { to: box, key: KEY }", ""));
    let ran =
        apply(&place, &server).exits(6).says("the new token was deleted again, the old one was not touched");
    assert!(ran.stdout.contains("1 failed"), "{}", ran.stdout);
    assert_eq!(server.effects(), ["create", "delete"]);
    assert_eq!(tokens(&server), ["248 \"enabled\""]);
    mend(&place, "broken");
    place.write("spec/tokens.yaml", &text);
    apply(&place, &server).exits(0);
    alike(&place);
}

/// Who has the new value keeps it, who has not keeps the old one: both work. The next plan issues anew.
#[test]
fn overlap_that_reaches_some_is_issued_anew_and_nothing_is_retired_before() {
    let (place, server) = place(ISSUE);
    place.write("broken", "");
    let ran = apply(&place, &server).exits(6).says("tokenform::apply::partly_delivered");
    let ran = ran.says("the value did not reach store#KEY").says("can't be had again; box#KEY has it (id ");
    ran.says("id 248, which it replaces, stays as it is").says("the token is issued anew");
    assert_eq!(server.effects(), ["create"]);
    assert_eq!(tokens(&server).len(), 2);
    let plan =
        server.run(&place, &PLAN).exits(2).says("1 to rotate").says("store#KEY never got the value of id");
    assert!(plan.stdout.contains("0 to disable"), "{}", plan.stdout);
    // broken still: one more is tried, and then no other by itself
    apply(&place, &server).exits(6);
    let held = place.read("box/box.env");
    server.run(&place, &PLAN).exits(0).says("no other is issued by itself").says("--rotate");
    assert_eq!((server.effects(), tokens(&server).len()), (vec!["create".to_owned(); 2], 3));
    assert_eq!(place.read("box/box.env"), held);
    assert!(tokens(&server).iter().all(|token| token.ends_with(" \"enabled\"")), "{:?}", tokens(&server));
}

#[test]
fn overlap_that_reaches_some_converges_once_the_destination_is_mended() {
    let (place, server) = place(ISSUE);
    place.write("broken", "");
    apply(&place, &server).exits(6);
    mend(&place, "broken");
    apply(&place, &server).exits(0);
    alike(&place);
    assert_eq!(server.effects(), ["create", "create"]);
    server.run(&place, &PLAN).exits(0);
}

#[test]
fn a_program_that_hangs_is_stopped_with_its_children_and_the_apply_ends() {
    let (place, server) = place(RESET);
    place.write("hang", "");
    apply(&place, &server).exits(6).says("did not end within 1 s and was stopped").says("1 failed");
    assert_eq!(place.read("calls").lines().count(), 2);
    let child: String = place.read("child").trim().into();
    let gone = |_| {
        std::thread::sleep(Duration::from_millis(10));
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!((0..500).any(gone), "process {child} still runs");
    mend(&place, "hang");
    apply(&place, &server).exits(0);
    assert_eq!(server.effects(), ["reset"]);
    alike(&place);
}
