//! Everything that goes wrong on purpose.

use super::*;

const WORLD: &str = "
ibm: { prod: { token_reset: {}, instances: { m: {} } } }
logicmonitor: { acme: { users: { u: { id: 1, api_tokens: [ { id: 5 } ] } } } }
";

fn with(bench: &Bench, method: &str, path: &str, action: &str) {
    let fault = format!(r#"{{"on":{{"method":"{method}","path":"{path}"}},"do":{action}}}"#);
    let got = bench.control("POST", "/faults", &fault);
    assert_eq!(got.status, 200, "{}", got.body);
}

/// For every mutating call: a reply lost before the commit leaves nothing, one lost after it all.
#[test]
fn replies_are_lost_before_and_after_the_commit() {
    let reset = "/sandbox-invented/api/token/reset";
    let calls = [
        ("POST", reset, ""),
        ("PATCH", "/v2/resource_instances/*", r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#),
        ("POST", "/santaba/rest/setting/admins/1/apitokens", r#"{"note":"n"}"#),
        ("PATCH", "/santaba/rest/setting/admins/1/apitokens/5", r#"{"status":1}"#),
        ("PUT", "/santaba/rest/setting/admins/1/apitokens/5", "{}"),
        ("DELETE", "/santaba/rest/setting/admins/1/apitokens/5", ""),
    ];
    for (method, path, body) in calls {
        let lost = [
            (r#""drop_before""#, false),
            (r#""drop_after""#, true),
            (r#""reset_before""#, false),
            (r#""reset_after""#, true),
        ];
        for (action, committed) in lost {
            let bench = Bench::new(WORLD);
            let guid = bench.guid("m");
            with(&bench, method, path, action);
            let got = match path.strip_prefix("/santaba/rest/setting") {
                Some(path) => {
                    let (id, key, _) = bench.lm_credential();
                    bench.try_lm(&id, &key, method, path, body)
                }
                None => {
                    let headers = [("Authorization", bench.iam()), ("IBMInstanceID", guid.clone())];
                    let headers: Vec<_> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
                    bench.try_send(method, &path.replace('*', &guid), &headers, body)
                }
            };
            assert!(got.is_none(), "{method} {path} {action}");
            assert_eq!(!bench.effects().is_empty(), committed, "{method} {path} {action}");
            assert_eq!(bench.tape().iter().filter(|entry| entry.fault.is_some()).count(), 1);
        }
    }
}

#[test]
fn a_lost_reset_has_changed_the_key_or_not() {
    for (action, changed) in [(r#""drop_before""#, false), (r#""drop_after""#, true)] {
        let bench = Bench::new(WORLD);
        let guid = bench.guid("m");
        let before = bench.key(&guid, None);
        with(&bench, "POST", "/sandbox-invented/*", action);
        let iam = bench.iam();
        let headers = [("Authorization", iam.as_str()), ("IBMInstanceID", guid.as_str())];
        assert!(bench.try_send("POST", "/sandbox-invented/api/token/reset", &headers, "").is_none());
        assert_eq!(bench.key(&guid, None) != before, changed);
    }
}

#[test]
fn canned_replies_with_their_headers() {
    let bench = Bench::new(WORLD);
    let iam = r#"{"reply":{"status":429,"headers":{"Retry-After":"0"}}}"#;
    with(&bench, "POST", "/identity/token", iam);
    let got = bench.grant(&bench.api_key("prod"));
    assert_eq!((got.status, got.header("retry-after")), (429, "0"));
    let cases = [
        (r#""html503""#, 503, "text/html", "Portal upgrade"),
        (r#""error_in_200""#, 200, "application/json", r#""errorCode":1500"#),
        (r#"{"throttle":{"limit":5,"window":"30s"}}"#, 429, "application/json", "1429"),
        (r#""v1""#, 200, "application/json", r#""errmsg":"OK""#),
        (r#""login_redirect""#, 302, "", ""),
    ];
    for (action, status, kind, text) in cases {
        with(&bench, "GET", "/santaba/rest/*", action);
        let got = bench.lm("GET", "/admins", "");
        assert_eq!(got.status, status, "{action}");
        assert!(
            got.header("content-type").starts_with(kind) && got.body.contains(text),
            "{action}: {}",
            got.body
        );
        if status == 429 {
            assert_eq!(got.header("x-rate-limit-window"), "30");
        }
    }
    assert_eq!(bench.lm("GET", "/admins", "").status, 200);
}

#[test]
fn broker_errors_come_wrapped() {
    let bench = Bench::new(WORLD);
    let path = format!("/{}", bench.guid("m"));
    for (action, status, retry) in [(r#""broker_502""#, 502, ""), (r#""broker_400""#, 400, "0")] {
        with(&bench, "PATCH", "/v2/resource_instances/*", action);
        let got = bench.rc("PATCH", &path, r#"{"parameters":{"default_receiver":true}}"#);
        assert_eq!((got.status, got.header("retry-after")), (status, retry));
        assert!(got.json()["message"].as_str().unwrap().contains(r#"{"errors":[{"reason":"Exception""#));
    }
    assert!(bench.effects().is_empty());
}

#[test]
fn a_true_reply_may_be_replaced_after_the_commit() {
    let bench = Bench::new(WORLD);
    with(&bench, "DELETE", "*", r#"{"reply_after":{"status":500,"body":"oops"}}"#);
    let got = bench.lm("DELETE", "/admins/1/apitokens/5", "");
    assert_eq!((got.status, got.body.as_str()), (500, "oops"));
    assert_eq!(bench.effects(), [Effect::Delete]);
}

#[test]
fn a_bearer_request_alone_can_be_hit() {
    let bench = Bench::new(WORLD);
    let fault = r#"[{"on":{"query":"type=bearer"},"do":"html503"}]"#;
    assert_eq!(bench.control("POST", "/faults", fault).status, 200);
    assert_eq!(bench.lm("GET", "/admins/apitokens", "").status, 200);
    assert_eq!(bench.lm("GET", "/admins/apitokens?type=bearer", "").status, 503);
}

#[test]
fn somebody_else_changes_the_world_between_two_requests() {
    let bench = Bench::new(WORLD);
    let guid = bench.guid("m");
    let before = bench.rc("GET", &format!("/{guid}"), "").json();
    let write = r#"{"meddle":{"parameters":{"connection":"prod","instance":"m","set":{"x":1}}}}"#;
    with(&bench, "GET", "/v2/resource_instances/*", write);
    let after = bench.rc("GET", &format!("/{guid}"), "").json();
    assert_eq!(after["parameters"]["x"], 1);
    assert_ne!(before["updated_at"], after["updated_at"]);
    for change in [
        r#"{"add_team":{"connection":"prod","instance":"m","team":"New"}}"#,
        r#"{"use_token":{"connection":"acme","token":5,"ip":"203.0.113.9"}}"#,
        r#"{"set_token":{"connection":"acme","token":5,"status":"disabled"}}"#,
    ] {
        assert_eq!(bench.control("POST", "/meddle", change).status, 200, "{change}");
    }
    assert_eq!(
        bench.sysdig("GET", "/api/teams", &guid, None).json()["teams"].as_array().map(Vec::len),
        Some(2)
    );
    let row = bench.lm("GET", "/admins/1/apitokens", "").json()["items"][0].clone();
    assert_eq!((row["status"].clone(), row["lastAuthIp"].clone()), (1.into(), "203.0.113.9".into()));
    let nobody = r#"{"delete_token":{"connection":"acme","token":99}}"#;
    assert_eq!(bench.control("POST", "/meddle", nobody).status, 400);
}

#[test]
fn a_fault_that_is_spent_stays_spent_in_the_kept_world() {
    let bench = Bench::new(WORLD);
    with(&bench, "GET", "/santaba/rest/*", r#""html503""#);
    assert_eq!(bench.lm("GET", "/admins", "").status, 503);
    let yaml = bench.sandbox.world().to_yaml().unwrap();
    let again = Bench::of(World::from_yaml(&yaml).unwrap());
    assert_eq!(again.lm("GET", "/admins", "").status, 200);
}

#[test]
fn replies_that_never_come_or_break_in_the_middle() {
    use std::io::ErrorKind::{ConnectionReset, WouldBlock};
    let bench = Bench::new(WORLD);
    let (id, key, _) = bench.lm_credential();
    let (target, soon) = ("/santaba/rest/setting/admins", Some(Duration::from_millis(300)));
    let whole = bench.lm("GET", "/admins", "").body;
    let ask = |action: &str| {
        with(&bench, "GET", target, action);
        let auth = bench.signed(&id, &key, "GET", target, "", 0);
        bench.listen_for(soon, "GET", target, &[("Authorization", &auth), ("X-Version", "3")], "")
    };
    let (got, ended) = ask(r#""hang""#);
    assert!(got.is_none() && ended.is_err_and(|error| error.kind() == WouldBlock));
    let (got, ended) = ask(r#""reset_before""#);
    assert!(got.is_none() && ended.is_err_and(|error| error.kind() == ConnectionReset));
    for (action, open) in [(r#""stall""#, true), (r#""cut""#, false)] {
        let (got, ended) = ask(action);
        let got = got.unwrap();
        assert_eq!(got.header("content-length"), whole.len().to_string(), "{action}");
        assert!(whole.starts_with(&got.body) && got.body.len() < whole.len(), "{action}: {}", got.body);
        assert_eq!(ended.is_err_and(|error| error.kind() == WouldBlock), open, "{action}");
    }
    let (got, _) = ask(r#""truncate""#);
    let got = got.unwrap();
    assert!(whole.starts_with(&got.body) && got.body.len() < whole.len());
    assert_eq!(got.header("content-length"), got.body.len().to_string());
}

#[test]
fn faults_are_lifted() {
    let bench = Bench::new(WORLD);
    let fault = r#"{"on":{"times":0},"do":"html503"}"#;
    bench.control("POST", "/faults", fault);
    assert_eq!(bench.lm("GET", "/admins", "").status, 503);
    assert_eq!(bench.control("DELETE", "/faults", "").status, 200);
    assert_eq!(bench.lm("GET", "/admins", "").status, 200);
}

#[test]
fn a_slow_reply_is_the_true_one() {
    let bench = Bench::new(WORLD);
    with(&bench, "GET", "/santaba/rest/*", r#"{"delay":"1s"}"#);
    assert_eq!(bench.lm("GET", "/admins", "").status, 200);
    assert_eq!(bench.tape().last().and_then(|entry| entry.fault), Some("delay"));
}

#[test]
fn a_delay_holds_nobody_else_up() {
    let bench = Bench::new(WORLD);
    with(&bench, "GET", "/slow", r#"{"delay":"1s"}"#);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| bench.send("GET", "/slow", &[], "").status);
        while bench.tape().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(bench.lm("GET", "/admins", "").status, 200);
        assert!(!slow.is_finished());
        assert_eq!(slow.join().unwrap(), 404);
    });
}
