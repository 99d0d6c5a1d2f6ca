//! One remote mutation of a plan: what it calls, what must hold before it, what comes first.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
pub use super::guard::{Guard, KnownBy};
use super::secret::Digest;
use super::verb::Verb;

/// A step's name, derived from what it does: `reset ibm.prod.mon-prod.team["SRE"]`.
/// A second step of one verb on one object has ` #2` behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct StepId(String);

impl StepId {
    pub fn new(verb: Verb, address: &Address, ordinal: usize) -> Self {
        match ordinal {
            0 | 1 => Self(format!("{verb} {address}")),
            n => Self(format!("{verb} {address} #{n}")),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One remote mutation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: StepId,
    pub address: Address,
    pub verb: Verb,
    pub shape: Option<Shape>,
    pub call: Call,
    pub needs: Vec<Need>,
    pub irreversible: bool,
    pub destinations: Vec<Delivery>,
    /// What the provider needs to run it: ids and settings, never a secret.
    pub params: BTreeMap<String, String>,
    /// Digests of live objects that must still hold right before the step.
    pub expects: Vec<Expect>,
    /// Conditions evaluated right before the step; one that no longer holds defers it.
    pub guards: Vec<Guard>,
    pub recovery: Recovery,
}

impl Step {
    /// A parameter that the provider's own draft wrote; a plan file without it is malformed.
    pub fn param(&self, name: &str) -> Result<&str, MissingParam> {
        let value = self.params.get(name).map(String::as_str);
        value.ok_or_else(|| MissingParam(self.id.clone(), name.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("step `{0}` has no parameter `{1}`; the plan file was not written by this tokenform")]
pub struct MissingParam(pub StepId, pub String);

// PRODUCT section 2
/// How a secret is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Reset and drop the new value: nobody is to have one.
    Invalidate,
    /// The old value dies as the new one is born; outage from reset to delivery.
    SingleSlot,
    /// New beside old, old retired later.
    Overlap,
    /// The old one is deleted, then the new one is created; outage from one to the other.
    Replace,
}

impl Shape {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalidate => "invalidate",
            Self::SingleSlot => "single-slot",
            Self::Overlap => "overlap",
            Self::Replace => "replace",
        }
    }
}

/// The request that does it, for people: the client builds its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// An HTTP method; `GUIDED` where a person does it in the console, `RECORD` where nothing is sent and the
    /// ledger alone is written.
    pub method: String,
    pub host: String,
    pub path: String,
}

/// An edge of the step graph: the step that comes first and the rule that says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub step: StepId,
    pub rule: Rule,
}

// PRODUCT section 3
/// The ordering rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    ResetBeforeLock,
    LockCoversAll,
    LockLast,
    UnlockBeforeReset,
    IssueBeforeRetire,
    DeleteBeforeIssue,
    DisableBeforeDelete,
    CallerLast,
}

impl Rule {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResetBeforeLock => "reset-before-lock",
            Self::LockCoversAll => "lock-covers-all",
            Self::LockLast => "lock-last",
            Self::UnlockBeforeReset => "unlock-before-reset",
            Self::IssueBeforeRetire => "issue-before-retire",
            Self::DeleteBeforeIssue => "delete-before-issue",
            Self::DisableBeforeDelete => "disable-before-delete",
            Self::CallerLast => "caller-last",
        }
    }
}

/// A live object that must still look as planned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub address: Address,
    pub digest: Digest,
}

/// How a lost answer is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// Read the object: it says whether the step happened.
    ReadBack,
    /// Look for the nonce that the step wrote.
    Marker,
    /// Do it again: twice is once.
    Repeat,
}

/// One place that takes a new value: a declared destination and the key in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The destination's name under `destinations`.
    pub to: String,
    /// The key that takes the secret value. Left out for a destination that holds one raw value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key that takes the id of an id-and-key pair, written in the same atomic write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_key: Option<String>,
}

impl Delivery {
    /// The slot's name in the ledger and in output: `ops-env#SYSDIG_TOKEN`, `ops-raw`.
    pub fn slot(&self) -> String {
        match &self.key {
            Some(key) => format!("{}#{key}", self.to),
            None => self.to.clone(),
        }
    }
}
