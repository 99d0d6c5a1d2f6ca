//! What an incident may have exposed at LogicMonitor besides the tokens in use under declared names.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::evidence::callers;
use super::owners::Owners;
use super::state::{Connection, LiveToken, LiveUser, Token, TokenKind, User};
use crate::model::address::Address;
use crate::model::exposure::{Cause, Incident, NotRotated};
use crate::model::observed::Observed;
use crate::provider::state::{Desired, Rotate, Snapshot};

/// When a token was last used, by the address of its name or of its user.
pub fn last_used(snapshot: &Snapshot, address: &Address, id: u64) -> Option<Timestamp> {
    let own = snapshot.users.get(&address.lane());
    // its second owner has it otherwise
    let portal = snapshot.users.iter().filter(|(at, _)| at.same_connection(address)).map(|(_, user)| user);
    let users = own.into_iter().chain(portal).filter_map(Observed::present);
    users.flat_map(|user| &user.tokens).find(|token| token.id == id)?.last_used_on
}

/// Credentials, tokens that were replaced and still work, and tokens that no declared name stands
/// for. `rotated` are the ids that are replaced now, by the address of their name.
pub fn besides(
    desired: &Desired,
    snapshot: &Snapshot,
    incident: &Incident,
    rotated: &BTreeMap<Address, u64>,
) -> Vec<NotRotated> {
    let callers = callers(desired, snapshot);
    let none = BTreeSet::new();
    let mut rows = Vec::new();
    for (at, connection) in &desired.logicmonitor {
        if let Some(why) = unread(at, connection, snapshot) {
            rows.extend(incident.touches(at).then(|| NotRotated {
                address: at.clone(),
                cause: Cause::Unreadable,
                why: format!("nothing is known of any token of its portal: {why}"),
                token_ids: Vec::new(),
            }));
            continue;
        }
        let callers = callers.get(at).unwrap_or(&none);
        rows.extend(credential(at, connection, snapshot, incident, callers));
        for (address, want) in &connection.users {
            if let Some(live) = snapshot.users.get(address).and_then(Observed::present) {
                let own = |(at, token): (&Address, &Token)| {
                    let owners = Owners::of(token, live, snapshot);
                    of_name(at, token, owners, incident, rotated, callers)
                };
                rows.extend(want.tokens.iter().filter(|(at, _)| incident.covers(at)).filter_map(own));
                rows.extend(lent(address, want, live, incident));
                rows.extend(unlisted(address, want, live, incident, callers));
            }
        }
    }
    for (address, live) in &snapshot.others {
        let nothing = User { id: None, protect: false, tokens: BTreeMap::new(), lends: None };
        rows.extend(unlisted(
            address,
            &nothing,
            live,
            incident,
            callers.get(&address.of_connection()).unwrap_or(&none),
        ));
    }
    rows
}

/// A token that a user holds as a second owner, in an incident that reaches the user and not the name.
fn lent(at: &Address, want: &User, live: &LiveUser, incident: &Incident) -> Option<NotRotated> {
    let lent = want.lends.as_ref().filter(|lent| incident.covers(at) && !incident.covers(&lent.token))?;
    let held = live.bound(TokenKind::BearerToken, lent.token.name(), lent.id);
    let exposed = held.into_iter().filter(|token| token.enabled() && incident.exposes(token.created_on));
    let token_ids: Vec<u64> = exposed.map(|token| token.id).collect();
    let why = format!("{} holds it as a second owner: take {} into the scope", live.username, lent.token);
    (!token_ids.is_empty()).then(|| NotRotated {
        address: at.clone(),
        cause: Cause::OtherWish,
        why,
        token_ids,
    })
}

/// Why a portal could not be read, if it was asked and could not.
fn unread<'s>(at: &Address, connection: &Connection, snapshot: &'s Snapshot) -> Option<&'s str> {
    if snapshot.callers.contains_key(at) || snapshot.left_out.contains(at) {
        return None;
    }
    let users = connection.users.keys().filter_map(|user| snapshot.users.get(user));
    let mut why = users.filter_map(|user| match user {
        Observed::Unreadable(finding) => Some(finding.message.as_str()),
        _ => None,
    });
    Some(why.next().unwrap_or("it could not be read"))
}

