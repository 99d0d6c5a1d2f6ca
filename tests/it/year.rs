//! A year of one spec, week by week, against a server whose clock is moved: whatever is rotated, a
//! consumer that reads its destination always gets in, and nothing that was replaced stays for long. The one
//! exception is the outage that `strategy: replace` states. A freeze puts off a week, and what was once
//! protected stays until that is lifted.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::server::Server;
use crate::support::{Place, Ran};

const WORLD: &str = "\
version: 1
ibm:
  prod:
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      open:
        region: us-south
        guid: 11111111-1111-4111-8111-111111111111
        parameters: { external_api_auth: ANY }
        teams: { Ops: { id: 1, default: true, immutable: true }, SRE: { id: 2 } }
      locked:
        region: us-south
        guid: 22222222-2222-4222-8222-222222222222
        parameters: { external_api_auth: ANY }
        teams: { Base: { id: 3, default: true, immutable: true } }
logicmonitor:
  acme:
    users:
      svc-tokenform: { id: 31, roles: [tokenform], bearer_tokens: [ { id: 300, note: robot } ] }
      svc-night: { id: 34, api_tokens: [ { id: 303, note: kept, created_on: 2024-01-01T00:00:00Z } ] }
      svc-pair: { id: 36, roles: [pair] }
      svc-pair-b: { id: 37, roles: [pair] }
      svc-ci: { id: 32, api_tokens: [ { id: 301, note: deploy, created_on: 2024-01-01T00:00:00Z } ] }
      svc-ingest: { id: 33 }
      svc-agent: { id: 35, bearer_tokens: [ { id: 302, note: agent, created_on: 2024-01-01T00:00:00Z } ] }
";

/// `STATED` becomes what a person writes after a consumer was found, `KEPT` what is said of a token that nobody
/// touches at first, `FREEZE` a freeze.
const SPEC: &str = "\
version: 1
ibm:
  prod:
    credential: { api_key: { env: SANDBOX_IBM_PROD_API_KEY } }
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    endpoints: { iam: ORIGIN, resource_controller: ORIGIN, monitoring: ORIGIN, workload_protection: ORIGIN }
    instances:
      locked: { service: monitoring, region: us-south, external_api_auth: IAM_ONLY }
      open:
        service: monitoring
        region: us-south
        external_api_auth: ANY
        teams:
          SRE: { token: { rotate: { max_age: 40d }, deliver: [ { to: box, key: SRE } ] } }
          Ops: { token: { rotate: { max_age: 90d }, deliver: [ { to: box, key: OPS } ] } }
logicmonitor:
  acme:
    account: acme
    endpoint: ORIGIN
    credential: { bearer: { file: robot.token } }
    users:
      svc-tokenform:
        bearer_tokens:
          robot: { status: enabled, rotate: { max_age: 120d }, deliver: [ { to: robot } ] }
      svc-ci:
        api_tokens:
          deploy:
            id: 301
            status: enabled
            rotate: { max_age: 40d, overlap: 24h, idle: 24h, soak: 7dSTATED }
            deliver: [ { to: box, key: DEPLOY, id_key: DEPLOY_ID } ]
      svc-night:
        api_tokens:
          nightly:
            status: enabled
            rotate: { max_age: 80d, overlap: 10d, idle: 3d, soak: 20d }
            deliver: [ { to: box, key: NIGHTLY, id_key: NIGHTLY_ID } ]
          kept: { KEPT }
      svc-ingest:
        bearer_tokens:
          otel: { status: enabled, rotate: { max_age: 80d }, deliver: [ { to: box, key: OTEL } ] }
      svc-agent:
        bearer_tokens:
          agent: { status: enabled, rotate: { max_age: 50d, strategy: replace }, deliver: [ { to: box, key: AGENT } ] }
      svc-pair:
        bearer_tokens:
          pair: { status: enabled, second_owner: svc-pair-b, rotate: { max_age: 60d }, deliver: [ { to: box, key: PAIR } ] }
