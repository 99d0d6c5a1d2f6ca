//! Validated wishes and live observations of LogicMonitor users and their tokens.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit_log::Watch;
use super::note::{self, Marker};
pub use super::spec::{TokenPattern, UnlistedAction};
use crate::model::address::Address;
use crate::model::secret::{Digest, DigestKey};
use crate::model::step::Delivery;
use crate::model::vocabulary::{Period, SecretRef, TokenStatus};
use crate::provider::fields::{self, Put, THERE};
use crate::provider::state::Rotate;

/// One portal reached with one credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub account: String,
    /// Default `logicmonitor.com`.
    pub domain: String,
    /// An origin that replaces `https://ACCOUNT.DOMAIN`.
    pub endpoint: Option<String>,
    pub credential: Credential,
    /// By the user's address.
    pub users: BTreeMap<Address, User>,
    /// What becomes of tokens that are not declared; `None`: they are not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlisted: Option<Unlisted>,
}

/// What becomes of tokens that are not declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unlisted {
    pub action: UnlistedAction,
    /// Needed unless they are only reported.
    pub unused_for: Option<Period>,
    pub except: Vec<TokenPattern>,
    /// Also those of users that are not declared.
    pub all_users: bool,
}

impl Unlisted {
    /// Whether the token is left alone by its id or its note.
    pub fn excepts(&self, token: &LiveToken) -> bool {
        self.except.iter().any(|pattern| match pattern {
            TokenPattern::Id(id) => *id == token.id,
            TokenPattern::Note(glob) => matches(glob.as_bytes(), token.note.as_bytes()),
        })
    }
}

/// Whether a text is what a glob means: `*` is anything, `?` one byte, all else itself.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    // where the last star stood, and how much of the text it has taken
    let mut star = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (g, t) = (at + 1, taken + 1);
            }
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

impl Connection {
    /// Whether both connections may lead to one portal; token ids are unique within it.
    pub fn same_portal(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        same(&self.account, &other.account) && same(&self.domain, &other.domain)
            || same(&self.origin(), &other.origin())
    }

    /// Which portal it is.
    pub fn portal(&self) -> String {
        format!("{}.{}", self.account, self.domain).to_ascii_lowercase()
    }

    /// The origin of the portal (contract logicmonitor 1); `/santaba/rest` is appended by the client.
    pub fn origin(&self) -> String {
        match &self.endpoint {
            Some(origin) => origin.clone(),
            None => format!("https://{}.{}", self.account, self.domain),
        }
    }
}

/// How a connection proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    /// A signed request (contract logicmonitor 2).
    Lmv1(Lmv1),
    /// A bearer token (contract logicmonitor 3).
    Bearer(SecretRef),
}

impl Credential {
    /// The kind of token that it is.
    pub fn kind(&self) -> TokenKind {
        match self {
            Self::Lmv1(_) => TokenKind::ApiToken,
            Self::Bearer(_) => TokenKind::BearerToken,
        }
    }
}

/// An LMv1 token: the id is sent in clear, the key only signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lmv1 {
    pub access_id: SecretRef,
    pub access_key: SecretRef,
}

/// A declared user; users are never created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Pins the user.
    pub id: Option<u64>,
    pub protect: bool,
    /// By the token's address.
    pub tokens: BTreeMap<Address, Token>,
    /// The name of another user that this one is the second owner of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lends: Option<Lent>,
}

/// A bearer token's name, at its second owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lent {
    pub token: Address,
    /// Its pin.
    pub id: Option<u64>,
}

/// What a portal tells besides users and tokens, where there was a reason to ask.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalRead {
    /// Requests with tokens that were disabled as replaced.
    pub watch: Watch,
}

/// The two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    ApiToken,
    BearerToken,
}

impl TokenKind {
    pub const ALL: [Self; 2] = [Self::ApiToken, Self::BearerToken];

    /// The kind's name in addresses and plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiToken => "api_token",
            Self::BearerToken => "bearer_token",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::ApiToken => "API token",
            Self::BearerToken => "bearer token",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A declared token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    pub kind: TokenKind,
    /// Pins the token.
    pub id: Option<u64>,
    /// `None`: exists; enabled or disabled is not managed.
    pub status: Option<TokenStatus>,
    pub rotate: Option<Rotate>,
    pub deliver: Vec<Delivery>,
    pub protect: bool,
    /// Enabled again without a review, whoever has disabled it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reenable: bool,
    /// The user that holds each second token of the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_owner: Option<Address>,
}

/// A user as read, with all tokens of both kinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveUser {
    pub id: u64,
    pub username: String,
    /// `active` or `suspended`.
    pub status: String,
    pub roles: Vec<String>,
    /// Whether there is an address that mails about tokens go to.
    pub has_email: bool,
    /// The user that the connection acts as, where a token list shows it: its name is what
    /// `createdBy` of our own tokens says.
    pub caller: Option<String>,
    /// After how many unused days the portal disables a token; 0 is never, `None` is unknown.
    pub disables_after_days: Option<u64>,
    /// Addresses that the portal saw the connection's own credential come from: tokenform's.
    pub our_ips: Vec<String>,
    /// Both kinds, in id order.
    pub tokens: Vec<LiveToken>,
}

/// A token as listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveToken {
    pub id: u64,
    pub owner: u64,
    pub kind: TokenKind,
    /// LMv1 only.
    pub access_id: Option<String>,
    pub note: String,
    /// 1 disabled, 2 enabled; any other value is unknown and not acted on.
    pub status: i64,
    pub created_on: Option<Timestamp>,
    pub created_by: String,
    /// `None`: never used, as far as the portal knows.
    pub last_used_on: Option<Timestamp>,
    /// The portal says that it was never used; where it is `false` and there is no last use, it says
    /// nothing.
    #[serde(default)]
    pub never_used: bool,
    /// The address that it was last used from, where the portal tells.
    pub last_auth_ip: Option<String>,
}

