//! Validated wishes and live observations of IBM instances and their teams.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::secret::{Digest, DigestKey, Fingerprint};
use crate::model::step::Delivery;
use crate::model::vocabulary::{Period, SecretRef};
use crate::provider::fields::{self, Put};
use crate::provider::state::Rotate;

/// One IBM Cloud account reached with one credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connection {
    pub credential: Credential,
    /// The account id that the credential must belong to.
    pub account: Option<String>,
    pub endpoints: Endpoints,
    /// Narrows instance names: a resource group's id.
    pub resource_group: Option<String>,
    pub token_reset: TokenReset,
    /// By the instance's address.
    pub instances: BTreeMap<Address, Instance>,
}

impl Connection {
    /// Where IAM tokens are granted (contract ibm 1.1).
    pub fn iam(&self) -> String {
        self.endpoints.iam.clone().unwrap_or_else(|| "https://iam.cloud.ibm.com".into())
    }

    /// Every origin that the connection talks to.
    pub fn origins(&self) -> Vec<String> {
        let service = |instance: &Instance| {
            let region = instance.region.as_deref().unwrap_or("region");
            self.endpoint(instance.service).map_or_else(|| instance.service.origin(region), str::to_owned)
        };
        let services = self.instances.values().map(service);
        [self.iam(), self.resource_controller()].into_iter().chain(services).collect()
    }

    /// The origin that replaces a service's own, if one is declared.
    pub fn endpoint(&self, service: Service) -> Option<&str> {
        match service {
            Service::Monitoring => self.endpoints.monitoring.as_deref(),
            Service::WorkloadProtection => self.endpoints.workload_protection.as_deref(),
        }
    }

    /// The origin of the resource controller (contract ibm 2.1).
    pub fn resource_controller(&self) -> String {
        let own = self.endpoints.resource_controller.clone();
        own.unwrap_or_else(|| "https://resource-controller.cloud.ibm.com".into())
    }
}

impl TokenReset {
    pub fn is_guided(&self) -> bool {
        matches!(self, Self::Guided { .. })
    }
}

/// How a connection proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    /// An IBM Cloud API key, exchanged for IAM tokens (contract ibm 1.2).
    ApiKey(SecretRef),
    /// A ready IAM access token: used until it expires, never refreshed.
    IamToken(SecretRef),
    /// A trusted profile, reached with a compute resource's token (contract ibm 1.3).
    TrustedProfile(TrustedProfile),
}

/// A trusted profile named by id or by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedProfile {
    /// Where the compute resource's token is found.
    pub cr_token: SecretRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Origins (scheme, host, port) that replace the vendor's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_controller: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_protection: Option<String>,
}

/// How a team's token is reset; IBM publishes no call for it (contract ibm 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TokenReset {
    /// A person presses the button; we show where and poll until the key has changed.
    Guided { timeout: Period },
    /// The call that the user found their console makes.
    Call {
        method: String,
        /// May hold `{team_id}` and `{username}`.
        path: String,
        /// Statuses that mean it was taken; the proof is always the read-back.
        expect: Vec<u16>,
    },
}

/// The two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// IBM Cloud Monitoring (`sysdig-monitor`).
    Monitoring,
    /// Security and Compliance Center Workload Protection (`sysdig-secure`).
    WorkloadProtection,
}

impl Service {
    /// The service's segment in a CRN (contract ibm 2.3).
    pub fn crn_name(self) -> &'static str {
        match self {
            Self::Monitoring => "sysdig-monitor",
            Self::WorkloadProtection => "sysdig-secure",
        }
    }

    /// The product code of its teams (contract ibm 5.5).
    pub fn product(self) -> &'static str {
        match self {
            Self::Monitoring => "SDC",
            Self::WorkloadProtection => "SDS",
        }
    }

    /// The public origin of its API in a region (contract ibm 3.1).
    pub fn origin(self, region: &str) -> String {
        match self {
            Self::Monitoring => format!("https://{region}.monitoring.cloud.ibm.com"),
            Self::WorkloadProtection => {
                format!("https://{region}.security-compliance-secure.cloud.ibm.com")
            }
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monitoring => "monitoring",
            Self::WorkloadProtection => "workload-protection",
        }
    }
}

// contract ibm 4.1
/// Which credentials an instance accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum AuthMode {
    /// IAM tokens and API tokens.
    #[serde(rename = "ANY")]
    Any,
    /// IAM tokens alone.
    #[serde(rename = "IAM_ONLY")]
    IamOnly,
}

impl AuthMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::IamOnly => "IAM_ONLY",
        }
    }
}

/// What happens to visible teams that are not listed, when an instance is locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtherTeams {
    /// Their tokens are reset too: the vendor's procedure.
    #[default]
    Reset,
    /// They stop the plan.
    Refuse,
    /// They are left alone, and the plan says so.
    Ignore,
}

/// A declared instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    pub service: Service,
    pub region: Option<String>,
    /// Pins the instance; its name is then only ours.
    pub guid: Option<String>,
    /// `None`: not managed.
    pub external_api_auth: Option<AuthMode>,
    pub accept_unverified: bool,
    pub other_teams: OtherTeams,
    pub protect: bool,
    /// By the team's address.
    pub teams: BTreeMap<Address, Team>,
}

/// A declared team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Team {
    /// Pins the team.
    pub id: Option<u64>,
    /// Whose token it is; `None` is the credential's own identity.
    pub owner: Option<String>,
    pub rotate: Option<Rotate>,
    pub deliver: Vec<Delivery>,
    pub protect: bool,
}

