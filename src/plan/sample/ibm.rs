//! One IBM connection `ibm.prod` and its instances.

use std::collections::BTreeMap;

use super::*;
use crate::model::vocabulary::SecretRef;
use crate::provider::ibm::state as ibm;

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
