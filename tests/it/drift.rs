//! What others change behind tokenform's back is told as drift, and mended as the spec says.

use crate::support::{Place, Ran};

const SPEC: &str = "\
version: 1
ibm:
  prod:
    credential: { api_key: { env: K } }
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      locked: { service: monitoring, external_api_auth: IAM_ONLY }
      open:
        service: monitoring
        external_api_auth: ANY
        teams:
          SRE: { token: { rotate: { max_age: 90d }, deliver: [ { to: out, key: SRE } ] } }
logicmonitor:
  acme:
    account: acme
    credential: { lmv1: { access_id: { env: I }, access_key: { env: K } } }
    users:
      svc:
        api_tokens:
          idle: { status: enabled }
          busy: { status: enabled }
          fresh: { status: enabled, rotate: { max_age: 90d }, deliver: [ { to: out, key: FRESH } ] }
destinations: { out: { file: { path: out.env, format: dotenv } } }
";

const WORLD: &str = "\
version: 1
clock: 2026-11-22T10:00:00Z
ibm:
  prod:
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      locked: { guid: 11111111-1111-4111-8111-111111111111, parameters: { external_api_auth: ANY }, teams: { Ops: { id: 1 }, Dev: { id: 2 } } }
      open: { guid: 22222222-2222-4222-8222-222222222222, parameters: { external_api_auth: ANY }, teams: { SRE: { id: 11 } } }
logicmonitor:
  acme:
    token_disabled_days: 60
    users:
      svc:
        id: 32
        api_tokens:
          - { id: 5, note: idle, status: disabled, created_on: 2026-11-01T00:00:00Z }
          - { id: 6, note: busy, status: disabled, created_on: 2026-11-01T00:00:00Z }
";

const STATE: &str = "spec/.tokenform/sandbox";

/// A state in which everything is as the spec wants it.
fn settled() -> Place {
    let place = Place::empty();
    place.write("spec/tokens.yaml", SPEC);
    place.write("spec/w.world.yaml", WORLD);
    place.run(&["apply", "spec", "--sandbox", "--auto-approve", "--new-state"]).exits(0);
    place
}

/// What somebody did to the kept world, and how much time has gone by since.
fn meddle(place: &Place, change: impl Fn(&mut serde_json::Value)) {
    let path = format!("{STATE}/world.yaml");
    let mut world: serde_json::Value = serde_yaml::from_str(&place.read(&path)).unwrap();
    change(&mut world);
    place.write(&path, &serde_yaml::to_string(&world).unwrap());
}

fn plan(place: &Place) -> Ran {
    place.run(&["plan", "spec", "--sandbox", "--detailed-exitcode"])
}

#[test]
fn nothing_is_drift_right_after_an_apply() {
    let place = settled();
    let ran = plan(&place).exits(0);
    assert!(!ran.stdout.contains("outside"), "{}", ran.stdout);
}

#[test]
fn a_lock_that_was_taken_off_in_the_console_is_drift_and_is_set_again() {
    let place = settled();
    meddle(&place, |world| {
        let instance = &mut world["ibm"]["prod"]["instances"]["locked"];
        instance["parameters"]["external_api_auth"] = "ANY".into();
        instance.as_object_mut().unwrap().remove("iam_only");
    });
    plan(&place)
        .exits(2)
        .says("warning[tokenform::plan::mode_changed_outside]")
        .says("was set to IAM_ONLY by tokenform at 2026-11-22T10:")
        .says("drift: changed outside since tokenform set it; the spec wants IAM tokens alone")
        .says("2 to invalidate");
    let json = place.run(&["plan", "spec", "--sandbox", "--format", "json"]).exits(0);
    assert!(json.stdout.contains("\"tokenform::plan::mode_changed_outside\""));
    place.run(&["apply", "spec", "--sandbox", "--auto-approve"]).exits(0);
    plan(&place).exits(0);
}

#[test]
fn a_team_made_after_the_lock_is_told_and_changes_nothing() {
    let place = settled();
    meddle(&place, |world| {
        let teams = &mut world["ibm"]["prod"]["instances"]["locked"]["teams"];
        teams["Late"] = teams["Dev"].clone();
        teams["Late"]["id"] = 3.into();
        teams["Ops renamed"] = teams["Ops"].clone();
        teams.as_object_mut().unwrap().remove("Ops");
    });
    let ran = plan(&place)
        .exits(0)
        .says("info[tokenform::plan::team_after_lock]")
        .says("team Late (id 3) appeared after");
    assert!(!ran.stdout.contains("Ops renamed"), "{}", ran.stdout);
}

