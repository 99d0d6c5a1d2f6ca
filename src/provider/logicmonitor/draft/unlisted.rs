//! Tokens that no declared name stands for: told, or disabled and deleted by disuse (PRODUCT section 1,
//! `unlisted_tokens`).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Digests, Portal};
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::evidence::{EnabledCount, OwnerCount};
use crate::model::guard::Guard;
use crate::model::step::Expect;
use crate::model::unlisted::{Fate, KEPT_DISABLED, UnlistedToken};
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::provider::draft::{Context, Draft, change, field};
use crate::provider::logicmonitor::exposure::declared;
use crate::provider::logicmonitor::note::MARKER;
use crate::provider::logicmonitor::owners::Owners;
use crate::provider::logicmonitor::state::{
    Connection, DISABLED, LiveToken, LiveUser, Token, Unlisted, UnlistedAction, User,
};

/// The address of a token that has no name in the spec.
pub fn address_of(user: &Address, token: &LiveToken) -> Address {
    user.item(token.kind.as_str(), &format!("#{}", token.id))
}

/// The tokens of a user that no declared name stands for, each with its address. One whose address is
/// that of a declared token is left out.
pub fn of_user<'a>(at: &Address, want: Option<&User>, live: &'a LiveUser) -> Vec<(Address, &'a LiveToken)> {
    let declared = want.map(|want| declared(want, live)).unwrap_or_default();
    let others = live.tokens.iter().filter(|token| !declared.contains(&token.id));
    let addressed = others.map(|token| (address_of(at, token), token));
    addressed.filter(|(at, _)| want.is_none_or(|want| !want.tokens.contains_key(at))).collect()
}

/// Drafts what becomes of a user's other tokens. `want` is `None` for a user that is not declared.
pub fn unlisted(
    cx: Context<'_>,
    address: &Address,
    portal: Portal<'_>,
    want: Option<&User>,
    live: &LiveUser,
    draft: &mut Draft,
) {
    let Some(wish) = &portal.connection.unlisted else { return };
    let protected = want.is_some_and(|want| want.protect);
    let judge =
        Judge { cx, user: address, portal, wish, live, protected, replaced: portal.holders.replaced() };
    let before = draft.changes.len();
    let mut rows: Vec<_> =
        of_user(address, want, live).into_iter().map(|(at, token)| (judge.row(&at, token), token)).collect();
    judge.spare_the_last(&mut rows, draft);
    for (row, token) in rows {
        let at = row.address.clone();
        match row.fate {
            Fate::Disable => judge.take(Verb::Disable, &row, token, draft),
            Fate::Delete => judge.take(Verb::Delete, &row, token, draft),
            Fate::Waits => draft.wait(&at, &row.why, judge.delete_at(&at)),
            Fate::Reported | Fate::Stays => {}
        }
        draft.unlisted.push(row);
    }
    if want.is_none() {
        super::effects::of_user(cx, live, &BTreeMap::new(), draft);
    }
    let bound = draft.live.iter().any(|expect| expect.address == *address);
    if draft.changes.len() > before {
        draft.owners.push(OwnerCount { address: address.clone(), enabled: enabled(live).collect() });
    }
    if draft.changes.len() > before && !bound {
        draft.live.push(Expect { address: address.clone(), digest: live.digest(cx.key) });
    }
}

fn enabled(live: &LiveUser) -> impl Iterator<Item = u64> {
    live.tokens.iter().filter(|token| token.enabled()).map(|token| token.id)
}

/// What one user's unlisted tokens are judged by.
struct Judge<'a> {
    cx: Context<'a>,
    user: &'a Address,
    portal: Portal<'a>,
    wish: &'a Unlisted,
    live: &'a LiveUser,
    protected: bool,
    replaced: &'a BTreeSet<u64>,
}

