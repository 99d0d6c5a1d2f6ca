//! The client against a server that misbehaves as the contracts say vendors do.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::testing::{Got, Play, Server, env, run};
use super::*;

const ID: &str = "aB3dE5gH7jK9mN2pQ4rS";
const KEY: &str = "=T(9x]f4$Lq!w7_{eZ}~k2^V[3c+R)8b%yN5hG1u";
const API_KEY: &str = "CANARY-api-key";

#[derive(Deserialize, Debug)]
struct Thing {
    ok: bool,
}

fn var(name: &str) -> SecretRef {
    SecretRef::Env(name.to_owned())
}

fn lmv1() -> Identity {
    Identity::Lmv1 { access_id: var("LM_ID"), access_key: var("LM_KEY") }
}

fn iam(origin: &str) -> Identity {
    Identity::Iam { origin: origin.to_owned(), grant: Grant::ApiKey(var("IBM_KEY")) }
}

fn reader() -> (Reader, Env) {
    let vars =
        [("LM_ID", ID), ("LM_KEY", KEY), ("IBM_KEY", API_KEY), ("BRACED", "{CANARY"), ("BEARER", BEARER)];
    let env = env(&vars);
    (Reader::new(env.clone()), env)
}

const BEARER: &str = "lmb_CANARY0123456789REST";

use crate::env::Env;

fn object() -> Address {
    Address::connection("logicmonitor", "acme").owner("svc-ci")
}

fn request<'a>(origin: &'a str, identity: &'a Identity, object: &'a Address) -> Request<'a> {
    let lm = !matches!(identity, Identity::Iam { .. });
    Request {
        object,
        purpose: "read the thing",
        auth: Auth::Identity(identity),
        method: "GET",
        origin,
        prefix: if lm { "/santaba/rest" } else { "" },
        path: "/thing/a b",
        query: vec![("size", "1000".into())],
        headers: vec![("X-Version", "3".into())],
        body: None,
    }
}

/// Plays the given answers in turn; the last one repeats.
fn in_turn(answers: Vec<fn() -> Play>) -> impl FnMut(&Got) -> Play {
    let turn = Cell::new(0);
    move |_| {
        let n = turn.get();
        turn.set(n + 1);
        answers[n.min(answers.len() - 1)]()
    }
}

