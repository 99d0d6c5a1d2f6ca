//! IAM, resource controller and Sysdig.

use super::*;

const WORLD: &str = "
ibm:
  prod:
    token_reset: {}
    instances:
      mon-prod:
        parameters: { zeta: [1, '1'], default_receiver: false, external_api_auth: ANY }
        teams:
          Monitor Operations: { id: 10001, default: true, immutable: true }
          SRE: { id: 10002, members: { alice: } }
          Secret: { id: 10003, hidden: true }
";

#[test]
fn a_wrong_api_key_is_bxnim0415e_and_a_right_one_gives_a_decodable_token() {
    let bench = Bench::new(WORLD);
    let got = bench.grant("wrong");
    assert_eq!((got.status, &got.json()["errorCode"]), (400, &"BXNIM0415E".into()));
    let got = bench.grant(&bench.api_key("prod")).json();
    assert_eq!((got["expires_in"].clone(), got["expiration"].clone()), (3600.into(), 1_795_345_200.into()));
    let token = got["access_token"].as_str().unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
    let claims: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(1_795_341_600), Some(1_795_345_200)));
}

#[test]
fn an_expired_or_tampered_access_token_is_refused_everywhere() {
    let bench = Bench::new("ibm: { prod: { iam: { lifetime: 8s }, instances: { m: {} } } }");
    let (guid, iam) = (bench.guid("m"), bench.iam());
    let call = |auth: &str, path: &str| {
        bench.send("GET", path, &[("Authorization", auth), ("IBMInstanceID", &guid)], "")
    };
    assert_eq!(call(&iam, "/v2/resource_instances").status, 200);
    assert_eq!(call(&iam.replace("eyJ", "eyK"), "/v2/resource_instances").status, 401);
    assert_eq!(bench.control("POST", "/clock", r#"{"advance":"8s"}"#).status, 200);
    assert_eq!(call(&iam, "/v2/resource_instances").status, 401);
    let got = call(&iam, "/api/teams");
    assert_eq!(got.status, 401);
    assert!(got.body.starts_with('u') && got.header("content-type").starts_with("text/plain"));
}

#[test]
fn lists_are_paged_by_start_which_carries_the_filters() {
    let names: String = (0..5).map(|n| format!("      m{n}: {{ name: same }}\n")).collect();
    let bench = Bench::new(&format!("ibm:\n  prod:\n    instances:\n      other: {{}}\n{names}"));
    let (mut path, mut seen) = ("?limit=2&name=same".to_owned(), Vec::new());
    loop {
        let page = bench.rc("GET", &path, "").json();
        assert_eq!(page["rows_count"].as_u64(), page["resources"].as_array().map(|rows| rows.len() as u64));
        seen.extend(page["resources"].as_array().unwrap().iter().map(|row| row["name"].clone()));
        let Some(next) = page["next_url"].as_str() else { break };
        // Other filters sent with `start` are ignored.
        path = format!("{}&name=other", next.strip_prefix("/v2/resource_instances").unwrap());
    }
    assert_eq!(seen, vec![Value::from("same"); 5]);
}

#[test]
fn only_active_and_provisioning_instances_are_listed_without_state() {
    let bench = Bench::new("ibm: { prod: { instances: { a: {}, b: { state: inactive } } } }");
    assert_eq!(bench.rc("GET", "", "").json()["rows_count"], 1);
    assert_eq!(bench.rc("GET", "?state=inactive", "").json()["resources"][0]["name"], "b");
}

#[test]
fn an_instance_is_found_by_guid_and_by_encoded_crn() {
    let bench = Bench::new(WORLD);
    let guid = bench.guid("mon-prod");
    let one = bench.rc("GET", &format!("/{guid}"), "").json();
    let crn = one["crn"].as_str().unwrap();
    let parts: Vec<&str> = crn.split(':').collect();
    assert_eq!((parts[4], parts[5], parts[7]), ("sysdig-monitor", "us-south", guid.as_str()));
    let encoded = crn.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(bench.rc("GET", &format!("/{encoded}"), "").json()["guid"], guid);
    let missing = bench.rc("GET", "/00000000-0000-4000-8000-000000000000", "");
    assert_eq!((missing.status, missing.header("retry-after")), (404, "0"));
}

#[test]
fn a_patch_shows_the_last_request_keeps_types_and_moves_updated_at() {
    let bench = Bench::new(WORLD);
    let path = format!("/{}", bench.guid("mon-prod"));
    let before = bench.rc("GET", &path, "");
    assert!(
        before
            .body
            .contains(r#""parameters":{"zeta":[1,"1"],"default_receiver":false,"external_api_auth":"ANY"}"#)
    );
    let got = bench.rc("PATCH", &path, r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#);
    assert_eq!(got.status, 200);
    assert!(got.body.contains(r#""parameters":{"external_api_auth":"IAM_ONLY"}"#));
    assert!(before.json()["updated_at"].as_str() < got.json()["updated_at"].as_str());
    let again = bench.rc("PATCH", &path, r#"{"parameters":{"default_receiver":true}}"#);
    assert!(got.json()["updated_at"].as_str() < again.json()["updated_at"].as_str());
    // Hidden in GET, still enforced.
    assert!(again.json()["parameters"].get("external_api_auth").is_none());
    assert_eq!(bench.sysdig("GET", "/api/token", &path[1..], None).status, 403);
    assert_eq!(bench.effects(), [Effect::Lock, Effect::Patch]);
}

#[test]
fn merge_and_replace_semantics() {
    for (rule, shown, token) in [
        ("merge", r#""parameters":{"external_api_auth":"IAM_ONLY","x":1}"#, 403),
        ("replace", r#""parameters":{"x":1}"#, 200),
    ] {
        let bench = Bench::new(&format!(
            "ibm: {{ prod: {{ parameters: {rule}, instances: {{ m: {{ parameters: {{ external_api_auth: IAM_ONLY }} }} }} }} }}"
        ));
        let guid = bench.guid("m");
        let got = bench.rc("PATCH", &format!("/{guid}"), r#"{"parameters":{"x":1}}"#);
        assert!(got.body.contains(shown), "{rule}: {}", got.body);
        assert_eq!(bench.sysdig("GET", "/api/token", &guid, None).status, token, "{rule}");
    }
}

#[test]
fn an_asynchronous_update_is_in_progress_for_some_polls() {
    for (fails, end) in [(false, "succeeded"), (true, "failed")] {
        let bench = Bench::new(&format!(
            "ibm: {{ prod: {{ update: {{ async_polls: 2, fails: {fails} }}, instances: {{ m: {{}} }} }} }}"
        ));
        let path = format!("/{}", bench.guid("m"));
        let body = r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#;
        assert_eq!(bench.rc("PATCH", &path, body).status, 202);
        assert_eq!(bench.rc("PATCH", &path, body).status, 422);
        let states = [(); 4].map(|()| bench.rc("GET", &path, "").json()["last_operation"]["state"].clone());
        assert_eq!(states, ["in progress", "in progress", end, end]);
        let refused = bench.sysdig("GET", "/api/token", &path[1..], None).status == 403;
        assert_eq!(refused, !fails);
    }
}

#[test]
fn a_locked_instance_and_a_bad_value_are_refused() {
    let bench = Bench::new(WORLD);
    let path = format!("/{}", bench.guid("mon-prod"));
    let body = r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#;
    assert_eq!(bench.rc("POST", &format!("{path}/lock"), "").json()["locked"], true);
    assert_eq!(bench.rc("PATCH", &path, body).status, 422);
    assert_eq!(bench.rc("DELETE", &format!("{path}/lock"), "").json()["locked"], false);
    let bad = bench.rc("PATCH", &path, r#"{"parameters":{"external_api_auth":"any"}}"#);
    assert_eq!((bad.status, bad.header("retry-after")), (400, "0"));
    assert_eq!(bench.rc("PATCH", &path, r#"{"unknown":1}"#).status, 400);
    assert_eq!(bench.rc("PATCH", &path, body).status, 200);
}

#[test]
fn each_team_has_its_own_key_and_either_header_selects_it() {
    let bench = Bench::new(WORLD);
    let guid = bench.guid("mon-prod");
    let (ops, sre) = (bench.key(&guid, Some(10001)), bench.key(&guid, Some(10002)));
    assert_ne!(ops, sre);
    assert_eq!(bench.key(&guid, None), ops);
    let iam = bench.iam();
    let with = |name: &str, team: &str| {
        bench.send(
            "GET",
            "/api/token",
            &[("Authorization", &iam), ("IBMInstanceID", &guid), (name, team)],
            "",
        )
    };
    assert_eq!(with("TeamID", "10002").json()["token"]["key"], sre);
    assert_eq!(with("teamid", "10003").status, 403, "a team that the identity does not see");
    let me = bench.sysdig("GET", "/api/users/me", &guid, Some(10002)).json();
    assert_eq!(me["user"]["currentTeam"], 10002);
    let keys = [
        &me["user"]["accessKey"],
        &me["user"]["customer"]["accessKey"],
        &me["user"]["agentInstallParams"]["accessKey"],
    ];
    assert!(keys.iter().all(|key| key.as_str().unwrap().contains("tfcanary")));
}

#[test]
fn an_ignored_team_header_falls_to_the_default_team() {
    let bench = Bench::new(
        "ibm: { prod: { sysdig: { team_headers: [TeamID] }, instances: { m: { teams: { A: { id: 1, default: true }, B: { id: 2 } } } } } }",
    );
    let guid = bench.guid("m");
    assert_eq!(bench.key(&guid, Some(2)), bench.key(&guid, None));
}

#[test]
fn the_other_header_can_be_switched_off_too() {
    let bench = Bench::new(
        "ibm: { prod: { sysdig: { team_headers: [SysdigTeamID] }, instances: { m: { teams: { A: { id: 1, default: true }, B: { id: 2 } } } } } }",
    );
    let (guid, iam) = (bench.guid("m"), bench.iam());
    let headers = [("Authorization", iam.as_str()), ("IBMInstanceID", guid.as_str()), ("TeamID", "2")];
    let got = bench.send("GET", "/api/token", &headers, "").json();
    assert_eq!(got["token"]["key"], bench.key(&guid, Some(1)));
    assert_ne!(got["token"]["key"], bench.key(&guid, Some(2)));
    assert_eq!(bench.sysdig("GET", "/api/token", &guid, None).json(), got);
    let word = [("Authorization", iam.as_str()), ("IBMInstanceID", guid.as_str()), ("SysdigTeamID", "B")];
    assert_eq!(bench.send("GET", "/api/token", &word, "").status, 400);
}

#[test]
fn parameters_that_were_never_given_are_not_shown() {
    let bench = Bench::new("ibm: { prod: { instances: { m: {} } } }");
    let one = bench.rc("GET", &format!("/{}", bench.guid("m")), "").json();
    assert!(one.get("parameters").is_none());
    assert_eq!(one["last_operation"]["state"], "succeeded");
}

#[test]
fn a_reset_may_take_the_whole_team() {
    let bench = Bench::new(
        "ibm: { prod: { token_reset: { whole_team: true }, instances: { m: { teams: { A: { id: 1, members: { al: } } } } } } }",
    );
    let guid = bench.guid("m");
    let keys = || [bench.key(&guid, None), bench.sysdig("GET", "/api/token/al/1", &guid, None).body];
    let before = keys();
    bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, None);
    let after = keys();
    assert!(before[0] != after[0] && before[1] != after[1]);
}

#[test]
fn connections_of_one_account_see_each_others_instances() {
    let bench = Bench::new(
        "ibm: { prod: { account: a1, instances: { m: {} } }, ops: { account: a1, instances: { n: {} } }, far: { instances: { z: {} } } }",
    );
    assert_eq!(bench.rc("GET", "", "").json()["rows_count"], 2);
}

#[test]
fn an_api_token_works_under_any_and_reads_itself() {
    let bench = Bench::new(WORLD);
    let guid = bench.guid("mon-prod");
    let auth = format!("Bearer {}", bench.key(&guid, Some(10002)));
    let got = bench.send("GET", "/api/token", &[("Authorization", &auth)], "").json();
    assert_eq!(format!("Bearer {}", got["token"]["key"].as_str().unwrap()), auth);
    let me = bench.send("GET", "/api/user/me", &[("Authorization", &auth)], "").json();
    assert_eq!(me["user"]["currentTeam"], 10002);
    let unknown = bench.send("GET", "/api/users/me", &[("Authorization", "Bearer nope")], "");
    assert_eq!((unknown.status, &unknown.body[..1]), (401, "u"));
}

#[test]
fn iam_only_refuses_tokens_and_the_reading_of_them_and_nothing_else() {
    for refusal in [403, 401] {
        let bench = Bench::new(&format!(
            "ibm: {{ prod: {{ token_reset: {{}}, sysdig: {{ refusal: {refusal} }}, instances: {{ m: {{}} }} }} }}"
        ));
        let guid = bench.guid("m");
        let auth = format!("Bearer {}", bench.key(&guid, None));
        bench.rc("PATCH", &format!("/{guid}"), r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#);
        let got = bench.sysdig("GET", "/api/token", &guid, None);
        assert_eq!(got.status, refusal);
        let row = &got.json()["errors"][0];
        assert_eq!(row["reason"], "Not enough privileges to complete the action");
        assert_eq!(row["message"], "Access is denied");
        assert_eq!(bench.send("GET", "/api/users/me", &[("Authorization", &auth)], "").status, refusal);
        assert_eq!(bench.sysdig("GET", "/api/users/me", &guid, None).status, 200);
        assert_eq!(bench.sysdig("GET", "/api/teams", &guid, None).status, 200);
        assert_eq!(bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, None).status, refusal);
        // A gate, not a deletion: the way back revives what was not reset.
        bench.rc("PATCH", &format!("/{guid}"), r#"{"parameters":{"external_api_auth":"ANY"}}"#);
        assert_eq!(bench.send("GET", "/api/users/me", &[("Authorization", &auth)], "").status, 200);
        assert_eq!(bench.effects(), [Effect::Lock, Effect::Unlock]);
    }
}

#[test]
fn a_reset_kills_the_old_key_of_that_team_and_identity_only() {
    let bench = Bench::new(WORLD);
    let guid = bench.guid("mon-prod");
    let me = bench.sysdig("GET", "/api/users/me", &guid, None).json()["user"]["username"].clone();
    let alice = || bench.sysdig("GET", "/api/token/alice/10002", &guid, None).json()["token"]["key"].clone();
    let own = format!("/api/token/{}/10002", me.as_str().unwrap());
    let (old, other, alices) = (bench.key(&guid, Some(10002)), bench.key(&guid, Some(10001)), alice());
    assert_eq!(bench.sysdig("GET", &own, &guid, None).json()["token"]["key"], old);
    let got = bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, Some(10002)).json();
    let new = bench.key(&guid, Some(10002));
    assert_eq!(got["token"]["key"], new);
    assert_ne!(new, old);
    assert_eq!((bench.key(&guid, Some(10001)), alice()), (other, alices));
    let auth = format!("Bearer {old}");
    assert_eq!(bench.send("GET", "/api/users/me", &[("Authorization", &auth)], "").status, 401);
    let entry = bench.tape().into_iter().find(|entry| entry.effect == Effect::Reset).unwrap();
    assert_eq!(
        (entry.about.team, entry.about.instance, entry.about.actor),
        (Some(10002), Some(guid), "ibm.prod".into())
    );
}

#[test]
fn there_is_no_reset_call_unless_the_world_has_one() {
    let bench = Bench::new("ibm: { prod: { instances: { m: {} } } }");
    let guid = bench.guid("m");
    assert_eq!(bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, None).status, 404);
    assert_eq!(bench.sysdig("POST", "/api/token/reset", &guid, None).status, 405);
    assert!(bench.effects().is_empty());
}

#[test]
fn the_reset_call_of_the_world_takes_names_from_its_path_and_may_answer_204() {
    let bench = Bench::new(
        "ibm: { prod: { token_reset: { method: PUT, path: '/api/token/{username}/{team_id}/reset', shows_key: false }, instances: { m: { teams: { A: { id: 1 }, B: { id: 2, members: { al@x: } } } } } } }",
    );
    let guid = bench.guid("m");
    let read = || bench.sysdig("GET", "/api/token/al%40x/2", &guid, None).body;
    let (before, own) = (read(), bench.key(&guid, Some(2)));
    assert_eq!(bench.sysdig("POST", "/api/token/al%40x/2/reset", &guid, None).status, 405);
    let got = bench.sysdig("PUT", "/api/token/al%40x/2/reset", &guid, None);
    assert_eq!((got.status, got.body.as_str()), (204, ""));
    assert_ne!(read(), before);
    assert_eq!(bench.key(&guid, Some(2)), own);
}

#[test]
fn teams_are_those_the_caller_sees_by_product() {
    let bench = Bench::new(
        "ibm: { prod: { instances: { m: { teams: { A: { id: 3 }, B: { id: 2, products: [SDS] }, C: { hidden: true } } } } } }",
    );
    let guid = bench.guid("m");
    let names = |path: &str| {
        let rows = bench.sysdig("GET", path, &guid, None).json()["teams"].clone();
        rows.as_array().unwrap().iter().map(|row| row["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("/api/teams"), ["B", "A"]);
    assert_eq!(names("/api/teams?product=SDC"), ["A"]);
    assert_eq!(bench.sysdig("GET", "/api/v2/teams/light/name/A", &guid, None).json()["team"]["id"], 3);
    let team = bench.sysdig("GET", "/api/teams/3", &guid, None).json();
    assert_eq!(team["team"]["userRoles"].as_array().map(Vec::len), Some(1));
    assert_eq!(bench.sysdig("GET", "/api/teams/99", &guid, None).status, 404);
    assert_eq!(bench.sysdig("GET", "/api/team/3/users", &guid, None).json()["total"], 1);
}

#[test]
fn who_is_no_admin_reads_only_own_tokens() {
    let bench = Bench::new(
        "ibm: { prod: { identity: { username: me, not_admin: true }, instances: { m: { teams: { A: { id: 1, members: { al: } } } } } } }",
    );
    let guid = bench.guid("m");
    assert_eq!(bench.sysdig("GET", "/api/token/al/1", &guid, None).status, 403);
    assert_eq!(bench.sysdig("GET", "/api/token/me/1", &guid, None).status, 200);
}

#[test]
fn a_wrong_instance_leads_to_a_login_page_and_none_is_refused() {
    let bench = Bench::new(WORLD);
    let got = bench.sysdig("GET", "/api/teams", "00000000-0000-4000-8000-000000000000", None);
    assert_eq!((got.status, got.header("location")), (302, "/sandbox-login"));
    let none = bench.send("GET", "/api/teams", &[("Authorization", &bench.iam())], "");
    assert_eq!(none.status, 401);
}

#[test]
fn enforcement_may_come_later_or_never() {
    let bench = Bench::new(
        "ibm: { prod: { update: { enforced_after: 20s }, instances: { m: {}, w: { service: workload-protection, ignores_external_api_auth: true } } } }",
    );
    let (late, never) = (bench.guid("m"), bench.guid("w"));
    for guid in [&late, &never] {
        bench.rc("PATCH", &format!("/{guid}"), r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#);
        assert_eq!(bench.sysdig("GET", "/api/token", guid, None).status, 200);
    }
    bench.control("POST", "/clock", r#"{"advance":"20s"}"#);
    assert_eq!(bench.sysdig("GET", "/api/token", &late, None).status, 403);
    assert_eq!(bench.sysdig("GET", "/api/token", &never, None).status, 200);
    assert_eq!(
        bench.rc("GET", &format!("/{never}"), "").json()["parameters"]["external_api_auth"],
        "IAM_ONLY"
    );
}

#[test]
fn a_trusted_profile_takes_its_compute_resource_token() {
    let bench = Bench::new("ibm: { prod: { iam: { trusted_profile: { id: Profile-1, name: p } } } }");
    let Some(Issued::Ibm { cr_token: Some(token), .. }) = bench.sandbox.credential("ibm", "prod") else {
        panic!("no token")
    };
    let grant = |profile: &str, token: &str| {
        let body = format!("grant_type=urn:ibm:params:oauth:grant-type:cr-token&cr_token={token}&{profile}");
        bench.send("POST", "/identity/token", &[], &body).status
    };
    assert_eq!(grant("profile_id=Profile-1", &token), 200);
    assert_eq!(grant("profile_name=p", &token), 200);
    assert_eq!(grant("profile_name=q", &token), 400);
    assert_eq!(grant("profile_name=p", "x"), 400);
}
