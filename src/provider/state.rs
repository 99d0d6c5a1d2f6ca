//! The two things a plan is made from: what is wanted ([`Desired`]) and what is there ([`Snapshot`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ibm, logicmonitor};
pub use crate::destination::{CommandDestination, Destination, FileDestination, FileFormat};
use crate::model::address::Address;
use crate::model::approval::Role;
use crate::model::observed::Observed;
use crate::model::vocabulary::Period;
use crate::model::window::Changes;

/// A validated spec. Its JSON, with paths as written, is what `spec_digest` is taken over, so layout
/// and comments of the files don't count; secret values are never in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Desired {
    pub ibm: BTreeMap<Address, ibm::state::Connection>,
    pub logicmonitor: BTreeMap<Address, logicmonitor::state::Connection>,
    pub destinations: BTreeMap<String, Destination>,
    pub limits: Limits,
    #[serde(skip_serializing_if = "Approvals::asks_nothing")]
    pub approvals: Approvals,
    /// Objects under `protect: false`: a protection that the ledger remembers is lifted.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unprotect: BTreeSet<Address>,
    #[serde(skip_serializing_if = "Changes::asks_nothing")]
    pub changes: Changes,
}

/// Who must approve a saved plan before it is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Approvals {
    /// How many people.
    pub required: u32,
    /// How many where a step can't be undone.
    pub irreversible: u32,
    /// The file of keys that count.
    pub allowed_signers: Option<PathBuf>,
    pub differ: BTreeSet<Role>,
}

impl Approvals {
    pub fn asks_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Desired {
    /// Addresses of all connections.
    pub fn connections(&self) -> impl Iterator<Item = &Address> {
        self.ibm.keys().chain(self.logicmonitor.keys())
    }

    /// The origins that the spec itself names, and the vendors' own where it names none.
    pub fn origins(&self) -> Vec<String> {
        let ibm = self.ibm.values().flat_map(ibm::state::Connection::origins);
        let logicmonitor = self.logicmonitor.values().map(logicmonitor::state::Connection::origin);
        ibm.chain(logicmonitor).collect()
    }
}

/// How old a secret may be and how it is replaced (PRODUCT section 1, "Rotated is a state").
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotate {
    pub max_age: Option<Period>,
    pub issued_after: Option<Timestamp>,
    /// When a value of unknown age was issued, as the spec states it.
    pub assume_issued: Option<Timestamp>,
    pub rationale: Option<String>,
    #[serde(skip_serializing_if = "Strategy::is_default")]
    pub strategy: Strategy,
    /// How long old and new both work.
    pub overlap: Period,
    /// How long the old one must have been unused before it is disabled.
    pub idle: Period,
    /// How long a disabled one is kept before it is deleted.
    pub soak: Period,
    /// A person states that every consumer used the new value by then: the way on after a replaced
    /// token was still in use, or where nothing else tells of it.
    pub consumers_moved: Option<Timestamp>,
}

/// How an old and a new token meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The new one is created beside the old one, which is retired later.
    #[default]
    Overlap,
    /// The old one is deleted first: an outage.
    Replace,
}

impl Strategy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// As a spec that says nothing has it.
impl Default for Rotate {
    fn default() -> Self {
        Self {
            max_age: None,
            issued_after: None,
            rationale: None,
            assume_issued: None,
            strategy: Strategy::Overlap,
            overlap: Period::hours(24),
            idle: Period::hours(24),
            soak: Period::days(7),
            consumers_moved: None,
        }
    }
}

/// The most changes of each sort that one plan may hold, over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Rotations of every shape but `invalidate`.
    pub rotate: u32,
    pub enable: u32,
    pub disable: u32,
    pub delete: u32,
    /// Instances locked or unlocked, each with all its resets.
    pub lock: u32,
    /// Per sort, counted objects over live managed objects of the connection, from 10 up.
    pub percent: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rotate: 20, enable: 20, disable: 10, delete: 5, lock: 2, percent: 30 }
    }
}

/// Live state as one read saw it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Declared IBM instances, by address.
    pub instances: BTreeMap<Address, Observed<ibm::state::LiveInstance>>,
    /// Declared LogicMonitor users with all their tokens, by the user's address.
    pub users: BTreeMap<Address, Observed<logicmonitor::state::LiveUser>>,
    /// Users that no connection declares, with all their tokens, by the address that they would have.
    pub others: BTreeMap<Address, logicmonitor::state::LiveUser>,
    /// Which live tokens each LogicMonitor connection authenticates with, as far as a portal was read:
    /// also those of connections that were not contacted.
    pub callers: BTreeMap<Address, Caller>,
    /// Which portal each LogicMonitor connection led to.
    pub led_to: BTreeMap<Address, String>,
    /// Connections that lie outside of every target: they were not contacted.
    pub left_out: BTreeSet<Address>,
    /// What else each LogicMonitor connection was asked.
    pub portals: BTreeMap<Address, logicmonitor::state::PortalRead>,
}

/// The credential that a connection uses now, as far as the vendor's lists show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The LMv1 access id, which is no secret.
    pub access_id: Option<String>,
    /// Ids of live tokens that are (LMv1) or may be (bearer: equal first characters) the credential.
    pub token_ids: Vec<u64>,
    /// Why it can't be told which token it is, where that is so: each one of its kind may be it.
    pub untold: Option<String>,
}
