//! The two things a plan is made from: what is wanted ([`Desired`]) and what is there ([`Snapshot`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ibm, logicmonitor};
use crate::model::address::Address;
use crate::model::observed::Observed;
use crate::model::vocabulary::Period;

/// A validated spec. Its JSON is what `spec_digest` is taken over, so layout and comments of the
/// files don't count; secret values are never in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Desired {
    pub ibm: BTreeMap<Address, ibm::state::Connection>,
    pub logicmonitor: BTreeMap<Address, logicmonitor::state::Connection>,
    pub destinations: BTreeMap<String, Destination>,
    pub limits: Limits,
}

/// How old a secret may be and how it is replaced (PRODUCT section 1, "Rotated is a state").
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotate {
    pub max_age: Option<Period>,
    pub issued_after: Option<Timestamp>,
    pub rationale: Option<String>,
    /// How long old and new both work.
    pub overlap: Period,
    /// How long the old one must have been unused before it is disabled.
    pub idle: Period,
    /// How long a disabled one is kept before it is deleted.
    pub soak: Period,
}

/// Where new secrets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// A file, written atomically with mode 0600.
    File(FileDestination),
    /// A program that takes the value on standard input.
    Command(CommandDestination),
}

/// A file that takes values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDestination {
    /// Relative to the file that names it. Missing folders are not created.
    pub path: PathBuf,
    pub format: FileFormat,
}

/// How a file holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// The value alone, no line end added.
    Raw,
    /// `KEY='value'` lines; other lines are kept as they are.
    Dotenv,
    /// One JSON object; other keys are kept as they are.
    Json,
}

/// A program that takes values: each on its standard input, the names in its environment as
/// `TOKENFORM_ADDRESS`, `TOKENFORM_KEY_NAME` and, for an id, `TOKENFORM_ID_KEY_NAME` and
/// `TOKENFORM_ID`. Never in its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandDestination {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// A program that exits with 0 when the destination can take a value. Without it the program
    /// of `run` is only looked up, and the destination counts as not probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Vec<String>>,
    /// How long either may run. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
}

/// The most changes of each sort that one plan may hold, over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Single-slot and overlap rotations.
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
    /// Which live tokens each LogicMonitor connection authenticates with.
    pub callers: BTreeMap<Address, Caller>,
}

/// The credential that a connection uses now, as far as the vendor's lists show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The LMv1 access id, which is no secret.
    pub access_id: Option<String>,
    /// Ids of live tokens that are (LMv1) or may be (bearer: equal first characters) the credential.
    pub token_ids: Vec<u64>,
}
