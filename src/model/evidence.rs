//! Facts that the checker judges a plan by: written by the providers' drafts, covered by the seal.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::history::Proof;
use super::secret::Fingerprint;
use super::step::StepId;

/// Facts that the checker judges by; the seal covers them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// Every visible team of each instance that is locked or unlocked.
    pub visible_teams: Vec<VisibleTeams>,
    /// Ids of live tokens that connections of the spec authenticate with.
    pub callers: Vec<CallerEvidence>,
    /// For each managed token name that a step touches: its live tokens that are enabled.
    pub enabled_counts: Vec<EnabledCount>,
    /// For each user of whom a step takes a token that nobody declares: all that are enabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<OwnerCount>,
    /// How much each connection manages that is there: what `limits.percent` is a share of.
    pub managed: Vec<Managed>,
    /// Addresses of declared objects: no step leaves them.
    pub scope: Vec<Address>,
    /// Addresses under `protect: true`, and those that the ledger remembers as protected.
    pub protected: Vec<Address>,
    /// Addresses under `protect: false`: these protections may be lifted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unprotect: Vec<Address>,
    /// Changes that are due only because an age is unknown in a state without a ledger: they need
    /// a reviewed plan, a typed `yes`, or `--new-state`.
    pub new_state: Vec<StepId>,
}

/// Declared objects as the spec wants them and as they are, for policies: changes show only what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Estate {
    pub instances: Vec<EstateInstance>,
    pub users: Vec<EstateUser>,
}

/// A declared IBM instance that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EstateInstance {
    pub address: Address,
    pub service: String,
    pub region: String,
    /// `ANY` or `IAM_ONLY`; absent where the spec does not manage it.
    pub wanted_external_api_auth: Option<String>,
    /// As it was found to be in force; absent where nothing told.
    pub live_external_api_auth: Option<String>,
}

/// A declared LogicMonitor user that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EstateUser {
    pub address: Address,
    pub status: String,
    pub roles: Vec<String>,
}

/// What an amended plan takes over from the interrupted apply that it goes on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amends {
    /// The apply's id.
    pub apply: String,
    /// Resets that need not be made again.
    pub covered: Vec<Covered>,
    /// Instances that it unlocked, and whose resets this plan still owes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlocked: Vec<Address>,
}

// PRODUCT section 3, `lock-covers-all`
/// A reset that an interrupted run of the same plan made and proved, and whose key is still the one
/// that it left: it covers its team for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Covered {
    /// The team's token.
    pub address: Address,
    pub team_id: u64,
    /// The step that did it; the lock needs it like one of its own plan.
    pub step: StepId,
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Of the key that it left.
    pub fingerprint: Fingerprint,
    pub proof: Proof,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisibleTeams {
    pub instance: Address,
    pub teams: Vec<VisibleTeam>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VisibleTeam {
    pub address: Address,
    pub id: u64,
    /// `other_teams: ignore` leaves it alone: not covered by the lock.
    pub ignored: bool,
}

/// The live tokens of a connection's portal that connections of the spec authenticate with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerEvidence {
    pub connection: Address,
    pub token_ids: Vec<u64>,
    /// Who uses which of them.
    #[serde(default)]
    pub in_use: Vec<InUse>,
    /// Connections to the portal whose credential can't be told: each token of its kind may be it.
    #[serde(default)]
    pub untold: Vec<Untold>,
}

impl CallerEvidence {
    /// Whether a connection of the spec authenticates with this token.
    pub fn uses(&self, id: u64) -> bool {
        self.token_ids.contains(&id)
    }

    /// The connections that authenticate with this token.
    pub fn users(&self, id: u64) -> impl Iterator<Item = &Address> {
        self.in_use.iter().filter(move |row| row.token_id == id).map(|row| &row.by)
    }

    /// Whose credential each token of this kind may be.
    pub fn untold(&self, kind: &str) -> Option<&Untold> {
        self.untold.iter().find(|row| row.kind == kind)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InUse {
    pub token_id: u64,
    pub by: Address,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Untold {
    pub by: Address,
    /// The kind of token in addresses.
    pub kind: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnabledCount {
    pub address: Address,
    /// Ids of its live tokens that are enabled.
    pub enabled: Vec<u64>,
    /// Ids of its live tokens that the present one replaced.
    #[serde(default)]
    pub predecessors: Vec<u64>,
    /// The spec asks for `absent` or `disabled`, so it may come to zero.
    pub may_be_zero: bool,
    /// The spec asks for `strategy: replace`: it may come to zero until the next one is issued.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// The token that an interrupted `replace` has deleted, and whose successor it did not issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
}

/// A user and the ids of all live tokens of it, of both kinds, that are enabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerCount {
    pub address: Address,
    pub enabled: Vec<u64>,
}

/// The declared objects of a connection that are live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Managed {
    pub connection: Address,
    /// Listed teams and declared token names.
    pub tokens: usize,
    /// Instances whose `external_api_auth` is declared.
    pub instances: usize,
}
