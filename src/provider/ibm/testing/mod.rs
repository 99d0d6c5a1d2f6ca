//! Whole requests against a stand-in for IAM, resource controller and Sysdig on loopback.
//!
//! The stand-in is a table of canned answers in front of a little state; the sandbox is the full
//! double.

mod mode;
mod read;
mod reset;
mod samples;
mod world;

use std::collections::BTreeMap;

pub use world::{DENIED, Fake, Patch, World};

use crate::env::{Clock, Dice, Env, Vars};
use crate::http::{Reader, Writer};
use crate::model::address::Address;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::secret::{DigestKey, Fingerprint, Secret};
use crate::model::step::{Call, Need, Recovery, Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::{Period, SecretRef};
use crate::provider::ibm::state::{
    Connection, Credential, Endpoints, Instance, OtherTeams, Service, Team, TokenReset,
};
use crate::provider::ibm::steps::{confirm, look, mutate, prepare};
use crate::provider::ibm::wire::Row;
use crate::provider::state::Desired;
use crate::provider::steps::{Answer, Check, Context, Failure, Look, Prepared};

pub const GUID: &str = "5e2f1c3a-0000-4000-8000-00000000a001";
/// A marker that is in every secret which the fake hands out.
pub const CANARY: &str = "canary";

pub fn connection_address() -> Address {
    Address::connection("ibm", "prod")
}

pub fn instance_address() -> Address {
    connection_address().owner("mon-prod")
}

pub fn team_address(name: &str) -> Address {
    instance_address().item(crate::provider::ibm::TEAM, name)
}

pub fn connection(origin: &str) -> Connection {
    let origin = Some(origin.to_owned());
    Connection {
        credential: Credential::ApiKey(SecretRef::Env("KEY".into())),
        account: None,
        endpoints: Endpoints {
            iam: origin.clone(),
            resource_controller: origin.clone(),
            monitoring: origin.clone(),
            workload_protection: origin,
        },
        resource_group: None,
        token_reset: TokenReset::Guided { timeout: Period::seconds(1800) },
        instances: BTreeMap::from([(instance_address(), declared())]),
    }
}

pub fn declared() -> Instance {
    Instance {
        service: Service::Monitoring,
        region: None,
        guid: None,
        external_api_auth: None,
        accept_unverified: false,
        other_teams: OtherTeams::Reset,
        protect: false,
        teams: BTreeMap::new(),
    }
}

pub fn declared_team() -> Team {
    Team { id: None, owner: None, rotate: None, deliver: Vec::new(), protect: false }
}

/// A team whose token is brought somewhere.
pub fn managed_team() -> Team {
    let delivery = crate::model::step::Delivery { to: "x".into(), key: None, id_key: None };
    Team { deliver: vec![delivery], ..declared_team() }
}

pub fn row(guid: &str, name: &str, service: &str, region: &str) -> Row {
    Row {
        guid: Some(guid.into()),
        crn: Some(format!("crn:v1:bluemix:public:{service}:{region}:a/acct:{guid}::")),
        name: Some(name.into()),
        account_id: Some("acct".into()),
        region_id: Some(region.into()),
        state: Some("active".into()),
        ..Row::default()
    }
}

/// What a step runs in.
pub struct Bench {
    pub fake: Fake,
    pub env: Env,
    pub reader: Reader,
    pub key: DigestKey,
    pub desired: Desired,
    pub done: BTreeMap<StepId, Facts>,
}

impl Bench {
    pub async fn new(world: World) -> Self {
        let fake = Fake::start(world).await;
        let vars = Vars::only(BTreeMap::from([("KEY".into(), format!("{CANARY}-api-key"))]));
        let clock = Clock::simulated(Some("2026-11-22T10:00:00Z".parse().unwrap()));
        let env = Env { clock, dice: Dice::seeded(1), vars, ..Env::system() };
        let mut desired = Desired::default();
        desired.ibm.insert(connection_address(), fake.connection());
        let key = DigestKey::new(Secret::new(vec![7; 32]));
        Self { fake, reader: Reader::new(env.clone()), env, key, desired, done: BTreeMap::new() }
    }

    pub fn conn(&mut self) -> &mut Connection {
        self.desired.ibm.get_mut(&connection_address()).unwrap()
    }

    pub fn instance(&mut self) -> &mut Instance {
        self.conn().instances.get_mut(&instance_address()).unwrap()
    }

    pub fn cx(&self) -> Context<'_> {
        Context { desired: &self.desired, key: &self.key, env: &self.env, done: &self.done }
    }

    pub fn team_step(&self, verb: Verb, name: &str, id: u64, shape: Shape) -> Step {
        let mut step = self.step(verb, &team_address(name));
        step.params.extend([("team_id".into(), id.to_string()), ("owner".into(), String::new())]);
        step.shape = Some(shape);
        step
    }

    pub fn mode_step(&self, verb: Verb, setting: &str) -> Step {
        let mut step = self.step(verb, &instance_address());
        step.params.insert("setting".into(), setting.into());
        step
    }

    fn step(&self, verb: Verb, address: &Address) -> Step {
        let params = [("guid", GUID), ("origin", &self.fake.origin), ("identity", "ops@example.com")];
        Step {
            id: StepId::new(verb, address, 0),
            address: address.clone(),
            verb,
            shape: None,
            call: Call { method: "X".into(), host: String::new(), path: String::new() },
            needs: Vec::new(),
            irreversible: false,
            destinations: Vec::new(),
            params: params.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            expects: Vec::new(),
            guards: Vec::new(),
            recovery: Recovery::ReadBack,
        }
    }
}

pub fn need(step: &Step, rule: Rule) -> Need {
    Need { step: step.id.clone(), rule }
}

pub fn print(bench: &Bench, text: &str) -> Fingerprint {
    bench.key.fingerprint(&Secret::new(text.into()))
}

pub async fn prepared(bench: &Bench, step: &Step) -> Prepared {
    prepare(&bench.reader, &bench.cx(), step).await.unwrap_or_else(|finding| panic!("{finding}"))
}

pub async fn refused(bench: &Bench, step: &Step) -> Finding {
    match prepare(&bench.reader, &bench.cx(), step).await {
        Ok(_) => panic!("it was prepared"),
        Err(finding) => finding,
    }
}

pub async fn mutated(
    bench: &Bench,
    step: &Step,
    prepared: &Prepared,
) -> Result<Option<Answer>, Box<Failure>> {
    let writer = Writer::for_test(bench.reader.clone());
    mutate(&writer, &bench.cx(), step, prepared, &prepared.facts).await.map_err(Box::new)
}

pub async fn looked(bench: &Bench, step: &Step, prepared: &Prepared) -> Look {
    look(&bench.reader, &bench.cx(), step, prepared, &prepared.facts).await
}

pub async fn happened(bench: &Bench, step: &Step, prepared: &Prepared) -> Answer {
    match looked(bench, step, prepared).await {
        Look::Happened(answer) => answer,
        Look::NotHappened => panic!("not happened"),
        Look::CannotTell(finding) => panic!("{finding}"),
    }
}

pub async fn confirmed(bench: &Bench, step: &Step, prepared: &Prepared, answer: &Answer) -> Check {
    confirm(&bench.reader, &bench.cx(), step, prepared, answer).await
}

pub fn holds(check: Check) -> Facts {
    match check {
        Check::Holds(facts) => facts,
        Check::NotYet(finding) | Check::Never(finding) => panic!("{finding}"),
    }
}
