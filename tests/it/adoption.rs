//! A portal that grew by hand, taken over: nothing changes that the spec does not ask for, what is not
//! clear is asked, and a rotation that went to the wrong place is mended before the old token is gone.

use serde_json::Value;

use crate::support::{Place, Ran};

/// Duplicates, a stale one, one that the portal has disabled, one without a note, one of the other kind.
const WORLD: &str = "\
version: 1
clock: 2026-11-22T10:00:00Z
logicmonitor:
  acme:
    token_disabled_days: 180
    users:
      svc-ci:
        id: 32
        api_tokens:
          - { id: 401, note: deploy, created_on: 2025-10-01T08:00:00Z, created_by: alice, last_used_on: 2026-11-22T09:00:00Z, last_auth_ip: 203.0.113.7 }
          - { id: 402, note: deploy, created_on: 2026-08-01T08:00:00Z, created_by: bob }
          - { id: 403, note: nightly, created_on: 2025-10-01T08:00:00Z, status: disabled, last_used_on: 2025-12-01T08:00:00Z }
          - { id: 404, note: legacy, created_on: 2026-07-01T08:00:00Z }
          - { id: 405, note: '', created_on: 2026-08-01T08:00:00Z }
          - { id: 406, note: 'deploy ', created_on: 2026-08-01T08:00:00Z }
        bearer_tokens:
          - { id: 407, note: deploy, created_on: 2026-08-01T08:00:00Z }
";

const STATE: &str = "spec/.tokenform/sandbox";

fn spec(tokens: &str) -> String {
    format!(
        "\
version: 1
logicmonitor:
  acme:
    account: acme
    credential: {{ lmv1: {{ access_id: {{ env: I }}, access_key: {{ env: K }} }} }}
    users:
      svc-ci:
        api_tokens:
{tokens}destinations:
  prod: {{ file: {{ path: prod.json, format: json }} }}
  staging: {{ file: {{ path: staging.json, format: json }} }}
"
    )
}

fn place(tokens: &str) -> Place {
    let place = Place::empty();
    place.write("spec/w.world.yaml", WORLD);
    place.write("spec/tokens.yaml", &spec(tokens));
    place
}

fn run(place: &Place, days: u32, args: &[&str]) -> Ran {
    let mut command = place.command(&[args, &["--sandbox"]].concat());
    command.env("TOKENFORM_CLOCK_OFFSET", format!("{days}d")).output().unwrap().into()
}

fn apply(place: &Place, days: u32) -> Ran {
    run(place, days, &["apply", "spec", "--auto-approve", "--new-state"])
}

fn plan(place: &Place, days: u32) -> Ran {
    run(place, days, &["plan", "spec", "--detailed-exitcode"])
}

fn meddle(place: &Place, change: impl Fn(&mut Value)) {
    let path = format!("{STATE}/world.yaml");
    let mut world: Value = serde_yaml::from_str(&place.read(&path)).unwrap();
    change(&mut world);
    place.write(&path, &serde_yaml::to_string(&world).unwrap());
}

fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let effects = tape.iter().map(|entry| entry["effect"].as_str().unwrap().to_owned());
    effects.filter(|effect| !effect.is_empty()).collect()
}

/// Ids of the owner's live tokens with their status.
fn live(place: &Place) -> Vec<(u64, String)> {
    let world: Value = serde_yaml::from_str(&place.read(&format!("{STATE}/world.yaml"))).unwrap();
    let tokens = world["logicmonitor"]["acme"]["users"]["svc-ci"]["api_tokens"].as_array().unwrap();
    tokens.iter().map(|t| (t["id"].as_u64().unwrap(), t["status"].as_str().unwrap().to_owned())).collect()
}

fn status(place: &Place, id: u64) -> Option<String> {
    live(place).into_iter().find(|(own, _)| *own == id).map(|(_, status)| status)
}

fn enabled(place: &Place, ids: &[u64]) -> Vec<u64> {
    ids.iter().copied().filter(|id| status(place, *id).as_deref() == Some("enabled")).collect()
}

/// A consumer uses a token, by this instant.
fn used(place: &Place, id: u64, at: &str) {
    meddle(place, |world| {
        let tokens = &mut world["logicmonitor"]["acme"]["users"]["svc-ci"]["api_tokens"];
        let token = tokens.as_array_mut().unwrap().iter_mut().find(|token| token["id"] == id).unwrap();
        token["last_used_on"] = at.into();
        token["last_auth_ip"] = "203.0.113.7".into();
    });
}

const DEPLOY: &str = "logicmonitor.acme.svc-ci.api_token[\"deploy\"]";

/// The wish for `deploy` with one destination.
fn rotated(to: &str) -> String {
    format!(
        "          deploy: {{ id: 401, status: enabled, rotate: {{ max_age: 90d }}, deliver: [ {{ to: {to}, key: KEY, id_key: ID }} ] }}\n"
    )
}

