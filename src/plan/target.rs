//! `--target`: a whole plan cut down to some objects, and to everything that a rule ties to them.
//!
//! The whole is planned first, so that what stays is exactly what the whole plan would do there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::document::Plan;
use crate::model::address::Address;
use crate::model::asked::PulledIn;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::prefix::{Prefix, any_covers};
use crate::model::step::StepId;

/// Cuts a plan whose steps have their needs down to its targets. `declared` are the addresses of the
/// spec: a target that means none of them and no change is told, with the nearest that there are.
pub(super) fn narrow(plan: &mut Plan, findings: &mut Vec<Finding>, declared: &[Address]) {
    let targets = plan.asked.target.clone();
    plan.complete = false;
    let unknown: Vec<_> = targets.iter().filter(|target| !is_there(target, plan, declared)).collect();
    let unknown: Vec<_> = unknown.into_iter().map(nothing_there).collect();
    let (kept, pulled_in) = closed(plan, &targets);
    plan.extent.pulled_in = pulled_in;
    keep(plan, &kept);
    let meant = |address: &Address| {
        let near = |change: &Address| change.covers(address) || address.covers(change);
        targets.iter().any(|target| target.touches(address)) || plan.changes.iter().any(|c| near(&c.address))
    };
    findings.retain(|finding| finding.address.as_ref().is_none_or(meant));
    let (mut waiting, mut ages) = (std::mem::take(&mut plan.waiting), std::mem::take(&mut plan.ages));
    waiting.retain(|waiting| meant(&waiting.address));
    ages.retain(|age| meant(&age.address));
    let mut unlisted = std::mem::take(&mut plan.unlisted);
    unlisted.retain(|token| meant(&token.address));
    (plan.waiting, plan.ages, plan.unlisted) = (waiting, ages, unlisted);
    findings.extend(unknown);
}

fn is_there(target: &Prefix, plan: &Plan, declared: &[Address]) -> bool {
    let changes = plan.changes.iter().map(|change| &change.address);
    declared.iter().chain(changes).any(|address| target.covers(address))
}

fn nothing_there(target: &Prefix) -> Finding {
    Finding::new(code::PLAN_TARGET, format!("the spec declares no `{target}`, and no change is there"))
}

/// The changes that stay, by their places, and why those stay that no target means: along every
/// need, in both directions, until nothing new is found.
fn closed(plan: &Plan, targets: &[Prefix]) -> (BTreeSet<usize>, Vec<PulledIn>) {
    let ties = ties(plan);
    let seeds = plan.changes.iter().enumerate().filter(|(_, c)| any_covers(targets, &c.address));
    let mut kept: BTreeSet<usize> = seeds.map(|(i, _)| i).collect();
    let mut next: VecDeque<usize> = kept.iter().copied().collect();
    let mut pulled_in = Vec::new();
    while let Some(from) = next.pop_front() {
        for (to, why) in ties.get(&from).into_iter().flatten() {
            if kept.insert(*to) {
                let address = plan.changes[*to].address.clone();
                pulled_in.push(PulledIn { address, why: why.clone() });
                next.push_back(*to);
            }
        }
    }
    (kept, pulled_in)
}

/// Change → the changes that an edge ties to it, each with the edge in words.
fn ties(plan: &Plan) -> BTreeMap<usize, BTreeMap<usize, String>> {
    let owner: BTreeMap<&StepId, usize> = plan
        .changes
        .iter()
        .zip(0..)
        .flat_map(|(change, i)| change.steps.iter().map(move |s| (s, i)))
        .collect();
    let mut ties: BTreeMap<usize, BTreeMap<usize, String>> = BTreeMap::new();
    for step in &plan.steps {
        for need in &step.needs {
            let (Some(after), Some(before)) = (owner.get(&step.id), owner.get(&need.step)) else { continue };
            let rule = need.rule.as_str();
            let comes_first = format!("{rule}: it comes before `{}`", step.id);
            let comes_later = format!("{rule}: it comes after `{}`", need.step);
            ties.entry(*after).or_default().entry(*before).or_insert(comes_first);
            ties.entry(*before).or_default().entry(*after).or_insert(comes_later);
        }
    }
    ties
}

/// Drops all other changes, with their steps and with what only they rest on.
fn keep(plan: &mut Plan, kept: &BTreeSet<usize>) {
    let mut place = 0..;
    plan.changes.retain(|_| place.next().is_some_and(|i| kept.contains(&i)));
    let steps: BTreeSet<&StepId> = plan.changes.iter().flat_map(|change| &change.steps).collect();
    plan.steps.retain(|step| steps.contains(&step.id));
    plan.evidence.new_state.retain(|step| steps.contains(step));
    let owners = plan.steps.iter().map(|step| step.address.lane());
    let expected = plan.steps.iter().flat_map(|step| &step.expects).map(|expect| expect.address.clone());
    let changed = plan.changes.iter().map(|change| change.address.clone());
    let relied: BTreeSet<Address> = owners.chain(expected).chain(changed).collect();
    plan.live.retain(|expect| relied.contains(&expect.address));
}
