//! The spec language: what a whole spec is written with in YAML.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::approval::Role;
use crate::model::given::{Duration, Entries, Given, Instant, Items, Time};
use crate::model::window::Day;
use crate::provider::state::FileFormat;
use crate::provider::{ibm, logicmonitor};

/// The version of the language that is read here.
pub const VERSION: u64 = 1;

/// A tokenform spec: the wished state of API tokens and authentication modes. One file of several
/// may leave out what another one says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "tokenform spec", extend("required" = ["version"]))]
pub struct Spec {
    /// The version of the spec language: 1. Stands in every file.
    #[schemars(extend("const" = VERSION))]
    pub version: Given<u64>,
    /// IBM Cloud connections by name.
    pub ibm: Entries<ibm::spec::Connection>,
    /// LogicMonitor connections by name.
    pub logicmonitor: Entries<logicmonitor::spec::Connection>,
    /// Where new values go, by name.
    pub destinations: Entries<Destination>,
    /// The most changes of each sort that one plan may hold.
    pub limits: Given<Limits>,
    /// Who must approve a saved plan before it is applied.
    pub approvals: Given<Approvals>,
    /// When changes may be made. Left out: at any time.
    pub changes: Given<Changes>,
}

/// When changes may be made: in one of the windows, and in no freeze. Only `apply` obeys; a plan can be made
/// at any time.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// The windows' time zone by its IANA name, such as Europe/Berlin. Default UTC.
    pub timezone: Given<String>,
    /// Left out: at any time that is not frozen.
    #[schemars(extend("minItems" = 1))]
    pub windows: Items<Window>,
    /// Times without changes, whatever the windows say.
    pub freezes: Items<Freeze>,
}

/// A time of some days of each week.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from", "to"]))]
pub struct Window {
    /// The days on which it begins. Default every day.
    #[schemars(extend("minItems" = 1))]
    pub days: Items<Day>,
    pub from: Given<Time>,
    /// On the next day where it is not later than `from`.
    pub to: Given<Time>,
    /// Default that of all windows.
    pub timezone: Given<String>,
}

/// A time without changes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from", "to"]))]
pub struct Freeze {
    pub from: Given<Instant>,
    /// Changes may be made again at this instant.
    pub to: Given<Instant>,
    /// Told to whoever is refused.
    pub reason: Given<String>,
}

/// Who must approve a saved plan before it is applied: SSH signatures over the plan file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Approvals {
    /// How many people. Default 0.
    pub required: Given<u32>,
    /// How many where a step can't be undone. Default as `required`, and never less.
    pub irreversible: Given<u32>,
    /// The keys that count: a file in OpenSSH's ALLOWED SIGNERS format, relative to the file that names it.
    pub allowed_signers: Given<String>,
    /// Roles that must be different people.
    pub differ: Items<Role>,
}

/// Where new values go: one of its forms.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A file, written atomically with mode 0600.
    File(Given<File>),
    /// A program that takes the value on standard input.
    Command(Given<Command>),
}

/// A file that takes values.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Relative to the file that names it.
    pub path: Given<String>,
    pub format: Given<FileFormat>,
}

/// A program that takes values, each on its standard input; names are in its environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments.
    pub run: Items<String>,
    /// A program that exits with 0 when the destination can take a value.
    pub probe: Items<String>,
    /// How long either may run. Default 60s.
    pub timeout: Given<Duration>,
}

/// The most changes of each sort that one plan may hold, over all connections.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Single-slot and overlap rotations. Default 20.
    pub rotate: Given<u32>,
    /// Default 20.
    pub enable: Given<u32>,
    /// Default 10.
    pub disable: Given<u32>,
    /// Default 5.
    pub delete: Given<u32>,
    /// Instances locked or unlocked, each with all its resets. Default 2.
    pub lock: Given<u32>,
    /// Per sort, counted objects over live managed objects of the connection, from 10 up. Default 30.
    pub percent: Given<u32>,
}
