//! Whether a changed plan may run in an order that the planner ruled out. It knows the planner's own
//! edges, who waits for whom (needs; within a lane also the list) and nothing of the checker.
//!
//! An edge that a path of other edges implies is redundant. The order within a lane implies none: a
//! step that fails keeps from beginning what *needs* it, and not the rest of its lane.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::step::{Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::plan::document::Plan;

type Pairs<'a> = BTreeSet<(&'a StepId, &'a StepId)>;

pub fn harms(planned: &Plan, changed: &Plan) -> bool {
    let Some(now) = closure(changed) else { return true };
    let before = closure(planned).expect("an admitted plan is in order");
    now.difference(&before).next().is_some()
        || lost(planned, changed, &now)
        || misnamed(planned, changed)
        || uncovered(planned, changed)
        || leaves_none(changed)
}

/// All pairs (earlier, later) of which the later begins only if the earlier was done. None where a step
/// waits for one that does not come before it, or for none at all.
fn closure(plan: &Plan) -> Option<Pairs<'_>> {
    let earlier = plan.amends.iter().flat_map(|amends| &amends.covered).map(|row| &row.step);
    let mut known: BTreeMap<&StepId, BTreeSet<&StepId>> = earlier.map(|id| (id, [].into())).collect();
    for step in &plan.steps {
        let mut all = BTreeSet::new();
        for need in &step.needs {
            let (id, theirs) = known.get_key_value(&need.step)?;
            all.extend(theirs.iter().copied().chain([*id]));
        }
        if known.insert(&step.id, all).is_some() {
            return None;
        }
    }
    Some(
        known
            .into_iter()
            .flat_map(|(after, all)| all.into_iter().map(move |before| (before, after)))
            .collect(),
    )
}

/// Whether a step no longer waits for what the planner put before it.
fn lost(planned: &Plan, changed: &Plan, now: &Pairs<'_>) -> bool {
    let has = |id: &StepId| changed.steps.iter().any(|step| step.id == *id);
    let needs = planned.steps.iter().flat_map(|step| step.needs.iter().map(move |need| (need, step)));
    needs.filter(|(_, after)| has(&after.id)).any(|(need, after)| {
        // What is not done at all need not come first, unless the later step rests on it.
        let token = |id: &StepId| {
            planned.steps.iter().find(|step| step.id == *id).and_then(|step| step.params.get("token_id"))
        };
        let rests = match need.rule {
            Rule::LockLast | Rule::CallerLast => false,
            Rule::DisableBeforeDelete => token(&need.step) == token(&after.id),
            // others of the name may stay
            Rule::DeleteBeforeIssue => token(&need.step) == after.params.get("predecessor"),
            _ => true,
        };
        (rests || has(&need.step)) && !now.contains(&(&need.step, &after.id))
    })
}

/// Whether an edge that the planner drew has another reason on it. Two rules tie a reset to its lock.
fn misnamed(planned: &Plan, changed: &Plan) -> bool {
    let name = |rule: Rule| if rule == Rule::LockCoversAll { Rule::ResetBeforeLock } else { rule };
    let edges = |plan: &Plan| -> BTreeSet<(StepId, StepId, Rule)> {
        let all = plan.steps.iter().flat_map(|step| step.needs.iter().map(move |need| (step, need)));
        all.map(|(step, need)| (step.id.clone(), need.step.clone(), name(need.rule))).collect()
    };
    edges(changed).difference(&edges(planned)).next().is_some()
}

/// Whether an unlock is left without a reset, or a reset that drops its value without the switch.
fn uncovered(planned: &Plan, changed: &Plan) -> bool {
    let of = |plan: &Plan, verb: Verb| -> BTreeSet<Address> {
        plan.steps.iter().filter(|step| step.verb == verb).map(|step| step.address.clone()).collect()
    };
    let resets = of(changed, Verb::Reset);
    let gone = of(planned, Verb::Reset)
        .into_iter()
        .any(|reset| of(changed, Verb::Unlock).contains(&reset.lane()) && !resets.contains(&reset));
    let dropped = |step: &Step| step.shape == Some(Shape::Invalidate);
    let switch = |verb: Verb| {
        let left = of(changed, verb);
        let was: Vec<_> = of(planned, verb).into_iter().filter(|switch| !left.contains(switch)).collect();
        changed.steps.iter().filter(|step| dropped(step)).any(|step| was.contains(&step.address.lane()))
    };
    gone || switch(Verb::Lock) || switch(Verb::Unlock)
}

/// Whether a name that had an enabled token has none after some step, against the spec; or, where it asks for
/// `strategy: replace`, none in the end.
fn leaves_none(plan: &Plan) -> bool {
    let kept = plan.evidence.enabled_counts.iter().filter(|count| !count.may_be_zero);
    kept.clone().any(|count| {
        let mut on: BTreeSet<String> = count.enabled.iter().map(u64::to_string).collect();
        let begins_with = on.len();
        let dips = plan.steps.iter().filter(|step| step.address == count.address).any(|step| {
            let had = !on.is_empty();
            let id = step.params.get("token_id").cloned();
            match step.verb {
                Verb::Issue | Verb::Enable => drop(on.insert(id.unwrap_or_else(|| "new".into()))),
                Verb::Disable | Verb::Delete => drop(on.remove(&id.unwrap_or_default())),
                _ => {}
            }
            had && on.is_empty() && !(count.replaces && step.shape == Some(Shape::Replace))
        });
        dips || begins_with > 0 && on.is_empty()
    })
}
