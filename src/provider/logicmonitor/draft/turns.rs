//! Who holds the next token of a name with a second owner: its two users in turn, each one bearer token at
//! a time (contract logicmonitor 5.2).

use super::Scene;
use super::lineage::Lineage;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::observed::Observed;
use crate::provider::draft::{Draft, field};
use crate::provider::logicmonitor::draft::Portal;
use crate::provider::logicmonitor::state::{LiveToken, LiveUser, Token, TokenKind};

/// Why no user can hold the next token.
pub(super) enum Taken {
    /// Another token of the name is still there, by its id.
    ByOurs(u64),
    /// For people: which other token it is.
    ByAnother(String),
}

/// The live second owner of a token that is to have one. Without both users' lists nothing is concluded.
pub(super) fn second_owner<'a>(
    address: &Address,
    want: &Token,
    first: &LiveUser,
    portal: Portal<'a>,
) -> Result<Option<&'a LiveUser>, Finding> {
    let Some(at) = &want.second_owner else { return Ok(None) };
    let name = at.name();
    let (code, message) = match portal.snapshot.users.get(at) {
        Some(Observed::Present(user)) if user.id == first.id => {
            (code::PLAN_OWNER_REFUSED, format!("`{name}` is its own second owner: both have id {}", user.id))
        }
        Some(Observed::Present(user)) => return Ok(Some(user)),
        Some(Observed::Absent) => (
            code::PLAN_USER_MISSING,
            format!("its second owner, `{name}`, is not there; users are never created"),
        ),
        Some(Observed::Unreadable(finding)) => {
            (finding.code, format!("its second owner, `{name}`: {}", finding.message))
        }
        None => (code::PLAN_UNREADABLE, format!("its second owner, `{name}`, was not read")),
    };
    Err(Finding::new(code, message).at(address))
}

impl<'a> Scene<'a> {
    /// The user that the next token is made for: the name's own; with a second owner the one that does not
    /// hold the present token, and for the first token the first that is free.
    pub(super) fn next_owner(
        self,
        current: Option<&LiveToken>,
        lineage: &Lineage<'_>,
    ) -> Result<&'a LiveUser, Taken> {
        if self.owners.second.is_none() {
            return Ok(self.owners.first);
        }
        let candidates: Vec<_> =
            self.owners.each().filter(|user| current.is_none_or(|token| token.owner != user.id)).collect();
        let free = candidates.iter().find(|user| holds(user).next().is_none());
        match (free, candidates.first()) {
            (Some(user), _) => Ok(user),
            (None, user) => Err(taken(user.unwrap_or(&self.owners.first), &lineage.ids())),
        }
    }

    /// The same where everything of the lineage is deleted first.
    pub(super) fn owner_of_all(self, lineage: &Lineage<'_>) -> Result<&'a LiveUser, Taken> {
        let first = self.owners.first;
        if self.owners.second.is_none() {
            return Ok(first);
        }
        let going = lineage.ids();
        let is_free = |user: &&LiveUser| holds(user).all(|token| going.contains(&token.id));
        self.owners.each().find(is_free).ok_or_else(|| taken(first, &going))
    }

    /// Nobody can hold the next token, and only a person can change that.
    pub(super) fn cant_issue(self, taken: Taken, draft: &mut Draft) {
        let why = match taken {
            Taken::ByAnother(why) => why,
            Taken::ByOurs(id) => format!("id {id} is still there"),
        };
        draft.findings.push(Finding::new(code::PLAN_OWNER_REFUSED, why).at(self.address));
    }

    /// Why the two may not take turns, if so. A token has its owner's roles: consumers must not gain or lose
    /// any by a rotation.
    pub(super) fn roles_differ(self) -> Option<String> {
        let (first, second) = (self.owners.first, self.owners.second?);
        let told = |user: &LiveUser| format!("{} has {}", user.username, list(&user.roles));
        let differ = first.roles != second.roles;
        differ.then(|| format!("{}, and {}: a token has its owner's roles", told(first), told(second)))
    }

    /// The ledger remembers a protection of the same name at the second owner: where two users were swapped in
    /// the spec, it is of this token.
    pub(super) fn protected_elsewhere(self) -> Option<Finding> {
        let other = self.want.second_owner.as_ref()?.item(self.want.kind.as_str(), self.name());
        let message = format!("the ledger knows this name as {other}, which is protected");
        let help = "Lift it at that address with `protect: false` first.";
        let protected = self.cx.past(&other).protected;
        protected.then(|| Finding::new(code::PLAN_PROTECTED, message).at(self.address).help(help))
    }

    /// Whether the second owner is protected, by the spec or by what the ledger remembers.
    pub(super) fn second_protected(self) -> bool {
        let second = self.want.second_owner.as_ref().and_then(|at| self.connection.users.get(at));
        second.is_some_and(|user| user.protect)
    }

    /// Says in a change whose token goes and whose comes.
    pub(super) fn tell_turn(self, change: &mut Change, current: Option<&LiveToken>, next: &LiveUser) {
        if self.owners.second.is_some() {
            let before = current.map(|token| self.owners.holder(token).username.as_str());
            change.fields.push(field("owner", before, Some(&next.username)));
        }
    }
}

/// Which of a user's tokens is in the way: one of the lineage, or another.
fn taken(user: &LiveUser, ours: &[u64]) -> Taken {
    match holds(user).find(|token| !ours.contains(&token.id)) {
        Some(LiveToken { id, note, .. }) => Taken::ByAnother(format!(
            "{} holds another bearer token, id {id} (\"{note}\"), and can hold one at a time",
            user.username
        )),
        None => Taken::ByOurs(holds(user).map(|token| token.id).max().unwrap_or_default()),
    }
}

/// Bearer tokens, enabled or not: each takes its user's one place.
pub fn holds(user: &LiveUser) -> impl Iterator<Item = &LiveToken> {
    user.tokens.iter().filter(|token| token.kind == TokenKind::BearerToken)
}

fn list(roles: &[String]) -> String {
    if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") }
}
