//! Random estates and random delays: whatever the parallelism and the timing, an apply ends in the
//! same state, tells the same, and keeps every order that the plan states.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::support::{Place, Ran};

const STATE: &str = ".tokenform/sandbox";

/// An instance: its mode after the apply, and its teams with a destination or without.
#[derive(Clone, Debug)]
struct Instance {
    lock: bool,
    teams: usize,
}

/// What is wished of a token, by what is there.
#[derive(Clone, Copy, Debug)]
enum Wish {
    New,
    Enable,
    Disable,
    Delete,
    Rotate,
}

#[derive(Clone, Debug)]
struct Estate {
    instances: Vec<Instance>,
    users: Vec<Vec<Wish>>,
    seed: u64,
}

fn estates() -> impl Strategy<Value = Estate> {
    let instance = (prop::bool::weighted(0.3), 1..4_usize).prop_map(|(lock, teams)| Instance { lock, teams });
    let wish = prop::sample::select(vec![Wish::New, Wish::Enable, Wish::Disable, Wish::Delete, Wish::Rotate]);
    let users = prop::collection::vec(prop::collection::vec(wish, 1..4), 1..4);
    (prop::collection::vec(instance, 1..4), users, any::<u32>()).prop_map(|(instances, users, seed)| Estate {
        instances,
        users,
        seed: u64::from(seed),
    })
}

