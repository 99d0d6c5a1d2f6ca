//! The main job from a user's seat: read, plan, ask, apply, prove.

use std::collections::BTreeSet;

use crate::support::{CANARY, Place, Ran};

const APPLY: [&str; 5] = ["apply", "examples/quickstart", "--sandbox", "--auto-approve", "--new-state"];
const PLAN: [&str; 4] = ["plan", "examples/quickstart", "--sandbox", "--detailed-exitcode"];
const STATE: &str = "examples/quickstart/.tokenform/sandbox";

fn quickstart() -> (Place, Ran) {
    let place = Place::example("quickstart");
    let ran = place.run(&APPLY).exits(0);
    (place, ran)
}

#[test]
fn every_action_occurs_and_the_next_plan_is_empty() {
    let place = Place::example("quickstart");
    let plan = place.run(&PLAN).exits(2);
    for count in [
        "2 to create",
        "4 to rotate",
        "4 to invalidate",
        "1 to deliver",
        "1 to lock",
        "1 to enable",
        "1 to disable",
        "1 to delete",
        "1 to unlock",
    ] {
        assert!(plan.stdout.contains(count), "{count} is not in\n{}", plan.stdout);
    }
    place.run(&APPLY).exits(0).says("Apply complete").says("live state matches the spec");
    place.run(&PLAN).exits(0).says("No changes. Live state matches the spec.");
}

#[test]
fn a_person_approves_with_the_exact_word() {
    let place = Place::example("quickstart");
    let args = ["apply", "examples/quickstart", "--sandbox"];
    for answer in ["no\n", "Yes\n", "y\n", "\n", " yes\n"] {
        place.run_at_terminal(&args, answer).exits(1).says("not approved");
    }
    place.run(&PLAN).exits(2);
    place.run_at_terminal(&args, "yes\n").exits(0).says("Apply complete");
}

#[test]
fn without_a_terminal_and_approval_nothing_is_even_read() {
    let place = Place::example("quickstart");
    place.run(&["apply", "examples/quickstart", "--sandbox"]).exits(1).says("--auto-approve");
    assert!(!place.path(STATE).exists());
}

#[test]
fn unknown_ages_of_a_new_state_are_not_approved_by_auto_approve_alone() {
    let place = Place::example("quickstart");
    place
        .run(&["apply", "examples/quickstart", "--sandbox", "--auto-approve"])
        .exits(3)
        .says("NEW STATE: no ledger at")
        .says("--new-state");
    assert!(mutations(&place).is_empty());
}

/// The requests on the tape that changed something, as `(effect, instance or owner)`.
fn mutations(place: &Place) -> Vec<(String, String)> {
    let text = |entry: &serde_json::Value, member: &str| entry[member].as_str().unwrap_or("").to_owned();
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let changed = tape.iter().filter(|entry| !text(entry, "effect").is_empty());
    changed.map(|entry| (text(entry, "effect"), text(entry, "instance"))).collect()
}

#[test]
fn no_lock_precedes_a_reset_of_its_instance_and_no_reset_its_unlock() {
    let (place, _) = quickstart();
    let seen = mutations(&place);
    let instances: BTreeSet<_> =
        seen.iter().map(|(_, instance)| instance).filter(|i| !i.is_empty()).collect();
    assert!(instances.len() >= 3, "{seen:?}");
    for instance in instances {
        let effects: Vec<_> = seen.iter().filter(|(_, i)| i == instance).map(|(e, _)| e.as_str()).collect();
        if let Some(lock) = effects.iter().position(|e| *e == "lock") {
            assert_eq!(lock + 1, effects.len(), "{effects:?}");
            assert_eq!(effects.iter().filter(|e| **e == "reset").count(), 3, "{effects:?}");
        }
        if let Some(unlock) = effects.iter().position(|e| *e == "unlock") {
            assert_eq!(unlock, 0, "{effects:?}");
            assert_eq!(effects.iter().filter(|e| **e == "reset").count(), 2, "{effects:?}");
        }
    }
}

#[test]
fn minted_secrets_are_in_their_destinations_and_nowhere_else() {
    let place = Place::example("quickstart");
    let mut said = String::new();
    for args in [
        vec!["plan", "examples/quickstart", "--sandbox", "-vv", "-o", "a.plan"],
        vec!["plan", "examples/quickstart", "--sandbox", "--format", "json"],
        vec!["apply", "a.plan", "--sandbox", "-vv"],
        vec!["status", "examples/quickstart", "--sandbox"],
        vec!["show", "a.plan", "--format", "json"],
        vec!["check", "a.plan"],
    ] {
        said.push_str(&place.run(&args).exits(0).all());
    }
    assert!(!said.contains(CANARY), "a secret was printed:\n{said}");
    let world = format!("{STATE}/world.yaml");
    let destinations: Vec<_> = ["grafana.json", "lab-token.txt", "ops-env.env", "release-json.json"]
        .iter()
        .map(|name| format!("{STATE}/destinations/{name}"))
        .collect();
    let mut expected = destinations.clone();
    expected.push(world);
    assert_eq!(place.files_with_canary(), expected);
    for path in destinations {
        assert_private(&place, &path);
    }
}

fn assert_private(place: &Place, inner: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(place.path(inner)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{inner}");
}

#[test]
fn what_is_delivered_is_what_the_vendor_has() {
    let (place, _) = quickstart();
    let world = place.read(&format!("{STATE}/world.yaml"));
    let raw = place.read(&format!("{STATE}/destinations/lab-token.txt"));
    assert!(world.contains(raw.as_str()), "the delivered value is not the live key");
    let release: serde_json::Value =
        serde_json::from_str(&place.read(&format!("{STATE}/destinations/release-json.json"))).unwrap();
    let id = release["access_id"].as_str().unwrap();
    assert!(world.contains(id) && !release["access_key"].as_str().unwrap().is_empty());
}

#[test]
fn a_guided_reset_waits_for_the_person() {
    let place = Place::example("guided");
    let args = ["apply", "examples/guided", "--sandbox", "--auto-approve"];
    place.run(&args).exits(3).says("guided").says("--guided wait");
    let mut waiting = args.to_vec();
    waiting.extend(["--guided", "wait"]);
    place.run(&waiting).exits(0).says("Reset Token").says("Apply complete");
}

#[test]
fn the_predecessor_waits_to_be_retired() {
    let (place, _) = quickstart();
    let plan = place.run(&["plan", "examples/quickstart", "--sandbox"]).exits(0);
    assert!(plan.stdout.contains("predecessor id 248"), "{}", plan.stdout);
    assert!(plan.stdout.contains("2026-11-23T10:"), "{}", plan.stdout);
}
