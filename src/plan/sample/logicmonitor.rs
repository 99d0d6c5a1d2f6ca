//! Portals, each with one user `svc` and its tokens.

use std::collections::BTreeMap;

use super::*;
use crate::model::vocabulary::{SecretRef, TokenStatus};
use crate::provider::logicmonitor::audit_log::Watch;
use crate::provider::logicmonitor::state as lm;
use crate::provider::state::Caller;

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
        users: BTreeMap::from([(user.clone(), lm::User { id: None, protect: false, tokens, lends: None })]),
        unlisted: None,
    };
    world.desired.logicmonitor.insert(at.clone(), connection);
    world.snapshot.users.insert(user, Observed::Present(live_user(live)));
    let read = lm::PortalRead { watch: Watch::Read(BTreeMap::new()) };
    world.snapshot.portals.insert(at.clone(), read);
    let caller = Caller { access_id: Some("a1".into()), token_ids: vec![1], untold: None };
    world.snapshot.callers.insert(at, caller);
}

fn live_user(tokens: Vec<lm::LiveToken>) -> lm::LiveUser {
    lm::LiveUser {
        id: 32,
        username: "svc".into(),
        status: "active".into(),
        roles: vec!["ci".into()],
        has_email: false,
        caller: Some("robot".into()),
        disables_after_days: None,
        our_ips: vec!["198.51.100.7".into()],
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
        reenable: false,
        second_owner: None,
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
        never_used: false,
        last_auth_ip: Some("203.0.113.9".into()),
    }
}

pub fn disabled(token: lm::LiveToken) -> lm::LiveToken {
    lm::LiveToken { status: lm::DISABLED, ..token }
}

pub fn old(token: lm::LiveToken) -> lm::LiveToken {
    lm::LiveToken { created_on: Some(days_ago(91)), ..token }
}
