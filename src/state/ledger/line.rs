//! A line of the ledger: when, who, why and what; and how each version of it is read.
//!
//! To add a kind: a variant of [`Entry`] with its members, a row in `past` for what it tells a
//! planner, and one in `report::history` for how it is shown. Once a version is released, a new
//! kind or member raises [`VERSION`]: an older tokenform must refuse what it does not understand,
//! since a hold or a protection that it skipped would be broken.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::approval::Approval;
use crate::model::history::{Facts, Receipt};
use crate::model::secret::Fingerprint;
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::who::Who;

/// The ledger's format version; a newer one is refused, older ones are read.
pub const VERSION: u32 = 2;

/// One line, without its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    pub by: Who,
    /// Why: the reason of the change that was reviewed, or what a person gave with `--reason`.
    pub reason: Option<String>,
    pub entry: Entry,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A step was finished.
    Step(Box<Finished>),
    /// The hold that an unlock had set was ended before its time.
    HoldEnded { address: Address },
    /// The hold that an unlock had set lasts longer.
    HoldExtended { address: Address, until: Timestamp },
    /// What was remembered of an object, and of all below it, counts no more.
    Forgotten { address: Address },
    /// An interrupted apply was given up.
    Abandoned {
        apply: String,
        /// Steps that stay in doubt, each with what a person must look at.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        in_doubt: BTreeMap<StepId, String>,
        /// Steps that surely did not happen.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_begun: Vec<StepId>,
    },
    /// Somebody took the state's lock away from a run.
    LockBroken {
        held_by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
}

/// A finished step of an apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// The apply's id.
    pub apply: String,
    /// SHA-256 of the plan file that it ran; absent in lines of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Who signed that file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Why the plan could be applied outside of the spec's change windows, if it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_window: Option<String>,
    pub step: StepId,
    pub address: Address,
    pub verb: Verb,
    /// What the spec gives as `rationale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    pub facts: Facts,
    /// Slot → the value that it was given, and when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delivered: BTreeMap<String, Receipt>,
}

impl Entry {
    /// The object that it is about, if it is about one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Step(step) => Some(&step.address),
            Self::HoldEnded { address }
            | Self::HoldExtended { address, .. }
            | Self::Forgotten { address } => Some(address),
            Self::Abandoned { .. } | Self::LockBroken { .. } => None,
        }
    }

    /// The apply that it belongs to, if it belongs to one.
    pub fn apply(&self) -> Option<&str> {
        match self {
            Self::Step(step) => Some(&step.apply),
            Self::Abandoned { apply, .. } => Some(apply),
            Self::HoldEnded { .. }
            | Self::HoldExtended { .. }
            | Self::Forgotten { .. }
            | Self::LockBroken { .. } => None,
        }
    }

    /// What was done, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Step(step) => step.verb.as_str(),
            Self::HoldEnded { .. } => "end-hold",
            Self::HoldExtended { .. } => "extend-hold",
            Self::Forgotten { .. } => "forget",
            Self::Abandoned { .. } => "abandon",
            Self::LockBroken { .. } => "break-lock",
        }
    }

    /// Every word that [`Entry::word`] gives.
    pub const WORDS: [&str; 15] = [
        "reset",
        "issue",
        "deliver",
        "enable",
        "disable",
        "delete",
        "lock",
        "unlock",
        "protect",
        "unprotect",
        "end-hold",
        "extend-hold",
        "forget",
        "abandon",
        "break-lock",
    ];

    pub fn step(&self) -> Option<&Finished> {
        match self {
            Self::Step(step) => Some(step),
            _ => None,
        }
    }
}

/// A line as it is written: `hash` is put behind its last member.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub version: u32,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Who::is_unknown")]
    pub by: &'a Who,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    pub entry: &'a Entry,
    pub prev: Option<&'a str>,
}

/// A line of version 2 as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    #[serde(rename = "version")]
    _version: u32,
    at: Timestamp,
    #[serde(default)]
    by: Who,
    #[serde(default)]
    reason: Option<String>,
    entry: Entry,
    #[serde(rename = "prev")]
    _prev: Option<String>,
    #[serde(rename = "hash")]
    _hash: String,
}

/// A line of version 1: a finished step, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct First {
    #[serde(rename = "version")]
    _version: u32,
    apply: String,
    step: StepId,
    at: Timestamp,
    address: Address,
    verb: Verb,
    facts: Facts,
    delivered: BTreeMap<String, Fingerprint>,
    rationale: Option<String>,
    by: Who,
    #[serde(rename = "prev")]
    _prev: Option<String>,
    #[serde(rename = "hash")]
    _hash: String,
}

impl From<Stored> for Line {
    fn from(stored: Stored) -> Self {
        let Stored { at, by, reason, entry, .. } = stored;
        Self { at, by, reason, entry }
    }
}

/// What version 1 called the rationale was the reason of the change, with the rationale in it.
impl From<First> for Line {
    fn from(first: First) -> Self {
        let First { apply, step, at, address, verb, facts, delivered, rationale, by, .. } = first;
        let receipt = |(slot, fingerprint)| (slot, Receipt { fingerprint, at: None });
        let delivered = delivered.into_iter().map(receipt).collect();
        let step = Finished {
            apply,
            plan: None,
            approvals: vec![],
            outside_window: None,
            step,
            address,
            verb,
            rationale: None,
            facts,
            delivered,
        };
        Self { at, by, reason: rationale, entry: Entry::Step(Box::new(step)) }
    }
}
