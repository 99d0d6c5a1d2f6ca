//! I7: how much a plan may do, and what is out of its reach.

use std::collections::{BTreeMap, BTreeSet};

use super::{Verdict, View, verdict};
use crate::model::address::Address;
use crate::model::evidence::Evidence;
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
        let touched: Vec<&Address> = std::iter::once(&step.address).chain(lenders(step)).collect();
        let covers = |protected: &&Address| touched.iter().any(|at| protected.covers(at));
        for address in view.evidence.protected.iter().filter(covers) {
            breaks.push(format!("step {} touches {address}, which is protected", view.number(step)));
        }
    }
    by_name(view, &mut breaks);
    lifted_alone(view, &mut breaks);
    let used: Vec<_> = counts.iter().map(|(name, count, limit)| format!("{name} {count}/{limit}")).collect();
    verdict(breaks, used.join(", "))
}

/// Other owners that a step is bound to than the one of its address: the second owner of a token.
fn lenders(step: &Step) -> impl Iterator<Item = &Address> {
    let lane = step.address.lane();
    let expected = step.expects.iter().map(|expect| &expect.address);
    expected.filter(move |at| at.item_parts().is_none() && **at != lane)
}

/// What `protect` forbids; creating, enabling and delivering take nothing away.
fn protection_forbids(step: &Step) -> bool {
    match step.verb {
        Verb::Reset | Verb::Disable | Verb::Delete | Verb::Lock | Verb::Unlock => true,
        Verb::Issue => step.shape.is_some(),
        Verb::Deliver | Verb::Enable | Verb::Protect | Verb::Unprotect => false,
    }
}

/// A token that the spec no longer declares has an address by its id: its protection was by its name.
fn by_name(view: &View<'_>, breaks: &mut Vec<String>) {
    for step in view.steps.iter().filter(|s| protection_forbids(s)) {
        let Some(row) = view.unlisted.get(&step.address) else { continue };
        let name = row.note.split(" ;tf1 ").next().unwrap_or_default();
        let is_it = |protected: &&Address| {
            let kind = |at: &Address| at.item_parts().map(|(kind, _)| kind.to_owned());
            protected.lane() == step.address.lane()
                && kind(protected) == kind(&step.address)
                && protected.name() == name
        };
        for address in view.evidence.protected.iter().filter(is_it) {
            breaks.push(format!("step {} touches {address}, which is protected", view.number(step)));
        }
    }
}

/// A protection is lifted where the spec says so, by a plan that does nothing else; and what is
/// remembered as protected is what the spec protects.
fn lifted_alone(view: &View<'_>, breaks: &mut Vec<String>) {
    let of = |verb| view.steps.iter().filter(move |step| step.verb == verb);
    let Evidence { protected, unprotect, .. } = view.evidence;
    for step in of(Verb::Unprotect) {
        let number = view.number(step);
        if !unprotect.contains(&step.address) {
            breaks.push(format!("step {number} lifts a protection that the spec does not lift"));
        }
        if !protected.contains(&step.address) {
            breaks.push(format!("step {number} lifts a protection from what is not protected"));
        }
        let others = view.steps.iter().filter(|s| !matches!(s.verb, Verb::Protect | Verb::Unprotect));
        for other in others {
            let other = view.number(other);
            breaks.push(format!("step {other} stands beside step {number}, which lifts what is protected"));
        }
    }
    for step in of(Verb::Protect).filter(|step| !protected.contains(&step.address)) {
        let number = view.number(step);
        breaks.push(format!("step {number} makes a protected object of what the spec does not protect"));
    }
}

/// The limit that counts a step. Resets of an instance that is switched count with its switch;
/// creations and deliveries are unlimited.
fn limit_key(view: &View<'_>, step: &Step) -> Option<&'static str> {
    match (step.verb, step.shape) {
        // retiring what was replaced, and bringing it back, is a part of a rotation that was counted
        (Verb::Enable | Verb::Disable | Verb::Delete, Some(Shape::Overlap)) => None,
        (Verb::Reset, Some(Shape::SingleSlot)) => (!view.switches(&step.address)).then_some("rotate"),
        (Verb::Issue, Some(Shape::Overlap | Shape::Replace)) => Some("rotate"),
        (Verb::Delete, Some(Shape::Replace)) => Some("rotate"),
        (Verb::Enable, _) => Some("enable"),
        (Verb::Disable, _) => Some("disable"),
        (Verb::Delete, _) => Some("delete"),
        (Verb::Lock | Verb::Unlock, _) => Some("lock"),
        _ => None,
    }
}

/// A share says little about a handful of objects: `limits.percent` holds from here up.
const SHARE_FROM: usize = 10;

/// What a share is taken of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Instances,
    Tokens,
    /// Tokens that the spec does not declare, under `unlisted_tokens`.
    Unlisted,
}

impl Sort {
    fn words(self) -> &'static str {
        match self {
            Self::Instances => "instances whose external_api_auth is declared",
            Self::Tokens => "declared tokens that are live",
            Self::Unlisted => "tokens that the spec does not declare",
        }
    }
}

/// `limits.percent`: per limit, counted objects over live managed objects of that sort in the connection.
fn shares_are_kept(view: &View<'_>, breaks: &mut Vec<String>) {
    let mut touched: BTreeMap<(Address, &str, Sort), BTreeSet<&Address>> = BTreeMap::new();
    for step in view.steps {
        if let Some(key) = limit_key(view, step) {
            let sort = match key {
                "lock" => Sort::Instances,
                _ if view.unlisted.contains_key(&step.address) => Sort::Unlisted,
                _ => Sort::Tokens,
            };
            touched.entry((step.address.of_connection(), key, sort)).or_default().insert(&step.address);
        }
    }
    let limit = view.plan.limits.percent as usize;
    for ((connection, key, sort), objects) in touched {
        let (count, all) = (objects.len(), live(view, &connection, sort));
        if all >= SHARE_FROM && count * 100 > all * limit {
            let percent = (count * 100).div_ceil(all);
            breaks.push(format!(
                "{count} to {key} at {connection}, {percent} % of the {all} {}, but limits.percent is {limit} \
                 (`plan --limit percent={percent}` raises it for one plan)",
                sort.words()
            ));
        }
    }
}

/// How many live objects of a sort a connection has.
fn live(view: &View<'_>, connection: &Address, sort: Sort) -> usize {
    let managed = view.evidence.managed.iter().find(|m| m.connection == *connection);
    match sort {
        Sort::Instances => managed.map_or(0, |m| m.instances),
        Sort::Tokens => managed.map_or(0, |m| m.tokens),
        Sort::Unlisted => view.unlisted.keys().filter(|at| at.of_connection() == *connection).count(),
    }
}