pub const DISABLED: i64 = 1;
pub const ENABLED: i64 = 2;

impl LiveToken {
    /// The human part of the note: the token's name.
    pub fn name(&self) -> &str {
        note::name(&self.note)
    }

    /// What tokenform keeps in the note; empty where it keeps nothing.
    pub fn marker(&self) -> Marker<'_> {
        note::marker(&self.note).unwrap_or_default()
    }

    pub fn enabled(&self) -> bool {
        self.status == ENABLED
    }

    pub fn status_word(&self) -> String {
        match self.status {
            ENABLED => "enabled".into(),
            DISABLED => "disabled".into(),
            other => format!("unknown ({other})"),
        }
    }
}

/// What binds a plan to a user.
#[derive(Serialize)]
struct UserBinding<'a> {
    id: u64,
    status: &'a str,
    roles: &'a [String],
}

/// What binds a plan to one token.
#[derive(Serialize)]
struct TokenBinding<'a> {
    id: u64,
    owner: u64,
    kind: TokenKind,
    access_id: Option<&'a str>,
    note: &'a str,
    status: i64,
    created_on: Option<i64>,
    created_by: &'a str,
}

impl LiveUser {
    /// The digest of the user alone; tokens are bound one name at a time by [`tokens_digest`].
    pub fn digest(&self, key: &DigestKey) -> Digest {
        key.digest("user", &bytes(&self.binding()))
    }

    /// What binds a plan, field by field.
    pub fn lay_out(&self, put: &mut Put<'_>) {
        fields::lay_out(&self.binding(), put);
    }

    fn binding(&self) -> UserBinding<'_> {
        let Self {
            id,
            status,
            roles,
            // informs, does not bind
            username: _,
            has_email: _,
            caller: _,
            disables_after_days: _,
            our_ips: _,
            tokens: _,
        } = self;
        UserBinding { id: *id, status, roles }
    }

    /// What an address stands for: every token of the kind and name, and a pinned one of another name.
    pub fn bound(&self, kind: TokenKind, name: &str, pin: Option<u64>) -> Vec<&LiveToken> {
        let hit = |t: &&LiveToken| t.kind == kind && (t.name() == name || Some(t.id) == pin);
        self.tokens.iter().filter(hit).collect()
    }
}

/// The digest of all live tokens that one address stands for, in id order; none is a digest too.
pub fn tokens_digest(tokens: &[&LiveToken], key: &DigestKey) -> Digest {
    key.digest("tokens", &bytes(&bindings(tokens)))
}

/// What binds a plan to these tokens, field by field: just as [`fields::lay_out`] takes it from their
/// bindings, but without a JSON document for each of 100,000 tokens.
pub fn lay_out_tokens(tokens: &[&LiveToken], put: &mut Put<'_>) {
    for token in tokens {
        let TokenBinding { id, owner, kind, access_id, note, status, created_on, created_by } =
            token.binding();
        let name = format!("id {id}");
        let named = |field: &str| [&name, " ", field].concat();
        put(name.clone(), THERE);
        if let Some(access_id) = access_id {
            fields::lay_out_text(named("access_id"), access_id, put);
        }
        fields::lay_out_text(named("created_by"), created_by, put);
        if let Some(created_on) = created_on {
            put(named("created_on"), &created_on.to_string());
        }
        put(named("kind"), kind.as_str());
        fields::lay_out_text(named("note"), note, put);
        put(named("owner"), &owner.to_string());
        put(named("status"), &status.to_string());
    }
}

fn bindings<'a>(tokens: &[&'a LiveToken]) -> Vec<TokenBinding<'a>> {
    tokens.iter().map(|token| token.binding()).collect()
}

impl LiveToken {
    fn binding(&self) -> TokenBinding<'_> {
        let Self {
            id,
            owner,
            kind,
            access_id,
            note,
            status,
            created_on,
            created_by,
            // informs, does not bind
            last_used_on: _,
            never_used: _,
            last_auth_ip: _,
        } = self;
        TokenBinding {
            id: *id,
            owner: *owner,
            kind: *kind,
            access_id: access_id.as_deref(),
            note,
            status: *status,
            created_on: created_on.map(Timestamp::as_second),
            created_by,
        }
    }
}

fn bytes(binding: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(binding).expect("a binding is strings and integers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::fields::Fields;

    #[test]
    fn fields_of_tokens_are_those_of_their_bindings() {
        let token = |id, access_id: Option<&str>, note: &str| LiveToken {
            id,
            owner: 3,
            kind: TokenKind::BearerToken,
            access_id: access_id.map(str::to_owned),
            note: note.to_owned(),
            status: ENABLED,
            created_on: access_id.map(|_| "2026-01-01T00:00:00Z".parse().unwrap()),
            created_by: "ops".into(),
            last_used_on: None,
            never_used: false,
            last_auth_ip: None,
        };
        let (full, bare) = (token(5, Some("AID"), "ci"), token(12, None, r#" {"a": 1, "b": "x"}"#));
        for tokens in [&[][..], &[&full], &[&full, &bare]] {
            let (mut told, mut bound) = (Fields::new(), Fields::new());
            lay_out_tokens(tokens, &mut |name, value| drop(told.insert(name, value.to_owned())));
            fields::lay_out(&bindings(tokens), &mut |name, value| drop(bound.insert(name, value.to_owned())));
            assert_eq!(told, bound);
        }
    }
}
