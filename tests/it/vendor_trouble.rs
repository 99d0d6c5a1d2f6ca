//! Whole runs while the vendors misbehave as the contracts record: what is repeated, what never is,
//! what is said. One small estate; each test adds its trouble to the world.

use crate::support::{Place, Ran};

const TAPE: &str = ".tokenform/sandbox/tape.jsonl";

/// One instance to lock, with two teams.
const IBM_SPEC: &str = "version: 1
ibm:
  prod:
    credential: { api_key: { env: K } }
    token_reset: { method: POST, path: /sandbox-invented/reset }
    instances:
      mon: { service: monitoring, external_api_auth: IAM_ONLY }
";

fn ibm(account: &str, instance: &str, faults: &str) -> Place {
    let place = Place::empty();
    place.write("tokens.yaml", IBM_SPEC);
    place.write(
        "w.world.yaml",
        &format!(
            "version: 1
clock: 2026-11-22T10:00:00Z
ibm:
  prod:
    token_reset: {{ method: POST, path: /sandbox-invented/reset }}
{account}    instances:
      mon:
        {instance}
        teams: {{ SRE: {{ id: 1, default: true }}, Ops: {{ id: 2 }} }}
faults: [ {faults} ]
"
        ),
    );
    place
}

const OPEN: &str = "parameters: { default_receiver: true, external_api_auth: ANY }";

/// One API token to create; `token` is what the spec wishes.
fn lm(portal: &str, tokens: &str, faults: &str) -> Place {
    let place = Place::empty();
    place.write(
        "tokens.yaml",
        &format!(
            "version: 1
logicmonitor:
  acme:
    account: acme
    credential: {{ lmv1: {{ access_id: {{ env: I }}, access_key: {{ env: K }} }} }}
    users: {{ svc: {{ {tokens} }} }}
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
{portal}    users:
      svc: {{ id: 32, api_tokens: [ {{ id: 5, note: old }}, {{ id: 6, note: gone }} ] }}
faults: [ {faults} ]
"
        ),
    );
    place
}

const CREATE: &str = "api_tokens: { ci: { deliver: [ { to: out, key: K, id_key: I } ] } }";
const BEARER: &str = "bearer_tokens: { otel: { deliver: [ { to: out, key: B } ] } }";

fn apply(place: &Place) -> Ran {
    place.run(&["apply", "tokens.yaml", "--sandbox", "--auto-approve", "--new-state"])
}

fn plan(place: &Place) -> Ran {
    place.run(&["plan", "tokens.yaml", "--sandbox"])
}

/// `METHOD effect` of every request that is no read and no login.
fn changes(place: &Place) -> Vec<String> {
    let tape = place.tape(TAPE);
    let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or("").to_owned();
    let changes = tape.iter().filter(|e| e["method"] != "GET" && e["path"] != "/identity/token");
    changes.map(|e| format!("{} {}", text(e, "method"), text(e, "effect")).trim_end().to_owned()).collect()
}

fn on(method: &str, path: &str, action: &str) -> String {
    format!("{{ on: {{ method: {method}, path: \"{path}\" }}, do: {action} }}")
}

fn count(place: &Place, path: &str) -> usize {
    place.tape(TAPE).iter().filter(|entry| entry["path"] == path).count()
}

#[test]
fn a_patch_whose_answer_is_lost_after_it_was_done_is_found_done() {
    for action in ["drop_after", "{ reply_after: { status: 503 } }", "{ reply_after: { status: 500 } }"] {
        let place = ibm("", OPEN, &on("PATCH", "/v2/*", action));
        apply(&place).exits(0);
        assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH lock"], "{action}");
    }
}

#[test]
fn a_patch_that_got_lost_is_looked_for_before_it_is_sent_again() {
    let place = ibm("", OPEN, &on("PATCH", "/v2/*", "drop_before"));
    apply(&place).exits(0).says("Apply complete");
    assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH", "PATCH lock"]);
    let tape = place.tape(TAPE);
    let patches: Vec<_> = (0..tape.len()).filter(|at| tape[*at]["method"] == "PATCH").collect();
    let between = &tape[patches[0] + 1..patches[1]];
    let looks = between.iter().filter(|e| e["path"].as_str().unwrap().starts_with("/v2/resource_instances/"));
    assert!(looks.count() > 2);
}

