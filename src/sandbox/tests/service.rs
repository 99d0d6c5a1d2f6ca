//! The sandbox itself: its door, its clock, its tape, its operator, its keeping.

use super::*;
use crate::sandbox::SandboxError;
use crate::sandbox::mint::MARKER;

#[test]
fn it_listens_on_loopback_only() {
    let listen = "0.0.0.0:0".parse().unwrap();
    let refused = start(World::default(), env(), Options { listen, ..Options::default() });
    assert!(matches!(refused.err(), Some(SandboxError::NotLoopback(_))));
}

#[test]
fn a_kept_world_goes_on_where_it_stopped() {
    let bench = Bench::new(
        "ibm: { prod: { token_reset: {}, instances: { m: {} } } }\nlogicmonitor: { acme: { users: { u: { id: 1 } } } }",
    );
    let guid = bench.guid("m");
    bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, None);
    let made = bench.lm("POST", "/admins/1/apitokens", r#"{"note":"n"}"#).json();
    bench.control("POST", "/clock", r#"{"advance":"1d12h"}"#);
    let (key, cred, now) = (bench.key(&guid, None), bench.lm_credential(), bench.sandbox.clock().now());
    let yaml = bench.sandbox.world().to_yaml().unwrap();
    bench.sandbox.stop();
    let again = Bench::of(World::from_yaml(&yaml).unwrap());
    assert_eq!(again.sandbox.clock().now(), now);
    assert!(again.key(&guid, None) == key && again.lm_credential() == cred);
    let (id, secret) = (made["accessId"].as_str().unwrap(), made["accessKey"].as_str().unwrap());
    assert_eq!(again.lm_as(id, secret, "GET", "/companySetting", "").status, 200);
    assert_ne!(again.lm("POST", "/admins/1/apitokens", "{}").json()["accessKey"], made["accessKey"]);
}

/// Whoever is killed with the sandbox finds the world as it was last told of it.
#[test]
fn each_change_is_told_before_its_request_is_answered() {
    let (tell, told) = std::sync::mpsc::channel();
    let on_change: crate::sandbox::OnChange = std::sync::Arc::new(move |kept| tell.send(kept).unwrap());
    let text =
        "version: 1\nclock: 2026-11-22T10:00:00Z\nibm: { prod: { token_reset: {}, instances: { m: {} } } }";
    let options = Options { on_change: Some(on_change), ..Options::default() };
    let sandbox = start(World::from_yaml(text).unwrap(), env(), options).ok().unwrap();
    let bench = Bench { sandbox };
    let guid = bench.guid("m");
    let old = bench.key(&guid, None);
    let iam = bench.iam();
    told.try_iter().for_each(drop);
    let headers = [("Authorization", iam.as_str()), ("IBMInstanceID", guid.as_str())];
    let read = || bench.send("GET", "/api/token", &headers, "");
    assert!(read().body.contains(&old));
    assert_eq!(told.try_iter().count(), 0, "a read is no change");
    bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, None);
    let kept = told.try_iter().last().unwrap().world.unwrap().to_yaml().unwrap();
    let new = bench.key(&guid, None);
    assert!(old != new && kept.contains(&new) && !kept.contains(&old));
    bench.sandbox.clock().advance(Duration::from_secs(90));
    told.try_iter().for_each(drop);
    read();
    let kept: Vec<_> = told.try_iter().map(|kept| (kept.ahead.as_secs(), kept.world.is_none())).collect();
    assert_eq!(kept, [(90, true)]);
}

#[test]
fn it_runs_on_a_clock_that_it_is_given() {
    let at = "2030-01-01T00:00:00Z".parse().unwrap();
    let clock = crate::env::Clock::simulated(Some(at));
    let sandbox =
        start(World::default(), Env { clock: clock.clone(), ..env() }, Options::default()).ok().unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(sandbox.clock().now().to_string(), "2030-01-01T00:01:00Z");
}