#[test]
fn duplicates_are_listed_with_what_tells_them_apart_and_a_pin_decides() {
    let place = place("          deploy: { status: enabled }\n          nightly: {}\n");
    plan(&place, 0)
        .exits(1)
        .says("error[tokenform::plan::ambiguous]")
        .says("id 401 (enabled, note \"deploy\", made 417d ago by alice, last used 1h ago from 203.0.113.7)")
        .says("id 402 (enabled, note \"deploy\", made 113d ago by bob, never used)")
        .says("Pin one with `id:`.");
    place.write(
        "spec/tokens.yaml",
        &spec("          deploy: { id: 401, status: enabled }\n          nightly: {}\n"),
    );
    apply(&place, 0).exits(0).says("No changes.");
    plan(&place, 0).exits(0).says("No changes.");
    assert!(effects(&place).is_empty(), "taking over has changed something");
}

#[test]
fn everything_declared_is_rotated_and_what_is_not_stays_as_it_was() {
    let place = place(&rotated("prod"));
    apply(&place, 0).exits(0).says("1 to rotate");
    assert_eq!(enabled(&place, &[401, 402, 404, 405, 406, 410]), [401, 402, 404, 405, 406, 410]);
    // the old one is in use until the consumer has read its new value
    used(&place, 401, "2026-11-23T22:00:00Z");
    plan(&place, 2).exits(0).says("id 401 was last used 12h ago").says("No changes.");
    apply(&place, 3).exits(0).says("1 to disable");
    assert_eq!(status(&place, 401).as_deref(), Some("disabled"));
    plan(&place, 9).exits(0).says("no failed request by its access id so far");
    apply(&place, 10).exits(0).says("1 to delete");
    assert_eq!(enabled(&place, &[401, 402, 404, 405, 406, 410]), [402, 404, 405, 406, 410]);
    // the pin still names what it named
    plan(&place, 11).exits(0).says("No changes.");
}

#[test]
fn a_value_that_went_to_the_wrong_place_is_mended_by_another_one() {
    let place = place(&rotated("staging"));
    apply(&place, 0).exits(0).says("delivered to staging#KEY");
    // production goes on with the old token: it is never idle, so it is never disabled
    for (days, at) in [(2, "2026-11-24T09:00:00Z"), (30, "2026-12-22T09:00:00Z")] {
        used(&place, 401, at);
        apply(&place, days)
            .exits(0)
            .says("No changes.")
            .says("to be disabled, when")
            .says("id 401 was last used 1h ago");
    }
    // the spec is mended; even an idle old token stays until the right place has the new value
    place.write("spec/tokens.yaml", &spec(&rotated("prod")));
    apply(&place, 35)
        .exits(0)
        .says("No changes.")
        .says("it stays until consumers use id 410: prod#KEY does not have it")
        .says(&format!(
            "prod#KEY does not have this token; fed at the next rotation; now: `plan --rotate '{DEPLOY}'`"
        ));
    run(&place, 35, &["apply", "spec", "--auto-approve", "--rotate", DEPLOY])
        .exits(0)
        .says("1 to rotate")
        .says("delivered to prod#KEY");
    assert_eq!(enabled(&place, &[401, 410, 411]), [401, 410, 411]);
    // asked again, it has what it needs: the older generations are retired first
    run(&place, 35, &["plan", "spec", "--rotate", DEPLOY])
        .exits(3)
        .says("its predecessor is not retired yet");
    // production has read it; both old ones are disabled, and deleted oldest first
    apply(&place, 37).exits(0).says("Apply complete: 2 done.");
    assert_eq!(enabled(&place, &[401, 410, 411]), [411]);
    apply(&place, 45).exits(0);
    apply(&place, 46).exits(0);
    assert_eq!([401, 410, 411].map(|id| status(&place, id).is_some()), [false, false, true]);
}

#[test]
fn a_wrong_new_token_that_is_deleted_by_hand_leaves_the_old_one_in_its_place() {
    let place = place(&rotated("staging"));
    apply(&place, 0).exits(0).says("delivered to staging#KEY");
    meddle(&place, |world| {
        let tokens = &mut world["logicmonitor"]["acme"]["users"]["svc-ci"]["api_tokens"];
        tokens.as_array_mut().unwrap().retain(|token| token["id"] != 410);
    });
    place.write("spec/tokens.yaml", &spec(&rotated("prod")));
    apply(&place, 1)
        .exits(0)
        .says("token = id 401 (enabled) -> (known after apply)")
        .says("delivered to prod#KEY");
    assert_eq!(enabled(&place, &[401, 410, 411]), [401, 411]);
}
