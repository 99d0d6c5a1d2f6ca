//! What a run was asked for besides the spec: sealed with the plan, so that a reviewer sees it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::exposure::{Incident, NotRotated};
use super::prefix::{Prefix, any_covers};
use super::vocabulary::Period;

/// The levers of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// `--target`: only these, and what the rules tie to them. Empty is everything.
    pub target: Vec<Prefix>,
    /// `--rotate`: rotate these tokens now, due or not.
    pub rotate: Vec<Prefix>,
    /// `--partial`: plan what can be read, and set the rest aside.
    pub partial: bool,
    /// `--issued-before`: only rotations of what may be exposed.
    pub incident: Option<Incident>,
    /// `unlock`: open this instance, whatever the spec says, and do nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlock: Option<AskedUnlock>,
    /// `--outside-window`: apply it outside of change windows and in freezes as well, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_window: Option<String>,
}

/// A break-glass unlock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedUnlock {
    pub instance: Address,
    /// What the person gave: it stands in the plan, the journal and the ledger.
    pub reason: String,
    /// How long plans leave the instance open, from the unlock on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Period>,
}

impl Asked {
    /// Whether a connection is contacted: it is, unless it lies outside of every target.
    pub fn reaches(&self, connection: &Address) -> bool {
        if self.incident.as_ref().is_some_and(|incident| !incident.touches(connection)) {
            return false;
        }
        self.target.is_empty() || self.target.iter().any(|prefix| prefix.touches(connection))
    }

    /// Whether the token is to be rotated, due or not.
    pub fn rotates(&self, token: &Address) -> bool {
        any_covers(&self.rotate, token)
    }

    /// The unlock that was asked for, if it is of this instance.
    pub fn unlocks(&self, instance: &Address) -> Option<&AskedUnlock> {
        self.unlock.as_ref().filter(|unlock| unlock.instance == *instance)
    }

    /// What proves that changes of these objects were made: the same part of the spec, and them. What
    /// was to be rotated has been; an unlocked instance is not what the spec says.
    pub fn proving<'a>(&self, changed: impl Iterator<Item = &'a Address> + Clone) -> Self {
        let mut target = self.target.clone();
        if !target.is_empty() {
            target.extend(changed.clone().cloned().map(Prefix::from));
        }
        let scope = || changed.cloned().map(Prefix::from).collect();
        let incident = self.incident.clone().map(|incident| Incident { scope: scope(), ..incident });
        let partial = self.partial;
        Self { target, incident, partial, unlock: self.unlock.clone(), ..Self::default() }
    }
}

/// What a plan that is not complete holds besides what was asked for, and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Extent {
    /// Changes outside of the targets that the rules tie to those inside.
    pub pulled_in: Vec<PulledIn>,
    /// Connections that were not contacted.
    pub not_contacted: Vec<Address>,
    /// What could not be read, and has no step.
    pub unread: Vec<Unread>,
    /// What an incident may have exposed and stays as it is.
    pub not_rotated: Vec<NotRotated>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unread {
    pub address: Address,
    /// The code of what went wrong.
    pub code: String,
    pub why: String,
}

/// A change that a rule brought into the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PulledIn {
    pub address: Address,
    /// The rule and the step that it ties this one to.
    pub why: String,
}