impl Judge<'_> {
    fn row(&self, at: &Address, token: &LiveToken) -> UnlistedToken {
        let mut row = UnlistedToken {
            address: at.clone(),
            token_id: token.id,
            owner: self.live.username.clone(),
            note: token.note.clone(),
            enabled: token.enabled(),
            created_on: token.created_on,
            created_by: token.created_by.clone(),
            last_used_on: token.last_used_on,
            never_used: token.never_used,
            last_auth_ip: token.last_auth_ip.clone(),
            unused_for: self.wish.unused_for,
            fate: Fate::Stays,
            why: String::new(),
        };
        (row.fate, row.why) = match self.spared(token) {
            Some(why) => (Fate::Stays, why),
            None => self.by_disuse(&row, token),
        };
        row
    }

    /// Of the user's enabled tokens one stays: disuse alone takes no user its last one. The one that was
    /// used last is kept, and a person decides.
    fn spare_the_last(&self, rows: &mut [(UnlistedToken, &LiveToken)], draft: &Draft) {
        let steps = draft.changes.iter().flat_map(|drafted| &drafted.steps);
        let taken: BTreeSet<u64> = steps
            .filter(|step| matches!(step.verb, Verb::Disable | Verb::Delete))
            .filter_map(|step| step.params.get("token_id")?.parse().ok())
            .chain(rows.iter().filter(|(row, _)| row.fate == Fate::Disable).map(|(row, _)| row.token_id))
            .collect();
        if enabled(self.live).any(|id| !taken.contains(&id)) {
            return;
        }
        let going = rows.iter_mut().map(|(row, _)| row).filter(|row| row.fate == Fate::Disable);
        if let Some(row) = going.max_by_key(|row| (row.unused_since(), row.token_id)) {
            row.fate = Fate::Reported;
            let user = &self.live.username;
            row.why.push_str(&format!(
                "; it is the last enabled token of {user}: declare it with `status: disabled` or `absent` to take it"
            ));
        }
    }

    /// Why a token is never touched, if it is.
    fn spared(&self, token: &LiveToken) -> Option<String> {
        if let Some(why) = self.in_use_by_us(token) {
            return Some(why);
        }
        let why = if token.note.contains(MARKER) {
            "a tokenform made it"
        } else if self.replaced.contains(&token.id) {
            "another token has replaced it"
        } else if self.wish.excepts(token) {
            "it is excepted"
        } else if self.protected {
            "its user is protected"
        } else if self.was_protected(token) {
            "it was protected when the spec declared it, and nothing has lifted that"
        } else if !token.enabled() && token.status != DISABLED {
            return Some(format!("its status is {}", token.status_word()));
        } else {
            return None;
        };
        Some(why.to_owned())
    }

    /// Whether the ledger remembers a protection of it, or of its user.
    fn was_protected(&self, token: &LiveToken) -> bool {
        let is_it = |at: &Address| match at.item_parts() {
            Some((kind, name)) => kind == token.kind.as_str() && name == token.name(),
            None => true,
        };
        let mut below = self.cx.history.below(self.user);
        below.any(|(at, past)| past.protected && (is_it(at) || past.remote_id == Some(token.id)))
            || self.portal.holders.was_protected(token)
    }

    fn in_use_by_us(&self, token: &LiveToken) -> Option<String> {
        let Some(callers) = self.portal.callers else {
            return Some("it is not known what tokenform itself logs in with".to_owned());
        };
        if let Some(by) = callers.users(token.id).next() {
            return Some(format!("{by} logs in with it"));
        }
        let untold = callers.untold(token.kind.as_str())?;
        Some(format!("it may be the credential of {}: {}", untold.by, untold.why))
    }

    /// By how long it was unused.
    fn by_disuse(&self, row: &UnlistedToken, token: &LiveToken) -> (Fate, String) {
        let now = self.cx.now;
        let Some(wanted) = self.wish.unused_for else {
            return (Fate::Reported, "the spec does not declare it".to_owned());
        };
        if let Some(age) = row.created_on.map(|at| Period::between(at, now)).filter(|age| *age < wanted) {
            return (Fate::Stays, format!("it is only {} old", age.rough()));
        }
        let Some(since) = row.unused_since() else {
            return (Fate::Reported, "nobody tells when it was last used".to_owned());
        };
        let unused = Period::between(since, now);
        if unused < wanted {
            return (Fate::Stays, "it is in use".to_owned());
        }
        let why = if row.never_used && row.last_used_on.is_none() {
            format!("never used since it was made {} ago, unused_for {wanted}", unused.rough())
        } else {
            format!("unused for {}, unused_for {wanted}", unused.rough())
        };
        self.by_action(row, token, why)
    }

    /// What the spec's action means for a token that is unused for long enough.
    fn by_action(&self, row: &UnlistedToken, token: &LiveToken, unused: String) -> (Fate, String) {
        let ours = self.cx.past(&row.address).disabled_at;
        match (self.wish.action, token.enabled(), ours) {
            (UnlistedAction::Report, ..) => (Fate::Reported, unused),
            (_, true, Some(at)) => (
                Fate::Reported,
                format!(
                    "tokenform disabled it at {at} and somebody has enabled it again: declare it, or `except` it"
                ),
            ),
            (_, true, None) => (Fate::Disable, unused),
            (UnlistedAction::Disable, false, _) => (Fate::Stays, format!("it is disabled; {unused}")),
            (UnlistedAction::Delete, false, None) => (
                Fate::Reported,
                "somebody else disabled it, and tokenform deletes only what it has disabled".to_owned(),
            ),
            (UnlistedAction::Delete, false, Some(at)) if row.last_used_on.is_some_and(|used| used > at) => {
                (Fate::Reported, format!("disabled at {at}, and used since"))
            }
            (UnlistedAction::Delete, false, Some(at)) => {
                let fate = if self.cx.now < KEPT_DISABLED.after(at) { Fate::Waits } else { Fate::Delete };
                (fate, format!("disabled at {at}, to be deleted after {KEPT_DISABLED}; {unused}"))
            }
        }
    }

    fn delete_at(&self, at: &Address) -> Option<Timestamp> {
        self.cx.past(at).disabled_at.map(|at| KEPT_DISABLED.after(at))
    }

    /// Drafts the one step.
    fn take(&self, verb: Verb, row: &UnlistedToken, token: &LiveToken, draft: &mut Draft) {
        let pin = Token {
            kind: token.kind,
            id: Some(token.id),
            status: None,
            rotate: None,
            deliver: Vec::new(),
            protect: false,
            reenable: false,
            second_owner: None,
        };
        let digests = Digests { first: &OnceCell::new(), tokens: &OnceCell::new() };
        let scene = self.portal.scene(self.cx, Owners::only(self.live), &row.address, &pin, digests);
        let mut step = scene.token_step(verb, token, 1);
        step.guards = self.guards(verb, row);
        let (action, after) = match verb {
            Verb::Delete => (Action::Delete, None),
            _ => (Action::Disable, Some("disabled")),
        };
        let mut change =
            change(&row.address, token.kind.as_str(), action, format!("not declared; {}", row.why));
        change.fields.push(field("status", Some(&token.status_word()), after));
        change.notes.extend(self.notes(verb, row));
        draft.live.push(scene.expect_tokens());
        draft.enabled_counts.push(EnabledCount {
            address: row.address.clone(),
            enabled: token.enabled().then_some(token.id).into_iter().collect(),
            predecessors: Vec::new(),
            may_be_zero: true,
            replaces: false,
            removed: None,
        });
        draft.push(change, vec![step]);
    }

    fn guards(&self, verb: Verb, row: &UnlistedToken) -> Vec<Guard> {
        let (id, at_least) = (row.token_id, self.wish.unused_for.unwrap_or(KEPT_DISABLED));
        let idle = Guard::OldIdle { token_id: id, at_least, last_used_on: row.last_used_on };
        let since = self.cx.past(&row.address).disabled_at.filter(|_| verb == Verb::Delete);
        let kept = since.map(|since| Guard::DisabledFor { token_id: id, at_least: KEPT_DISABLED, since });
        let last = (verb == Verb::Disable).then_some(Guard::OwnerKeepsOne { token_id: id });
        [Some(idle), kept, last].into_iter().flatten().collect()
    }

    fn notes(&self, verb: Verb, row: &UnlistedToken) -> Vec<String> {
        let user = &self.live.username;
        let mut notes = vec![
            format!("\"{}\" of {user}, {}", row.note, row.origin()),
            format!("id {}: {}", row.token_id, row.last_use(self.cx.now)),
        ];
        if verb == Verb::Disable && self.wish.action == UnlistedAction::Delete {
            notes.push(format!("a plan {KEPT_DISABLED} later deletes it, unless it is enabled again"));
        }
        if verb == Verb::Disable && self.live.has_email {
            notes.push(format!("LogicMonitor mails {user} about the change"));
        }
        notes
    }
}

/// Users that no connection declares and that `users: all` covers, with the connection of each.
pub fn others<'c, 's>(
    connections: &'c BTreeMap<Address, Connection>,
    others: &'s BTreeMap<Address, LiveUser>,
) -> impl Iterator<Item = (&'c Address, &'s Address, &'s LiveUser)> {
    others.iter().filter_map(|(at, live)| {
        let (connection, wish) = connections.get_key_value(&at.of_connection())?;
        wish.unlisted.as_ref().is_some_and(|wish| wish.all_users).then_some((connection, at, live))
    })
}
