//! The stand-in's state and answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{CANARY, GUID, connection};
use crate::provider::ibm::parameters;
use crate::provider::ibm::state::Connection;

/// The vendor's state, and how it misbehaves.
pub struct World {
    pub parameters: Option<String>,
    /// Grows with each PATCH; `updated_at` is made of it.
    pub version: u32,
    pub locked: bool,
    /// GETs that still answer `in progress` after a PATCH.
    pub in_progress: u32,
    /// What `external_api_auth` gates right now; may lag behind `parameters`.
    pub iam_only: bool,
    /// How a PATCH is answered, after it was or was not applied.
    pub patch: Patch,
    /// The status of a token read that is refused, with a body in Sysdig's form or in plain text.
    pub refusal: (u16, &'static str),
    pub teams: Vec<(u64, &'static str, &'static str)>,
    pub current_team: u64,
    /// Whether the team header selects the team.
    pub header_works: bool,
    /// Whether `users/me` follows the header.
    pub me_follows: bool,
    pub keys: BTreeMap<u64, String>,
    pub dead: Vec<String>,
    /// Old keys are still accepted although reset.
    pub accept_dead: bool,
    /// Extra instances that the list shows before ours.
    pub others: Vec<(String, String)>,
    pub page: usize,
    /// How a reset call is answered.
    pub reset: (u16, bool),
    pub service: &'static str,
    /// API tokens are accepted although IAM can't read them any more.
    pub gate_leaks: bool,
    /// A team without a key is refused instead of not found.
    pub refuse_missing: bool,
    /// The connection is closed instead of an answer, after a mutation was applied.
    pub drop_answers: bool,
    /// `users/me` has another shape, its access keys included.
    pub odd_me: bool,
    /// Only the older path of `users/me` is known.
    pub old_me: bool,
    /// Sysdig does not know the caller.
    pub stranger: bool,
    /// Sysdig answers everything with a redirect to a login page.
    pub login_page: bool,
    /// `METHOD path` of each request, team headers behind.
    pub tape: Vec<String>,
    pub bodies: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Patch {
    Sync,
    Async,
    /// 422, not applied.
    Refused,
    /// 502 with a nested broker error, applied.
    BrokerAfterApplying,
    /// Replaces `parameters` by the setting alone.
    Forgets,
}

impl Default for World {
    fn default() -> Self {
        let key = |id: u64| (id, format!("{CANARY}-{id}-0"));
        Self {
            parameters: Some(r#"{ "default_receiver":false, "external_api_auth":"ANY","n":1.50 }"#.into()),
            version: 1,
            locked: false,
            in_progress: 0,
            iam_only: false,
            patch: Patch::Sync,
            refusal: (403, DENIED),
            teams: vec![(10001, "Monitor Operations", "SDC"), (10002, "SRE", "SDC"), (10003, "Sec", "SDS")],
            current_team: 10001,
            header_works: true,
            me_follows: true,
            keys: [10001, 10002, 10003].into_iter().map(key).collect(),
            dead: Vec::new(),
            accept_dead: false,
            others: Vec::new(),
            page: 100,
            reset: (200, true),
            service: "sysdig-monitor",
            gate_leaks: false,
            refuse_missing: false,
            drop_answers: false,
            odd_me: false,
            old_me: false,
            stranger: false,
            login_page: false,
            tape: Vec::new(),
            bodies: Vec::new(),
        }
    }
}

pub const DENIED: &str =
    r#"{"errors":[{"reason":"Not enough privileges to complete the action","message":"Access is denied"}]}"#;

impl World {
    /// Resets a team's key, as the console's button does.
    pub fn press(&mut self, team: u64) {
        let version = self.dead.len() + 1;
        let old = self.keys.insert(team, format!("{CANARY}-{team}-{version}"));
        self.dead.extend(old);
    }

    fn team_of(&self, headers: &HeaderMap) -> u64 {
        let header = headers.get("SysdigTeamID").and_then(|v| v.to_str().ok()?.parse().ok());
        header.filter(|_| self.header_works).unwrap_or(self.current_team)
    }

    fn row(&self) -> String {
        let crn = format!("crn:v1:bluemix:public:{}:us-south:a/acct:{GUID}::", self.service);
        let parameters =
            self.parameters.as_ref().map(|p| format!(r#""parameters":{p},"#)).unwrap_or_default();
        let state = if self.in_progress > 0 { "in progress" } else { "succeeded" };
        format!(
            r#"{{"id":"{crn}","guid":"{GUID}","crn":"{crn}","name":"mon-prod","account_id":"acct","region_id":"us-south","state":"active","locked":{},{parameters}"last_operation":{{"type":"update","state":"{state}"}},"updated_at":"2026-11-01T10:00:{:02}Z"}}"#,
            self.locked, self.version
        )
    }

    fn list(&self, query: &str) -> String {
        let other = |(guid, name): &(String, String)| {
            format!(
                r#"{{"guid":"{guid}","crn":"crn:v1:bluemix:public:{}:eu-de:a/acct:{guid}::","name":"{name}","account_id":"acct"}}"#,
                self.service
            )
        };
        let mut rows: Vec<String> = self.others.iter().map(other).collect();
        rows.push(self.row());
        let start = query.split('&').find_map(|p| p.strip_prefix("start=p")).and_then(|n| n.parse().ok());
        let start: usize = start.unwrap_or(0);
        let end = (start + self.page).min(rows.len());
        let next = if end < rows.len() {
            format!(r#""/v2/resource_instances?limit=100&start=p{end}""#)
        } else {
            "null".into()
        };
        format!(r#"{{"rows_count":1,"next_url":{next},"resources":[{}]}}"#, rows[start..end].join(","))
    }

    fn patch(&mut self, body: &str) -> (u16, String) {
        if self.patch == Patch::Refused {
            return (422, r#"{"message":"The instance is locked","status_code":422}"#.into());
        }
        let sent: BTreeMap<String, Box<serde_json::value::RawValue>> = serde_json::from_str(body).unwrap();
        let sent = sent["parameters"].get().to_owned();
        self.iam_only = parameters::setting(Some(&sent)).as_deref() == Some("IAM_ONLY");
        let alone = parameters::with_setting(None, if self.iam_only { "IAM_ONLY" } else { "ANY" });
        self.parameters = if self.patch == Patch::Forgets { alone } else { Some(sent) };
        self.version += 1;
        match self.patch {
            Patch::Async => {
                self.in_progress = 2;
                (202, self.row())
            }
            Patch::BrokerAfterApplying => (502, BROKER.into()),
            _ => (200, self.row()),
        }
    }

    fn me(&self, headers: &HeaderMap) -> (u16, String) {
        let current = if self.me_follows { self.team_of(headers) } else { self.current_team };
        let key = format!("{CANARY}-access-key");
        if self.odd_me {
            return (200, format!(r#"{{"user":{{"username":["{key}"],"accessKey":"{key}"}}}}"#));
        }
        let body = format!(
            r#"{{"user":{{"id":1,"username":"ops@example.com","currentTeam":{current},"customer":{{"accessKey":"{key}"}},"accessKey":"{key}","agentInstallParams":{{"accessKey":"{key}"}}}}}}"#
        );
        (200, body)
    }

    fn token(&self, team: u64) -> (u16, String) {
        match self.keys.get(&team) {
            None if self.refuse_missing => (403, DENIED.into()),
            _ if self.iam_only => (self.refusal.0, self.refusal.1.into()),
            Some(key) => (200, format!(r#"{{"token":{{"key":"{key}"}}}}"#)),
            None => (404, r#"{"errors":[{"reason":"x","message":"no team"}]}"#.into()),
        }
    }

    fn list_teams(&self) -> String {
        let team = |(id, name, product): &(u64, &str, &str)| {
            format!(r#"{{"id":{id},"name":"{name}","products":["{product}"],"userCount":3}}"#)
        };
        format!(r#"{{"teams":[{}]}}"#, self.teams.iter().map(team).collect::<Vec<_>>().join(","))
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &str,
    ) -> (u16, String) {
        let bearer = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let by_iam = bearer == format!("Bearer {CANARY}-iam");
        if path.starts_with("/api") && self.login_page {
            return (302, String::new());
        }
        if path.starts_with("/api") && self.stranger {
            return (401, "unknown user".into());
        }
        match (method, path) {
            ("POST", "/identity/token") => (200, grant()),
            ("GET", "/v2/resource_instances") => (200, self.list(query)),
            ("GET", path) if path.starts_with("/v2/resource_instances/") => {
                let row = self.row();
                self.in_progress = self.in_progress.saturating_sub(1);
                (if path.ends_with(GUID) { 200 } else { 404 }, row)
            }
            ("PATCH", _) => self.patch(body),
            ("GET", "/api/users/me") if self.old_me => (404, "{}".into()),
            ("GET", "/api/users/me" | "/api/user/me") if by_iam || self.is_alive(bearer) => self.me(headers),
            ("GET", "/api/users/me" | "/api/user/me") => (401, "unauthorized".into()),
            ("GET", "/api/teams") => (200, self.list_teams()),
            ("GET", "/api/token") => self.token(self.team_of(headers)),
            ("GET", path) if path.starts_with("/api/token/") => {
                let team = path.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or(0);
                self.token(team)
            }
            ("POST", path) if path.starts_with("/reset") => {
                if self.reset.1 {
                    self.press(self.team_of(headers));
                }
                (self.reset.0, String::new())
            }
            _ => (404, "{}".into()),
        }
    }

    fn is_alive(&self, bearer: &str) -> bool {
        let key = bearer.strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let known = self.keys.values().any(|k| *k == key);
        (self.gate_leaks || !self.iam_only) && (known || (self.accept_dead && self.dead.contains(&key)))
    }
}

const BROKER: &str = r#"{"message":"The service's broker returned error, [500, x] Sysdig provision request return code: 500 response: {\"errors\":[{\"reason\":\"Exception\",\"message\":\"Cannot update\"}]}","status_code":502}"#;

fn grant() -> String {
    format!(
        r#"{{"access_token":"{CANARY}-iam","token_type":"Bearer","expires_in":3600,"expiration":4102444800}}"#
    )
}

/// The running fake.
pub struct Fake {
    pub origin: String,
    world: Arc<Mutex<World>>,
}

impl Fake {
    pub async fn start(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, world }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The requests since the last look at the tape, without those to IAM.
    pub fn tape(&self) -> Vec<String> {
        let mut tape = std::mem::take(&mut self.world().tape);
        tape.retain(|line| !line.contains("/identity/"));
        tape
    }

    pub fn connection(&self) -> Connection {
        connection(&self.origin)
    }
}

async fn handle(State(world): State<Arc<Mutex<World>>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    let header = |name: &str| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    let mut world = world.lock().unwrap();
    let team = header("SysdigTeamID").map(|team| format!(" team {team}")).unwrap_or_default();
    assert_eq!(header("SysdigTeamID"), header("TeamID"), "both team headers are sent");
    assert!(!path.starts_with("/api") || header("IBMInstanceID").as_deref() == Some(GUID));
    assert!(method != "PATCH" || header("Transaction-ID").is_some_and(|id| id.len() == 36));
    world.tape.push(format!("{method} {path}{team}"));
    world.bodies.push(body.clone());
    let (status, body) = world.answer(method, path, query, &parts.headers, &body);
    let dropped = world.drop_answers && matches!(method, "POST" | "PATCH") && !path.starts_with("/identity");
    drop(world);
    if dropped {
        std::panic::resume_unwind(Box::new("the connection drops"));
    }
    let status = StatusCode::from_u16(status).unwrap();
    let json = if body.starts_with('{') { "application/json" } else { "text/plain" };
    (status, [("content-type", json), ("location", "https://login.example/")], body).into_response()
}
