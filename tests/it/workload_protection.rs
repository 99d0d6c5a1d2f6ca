//! `external_api_auth` on Workload Protection: undocumented, so it is accepted by hand, proved by the
//! probe, and put back where the probe disagrees (contract ibm 4.4).

use crate::support::{Place, Ran};

const STATE: &str = ".tokenform/sandbox";

/// A spec with one instance, and a world whose instance is `instance` in an account with `account`.
fn place(accept: &str, mode: &str, account: &str, instance: &str) -> Place {
    let place = Place::empty();
    place.write(
        "tokens.yaml",
        &format!(
            "version: 1
ibm:
  prod:
    credential: {{ api_key: {{ env: K }} }}
    token_reset: {{ method: POST, path: /sandbox-invented/api/token/reset }}
    instances:
      wp-prod:
        service: workload-protection
        region: us-south
        external_api_auth: {mode}
{accept}        teams: {{ Secure Operations: {{}} }}
"
        ),
    );
    place.write(
        "wp.world.yaml",
        &format!(
            "version: 1
clock: 2026-11-22T10:00:00Z
ibm:
  prod:
    token_reset: {{ method: POST, path: /sandbox-invented/api/token/reset }}
{account}    instances:
      wp-prod:
        service: workload-protection
        region: us-south
{instance}        teams:
          Secure Operations: {{ id: 13001, default: true, immutable: true }}
          Blue: {{ id: 13002 }}
"
        ),
    );
    place
}

const ACCEPT: &str = "        accept_unverified: true\n";
const OPEN: &str = "        parameters: { enable_cspm: true, target_accounts: [ { account_id: a1 } ], external_api_auth: ANY }\n";
const DEAF: &str = "        ignores_external_api_auth: true\n";

fn apply(place: &Place) -> Ran {
    place.run(&["apply", "tokens.yaml", "--sandbox", "--auto-approve", "--new-state"])
}

/// The bodies of all PATCHes.
fn patches(place: &Place) -> Vec<serde_json::Value> {
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let patches = tape.iter().filter(|entry| entry["method"] == "PATCH");
    patches.map(|entry| serde_json::from_str(entry["body"].as_str().unwrap()).unwrap()).collect()
}

fn parameters(auth: &str) -> serde_json::Value {
    serde_json::json!({ "parameters": {
        "enable_cspm": true, "target_accounts": [ { "account_id": "a1" } ], "external_api_auth": auth
    } })
}

#[test]
fn without_the_acceptance_nothing_is_planned() {
    for mode in ["IAM_ONLY", "ANY"] {
        let place = place("", mode, "", OPEN);
        place.run(&["plan", "tokens.yaml", "--sandbox"]).exits(3).says("tokenform::ibm::accept_unverified");
        apply(&place).exits(3).says("accept_unverified: true");
        assert!(patches(&place).is_empty());
    }
}

#[test]
fn a_lock_that_the_probe_confirms_stands() {
    let place = place(ACCEPT, "IAM_ONLY", "", OPEN);
    apply(&place).exits(0).says("Apply complete");
    assert_eq!(patches(&place), [parameters("IAM_ONLY")]);
    place.run(&["plan", "tokens.yaml", "--sandbox", "--detailed-exitcode"]).exits(0).says("No changes");
}

#[test]
fn a_lock_that_takes_effect_within_a_minute_stands() {
    let place = place(ACCEPT, "IAM_ONLY", "    update: { enforced_after: 40s }\n", OPEN);
    apply(&place).exits(0).says("Apply complete");
    assert_eq!(patches(&place), [parameters("IAM_ONLY")]);
}

#[test]
fn a_lock_without_effect_is_put_back_and_fails() {
    let late = "    update: { enforced_after: 3m }\n";
    for (account, instance) in [("", format!("{OPEN}{DEAF}")), (late, OPEN.to_owned())] {
        let place = place(ACCEPT, "IAM_ONLY", account, &instance);
        apply(&place)
            .exits(6)
            .says("tokens can still be read")
            .says("the earlier parameters were put back")
            .says("tokenform::ibm::mode_unconfirmed");
        assert_eq!(patches(&place), [parameters("IAM_ONLY"), parameters("ANY")]);
        // Nothing is in doubt, and the wish is still open.
        place.run(&["status", "tokens.yaml", "--sandbox"]).exits(0);
        place.run(&["plan", "tokens.yaml", "--sandbox", "--detailed-exitcode"]).exits(2).says("1 to lock");
    }
}

#[test]
fn a_missing_setting_is_put_back_as_any() {
    let place = place(ACCEPT, "IAM_ONLY", "", DEAF);
    apply(&place).exits(6).says("the earlier parameters were put back");
    let sent = |auth: &str| serde_json::json!({ "parameters": { "external_api_auth": auth } });
    assert_eq!(patches(&place), [sent("IAM_ONLY"), sent("ANY")]);
}

#[test]
fn an_asynchronous_update_is_waited_for_both_ways() {
    let place = place(ACCEPT, "IAM_ONLY", "    update: { async_polls: 2 }\n", &format!("{OPEN}{DEAF}"));
    apply(&place).exits(6).says("the earlier parameters were put back");
    assert_eq!(patches(&place), [parameters("IAM_ONLY"), parameters("ANY")]);
}

#[test]
fn a_failed_return_is_told_and_stays_in_doubt() {
    let place = place(ACCEPT, "IAM_ONLY", "", &format!("{OPEN}{DEAF}"));
    let world = place.read("wp.world.yaml");
    let fault = "faults: [ { on: { method: PATCH, path: \"/v2/*\", nth: 2, times: 0 }, do: broker_502 } ]\n";
    place.write("wp.world.yaml", &format!("{world}{fault}"));
    apply(&place)
        .exits(6)
        .says("putting the earlier parameters back failed")
        .says("Cannot update default receiver");
    // Sent once: a broker's failure is never answered with the same PATCH.
    assert_eq!(patches(&place).len(), 2);
}

#[test]
fn an_unlock_is_proved_and_followed_by_resets() {
    let locked = "        parameters: { external_api_auth: IAM_ONLY }\n";
    let place = place(ACCEPT, "ANY", "", locked);
    apply(&place).exits(0).says("Apply complete");
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let effects: Vec<_> =
        tape.iter().filter_map(|e| e["effect"].as_str().filter(|e| !e.is_empty())).collect();
    assert_eq!(effects, ["unlock", "reset", "reset"]);
}
