//! The provider against a portal that behaves as the contract says portals do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::audit_log::Watch;
use super::note;
use super::read::read_connection;
use super::state::*;
use super::steps::*;
use crate::env::Env;
use crate::http::testing::{Got, Play, Server, env, run};
use crate::http::{Reader, Writer, lmv1};
use crate::model::address::Address;
use crate::model::code::LM_CREDENTIAL_IN_USE;
use crate::model::guard::{Guard, KnownBy};
use crate::model::history::Facts;
use crate::model::observed::Observed;
use crate::model::secret::{DigestKey, Secret};
use crate::model::step::{Call, Recovery, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::SecretRef;
use crate::provider::state::Desired;
use crate::provider::steps::{Answer, Check, Context, Failure, Hold, Look, Phase, Prepared};

const OUR_ID: &str = "ourAccessId";
const OUR_KEY: &str = "{our](%~+key";
const NEW_KEY: &str = "=T(9x]CANARY$Lq!w7_{eZ}";
const NEW_BEARER: &str = "lmb_CANARYCANARYCANARY==";
const NONCE: &str = "7f2c917f2c917f2c917f2c917f2c91aa";

#[derive(Clone)]
struct Token {
    id: u64,
    owner: u64,
    bearer: bool,
    access_id: String,
    note: String,
    status: i64,
    /// Epoch seconds; 0 is never.
    used: i64,
}

/// The portal's data and its moods.
#[derive(Default)]
struct Portal {
    tokens: Vec<Token>,
    /// Answers to use up before the portal behaves: by method.
    moods: BTreeMap<&'static str, Vec<Mood>>,
    page: usize,
    users: String,
    next: u64,
    /// There are lists of users, and no call for one.
    lists_only: bool,
    /// `type` is not known: there is one list.
    ignores_type: bool,
    writes: Vec<String>,
    /// Rows of the audit log, newest first: epoch seconds, username.
    log: Vec<(i64, &'static str)>,
    ignores_filter: bool,
    log_says: Option<(u16, &'static str)>,
}

#[derive(Clone, Copy)]
enum Mood {
    /// Does it and hangs up.
    DoAndHangUp,
    Status(u16, &'static str),
    /// Creates and answers with this for the key.
    Key(&'static str),
    /// Creates the other kind.
    OtherKind,
}

type Shared = Rc<RefCell<Portal>>;

fn portal(tokens: Vec<Token>) -> Shared {
    let users = r#"{"id":32,"username":"svc-ci","status":"active","email":"a@b","roles":[{"id":1,"name":"ci"}]},
        {"id":33,"username":"svc-rotator","status":"active","roles":[{"id":2,"name":"mgr"}]}"#;
    Rc::new(RefCell::new(Portal { tokens, page: 1_000, users: users.into(), next: 900, ..Portal::default() }))
}

fn token(id: u64, owner: u64, bearer: bool, note: &str, status: i64) -> Token {
    Token { id, owner, bearer, access_id: format!("id{id}"), note: note.into(), status, used: 0 }
}

fn ours() -> Token {
    Token { access_id: OUR_ID.into(), ..token(1, 33, false, "ours", 2) }
}

impl Portal {
    fn play(&mut self, got: &Got) -> Play {
        if got.headers.get("x-version").map(String::as_str) != Some("3") {
            return Play::json(200, r#"{"status":200,"errmsg":"OK","data":{}}"#);
        }
        let (path, query) = got.target.split_once('?').unwrap_or((&got.target, ""));
        let parts: Vec<_> =
            path.trim_start_matches("/santaba/rest/setting/admins").split('/').skip(1).collect();
        let mood = self
            .moods
            .get_mut(got.method.as_str())
            .and_then(|moods| (!moods.is_empty()).then(|| moods.remove(0)));
        if let Some(Mood::Status(status, body)) = mood {
            return Play::json(status, body);
        }
        if got.method != "GET" {
            self.writes.push(format!(
                "{} {} {}",
                got.method,
                got.target.trim_start_matches("/santaba/rest"),
                got.body
            ));
        }
        if path.ends_with("/setting/accesslogs") {
            return self.log_says.map_or_else(|| self.log(query), |(status, body)| Play::json(status, body));
        }
        let bearer = query.contains("type=bearer") && !self.ignores_type;
        match (got.method.as_str(), parts.as_slice()) {
            ("GET", [.., "companySetting"]) => Play::json(200, r#"{"tokenDisabledDays":90,"name":"acme"}"#),
            ("GET", []) => self.page(query, vec![self.users.clone()], 2),
            ("GET", ["apitokens"]) => self.list(query, None, bearer),
            ("GET", [owner, "apitokens"]) => self.list(query, owner.parse().ok(), bearer),
            ("GET", [_]) if self.lists_only => Play::json(404, r#"{"errorMessage":"x","errorCode":1404}"#),
            ("GET", [_]) => Play::json(
                200,
                format!("{{{}", self.users.split_once('{').unwrap().1.split_once("},\n").unwrap().0) + "}",
            ),
            ("POST", [owner, "apitokens"]) => self.create(owner.parse().unwrap(), bearer, &got.body, mood),
            ("PATCH", [_, "apitokens", id]) => self.patch(id.parse().unwrap(), &got.body, mood),
            ("DELETE", [_, "apitokens", id]) => self.delete(id.parse().unwrap(), mood),
            _ => Play::json(404, r#"{"errorMessage":"HTTP 404 Not Found","errorCode":1400}"#),
        }
    }

    fn list(&self, query: &str, owner: Option<u64>, bearer: bool) -> Play {
        let hits =
            self.tokens.iter().filter(|t| t.bearer == bearer && owner.is_none_or(|owner| t.owner == owner));
        let rows: Vec<_> = hits
            .map(|t| {
                let name = if t.owner == 32 { "svc-ci" } else { "svc-rotator" };
                let note = serde_json::to_string(&t.note).unwrap();
                format!(
                    r#"{{"id":{},"adminId":{},"adminName":"{name}","accessId":"{}","accessKey":"{}","note":{note},"status":{},"createdOn":1735689600,"createdBy":"svc-rotator","lastUsedOn":{},"lastAuthIp":"203.0.113.9","roles":["ci"]}}"#,
                    t.id, t.owner, t.access_id, "lmb_CANARY0123456789****", t.status, t.used
                )
            })
            .collect();
        let total = rows.len();
        self.page(query, rows, total)
    }

    /// Newest rows first, two at a time, whatever size is asked for; `total` is negative.
    fn log(&self, query: &str) -> Play {
        let bound = |operator: &str| {
            let name = format!("happenedOn{operator}");
            let at = query.find(&name).map(|at| at + name.len());
            at.map(|at| {
                query[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<i64>().unwrap()
            })
        };
        let (since, mut until) = (bound("%3E%3A").unwrap(), bound("%3C%3A").unwrap_or(i64::MAX));
        if self.ignores_filter {
            until = i64::MAX;
        }
        let hits = self.log.iter().enumerate().filter(|(_, (at, _))| *at >= since && *at <= until);
        let offset =
            query.split('&').find_map(|p| p.strip_prefix("offset=")).map_or(0, |n| n.parse().unwrap());
        let rows: Vec<_> = hits
            .skip(offset)
            .take(2)
            .map(|(id, (at, user))| {
                format!(r#"{{"id":"{id}","username":"{user}","happenedOn":{at},"ip":"203.0.113.50","description":"x"}}"#)
            })
            .collect();
        Play::json(200, format!(r#"{{"total":-{},"items":[{}]}}"#, rows.len() + 1, rows.join(",")))
    }

    fn page(&self, query: &str, rows: Vec<String>, total: usize) -> Play {
        let offset =
            query.split('&').find_map(|p| p.strip_prefix("offset=")).map_or(0, |n| n.parse().unwrap());
        let rows: Vec<_> = rows.into_iter().skip(offset).take(self.page).collect();
        Play::json(200, format!(r#"{{"total":{total},"items":[{}],"searchId":null}}"#, rows.join(",")))
    }

    fn create(&mut self, owner: u64, bearer: bool, body: &str, mood: Option<Mood>) -> Play {
        let wish: serde_json::Value = serde_json::from_str(body).unwrap();
        let bearer = bearer != matches!(mood, Some(Mood::OtherKind));
        self.next += 1;
        let id = self.next;
        let status = wish["status"].as_i64().unwrap();
        self.tokens.push(token(id, owner, bearer, wish["note"].as_str().unwrap(), status));
        let key = match mood {
            Some(Mood::DoAndHangUp) => return Play::HangUp,
            Some(Mood::Key(key)) => key,
            _ if bearer => NEW_BEARER,
            _ => NEW_KEY,
        };
        let key = serde_json::to_string(key).unwrap();
        Play::json(
            200,
            format!(
                r#"{{"id":{id},"accessId":"id{id}","accessKey":{key},"status":{status},"createdOn":1795341600,"roles":["ci"]}}"#
            ),
        )
    }

    fn patch(&mut self, id: u64, body: &str, mood: Option<Mood>) -> Play {
        let wish: serde_json::Value = serde_json::from_str(body).unwrap();
        let Some(token) = self.tokens.iter_mut().find(|t| t.id == id) else { return not_found() };
        token.status = wish["status"].as_i64().unwrap();
        if let Some(note) = wish["note"].as_str() {
            token.note = note.into();
        }
        if matches!(mood, Some(Mood::DoAndHangUp)) { Play::HangUp } else { Play::json(200, "{}") }
    }

    fn delete(&mut self, id: u64, mood: Option<Mood>) -> Play {
        let before = self.tokens.len();
        self.tokens.retain(|t| t.id != id);
        match mood {
            Some(Mood::DoAndHangUp) => Play::HangUp,
            _ if self.tokens.len() == before => not_found(),
            _ => Play::json(200, "{}\r\n"),
        }
    }
}

fn not_found() -> Play {
    Play::json(404, r#"{"errorMessage":"Token not found","errorCode":1404}"#)
}

/// A portal, a connection to it, and everything that a step needs.
struct Stage {
    portal: Shared,
    server: Server,
    env: Env,
    writer: Writer,
    desired: Desired,
    key: DigestKey,
    done: BTreeMap<StepId, Facts>,
}

impl Stage {
    async fn new(portal: Shared) -> Self {
        let playing = Rc::clone(&portal);
        let server = Server::start(move |got| playing.borrow_mut().play(got)).await;
        let env = env(&[("LM_ID", OUR_ID), ("LM_KEY", OUR_KEY), ("BEARER", "lmb_CANARY0123456789rest")]);
        let lmv1 = Lmv1 { access_id: var("LM_ID"), access_key: var("LM_KEY") };
        let mut desired = Desired::default();
        desired.logicmonitor.insert(acme(), connection(&server.origin, Credential::Lmv1(lmv1)));
        let key = DigestKey::new(Secret::new(vec![7; 32]));
        let writer = Writer::for_test(Reader::new(env.clone()));
        Self { portal, server, env, writer, desired, key, done: BTreeMap::new() }
    }

    fn cx(&self) -> Context<'_> {
        Context { desired: &self.desired, key: &self.key, env: &self.env, done: &self.done }
    }

    fn reader(&self) -> &Reader {
        self.writer.reader()
    }

    fn mood(&self, method: &'static str, moods: &[Mood]) {
        self.portal.borrow_mut().moods.insert(method, moods.to_vec());
    }

    fn writes(&self) -> Vec<String> {
        self.portal.borrow().writes.clone()
    }

    async fn mutate(&self, step: &Step) -> Result<Answer, Failure> {
        mutate(&self.writer, &self.cx(), step, &prepared(), &facts()).await.map(Option::unwrap)
    }
}

fn var(name: &str) -> SecretRef {
    SecretRef::Env(name.into())
}

fn acme() -> Address {
    Address::connection("logicmonitor", "acme")
}

fn connection(origin: &str, credential: Credential) -> Connection {
    let user = |id| User { id, protect: false, tokens: BTreeMap::new(), lends: None };
    let users = [
        (acme().owner("svc-ci"), user(None)),
        (acme().owner("pinned"), user(Some(33))),
        (acme().owner("nobody"), user(None)),
    ];
    Connection {
        account: "acme".into(),
        domain: "logicmonitor.com".into(),
        endpoint: Some(origin.to_owned()),
        credential,
        users: users.into_iter().collect(),
        unlisted: None,
    }
}

fn step(verb: Verb, kind: &str, params: &[(&str, &str)]) -> Step {
    let address = acme().owner("svc-ci").item(kind, "ci-deploy");
    Step {
        id: StepId::new(verb, &address, 1),
        address,
        verb,
        shape: None,
        call: Call { method: String::new(), host: String::new(), path: String::new() },
        needs: Vec::new(),
        irreversible: false,
        destinations: Vec::new(),
        params: params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        expects: Vec::new(),
        guards: Vec::new(),
        recovery: Recovery::Marker,
    }
}

fn issue(kind: &str) -> Step {
    step(Verb::Issue, kind, &[("user_id", "32"), ("predecessor", "248")])
}

fn change(verb: Verb, kind: &str, id: &str) -> Step {
    step(verb, kind, &[("user_id", "32"), ("token_id", id)])
}

fn prepared() -> Prepared {
    Prepared { live: Vec::new(), facts: Facts::default(), hold: Hold::Nothing, deferred: None }
}

fn facts() -> Facts {
    Facts { nonce: Some(NONCE.into()), ..Facts::default() }
}

fn same(secret: &Secret, text: &str) -> bool {
    secret.same_as(&Secret::new(text.as_bytes().to_vec()))
}

#[test]
fn a_portal_that_ignores_the_type_gives_api_tokens_once() {
    run(async {
        let stage = Stage::new(portal(vec![ours(), token(248, 32, false, "ci-deploy", 2)])).await;
        stage.portal.borrow_mut().ignores_type = true;
        let read = read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
        let tokens = &read.users[&acme().owner("svc-ci")].present().unwrap().tokens;
        assert_eq!(tokens.iter().map(|t| (t.id, t.kind)).collect::<Vec<_>>(), [(248, TokenKind::ApiToken)]);
        let off = change(Verb::Disable, "api_token", "248");
        assert!(prepare(stage.reader(), &stage.cx(), &off).await.is_ok());
        // A bearer token that was asked for is an API token, and is deleted again.
        assert!(matches!(stage.mutate(&issue("bearer_token")).await, Err(Failure::Refused(_))));
        assert!(stage.writes().last().unwrap().starts_with("DELETE"), "{:?}", stage.writes());
    });
}

#[test]
fn a_user_is_gone_only_if_the_list_says_so_too() {
    run(async {
        let stage = Stage::new(portal(vec![ours()])).await;
        stage.portal.borrow_mut().lists_only = true;
        let cx = stage.cx();
        assert!(prepare(stage.reader(), &cx, &issue("api_token")).await.is_ok());
        let users = stage.portal.borrow().users.replace("\"id\":32", "\"id\":34");
        stage.portal.borrow_mut().users = users;
        let gone = prepare(stage.reader(), &cx, &issue("api_token")).await.err().unwrap();
        assert!(gone.code == crate::model::code::PLAN_USER_MISSING, "{gone}");
    });
}

#[test]
fn users_are_read_from_three_lists_with_their_tokens_and_the_caller() {
    run(async {
        let tokens = vec![ours(), token(248, 32, false, "ci-deploy", 2), token(7, 32, true, "otel", 1)];
        let stage = Stage::new(portal(tokens)).await;
        let read = read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
        let user = read.users[&acme().owner("svc-ci")].present().unwrap();
        assert_eq!((user.id, user.caller.as_deref()), (32, Some("svc-rotator")));
        assert_eq!(user.disables_after_days, Some(90));
        let listed: Vec<_> = user.tokens.iter().map(|t| (t.id, t.kind, t.status)).collect();
        assert_eq!(listed, [(7, TokenKind::BearerToken, 1), (248, TokenKind::ApiToken, 2)]);
        assert_eq!(read.users[&acme().owner("pinned")].present().unwrap().username, "svc-rotator");
        assert!(matches!(read.users[&acme().owner("nobody")], Observed::Absent));
        assert_eq!(read.callers[&acme()].access_id.as_deref(), Some(OUR_ID));
        assert_eq!(read.callers[&acme()].token_ids, [1]);
        assert_eq!(stage.server.got().len(), 4);
        let asked = stage.server.got().into_iter().map(|got| got.target);
        let mut asked = asked.filter(|target| !target.ends_with("/companySetting"));
        assert!(asked.all(|target| !target.contains("accessKey") && target.contains("size=1000")));
    });
}

#[test]
fn a_bearer_caller_is_found_by_the_unmasked_beginning() {
    run(async {
        let stage = Stage::new(portal(vec![token(7, 33, true, "me", 2)])).await;
        let conn = connection(&stage.server.origin, Credential::Bearer(var("BEARER")));
        let read = read_connection(stage.reader(), &acme(), &conn, &[]).await;
        let caller = &read.callers[&acme()];
        assert_eq!((&caller.access_id, caller.token_ids.as_slice()), (&None, [7].as_slice()));
        let user = read.users[&acme().owner("svc-ci")].present().unwrap();
        assert_eq!(user.caller.as_deref(), Some("svc-rotator"));
    });
}

#[test]
fn credentials_of_other_connections_to_the_portal_are_found_without_a_request_of_theirs() {
    run(async {
        let tokens = vec![ours(), token(7, 33, true, "theirs", 2), token(8, 32, true, "otel", 2)];
        let stage = Stage::new(portal(tokens)).await;
        let twin = connection(&stage.server.origin, Credential::Bearer(var("BEARER")));
        let lost = connection(&stage.server.origin, Credential::Bearer(var("NOT_SET")));
        let at = |name| Address::connection("logicmonitor", name);
        let (twin_at, lost_at) = (at("twin"), at("lost"));
        let own = &stage.desired.logicmonitor[&acme()];
        let read =
            read_connection(stage.reader(), &acme(), own, &[(&twin_at, &twin), (&lost_at, &lost)]).await;
        assert_eq!(read.callers[&acme()].token_ids, [1]);
        assert!(read.callers[&twin_at].token_ids.contains(&7), "{:?}", read.callers);
        let untold = read.callers[&lost_at].untold.as_deref().unwrap();
        assert!(untold.contains("the bearer token of logicmonitor.lost"), "{untold}");
        assert_eq!(stage.server.got().len(), 4);
    });
}

#[test]
fn pages_are_followed_to_the_announced_end() {
    run(async {
        let many: Vec<_> = (1..=23).map(|id| token(id, 32, false, "x", 2)).collect();
        let portal = portal(many);
        portal.borrow_mut().page = 5;
        let stage = Stage::new(portal).await;
        let read = read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
        let user = read.users[&acme().owner("svc-ci")].present().unwrap();
        assert_eq!(user.tokens.len(), 23);
        assert_eq!(stage.server.got().len(), 1 + 1 + 1 + 5);
    });
}

#[test]
fn half_a_list_is_never_taken_for_a_whole_one() {
    run(async {
        for (body, words) in [
            (r#"{"total":0}"#, "no `items`"),
            (r#"{"total":3,"items":[]}"#, "kept changing"),
            (r#"{"total":-1,"items":[{"note":"x"}]}"#, "no `id`"),
            (r#"{"total":1,"items":[{"id":5}]}"#, ""),
            (r#"<html>CANARY"#, "not JSON"),
        ] {
            let stage = Stage::new(portal(Vec::new())).await;
            stage.mood("GET", &[Mood::Status(200, body); 40]);
            let read =
                read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
            for (address, user) in read.users {
                let Observed::Unreadable(finding) = user else { panic!("{body}") };
                assert!(finding.message.contains(words), "{finding}");
                assert_eq!(finding.address, Some(address));
                assert!(!format!("{finding:?}").contains("CANARY"));
            }
        }
    });
}

#[test]
fn a_list_without_a_count_ends_when_a_page_brings_nothing_new() {
    run(async {
        let stage = Stage::new(portal(Vec::new())).await;
        let same = r#"{"total":-2,"items":[{"id":5,"adminId":32,"username":"svc-ci"}]}"#;
        stage.mood("GET", &[Mood::Status(200, same); 40]);
        let read = read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
        assert!(read.users[&acme().owner("svc-ci")].present().is_some());
        // two of users and of tokens, the first of bearer tokens, which is the same, and the setting
        assert_eq!(stage.server.got().len(), 6);
    });
}

#[test]
fn two_users_of_one_name_are_ambiguous() {
    run(async {
        let portal = portal(vec![ours()]);
        portal.borrow_mut().users =
            r#"{"id":32,"username":"svc-ci"}, {"id":40,"username":"svc-ci"}"#.to_owned();
        let stage = Stage::new(portal).await;
        let read = read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
        let Observed::Unreadable(finding) = &read.users[&acme().owner("svc-ci")] else { panic!() };
        assert!(finding.message.contains("ids 32, 40"), "{finding}");
    });
}

#[test]
fn a_token_is_prepared_issued_tried_and_confirmed() {
    run(async {
        let stage = Stage::new(portal(vec![ours(), token(248, 32, false, "ci-deploy", 2)])).await;
        let (cx, step) = (stage.cx(), issue("api_token"));
        let read = read_connection(stage.reader(), &acme(), &stage.desired.logicmonitor[&acme()], &[]).await;
        let user = read.users[&acme().owner("svc-ci")].present().unwrap();
        let prepared = prepare(stage.reader(), &cx, &step).await.unwrap();
        assert_eq!(prepared.live[0].digest, user.digest(&stage.key));
        let named = user.bound(TokenKind::ApiToken, "ci-deploy", None);
        assert_eq!(prepared.live[1].digest, tokens_digest(&named, &stage.key));
        assert_eq!(prepared.facts.predecessor, Some(248));

        let answer = stage.mutate(&step).await.ok().unwrap();
        let value = answer.value.as_ref().unwrap();
        assert!(same(&value.secret, NEW_KEY) && value.id.as_deref() == Some("id901"));
        let facts = &answer.facts;
        assert_eq!((facts.remote_id, facts.predecessor, facts.enabled), (Some(901), Some(248), Some(true)));
        assert_eq!(facts.fingerprint, Some(stage.key.fingerprint(&value.secret)));
        assert_eq!(facts.issued_at.unwrap().as_second(), 1_795_341_600);
        assert_eq!(
            stage.writes(),
            [format!(
                r#"POST /setting/admins/32/apitokens {{"note":"ci-deploy ;tf1 g={NONCE} p=248","status":2}}"#
            )]
        );

        assert!(matches!(ready(stage.reader(), &cx, &step, &answer).await, Check::Holds(_)));
        let probe = stage.server.got().pop().unwrap();
        let key = Secret::new(NEW_KEY.as_bytes().to_vec());
        let now = stage.env.clock.now().as_millisecond();
        let signed = lmv1::authorization("id901", &key, "GET", now, b"", "/setting/admins/32/apitokens");
        assert_eq!(probe.headers["authorization"], signed);

        let Check::Holds(facts) = confirm(stage.reader(), &cx, &step, &prepared, &answer).await else {
            panic!()
        };
        assert_eq!((facts.remote_id, facts.nonce.as_deref()), (Some(901), Some(NONCE)));
    });
}

#[test]
fn a_bearer_token_is_asked_for_by_type_and_tried_as_it_is() {
    run(async {
        let stage = Stage::new(portal(vec![ours()])).await;
        let (cx, step) = (stage.cx(), issue("bearer_token"));
        let answer = stage.mutate(&step).await.ok().unwrap();
        assert!(answer.value.as_ref().unwrap().id.is_none() && answer.facts.access_id.is_none());
        assert!(stage.writes()[0].starts_with("POST /setting/admins/32/apitokens?type=bearer "));
        assert!(matches!(ready(stage.reader(), &cx, &step, &answer).await, Check::Holds(_)));
        let probe = stage.server.got().pop().unwrap();
        assert_eq!(probe.headers["authorization"], format!("Bearer {NEW_BEARER}"));
        assert!(matches!(confirm(stage.reader(), &cx, &step, &prepared(), &answer).await, Check::Holds(_)));
    });
}

#[test]
fn a_new_value_works_with_403_and_waits_with_401() {
    run(async {
        let stage = Stage::new(portal(vec![ours()])).await;
        let (cx, step) = (stage.cx(), issue("api_token"));
        let answer = stage.mutate(&step).await.ok().unwrap();
        stage.mood("GET", &[Mood::Status(401, r#"{"errorMessage":"no","errorCode":1401}"#)]);
        assert!(matches!(ready(stage.reader(), &cx, &step, &answer).await, Check::NotYet(_)));
        stage.mood("GET", &[Mood::Status(200, r#"{"errorMessage":"no","errorCode":1403}"#)]);
        assert!(matches!(ready(stage.reader(), &cx, &step, &answer).await, Check::Holds(_)));
        let lost = Answer { value: None, ..answer };
        assert!(matches!(ready(stage.reader(), &cx, &step, &lost).await, Check::Never(_)));
    });
}

#[test]
fn an_unusable_new_token_is_deleted_again() {
    run(async {
        for (kind, mood, words) in [
            ("api_token", Mood::Key(""), "no key"),
            ("api_token", Mood::Key("CANARY********"), "masked"),
            ("bearer_token", Mood::OtherKind, "it is an API token"),
            ("api_token", Mood::OtherKind, "it is a bearer token"),
        ] {
            let stage = Stage::new(portal(vec![ours()])).await;
            stage.mood("POST", &[mood]);
            let Err(Failure::Refused(finding)) = stage.mutate(&issue(kind)).await else { panic!("{words}") };
            assert!(
                finding.message.contains(words) && finding.message.contains("deleted again"),
                "{finding}"
            );
            assert!(!format!("{finding:?}").contains("CANARY"));
            assert_eq!(stage.portal.borrow().tokens.len(), 1);
            assert_eq!(stage.writes()[1], "DELETE /setting/admins/32/apitokens/901 ");
        }
    });
}

#[test]
fn a_lost_answer_is_in_doubt_and_its_orphan_is_found_and_revoked() {
    run(async {
        let stage = Stage::new(portal(vec![ours()])).await;
        let (cx, step) = (stage.cx(), issue("api_token"));
        let looked = look(stage.reader(), &cx, &step, &prepared(), &facts()).await;
        assert!(matches!(looked, Look::NotHappened));
        stage.mood("POST", &[Mood::DoAndHangUp]);
        assert!(matches!(stage.mutate(&step).await, Err(Failure::Doubt(_))));
        assert_eq!(stage.writes().len(), 1);
        let looked = look(stage.reader(), &cx, &step, &prepared(), &facts()).await;
        let Look::Happened(orphan) = looked else { panic!() };
        assert!(orphan.value.is_none());
        assert!(revoke(&stage.writer, &cx, &step, orphan.facts.remote_id.unwrap()).await.is_ok());
        assert!(revoke(&stage.writer, &cx, &step, 901).await.is_ok(), "what is gone is revoked");
        let looked = look(stage.reader(), &cx, &step, &prepared(), &facts()).await;
        assert!(matches!(looked, Look::NotHappened));
    });
}

#[test]
fn a_copied_marker_or_a_failing_list_tells_nothing() {
    run(async {
        let note = note::issued("ci-deploy", NONCE, None);
        let stage =
            Stage::new(portal(vec![token(5, 32, false, &note, 2), token(6, 32, false, &note, 2)])).await;
        let (cx, step) = (stage.cx(), issue("api_token"));
        let looked = look(stage.reader(), &cx, &step, &prepared(), &facts()).await;
        assert!(matches!(looked, Look::CannotTell(_)));
        let looked = look(stage.reader(), &cx, &step, &prepared(), &Facts::default()).await;
        assert!(matches!(looked, Look::CannotTell(_)), "without a nonce nothing can be found");
        stage.mood("GET", &[Mood::Status(403, r#"{"errorMessage":"no","errorCode":1403}"#)]);
        let looked = look(stage.reader(), &cx, &step, &prepared(), &facts()).await;
        assert!(matches!(looked, Look::CannotTell(_)));
    });
}

#[test]
fn answers_are_told_apart_by_what_they_say_happened() {
    run(async {
        let stage = Stage::new(portal(vec![ours()])).await;
        for (status, body, expected) in [
            (400, r#"{"errorMessage":"no","errorCode":1400}"#, "refused"),
            (409, "{}", "refused"),
            (200, r#"{"errorMessage":"no","errorCode":1403}"#, "refused"),
            (429, "{}", "throttled"),
            (200, r#"{"errorMessage":"slow","errorCode":1429}"#, "throttled"),
            (500, "{}", "doubt"),
            (503, "<html>CANARY", "doubt"),
            (202, r#"{"errorMessage":"accepted","errorCode":1202}"#, "doubt"),
            (200, "<html>CANARY", "doubt"),
            (200, r#"{"status":200,"errmsg":"OK","data":{}}"#, "doubt"),
            (200, "{}", "doubt"),
        ] {
            stage.mood("POST", &[Mood::Status(status, body)]);
            let (told, finding) = match stage.mutate(&issue("api_token")).await {
                Err(Failure::Refused(finding)) => ("refused", finding),
                Err(Failure::Throttled(finding, wait)) => {
                    assert_eq!(wait.as_secs(), 60);
                    ("throttled", finding)
                }
                Err(Failure::Doubt(finding)) => ("doubt", finding),
                Ok(_) => panic!("{status} {body}"),
            };
            assert_eq!(told, expected, "{status} {body}: {finding}");
            assert!(!format!("{finding:?}").contains("CANARY"));
        }
        assert_eq!(stage.writes().len(), 0);
    });
}

#[test]
fn a_status_is_patched_alone_and_proved_by_the_list() {
    run(async {
        let stage = Stage::new(portal(vec![ours(), token(248, 32, false, "ci-deploy", 2)])).await;
        let (cx, off) = (stage.cx(), change(Verb::Disable, "api_token", "248"));
        let before = prepare(stage.reader(), &cx, &off).await.unwrap();
        assert_eq!((before.facts.remote_id, before.facts.enabled), (Some(248), Some(true)));
        let nothing = Answer { facts: Facts::default(), value: None };
        assert!(matches!(confirm(stage.reader(), &cx, &off, &before, &nothing).await, Check::NotYet(_)));
        stage.mood("PATCH", &[Mood::DoAndHangUp]);
        assert!(matches!(stage.mutate(&off).await, Err(Failure::Doubt(_))));
        let looked = look(stage.reader(), &cx, &off, &before, &facts()).await;
        let Look::Happened(answer) = looked else { panic!() };
        assert_eq!(answer.facts.enabled, Some(false));
        let on = change(Verb::Enable, "api_token", "248");
        let answer = stage.mutate(&on).await.ok().unwrap();
        assert!(matches!(confirm(stage.reader(), &cx, &on, &before, &answer).await, Check::Holds(_)));
        assert_eq!(
            stage.writes(),
            [
                r#"PATCH /setting/admins/32/apitokens/248 {"status":1}"#,
                r#"PATCH /setting/admins/32/apitokens/248 {"status":2}"#
            ]
        );
    });
}

#[test]
fn a_delete_sends_no_body_and_what_is_gone_is_deleted() {
    run(async {
        let stage = Stage::new(portal(vec![ours(), token(248, 32, false, "ci-deploy", 1)])).await;
        let (cx, step) = (stage.cx(), change(Verb::Delete, "api_token", "248"));
        let answer = stage.mutate(&step).await.ok().unwrap();
        assert_eq!(stage.writes(), ["DELETE /setting/admins/32/apitokens/248 "]);
        assert!(matches!(confirm(stage.reader(), &cx, &step, &prepared(), &answer).await, Check::Holds(_)));
        assert!(stage.mutate(&step).await.is_ok());
        assert!(prepare(stage.reader(), &cx, &step).await.is_ok());
        let off = change(Verb::Disable, "api_token", "248");
        assert!(prepare(stage.reader(), &cx, &off).await.is_err());
        assert!(matches!(stage.mutate(&off).await, Err(Failure::Refused(_))));
    });
}

#[test]
fn a_bearer_id_that_is_listed_and_denied_is_tried_once_by_type() {
    run(async {
        let stage = Stage::new(portal(vec![ours(), token(7, 32, true, "ci-deploy", 2)])).await;
        stage.mood("PATCH", &[Mood::Status(404, r#"{"errorMessage":"gone","errorCode":1404}"#)]);
        assert!(stage.mutate(&change(Verb::Disable, "bearer_token", "7")).await.is_ok());
        assert_eq!(stage.writes(), [r#"PATCH /setting/admins/32/apitokens/7?type=bearer {"status":1}"#]);
    });
}

#[test]
fn unknown_states_and_unfit_owners_are_not_acted_on() {
    run(async {
        let odd = vec![
            token(5, 32, false, "a", 3),
            token(6, 32, true, "b", 2),
            token(8, 32, false, "c", 2),
            token(8, 32, true, "d", 2),
        ];
        let stage = Stage::new(portal(odd)).await;
        let cx = stage.cx();
        for (id, words) in
            [("5", "status 3"), ("6", "is a bearer_token"), ("8", "in that of bearer"), ("9", "not there")]
        {
            let finding =
                prepare(stage.reader(), &cx, &change(Verb::Disable, "api_token", id)).await.err().unwrap();
            assert!(finding.message.contains(words), "{finding}");
        }
        for users in [
            r#"{"id":32,"username":"svc-ci","status":"suspended","roles":[]},
            {}"#,
            r#"{"id":32,"username":"svc-ci","status":"active","roles":["Administrator"]},
            {}"#,
            r#"{"id":32,"username":"lmsupport","status":"active"},
            {}"#,
        ] {
            stage.portal.borrow_mut().users = users.to_owned();
            let finding = prepare(stage.reader(), &cx, &issue("api_token")).await.err().unwrap();
            assert!(finding.message.contains("can't own a new token"), "{finding}");
        }
    });
}

#[test]
fn a_malformed_step_is_refused_before_any_request() {
    run(async {
        let stage = Stage::new(portal(Vec::new())).await;
        let cx = stage.cx();
        for bad in [
            change(Verb::Delete, "api_token", "1/../../2"),
            change(Verb::Delete, "team", "1"),
            step(Verb::Delete, "api_token", &[("user_id", "32")]),
            change(Verb::Reset, "api_token", "1"),
        ] {
            assert!(matches!(stage.mutate(&bad).await, Err(Failure::Refused(_))));
        }
        let bad = step(Verb::Issue, "api_token", &[]);
        assert!(prepare(stage.reader(), &cx, &bad).await.is_err());
        assert!(stage.server.got().is_empty());
    });
}

#[test]
fn a_new_value_is_tried_three_times_at_most() {
    let patience = patience(&issue("api_token"), Phase::Ready);
    let seconds: Vec<_> = patience.pauses.iter().map(std::time::Duration::as_secs).collect();
    assert_eq!((seconds.iter().sum::<u64>(), patience.limit.as_secs(), seconds.len()), (22, 22, 3));
}

/// A step on token 5, which token 6 has replaced.
fn retire(verb: Verb, mark: Option<&str>, guards: Vec<Guard>) -> Step {
    let mut params = vec![("user_id", "32"), ("token_id", "5"), ("successor", "6"), ("note", "ci-deploy")];
    params.extend(mark.map(|mark| ("mark", mark)));
    Step { guards, ..step(verb, "api_token", &params) }
}

fn two_tokens() -> Vec<Token> {
    let new = note::issued("ci-deploy", NONCE, Some(5));
    vec![ours(), token(5, 32, false, "ci-deploy", 2), token(6, 32, false, &new, 2)]
}

#[test]
fn a_mark_is_written_with_the_status_and_tells_our_own_disable_from_anothers() {
    run(async {
        let stage = Stage::new(portal(two_tokens())).await;
        let (cx, off) = (stage.cx(), retire(Verb::Disable, Some("off"), vec![]));
        let began = prepare(stage.reader(), &cx, &off).await.unwrap().facts;
        let at = began.marked_at.unwrap();
        assert_eq!((began.successor, at), (Some(6), stage.env.clock.now()));
        // somebody else disables it meanwhile: that is not what this step does
        stage.portal.borrow_mut().tokens[1].status = 1;
        let looked = look(stage.reader(), &cx, &off, &prepared(), &began).await;
        assert!(matches!(looked, Look::NotHappened));
        stage.mood("PATCH", &[Mood::DoAndHangUp]);
        let lost = mutate(&stage.writer, &cx, &off, &prepared(), &began).await;
        assert!(matches!(lost, Err(Failure::Doubt(_))));
        let seconds = at.as_second();
        let body = format!(r#"{{"note":"ci-deploy ;tf1 off={seconds}","status":1}}"#);
        assert_eq!(stage.writes(), [format!("PATCH /setting/admins/32/apitokens/5 {body}")]);
        let looked = look(stage.reader(), &cx, &off, &prepared(), &began).await;
        let Look::Happened(answer) = looked else { panic!() };
        let answer = answer.over(began);
        assert!(matches!(confirm(stage.reader(), &cx, &off, &prepared(), &answer).await, Check::Holds(_)));
        assert_eq!((answer.facts.enabled, answer.facts.marked_at), (Some(false), Some(at)));

        let mut back = retire(Verb::Enable, Some("back"), vec![]);
        back.params.insert("note".into(), format!("ci-deploy ;tf1 off={seconds}"));
        let began = prepare(stage.reader(), &cx, &back).await.unwrap().facts;
        assert!(mutate(&stage.writer, &cx, &back, &prepared(), &began).await.is_ok());
        let note = stage.portal.borrow().tokens[1].note.clone();
        assert_eq!(note, format!("ci-deploy ;tf1 back={seconds}"));
        let unmarked = mutate(&stage.writer, &cx, &back, &prepared(), &Facts::default()).await;
        assert!(matches!(unmarked, Err(Failure::Refused(_))), "without its instant nothing is sent");
    });
}

#[test]
fn what_a_connection_logs_in_with_now_is_not_taken() {
    run(async {
        // the plan did not know it: the credential is another one than it was then
        let rows = |id: &str, bearer| Token { access_id: id.into(), ..token(5, 32, bearer, "ci-deploy", 2) };
        let mut stage = Stage::new(portal(vec![rows(OUR_ID, false)])).await;
        let taken = async |stage: &Stage, verb, kind| {
            let step = change(verb, kind, "5");
            prepare(stage.reader(), &stage.cx(), &step).await.err().map(|finding| finding.code)
        };
        for verb in [Verb::Disable, Verb::Delete] {
            assert_eq!(taken(&stage, verb, "api_token").await, Some(LM_CREDENTIAL_IN_USE));
        }
        assert_eq!(taken(&stage, Verb::Enable, "api_token").await, None);
        // also that of another connection to the portal
        let twin = stage.desired.logicmonitor[&acme()].clone();
        stage.desired.logicmonitor.get_mut(&acme()).unwrap().credential = Credential::Bearer(var("BEARER"));
        assert_eq!(taken(&stage, Verb::Disable, "api_token").await, None);
        stage.desired.logicmonitor.insert(Address::connection("logicmonitor", "twin"), twin);
        assert_eq!(taken(&stage, Verb::Disable, "api_token").await, Some(LM_CREDENTIAL_IN_USE));
        // a bearer token is told by its first characters
        stage.portal.borrow_mut().tokens = vec![rows("x", true)];
        assert_eq!(taken(&stage, Verb::Disable, "bearer_token").await, Some(LM_CREDENTIAL_IN_USE));
        stage.desired.logicmonitor.get_mut(&acme()).unwrap().credential = Credential::Bearer(var("LM_KEY"));
        assert_eq!(taken(&stage, Verb::Disable, "bearer_token").await, None);
        assert!(stage.writes().is_empty());
        // a credential that can't be had may be any of its kind
        let twin = stage.desired.logicmonitor.values_mut().next_back().unwrap();
        twin.credential = Credential::Bearer(var("NOT_SET"));
        assert!(taken(&stage, Verb::Disable, "bearer_token").await.is_some());
    });
}

#[test]
fn an_owner_keeps_a_token_by_a_fresh_read() {
    run(async {
        let mut tokens = vec![token(5, 32, false, "x", 2), token(6, 32, true, "y", 2)];
        let stage = Stage::new(portal(tokens.clone())).await;
        let mut step = change(Verb::Disable, "api_token", "5");
        step.guards = vec![Guard::OwnerKeepsOne { token_id: 5 }];
        let deferred = async || prepare(stage.reader(), &stage.cx(), &step).await.unwrap().deferred;
        assert_eq!(deferred().await, None);
        tokens[1].status = 1;
        stage.portal.borrow_mut().tokens = tokens;
        assert_eq!(deferred().await.as_deref(), Some("id 5 is the last enabled token of svc-ci"));
    });
}

#[test]
fn a_guard_is_judged_by_a_fresh_read() {
    run(async {
        let stage = Stage::new(portal(two_tokens())).await;
        let now = stage.env.clock.now();
        let ago = |hours: i64| now - jiff::SignedDuration::from_hours(hours);
        let deferred = async |guard: Guard| {
            let step = retire(Verb::Disable, Some("off"), vec![guard]);
            prepare(stage.reader(), &stage.cx(), &step).await.unwrap().deferred
        };
        let day: crate::model::vocabulary::Period = "24h".parse().unwrap();
        let idle = Guard::OldIdle { token_id: 5, at_least: day, last_used_on: None };
        assert_eq!(deferred(idle.clone()).await, None);
        stage.portal.borrow_mut().tokens[1].used = ago(24).as_second();
        assert_eq!(deferred(idle.clone()).await, None);
        stage.portal.borrow_mut().tokens[1].used = ago(23).as_second();
        let why = deferred(idle).await.unwrap();
        assert!(why.contains("was used from 203.0.113.9") && why.contains("it is in use"), "{why}");

        let in_place = |hours| Guard::SuccessorInPlace {
            token_id: 6,
            issued_at: ago(hours),
            overlap: day,
            known_by: KnownBy::Spec { consumers_moved: now },
        };
        assert_eq!(deferred(in_place(24)).await, None);
        assert!(deferred(in_place(23)).await.unwrap().contains("both shall work until"));
        stage.portal.borrow_mut().tokens[2].status = 1;
        assert!(deferred(in_place(24)).await.unwrap().contains("is disabled"));
        stage.portal.borrow_mut().tokens.remove(2);
        assert!(deferred(in_place(24)).await.unwrap().contains("is not there"));

        let off = |hours| Guard::DisabledFor { token_id: 5, at_least: day, since: ago(hours) };
        assert!(deferred(off(24)).await.unwrap().contains("is enabled again"));
        stage.portal.borrow_mut().tokens[1].status = 1;
        assert_eq!(deferred(off(24)).await, None);
        assert!(deferred(off(23)).await.unwrap().contains("too recently"));
        assert_eq!(deferred(Guard::Unwatched { token_id: 5, why: "x".into() }).await, None);
    });
}

#[test]
fn the_audit_log_is_read_whole_and_never_taken_for_silent_when_it_could_not_be() {
    run(async {
        let stage = Stage::new(portal(two_tokens())).await;
        let since = stage.env.clock.now() - jiff::SignedDuration::from_hours(48);
        let guard = Guard::NotTried { access_id: "id5".into(), since };
        let step = retire(Verb::Delete, None, vec![guard]);
        let deferred = async || prepare(stage.reader(), &stage.cx(), &step).await.unwrap().deferred;
        assert!(deferred().await.unwrap().contains("is empty, though tokenform itself changed a token"));
        let at = |minutes: i64| since.as_second() + 60 * minutes;
        let rows = vec![(at(9), "a"), (at(8), "b"), (at(8), "c"), (at(7), "d"), (at(0), "svc-rotator")];
        stage.portal.borrow_mut().log = rows.clone();
        assert_eq!(deferred().await, None);
        let asked = stage.server.got().iter().filter(|got| got.target.contains("accesslogs")).count();
        assert!(asked >= 4, "pages of two rows are walked by time: {asked}");
        stage.portal.borrow_mut().log[3] = (at(7), "id5");
        let why = deferred().await.unwrap();
        assert!(why.contains("it was tried from 203.0.113.50"), "{why}");
        // before it was disabled it may have been tried with a wrong signature
        stage.portal.borrow_mut().log = rows.iter().copied().chain([(at(-5), "id5")]).collect();
        assert_eq!(deferred().await, None);
        for (status, body, words) in [
            (403, r#"{"errorMessage":"no","errorCode":1403}"#, "can't be read: HTTP 403"),
            (200, "{}", "the answer has no `items`"),
        ] {
            stage.portal.borrow_mut().log_says = Some((status, body));
            assert!(deferred().await.unwrap().contains(words), "{words}");
        }
        stage.portal.borrow_mut().log_says = None;
        let second = [vec![(at(9), "a"); 5], vec![(at(8), "id5")]].concat();
        stage.portal.borrow_mut().log = second;
        assert!(deferred().await.unwrap().contains("it was tried"), "one second has more rows than a page");
        stage.portal.borrow_mut().log = (0..200).map(|n| (at(1000 - n), "a")).collect();
        assert!(deferred().await.unwrap().contains("too long"));
        stage.portal.borrow_mut().ignores_filter = true;
        assert!(deferred().await.unwrap().contains("does not filter"));
    });
}

#[test]
fn reading_asks_the_log_only_when_a_replaced_token_is_disabled() {
    run(async {
        let stage = Stage::new(portal(two_tokens())).await;
        let connection = &stage.desired.logicmonitor[&acme()];
        let read = read_connection(stage.reader(), &acme(), connection, &[]).await;
        assert_eq!(read.portal.watch, Watch::NotAsked);
        let now = stage.env.clock.now().as_second();
        stage.portal.borrow_mut().tokens[1].status = 1;
        stage.portal.borrow_mut().tokens[1].note = format!("ci-deploy ;tf1 off={}", now - 500);
        stage.portal.borrow_mut().log = vec![(now - 100, "id5"), (now - 200, "id5"), (now - 501, "id5")];
        let read = read_connection(stage.reader(), &acme(), connection, &[]).await;
        let Watch::Read(tries) = read.portal.watch else { panic!() };
        assert_eq!((tries.len(), tries["id5"].count, tries["id5"].last.as_second()), (1, 2, now - 100));
        let user = read.users[&acme().owner("svc-ci")].present().unwrap();
        assert_eq!(
            (user.caller.as_deref(), user.our_ips.as_slice()),
            (Some("svc-rotator"), &["203.0.113.9".to_owned()][..])
        );
    });
}