#[test]
fn a_patch_that_always_gets_lost_is_sent_so_often_and_no_more() {
    let lost = "{ on: { method: PATCH, path: \"/v2/*\", times: 0 }, do: drop_before }";
    let place = ibm("", OPEN, lost);
    apply(&place).exits(6).says("brought no reply");
    assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH", "PATCH", "PATCH"]);
    plan(&place).exits(0).says("1 to lock");
}

#[test]
fn a_brokers_permanent_failure_is_unwrapped_and_not_answered_with_the_same_patch_at_once() {
    for action in ["broker_502", "broker_400"] {
        let fault = format!("{{ on: {{ method: PATCH, path: \"/v2/*\", times: 0 }}, do: {action} }}");
        let place = ibm("", OPEN, &fault);
        apply(&place)
            .exits(6)
            .says("Cannot update default receiver")
            .says("[id b1946ac9-0000-4000-8000-000000000001]");
        let tape = place.tape(TAPE);
        let patches: Vec<_> = (0..tape.len()).filter(|at| tape[*at]["method"] == "PATCH").collect();
        for pair in patches.windows(2) {
            assert!(tape[pair[0] + 1..pair[1]].iter().any(|e| e["method"] == "GET"), "{action}");
        }
    }
}

#[test]
fn a_reset_whose_answer_is_lost_is_not_made_again() {
    let place = ibm("", OPEN, &on("POST", "/sandbox-invented/*", "drop_after"));
    apply(&place).exits(0);
    assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH lock"]);
    let place = ibm("", OPEN, &on("POST", "/sandbox-invented/*", "drop_before"));
    apply(&place).exits(6);
    assert_eq!(changes(&place), ["POST", "POST reset"], "no second try, and no lock without it");
}

#[test]
fn mutations_of_one_instance_are_half_a_second_apart() {
    let place = ibm("", OPEN, "");
    apply(&place).exits(0);
    let tape = place.tape(TAPE);
    let changes = tape.iter().filter(|e| e["method"] != "GET" && e["path"] != "/identity/token");
    let at: Vec<jiff::Timestamp> = changes.map(|e| e["at"].as_str().unwrap().parse().unwrap()).collect();
    for pair in at.windows(2) {
        assert!(pair[1].duration_since(pair[0]).as_millis() >= 500, "{pair:?}");
    }
    assert_eq!(at.len(), 3);
}

#[test]
fn an_expired_iam_token_is_renewed_once_and_only_reads_are_repeated() {
    let place = ibm("", OPEN, &on("GET", "/api/teams", "plain_text_401"));
    plan(&place).exits(0).says("1 to lock");
    assert_eq!(count(&place, "/identity/token"), 2);
    let place = ibm("", OPEN, &on("PATCH", "/v2/*", "{ reply: { status: 401 } }"));
    apply(&place).exits(6);
    assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH"], "a refused change is not repeated");
}

#[test]
fn a_login_page_is_not_followed() {
    let place = ibm("", OPEN, "{ on: { path: /api/teams, times: 0 }, do: login_redirect }");
    plan(&place).exits(1).says("a redirect to a login page").says("Check the endpoint");
    assert_eq!(count(&place, "/sandbox-login"), 0);
    assert_eq!(count(&place, "/api/teams"), 1);
}

#[test]
fn an_iam_that_is_busy_is_waited_for() {
    let place = ibm(
        "",
        OPEN,
        &on("POST", "/identity/token", "{ reply: { status: 429, headers: { Retry-After: \"7\" } } }"),
    );
    plan(&place).exits(0).says("the vendor's rate limit");
    assert_eq!(count(&place, "/identity/token"), 2);
}

#[test]
fn retry_after_zero_on_a_permanent_error_brings_no_second_request() {
    let fault = "{ on: { path: /v2/resource_instances, times: 0 }, do: { reply: { status: 404, headers: { Retry-After: \"0\" } } } }";
    let place = ibm("", OPEN, fault);
    plan(&place).exits(1).says("404");
    assert_eq!(count(&place, "/v2/resource_instances"), 1);
}

#[test]
fn a_refusal_of_any_status_under_iam_only_is_the_mode() {
    for status in [401, 403] {
        let account = format!("    sysdig: {{ refusal: {status} }}\n");
        let place = ibm(&account, "parameters: { external_api_auth: IAM_ONLY }", "");
        plan(&place).exits(0).says("No changes");
    }
}

#[test]
fn a_setting_that_is_not_shown_is_decided_by_the_probe() {
    let hidden = "{ iam_only: true, parameters: { default_receiver: true }".trim_start_matches("{ ");
    let locked = hidden.replace(", parameters", "\n        parameters");
    plan(&ibm("", &locked, "")).exits(0).says("No changes");
    let open = "parameters: { default_receiver: true }";
    plan(&ibm("", open, "")).exits(0).says("1 to lock");
}

