//! Killed again and again: whatever instant it dies at, the next apply goes on from what is true.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;
use crate::support::{Place, repository};

const APPLY: [&str; 4] = ["apply", "spec", "--auto-approve", "--new-state"];

/// The quickstart in live mode: its world behind a server that survives the program.
fn quickstart() -> (Place, Server) {
    let place = Place::empty();
    let read = |name| std::fs::read_to_string(repository().join("examples/quickstart").join(name)).unwrap();
    // The program's clock is the machine's: the server's must be too.
    let world = read("quickstart.world.yaml").replace("clock: 2026-11-22T10:00:00Z\n", "");
    let server = Server::start(&place, &world);
    let (o, issued) = (server.origin(), |name: &str| format!("{{ env: SANDBOX_{name} }}"));
    let spec = read("tokens.yaml")
        .replace("{ env: IBMCLOUD_API_KEY }", &issued("IBM_PROD_API_KEY"))
        .replace("{ env: LM_ACCESS_ID }", &issued("LOGICMONITOR_ACME_ACCESS_ID"))
        .replace("{ env: LM_ACCESS_KEY }", &issued("LOGICMONITOR_ACME_ACCESS_KEY"))
        .replace("    account: acme\n", &format!("    account: acme\n    endpoint: \"{o}\"\n"))
        .replace(
            "    token_reset:",
            &format!("    endpoints: {{ iam: \"{o}\", resource_controller: \"{o}\", monitoring: \"{o}\", workload_protection: \"{o}\" }}\n    token_reset:"),
        );
    place.write("spec/tokens.yaml", &spec);
    std::fs::create_dir(place.path("spec/secrets")).unwrap();
    (place, server)
}

/// Runs an apply and kills it so long after it began. Says whether it ended by itself, in order.
#[expect(clippy::disallowed_methods, reason = "the process that is killed lives in real time")]
fn apply_for(place: &Place, server: &Server, time: Duration) -> bool {
    let mut command = place.command(&APPLY);
    command.envs(&server.vars).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

fn text<'v>(entry: &'v Value, member: &str) -> &'v str {
    entry[member].as_str().unwrap_or("")
}

#[test]
fn an_apply_that_is_killed_again_and_again_ends_where_one_run_would() {
    let (place, server) = quickstart();
    // Each run gets a little further; primes, so that the kills fall into different places.
    for milliseconds in [31, 61, 97, 131, 167, 199, 251, 307, 359, 419, 503, 601] {
        if apply_for(&place, &server, Duration::from_millis(milliseconds)) {
            break;
        }
    }
    server.run(&place, &APPLY).exits(0);
    server.run(&place, &["plan", "spec", "--detailed-exitcode"]).exits(0).says("No changes.");
    server.run(&place, &["status", "spec"]).exits(0).says("Nothing is in flight");

    let tape = server.ask("GET /__sandbox/tape", "");
    let changed: Vec<&Value> =
        tape.as_array().unwrap().iter().filter(|e| !text(e, "effect").is_empty()).collect();
    resets_are_not_repeated(&changed);
    nothing_follows_a_lock(&changed);
    no_token_is_orphaned(&server);
    assert_eq!(
        place.files_with_canary(),
        [
            "spec/secrets/grafana.json",
            "spec/secrets/lab.token",
            "spec/secrets/ops.env",
            "spec/secrets/release.json"
        ]
    );
}

/// A team whose value is delivered is reset once: a second reset would kill a value in use. Teams of
/// an instance that is locked are reset again by a new plan, which must cover them itself.
fn resets_are_not_repeated(changed: &[&Value]) {
    let locked: Vec<_> =
        changed.iter().filter(|e| text(e, "effect") == "lock").map(|e| text(e, "instance")).collect();
    assert_eq!(locked.len(), 1, "{locked:?}");
    let mut resets: BTreeMap<(&str, u64), u32> = BTreeMap::new();
    for entry in
        changed.iter().filter(|e| text(e, "effect") == "reset" && !locked.contains(&text(e, "instance")))
    {
        *resets.entry((text(entry, "instance"), entry["team"].as_u64().unwrap())).or_default() += 1;
    }
    assert!(resets.len() >= 3, "{resets:?}");
    assert!(resets.values().all(|count| *count == 1), "a delivered token was reset again: {resets:?}");
}

fn nothing_follows_a_lock(changed: &[&Value]) {
    let lock = changed.iter().position(|e| text(e, "effect") == "lock").unwrap();
    let instance = text(changed[lock], "instance");
    assert!(changed[lock + 1..].iter().all(|e| text(e, "instance") != instance));
    let resets =
        changed[..lock].iter().filter(|e| text(e, "instance") == instance && text(e, "effect") == "reset");
    assert!(resets.count() >= 3);
}

/// Every name has one token, and the one that was rotated its predecessor.
fn no_token_is_orphaned(server: &Server) {
    let world = server.ask("GET /__sandbox/world", "");
    let users = &world["logicmonitor"]["acme"]["users"];
    let notes = |user: &str, kind: &str| -> Vec<String> {
        let tokens = users[user][kind].as_array().unwrap().iter();
        let names = tokens.map(|t| text(t, "note").split(" ;tf1 ").next().unwrap().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(
        notes("svc-ci", "api_tokens"),
        ["ci-deploy", "ci-deploy", "ci-legacy", "ci-nightly", "ci-release"]
    );
    assert_eq!(notes("svc-ingest", "bearer_tokens"), ["otel"]);
}
