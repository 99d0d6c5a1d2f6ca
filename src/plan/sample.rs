//! Wishes and observations for the tests of this room, and a plan as a few readable lines.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::check;
use super::document::Plan;
use super::{EXPIRES, Inputs, Planned, plan};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::{History, Past};
use crate::model::observed::Observed;
use crate::model::secret::{DigestKey, Fingerprint, Secret};
use crate::model::step::Delivery;
use crate::model::vocabulary::{Period, SecretRef, Target, TokenStatus};
use crate::provider::ibm::state as ibm;
use crate::provider::logicmonitor::state as lm;
use crate::provider::state::{Caller, Desired, Rotate, Snapshot};

/// Everything that a plan is made from, open to a test's changes.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub desired: Desired,
    pub snapshot: Snapshot,
    pub history: History,
    pub unattended: bool,
    /// Seconds after [`NOW`].
    pub later: u64,
}

pub const NOW: &str = "2026-11-22T10:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// `2026-11-22T10:00:00Z` minus some days.
pub fn days_ago(days: i64) -> Timestamp {
    at(NOW) - jiff::SignedDuration::from_hours(24 * days)
}

pub fn key() -> DigestKey {
    DigestKey::new(Secret::new(vec![7; 32]))
}

/// The fingerprint of a value that nobody has to know.
pub fn fp(value: &str) -> Fingerprint {
    key().fingerprint(&Secret::new(value.as_bytes().to_vec()))
}

impl World {
    pub fn now(&self) -> Timestamp {
        Period::seconds(self.later).after(at(NOW))
    }

    pub fn plan(&self) -> Planned {
        let key = key();
        plan(&Inputs {
            desired: &self.desired,
            snapshot: &self.snapshot,
            history: &self.history,
            now: self.now(),
            expires: EXPIRES,
            target: Target::Live,
            spec_path: "tokens.yaml".into(),
            spec_digest: key.digest("spec", b""),
            key: &key,
            unattended: self.unattended,
        })
    }

    pub fn story(&self) -> String {
        story(&self.plan())
    }

    /// A plan that must be admitted.
    pub fn admitted(&self) -> Plan {
        let planned = self.plan();
        let text = story(&planned);
        match check::admit(planned.plan) {
            Ok(admitted) => admitted.plan().clone(),
            Err(_) => panic!("not admitted:\n{text}"),
        }
    }

    /// The ledger has a head and remembers this of an object.
    pub fn past(mut self, address: &Address, past: Past) -> Self {
        self.history.head.get_or_insert_with(|| "00".into());
        self.history.objects.insert(address.clone(), past);
        self
    }
}

// ---- IBM ----

pub fn prod() -> Address {
    Address::connection("ibm", "prod")
}

pub fn mon() -> Address {
    prod().owner("mon")
}

pub fn team(name: &str) -> Address {
    mon().item("team", name)
}

/// A connection `ibm.prod` with one instance `mon`.
pub fn ibm(want: ibm::Instance, live: ibm::LiveInstance) -> World {
    let mut world = World::default();
    world.history.head = Some("00".into());
    add_instance(&mut world, "mon", want, live);
    world
}

pub fn add_instance(world: &mut World, name: &str, want: ibm::Instance, live: ibm::LiveInstance) {
    let address = prod().owner(name);
    let connection = world.desired.ibm.entry(prod()).or_insert_with(ibm_connection);
    connection.instances.insert(address.clone(), want);
    world.snapshot.instances.insert(address, Observed::Present(live));
}

fn ibm_connection() -> ibm::Connection {
    ibm::Connection {
        credential: ibm::Credential::ApiKey(SecretRef::Env("KEY".into())),
        account: None,
        endpoints: ibm::Endpoints::default(),
        resource_group: None,
        token_reset: ibm::TokenReset::Call {
            method: "POST".into(),
            path: "/api/token/{team_id}/reset".into(),
            expect: vec![200],
        },
        instances: BTreeMap::new(),
    }
}

/// A declared instance of which only the mode is managed.
pub fn wants(mode: Option<ibm::AuthMode>) -> ibm::Instance {
    ibm::Instance {
        service: ibm::Service::Monitoring,
        region: None,
        guid: None,
        external_api_auth: mode,
        accept_unverified: false,
        other_teams: ibm::OtherTeams::Reset,
        protect: false,
        teams: BTreeMap::new(),
    }
}

