//! The double over a real socket: each test is one client's conversation.

mod faults;
mod ibm;
mod logicmonitor;
mod proxy;
mod samples;
mod service;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::tape::TapeEntry;
use super::wire::Effect;
use super::{Issued, Options, Running, World, start};
use crate::env::{Dice, Env, Vars};
use crate::model::secret::{Secret, hex};

/// A running sandbox and a client without any knowledge.
struct Bench {
    sandbox: Running,
}

/// A reply as received.
struct Got {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

fn env() -> Env {
    let clock = crate::env::Clock::System { offset: jiff::SignedDuration::ZERO };
    Env { clock, dice: Dice::seeded(1), vars: Vars::only(BTreeMap::new()), ..Env::system() }
}

fn got(text: &str) -> Option<Got> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned()));
    Some(Got { status, headers: lines.filter_map(pair).collect(), body: body.to_owned() })
}

impl Bench {
    /// Starts a world whose clock stands at 2026-11-22T10:00:00Z.
    fn new(yaml: &str) -> Self {
        let text = format!("version: 1\nclock: 2026-11-22T10:00:00Z\n{yaml}");
        Self::of(World::from_yaml(&text).unwrap())
    }

    fn of(world: World) -> Self {
        Self { sandbox: start(world, env(), Options::default()).ok().unwrap() }
    }

    /// Sends one request on a connection of its own. `None` if no reply came.
    fn try_send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Option<Got> {
        self.listen_for(None, method, target, headers, body).0
    }

    /// The same, given up after so long without a byte; and how the connection ended.
    fn listen_for(
        &self,
        patience: Option<Duration>,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (Option<Got>, std::io::Result<usize>) {
        let address = self.sandbox.origin();
        let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(text.as_bytes()).unwrap();
        stream.set_read_timeout(patience).unwrap();
        let mut bytes = Vec::new();
        let ended = stream.read_to_end(&mut bytes);
        (got(&String::from_utf8(bytes).unwrap()), ended)
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Got {
        self.try_send(method, target, headers, body).expect("a reply")
    }

    fn api_key(&self, connection: &str) -> String {
        match self.sandbox.credential("ibm", connection) {
            Some(Issued::Ibm { api_key, .. }) => api_key,
            _ => panic!("no credential"),
        }
    }

    fn grant(&self, key: &str) -> Got {
        let body = format!("grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey={key}");
        self.send("POST", "/identity/token", &[("Content-Type", "application/x-www-form-urlencoded")], &body)
    }

    fn iam(&self) -> String {
        let token = self.grant(&self.api_key("prod")).json()["access_token"].clone();
        format!("Bearer {}", token.as_str().unwrap())
    }

    /// A resource controller call with a fresh IAM token.
    fn rc(&self, method: &str, path: &str, body: &str) -> Got {
        let target = format!("/v2/resource_instances{path}");
        self.send(method, &target, &[("Authorization", &self.iam())], body)
    }

    fn guid(&self, name: &str) -> String {
        let rows = self.rc("GET", &format!("?name={name}"), "").json();
        rows["resources"][0]["guid"].as_str().unwrap().to_owned()
    }

    /// A Sysdig call with a fresh IAM token; `team` goes into `SysdigTeamID`.
    fn sysdig(&self, method: &str, path: &str, guid: &str, team: Option<u64>) -> Got {
        let (iam, team) = (self.iam(), team.map(|team| team.to_string()));
        let mut headers = vec![("Authorization", iam.as_str()), ("IBMInstanceID", guid)];
        headers.extend(team.as_ref().map(|team| ("SysdigTeamID", team.as_str())));
        self.send(method, path, &headers, "")
    }

    fn key(&self, guid: &str, team: Option<u64>) -> String {
        let got = self.sysdig("GET", "/api/token", guid, team);
        got.json()["token"]["key"].as_str().unwrap_or_else(|| panic!("{}", got.body)).to_owned()
    }

    fn lm_credential(&self) -> (String, String, String) {
        match self.sandbox.credential("logicmonitor", "acme") {
            Some(Issued::LogicMonitor { access_id, access_key, bearer }) => (access_id, access_key, bearer),
            _ => panic!("no credential"),
        }
    }

    /// An `Authorization` value signed as the contract says, at the sandbox's time plus `skew_ms`.
    fn signed(&self, id: &str, key: &str, method: &str, target: &str, body: &str, skew_ms: i64) -> String {
        let path = target.split('?').next().unwrap().strip_prefix("/santaba/rest").unwrap();
        let epoch = self.sandbox.clock().now().as_millisecond() + skew_ms;
        let message = format!("{method}{epoch}{body}{path}");
        let digest = hex(&Secret::new(key.as_bytes().to_vec()).hmac_sha256(message.as_bytes()));
        format!("LMv1 {id}:{}:{epoch}", STANDARD.encode(digest))
    }

    /// A LogicMonitor call below `/santaba/rest/setting`, signed by the caller.
    fn lm(&self, method: &str, path: &str, body: &str) -> Got {
        let (id, key, _) = self.lm_credential();
        self.lm_as(&id, &key, method, path, body)
    }

    fn lm_as(&self, id: &str, key: &str, method: &str, path: &str, body: &str) -> Got {
        self.try_lm(id, key, method, path, body).expect("a reply")
    }

    fn try_lm(&self, id: &str, key: &str, method: &str, path: &str, body: &str) -> Option<Got> {
        let target = format!("/santaba/rest/setting{path}");
        let auth = self.signed(id, key, method, &target, body, 0);
        self.try_send(method, &target, &[("Authorization", &auth), ("X-Version", "3")], body)
    }

    fn control(&self, method: &str, path: &str, body: &str) -> Got {
        self.send(method, &format!("/__sandbox{path}"), &[], body)
    }

    fn effects(&self) -> Vec<Effect> {
        self.tape().iter().map(|entry| entry.effect).filter(|effect| *effect != Effect::None).collect()
    }

    fn tape(&self) -> Vec<TapeEntry> {
        self.sandbox.tape()
    }
}
