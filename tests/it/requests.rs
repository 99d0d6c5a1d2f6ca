//! How many requests a plan of a large estate sends: counted by kind, printed by `-v`, and as few as
//! the vendors' APIs allow.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::support::{Place, Ran};

const INSTANCES: u64 = 200;
const TEAMS: u64 = 5;
const USERS: u64 = 500;
const TOKENS_OF_USER: u64 = 20;

/// 1 IBM account with 200 instances of 5 teams each, all managed, and 1 portal of 10,000 API tokens.
fn estate(place: &Place) {
    let mut spec = String::from(
        "version: 1\nibm:\n  prod:\n    credential: { api_key: { env: K } }\n    token_reset: { method: POST, path: /r }\n    instances:\n",
    );
    let mut world = String::from("version: 1\nclock: 2026-11-22T10:00:00Z\nibm:\n  prod:\n    instances:\n");
    for instance in 0..INSTANCES {
        writeln!(spec, "      mon-{instance:03}: {{ service: monitoring, external_api_auth: ANY, teams: {{")
            .unwrap();
        writeln!(world, "      mon-{instance:03}: {{ parameters: {{ external_api_auth: ANY }}, teams: {{")
            .unwrap();
        for team in 0..TEAMS {
            writeln!(
                spec,
                "        Team {team}: {{ token: {{ deliver: [ {{ to: out, key: K{instance}_{team} }} ] }} }},"
            )
            .unwrap();
            writeln!(world, "        Team {team}: {{ id: {} }},", 10_000 + instance * 10 + team).unwrap();
        }
        spec.push_str("      } }\n");
        world.push_str("      } }\n");
    }
    spec.push_str("logicmonitor:\n  acme:\n    account: acme\n    credential: { lmv1: { access_id: { env: I }, access_key: { env: K } } }\n    users:\n");
    world.push_str("logicmonitor:\n  acme:\n    users:\n");
    for user in 0..USERS {
        writeln!(spec, "      u{user}:\n        api_tokens:").unwrap();
        writeln!(world, "      u{user}:\n        api_tokens:").unwrap();
        // One less: the caller of the sandbox has a token too.
        for token in u64::from(user == 0)..TOKENS_OF_USER {
            writeln!(spec, "          t{token}: {{ status: enabled }}").unwrap();
            writeln!(world, "          - {{ note: t{token}, created_on: 2026-08-01T00:00:00Z }}").unwrap();
        }
    }
    spec.push_str("destinations: { out: { file: { path: out.env, format: dotenv } } }\n");
    place.write("spec/tokens.yaml", &spec);
    place.write("spec/w.world.yaml", &world);
}

/// `12  read the users` lines behind the total, as numbers by kind.
fn counted(ran: &Ran) -> BTreeMap<String, u64> {
    let lines = ran.stderr.lines().skip_while(|line| !line.ends_with(" requests:")).skip(1);
    lines
        .map_while(|line| {
            let (count, kind) = line.trim_start().split_once("  ")?;
            Some((kind.to_owned(), count.parse().ok()?))
        })
        .collect()
}

#[test]
fn a_plan_of_a_large_estate_sends_the_fewest_requests() {
    let place = Place::empty();
    estate(&place);
    let ran = place.run(&["plan", "spec", "--sandbox", "-v"]).exits(0).says("1000 to deliver");
    let expected = [
        ("log in to IAM", 1),
        // 100 rows a page is the most.
        ("list instances", INSTANCES.div_ceil(100)),
        ("ask who the caller is", INSTANCES),
        ("list teams", INSTANCES),
        // Each has a delivery, so each fingerprint is compared; there is no list of tokens.
        ("read the team's token", INSTANCES * TEAMS),
        ("read the users", 1),
        ("read the inactivity rule", 1),
        // 1,000 rows a page is the most, and the kinds are two lists.
        ("read the API tokens", USERS * TOKENS_OF_USER / 1_000),
        ("read the bearer tokens", 1),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(kind, count)| (kind.to_owned(), count)).into();
    assert_eq!(counted(&ran), expected);
    let sent = place.tape("spec/.tokenform/sandbox/tape.jsonl").len() as u64;
    assert_eq!(sent, expected.values().sum::<u64>());
}

/// A plan of one instance named `mon` in an account of 250, with this wish and these parameters.
fn of_one(place: &Place, wish: &str, parameters: &str) -> BTreeMap<String, u64> {
    place.write(
        "spec/tokens.yaml",
        &format!("version: 1\nibm:\n  prod:\n    credential: {{ api_key: {{ env: K }} }}\n    instances:\n      mon: {{ service: monitoring, {wish} }}\n"),
    );
    let mut world = format!(
        "version: 1\nibm:\n  prod:\n    instances:\n      mon: {{ parameters: {{ {parameters} }}, teams: {{ A: {{}}, B: {{}}, C: {{}} }} }}\n"
    );
    for other in 0..249 {
        writeln!(world, "      other-{other}: {{}}").unwrap();
    }
    place.write("spec/w.world.yaml", &world);
    counted(&place.run(&["plan", "spec", "--sandbox", "-v"]).exits(0))
}

#[test]
fn one_instance_is_not_looked_for_in_the_whole_account() {
    let place = Place::empty();
    let counts = of_one(&place, "external_api_auth: ANY", "external_api_auth: ANY");
    assert_eq!(counts["list instances"], 1);
    let tape = place.tape("spec/.tokenform/sandbox/tape.jsonl");
    assert!(tape.iter().any(|e| e["query"].as_str().unwrap().contains("name=mon")));
}

#[test]
fn tokens_are_read_where_a_step_may_need_them_and_once_to_tell_the_mode() {
    for (wish, parameters, reads) in [
        // Listed for a lock that is not wished now: the mode alone is told.
        ("external_api_auth: ANY, teams: { A: {}, B: {} }", "external_api_auth: ANY", Some(1)),
        // Locked already: the first refusal tells.
        ("external_api_auth: IAM_ONLY, teams: { A: {}, B: {} }", "external_api_auth: IAM_ONLY", Some(1)),
        // Nothing is wished.
        ("teams: { A: {} }", "default_receiver: false", None),
    ] {
        let counts = of_one(&Place::empty(), wish, parameters);
        assert_eq!(counts.get("read the team's token").copied(), reads, "{wish}");
    }
}

#[test]
fn the_log_has_each_request_with_its_status_and_nothing_of_its_query() {
    let place = Place::example("quickstart");
    let plan = ["plan", "examples/quickstart", "--sandbox", "-v"];
    let logged = |ran: &Ran| ran.stderr.lines().filter(|line| line.contains(" debug ")).count() as u64;
    let off = place.run(&plan).exits(0);
    assert_eq!(logged(&off), 0, "{}", off.stderr);
    let mut command = place.command(&plan);
    let on = Ran::from(command.env("TOKENFORM_LOG", "debug").output().unwrap()).exits(0);
    let sent: u64 = counted(&on).values().sum();
    assert!(sent > 10 && logged(&on) == sent, "{sent} requests:\n{}", on.stderr);
    let lines: Vec<_> = on.stderr.lines().filter(|line| line.contains(" debug ")).collect();
    assert!(lines.iter().any(|line| line.contains(" GET 127.0.0.1:") && line.contains("/api/token 200 ")));
    assert!(lines.iter().all(|line| !line.contains('?')), "{lines:?}");
    assert_eq!(on.stdout.lines().count(), off.stdout.lines().count());
    place.run(&["plan", "examples/quickstart", "--sandbox", "--log", "loud"]).exits(1).says("debug, trace");
}
