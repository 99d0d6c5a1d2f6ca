//! The IBM part of a world: an account, its Sysdig instances, their teams and tokens.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::behaviour::{Iam, Operator, ParameterRule, Sysdig, TokenReset, Update};
use crate::sandbox::SandboxError;
use crate::sandbox::json::Json;
use crate::sandbox::mint::Mint;

/// One IBM Cloud account, as one credential sees it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// The account's id; minted if left out. Connections of one id see each other's instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    pub identity: Identity,
    pub instances: BTreeMap<String, Instance>,
    /// The reset call. IBM publishes none: any path here is the sandbox's own invention, and
    /// without this there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_reset: Option<TokenReset>,
    /// A person at the console, who presses "Reset Token" when asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,
    pub iam: Iam,
    pub parameters: ParameterRule,
    pub update: Update,
    pub sysdig: Sysdig,
    /// The API key of the identity; minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
}

/// Whose credential the connection has.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// The Sysdig username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A service ID can't log in to a console.
    pub service_id: bool,
    /// May not read the tokens of others.
    pub not_admin: bool,
}

/// Which product an instance is of.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    #[default]
    Monitoring,
    WorkloadProtection,
}

impl Service {
    /// The service segment of the CRN (contract ibm 2.3).
    pub fn crn_name(self) -> &'static str {
        match self {
            Self::Monitoring => "sysdig-monitor",
            Self::WorkloadProtection => "sysdig-secure",
        }
    }

    pub fn product(self) -> &'static str {
        match self {
            Self::Monitoring => "SDC",
            Self::WorkloadProtection => "SDS",
        }
    }

    fn first_team(self) -> &'static str {
        match self {
            Self::Monitoring => "Monitor Operations",
            Self::WorkloadProtection => "Secure Operations",
        }
    }
}

/// One instance.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// The name, where it differs from the key: two instances may share a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    pub service: Service,
    pub region: String,
    pub plan: String,
    pub resource_group: String,
    pub state: String,
    /// The resource controller's lock: another thing than `IAM_ONLY`.
    pub locked: bool,
    pub controlled_by: String,
    /// As GET shows them. Left out, GET shows none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Json>,
    /// Whether API tokens are refused now, where `parameters` doesn't tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iam_only: Option<bool>,
    /// `external_api_auth` is taken and shown, and has no effect.
    pub ignores_external_api_auth: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    pub teams: BTreeMap<String, Team>,
    /// What an update has begun and not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// When a changed auth mode begins to be enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub becomes: Option<Becomes>,
    /// The last operation's type and state.
    pub operation: Operation,
    /// The agents' access key; minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_key: Option<String>,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            name: None,
            guid: None,
            service: Service::Monitoring,
            region: "us-south".to_owned(),
            plan: "graduated-tier".to_owned(),
            resource_group: "aaaabbbbccccddddeeeeffff00001111".to_owned(),
            state: "active".to_owned(),
            locked: false,
            controlled_by: String::new(),
            parameters: None,
            iam_only: None,
            ignores_external_api_auth: false,
            updated_at: None,
            teams: BTreeMap::new(),
            pending: None,
            becomes: None,
            operation: Operation::default(),
            agent_key: None,
        }
    }
}

/// An update that runs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    pub polls: u32,
    pub parameters: Option<Json>,
    pub name: Option<String>,
}

/// An auth mode that is set and not yet enforced.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Becomes {
    pub iam_only: bool,
    pub at: Timestamp,
}

/// The last operation on an instance.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operation {
    pub kind: String,
    /// `in progress`, `succeeded` or `failed`.
    pub state: String,
    pub r#async: bool,
}

impl Default for Operation {
    fn default() -> Self {
        Self { kind: "create".to_owned(), state: "succeeded".to_owned(), r#async: false }
    }
}

/// One team.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Team {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// `SDC`, `SDS`; the instance's own product if left out.
    pub products: Vec<String>,
    pub default: bool,
    pub immutable: bool,
    /// The connection's identity is no member: it does not see the team.
    pub hidden: bool,
    /// Members besides the identity, with their keys: `{ alice: , bob: }`. Keys are minted.
    pub members: BTreeMap<String, Option<String>>,
    /// The identity's key; minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Account {
    /// Fills what the world leaves out.
    pub fn complete(&mut self, name: &str, mint: &mut Mint) -> Result<(), SandboxError> {
        self.account.get_or_insert_with(|| mint.hex(32));
        self.api_key.get_or_insert_with(|| mint.api_key());
        if let Some(profile) = &mut self.iam.trusted_profile {
            profile.cr_token.get_or_insert_with(|| mint.api_key());
        }
        if self.identity.username.is_none() {
            let id = mint.uuid();
            let service_id = self.identity.service_id;
            let username =
                if service_id { format!("iam-ServiceId-{id}") } else { format!("{name}@example.com") };
            self.identity.username = Some(username);
        }
        self.instances.values_mut().for_each(|instance| instance.complete(mint));
        self.is_sound(name)
    }

