//! What a plan is judged and bound by: declared LogicMonitor objects, as wished and as live.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::evidence::{EstateUser, Managed};
use crate::model::observed::Observed;
use crate::model::vocabulary::TokenStatus;
use crate::provider::fields::Bound;
use crate::provider::logicmonitor::draft::seen;
use crate::provider::logicmonitor::draft::unlisted::{of_user, others};
use crate::provider::logicmonitor::owners::Owners;
use crate::provider::logicmonitor::state::{Connection, LiveUser, Token, TokenKind, User};
use crate::provider::state::{Desired, Snapshot};

/// Ids of the live tokens that connections of the spec use, by the connection in whose portal they
/// are: one connection must not take the credential of another one.
pub fn callers(desired: &Desired, snapshot: &Snapshot) -> BTreeMap<Address, BTreeSet<u64>> {
    let rows = super::callers::evidence(desired, snapshot).into_iter();
    rows.map(|row| (row.connection, row.token_ids.into_iter().collect())).collect()
}

/// How many declared objects of each connection are live.
pub fn managed(desired: &Desired, snapshot: &Snapshot) -> Vec<Managed> {
    let row = |(at, connection): (&Address, &Connection)| {
        let live = |(at, want)| Some((want, present(snapshot, at)?));
        let users = connection.users.iter().filter_map(live);
        let tokens = users.map(|(want, live): (&User, _)| seen(want, live, snapshot)).sum();
        Managed { connection: at.clone(), tokens, instances: 0 }
    };
    desired.logicmonitor.iter().map(row).collect()
}

/// Addresses of declared tokens.
pub fn scope(desired: &Desired) -> Vec<Address> {
    users(desired).flat_map(|(_, user)| user.tokens.keys().cloned()).collect()
}

/// Addresses under `protect: true`.
pub fn protected(desired: &Desired) -> Vec<Address> {
    let mut protected = Vec::new();
    for (address, want) in users(desired) {
        protected.extend(want.protect.then(|| address.clone()));
        protected.extend(want.tokens.iter().filter(|(_, t)| t.protect).map(|(a, _)| a.clone()));
    }
    protected
}

/// What the spec holds against rotating a token at once.
pub fn cant_rotate(user: &User, token: &Token) -> Option<&'static str> {
    match token.status {
        _ if user.protect || token.protect => Some("it is protected"),
        Some(TokenStatus::Absent) => Some("the spec wants it absent"),
        Some(TokenStatus::Disabled) => Some("the spec wants it disabled"),
        _ if token.deliver.is_empty() => Some("it has no `deliver`, so the new secret would be lost"),
        _ if token.rotate.is_none() => Some(
            "it has no `rotate`, which says when the old one is retired; `rotate: {}` takes the defaults",
        ),
        Some(TokenStatus::Enabled) | None => None,
    }
}

/// What binds a plan to live users, and to the tokens that each declared one stands for.
pub fn bound<'s>(
    desired: &Desired,
    snapshot: &'s Snapshot,
    asked: &BTreeSet<&Address>,
) -> Vec<(Address, Bound<'s>)> {
    let mut rows = Rows { asked, rows: Vec::new() };
    for (address, want) in users(desired) {
        if let Some(live) = present(snapshot, address) {
            rows.user(address, live);
            for (token, want) in &want.tokens {
                rows.token(token, Owners::of(want, live, snapshot), want.kind, want.id);
            }
            let wish = desired.logicmonitor.get(&address.of_connection());
            if wish.is_some_and(|connection| connection.unlisted.is_some()) {
                rows.unlisted(address, Some(want), live);
            }
        }
    }
    for (_, address, live) in others(&desired.logicmonitor, &snapshot.others) {
        rows.user(address, live);
        rows.unlisted(address, None, live);
    }
    rows.rows
}

/// What binds a plan, of the objects that are asked for.
struct Rows<'a, 's> {
    asked: &'a BTreeSet<&'a Address>,
    rows: Vec<(Address, Bound<'s>)>,
}

impl<'s> Rows<'_, 's> {
    fn user(&mut self, at: &Address, live: &'s LiveUser) {
        if self.asked.contains(at) {
            self.rows.push((at.clone(), Bound::User(live)));
        }
    }

    fn token(&mut self, at: &Address, owners: Owners<'s>, kind: TokenKind, pin: Option<u64>) {
        if self.asked.contains(at) {
            self.rows.push((at.clone(), Bound::Tokens(owners.bound(kind, at.name(), pin))));
        }
    }

    /// The tokens of a user that the spec does not declare.
    fn unlisted(&mut self, user: &Address, want: Option<&User>, live: &'s LiveUser) {
        for (at, token) in of_user(user, want, live) {
            self.token(&at, Owners::only(live), token.kind, Some(token.id));
        }
    }
}

/// Declared users as they are.
pub fn estate(desired: &Desired, snapshot: &Snapshot) -> Vec<EstateUser> {
    let row = |(address, _): (&Address, &User)| {
        let live = present(snapshot, address)?;
        let (status, roles) = (live.status.clone(), live.roles.clone());
        Some(EstateUser { address: address.clone(), status, roles })
    };
    users(desired).filter_map(row).collect()
}

/// What of a snapshot can't be what the spec means now: it was read for another wish.
pub fn read_for_another(desired: &Desired, snapshot: &Snapshot) -> Vec<(Address, String)> {
    let other_user = |(address, want): (&Address, &User)| {
        let (live, wanted) = (present(snapshot, address)?, want.id?);
        let told = format!("its id is {} there, and the spec says {wanted}", live.id);
        (live.id != wanted).then_some((address.clone(), told))
    };
    let other_portal = |(address, connection): (&Address, &Connection)| {
        let (is, wanted) = (snapshot.led_to.get(address)?, connection.portal());
        let told = format!("its portal is {is} there, and the spec says {wanted}");
        (*is != wanted).then_some((address.clone(), told))
    };
    desired
        .logicmonitor
        .iter()
        .filter_map(other_portal)
        .chain(users(desired).filter_map(other_user))
        .collect()
}

fn users(desired: &Desired) -> impl Iterator<Item = (&Address, &User)> {
    desired.logicmonitor.values().flat_map(|connection| &connection.users)
}

fn present<'a>(snapshot: &'a Snapshot, address: &Address) -> Option<&'a LiveUser> {
    snapshot.users.get(address).and_then(Observed::present)
}
