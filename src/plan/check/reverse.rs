//! The way back that a reviewer is told is the true one: part of I1.

use std::collections::BTreeSet;

use super::View;
use crate::model::address::Address;
use crate::model::reverse::Reverse;
use crate::model::step::{Step, StepId};
use crate::model::verb::Verb;

/// Each lock has one way back: its unlock first, then a reset of every visible team; and whatever can't
/// be undone is named.
pub(super) fn way_back(view: &View<'_>, breaks: &mut Vec<String>) {
    for lock in view.of_verb(Verb::Lock) {
        let ways: Vec<_> = view.plan.reverse.iter().filter(|way| way.instance == lock.address).collect();
        let why = match ways.as_slice() {
            [way] => misleads(view, lock, way),
            _ => Some("is not told once"),
        };
        breaks.extend(why.map(|why| format!("the way back from lock {} {why}", view.number(lock))));
    }
    let stray = |way: &&Reverse| !view.of_verb(Verb::Lock).any(|lock| lock.address == way.instance);
    let stray = view.plan.reverse.iter().filter(stray);
    breaks.extend(
        stray.map(|way| format!("the plan tells a way back of {}, which it does not lock", way.instance)),
    );
}

fn misleads(view: &View<'_>, lock: &Step, way: &Reverse) -> Option<&'static str> {
    let Some((first, rest)) = way.steps.split_first() else { return Some("has no steps") };
    if (first.verb, &first.address, &first.undoes) != (Verb::Unlock, &lock.address, &Some(lock.id.clone())) {
        return Some("does not begin with the unlock");
    }
    let visible = view.visible(&lock.address).into_iter().flat_map(|row| &row.teams);
    let visible: BTreeSet<&Address> = visible.map(|team| &team.address).collect();
    let resets: BTreeSet<&Address> = rest.iter().map(|step| &step.address).collect();
    let plain = rest.iter().all(|step| step.verb == Verb::Reset && step.undoes.is_none());
    if !plain || resets != visible || resets.len() != rest.len() {
        return Some("does not reset every visible team");
    }
    let made = view.lane(lock).filter(|step| step.irreversible).map(|step| &step.id);
    let earlier = view.plan.amends.iter().flat_map(|amends| &amends.covered);
    let earlier = earlier.filter(|row| row.address.lane() == lock.address).map(|row| &row.step);
    let lost: BTreeSet<&StepId> = made.chain(earlier).collect();
    let told: BTreeSet<&StepId> = way.lost.iter().map(|lost| &lost.step).collect();
    (lost != told).then_some("does not tell what can't be undone")
}