changes: { freezes: [ FREEZE ] }
destinations:
  box: { file: { path: box.json, format: json } }
  robot: { file: { path: robot.token, format: raw } }
";

/// An apply is late by this much at the worst: they run once a week.
const WEEK: u32 = 7;

/// A declared LogicMonitor token: its owner, list and name, `max_age`, and how long what it replaced
/// may be there: `overlap` and `soak`, each ended by the next weekly apply.
const TOKENS: [(&str, &str, &str, u32, u32); 6] = [
    ("svc-tokenform", "bearer_tokens", "robot", 120, 1 + 7 + 2 * WEEK),
    ("svc-ci", "api_tokens", "deploy", 40, 1 + 7 + 2 * WEEK),
    ("svc-night", "api_tokens", "nightly", 80, 10 + 20 + 2 * WEEK),
    ("svc-ingest", "bearer_tokens", "otel", 80, 1 + 7 + 2 * WEEK),
    ("svc-pair", "bearer_tokens", "pair", 60, 1 + 7 + 2 * WEEK),
    (AGENT.0, "bearer_tokens", AGENT.1, AGENT.2, WEEK),
];

/// The second owner of `pair`: each of the two users holds one at a time.
const PAIR: [&str; 2] = ["svc-pair", "svc-pair-b"];

/// The week of a freeze: what is due then is done a week later, and the ages allow for it.
const FROZEN: u32 = 30;

/// The weeks in which the words of a protection are taken away, in which it is lifted, and after which the
/// token that it protected goes.
const UNSAID: u32 = 20;
const LIFTED: u32 = 40;

/// The one that is replaced: its user, name and `max_age`. Between its deletion and its issue nothing of its
/// name works; for so many seconds at most, probe and all.
const AGENT: (&str, &str, u32) = ("svc-agent", "agent", 50);
const OUTAGE: i64 = 30;

/// The week in which somebody keeps the value of `deploy`, and the one in which that is mended. `deploy`
/// is rotated in between.
const KEPT: u32 = 11;
const MENDED: u32 = 17;

struct Walk {
    place: Place,
    server: Server,
    /// How far the server's clock, and tokenform's, is ahead of the machine's.
    days: u32,
    /// What stands in the spec for its words in capitals.
    stated: String,
    kept: String,
    freeze: String,
}

impl Walk {
    fn begin() -> Self {
        let place = Place::empty();
        let server = Server::start(&place, WORLD);
        place.write("spec/robot.token", &server.vars["SANDBOX_LOGICMONITOR_ACME_BEARER"]);
        let (stated, kept) = (String::new(), "protect: true".to_owned());
        let mut walk = Self { place, server, days: 0, stated, kept, freeze: String::new() };
        let at = |days: u32| walk.now() + SignedDuration::from_hours(24 * i64::from(days));
        let frozen = at(FROZEN * WEEK - 1)..at(FROZEN * WEEK + 1);
        walk.freeze = format!("{{ from: {}, to: {}, reason: year end }}", frozen.start, frozen.end);
        walk.spec();
        walk
    }

    fn spec(&self) {
        let Self { stated, kept, freeze, .. } = self;
        let text = SPEC.replace("ORIGIN", &format!("\"{}\"", self.server.origin()));
        let text = text.replace("STATED", stated).replace("KEPT", kept).replace("FREEZE", freeze);
        self.place.write("spec/tokens.yaml", &text);
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.place.command(args);
        command.env("TOKENFORM_CLOCK_OFFSET", format!("{}d", self.days));
        command.env("PATH", "/usr/bin:/bin").envs(&self.server.vars).output().unwrap().into()
    }

    fn apply(&self) -> Ran {
        self.run(&["apply", "spec", "--auto-approve", "--new-state"])
    }

    fn pass(&mut self, days: u32) {
        self.server.ask("POST /__sandbox/clock", &format!("{{\"advance\":\"{days}d\"}}"));
        self.days += days;
    }