impl Team {
    /// Whether anything is wished of its token. A team that is only listed matters to a lock alone.
    pub fn manages_token(&self) -> bool {
        self.rotate.is_some() || !self.deliver.is_empty()
    }
}

impl Instance {
    /// Whether anything is wished of it, beyond being there.
    pub fn manages_anything(&self) -> bool {
        self.external_api_auth.is_some() || self.teams.values().any(Team::manages_token)
    }

    /// The address of a visible team: a pinned one keeps its declared name, others have their live name.
    pub fn team_address(&self, instance: &Address, team: &LiveTeam) -> Address {
        let pinned = self.teams.iter().find(|(_, want)| want.id == Some(team.id));
        pinned.map_or_else(|| instance.item(super::TEAM, &team.name), |(address, _)| address.clone())
    }
}

/// An instance as read, with its visible teams of the service's product.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveInstance {
    pub guid: String,
    pub crn: String,
    pub name: String,
    pub account: String,
    pub region: String,
    pub service: Service,
    pub state: String,
    pub locked: bool,
    /// Another service controls the instance: its CRN.
    pub controlled_by: Option<String>,
    /// `last_operation.state` is `in progress`.
    pub busy: bool,
    /// `parameters` as raw JSON text, unknown keys and types kept; `None` if absent.
    pub parameters: Option<String>,
    /// `external_api_auth` as the parameters say it; unknown values are kept as text.
    pub setting: Option<String>,
    pub updated_at: String,
    /// What the probe of contract ibm 4.3 found: the truth about the mode.
    pub probed: Probe,
    /// The origin that its API is reached at. A snapshot's file leaves it out: it follows from the spec
    /// and the region.
    #[serde(skip)]
    pub origin: String,
    /// Whose tokens are read: the username of the caller.
    pub identity: String,
    /// Whether that identity is a service ID, which can't log in to a console.
    pub service_id: bool,
    pub header: HeaderProof,
    /// Visible teams of the product, in id order.
    pub teams: Vec<LiveTeam>,
}

/// What the probe of the auth mode found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// `GET /api/token` gave a key: API tokens are accepted.
    Any,
    /// The token read was refused with the documented words while another IAM call worked.
    IamOnly,
    /// It was refused otherwise, which says nothing by itself: a permission may be missing.
    Refused,
    /// It was not needed, or it told nothing.
    Unknown,
}

/// Whether the team header was seen to select the team (contract ibm 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderProof {
    Proven,
    /// Why it is not proved.
    Unproven(String),
    /// Tokens can't be read while the instance is `IAM_ONLY`; it is proved right after an unlock.
    AfterUnlock,
}

/// A visible team, with the fingerprint of the identity's key where it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveTeam {
    pub id: u64,
    pub name: String,
    pub fingerprint: Option<Fingerprint>,
    /// How many users it has: all may hold tokens of their own (contract ibm 5.2).
    pub user_count: Option<u64>,
}

/// What binds a plan to an instance (PRODUCT section 6, `live_digest`).
#[derive(Serialize)]
struct InstanceBinding<'a> {
    guid: &'a str,
    account: &'a str,
    state: &'a str,
    locked: bool,
    parameters: Option<&'a str>,
    updated_at: &'a str,
    teams: Vec<(u64, &'a str)>,
}

/// What binds a plan to a team's token.
#[derive(Serialize)]
struct TeamBinding<'a> {
    instance: &'a str,
    team: u64,
    fingerprint: Option<&'a Fingerprint>,
}

impl LiveInstance {
    /// The digest that a plan is bound to.
    pub fn digest(&self, key: &DigestKey) -> Digest {
        key.digest("instance", &bytes(&self.binding()))
    }

    /// What binds a plan, field by field.
    pub fn lay_out(&self, put: &mut Put<'_>) {
        fields::lay_out(&self.binding(), put);
    }

    /// Every field is named: those after the line only inform.
    fn binding(&self) -> InstanceBinding<'_> {
        let Self {
            guid,
            account,
            state,
            locked,
            parameters,
            updated_at,
            teams,
            // informs, does not bind
            crn: _,
            name: _,
            region: _,
            service: _,
            controlled_by: _,
            busy: _,
            setting: _,
            probed: _,
            origin: _,
            identity: _,
            service_id: _,
            header: _,
        } = self;
        InstanceBinding {
            guid,
            account,
            state,
            locked: *locked,
            parameters: parameters.as_deref(),
            updated_at,
            teams: teams.iter().map(|t| (t.id, t.name.as_str())).collect(),
        }
    }
}

impl LiveTeam {
    pub fn digest(&self, guid: &str, key: &DigestKey) -> Digest {
        key.digest("team", &bytes(&self.binding(guid)))
    }

    /// What binds a plan, field by field.
    pub fn lay_out(&self, guid: &str, put: &mut Put<'_>) {
        fields::lay_out(&self.binding(guid), put);
    }

    fn binding<'a>(&'a self, guid: &'a str) -> TeamBinding<'a> {
        let Self {
            id,
            fingerprint,
            // informs, does not bind: the instance binds the team's name
            name: _,
            user_count: _,
        } = self;
        TeamBinding { instance: guid, team: *id, fingerprint: fingerprint.as_ref() }
    }
}

fn bytes(binding: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(binding).expect("a binding is strings and integers")
}