    fn is_sound(&self, name: &str) -> Result<(), SandboxError> {
        if ![401, 403].contains(&self.sysdig.refusal) {
            return Err(SandboxError::World(format!("ibm.{name}.sysdig.refusal: write 401 or 403")));
        }
        for (key, instance) in &self.instances {
            let mut ids: Vec<u64> = instance.teams.values().filter_map(|team| team.id).collect();
            ids.sort_unstable();
            if ids.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(SandboxError::World(format!("ibm.{name}.instances.{key}: two teams of one id")));
            }
        }
        Ok(())
    }

    /// The id of the account; there after `complete`.
    pub fn id(&self) -> &str {
        self.account.as_deref().unwrap_or_default()
    }

    pub fn username(&self) -> &str {
        self.identity.username.as_deref().unwrap_or_default()
    }

    pub fn forget_secrets(&mut self) {
        self.api_key = None;
        if let Some(profile) = &mut self.iam.trusted_profile {
            profile.cr_token = None;
        }
        for instance in self.instances.values_mut() {
            instance.agent_key = None;
            for team in instance.teams.values_mut() {
                team.key = None;
                team.members.values_mut().for_each(|key| *key = None);
            }
        }
    }
}

impl Instance {
    fn complete(&mut self, mint: &mut Mint) {
        self.guid.get_or_insert_with(|| mint.uuid());
        self.agent_key.get_or_insert_with(|| mint.sysdig_key());
        if self.teams.is_empty() {
            let team = Team { default: true, immutable: true, ..Team::default() };
            self.teams.insert(self.service.first_team().to_owned(), team);
        }
        let mut next = self.teams.values().filter_map(|team| team.id).max().unwrap_or(10_000) + 1;
        for team in self.teams.values_mut() {
            team.complete(&mut next, self.service.product(), mint);
        }
        if !self.teams.values().any(|team| team.default)
            && let Some(first) =
                self.teams.values_mut().filter(|team| !team.hidden).min_by_key(|team| team.id)
        {
            first.default = true;
        }
    }

    pub fn guid(&self) -> &str {
        self.guid.as_deref().unwrap_or_default()
    }

    /// The instance's name: its own, or the key it stands under.
    pub fn name<'a>(&'a self, key: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(key)
    }

    pub fn crn(&self, account: &str) -> String {
        let (service, region, guid) = (self.service.crn_name(), &self.region, self.guid());
        format!("crn:v1:bluemix:public:{service}:{region}:a/{account}:{guid}::")
    }

    /// Whether API tokens are refused at that time.
    pub fn refuses_tokens(&self, now: Timestamp) -> bool {
        match &self.becomes {
            Some(becomes) if becomes.at <= now => becomes.iam_only,
            _ => self.iam_only.unwrap_or_else(|| self.shown_iam_only().unwrap_or(false)),
        }
    }

    /// What `parameters.external_api_auth` says.
    fn shown_iam_only(&self) -> Option<bool> {
        let shown = self.parameters.as_ref()?.get("external_api_auth")?.as_text()?;
        Some(shown == "IAM_ONLY" && !self.ignores_external_api_auth)
    }

    pub fn team(&self, id: u64) -> Option<(&str, &Team)> {
        self.teams.iter().find(|(_, team)| team.id == Some(id)).map(|(name, team)| (name.as_str(), team))
    }

    pub fn team_mut(&mut self, id: u64) -> Option<&mut Team> {
        self.teams.values_mut().find(|team| team.id == Some(id))
    }

    /// The team that is used when no team header is sent.
    pub fn default_team(&self) -> Option<u64> {
        let visible = || self.teams.values().filter(|team| !team.hidden);
        visible().find(|team| team.default).or_else(|| visible().next()).and_then(|team| team.id)
    }
}

impl Team {
    pub fn complete(&mut self, next: &mut u64, product: &str, mint: &mut Mint) {
        if self.id.is_none() {
            self.id = Some(*next);
            *next += 1;
        }
        if self.products.is_empty() {
            self.products.push(product.to_owned());
        }
        self.key.get_or_insert_with(|| mint.sysdig_key());
        for key in self.members.values_mut() {
            key.get_or_insert_with(|| mint.sysdig_key());
        }
    }
}