#[test]
fn a_key_reset_in_the_console_is_brought_to_where_the_dead_one_is() {
    let place = settled();
    let key = "3f0c2b1a-9d8e-4c7b-8a69-tfcanary0000";
    meddle(&place, |world| {
        world["ibm"]["prod"]["instances"]["open"]["teams"]["SRE"]["key"] = key.into();
        world["ahead"] = "10d".into();
    });
    plan(&place)
        .exits(2)
        .says("warning[tokenform::plan::key_changed_outside]")
        .says("out#SRE may hold a dead value")
        .says("1 to deliver");
    place.run(&["apply", "spec", "--sandbox", "--auto-approve"]).exits(0);
    assert!(place.read(&format!("{STATE}/destinations/out.env")).contains(key));
    plan(&place).exits(0);
    let ages = place.run(&["plan", "spec", "--sandbox", "-v"]).exits(0);
    let ages = ages.says("age unknown: issued outside tokenform after 2026-11-22T10:").says("due in 80d");
    ages.says("api_token[\"fresh\"]: due in 80d");
}

#[test]
fn a_token_disabled_by_the_portal_is_told_from_one_that_a_person_disabled() {
    let place = settled();
    meddle(&place, |world| {
        let tokens = &mut world["logicmonitor"]["acme"]["users"]["svc"]["api_tokens"];
        tokens[1]["last_used_on"] = "2027-01-20T10:00:00Z".into();
        tokens[1]["status"] = "disabled".into();
        tokens[2]["last_used_on"] = "2027-01-24T10:00:00Z".into();
        world["ahead"] = "70d".into();
    });
    plan(&place)
        .exits(2)
        .says("unused for 91d, and the portal disables after 60d")
        .says("by a person: the portal's inactivity rule does not reach it");
}

#[test]
fn a_token_made_by_hand_since_the_last_apply_is_told() {
    let place = settled();
    meddle(&place, |world| {
        let tokens = world["logicmonitor"]["acme"]["users"]["svc"]["api_tokens"].as_array_mut().unwrap();
        let made = serde_json::json!({ "id": 900, "note": "quick test", "created_on": "2026-11-25T00:00:00Z", "created_by": "alice", "access_id": "x", "key": "y" });
        tokens.push(made);
        world["ahead"] = "5d".into();
    });
    plan(&place)
        .exits(0)
        .says("warning[tokenform::plan::made_outside]")
        .says("id 900 (API token \"quick test\", created by alice at 2026-11-25T00:00:00Z)");
}

#[test]
fn a_token_that_the_portal_will_soon_disable_is_told() {
    let place = settled();
    meddle(&place, |world| world["ahead"] = "35d".into());
    plan(&place).says("warning[tokenform::plan::inactive_soon]").says("the portal disables it at 2026-12-");
}

/// Gives what stands under a key of a map another key.
fn rename(map: &mut serde_json::Value, from: &str, to: &str) {
    let map = map.as_object_mut().unwrap();
    let value = map.remove(from).unwrap();
    map.insert(to.to_owned(), value);
}

#[test]
fn what_has_another_name_now_is_known_by_its_id_and_the_line_to_change_is_named() {
    let place = settled();
    meddle(&place, |world| rename(&mut world["ibm"]["prod"]["instances"]["open"]["teams"], "SRE", "Site"));
    plan(&place)
        .exits(3)
        .says("tokenform::plan::renamed")
        .says("the team that the ledger knows as `SRE` (id: 11) is named `Site` now")
        .says("spec/tokens.yaml:12: write `Site` in the spec, or pin it with `id: 11`");
    meddle(&place, |world| rename(&mut world["ibm"]["prod"]["instances"]["open"]["teams"], "Site", "SRE"));
    for (from, to) in [("open", "opened"), ("locked", "closed")] {
        meddle(&place, |world| rename(&mut world["ibm"]["prod"]["instances"], from, to));
    }
    meddle(&place, |world| rename(&mut world["logicmonitor"]["acme"]["users"], "svc", "svc-2"));
    let told = plan(&place).exits(3);
    for words in [
        "the instance that the ledger knows as `open` (guid: ",
        "is named `opened` now",
        "is named `closed` now",
        "the user that the ledger knows as `svc` (id: ",
        "spec/tokens.yaml:7: write `closed` in the spec",
        "spec/tokens.yaml:18: write `svc-2` in the spec",
    ] {
        assert!(told.all().replace("\n  \u{2502} ", " ").contains(words), "{words}: {}", told.all());
    }
    let renamed = SPEC.replace("      open:", "      opened:").replace("      locked:", "      closed:");
    place.write("spec/tokens.yaml", &renamed.replace("      svc:", "      svc-2:"));
    let plan = plan(&place);
    assert!(!plan.all().contains("renamed"), "{}", plan.all());
}
