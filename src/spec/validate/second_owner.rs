//! Checks of `second_owner`: another user holds the next bearer token of a name. Naming a user so
//! declares it.

use std::collections::BTreeMap;

use super::{Checker, words};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::Given;
use crate::model::vocabulary::TokenStatus;
use crate::provider::logicmonitor::state::{Lent, Token, TokenKind, User};
use crate::spec::node::Entry;

/// The user that a token's `second_owner` names. Two API tokens of one user are nothing special.
pub fn second_owner(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    kind: TokenKind,
    given: &Given<String>,
) -> Option<Address> {
    let name = checker.word(at, entry, "second_owner", given, words::not_empty)?;
    let place = entry.place(&["second_owner"]);
    if kind == TokenKind::ApiToken {
        let message = "`second_owner` is for bearer tokens: a user may have several API tokens";
        checker.error(code::SPEC_SECOND_OWNER, at, message, place, "of an API token");
        return None;
    }
    let second = at.of_connection().owner(&name);
    if second == at.lane() {
        let message = format!("`{name}` can't be its own second owner");
        checker.error(code::SPEC_SECOND_OWNER, at, message, place, "the same user");
        return None;
    }
    Some(second)
}

/// Tells each second owner which name it serves; one that the spec does not list is declared by it.
/// `connection` is where the users stand.
pub fn lend(checker: &mut Checker<'_>, connection: &Entry, users: &mut BTreeMap<Address, User>) {
    let tokens = users.values().flat_map(|user| &user.tokens);
    let lent = |(at, token): (&Address, &Token)| {
        let lent = Lent { token: at.clone(), id: token.id };
        let takes = matches!(token.status, Some(TokenStatus::Disabled | TokenStatus::Absent));
        Some((token.second_owner.clone()?, lent, takes || token.rotate.is_some()))
    };
    let lent: Vec<_> = tokens.filter_map(lent).collect();
    for (second, lent, takes) in lent {
        let undeclared = || User { id: None, protect: false, tokens: BTreeMap::new(), lends: None };
        let user = users.entry(second.clone()).or_insert_with(undeclared);
        let here = |of: &Address| {
            let user = of.lane();
            connection.place(&["users", user.name(), "bearer_tokens", of.name(), "second_owner"])
        };
        let told = |code, message: String, label: &str| {
            Finding::new(code, message).at(&lent.token).label(here(&lent.token), label)
        };
        let name = second.name();
        let own = user.tokens.values().any(|token| token.kind == TokenKind::BearerToken);
        if let Some(other) = &user.lends {
            let message = format!("`{name}` is the second owner of two tokens, and can hold one");
            let finding = told(code::SPEC_SECOND_OWNER, message, "again here");
            checker.tell(finding.label(here(&other.token), "first here"));
        } else if own {
            let message = format!("`{name}` has bearer tokens of its own in the spec, and can hold one");
            checker.tell(told(code::SPEC_SECOND_OWNER, message, "has its own"));
        } else if user.protect && takes {
            let message = format!("`{name}` is protected, so nothing can be taken from it");
            checker.tell(told(code::SPEC_PROTECTED, message, "is protected"));
        }
        user.lends = Some(lent);
    }
}