#[test]
fn a_mode_that_nobody_knows_is_shown_and_not_planned_over() {
    let place = ibm("", "parameters: { external_api_auth: any }", "");
    plan(&place).exits(1).says("tokenform::ibm::unknown_auth_mode").says("`any`");
    let conflict = "iam_only: false\n        parameters: { external_api_auth: IAM_ONLY }";
    plan(&ibm("", conflict, "")).exits(1).says("tokenform::ibm::mode_conflict");
}

#[test]
fn another_writer_between_plan_and_patch_stops_the_lock() {
    let meddle =
        "{ meddle: { parameters: { connection: prod, instance: mon, set: { default_receiver: false } } } }";
    let place = ibm("", OPEN, &on("POST", "/sandbox-invented/*", meddle));
    apply(&place).exits(6).says("moved since the plan was made");
    assert_eq!(changes(&place), ["POST reset", "POST reset"], "no PATCH over another's change");
}

#[test]
fn another_writer_while_a_throttled_patch_waits_stops_the_lock() {
    let meddle =
        "{ meddle: { parameters: { connection: prod, instance: mon, set: { default_receiver: false } } } }";
    let throttled = on("PATCH", "/v2/*", "{ reply: { status: 429, body: '{}' } }");
    // The first read of the instance is right before the PATCH, the second after its window.
    let written =
        format!("{{ on: {{ method: GET, path: '/v2/resource_instances/*', nth: 2 }}, do: {meddle} }}");
    let place = ibm("", OPEN, &format!("{throttled}, {written}"));
    apply(&place).exits(6).says("another writer?");
    assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH"], "no PATCH over another's change");
    let place = ibm("", OPEN, &throttled);
    apply(&place).exits(0);
    assert_eq!(changes(&place), ["POST reset", "POST reset", "PATCH", "PATCH lock"]);
}

#[test]
fn a_locked_instance_is_refused_at_plan() {
    let place = ibm("", &format!("locked: true\n        {OPEN}"), "");
    plan(&place).exits(3).says("tokenform::plan::not_writable").says("locked");
}

#[test]
fn a_create_whose_answer_is_lost_leaves_one_token() {
    let place = lm("", CREATE, &on("POST", "/santaba/rest/*", "drop_after"));
    apply(&place).exits(0);
    assert_eq!(changes(&place), ["POST create", "DELETE delete", "POST create"]);
    let place = lm("", CREATE, &on("POST", "/santaba/rest/*", "html503"));
    apply(&place).exits(0);
    assert_eq!(changes(&place), ["POST", "POST create"]);
}

#[test]
fn a_throttled_create_waits_the_window_and_says_so() {
    let place = lm("", CREATE, &on("POST", "/santaba/rest/*", "{ throttle: { window: 90s } }"));
    apply(&place).exits(0).says("the vendor's rate limit").says("waiting 90s");
    assert_eq!(changes(&place), ["POST", "POST create"]);
}

#[test]
fn status_and_delete_are_settled_by_the_list() {
    for (wish, method, effect) in
        [("old: { status: disabled }", "PATCH", "patch"), ("gone: { status: absent }", "DELETE", "delete")]
    {
        let place =
            lm("", &format!("api_tokens: {{ {wish} }}"), &on(method, "/santaba/rest/*", "drop_after"));
        apply(&place).exits(0);
        assert_eq!(changes(&place), [format!("{method} {effect}")]);
    }
}

#[test]
fn a_portal_without_bearer_tokens_is_told_and_nothing_else_is_made_instead() {
    for (rule, says) in [
        ("unlicensed", "may not be available on this portal"),
        ("ignored", "it is an API token and a bearer token was asked for"),
    ] {
        let place = lm(&format!("    bearer: {rule}\n"), BEARER, "");
        apply(&place).exits(6).says(says);
        let made = changes(&place);
        let left = made.iter().filter(|c| *c == "POST create").count()
            - made.iter().filter(|c| *c == "DELETE delete").count();
        assert_eq!(left, 0, "{rule}: {made:?}");
        assert!(!place.path(".tokenform/sandbox/destinations/out.env").exists());
    }
}