#[test]
fn the_tape_tells_who_did_what_and_holds_no_secret() {
    let bench = Bench::new(
        "ibm: { prod: { token_reset: {}, instances: { m: {} } } }\nlogicmonitor: { acme: { users: { u: { id: 1 } } } }",
    );
    let guid = bench.guid("m");
    let old = bench.key(&guid, None);
    bench.sysdig("POST", "/sandbox-invented/api/token/reset", &guid, None);
    bench.send("GET", "/api/users/me", &[("Authorization", &format!("Bearer {old}"))], "");
    bench.send("GET", &format!("/x?leak={old}"), &[("X-Leak", &old)], &old);
    bench.rc("PATCH", &format!("/{guid}"), r#"{"parameters":{"external_api_auth":"IAM_ONLY"}}"#);
    let made = bench.lm("POST", "/admins/1/apitokens", r#"{"note":"n"}"#).json();
    bench.lm("PATCH", &format!("/admins/1/apitokens/{}", made["id"]), r#"{"status":1}"#);
    let got = bench.control("GET", "/tape", "");
    assert!(!got.body.contains(MARKER), "{}", got.body);
    let effects: Vec<_> =
        got.json().as_array().unwrap().iter().map(|entry| entry["effect"].clone()).collect();
    let done: Vec<_> = effects.iter().filter(|effect| *effect != "").collect();
    assert_eq!(done, ["reset", "lock", "create", "patch"]);
    let last = bench.tape().pop().unwrap();
    assert_eq!((last.method.as_str(), last.status, last.body.as_str()), ("PATCH", 200, r#"{"status":1}"#));
    assert_eq!(
        (last.about.user, last.about.token, last.about.actor.as_str()),
        (Some(1), made["id"].as_u64(), "logicmonitor.acme")
    );
    let auth = last.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert_eq!(auth.1, format!("LMv1 {}", bench.lm_credential().0));
    let world = bench.control("GET", "/world", "");
    assert!(world.status == 200 && !world.body.contains(MARKER));
}

#[test]
fn the_operator_resets_once_after_being_asked_and_nobody_else_asks() {
    let bench = Bench::new(
        "ibm: { prod: { operator: { resets_after: 5s }, instances: { m: { teams: { A: { id: 1 } } } } } }",
    );
    let guid = bench.guid("m");
    let before = bench.key(&guid, Some(1));
    bench.control("POST", "/clock", r#"{"advance":"1h"}"#);
    assert_eq!(bench.key(&guid, Some(1)), before, "reading resets nothing");
    assert!(bench.sandbox.operator_watch(&guid, 1) && !bench.sandbox.operator_watch(&guid, 9));
    let body = format!(r#"{{"instance":"{guid}","team":1}}"#);
    assert_eq!(bench.control("POST", "/operator/watch", &body).status, 200);
    bench.control("POST", "/clock", r#"{"advance":"4s"}"#);
    assert_eq!(bench.key(&guid, Some(1)), before);
    bench.control("POST", "/clock", r#"{"advance":"1s"}"#);
    let after = bench.key(&guid, Some(1));
    assert_ne!(after, before);
    bench.control("POST", "/clock", r#"{"advance":"1h"}"#);
    assert_eq!(bench.key(&guid, Some(1)), after, "once");
    let tape = bench.tape();
    let entry = tape.iter().find(|entry| entry.effect == Effect::Reset).unwrap();
    assert_eq!(
        (entry.method.as_str(), entry.about.team, entry.about.actor.as_str()),
        ("OPERATOR", Some(1), "operator")
    );
}

#[test]
fn an_operator_may_notice_a_tool_that_polls() {
    let bench = Bench::new(
        "ibm: { prod: { operator: { resets_after: 5s, after_reads: 3 }, instances: { m: { teams: { A: { id: 1 } } } } } }",
    );
    let guid = bench.guid("m");
    let before = bench.key(&guid, Some(1));
    // Reads of different runs don't add up.
    assert!((0..5).all(|_| bench.key(&guid, Some(1)) == before));
    let iam = bench.iam();
    let headers = [("Authorization", iam.as_str()), ("IBMInstanceID", guid.as_str()), ("SysdigTeamID", "1")];
    (0..3).for_each(|_| assert_eq!(bench.send("GET", "/api/token", &headers, "").status, 200));
    bench.control("POST", "/clock", r#"{"advance":"5s"}"#);
    assert_ne!(bench.key(&guid, Some(1)), before);
}

#[test]
fn a_web_page_cannot_steer_it_and_bad_orders_are_told() {
    let bench = Bench::new("");
    let got = bench.send("GET", "/__sandbox/tape", &[("Origin", "https://evil.example")], "");
    assert_eq!(got.status, 403);
    assert_eq!(bench.control("POST", "/clock", r#"{"advance":"soon"}"#).status, 400);
    assert_eq!(bench.control("POST", "/faults", r#"{"on":{},"do":"explode"}"#).status, 400);
    assert_eq!(bench.control("GET", "/nothing", "").status, 404);
    assert_eq!(bench.send("GET", "/nothing", &[], "").status, 404);
}

#[test]
fn connections_are_kept_alive() {
    let bench = Bench::new("");
    let address = bench.sandbox.origin();
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /__sandbox/clock HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn every_connection_of_a_spec_gets_a_credential() {
    let mut world = World::default();
    world.ensure("ibm", "prod");
    world.ensure("logicmonitor", "acme");
    let bench = Bench::of(world);
    assert_eq!(bench.rc("GET", "", "").json()["rows_count"], 0);
    assert_eq!(bench.lm("GET", "/admins", "").json()["total"], 1);
    assert!(bench.sandbox.credential("ibm", "other").is_none());
}