    fn now(&self) -> Timestamp {
        self.server.ask("GET /__sandbox/clock", "")["now"].as_str().unwrap().parse().unwrap()
    }

    fn values(&self) -> BTreeMap<String, String> {
        serde_json::from_str(&self.place.read("spec/box.json")).unwrap()
    }

    /// Live tokens of a name, oldest first.
    fn live(&self, user: &str, list: &str, name: &str) -> Vec<Value> {
        let world = self.server.ask("GET /__sandbox/world", "");
        let users: &[&str] = if user == PAIR[0] { &PAIR } else { &[user] };
        let of = |user: &&str| world["logicmonitor"]["acme"]["users"][user][list].as_array().cloned();
        let named = |token: &Value| token["note"].as_str().unwrap().split(" ;tf1 ").next() == Some(name);
        let mut tokens: Vec<Value> = users.iter().filter_map(of).flatten().filter(named).collect();
        tokens.sort_by_key(|token| token["id"].as_u64());
        tokens
    }

    /// How many tokens of a list each user of the pair holds.
    fn pair(&self) -> [usize; 2] {
        let world = self.server.ask("GET /__sandbox/world", "");
        PAIR.map(|user| {
            let tokens = &world["logicmonitor"]["acme"]["users"][user]["bearer_tokens"];
            tokens.as_array().map_or(0, Vec::len)
        })
    }

    /// A consumer's request with an LMv1 token.
    fn signed(&self, id: &str, key: &str) -> u16 {
        let (path, epoch) = ("/setting/admins", self.now().as_millisecond());
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(format!("GET{epoch}{path}").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = base64::engine::general_purpose::STANDARD.encode(hex);
        self.lm(&format!("LMv1 {id}:{signature}:{epoch}"))
    }

    fn lm(&self, authorization: &str) -> u16 {
        let headers = format!("Authorization: {authorization}\r\nX-Version: 3\r\n");
        self.server.status("GET /santaba/rest/setting/admins", &headers)
    }

    fn sysdig(&self, key: &str) -> u16 {
        let guid = "11111111-1111-4111-8111-111111111111";
        let headers = format!("Authorization: Bearer {key}\r\nIBMInstanceID: {guid}\r\n");
        self.server.status("GET /api/users/me", &headers)
    }

    /// Each consumer reads its destination and gets in; a 403 lets in who may do too little.
    fn everybody_gets_in(&self, week: u32) {
        let values = self.values();
        let let_in = |what: &str, status: u16| {
            assert!([200, 403].contains(&status), "week {week}: {what} got {status}");
        };
        for name in ["DEPLOY", "NIGHTLY"] {
            let_in(name, self.signed(&values[&format!("{name}_ID")], &values[name]));
        }
        for name in ["OTEL", "AGENT", "PAIR"] {
            let_in(name, self.lm(&format!("Bearer {}", values[name])));
        }
        let_in("robot", self.lm(&format!("Bearer {}", self.place.read("spec/robot.token"))));
        for name in ["SRE", "OPS"] {
            let_in(name, self.sysdig(&values[name]));
        }
    }

    /// Whatever was delivered once and is not what is delivered now lets nobody in any more.
    fn only_the_latest_works(&self, seen: &BTreeSet<(String, String)>) {
        let values = self.values();
        let old: Vec<_> = seen.iter().filter(|(name, value)| values[name] != *value).collect();
        assert!(old.len() > 15, "{} values", old.len());
        for (name, value) in old {
            let status = match name.as_str() {
                "SRE" | "OPS" => self.sysdig(value),
                "OTEL" | "AGENT" | "PAIR" => self.lm(&format!("Bearer {value}")),
                // an LMv1 id comes and goes with its key
                _ => continue,
            };
            assert_eq!(status, 401, "an old value of {name} works");
        }
    }

    /// What the portal has, right after an apply.
    fn nothing_stays(&self, week: u32) {
        let now = self.now();
        for (user, list, name, max_age, stay) in TOKENS {
            let live = self.live(user, list, name);
            let (newest, old) = live.split_last().unwrap();
            let age = days_between(born(newest), now);
            assert!(
                name != AGENT.1 || old.is_empty(),
                "week {week}: {old:?} beside the one that replaces it"
            );
            assert!(newest.get("status").is_none_or(|s| s == "enabled"), "week {week}: {newest}");
            // a freeze puts things off until the next apply
            let stay = if week >= FROZEN { stay + WEEK } else { stay };
            assert!(age <= max_age + stay, "week {week}: {name} is {age} days old");
            let held = name == "deploy" && (KEPT..=MENDED).contains(&week);
            let stays = !old.is_empty() && age > stay;
            assert!(held || !stays, "week {week}: {name} replaced {old:?} {age} days ago");
        }
        assert!(self.pair().into_iter().all(|held| held <= 1), "week {week}: {:?}", self.pair());
        let kept = self.live("svc-night", "api_tokens", "kept").len();
        assert_eq!(kept, usize::from(week <= LIFTED), "week {week}");
    }
}

fn born(token: &Value) -> Timestamp {
    token["created_on"].as_str().unwrap().parse().unwrap()
}

fn days_between(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.duration_since(from).as_hours() / 24).unwrap()
}