#[test]
fn a_new_token_may_need_time_and_one_that_never_works_is_taken_back() {
    let lm = |portal: &str| {
        let place = lm(&format!("    caller: boss\n    roles: {{ manager: manage }}\n{portal}"), CREATE, "");
        let boss = "      boss: { id: 41, roles: [manager], api_tokens: [ { created_on: 2026-01-01T00:00:00Z } ] }\n";
        let world = place.read("w.world.yaml").replace("    users:\n", &format!("    users:\n{boss}"));
        place.write("w.world.yaml", &world);
        place
    };
    let place = lm("    new_tokens_work_after: 5s\n");
    apply(&place).exits(0);
    assert_eq!(changes(&place), ["POST create"]);
    let place = lm("    new_tokens_work_after: 1h\n");
    apply(&place).exits(6).says("the new token was deleted again");
    assert_eq!(changes(&place), ["POST create", "DELETE delete"]);
    let tries = place.tape(TAPE).iter().filter(|e| e["status"] == 401).count();
    assert_eq!(tries, 3, "failures count towards a lock");
}

#[test]
fn reads_outlive_an_upgrade_and_errors_inside_a_success() {
    for action in ["html503", "error_in_200"] {
        let place = lm("", CREATE, &on("GET", "/santaba/rest/setting/admins", action));
        plan(&place).exits(0).says("1 to create").says("no usable answer yet");
        assert_eq!(count(&place, "/santaba/rest/setting/admins"), 2);
    }
}

#[test]
fn an_answer_of_api_v1_is_no_answer() {
    let place = lm("", CREATE, "{ on: { path: \"/santaba/rest/*\", times: 0 }, do: v1 }");
    plan(&place).exits(1).says("as API v1").says("X-Version");
}

#[test]
fn an_owner_who_may_not_hold_tokens_is_refused_at_plan() {
    for user in ["status: suspended", "roles: [administrator]"] {
        let place = lm("", CREATE, "");
        let world = place.read("w.world.yaml").replace("id: 32,", &format!("id: 32, {user},"));
        place.write("w.world.yaml", &world);
        plan(&place).exits(3).says("tokenform::plan::owner_refused");
    }
}

/// Ten pages at five calls a minute: none of them may be refused, and the waits are told.
#[test]
fn a_tight_limit_is_kept_instead_of_hit() {
    let place = lm("    limits: { default: { limit: 5, window: 60s } }\n", CREATE, "");
    let tokens: String = (0..9_990).map(|id| format!("{{ id: {} }},", id + 100)).collect();
    let world = place.read("w.world.yaml").replace(
        "    users:\n",
        &format!("    users:\n      many: {{ id: 40, api_tokens: [ {tokens} ] }}\n"),
    );
    place.write("w.world.yaml", &world);
    plan(&place).exits(0).says("keeping below the rate limit");
    let tape = place.tape(TAPE);
    assert_eq!(tape.iter().filter(|e| e["path"] == "/santaba/rest/setting/admins/apitokens").count(), 11);
    assert!(tape.iter().all(|e| e["status"] != 429), "a limit was hit");
}

#[test]
fn a_server_that_knows_the_older_name_of_who_am_i_alone_is_understood() {
    let fault = "{ on: { path: /api/users/me, times: 0 }, do: { reply: { status: 404 } } }";
    let place = ibm("", OPEN, fault);
    apply(&place).exits(0).says("Apply complete");
    assert!(count(&place, "/api/user/me") > 2);
}

#[test]
fn a_lock_names_who_breaks_and_warns_of_a_connected_instance() {
    let connected =
        "parameters: { workload_protection_connected_instance: \"crn:x\", external_api_auth: ANY }";
    plan(&ibm("", connected, ""))
        .exits(0)
        .says("everything that authenticates with an API token stops")
        .says("connected to an instance of the other service");
    let alone = plan(&ibm("", OPEN, "")).exits(0);
    assert!(!alone.all().contains("connected to an instance"));
}

#[test]
fn a_rotation_wished_of_a_locked_instance_is_refused() {
    let place = ibm("", "parameters: { external_api_auth: IAM_ONLY }", "");
    let wish = "mon: { service: monitoring, teams: { SRE: { token: { rotate: { max_age: 90d }, deliver: [ { to: out, key: K } ] } } } }";
    let spec = IBM_SPEC.replace("mon: { service: monitoring, external_api_auth: IAM_ONLY }", wish);
    place.write(
        "tokens.yaml",
        &format!("{spec}destinations: {{ out: {{ file: {{ path: o.env, format: dotenv }} }} }}\n"),
    );
    plan(&place).exits(3).says("tokenform::ibm::locked_out");
}
