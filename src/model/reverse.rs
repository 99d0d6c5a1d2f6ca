//! What would undo a lock, and what can't be undone: a reviewer knows the way back beforehand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::step::{Call, Rule, StepId};
use super::verb::Verb;

/// The way back from one lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reverse {
    pub instance: Address,
    /// In the order in which they would run: the unlock, and the resets that must follow it.
    pub steps: Vec<ReverseStep>,
    /// What stays as the plan leaves it.
    pub lost: Vec<Lost>,
}

/// One remote mutation on the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReverseStep {
    pub verb: Verb,
    pub address: Address,
    /// The step that it takes back, if it takes one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<StepId>,
    /// Why it is there, where it takes nothing back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The request, where the plan knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

/// A step that nothing takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    pub step: StepId,
    pub address: Address,
    pub what: String,
}
