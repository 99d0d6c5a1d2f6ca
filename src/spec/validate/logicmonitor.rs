//! Checks of LogicMonitor connections, users and tokens.

use std::collections::BTreeMap;

use super::rotation::{Replaced, protected, protection, rotate};
use super::second_owner::{lend, second_owner};
use super::{Checker, delivery, pairs, words};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::{Entries, Given};
use crate::model::source::Span;
use crate::model::vocabulary::{Period, TokenStatus};
use crate::provider::logicmonitor::VENDOR;
use crate::provider::logicmonitor::spec;
use crate::provider::logicmonitor::state::{
    Connection, Credential, Lmv1, Token, TokenKind, Unlisted, UnlistedAction, User,
};
use crate::spec::node::Entry;

const DOMAIN: &str = "logicmonitor.com";

/// One connection with all its users.
pub fn connection(
    checker: &mut Checker<'_>,
    entry: &Entry,
    spec: &spec::Connection,
) -> Option<(Address, Connection)> {
    let at = Address::connection(VENDOR, &entry.key);
    checker.name(&at, entry, words::not_empty);
    let unlisted = unlisted(checker, &at, entry.get("unlisted_tokens"), &spec.unlisted_tokens);
    let credential = credential(checker, &at, entry, &spec.credential);
    if spec.endpoint.is_missing() {
        checker.need(&at, entry, "account", &spec.account);
    }
    let account = checker.word(&at, entry, "account", &spec.account, words::account);
    let domain = checker.word(&at, entry, "domain", &spec.domain, words::domain);
    let endpoint = checker.origin(&at, Some(entry), "endpoint", &spec.endpoint);
    let mut users = BTreeMap::new();
    let mut pins = BTreeMap::new();
    for (place, user_spec) in pairs(entry.get("users"), &spec.users) {
        let address = at.owner(&place.key);
        checker.name(&address, place, words::not_empty);
        checker.pin(&address, place, "id", &mut pins, user_spec.id.cloned());
        let user = user(checker, &address, place, user_spec);
        users.insert(address, user);
    }
    lend(checker, entry, &mut users);
    let connection = Connection {
        account: account.unwrap_or_else(|| entry.key.clone()),
        domain: domain.unwrap_or_else(|| DOMAIN.to_owned()),
        endpoint,
        credential: credential?,
        users,
        unlisted,
    };
    Some((at, connection))
}

/// What becomes of tokens that are not declared. What takes them needs a measure of disuse.
fn unlisted(
    checker: &mut Checker<'_>,
    at: &Address,
    place: Option<&Entry>,
    given: &Given<spec::UnlistedTokens>,
) -> Option<Unlisted> {
    let (place, spec) = (place?, given.get()?);
    let action = spec.action.cloned().unwrap_or(UnlistedAction::Report);
    if action != UnlistedAction::Report {
        checker.need(at, place, "unused_for", &spec.unused_for);
    }
    let unused_for = spec.unused_for.get().map(|duration| duration.0);
    if unused_for.is_some_and(|unused| unused < Period::days(1)) {
        let message = "`unused_for` must be at least 1d: the portal tells of a use late";
        checker.error(code::SPEC_BAD_VALUE, at, message, place.place(&["unused_for"]), "too short");
    }
    let except = spec.except.get().into_iter().flatten().filter_map(Given::cloned).collect();
    let all_users = spec.users.get().is_some();
    Some(Unlisted { action, unused_for, except, all_users })
}

fn credential(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    given: &Given<spec::Credential>,
) -> Option<Credential> {
    checker.need(at, entry, "credential", given);
    let place = entry.get("credential");
    match given.get()? {
        spec::Credential::Bearer(bearer) => {
            checker.secret(at, place, "bearer", bearer).map(Credential::Bearer)
        }
        spec::Credential::Lmv1(lmv1) => {
            let place = place.and_then(|place| place.get("lmv1"));
            let lmv1 = lmv1.get()?;
            let access_id = checker.secret(at, place, "access_id", &lmv1.access_id);
            let access_key = checker.secret(at, place, "access_key", &lmv1.access_key);
            Some(Credential::Lmv1(Lmv1 { access_id: access_id?, access_key: access_key? }))
        }
    }
}

fn user(checker: &mut Checker<'_>, at: &Address, entry: &Entry, spec: &spec::User) -> User {
    let above = protection(entry, &spec.protect);
    checker.unprotect(at, entry, &spec.protect, None);
    let mut tokens = BTreeMap::new();
    for (kind, key, map) in [
        (TokenKind::ApiToken, "api_tokens", &spec.api_tokens),
        (TokenKind::BearerToken, "bearer_tokens", &spec.bearer_tokens),
    ] {
        tokens.extend(tokens_of(checker, at, entry.get(key), kind, map, above));
    }
    User { id: spec.id.cloned(), protect: above.is_some(), tokens, lends: None }
}

fn tokens_of(
    checker: &mut Checker<'_>,
    user: &Address,
    place: Option<&Entry>,
    kind: TokenKind,
    map: &Entries<spec::Token>,
    above: Option<Span>,
) -> BTreeMap<Address, Token> {
    let mut pins = BTreeMap::new();
    let mut tokens = BTreeMap::new();
    for (entry, spec) in pairs(place, map) {
        let at = user.item(kind.as_str(), &entry.key);
        checker.name(&at, entry, words::token_name);
        checker.pin(&at, entry, "id", &mut pins, spec.id.cloned());
        let token = token(checker, &at, entry, kind, spec, above);
        tokens.insert(at, token);
    }
    tokens
}

fn token(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    kind: TokenKind,
    spec: &spec::Token,
    above: Option<Span>,
) -> Token {
    reenable(checker, at, entry, spec);
    let own = protection(entry, &spec.protect);
    checker.unprotect(at, entry, &spec.protect, above);
    protected(checker, at, entry, own.or(above));
    absent(checker, at, entry, spec);
    Token {
        kind,
        id: spec.id.cloned(),
        status: spec.status.cloned(),
        rotate: rotate(checker, at, entry, &spec.rotate, Replaced::Beside),
        deliver: delivery::deliveries(checker, at, entry, &spec.deliver, kind == TokenKind::ApiToken),
        protect: own.is_some(),
        reenable: spec.reenable.get().is_some(),
        second_owner: second_owner(checker, at, entry, kind, &spec.second_owner),
    }
}

/// Only what is to be enabled is enabled again.
fn reenable(checker: &mut Checker<'_>, at: &Address, entry: &Entry, spec: &spec::Token) {
    let enabled = spec.status.get() == Some(&TokenStatus::Enabled);
    if let Some(place) = entry.get("reenable").filter(|_| !enabled) {
        let message = "`reenable` means nothing without `status: enabled`";
        checker.error(code::SPEC_BAD_VALUE, at, message, place.key_at, "of a token whose status is managed");
    }
}

/// What is to be gone has no rotation and no delivery.
fn absent(checker: &mut Checker<'_>, at: &Address, entry: &Entry, spec: &spec::Token) {
    if spec.status.get() != Some(&TokenStatus::Absent) {
        return;
    }
    for wish in ["rotate", "deliver"].iter().filter_map(|key| entry.get(key)) {
        let message = format!("`{}` can't be wished of a token that is to be absent", wish.key);
        let finding = Finding::new(code::SPEC_ABSENT_TOKEN, message).at(at);
        checker
            .tell(finding.label(wish.key_at, "of no token").label(entry.place(&["status"]), "to be absent"));
    }
}
