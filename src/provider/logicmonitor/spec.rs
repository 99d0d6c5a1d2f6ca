//! LogicMonitor connections, users and tokens as YAML writes them. Validated by `spec::logicmonitor`.

use std::fmt;

use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::given::{Duration, Entries, Given, Items};
use crate::model::vocabulary::{SecretRef, TokenStatus};
use crate::provider::spec::{Deliver, Rotate};

/// One portal reached with one credential.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "LogicMonitorConnection")]
pub struct Connection {
    /// The portal's name: `acme` of `https://acme.logicmonitor.com`. Needed unless `endpoint` is given.
    pub account: Given<String>,
    /// Default logicmonitor.com.
    pub domain: Given<String>,
    /// An origin (scheme, host, port) that replaces `https://ACCOUNT.DOMAIN`. Plain `http://` only for loopback.
    pub endpoint: Given<String>,
    /// How the connection proves who it is.
    pub credential: Given<Credential>,
    /// Users by username; users are never created.
    pub users: Entries<User>,
    /// What happens to tokens of declared users that are not listed.
    pub unlisted_tokens: Given<UnlistedTokens>,
}

/// A LogicMonitor credential: one of its forms.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LogicMonitorCredential")]
pub enum Credential {
    /// An LMv1 token: each request is signed.
    Lmv1(Given<Lmv1>),
    /// A bearer token.
    Bearer(Given<SecretRef>),
}

/// An LMv1 token: the id is sent in clear, the key only signs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lmv1 {
    pub access_id: Given<SecretRef>,
    pub access_key: Given<SecretRef>,
}

/// A user and its tokens.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// Pins the user by id.
    pub id: Given<u64>,
    /// Forbids every change that takes something from all tokens below. Remembered in the ledger: only `protect: false`,
    /// applied in a plan of its own, lifts it.
    pub protect: Given<bool>,
    /// LMv1 tokens by name, the human part of their note.
    pub api_tokens: Entries<Token>,
    /// Bearer tokens by name, the human part of their note.
    pub bearer_tokens: Entries<Token>,
}

/// A token of a user.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    /// Pins the token by id.
    pub id: Given<u64>,
    /// Left out: it exists, and enabled or disabled is not managed.
    pub status: Given<TokenStatus>,
    pub rotate: Given<Rotate>,
    /// Where the value goes.
    pub deliver: Items<Deliver>,
    /// Forbids every change that takes something from it. Remembered in the ledger: only `protect: false`,
    /// applied in a plan of its own, lifts it.
    pub protect: Given<bool>,
    /// Whether a token that was disabled elsewhere is enabled again without a review.
    pub reenable: Given<Reenable>,
    /// For a portal that allows one bearer token for each user: another user, with the same roles, that holds
    /// the next token while this one holds the present one, and so on in turn.
    pub second_owner: Given<String>,
}

/// When a token that was disabled elsewhere is enabled again without a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reenable {
    Always,
}

/// What happens to tokens that are not listed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnlistedTokens {
    pub action: Given<UnlistedAction>,
    /// Only tokens that were unused for this long.
    pub unused_for: Given<Duration>,
    /// Ids, or globs of notes, that are left alone.
    pub except: Items<TokenPattern>,
    /// `all` widens it from the declared users to all.
    pub users: Given<WhichUsers>,
}

/// An id, or a glob of notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(untagged)]
pub enum TokenPattern {
    Id(u64),
    Note(String),
}

/// What is done about an unlisted token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnlistedAction {
    Report,
    Disable,
    Delete,
}

/// Whose unlisted tokens are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhichUsers {
    All,
}

impl<'de> Deserialize<'de> for TokenPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdOrNote;
        impl Visitor<'_> for IdOrNote {
            type Value = TokenPattern;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a token's id, or a glob of notes")
            }

            fn visit_u64<E>(self, id: u64) -> Result<TokenPattern, E> {
                Ok(TokenPattern::Id(id))
            }

            fn visit_str<E>(self, note: &str) -> Result<TokenPattern, E> {
                Ok(TokenPattern::Note(note.to_owned()))
            }
        }
        deserializer.deserialize_any(IdOrNote)
    }
}