pub fn with_team(mut want: ibm::Instance, name: &str, team: ibm::Team) -> ibm::Instance {
    want.teams.insert(self::team(name), team);
    want
}

pub fn plain_team() -> ibm::Team {
    ibm::Team { id: None, owner: None, rotate: None, deliver: Vec::new(), protect: false }
}

/// A team whose token is at most 90 days old and goes to `ops-env#NAME`.
pub fn rotated_team(key: &str) -> ibm::Team {
    ibm::Team { rotate: Some(rotate()), deliver: vec![to(key)], ..plain_team() }
}

/// A live instance with teams of ids 1, 2, …; their keys are `key of NAME` while `ANY`.
pub fn is(mode: ibm::AuthMode, teams: &[&str]) -> ibm::LiveInstance {
    let readable = mode == ibm::AuthMode::Any;
    let team = |(name, id): (&&str, u64)| ibm::LiveTeam {
        id,
        name: (*name).to_owned(),
        fingerprint: readable.then(|| fp(&format!("key of {name}"))),
        user_count: None,
    };
    ibm::LiveInstance {
        guid: "1f".into(),
        crn: "crn:v1:1f".into(),
        name: "mon".into(),
        account: "acc".into(),
        region: "us-south".into(),
        service: ibm::Service::Monitoring,
        state: "active".into(),
        locked: false,
        controlled_by: None,
        busy: false,
        parameters: None,
        setting: Some(mode.as_str().into()),
        updated_at: "2026-01-01T00:00:00Z".into(),
        probed: if readable { ibm::Probe::Any } else { ibm::Probe::IamOnly },
        origin: "https://us-south.monitoring.cloud.ibm.com".into(),
        identity: "me@example.com".into(),
        service_id: false,
        header: if readable { ibm::HeaderProof::Proven } else { ibm::HeaderProof::AfterUnlock },
        teams: teams.iter().zip(1..).map(team).collect(),
        members_note: None,
    }
}

/// The live instance `mon` of a world.
pub fn live_mon(world: &mut World) -> &mut ibm::LiveInstance {
    match world.snapshot.instances.get_mut(&mon()) {
        Some(Observed::Present(live)) => live,
        _ => panic!("no live instance"),
    }
}

pub fn want_mon(world: &mut World) -> &mut ibm::Instance {
    world.desired.ibm.get_mut(&prod()).unwrap().instances.get_mut(&mon()).unwrap()
}

// ---- LogicMonitor ----

pub fn acme() -> Address {
    Address::connection("logicmonitor", "acme")
}

pub fn svc() -> Address {
    acme().owner("svc")
}

pub fn token(name: &str) -> Address {
    svc().item("api_token", name)
}

/// A connection `logicmonitor.acme` with one user `svc` and its live tokens.
pub fn lm(wants: Vec<(&str, lm::Token)>, live: Vec<lm::LiveToken>) -> World {
    let mut world = World::default();
    world.history.head = Some("00".into());
    add_portal(&mut world, "acme", "acme", wants, live);
    world
}

/// A connection to a portal, with one user `svc`; it uses the token of id 1, access id `a1`.
pub fn add_portal(
    world: &mut World,
    name: &str,
    account: &str,
    wants: Vec<(&str, lm::Token)>,
    live: Vec<lm::LiveToken>,
) {
    let at = Address::connection("logicmonitor", name);
    let user = at.owner("svc");
    let tokens = wants.into_iter().map(|(name, t)| (user.item(t.kind.as_str(), name), t)).collect();
    let connection = lm::Connection {
        account: account.into(),
        domain: "logicmonitor.com".into(),
        endpoint: None,
        credential: lm::Credential::Bearer(SecretRef::Env("LM".into())),
        users: BTreeMap::from([(user.clone(), lm::User { id: None, protect: false, tokens })]),
    };
    world.desired.logicmonitor.insert(at.clone(), connection);
    world.snapshot.users.insert(user, Observed::Present(live_user(live)));
    world.snapshot.callers.insert(at, Caller { access_id: Some("a1".into()), token_ids: vec![1] });
}

fn live_user(tokens: Vec<lm::LiveToken>) -> lm::LiveUser {
    lm::LiveUser {
        id: 32,
        username: "svc".into(),
        status: "active".into(),
        roles: vec!["ci".into()],
        has_email: false,
        caller: Some("robot".into()),
        tokens,
    }
}

