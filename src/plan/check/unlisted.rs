//! I1: what the spec does not declare is taken only by disuse, disabled before it is deleted.

use std::collections::BTreeSet;

use super::{View, token_id};
use crate::model::address::Address;
use crate::model::guard::Guard;
use crate::model::step::Step;
use crate::model::unlisted::{Fate, KEPT_DISABLED, UnlistedToken};
use crate::model::verb::Verb;

/// What the plan says of the token that an address without a declared name stands for.
pub(super) fn row<'a>(view: &View<'a>, address: &Address) -> Option<&'a UnlistedToken> {
    view.unlisted.get(address).copied()
}

/// Every step on an unlisted token is what the plan says becomes of it, and its disuse holds by the
/// plan's own numbers.
pub(super) fn taken_by_disuse(view: &View<'_>, breaks: &mut Vec<String>) {
    for step in view.steps {
        if let Some(row) = row(view, &step.address) {
            let why = wrong(view, step, row);
            let number = view.number(step);
            breaks.extend(why.map(|why| format!("step {number}, on a token that nobody declares, {why}")));
        }
    }
}

fn wrong(view: &View<'_>, step: &Step, row: &UnlistedToken) -> Option<&'static str> {
    let now = view.plan.created_at;
    let id = row.token_id;
    if token_id(step) != Some(id) || step.shape.is_some() {
        return Some("is not on that token");
    }
    let unused = row.unused_since().zip(row.unused_for);
    if unused.is_none_or(|(since, unused_for)| unused_for.after(since) > now) {
        return Some("is on one that is not known to be unused for long enough");
    }
    let idle = |guard: &Guard| match guard {
        Guard::OldIdle { token_id, at_least, last_used_on } => {
            *token_id == id && Some(*at_least) == row.unused_for && *last_used_on == row.last_used_on
        }
        _ => false,
    };
    let kept = |guard: &Guard| match guard {
        Guard::DisabledFor { token_id, at_least, since } => {
            *token_id == id && *at_least >= KEPT_DISABLED && at_least.after(*since) <= now
        }
        _ => false,
    };
    if step.verb == Verb::Disable && !step.guards.contains(&Guard::OwnerKeepsOne { token_id: id }) {
        return Some("does not look again whether its owner keeps another one");
    }
    match (step.verb, row.fate) {
        _ if !step.guards.iter().any(idle) => Some("does not look at its last use again"),
        (Verb::Disable, Fate::Disable) if row.enabled => None,
        (Verb::Delete, Fate::Delete) if row.enabled => Some("deletes what is enabled"),
        (Verb::Delete, Fate::Delete) if !step.guards.iter().any(kept) => {
            Some("deletes what was not disabled for 7d")
        }
        (Verb::Delete, Fate::Delete) => None,
        _ => Some("is not what the plan says of it"),
    }
}

/// I4, for owners: disuse takes no user its last enabled token.
pub(super) fn owners_keep_one(view: &View<'_>, breaks: &mut Vec<String>) {
    for step in view.steps.iter().filter(|step| row(view, &step.address).is_some_and(|row| row.enabled)) {
        let owner = step.address.lane();
        let number = view.number(step);
        let Some(count) = view.evidence.owners.iter().find(|count| count.address == owner) else {
            breaks.push(format!("step {number} has no count of its owner's enabled tokens"));
            continue;
        };
        // another lane can take a token that it has here as a second owner, at any time
        let elsewhere = view.steps.iter().filter(|other| other.address.lane() != owner);
        let elsewhere = elsewhere.filter(|other| matches!(other.verb, Verb::Disable | Verb::Delete));
        let taken: BTreeSet<u64> = elsewhere.filter_map(token_id).collect();
        let up_to = view.steps.iter().filter(|other| other.address.lane() == owner);
        let up_to = up_to.take(1 + view.steps_before(step));
        let enabled = count.enabled.iter().copied();
        let mut enabled: BTreeSet<u64> = enabled.filter(|id| !taken.contains(id)).collect();
        for other in up_to {
            match (other.verb, token_id(other)) {
                (Verb::Disable | Verb::Delete, Some(id)) => drop(enabled.remove(&id)),
                (Verb::Enable, Some(id)) => drop(enabled.insert(id)),
                _ => {}
            }
        }
        if enabled.is_empty() {
            breaks.push(format!("step {number} leaves {owner} without an enabled token"));
        }
    }
}
