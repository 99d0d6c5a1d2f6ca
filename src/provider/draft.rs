//! What a provider's draft hands to the planner: changes with their steps, before any ordering.

use std::sync::LazyLock;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::age::Age;
use crate::model::asked::Asked;
use crate::model::change::{Action, Change, Field, Waiting};
use crate::model::effect::SideEffect;
use crate::model::evidence::{Covered, EnabledCount, OwnerCount, VisibleTeams};
use crate::model::finding::Finding;
use crate::model::history::{History, Past};
use crate::model::secret::DigestKey;
use crate::model::step::{Expect, Step, StepId};
use crate::model::unlisted::UnlistedToken;
use crate::model::verb::Verb;
use crate::provider::age::{self, Due, Issued};
use crate::provider::state::Rotate;

/// What a draft may look at besides the wish and the observation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub history: &'a History,
    pub key: &'a DigestKey,
    pub now: Timestamp,
    /// The levers of this run.
    pub asked: &'a Asked,
    /// Nobody reviews: what needs a person's eye is left out and waits.
    pub unattended: bool,
}

/// Of what nothing is remembered.
static NOTHING: LazyLock<Past> = LazyLock::new(Past::default);

impl<'a> Context<'a> {
    pub fn past(&self, address: &Address) -> &'a Past {
        self.history.objects.get(address).unwrap_or(&NOTHING)
    }

    /// Why a rotation is due, if it is: by its conditions, or because it was asked for.
    pub fn due(&self, address: &Address, rotate: Option<&Rotate>, issued: Issued) -> Option<Due> {
        let by_conditions = rotate.and_then(|rotate| age::due(rotate, issued, self.now));
        if !self.asked.rotates(address) {
            return by_conditions;
        }
        let also = by_conditions.as_ref().map_or(String::new(), |due| format!("; {}", due.reason));
        Some(Due {
            reason: format!("asked for with --rotate{also}"),
            only_unknown_age: false,
            incident: by_conditions.is_some_and(|due| due.incident),
            asked: true,
        })
    }
}

/// What one owner (an instance, a user) amounts to.
#[derive(Default)]
pub struct Draft {
    pub changes: Vec<Drafted>,
    pub waiting: Vec<Waiting>,
    /// Of live tokens that have a rotation.
    pub ages: Vec<Age>,
    pub effects: Vec<SideEffect>,
    pub findings: Vec<Finding>,
    /// The owner could not be read at all: the findings say why.
    pub not_read: bool,
    /// Live objects that a step touches or that the draft rests on.
    pub live: Vec<Expect>,
    pub visible_teams: Option<VisibleTeams>,
    pub enabled_counts: Vec<EnabledCount>,
    pub owners: Vec<OwnerCount>,
    /// Live tokens that the spec does not declare, and what becomes of them.
    pub unlisted: Vec<UnlistedToken>,
    /// Steps that are due only because an age is unknown.
    pub unknown_age: Vec<StepId>,
    /// Resets of the interrupted apply that this plan goes on with and that need not be made again.
    pub covered: Vec<Covered>,
}

/// A change with its steps. `needs` of the steps are empty: ordering is the planner's.
pub struct Drafted {
    pub change: Change,
    pub steps: Vec<Step>,
}

impl Draft {
    pub fn push(&mut self, mut change: Change, steps: Vec<Step>) {
        change.steps = steps.iter().map(|step| step.id.clone()).collect();
        self.changes.push(Drafted { change, steps });
    }

    /// The number of the next step of this verb on an object.
    pub fn ordinal(&self, verb: Verb, address: &Address) -> usize {
        let steps = self.changes.iter().flat_map(|drafted| &drafted.steps);
        1 + steps.filter(|step| step.verb == verb && step.address == *address).count()
    }

    pub fn wait(&mut self, address: &Address, what: impl Into<String>, until: Option<Timestamp>) {
        self.waiting.push(Waiting { address: address.clone(), what: what.into(), until });
    }
}

/// A change without fields, notes and steps.
pub fn change(address: &Address, kind: &str, action: Action, reason: impl Into<String>) -> Change {
    Change {
        address: address.clone(),
        kind: kind.to_owned(),
        action,
        reason: reason.into(),
        rationale: None,
        fields: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    }
}

/// One attribute before and after.
pub fn field(name: &str, before: Option<&str>, after: Option<&str>) -> Field {
    Field { name: name.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
}

/// The host of an origin, for people.
pub fn host(origin: &str) -> String {
    origin.split_once("://").map_or(origin, |(_, host)| host).to_owned()
}