pub fn live_svc(world: &mut World) -> &mut lm::LiveUser {
    match world.snapshot.users.get_mut(&svc()) {
        Some(Observed::Present(user)) => user,
        _ => panic!("no live user"),
    }
}

pub fn want_token<'a>(world: &'a mut World, name: &str) -> &'a mut lm::Token {
    let user = world.desired.logicmonitor.get_mut(&acme()).unwrap().users.get_mut(&svc()).unwrap();
    user.tokens.get_mut(&token(name)).unwrap()
}

/// A declared API token that goes to `ops-env#KEY`.
pub fn wanted(status: Option<TokenStatus>) -> lm::Token {
    lm::Token {
        kind: lm::TokenKind::ApiToken,
        id: None,
        status,
        rotate: None,
        deliver: vec![to("KEY")],
        protect: false,
    }
}

/// … and is at most 90 days old.
pub fn rotated(status: Option<TokenStatus>) -> lm::Token {
    lm::Token { rotate: Some(rotate()), ..wanted(status) }
}

/// An enabled live API token, created by our own user 10 days ago, last used yesterday.
pub fn live(id: u64, note: &str) -> lm::LiveToken {
    lm::LiveToken {
        id,
        owner: 32,
        kind: lm::TokenKind::ApiToken,
        access_id: Some(format!("a{id}")),
        note: note.into(),
        status: lm::ENABLED,
        created_on: Some(days_ago(10)),
        created_by: "robot".into(),
        last_used_on: Some(days_ago(1)),
    }
}

pub fn disabled(token: lm::LiveToken) -> lm::LiveToken {
    lm::LiveToken { status: lm::DISABLED, ..token }
}

pub fn old(token: lm::LiveToken) -> lm::LiveToken {
    lm::LiveToken { created_on: Some(days_ago(91)), ..token }
}

// ---- both ----

pub fn to(key: &str) -> Delivery {
    Delivery { to: "ops-env".into(), key: Some(key.into()), id_key: None }
}

/// At most 90 days old.
pub fn rotate() -> Rotate {
    Rotate {
        max_age: Some(Period::days(90)),
        issued_after: None,
        rationale: None,
        overlap: Period::hours(24),
        idle: Period::hours(24),
        soak: Period::days(7),
    }
}

pub fn unreadable(address: &Address) -> Finding {
    Finding::new(code::PLAN_UNREADABLE, "HTTP 500").at(address)
}

/// A plan in a few lines: changes, numbered steps with their needs, what waits, findings, and
/// every invariant that does not hold.
pub fn story(planned: &Planned) -> String {
    let plan = &planned.plan;
    let mut lines: Vec<String> =
        plan.changes.iter().map(|c| format!("{} {}: {}", c.action.as_str(), c.address, c.reason)).collect();
    lines.extend(steps(plan));
    lines.extend(plan.waiting.iter().map(|w| {
        let until = w.until.map_or(String::new(), |at| format!(" until {at}"));
        format!("waiting {}: {}{until}", w.address, w.what)
    }));
    lines.extend(planned.findings.iter().map(|f| {
        let code = f.code.id().trim_start_matches("tokenform::");
        format!("{} {code} {f}", f.code.severity().as_str())
    }));
    lines.extend(broken(plan));
    if lines.is_empty() {
        lines.push("nothing".into());
    }
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    text.replace("ibm.prod.", "").replace("logicmonitor.acme.", "")
}

fn steps(plan: &Plan) -> Vec<String> {
    let numbers = super::document::numbers(plan);
    let step = |(s, n): (&crate::model::step::Step, usize)| {
        let shape = s.shape.map_or(String::new(), |shape| format!(" {}", shape.as_str()));
        let after = s.needs.iter().map(|need| format!("{} {}", numbers[&need.step], need.rule.as_str()));
        let after = after.collect::<Vec<_>>().join(", ");
        let after = if after.is_empty() { after } else { format!(" after {after}") };
        let to = s.destinations.iter().map(|d| format!(" > {}", d.slot())).collect::<String>();
        let id = s.params.get("token_id").map_or(String::new(), |id| format!(" id {id}"));
        format!("{n} {} {}{id}{shape}{to}{after}", s.verb, s.address)
    };
    plan.steps.iter().zip(1..).map(step).collect()
}

/// What the checker holds against a plan.
pub fn broken(plan: &Plan) -> Vec<String> {
    let broken = check::judge(plan).into_iter().filter(|i| !i.holds);
    broken.map(|i| format!("refused {}: {}", i.id, i.proof)).collect()
}