impl Estate {
    fn write(&self, seed: u64) -> Place {
        let place = Place::empty();
        let mut spec = "version: 1\nlimits: { rotate: 99, enable: 99, disable: 99, delete: 99, lock: 99, percent: 100 }\nibm:\n  prod:\n    credential: { api_key: { env: K } }\n    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }\n    instances:\n".to_owned();
        let mut world = "version: 1\nclock: 2026-11-22T10:00:00Z\nibm:\n  prod:\n    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }\n    instances:\n".to_owned();
        for (i, instance) in self.instances.iter().enumerate() {
            let mode = if instance.lock { "IAM_ONLY" } else { "ANY" };
            spec.push_str(&format!("      i{i}:\n        service: monitoring\n        region: us-south\n        external_api_auth: {mode}\n        teams:\n"));
            world.push_str(&format!("      i{i}:\n        region: us-south\n        parameters: {{ external_api_auth: ANY }}\n        teams:\n"));
            for t in 0..instance.teams {
                let default = if t == 0 { ", default: true, immutable: true" } else { "" };
                world.push_str(&format!("          t{t}: {{ id: {}{default} }}\n", t + 1));
                let token = if instance.lock {
                    String::new()
                } else {
                    format!(
                        "token: {{ rotate: {{ max_age: 90d }}, deliver: [ {{ to: box, key: I{i}_T{t} }} ] }}"
                    )
                };
                spec.push_str(&format!("          t{t}: {{ {token} }}\n"));
            }
        }
        spec.push_str("logicmonitor:\n  acme:\n    account: acme\n    credential: { lmv1: { access_id: { env: I }, access_key: { env: A } } }\n    users:\n");
        world.push_str("logicmonitor:\n  acme:\n    users:\n");
        for (u, tokens) in self.users.iter().enumerate() {
            spec.push_str(&format!("      u{u}:\n        api_tokens:\n"));
            world.push_str(&format!("      u{u}:\n        id: {}\n        api_tokens:\n", u + 50));
            for (t, wish) in tokens.iter().enumerate() {
                let to = format!("deliver: [ {{ to: box, key: U{u}_T{t}, id_key: U{u}_T{t}_ID }} ]");
                spec.push_str(&format!(
                    "          t{t}: {{ {} }}\n",
                    match wish {
                        Wish::New => to,
                        Wish::Enable => "status: enabled".to_owned(),
                        Wish::Disable => "status: disabled".to_owned(),
                        Wish::Delete => "status: absent".to_owned(),
                        Wish::Rotate => format!("rotate: {{ max_age: 90d }}, {to}"),
                    }
                ));
                let status = if matches!(wish, Wish::Enable) { "disabled" } else { "enabled" };
                if !matches!(wish, Wish::New) {
                    world.push_str(&format!("          - {{ id: {}, note: t{t}, status: {status}, created_on: 2026-01-01T00:00:00Z }}\n", 100 + 10 * u + t));
                }
            }
            if tokens.iter().all(|wish| matches!(wish, Wish::New)) {
                world = world.strip_suffix("        api_tokens:\n").unwrap().to_owned();
            }
        }
        spec.push_str("destinations: { box: { file: { path: box.json, format: json } } }\n");
        world.push_str(&format!(
            "faults:\n  - {{ on: {{ times: 0 }}, do: {{ jitter: {{ up_to_ms: 8, seed: {seed} }} }} }}\n"
        ));
        place.write("tokens.yaml", &spec);
        place.write("w.world.yaml", &world);
        place
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or("")
}

fn lines(place: &Place, path: &str) -> Vec<Value> {
    place.read(path).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything that must not depend on timing: values and ids are drawn as they come, so a value is
/// told by who else has it.
fn end(place: &Place, ran: &Ran) -> String {
    let world: Value = serde_yaml::from_str(&place.read(&format!("{STATE}/world.yaml"))).unwrap();
    let path = place.path(&format!("{STATE}/destinations/box.json"));
    let delivered = std::fs::read_to_string(path).unwrap_or_else(|_| "{}".to_owned());
    let slots: BTreeMap<String, String> = serde_json::from_str(&delivered).unwrap();
    let has = |value: &Value| -> Vec<&String> {
        slots.iter().filter(|(_, slot)| Some(slot.as_str()) == value.as_str()).map(|(key, _)| key).collect()
    };
    let mut told = Vec::new();
    for (name, instance) in world["ibm"]["prod"]["instances"].as_object().unwrap() {
        told.push(format!("{name} {}", instance["parameters"]));
        for (team, live) in instance["teams"].as_object().unwrap() {
            told.push(format!("{name} {team} {:?}", has(&live["key"])));
        }
    }
    for (name, user) in world["logicmonitor"]["acme"]["users"].as_object().unwrap() {
        let tokens = user["api_tokens"].as_array().unwrap().iter();
        let mut rows: Vec<_> = tokens
            .map(|t| {
                format!(
                    "{name} {} {} {:?}",
                    text(t, "note").split(" ;tf1").next().unwrap(),
                    t["status"],
                    has(&t["key"])
                )
            })
            .collect();
        rows.sort();
        told.extend(rows);
    }
    // In the ledger's own order.
    for line in lines(place, &format!("{STATE}/ledger.jsonl")) {
        let line = &line["entry"]["step"];
        let slots: Vec<_> =
            line["delivered"].as_object().into_iter().flatten().map(|(slot, _)| slot).collect();
        told.push(format!("ledger {} {slots:?}", text(line, "step")));
    }
    let outcome = ran.stdout.split_once("\nApply complete").unwrap().1;
    let plain = outcome.split(", ").map(|part| if part.starts_with("id ") { "" } else { part });
    told.push(plain.collect::<Vec<_>>().join(", "));
    let ids = |c: char| c.is_ascii_digit();
    told.iter()
        .map(|row| row.split("id ").map(|part| part.trim_start_matches(ids)).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The journal's own order: a step begins after its needs are done, and after its lane's last step.
fn order_was_kept(place: &Place) -> usize {
    let journal =
        std::fs::read_dir(place.path(&format!("{STATE}/journal"))).unwrap().next().unwrap().unwrap();
    let text_of = std::fs::read_to_string(journal.path()).unwrap();
    let records: Vec<Value> = text_of.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let plan: Value = serde_json::from_str(records[0]["opened"]["plan"].as_str().unwrap()).unwrap();
    let lane = |step: &Value| text(step, "address").split('.').take(3).collect::<Vec<_>>().join(".");
    let steps = plan["steps"].as_array().unwrap();
    let (mut done, mut running, mut most): (BTreeSet<&str>, BTreeSet<&str>, usize) = Default::default();
    for record in &records[1..] {
        let (kind, body) = record.as_object().unwrap().iter().next().unwrap();
        let id = body["step"].as_str().unwrap_or_default();
        match kind.as_str() {
            "began" => {
                let at = steps.iter().position(|step| text(step, "id") == id).unwrap();
                let needs = steps[at]["needs"].as_array().unwrap().iter().map(|need| text(need, "step"));
                assert!(needs.clone().all(|need| done.contains(need)), "{id} began before its needs");
                let before = steps[..at].iter().filter(|step| lane(step) == lane(&steps[at]));
                assert!(before.clone().all(|step| done.contains(text(step, "id"))), "{id} overtook its lane");
                running.insert(id);
                most = most.max(running.len());
            }
            "done" => {
                running.remove(id);
                done.insert(id);
            }
            _ => {}
        }
    }
    assert_eq!(done.len(), steps.len());
    most
}

#[test]
fn the_end_does_not_depend_on_parallelism_or_timing() {
    let mut runner = TestRunner::new(Config { cases: 5, failure_persistence: None, ..Config::default() });
    let most = std::cell::Cell::new(0);
    let outcome = runner.run(&estates(), |estate| {
        let mut ends = BTreeSet::new();
        for (n, lanes) in [(0, "1"), (1, "2"), (2, "8")] {
            let place = estate.write(estate.seed.wrapping_add(n));
            let ran = place.run(&[
                "apply",
                "tokens.yaml",
                "--sandbox",
                "--auto-approve",
                "--new-state",
                "--parallelism",
                lanes,
            ]);
            if ran.stdout.contains("No changes.") {
                return Ok(());
            }
            let ran = ran.exits(0);
            let at_once = order_was_kept(&place);
            assert!(at_once <= lanes.parse().unwrap());
            most.set(most.get().max(at_once));
            ends.insert(end(&place, &ran));
        }
        prop_assert_eq!(ends.len(), 1, "{:#?}", ends);
        Ok(())
    });
    outcome.unwrap();
    assert!(most.get() > 2, "no three lanes ever ran beside each other");
}
