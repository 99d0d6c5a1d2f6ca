//! Changes of the step graph: its edges, its order and which steps it has.

use super::{Harm, Mutant, Operator};
use crate::model::step::{Need, Rule, Step, StepId};
use crate::plan::document::{Plan, Summary};

pub const OPERATORS: &[Operator] = &[
    ("an edge is left out", |plan| edges(plan, |plan, at, need| drop(plan.steps[at].needs.remove(need)))),
    ("all edges of a step are left out", |plan| {
        steps(plan, |step| !step.needs.is_empty(), Harm::Order, |plan, at| plan.steps[at].needs.clear())
    }),
    ("an edge has another rule's name", renamed),
    ("an edge is turned round", |plan| {
        edges(plan, |plan, at, need| {
            let need = plan.steps[at].needs.remove(need);
            let turned = Need { step: plan.steps[at].id.clone(), rule: need.rule };
            plan.steps.iter_mut().filter(|s| s.id == need.step).for_each(|s| s.needs.push(turned.clone()));
        })
    }),
    ("an edge begins elsewhere", |plan| {
        edges(plan, |plan, at, need| {
            let from = plan.steps.iter().position(|s| s.id == plan.steps[at].needs[need].step);
            let others = (0..at).rev().filter(|other| Some(*other) != from);
            let other = others.map(|other| plan.steps[other].id.clone()).next();
            plan.steps[at].needs[need].step = other.unwrap_or_else(|| plan.steps[at].id.clone());
        })
    }),
    ("an edge is added", added),
    ("two neighbours change places", |plan| {
        let pairs = 1..plan.steps.len();
        pairs.map(|at| moved(plan, Harm::Order, at, |plan| plan.steps.swap(at - 1, at))).collect()
    }),
    ("a step goes to the front of its lane", |plan| in_lane(plan, true)),
    ("a step goes to the end of its lane", |plan| in_lane(plan, false)),
    ("a step is left out, its review is not", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Always,
            |plan, at| {
                let id = plan.steps.remove(at).id;
                plan.steps.iter_mut().for_each(|s| s.needs.retain(|need| need.step != id));
            },
        )
    }),
    ("a step is left out with all that names it", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Order,
            |plan, at| {
                let id = plan.steps[at].id.clone();
                forget(plan, &id);
            },
        )
    }),
    ("a step stands twice", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Always,
            |plan, at| {
                let again = plan.steps[at].clone();
                plan.steps.insert(at + 1, again);
            },
        )
    }),
    ("a step is done again under another id", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Always,
            |plan, at| {
                let mut again = plan.steps[at].clone();
                again.id = StepId::new(again.verb, &again.address, 9);
                for change in plan.changes.iter_mut().filter(|c| c.steps.contains(&plan.steps[at].id)) {
                    change.steps.push(again.id.clone());
                }
                plan.steps.insert(at + 1, again);
                plan.summary = Summary::of(&plan.changes, &plan.steps);
            },
        )
    }),
];

/// A change of each step that fits.
pub(super) fn steps(
    plan: &Plan,
    fits: impl Fn(&Step) -> bool,
    harm: Harm,
    change: impl Fn(&mut Plan, usize),
) -> Vec<Mutant> {
    let places = (0..plan.steps.len()).filter(|at| fits(&plan.steps[*at]));
    places.map(|at| moved(plan, harm, at, |plan| change(plan, at))).collect()
}

fn moved(plan: &Plan, harm: Harm, at: usize, change: impl Fn(&mut Plan)) -> Mutant {
    let mut changed = plan.clone();
    change(&mut changed);
    Mutant { what: format!("step {} {}", at + 1, plan.steps[at].id), plan: changed, harm }
}

/// A change of each edge: of the step at a place, its need of a number.
fn edges(plan: &Plan, change: impl Fn(&mut Plan, usize, usize)) -> Vec<Mutant> {
    let places = (0..plan.steps.len()).flat_map(|at| (0..plan.steps[at].needs.len()).map(move |n| (at, n)));
    let mutant = |(at, n): (usize, usize)| {
        let need = &plan.steps[at].needs[n];
        let what = format!("{} needs {} ({})", plan.steps[at].id, need.step, need.rule.as_str());
        Mutant { what, ..moved(plan, Harm::Order, at, |plan| change(plan, at, n)) }
    };
    places.map(mutant).collect()
}

pub(super) const RULES: [Rule; 8] = [
    Rule::ResetBeforeLock,
    Rule::LockCoversAll,
    Rule::LockLast,
    Rule::UnlockBeforeReset,
    Rule::IssueBeforeRetire,
    Rule::DeleteBeforeIssue,
    Rule::DisableBeforeDelete,
    Rule::CallerLast,
];

fn renamed(plan: &Plan) -> Vec<Mutant> {
    let other = |rule: Rule| {
        edges(plan, move |plan, at, need| plan.steps[at].needs[need].rule = rule)
            .into_iter()
            .filter(|mutant| mutant.plan != *plan)
            .map(move |mutant| Mutant { what: format!("{} as {}", mutant.what, rule.as_str()), ..mutant })
    };
    RULES.into_iter().flat_map(other).collect()
}

/// An edge between any two steps that have none, under each rule's name.
fn added(plan: &Plan) -> Vec<Mutant> {
    let count = plan.steps.len();
    let pairs = (0..count).flat_map(|after| (0..after).map(move |before| (before, after)));
    let free = pairs.filter(|(before, after)| {
        !plan.steps[*after].needs.iter().any(|need| need.step == plan.steps[*before].id)
    });
    let edge = |(before, after): (usize, usize)| {
        RULES.map(|rule| {
            let need = Need { step: plan.steps[before].id.clone(), rule };
            let what = format!("{} after {} ({})", plan.steps[after].id, need.step, rule.as_str());
            Mutant {
                what,
                ..moved(plan, Harm::Order, after, |plan| plan.steps[after].needs.push(need.clone()))
            }
        })
    };
    free.flat_map(edge).collect()
}

fn in_lane(plan: &Plan, front: bool) -> Vec<Mutant> {
    steps(
        plan,
        |_| true,
        Harm::Order,
        |plan, at| {
            let lane = plan.steps[at].address.lane();
            let step = plan.steps.remove(at);
            let same = |s: &Step| s.address.lane() == lane;
            let place = match front {
                true => plan.steps.iter().position(same),
                false => plan.steps.iter().rposition(same).map(|last| last + 1),
            };
            plan.steps.insert(place.unwrap_or(at), step);
        },
    )
}

/// Takes a step away with everything that names it, as a careful forger would.
fn forget(plan: &mut Plan, id: &StepId) {
    plan.steps.retain(|s| s.id != *id);
    plan.steps.iter_mut().for_each(|s| s.needs.retain(|need| need.step != *id));
    plan.changes.iter_mut().for_each(|change| change.steps.retain(|step| step != id));
    plan.changes.retain(|change| !change.steps.is_empty());
    plan.reverse.iter_mut().for_each(|way| way.lost.retain(|lost| lost.step != *id));
    let locks: Vec<_> = plan.steps.iter().map(|s| s.address.clone()).collect();
    plan.reverse.retain(|way| locks.contains(&way.instance));
    plan.summary = Summary::of(&plan.changes, &plan.steps);
}
