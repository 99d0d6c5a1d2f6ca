//! What a provider's draft hands to the planner: changes with their steps, before any ordering.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::change::{Action, Change, Field, Waiting};
use crate::model::evidence::{EnabledCount, VisibleTeams};
use crate::model::finding::Finding;
use crate::model::history::{History, Past};
use crate::model::secret::DigestKey;
use crate::model::step::{Expect, Step, StepId};
use crate::model::vocabulary::Period;
use crate::provider::state::Rotate;

/// What a draft may look at besides the wish and the observation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub history: &'a History,
    pub key: &'a DigestKey,
    pub now: Timestamp,
    /// Nobody reviews: what needs a person's eye is left out and waits.
    pub unattended: bool,
}

impl Context<'_> {
    pub fn past(&self, address: &Address) -> Past {
        self.history.objects.get(address).cloned().unwrap_or_default()
    }
}

/// What one owner (an instance, a user) amounts to.
#[derive(Default)]
pub struct Draft {
    pub changes: Vec<Drafted>,
    pub waiting: Vec<Waiting>,
    pub findings: Vec<Finding>,
    /// Live objects that a step touches or that the draft rests on.
    pub live: Vec<Expect>,
    pub visible_teams: Option<VisibleTeams>,
    pub enabled_counts: Vec<EnabledCount>,
    /// Steps that are due only because an age is unknown.
    pub unknown_age: Vec<StepId>,
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
        fields: Vec::new(),
        notes: Vec::new(),
        steps: Vec::new(),
    }
}

/// One attribute before and after.
pub fn field(name: &str, before: Option<&str>, after: Option<&str>) -> Field {
    Field { name: name.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
}

/// Why a rotation is due.
pub struct Due {
    pub reason: String,
    /// Nothing but an unknown age makes it due.
    pub only_unknown_age: bool,
    /// `issued_after` demands it, whatever else is in flight.
    pub incident: bool,
}

/// Whether the conditions of `rotate` hold for a value issued at `issued_at` (PRODUCT section 1:
/// an unknown age satisfies neither condition).
pub fn due(rotate: &Rotate, issued_at: Option<Timestamp>, now: Timestamp) -> Option<Due> {
    let Some(issued_at) = issued_at else {
        let asked = rotate.max_age.is_some() || rotate.issued_after.is_some();
        let reason = with_rationale("age unknown: not in the ledger".into(), rotate);
        return asked.then_some(Due {
            reason,
            only_unknown_age: true,
            incident: rotate.issued_after.is_some(),
        });
    };
    let age = Period::between(issued_at, now);
    let too_old = rotate.max_age.filter(|max| age >= *max);
    let before = rotate.issued_after.filter(|after| issued_at <= *after);
    let reason = match (before, too_old) {
        (Some(after), _) => format!("issued {issued_at}, before issued_after {after}"),
        (None, Some(max)) => format!("{} old, max_age {max}", age.rough()),
        (None, None) => return None,
    };
    Some(Due { reason: with_rationale(reason, rotate), only_unknown_age: false, incident: before.is_some() })
}

/// When the next rotation is due, for what waits for it.
pub fn next_due(rotate: Option<&Rotate>, issued_at: Option<Timestamp>) -> Option<Timestamp> {
    Some(rotate?.max_age?.after(issued_at?))
}

fn with_rationale(reason: String, rotate: &Rotate) -> String {
    match &rotate.rationale {
        Some(rationale) => format!("{reason}; {rationale}"),
        None => reason,
    }
}

/// The host of an origin, for people.
pub fn host(origin: &str) -> String {
    origin.split_once("://").map_or(origin, |(_, host)| host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rotate(max_age: Option<&str>, issued_after: Option<&str>) -> Rotate {
        Rotate {
            max_age: max_age.map(|p| p.parse().unwrap()),
            issued_after: issued_after.map(at),
            rationale: None,
            overlap: Period::hours(24),
            idle: Period::hours(24),
            soak: Period::days(7),
        }
    }

    #[test]
    fn due_at_max_age_to_the_second_and_by_issued_after() {
        let now = at("2026-11-22T10:00:00Z");
        let ninety = rotate(Some("90d"), None);
        assert!(due(&ninety, Some(at("2026-08-24T10:00:01Z")), now).is_none());
        let due_now = due(&ninety, Some(at("2026-08-24T10:00:00Z")), now).unwrap();
        assert_eq!(due_now.reason, "90d old, max_age 90d");
        let incident = rotate(None, Some("2026-11-01T00:00:00Z"));
        assert!(due(&incident, Some(at("2026-11-01T00:00:00Z")), now).unwrap().incident);
        assert!(due(&incident, Some(at("2026-11-01T00:00:01Z")), now).is_none());
    }

    #[test]
    fn an_unknown_age_satisfies_neither_condition() {
        let now = at("2026-11-22T10:00:00Z");
        assert!(due(&rotate(Some("90d"), None), None, now).unwrap().only_unknown_age);
        assert!(due(&rotate(None, Some("2026-01-01T00:00:00Z")), None, now).unwrap().only_unknown_age);
        assert!(due(&rotate(None, None), None, now).is_none());
    }
}
