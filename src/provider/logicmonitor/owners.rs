//! The users whose tokens one declared name stands for: its own user, and where the spec names one, a
//! second owner. A portal that allows one bearer token for each user can only have two of a name at two
//! users (contract logicmonitor 5.2, "alternate owner").

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::state::{Connection, LiveToken, LiveUser, Token, TokenKind};
use crate::model::address::Address;
use crate::model::history::History;
use crate::model::observed::Observed;
use crate::provider::state::Snapshot;

/// The live users of one declared name.
#[derive(Clone, Copy)]
pub struct Owners<'a> {
    /// The user that the name's address is of.
    pub first: &'a LiveUser,
    pub second: Option<&'a LiveUser>,
}

impl<'a> Owners<'a> {
    /// A user alone.
    pub fn only(first: &'a LiveUser) -> Self {
        Self { first, second: None }
    }

    /// As a snapshot has them. A second owner that was not read is none.
    pub fn of(want: &Token, first: &'a LiveUser, snapshot: &'a Snapshot) -> Self {
        let second = want.second_owner.as_ref().and_then(|at| snapshot.users.get(at)?.present());
        Self { first, second }
    }

    pub fn each(self) -> impl Iterator<Item = &'a LiveUser> {
        std::iter::once(self.first).chain(self.second)
    }

    pub fn tokens(self) -> impl Iterator<Item = &'a LiveToken> {
        self.each().flat_map(|user| &user.tokens)
    }

    /// What an address stands for: every token of the kind and name, and a pinned one of another name; in
    /// id order.
    pub fn bound(self, kind: TokenKind, name: &str, pin: Option<u64>) -> Vec<&'a LiveToken> {
        let mut bound = self.first.bound(kind, name, pin);
        if let Some(second) = self.second {
            bound.extend(second.bound(kind, name, pin));
            bound.sort_by_key(|token| token.id);
        }
        bound
    }

    /// Whose token it is.
    pub fn holder(self, token: &LiveToken) -> &'a LiveUser {
        self.each().find(|user| user.id == token.owner).unwrap_or(self.first)
    }
}

/// What is known of the tokens of a whole portal, since one name can have them at two users. Gathered when
/// first asked.
pub struct Holders<'a> {
    connection: &'a Address,
    snapshot: &'a Snapshot,
    history: &'a History,
    names: OnceCell<BTreeMap<u64, String>>,
    replaced: OnceCell<BTreeSet<u64>>,
}

impl<'a> Holders<'a> {
    pub fn new(connection: &'a Address, snapshot: &'a Snapshot, history: &'a History) -> Self {
        Self { connection, snapshot, history, names: OnceCell::new(), replaced: OnceCell::new() }
    }

    /// The username of who holds a bearer token, declared or not.
    pub fn of(&self, id: u64) -> Option<&str> {
        self.names.get_or_init(|| self.gather()).get(&id).map(String::as_str)
    }

    /// Ids of tokens that another one has replaced, by the marks of live ones and by the ledger.
    pub fn replaced(&self) -> &BTreeSet<u64> {
        self.replaced.get_or_init(|| {
            let tokens = self.users().flat_map(|user| &user.tokens);
            let marked = tokens.filter_map(|token| token.marker().predecessor);
            let past = self.history.below(self.connection);
            let known = past.flat_map(|(_, past)| past.replaced.iter().map(|(_, old)| *old));
            marked.chain(known).collect()
        })
    }

    /// Whether the ledger remembers a protection of a bearer token, whichever user's address it is by.
    pub fn was_protected(&self, token: &LiveToken) -> bool {
        let is_it = |at: &Address, id: Option<u64>| match at.item_parts() {
            Some((kind, name)) => {
                kind == token.kind.as_str() && (name == token.name() || id == Some(token.id))
            }
            None => false,
        };
        let mut past = self.history.below(self.connection).filter(|(_, past)| past.protected);
        token.kind == TokenKind::BearerToken && past.any(|(at, past)| is_it(at, past.remote_id))
    }

    fn users(&self) -> impl Iterator<Item = &'a LiveUser> {
        let declared = self.snapshot.users.iter().filter_map(|(at, user)| Some((at, user.present()?)));
        let users = declared.chain(&self.snapshot.others);
        users.filter(|(at, _)| self.connection.covers(at)).map(|(_, user)| user)
    }

    fn gather(&self) -> BTreeMap<u64, String> {
        let bearer = |token: &&LiveToken| token.kind == TokenKind::BearerToken;
        let of = |user: &'a LiveUser| {
            user.tokens.iter().filter(bearer).map(|token| (token.id, user.username.clone()))
        };
        self.users().flat_map(of).collect()
    }
}

/// Names that `createdBy` of tokenform's own tokens may have: the connection's user; and where a token of
/// that user has a second owner, both of them, since the connection logs in as one or the other in turn.
pub fn robots(connection: &Connection, snapshot: &Snapshot) -> BTreeSet<String> {
    let live = |at: &Address| snapshot.users.get(at).and_then(Observed::present);
    let callers = connection.users.keys().filter_map(live).find_map(|user| user.caller.clone());
    let mut robots: BTreeSet<String> = callers.into_iter().collect();
    for (at, user) in &connection.users {
        for second in user.tokens.values().filter_map(|token| token.second_owner.as_ref()) {
            let names = [at, second].map(|at| live(at).map(|user| user.username.clone()));
            if names.iter().flatten().any(|name| robots.contains(name)) {
                robots.extend(names.into_iter().flatten());
            }
        }
    }
    robots
}
