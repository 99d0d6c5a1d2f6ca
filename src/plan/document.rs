//! The plan as a document (PRODUCT section 6). Its JSON is the file format, version 1.0.
//!
//! Members are only added inside a major version. `seal` is not here: it is the last member of the
//! file and covers the bytes before it (see `saved`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::age::Age;
use crate::model::asked::{Asked, Extent};
use crate::model::change::{Action, Change, Waiting};
use crate::model::effect::SideEffect;
pub use crate::model::evidence::{
    Amends, CallerEvidence, Covered, EnabledCount, Estate, Evidence, VisibleTeam, VisibleTeams,
};
use crate::model::reverse::Reverse;
use crate::model::secret::{Digest, DigestKey};
use crate::model::step::{Expect, Step, StepId};
use crate::model::unlisted::UnlistedToken;
use crate::model::vocabulary::Target;
use crate::model::who::Who;
use crate::provider::fields::Bound;
use crate::provider::state::Limits;

/// The file format's version: `MAJOR.MINOR`.
pub const FORMAT_VERSION: &str = "1.0";

/// A plan. The members stand in the order in which the JSON has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub format_version: String,
    pub tokenform_version: String,
    pub created_at: Timestamp,
    /// Who made it, as far as the environment told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Who>,
    pub expires_at: Timestamp,
    pub target: Target,
    pub source: Source,
    /// Whether the whole spec was planned.
    pub complete: bool,
    /// What was asked for besides the spec.
    #[serde(default)]
    pub asked: Asked,
    /// What a plan that is not complete holds besides what was asked for, and what it lacks.
    #[serde(default)]
    pub extent: Extent,
    /// The interrupted apply that it goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<Amends>,
    /// Where the spec was, for `apply PLANFILE`.
    pub spec_path: PathBuf,
    pub spec_digest: Digest,
    /// HMAC over `live`.
    pub live_digest: Digest,
    /// Which key made the digests and the seal.
    pub key_id: String,
    /// The hash of the ledger's last line; absent where the state has no ledger (a new state).
    pub ledger_head: Option<String>,
    pub limits: Limits,
    pub summary: Summary,
    pub changes: Vec<Change>,
    /// In execution order.
    pub steps: Vec<Step>,
    pub invariants: Vec<Invariant>,
    pub findings: Vec<PlanFinding>,
    /// The way back from each lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverse: Vec<Reverse>,
    pub waiting: Vec<Waiting>,
    /// How old the live tokens are that have a rotation, and when it is due.
    #[serde(default)]
    pub ages: Vec<Age>,
    /// What it does to people and programs besides.
    #[serde(default)]
    pub side_effects: Vec<SideEffect>,
    /// Live tokens that the spec does not declare, and what becomes of each: the checker reads it, too.
    #[serde(default)]
    pub unlisted: Vec<UnlistedToken>,
    /// Declared objects as they are wanted and as they are, for policies.
    #[serde(default)]
    pub estate: Estate,
    /// Digests of every live object that a step touches or a rule relied on.
    pub live: Vec<Expect>,
    /// The fields of each of them, so that a plan that became stale says what moved.
    #[serde(default)]
    pub live_fields: Vec<LiveFields>,
    /// What the checker reads.
    pub evidence: Evidence,
}

/// The fields of a live object, each as a digest under the state's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveFields {
    pub address: Address,
    pub fields: BTreeMap<String, Digest>,
}

impl LiveFields {
    /// Each field's digest. Equal values of two objects or fields can't be told from them.
    pub fn of(address: Address, bound: &Bound<'_>, key: &DigestKey) -> Self {
        let begun = key.of("field").and(address.to_string().as_bytes()).and(b"\0");
        let mut fields = BTreeMap::new();
        bound.lay_out(&mut |name, value| {
            let digest = begun.clone().and(name.as_bytes()).and(b"\0").and(value.as_bytes()).end();
            fields.insert(name, digest);
        });
        Self { address, fields }
    }
}

/// Where live state came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Live,
    Snapshot,
}

/// One count per action, and how many steps can't be undone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Summary {
    pub create: u32,
    pub rotate: u32,
    pub lock: u32,
    pub enable: u32,
    pub disable: u32,
    pub delete: u32,
    pub invalidate: u32,
    pub deliver: u32,
    pub unlock: u32,
    pub protect: u32,
    pub unprotect: u32,
    pub irreversible: u32,
}

impl Summary {
    /// Counts changes by action and irreversible steps.
    pub fn of(changes: &[Change], steps: &[Step]) -> Self {
        let mut summary = Self::default();
        for change in changes {
            *summary.slot(change.action) += 1;
        }
        let irreversible = steps.iter().filter(|step| step.irreversible).count();
        summary.irreversible = u32::try_from(irreversible).unwrap_or(u32::MAX);
        summary
    }

    pub fn count(&self, action: Action) -> u32 {
        *self.clone().slot(action)
    }

    fn slot(&mut self, action: Action) -> &mut u32 {
        match action {
            Action::Create => &mut self.create,
            Action::Rotate => &mut self.rotate,
            Action::Lock => &mut self.lock,
            Action::Enable => &mut self.enable,
            Action::Disable => &mut self.disable,
            Action::Delete => &mut self.delete,
            Action::Invalidate => &mut self.invalidate,
            Action::Deliver => &mut self.deliver,
            Action::Unlock => &mut self.unlock,
            Action::Protect => &mut self.protect,
            Action::Unprotect => &mut self.unprotect,
        }
    }
}

// PRODUCT section 3
/// What the independent checker found for one invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// `I1` to `I7`.
    pub id: String,
    pub holds: bool,
    /// The steps that prove it, or what breaks it.
    pub proof: String,
}

/// A finding as a plan keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFinding {
    pub code: String,
    pub severity: String,
    pub address: Option<Address>,
    pub message: String,
}

/// The plan's numbering for people: step ids in execution order, from 1.
pub fn numbers(plan: &Plan) -> BTreeMap<&StepId, usize> {
    plan.steps.iter().zip(1..).map(|(step, n)| (&step.id, n)).collect()
}
