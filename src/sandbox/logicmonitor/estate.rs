//! The LogicMonitor part of a world: a portal, its users and their tokens.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::Row;
use crate::model::vocabulary::Period;
use crate::sandbox::SandboxError;
use crate::sandbox::mint::Mint;

/// The user that the sandbox adds when a portal names no `caller`.
const OWN_USER: &str = "svc-tokenform";

/// One portal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Portal {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The user whose credentials the sandbox hands out; `svc-tokenform` is added if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    pub users: BTreeMap<String, User>,
    /// Roles other than the caller's (`manage`) and `administrator` (`manage`): what they may do
    /// with users and tokens. A role that is not named may do nothing.
    pub roles: BTreeMap<String, Access>,
    /// Rate limits by `METHOD /path` with `{id}` for ids, and `default`.
    pub limits: BTreeMap<String, Limit>,
    /// Replies carry the `X-Rate-Limit-*` headers.
    pub limit_headers: bool,
    /// Tokens unused this long are disabled; 0 is never. The caller's own are spared.
    pub token_disabled_days: u32,
    /// What `?type=bearer` does on a create.
    pub bearer: BearerRule,
    /// Bad signatures until an access id is locked; 0 is never.
    pub lock_after: u32,
    pub lock_for: Period,
    /// How long a new token is refused after its creation.
    pub new_tokens_work_after: Period,
    /// How old what the list of everybody's tokens shows is; the lists of single users are current.
    pub token_list_lag: Period,
    /// What replies other than a create show as `accessKey`.
    pub key_in_lists: KeyInLists,
    /// `roles` of a token as the vendor's own model has them, or as objects.
    pub roles_as_objects: bool,
    /// `GET …/apitokens/{id}` answers. The vendor documents no such call.
    pub single_token_get: bool,
    /// Access ids of deleted tokens: their use is an audit row.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub deleted_access_ids: BTreeSet<String>,
    /// The audit log, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<Row>,
    /// The highest token id that was ever given: ids are not reused.
    pub last_token_id: u64,
}

impl Default for Portal {
    fn default() -> Self {
        Self {
            account: None,
            caller: None,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
            limits: BTreeMap::new(),
            limit_headers: true,
            token_disabled_days: 0,
            bearer: BearerRule::Allowed,
            lock_after: 10,
            lock_for: Period::seconds(900),
            new_tokens_work_after: Period::seconds(0),
            token_list_lag: Period::seconds(0),
            key_in_lists: KeyInLists::Masked,
            roles_as_objects: false,
            single_token_get: false,
            deleted_access_ids: BTreeSet::new(),
            audit: Vec::new(),
            last_token_id: 0,
        }
    }
}

/// What a role may do with users and tokens.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    #[default]
    None,
    View,
    Manage,
}

/// What a portal does with a request for a bearer token (contract logicmonitor 5.1, 5.2).
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BearerRule {
    #[default]
    Allowed,
    /// A second one of one user is refused.
    OnePerUser,
    /// No licence: refused.
    Unlicensed,
    /// The parameter is ignored: an LMv1 token is made.
    Ignored,
}

/// What lists show of a secret.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyInLists {
    #[default]
    Masked,
    Absent,
    /// Old portals.
    Full,
}

/// A rate limit in a rolling window.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub limit: u32,
    pub window: Period,
}

/// One user.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    pub status: UserStatus,
    pub roles: Vec<String>,
    pub email: String,
    pub api_only: bool,
    pub note: String,
    pub api_tokens: Vec<Token>,
    pub bearer_tokens: Vec<Token>,
}

impl Default for User {
    fn default() -> Self {
        Self {
            id: None,
            status: UserStatus::Active,
            roles: vec!["readonly".to_owned()],
            email: String::new(),
            api_only: true,
            note: String::new(),
            api_tokens: Vec::new(),
            bearer_tokens: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    #[default]
    Active,
    Suspended,
}

/// One token of either kind.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    pub note: String,
    pub status: Status,
    /// The world's start if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_on: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Never, if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_on: Option<Timestamp>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_auth_ip: String,
    /// LMv1 only; minted if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_id: Option<String>,
    /// The secret; minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Enabled,
    Disabled,
}

impl Status {
    /// The wire's number: 1 disabled, 2 enabled.
    pub fn number(self) -> u8 {
        match self {
            Self::Disabled => 1,
            Self::Enabled => 2,
        }
    }
}

/// The two kinds of token. They share one id space (contract logicmonitor 4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lmv1,
    Bearer,
}