/// The credential in use, unless it is a token under a declared name.
fn credential(
    at: &Address,
    connection: &Connection,
    snapshot: &Snapshot,
    incident: &Incident,
    callers: &BTreeSet<u64>,
) -> Option<NotRotated> {
    let users = connection.users.iter();
    let live = |(at, want)| Some((want, snapshot.users.get(at).and_then(Observed::present)?));
    let is_managed = |(want, live): (&User, &LiveUser)| !declared(want, live).is_disjoint(callers);
    if !incident.covers(at) || users.filter_map(live).any(is_managed) {
        return None;
    }
    let why = "the connection's own credential is under no declared name: replace it by hand".to_owned();
    let token_ids = callers.iter().copied().collect();
    Some(NotRotated { address: at.clone(), cause: Cause::Credential, why, token_ids })
}

/// Tokens of a declared name that were replaced, or that are disabled.
fn of_name(
    at: &Address,
    want: &Token,
    owners: Owners<'_>,
    incident: &Incident,
    rotated: &BTreeMap<Address, u64>,
    callers: &BTreeSet<u64>,
) -> Option<NotRotated> {
    let now = rotated.get(at);
    let replaces = want.rotate.as_ref().is_some_and(Rotate::replaces);
    let exposed = owners.bound(want.kind, at.name(), want.id);
    let exposed: Vec<_> = exposed.into_iter().filter(|t| incident.exposes(t.created_on)).collect();
    let works = exposed.iter().filter(|token| token.enabled());
    let works: Vec<u64> = works.map(|token| token.id).filter(|id| Some(id) != now).collect();
    let row = |cause, why: &str, token_ids| {
        Some(NotRotated { address: at.clone(), cause, why: why.to_owned(), token_ids })
    };
    let cycle = "it was replaced; `overlap` and `idle` of its `rotate` say when the next applies disable it, \
                 and shorten that";
    let in_turn = "its next one can be made when the one before it is gone from its other owner: `overlap`, `idle` and \
                   `soak` of its `rotate` say when the next applies disable and delete that one";
    let in_use = "it is what tokenform logs in with, and `strategy: replace` would delete it: `strategy: overlap` \
                  rotates it";
    match (works.is_empty(), now) {
        // all of the name goes
        (_, Some(_)) if replaces => None,
        (false, None) if replaces && works.iter().any(|id| callers.contains(id)) => {
            row(Cause::Credential, in_use, works)
        }
        (false, None) if owners.second.is_some() => row(Cause::Retiring, in_turn, works),
        (false, _) => row(Cause::Retiring, cycle, works),
        (true, None) if !exposed.is_empty() => {
            let ids = exposed.iter().map(|token| token.id).collect();
            row(Cause::Disabled, "it does not work now; enabled again, it would", ids)
        }
        (true, _) => None,
    }
}

/// Tokens of a user that no declared name stands for and that work.
fn unlisted(
    address: &Address,
    want: &User,
    live: &LiveUser,
    incident: &Incident,
    callers: &BTreeSet<u64>,
) -> Option<NotRotated> {
    let declared = declared(want, live);
    let is_exposed = |token: &&LiveToken| {
        let other = !declared.contains(&token.id) && !callers.contains(&token.id);
        other && token.enabled() && incident.exposes(token.created_on)
    };
    let ids: Vec<u64> = live.tokens.iter().filter(is_exposed).map(|token| token.id).collect();
    let why = format!("{} tokens of {} that the spec does not declare", ids.len(), live.username);
    let row = NotRotated { address: address.clone(), cause: Cause::Unlisted, why, token_ids: ids };
    (incident.covers(address) && !row.token_ids.is_empty()).then_some(row)
}

/// Ids of a user's live tokens that declared names stand for: its own, and one that it is the second owner
/// of.
pub fn declared(want: &User, live: &LiveUser) -> BTreeSet<u64> {
    let own = want.tokens.iter().flat_map(|(at, token)| live.bound(token.kind, at.name(), token.id));
    let lent = want.lends.iter();
    let lent = lent.flat_map(|lent| live.bound(TokenKind::BearerToken, lent.token.name(), lent.id));
    own.chain(lent).map(|token| token.id).collect()
}
