//! I7: how much a plan may do, and what is out of its reach.

use std::collections::{BTreeMap, BTreeSet};

use super::{Verdict, View, verdict};
use crate::model::address::Address;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;

/// I7: the plan does no more than `limits` allows, and nothing to a protected object.
pub(super) fn limits_and_protections(view: &View<'_>) -> Verdict {
    let limits = &view.plan.limits;
    // An object counts once, however many live tokens of it a change takes.
    let count = |key: &str| {
        let counted = view.steps.iter().filter(|s| limit_key(view, s) == Some(key));
        counted.map(|step| &step.address).collect::<BTreeSet<_>>().len()
    };
    let counts = [
        ("rotate", limits.rotate),
        ("enable", limits.enable),
        ("disable", limits.disable),
        ("delete", limits.delete),
        ("lock", limits.lock),
    ]
    .map(|(key, limit)| (key, count(key), limit));
    let mut breaks: Vec<String> = counts
        .iter()
        .filter(|(_, count, limit)| *count > *limit as usize)
        .map(|(name, count, limit)| {
            let way = format!("`plan --limit {name}={count}` raises it for one plan");
            format!("{count} to {name}, but limits.{name} is {limit} ({way})")
        })
        .collect();
    shares_are_kept(view, &mut breaks);
    for step in view.steps.iter().filter(|s| protection_forbids(s)) {
        for address in view.evidence.protected.iter().filter(|p| p.covers(&step.address)) {
            breaks.push(format!("step {} touches {address}, which is protected", view.number(step)));
        }
    }
    let used: Vec<_> = counts.iter().map(|(name, count, limit)| format!("{name} {count}/{limit}")).collect();
    verdict(breaks, used.join(", "))
}

/// What `protect` forbids; creating, enabling and delivering take nothing away.
fn protection_forbids(step: &Step) -> bool {
    match step.verb {
        Verb::Reset | Verb::Disable | Verb::Delete | Verb::Lock | Verb::Unlock => true,
        Verb::Issue => step.shape.is_some(),
        Verb::Deliver | Verb::Enable | Verb::Protect | Verb::Unprotect => false,
    }
}

/// The limit that counts a step. Resets of an instance that is switched count with its switch;
/// creations and deliveries are unlimited.
fn limit_key(view: &View<'_>, step: &Step) -> Option<&'static str> {
    match (step.verb, step.shape) {
        // retiring what was replaced, and bringing it back, is a part of a rotation that was counted
        (Verb::Enable | Verb::Disable | Verb::Delete, Some(Shape::Overlap)) => None,
        (Verb::Reset, Some(Shape::SingleSlot)) => (!view.switches(&step.address)).then_some("rotate"),
        (Verb::Issue, Some(Shape::Overlap)) => Some("rotate"),
        (Verb::Enable, _) => Some("enable"),
        (Verb::Disable, _) => Some("disable"),
        (Verb::Delete, _) => Some("delete"),
        (Verb::Lock | Verb::Unlock, _) => Some("lock"),
        _ => None,
    }
}

/// A share says little about a handful of objects: `limits.percent` holds from here up.
const SHARE_FROM: usize = 10;

/// `limits.percent`: per limit, counted objects over live managed objects of the connection.
fn shares_are_kept(view: &View<'_>, breaks: &mut Vec<String>) {
    let mut touched: BTreeMap<(Address, &str), BTreeSet<&Address>> = BTreeMap::new();
    for step in view.steps {
        if let Some(key) = limit_key(view, step) {
            touched.entry((step.address.of_connection(), key)).or_default().insert(&step.address);
        }
    }
    let percent = view.plan.limits.percent;
    for ((connection, key), objects) in touched {
        let managed = view.evidence.managed.iter().find(|m| m.connection == connection);
        let all = managed.map_or(0, |m| if key == "lock" { m.instances } else { m.tokens });
        let count = objects.len();
        if all >= SHARE_FROM && count * 100 > all * percent as usize {
            breaks
                .push(format!("{count} of {all} to {key} at {connection}, but limits.percent is {percent}"));
        }
    }
}