/// How often something was done to an object, in the words of the ledger.
type Counts = BTreeMap<String, usize>;

fn count<'a>(words: impl Iterator<Item = &'a str>) -> Counts {
    let mut counts = Counts::new();
    words.for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
    counts
}

/// The ledger's lines as JSON, oldest first.
fn ledger(walk: &Walk) -> Vec<Value> {
    let ran = walk.run(&["history", "spec", "--format", "json"]).exits(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    document["lines"].as_array().unwrap().clone()
}

/// Of each LogicMonitor name: each token is issued, delivered and, when it has been replaced, disabled
/// and deleted, in this order; no token is issued while the one before the last is still there.
fn every_life_is_told(lines: &[Value]) {
    for (user, list, name, ..) in TOKENS.into_iter().filter(|token| token.2 != AGENT.1) {
        let kind = list.trim_end_matches('s');
        let address = format!("logicmonitor.acme.{user}.{kind}[\"{name}\"]");
        let mut old: Option<u64> = None;
        let mut disabled = false;
        for line in lines.iter().filter(|line| line["address"] == *address) {
            let facts = &line["facts"];
            let id = facts["remote_id"].as_u64();
            match line["what"].as_str().unwrap() {
                "issue" => {
                    assert_eq!(old, None, "{line}");
                    assert!(!line["delivered"].as_array().unwrap().is_empty(), "{line}");
                    old = facts["predecessor"].as_u64();
                }
                "disable" | "enable" => {
                    assert!(id.is_some() && id == old, "{line}");
                    disabled = line["what"] == "disable";
                }
                "delete" => {
                    assert!(id.is_some() && id == old && disabled, "{line}");
                    (old, disabled) = (None, false);
                }
                other => panic!("{other}: {line}"),
            }
        }
    }
}

/// Each token that is replaced is deleted, and the next thing of its name is the issue of the one that takes
/// its place, delivered, before the outage is longer than a probe takes.
fn every_outage_is_short(lines: &[Value]) {
    let address = format!("logicmonitor.acme.{}.bearer_token[\"{}\"]", AGENT.0, AGENT.1);
    let own: Vec<_> = lines.iter().filter(|line| line["address"] == *address).collect();
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(own.len() >= 2 * 6 && own.len().is_multiple_of(2), "{own:?}");
    for pair in own.chunks(2) {
        assert_eq!((&pair[0]["what"], &pair[1]["what"]), (&"delete".into(), &"issue".into()));
        assert_eq!(pair[0]["facts"]["remote_id"], pair[1]["facts"]["predecessor"], "{pair:?}");
        assert_eq!(pair[1]["delivered"].as_array().unwrap().len(), 1, "{pair:?}");
        let lasted = at(pair[1]).duration_since(at(pair[0])).as_secs();
        assert!(lasted <= OUTAGE, "{lasted} s");
    }
}

/// Resets of one team are a `max_age` apart.
fn no_reset_is_doubled(lines: &[Value]) {
    for (team, max_age, times) in [("SRE", 40, 9), ("Ops", 90, 5)] {
        let address = format!("ibm.prod.open.team[\"{team}\"]");
        let resets = lines.iter().filter(|line| line["address"] == *address && line["what"] == "reset");
        let at: Vec<Timestamp> = resets.map(|line| line["at"].as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(at.len(), times, "{team}");
        assert!(at.windows(2).all(|pair| days_between(pair[0], pair[1]) >= max_age), "{team}: {at:?}");
    }
}

#[test]
fn a_year_of_weekly_applies_locks_nobody_out_and_leaves_nothing_behind() {
    let mut walk = Walk::begin();
    let mut forgotten: Option<(String, String)> = None;
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    for week in 0..53 {
        match week {
            KEPT => {
                let values = walk.values();
                forgotten = Some((values["DEPLOY_ID"].clone(), values["DEPLOY"].clone()));
            }
            MENDED => {
                forgotten = None;
                walk.stated = format!(", consumers_moved: {}", walk.now());
                walk.spec();
            }
            UNSAID => {
                // the words of a protection go, and it stays
                walk.kept = "status: absent".into();
                walk.spec();
                walk.run(&["plan", "spec"]).exits(3).says("tokenform::plan::protected");
                walk.kept = String::new();
                walk.spec();
            }
            LIFTED => {
                walk.kept = "protect: false".into();
                walk.spec();
                walk.apply().exits(0).says("unprotect");
            }
            week if week == LIFTED + 1 => {
                walk.kept = "status: absent".into();
                walk.spec();
            }
            FROZEN => {
                let before = walk.server.effects();
                walk.apply().exits(3).says("year end");
                assert_eq!(walk.server.effects(), before);
                walk.everybody_gets_in(week);
                walk.pass(WEEK);
                continue;
            }
            _ => {}
        }
        let ran = walk.apply().exits(0);
        assert_eq!(ran.all().contains("old_in_use"), (14..MENDED).contains(&week), "{}", ran.all());
        let left = if ran.stdout.contains("due by now") { 2 } else { 0 };
        walk.run(&["plan", "spec", "--detailed-exitcode"]).exits(left);
        walk.everybody_gets_in(week);
        walk.nothing_stays(week);
        seen.extend(walk.values().into_iter().filter(|(key, _)| !key.ends_with("_ID")));
        walk.pass(3);
        walk.everybody_gets_in(week);
        if let Some((id, key)) = &forgotten {
            // tried while it is disabled, brought back by the next apply
            assert_eq!(walk.signed(id, key), if week == 13 { 401 } else { 403 }, "week {week}");
        }
        walk.pass(WEEK - 3);
    }
    walk.run(&["history", "spec", "--verify"]).exits(0).says("is whole");
    let lines = ledger(&walk);
    every_life_is_told(&lines);
    every_outage_is_short(&lines);
    no_reset_is_doubled(&lines);
    let told = count(lines.iter().map(|line| line["what"].as_str().unwrap()));
    let effects = walk.server.effects();
    let done = count(effects.iter().map(String::as_str));
    let of = |word: &str| told.get(word).copied().unwrap_or_default();
    let expected = [
        ("reset", of("reset")),
        ("lock", 1),
        ("create", of("issue")),
        ("patch", of("enable") + of("disable")),
        ("delete", of("delete")),
    ];
    assert_eq!(done, expected.map(|(word, times)| (word.to_owned(), times)).into(), "{told:?}");
    walk.only_the_latest_works(&seen);
}