impl Portal {
    /// Fills what the world leaves out.
    pub fn complete(&mut self, name: &str, mint: &mut Mint, now: Timestamp) -> Result<(), SandboxError> {
        self.account.get_or_insert_with(|| name.to_owned());
        self.complete_caller()?;
        let mut next_user = self.users.values().filter_map(|user| user.id).max().unwrap_or(0) + 1;
        for user in self.users.values_mut() {
            if user.id.is_none() {
                user.id = Some(next_user);
                next_user += 1;
            }
        }
        let highest = self.tokens().filter_map(|(_, _, token)| token.id).max().unwrap_or(0);
        self.last_token_id = self.last_token_id.max(highest);
        let last = &mut self.last_token_id;
        for (username, user) in &mut self.users {
            if user.email.is_empty() {
                user.email = format!("{username}@example.com");
            }
            user.api_tokens.iter_mut().for_each(|token| token.complete(Kind::Lmv1, last, mint, now));
            user.bearer_tokens.iter_mut().for_each(|token| token.complete(Kind::Bearer, last, mint, now));
        }
        self.ids_are_unique(name)
    }

    fn complete_caller(&mut self) -> Result<(), SandboxError> {
        let name = self.caller.get_or_insert_with(|| OWN_USER.to_owned()).clone();
        let own = || User { roles: vec!["tokenform".to_owned()], ..User::default() };
        let caller = self.users.entry(name.clone()).or_insert_with(own);
        let token = || Token { note: "tokenform's own".to_owned(), ..Token::default() };
        if caller.api_tokens.is_empty() {
            caller.api_tokens.push(token());
        }
        if caller.bearer_tokens.is_empty() {
            caller.bearer_tokens.push(token());
        }
        if caller.status == UserStatus::Suspended {
            return Err(SandboxError::World(format!("the caller `{name}` is suspended: nothing would work")));
        }
        Ok(())
    }

    fn ids_are_unique(&self, name: &str) -> Result<(), SandboxError> {
        let mut tokens: Vec<_> = self.tokens().map(|(_, _, token)| token.id).collect();
        let mut users: Vec<_> = self.users.values().map(|user| user.id).collect();
        tokens.sort_unstable();
        users.sort_unstable();
        let twice = |ids: &[Option<u64>]| ids.windows(2).any(|pair| pair[0] == pair[1]);
        if twice(&tokens) || twice(&users) {
            return Err(SandboxError::World(format!("logicmonitor.{name}: an id is used twice")));
        }
        Ok(())
    }

    /// Every token with its kind and owner, in the order of users, then of ids.
    pub fn tokens(&self) -> impl Iterator<Item = (Kind, (&String, &User), &Token)> {
        self.users.iter().flat_map(|(name, user)| {
            let own = move |kind| move |token| (kind, (name, user), token);
            let api = user.api_tokens.iter().map(own(Kind::Lmv1));
            api.chain(user.bearer_tokens.iter().map(own(Kind::Bearer)))
        })
    }

    pub fn user_by_id(&self, id: u64) -> Option<(&String, &User)> {
        self.users.iter().find(|(_, user)| user.id == Some(id))
    }

    pub fn user_by_id_mut(&mut self, id: u64) -> Option<&mut User> {
        self.users.values_mut().find(|user| user.id == Some(id))
    }

    pub fn forget_secrets(&mut self) {
        for user in self.users.values_mut() {
            user.api_tokens.iter_mut().chain(&mut user.bearer_tokens).for_each(|token| token.key = None);
        }
    }
}

impl User {
    pub fn list(&self, kind: Kind) -> &Vec<Token> {
        match kind {
            Kind::Lmv1 => &self.api_tokens,
            Kind::Bearer => &self.bearer_tokens,
        }
    }

    pub fn list_mut(&mut self, kind: Kind) -> &mut Vec<Token> {
        match kind {
            Kind::Lmv1 => &mut self.api_tokens,
            Kind::Bearer => &mut self.bearer_tokens,
        }
    }

    pub fn token_mut(&mut self, id: u64) -> Option<(Kind, &mut Token)> {
        let api = self.api_tokens.iter_mut().map(|token| (Kind::Lmv1, token));
        let mut all = api.chain(self.bearer_tokens.iter_mut().map(|token| (Kind::Bearer, token)));
        all.find(|(_, token)| token.id == Some(id))
    }
}

impl Token {
    /// Fills what is missing; `last` is the highest id that was ever given.
    pub fn complete(&mut self, kind: Kind, last: &mut u64, mint: &mut Mint, now: Timestamp) {
        if self.id.is_none() {
            *last += 1;
            self.id = Some(*last);
        }
        self.created_on.get_or_insert(now);
        self.created_by.get_or_insert_with(|| "world".to_owned());
        match kind {
            Kind::Lmv1 => {
                self.access_id.get_or_insert_with(|| mint.access_id());
                self.key.get_or_insert_with(|| mint.access_key());
            }
            Kind::Bearer => {
                self.key.get_or_insert_with(|| mint.bearer());
            }
        }
    }
}
