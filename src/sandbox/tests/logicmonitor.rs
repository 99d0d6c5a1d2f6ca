//! A portal.

use super::*;

const WORLD: &str = "
logicmonitor:
  acme:
    users:
      svc-ci:
        id: 32
        roles: [ci-readonly]
        api_tokens:
          - { id: 248, note: ci-deploy, created_on: 2026-08-01T00:00:00Z }
          - { id: 249, note: 'old, \"q\"', status: disabled }
        bearer_tokens:
          - { id: 250, note: otel }
      boss: { id: 33, roles: [administrator] }
      lmsupport: { id: 34 }
      gone: { id: 35, status: suspended, api_tokens: [ { id: 260 } ] }
";

fn notes(got: &Got) -> Vec<String> {
    got.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["note"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn signature_and_time_are_checked_over_the_raw_bytes() {
    let bench = Bench::new(WORLD);
    let (id, key, _) = bench.lm_credential();
    let target = "/santaba/rest/setting/admins/32/apitokens?x=1";
    let post = |auth: &str, body: &str| {
        bench.send("POST", target, &[("Authorization", auth), ("X-version", "3")], body)
    };
    let body = "{\"note\": \"Zürich ✓\" , \"status\":2}";
    let skewed = |ms| bench.signed(&id, &key, "POST", target, body, ms);
    assert_eq!(post(&skewed(0), body).status, 200);
    assert_eq!(post(&skewed(-1_800_000), body).status, 200);
    let late = post(&skewed(1_800_001), body);
    assert_eq!((late.status, &late.json()["errorCode"]), (401, &1401.into()));
    assert_eq!(late.header("date"), "Sun, 22 Nov 2026 10:00:00 GMT");
    assert_eq!(post(&skewed(0), &body.replace(" ,", ",")).status, 401);
    assert_eq!(post("LMv1 x", body).status, 401);
    assert_eq!(post("Basic eDp5", body).status, 401);
}

#[test]
fn the_list_of_all_tokens_may_follow_later_than_that_of_a_user() {
    let bench = Bench::new(&WORLD.replace("  acme:\n", "  acme:\n    token_list_lag: 20s\n"));
    let seen = |path: &str| notes(&bench.lm("GET", path, "")).contains(&"late".to_owned());
    let pass = |seconds| bench.sandbox.clock().advance(Duration::from_secs(seconds));
    bench.lm("POST", "/admins/32/apitokens", r#"{"note":"late"}"#);
    assert!(seen("/admins/32/apitokens") && !seen("/admins/apitokens"));
    pass(19);
    bench.lm("PATCH", "/admins/32/apitokens/248", r#"{"note":"later"}"#);
    assert!(!seen("/admins/apitokens"));
    pass(1);
    let all = notes(&bench.lm("GET", "/admins/apitokens", ""));
    assert!(all.contains(&"late".to_owned()) && !all.contains(&"later".to_owned()));
    pass(19);
    assert!(
        seen("/admins/apitokens")
            && !notes(&bench.lm("GET", "/admins/apitokens", "")).contains(&"ci-deploy".to_owned())
    );
}

#[test]
fn a_list_is_of_lmv1_tokens_unless_bearer_is_asked_for() {
    let bench = Bench::new(WORLD);
    let list = |query: &str| notes(&bench.lm("GET", &format!("/admins/32/apitokens{query}"), ""));
    assert_eq!(list(""), ["ci-deploy", "old, \"q\""]);
    assert_eq!(list("?type=bearer"), ["otel"]);
    assert!(list("?type=lmv1").is_empty() && list("?type=*").is_empty());
    let all = notes(&bench.lm("GET", "/admins/apitokens", ""));
    assert!(all.contains(&"tokenform's own".to_owned()) && all.len() == 4);
}

#[test]
fn pages_fields_and_filters() {
    let bench = Bench::new(WORLD);
    let list = |query: &str| bench.lm("GET", &format!("/admins/apitokens?{query}"), "");
    let page = list("size=1&offset=1").json();
    assert_eq!((page["total"].clone(), page["items"][0]["id"].clone()), (4.into(), 249.into()));
    assert_eq!(list("offset=9").json()["items"], serde_json::json!([]));
    assert_eq!(
        list("fields=id,note&size=1").json()["items"][0],
        serde_json::json!({"id": 248, "note": "ci-deploy"})
    );
    assert_eq!(notes(&list("filter=id%3A248")), ["ci-deploy"]);
    assert_eq!(notes(&list("filter=note%3A%22ci-*%22")), ["ci-deploy"]);
    assert!(notes(&list("filter=note%3Aci-deploy")).is_empty(), "an unquoted text matches nothing");
    assert_eq!(list("filter=status%3A2,adminId%3A32").json()["total"], 1);
    assert_eq!(list("size=x").status, 400);
}

#[test]
fn a_page_has_50_rows_and_at_most_1000() {
    let mut portal = super::super::logicmonitor::estate::Portal::default();
    let tokens = vec![super::super::logicmonitor::estate::Token::default(); 1200];
    let user = super::super::logicmonitor::estate::User { api_tokens: tokens, ..Default::default() };
    portal.users.insert("many".to_owned(), user);
    let clock = Some("2026-11-22T10:00:00Z".parse().unwrap());
    let world = World { clock, logicmonitor: [("acme".to_owned(), portal)].into(), ..World::default() };
    let bench = Bench::of(world);
    for (query, rows) in [("", 50), ("?size=0", 1000), ("?size=5000", 1000), ("?size=1000&offset=1000", 201)]
    {
        let page = bench.lm("GET", &format!("/admins/apitokens{query}"), "").json();
        assert_eq!(page["items"].as_array().map(Vec::len), Some(rows), "{query}");
        assert_eq!(page["total"], 1201);
    }
}

#[test]
fn the_secret_is_shown_once() {
    let bench = Bench::new(WORLD);
    let made = bench.lm("POST", "/admins/32/apitokens", r#"{"note":"new"}"#).json();
    let (id, access_id) = (made["id"].as_u64().unwrap(), made["accessId"].as_str().unwrap());
    let key = made["accessKey"].as_str().unwrap();
    assert_eq!((id, made["status"].clone(), made["adminName"].clone()), (263, 2.into(), "svc-ci".into()));
    assert_eq!(
        (made["createdBy"].clone(), made["roles"].clone()),
        ("svc-tokenform".into(), serde_json::json!(["ci-readonly"]))
    );
    assert_eq!((made["createdOn"].clone(), made["lastUsedOn"].clone()), (1_795_341_600.into(), 0.into()));
    let row = |id: u64| {
        let list = bench.lm("GET", &format!("/admins/32/apitokens?filter=id%3A{id}"), "").json();
        list["items"][0].clone()
    };
    let masked = row(id)["accessKey"].as_str().unwrap().to_owned();
    assert_eq!(masked, format!("{}{}", &key[..20], "*".repeat(20)));
    // It works, and its use is noted; its role may not look at users.
    assert_eq!(bench.lm_as(access_id, key, "GET", "/admins", "").status, 403);
    assert_eq!(
        (row(id)["lastUsedOn"].clone(), row(id)["lastAuthIp"].clone()),
        (1_795_341_600.into(), "127.0.0.1".into())
    );
    assert_eq!(bench.lm_as(access_id, key, "GET", "/companySetting", "").status, 200);
    assert_eq!(bench.effects(), [Effect::Create]);
}

#[test]
fn a_bearer_token_is_made_and_used() {
    let bench = Bench::new(WORLD);
    let made = bench.lm("POST", "/admins/32/apitokens?type=bearer", "{}").json();
    let token = made["accessKey"].as_str().unwrap();
    assert!(token.starts_with("lmb_") && made["accessId"].is_null());
    let get = |auth: &str, version: &str| {
        let target = "/santaba/rest/setting/companySetting";
        bench.send("GET", target, &[("Authorization", auth), ("X-Version", version)], "").status
    };
    let auth = format!("Bearer {token}");
    assert_eq!((get(&auth, "3"), get(&auth, "2"), get("Bearer lmb_x", "3")), (200, 401, 401));
    let (_, _, own) = bench.lm_credential();
    let target = "/santaba/rest/setting/admins";
    let got =
        bench.send("GET", target, &[("Authorization", &format!("Bearer {own}")), ("X-Version", "3")], "");
    assert_eq!(got.status, 200);
    let id = made["id"].as_u64().unwrap();
    assert_eq!(bench.lm("PATCH", &format!("/admins/32/apitokens/{id}"), r#"{"status":1}"#).status, 200);
    assert_eq!(get(&auth, "3"), 401);
}

#[test]
fn disable_enable_and_delete() {
    let bench = Bench::new(WORLD);
    let made = bench.lm("POST", "/admins/32/apitokens", "{}").json();
    let (id, key) = (made["accessId"].as_str().unwrap(), made["accessKey"].as_str().unwrap());
    let path = format!("/admins/32/apitokens/{}", made["id"]);
    let works = || bench.lm_as(id, key, "GET", "/companySetting", "").status;
    let off = bench.lm("PATCH", &path, r#"{"status":1}"#).json();
    assert_eq!((off["status"].clone(), works()), (1.into(), 401));
    let note = bench.lm("PATCH", &path, r#"{"note":"x"}"#).json();
    assert_eq!((note["status"].clone(), note["note"].clone()), (1.into(), "x".into()));
    // PUT takes what it leaves out back to its default.
    let put = bench.lm("PUT", &path, r#"{"note":"y"}"#).json();
    assert_eq!((put["status"].clone(), works()), (2.into(), 200));
    assert_eq!(bench.lm("PUT", &path, r#"{"status":1}"#).json()["note"], "");
    assert_eq!(bench.lm("PATCH", &path, r#"{"status":3}"#).status, 400);
    let gone = bench.lm("DELETE", &path, "{}");
    assert_eq!((gone.status, gone.body.as_str()), (200, "{}"));
    let again = bench.lm("DELETE", &path, "");
    assert_eq!((again.status, again.json()["errorCode"].clone()), (404, 1404.into()));
    assert_eq!(bench.lm("DELETE", "/admins/33/apitokens/248", "").status, 404, "another owner's");
    let patches = vec![Effect::Patch; 4];
    assert_eq!(bench.effects(), [vec![Effect::Create], patches, vec![Effect::Delete]].concat());
}

#[test]
fn single_token_get_is_undocumented() {
    let bench = Bench::new(WORLD);
    let got = bench.lm("GET", "/admins/32/apitokens/248", "");
    assert_eq!((got.status, got.json()["errorCode"].clone()), (404, 1400.into()));
    let bench = Bench::new(
        "logicmonitor: { acme: { single_token_get: true, users: { u: { id: 1, api_tokens: [ { id: 5 } ] } } } }",
    );
    assert_eq!(bench.lm("GET", "/admins/1/apitokens/5", "").json()["id"], 5);
}

#[test]
fn users_have_what_the_vendors_client_demands() {
    let bench = Bench::new(WORLD);
    let rows = bench.lm("GET", "/admins", "").json();
    let row = rows["items"].as_array().unwrap().iter().find(|row| row["username"] == "svc-ci").unwrap();
    assert_eq!((row["id"].clone(), row["email"].clone()), (32.into(), "svc-ci@example.com".into()));
    assert_eq!((row["status"].clone(), row["apionly"].clone()), ("active".into(), true.into()));
    assert_eq!(row["roles"][0], serde_json::json!({ "id": 2, "name": "ci-readonly", "privileges": [] }));
    assert_eq!(
        (row["apiTokens"][0]["type"].clone(), row["apiTokens"][2]["type"].clone()),
        (Value::Null, "bearer".into())
    );
    assert!(!row.to_string().contains("tfcanary"));
    assert_eq!(
        bench.lm("GET", "/admins/35?fields=status", "").json(),
        serde_json::json!({ "status": "suspended" })
    );
    assert_eq!(bench.lm("GET", "/admins/99", "").json()["errorCode"], 1404);
    assert!(bench.lm("GET", "/roles", "").json()["total"].as_u64() > Some(1));
}

#[test]
fn administrators_and_lmsupport_may_not_own_tokens() {
    let bench = Bench::new(WORLD);
    for user in [33, 34] {
        let got = bench.lm("POST", &format!("/admins/{user}/apitokens"), "{}");
        assert_eq!((got.status, got.json()["errorCode"].clone()), (400, 1400.into()));
    }
}

#[test]
fn a_suspended_users_tokens_are_dead() {
    let bench = Bench::new(WORLD);
    let made = bench.lm("POST", "/admins/35/apitokens", "{}").json();
    let (id, key) = (made["accessId"].as_str().unwrap(), made["accessKey"].as_str().unwrap());
    let works = || bench.lm_as(id, key, "GET", "/companySetting", "").status;
    assert_eq!(works(), 401);
    bench.lm("PATCH", "/admins/35", r#"{"status":"active"}"#);
    assert_eq!(works(), 200);
}

#[test]
fn who_asks_for_no_version_gets_v1() {
    let bench = Bench::new(WORLD);
    let (id, key, bearer) = bench.lm_credential();
    let target = "/santaba/rest/setting/admins/32/apitokens?size=1";
    let send = |auth: &str, target: &str| bench.send("GET", target, &[("Authorization", auth)], "");
    let got = send(&bench.signed(&id, &key, "GET", target, "", 0), target);
    let body = got.json();
    assert_eq!((got.status, body["status"].clone(), body["errmsg"].clone()), (200, 200.into(), "OK".into()));
    assert_eq!(body["data"]["items"][0]["id"], 248);
    let bad = send("LMv1 x:y:1", target);
    assert_eq!(
        (bad.status, bad.json()["status"].clone(), bad.json()["data"].clone()),
        (200, 1401.into(), Value::Null)
    );
    assert_eq!(send(&format!("Bearer {bearer}"), target).json()["status"], 1401);
    let with = format!("{target}&v=3");
    assert_eq!(send(&bench.signed(&id, &key, "GET", &with, "", 0), &with).json()["items"][0]["id"], 248);
}

#[test]
fn bearer_rules() {
    for (rule, kinds) in [("one_per_user", [200, 409]), ("unlicensed", [403, 403]), ("allowed", [200, 200])] {
        let bench = Bench::new(&format!(
            "logicmonitor: {{ acme: {{ bearer: {rule}, users: {{ u: {{ id: 1 }} }} }} }}"
        ));
        let made = [(); 2].map(|()| bench.lm("POST", "/admins/1/apitokens?type=bearer", "{}").status);
        assert_eq!(made, kinds, "{rule}");
    }
    let bench = Bench::new("logicmonitor: { acme: { bearer: ignored, users: { u: { id: 1 } } } }");
    let made = bench.lm("POST", "/admins/1/apitokens?type=bearer", "{}").json();
    assert!(!made["accessKey"].as_str().unwrap().starts_with("lmb_"));
    assert_eq!(notes(&bench.lm("GET", "/admins/1/apitokens?type=bearer", "")), Vec::<String>::new());
}

#[test]
fn bad_signatures_lock_an_access_id_for_a_while() {
    let bench = Bench::new("logicmonitor: { acme: { lock_after: 3, lock_for: 10m } }");
    let (id, key, _) = bench.lm_credential();
    let status = |key: &str| bench.lm_as(&id, key, "GET", "/admins", "").status;
    // A good one in between starts the count again.
    assert_eq!([status("x"), status("x"), status(&key), status("x"), status("x")], [401, 401, 200, 401, 401]);
    assert_eq!([status("x"), status(&key)], [401, 401]);
    bench.control("POST", "/clock", r#"{"advance":"10m"}"#);
    assert_eq!(status(&key), 200);
}

#[test]
fn unused_tokens_are_disabled_by_the_portal() {
    let bench = Bench::new(
        "logicmonitor: { acme: { token_disabled_days: 30, users: { u: { id: 1, api_tokens: [ { id: 5 }, { id: 6, last_used_on: 2026-11-20T00:00:00Z, created_on: 2026-01-01T00:00:00Z } ] } } } }",
    );
    let statuses = || {
        let rows = bench.lm("GET", "/admins/1/apitokens", "").json();
        [rows["items"][0]["status"].clone(), rows["items"][1]["status"].clone()]
    };
    assert_eq!(statuses(), [2, 2]);
    bench.control("POST", "/clock", r#"{"advance":"29d"}"#);
    assert_eq!(statuses(), [2, 1], "one was used before the world began");
    bench.control("POST", "/clock", r#"{"advance":"2d"}"#);
    assert_eq!(statuses(), [1, 1]);
    assert_eq!(bench.lm("GET", "/companySetting", "").json()["tokenDisabledDays"], 30);
}

#[test]
fn replies_carry_the_rate_limit_and_429_when_it_is_used_up() {
    let bench = Bench::new(
        "logicmonitor: { acme: { users: { u: { id: 1 } }, limits: { 'GET /setting/admins/{id}/apitokens': { limit: 2, window: 60s } } } }",
    );
    let get = || bench.lm("GET", "/admins/1/apitokens", "");
    let first = get();
    assert_eq!(
        ["limit", "remaining", "window"].map(|name| first.header(&format!("x-rate-limit-{name}")).to_owned()),
        ["2", "1", "60"]
    );
    assert_eq!(get().status, 200);
    let over = get();
    assert_eq!(
        (over.status, over.json()["errorCode"].clone(), over.header("x-rate-limit-remaining")),
        (429, 1429.into(), "0")
    );
    assert_eq!(bench.lm("GET", "/admins", "").status, 200, "another endpoint");
    bench.control("POST", "/clock", r#"{"advance":"60s"}"#);
    assert_eq!(get().status, 200);
}

#[test]
fn lists_of_other_portals_show_no_key_or_all_of_it() {
    for (rule, canary) in [("absent", false), ("full", true)] {
        let bench = Bench::new(&format!(
            "logicmonitor: {{ acme: {{ key_in_lists: {rule}, roles_as_objects: true, users: {{ u: {{ id: 1, api_tokens: [ {{}} ] }} }} }} }}"
        ));
        let got = bench.lm("GET", "/admins/1/apitokens", "");
        assert_eq!(got.body.contains("tfcanary"), canary);
        assert_eq!(got.json()["items"][0]["roles"][0]["name"], "readonly");
    }
}

#[test]
fn a_new_token_may_need_time() {
    let bench = Bench::new("logicmonitor: { acme: { new_tokens_work_after: 5s, users: { u: { id: 1 } } } }");
    bench.control("POST", "/clock", r#"{"advance":"5s"}"#);
    let made = bench.lm("POST", "/admins/1/apitokens", "{}").json();
    let (id, key) = (made["accessId"].as_str().unwrap(), made["accessKey"].as_str().unwrap());
    let works = || bench.lm_as(id, key, "GET", "/companySetting", "").status;
    assert_eq!(works(), 401);
    bench.control("POST", "/clock", r#"{"advance":"5s"}"#);
    assert_eq!(works(), 200);
}

#[test]
fn the_audit_log_tells_who_still_knocks() {
    let bench = Bench::new(WORLD);
    let made = bench.lm("POST", "/admins/32/apitokens", "{}").json();
    let (id, key) = (made["accessId"].as_str().unwrap(), made["accessKey"].as_str().unwrap());
    let path = format!("/admins/32/apitokens/{}", made["id"]);
    bench.lm("PATCH", &path, r#"{"status":1}"#);
    bench.lm_as(id, key, "GET", "/companySetting", "");
    bench.lm("DELETE", &path, "");
    bench.lm_as(id, "any", "GET", "/admins", "");
    let rows = bench.lm("GET", "/accesslogs", "").json();
    let texts: Vec<_> =
        rows["items"].as_array().unwrap().iter().map(|row| row["description"].clone()).collect();
    let failed = |path| {
        format!("Failed API request: API token {id} attempted to access path '{path}' with Method: GET")
    };
    assert_eq!(
        texts,
        [
            failed("/setting/admins"),
            format!("Delete api tokens - {id} for svc-ci"),
            failed("/setting/companySetting"),
            format!("Update api tokens - {id} for svc-ci"),
            format!("Add new api token - {id} for svc-ci"),
        ]
    );
    assert_eq!((rows["total"].clone(), rows["items"][0]["username"].clone()), ((-6).into(), id.into()));
    let by_text = bench.lm("GET", "/accesslogs?filter=_all~%22*Failed*%22", "").json();
    assert_eq!(by_text["items"].as_array().map(Vec::len), Some(2));
    let by_time = bench.lm("GET", "/accesslogs?filter=happenedOn%3E:1795341601", "").json();
    assert_eq!(by_time["items"], serde_json::json!([]));
}

#[test]
fn a_portal_whose_clock_is_off_says_so_and_refuses_signatures() {
    let bench = Bench::new("skew_seconds: 2400\nlogicmonitor: { acme: {} }");
    let got = bench.lm("GET", "/admins", "");
    assert_eq!((got.status, got.header("date")), (401, "Sun, 22 Nov 2026 10:40:00 GMT"));
}

#[test]
fn roles_decide_what_a_token_may_do() {
    let bench = Bench::new(
        "logicmonitor: { acme: { roles: { viewer: view }, users: { u: { id: 1, roles: [viewer] } } } }",
    );
    let made = bench.lm("POST", "/admins/1/apitokens", "{}").json();
    let (id, key) = (made["accessId"].as_str().unwrap(), made["accessKey"].as_str().unwrap());
    let list = bench.lm_as(id, key, "GET", "/admins/apitokens", "");
    assert_eq!((list.status, list.json()["items"][0]["userPermission"].clone()), (200, "read".into()));
    let made = bench.lm_as(id, key, "POST", "/admins/1/apitokens", "{}");
    assert_eq!((made.status, made.json()["errorCode"].clone()), (403, 1403.into()));
}