fn fine() -> Play {
    Play::json(200, r#"{"ok":true}"#)
}

#[test]
fn only_so_many_requests_are_under_way_at_once() {
    run(async {
        let most = async |bound: Option<usize>| {
            let (origin, most) = testing::busy().await;
            let (reader, _) = reader();
            bound.and_then(std::num::NonZeroUsize::new).into_iter().for_each(|n| reader.at_most(n));
            let (identity, object) = (lmv1(), object());
            let reads = (0..6).map(|_| reader.get::<Thing>(request(&origin, &identity, &object)));
            futures_util::future::join_all(reads)
                .await
                .into_iter()
                .for_each(|read| assert!(read.unwrap().body.ok));
            most.get()
        };
        assert_eq!(most(Some(1)).await, 1);
        assert_eq!(most(Some(2)).await, 2);
        assert!(most(None).await > 2);
    });
}

/// The request that needs a login has the only place; the login must not wait for another one.
#[test]
fn a_login_needs_no_place_of_its_own() {
    run(async {
        let server = Server::start(|got| match got.target.as_str() {
            "/identity/token" => token(1),
            _ => fine(),
        })
        .await;
        let (reader, _) = reader();
        reader.at_most(std::num::NonZeroUsize::MIN);
        let (identity, object) = (iam(&server.origin), object());
        assert!(reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap().body.ok);
    });
}

#[test]
fn a_signed_read_sends_what_the_contract_says_and_signs_the_decoded_path() {
    run(async {
        let server = Server::start(|_| fine()).await;
        let (reader, env) = reader();
        let (identity, object) = (lmv1(), object());
        let reply = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap();
        assert!(reply.status == 200 && reply.body.ok);
        let got = server.got().remove(0);
        assert_eq!(got.target, "/santaba/rest/thing/a%20b?size=1000");
        assert_eq!(got.headers["user-agent"], concat!("tokenform/", env!("CARGO_PKG_VERSION")));
        assert_eq!(got.headers["accept"], "application/json");
        assert_eq!(got.headers["x-version"], "3");
        assert!(!got.headers.contains_key("content-type"));
        let key = Secret::new(KEY.as_bytes().to_vec());
        let now = env.clock.now().as_millisecond();
        assert_eq!(
            got.headers["authorization"],
            lmv1::authorization(ID, &key, "GET", now, b"", "/thing/a b")
        );
        assert_eq!(reader.stats().0["read the thing"], 1);
    });
}

#[test]
fn a_read_outlives_outages_with_a_new_signature_for_each_try() {
    run(async {
        let html = || Play::Reply(503, vec![("content-type", "text/html".into())], "<html>upgrade".into());
        let server = Server::start(in_turn(vec![html, || Play::HangUp, fine])).await;
        let (reader, _) = reader();
        let waits: Rc<RefCell<Vec<Why>>> = Rc::default();
        let seen = Rc::clone(&waits);
        reader.on_wait(Box::new(move |wait| seen.borrow_mut().push(wait.why)));
        let (identity, object) = (lmv1(), object());
        assert!(reader.get::<Thing>(request(&server.origin, &identity, &object)).await.is_ok());
        let got = server.got();
        assert_eq!(got.len(), 3);
        assert_ne!(got[0].headers["authorization"], got[2].headers["authorization"]);
        assert_eq!(*waits.borrow(), [Why::Outage, Why::Outage]);
    });
}

#[test]
fn a_throttled_read_waits_the_window() {
    run(async {
        let slow = || Play::Reply(429, vec![("x-rate-limit-window", "40".into())], String::new());
        let server = Server::start(in_turn(vec![slow, fine])).await;
        let (reader, env) = reader();
        let before = env.clock.now();
        let (identity, object) = (lmv1(), object());
        assert!(reader.get::<Thing>(request(&server.origin, &identity, &object)).await.is_ok());
        let waited = env.clock.now().duration_since(before).as_secs();
        assert!((40..=50).contains(&waited), "{waited}");
    });
}

#[test]
fn after_a_401_nothing_more_is_sent_with_that_identity() {
    run(async {
        let no = || Play::json(401, r#"{"errorMessage":"Authentication failed","errorCode":1401}"#);
        let server = Server::start(in_turn(vec![no])).await;
        let (reader, _) = reader();
        let (identity, object) = (lmv1(), object());
        let first = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert_eq!((first.status, first.sent), (Some(401), Sent::Yes));
        let second = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert_eq!((second.status, second.sent), (None, Sent::No));
        assert!(second.to_string().contains("refused before"), "{second}");
        assert_eq!(server.got().len(), 1);
    });
}

#[test]
fn a_401_of_a_tried_value_stops_no_identity() {
    run(async {
        let server = Server::start(in_turn(vec![|| Play::json(401, "{}"), fine])).await;
        let (reader, _) = reader();
        let (identity, object) = (lmv1(), object());
        let value = Secret::new(b"CANARY-new".to_vec());
        let probe = Request { auth: Auth::Value(&value), ..request(&server.origin, &identity, &object) };
        assert_eq!(reader.get::<Thing>(probe).await.unwrap_err().status, Some(401));
        assert!(reader.get::<Thing>(request(&server.origin, &identity, &object)).await.is_ok());
        assert_eq!(server.got()[0].headers["authorization"], "Bearer CANARY-new");
    });
}

#[test]
fn errors_inside_success_and_the_first_api_version_are_failures() {
    run(async {
        let (identity, object) = (lmv1(), object());
        for (body, words) in [
            (r#"{"errorMessage":"no such thing","errorCode":1404,"ok":true}"#, "no such thing"),
            (r#"{"status":200,"errmsg":"OK","data":{"ok":true},"ok":true}"#, "as API v1"),
        ] {
            let server = Server::start(move |_| Play::json(200, body)).await;
            let (reader, _) = reader();
            let error = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.status, Some(200));
        }
    });
}

fn token(n: u32) -> Play {
    Play::json(200, format!(r#"{{"access_token":"CANARY-token-{n}","expires_in":3600,"expiration":1}}"#))
}

/// IAM and a service at one origin. The service refuses the first `refuse` requests.
fn ibm(refuse: usize) -> impl FnMut(&Got) -> Play {
    let (mut logins, mut calls) = (0, 0);
    move |got| {
        if got.target == "/identity/token" {
            logins += 1;
            return token(logins);
        }
        calls += 1;
        if calls <= refuse { Play::Reply(401, Vec::new(), "unauthorized CANARY".into()) } else { fine() }
    }
}

#[test]
fn one_login_serves_all_and_is_renewed_at_four_fifths_of_its_life() {
    run(async {
        let server = Server::start(ibm(0)).await;
        let (reader, env) = reader();
        let (identity, object) = (iam(&server.origin), object());
        let get = || reader.get::<Thing>(request(&server.origin, &identity, &object));
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        env.clock.advance(Duration::from_secs(2_870));
        get().await.unwrap();
        env.clock.advance(Duration::from_secs(20));
        get().await.unwrap();
        let got = server.got();
        let logins: Vec<_> = got.iter().filter(|got| got.method == "POST").collect();
        assert_eq!(logins.len(), 2);
        assert_eq!(
            logins[0].body,
            "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=CANARY-api-key&response_type=cloud_iam"
        );
        assert_eq!(logins[0].headers["content-type"], "application/x-www-form-urlencoded");
        assert!(!logins[0].headers.contains_key("authorization"));
        assert_eq!(got.last().unwrap().headers["authorization"], "Bearer CANARY-token-2");
    });
}

#[test]
fn a_token_is_never_sent_on_its_last_seconds_and_a_mutation_wants_a_minute() {
    run(async {
        let server = Server::start(|got: &Got| match got.target.as_str() {
            "/identity/token" => Play::json(200, r#"{"access_token":"CANARY-short","expires_in":50}"#),
            _ => fine(),
        })
        .await;
        let (reader, env) = reader();
        let (identity, object) = (iam(&server.origin), object());
        reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap();
        env.clock.advance(Duration::from_secs(41));
        reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap();
        assert_eq!(server.got().iter().filter(|got| got.method == "POST").count(), 2);
        let writer = Writer::for_test(reader);
        let change = Request { method: "PATCH", ..request(&server.origin, &identity, &object) };
        let error = writer.mutate::<IgnoredAny>(change).await.err().unwrap();
        assert!(error.sent == Sent::No && error.to_string().contains("60 s"), "{error}");
        assert!(server.got().iter().all(|got| got.method != "PATCH"));
    });
}

#[test]
fn a_401_renews_the_iam_token_once_and_repeats_only_reads() {
    run(async {
        let server = Server::start(ibm(1)).await;
        let (reader, _) = reader();
        let (identity, object) = (iam(&server.origin), object());
        reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap();
        assert_eq!(server.got().last().unwrap().headers["authorization"], "Bearer CANARY-token-2");

        let server = Server::start(ibm(9)).await;
        let (reader, _) = self::reader();
        let identity = iam(&server.origin);
        let error = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert_eq!(error.status, Some(401));
        assert_eq!(server.got().len(), 4);
        assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");

        let change = Request { method: "PATCH", ..request(&server.origin, &identity, &object) };
        let before = server.got().len();
        assert!(Writer::for_test(reader).mutate::<IgnoredAny>(change).await.is_err());
        let patches = server.got()[before..].iter().filter(|got| got.method == "PATCH").count();
        assert_eq!(patches, 1);
    });
}

/// Each of the waiting requests would else log in five times, five times over.
#[test]
fn a_login_that_fails_is_given_up_once_for_all_who_wait_and_nothing_was_sent() {
    run(async {
        let server = Server::start(|_| Play::Reply(503, vec![], String::new())).await;
        let (reader, env) = reader();
        let (identity, object) = (iam(&server.origin), object());
        let read = || reader.get::<Thing>(request(&server.origin, &identity, &object));
        let (one, two) = tokio::join!(read(), read());
        for error in [one.unwrap_err(), two.unwrap_err()] {
            let text = error.to_string();
            assert!(error.sent == Sent::No && text.contains("log in to IAM"), "{text}");
            assert!(text.contains("503") && text.contains("tried 5 times"), "{text}");
        }
        assert_eq!(server.got().len(), 5);
        env.clock.advance(Duration::from_secs(2));
        let change = Request { method: "PATCH", ..request(&server.origin, &identity, &object) };
        let error = Writer::for_test(reader).mutate::<IgnoredAny>(change).await.err().unwrap();
        assert_eq!(error.sent, Sent::No);
        assert!(server.got().len() == 10 && server.got().iter().all(|got| got.method == "POST"));
    });
}

#[test]
fn a_refused_api_key_is_tried_once_and_a_placeholder_never() {
    run(async {
        let body = r#"{"errorCode":"BXNIM0415E","errorMessage":"Provided API key CANARY-api-key could not be found","context":{"requestId":"r-1"}}"#;
        let server = Server::start(move |_| Play::json(400, body)).await;
        let (reader, _) = reader();
        let (identity, object) = (iam(&server.origin), object());
        for _ in 0..2 {
            let error = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("BXNIM0415E") && text.contains("r-1") && text.contains("log in to IAM"),
                "{text}"
            );
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
        assert_eq!(server.got().len(), 1);
        let braced = Identity::Iam { origin: server.origin.clone(), grant: Grant::ApiKey(var("BRACED")) };
        let error = reader.get::<Thing>(request(&server.origin, &braced, &object)).await.unwrap_err();
        assert!(error.to_string().contains("brace or a quote"), "{error}");
        assert!(!format!("{error:?}").contains("CANARY"));
        assert_eq!(server.got().len(), 1);
    });
}

#[test]
fn a_ready_token_is_used_until_it_ends_and_never_renewed() {
    run(async {
        use base64::Engine;
        let server = Server::start(|_| Play::json(401, "{}")).await;
        let (_, clock) = reader();
        let end = clock.clock.now().as_second() + 100;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#));
        let env = env(&[("READY", &format!("e30.{claims}.CANARY"))]);
        let reader = Reader::new(env.clone());
        let identity = Identity::Iam { origin: server.origin.clone(), grant: Grant::Token(var("READY")) };
        let object = object();
        let error = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert_eq!((error.status, server.got().len()), (Some(401), 1));
        env.clock.advance(Duration::from_secs(95));
        let error = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert!(error.sent == Sent::No && error.to_string().contains("less than 10 s"), "{error}");
        assert_eq!(server.got().len(), 1);
    });
}

#[test]
fn a_mutation_is_sent_once_whatever_comes_back() {
    run(async {
        let (identity, object) = (lmv1(), object());
        for (play, sent, status) in [
            ((|| Play::HangUp) as fn() -> Play, Sent::Maybe, None),
            (|| Play::json(500, "{}"), Sent::Yes, Some(500)),
            (|| Play::Reply(302, vec![("location", "/login".into())], String::new()), Sent::Yes, Some(302)),
            (|| Play::json(200, r#"{"CANARY"#), Sent::Yes, Some(200)),
            (|| Play::json(200, r#"{"ok":"CANARY"}"#), Sent::Yes, Some(200)),
        ] {
            let server = Server::start(in_turn(vec![play])).await;
            let writer = Writer::for_test(reader().0);
            let body = Some(r#"{"status":1}"#.to_owned());
            let change = Request { method: "PATCH", body, ..request(&server.origin, &identity, &object) };
            let error = writer.mutate::<Thing>(change).await.unwrap_err();
            assert_eq!((error.sent, error.status), (sent, status), "{error}");
            assert_eq!(server.got().len(), 1);
            assert_eq!(server.got()[0].body, r#"{"status":1}"#);
            assert_eq!(server.got()[0].headers["content-type"], "application/json");
            assert!(!format!("{error:?}{error}").contains("CANARY"));
        }
    });
}

#[test]
fn a_throttled_mutation_tells_its_window_and_an_empty_success_is_null() {
    run(async {
        let slow = || Play::Reply(429, vec![("x-rate-limit-window", "40".into())], String::new());
        let empty = || Play::Reply(204, Vec::new(), String::new());
        let server = Server::start(in_turn(vec![slow, empty])).await;
        let writer = Writer::for_test(reader().0);
        let (identity, object) = (lmv1(), object());
        let change = || Request { method: "DELETE", ..request(&server.origin, &identity, &object) };
        let error = writer.mutate::<IgnoredAny>(change()).await.err().unwrap();
        assert_eq!(error.retry_after, Some(Duration::from_secs(40)));
        assert_eq!(writer.mutate::<Option<Thing>>(change()).await.unwrap().status, 204);
    });
}

#[test]
fn a_refused_connection_is_surely_not_sent() {
    run(async {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let origin = format!("http://127.0.0.1:{port}");
        let writer = Writer::for_test(reader().0);
        let (identity, object) = (lmv1(), object());
        let error = writer.mutate::<IgnoredAny>(request(&origin, &identity, &object)).await.err().unwrap();
        assert_eq!(error.sent, Sent::No);
        assert!(error.to_string().contains("refused (tried 3 times)"), "{error}");
        assert_eq!(writer.reader().stats().total(), 3);
    });
}

#[test]
fn plain_http_to_another_host_never_leaves() {
    run(async {
        let (reader, _) = reader();
        let (identity, object) = (lmv1(), object());
        let error = reader.get::<Thing>(request("http://192.0.2.1", &identity, &object)).await.unwrap_err();
        assert!(error.sent == Sent::No && error.to_string().contains("plain http"), "{error}");
        assert_eq!(reader.stats().total(), 0);
    });
}

#[test]
fn a_reply_without_an_end_is_cut_off() {
    run(async {
        let server = Server::start(|_| Play::json(200, "1".repeat(2 * 1024 * 1024))).await;
        let (reader, _) = reader();
        let (identity, object) = (lmv1(), object());
        let error =
            reader.get_sealed::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
    });
}

#[test]
fn callers_are_told_by_id_and_by_masked_prefix() {
    run(async {
        let (reader, _) = reader();
        let object = object();
        assert_eq!(reader.caller_access_id(&object, &lmv1()).await.unwrap().as_deref(), Some(ID));
        let bearer = Identity::Bearer(var("BEARER"));
        assert_eq!(reader.caller_access_id(&object, &bearer).await.unwrap(), None);
        let masked = Secret::new(b"lmb_CANARY0123456789****".to_vec());
        assert!(reader.matches_identity_prefix(&object, &bearer, &masked).await.unwrap());
        assert!(!reader.matches_identity_prefix(&object, &lmv1(), &masked).await.unwrap());
    });
}

#[test]
fn a_nested_refusal_of_a_broker_is_not_repeated() {
    run(async {
        let body = r#"{"message":"broker returned error response: {\"errors\":[{\"reason\":\"Exception\",\"message\":\"Cannot update\"}]}","error_code":"RC-ServiceBrokerErrorResponse"}"#;
        let server = Server::start(move |got: &Got| match got.target.as_str() {
            "/identity/token" => token(1),
            _ => Play::json(502, body),
        })
        .await;
        let (reader, _) = reader();
        let (identity, object) = (iam(&server.origin), object());
        let error = reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap_err();
        assert_eq!(error.message.as_deref(), Some("Cannot update"));
        assert_eq!(error.reason.as_deref(), Some("Exception"));
        assert_eq!(server.got().len(), 2);
    });
}

#[test]
fn remote_requests_take_the_proxy_of_the_environment_and_tell_it_no_credential() {
    run(async {
        let proxy = Server::start(|_| Play::Reply(403, Vec::new(), "CANARY".into())).await;
        let vars =
            [("LM_ID", ID), ("LM_KEY", KEY), ("HTTPS_PROXY", &proxy.origin), ("NO_PROXY", "127.0.0.1")];
        let reader = Reader::new(env(&vars));
        let (identity, object) = (lmv1(), object());
        let error =
            reader.get::<Thing>(request("https://portal.invalid", &identity, &object)).await.unwrap_err();
        assert!(error.sent == Sent::Maybe && !format!("{error:?}").contains("CANARY"), "{error}");
        let got = proxy.got();
        assert_eq!((got[0].method.as_str(), got[0].target.as_str()), ("CONNECT", "portal.invalid:443"));
        assert!(!got[0].headers.contains_key("authorization"));
        let before = got.len();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let direct = format!("https://127.0.0.1:{port}");
        let error = reader.get::<Thing>(request(&direct, &identity, &object)).await.unwrap_err();
        assert_eq!(error.sent, Sent::No, "{error}");
        assert_eq!(proxy.got().len(), before);
    });
}

#[test]
fn no_error_quotes_a_body() {
    run(async {
        let (identity, object) = (lmv1(), object());
        for body in [
            r#"{"accessKey":"CANARY"}"#,
            r#"{"errorMessage":"no","errorCode":1400,"accessKey":"CANARY"}"#,
            r#"{"errmsg":"OK","status":200,"data":{"accessKey":"CANARY"}}"#,
            r#"{"ok":"CANARY","CANARY":1}"#,
            r#""CANARY""#,
            r#"["CANARY","CANARY"]"#,
            r#"{"errors":["CANARY"]}"#,
            "CANARY",
            "<b>CANARY</b>",
        ] {
            for status in [200, 201, 302, 400, 401, 403, 404, 409, 422, 500, 502] {
                let server = Server::start(move |_| Play::json(status, body)).await;
                let writer = Writer::for_test(reader().0);
                let get =
                    writer.reader().get_sealed::<Thing>(request(&server.origin, &identity, &object)).await;
                let change = writer.mutate::<Thing>(request(&server.origin, &identity, &object)).await;
                for error in [get.unwrap_err(), change.unwrap_err()] {
                    let shown = format!("{error} {error:?} {:?}", error.finding);
                    assert!(!shown.contains("CANARY"), "{status} {body}: {shown}");
                }
            }
        }
    });
}

#[test]
fn a_renewal_that_fails_early_is_quiet_and_tried_again_a_minute_later() {
    run(async {
        let mut logins = 0;
        let server = Server::start(move |got: &Got| match got.target.as_str() {
            "/identity/token" => {
                logins += 1;
                if logins == 2 { Play::json(503, "{}") } else { token(logins) }
            }
            _ => fine(),
        })
        .await;
        let (reader, env) = reader();
        let (identity, object) = (iam(&server.origin), object());
        let logins = || server.got().iter().filter(|got| got.method == "POST").count();
        for (ahead, expected) in [(0, 1), (3_000, 2), (30, 2), (60, 3)] {
            env.clock.advance(Duration::from_secs(ahead));
            reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap();
            assert_eq!(logins(), expected, "after {ahead} s more");
        }
    });
}

#[test]
fn a_wait_and_what_it_is_for_are_told_and_rate_headers_are_heeded() {
    run(async {
        let server = Server::start(|_: &Got| {
            let headers = [
                ("x-rate-limit-limit", "100"),
                ("x-rate-limit-remaining", "1"),
                ("x-rate-limit-window", "60"),
            ];
            Play::Reply(
                200,
                headers.map(|(name, value)| (name, value.to_owned())).into(),
                r#"{"ok":true}"#.into(),
            )
        })
        .await;
        let (reader, env) = reader();
        let told: Rc<RefCell<Vec<(String, u64)>>> = Rc::default();
        let log = Rc::clone(&told);
        reader.on_wait(Box::new(move |wait| {
            assert!(wait.why == Why::Pacing);
            log.borrow_mut().push((wait.purpose.to_owned(), wait.time.as_secs()));
        }));
        let (identity, object) = (lmv1(), object());
        let begin = env.clock.now();
        for _ in 0..2 {
            reader.get::<Thing>(request(&server.origin, &identity, &object)).await.unwrap();
        }
        assert_eq!(*told.borrow(), [("read the thing".to_owned(), 30)]);
        assert_eq!(env.clock.now().duration_since(begin).as_secs(), 30);
    });
}
