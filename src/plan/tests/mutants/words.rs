//! Changes of what steps, changes and evidence say.

use super::order::steps;
use super::{Harm, Mutant, Operator};
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::step::{Delivery, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::plan::document::{Plan, Summary};

pub const OPERATORS: &[Operator] = &[
    ("a step has another verb", |plan| {
        let others = |step: &Step, n: usize| VERBS.into_iter().filter(|v| *v != step.verb).nth(n);
        choices(plan, VERBS.len() - 1, |step, n| {
            step.verb = others(step, n)?;
            Some(())
        })
    }),
    ("a step has another verb, and its id too", |plan| {
        let others = |step: &Step, n: usize| VERBS.into_iter().filter(|v| *v != step.verb).nth(n);
        let mut all = Vec::new();
        for n in 0..VERBS.len() - 1 {
            all.extend(steps(
                plan,
                |_| true,
                Harm::Always,
                |plan, at| {
                    let step = &mut plan.steps[at];
                    step.verb = others(step, n).expect("one of the others");
                    let id = StepId::new(step.verb, &step.address, 1);
                    let was = std::mem::replace(&mut step.id, id.clone());
                    rename(plan, &was, &id);
                },
            ));
        }
        all
    }),
    ("a step has another shape", |plan| {
        let shapes = [
            None,
            Some(Shape::Invalidate),
            Some(Shape::SingleSlot),
            Some(Shape::Overlap),
            Some(Shape::Replace),
        ];
        choices(plan, shapes.len() - 1, |step, n| {
            step.shape = shapes.into_iter().filter(|shape| *shape != step.shape).nth(n)?;
            Some(())
        })
    }),
    ("a step is on another object of the plan", |plan| {
        let others: Vec<Address> = plan.steps.iter().map(|step| step.address.clone()).collect();
        choices(plan, others.len(), |step, n| {
            let other = others[n].clone();
            (other != step.address).then(|| step.address = other)
        })
    }),
    ("a step is on an object that nobody declared", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Always,
            |plan, at| {
                let connection = plan.steps[at].address.of_connection();
                plan.steps[at].address = connection.owner("elsewhere").item("team", "x");
            },
        )
    }),
    ("a step has another id", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Always,
            |plan, at| {
                let other = plan.steps[at].address.of_connection().owner("elsewhere");
                let id = StepId::new(plan.steps[at].verb, &other, 1);
                let was = std::mem::replace(&mut plan.steps[at].id, id.clone());
                rename(plan, &was, &id);
            },
        )
    }),
    ("a new secret goes nowhere", |plan| {
        let kept = |step: &Step| !step.destinations.is_empty();
        steps(plan, kept, Harm::Always, |plan, at| plan.steps[at].destinations.clear())
    }),
    ("a destination is added where none belongs", |plan| {
        let none = |step: &Step| step.destinations.is_empty() && step.verb != Verb::Issue;
        steps(plan, none, Harm::Always, |plan, at| {
            plan.steps[at].destinations.push(Delivery { to: "x".into(), key: None, id_key: None });
        })
    }),
    ("a guard is left out", |plan| {
        let most = plan.steps.iter().map(|step| step.guards.len()).max().unwrap_or(0);
        choices(plan, most, |step, n| (n < step.guards.len()).then(|| drop(step.guards.remove(n))))
    }),
    ("what can't be undone is called undoable, or the reverse", |plan| {
        steps(
            plan,
            |_| true,
            Harm::Always,
            |plan, at| {
                plan.steps[at].irreversible ^= true;
                plan.summary = Summary::of(&plan.changes, &plan.steps);
            },
        )
    }),
    ("a step takes another token or team than proved", |plan| {
        let rests = |step: &Step| {
            step.shape == Some(Shape::Invalidate) && sees(plan, &step.address)
                || step.shape == Some(Shape::Overlap) && step.verb != Verb::Issue
        };
        steps(plan, rests, Harm::Always, |plan, at| {
            let params = &mut plan.steps[at].params;
            let ids = params.iter_mut().filter(|(name, _)| matches!(name.as_str(), "token_id" | "team_id"));
            ids.for_each(|(_, id)| *id = "990099".into());
        })
    }),
    ("a change is left out", |plan| rows(plan, plan.changes.len(), |plan, n| drop(plan.changes.remove(n)))),
    ("a change is called another action", |plan| {
        let mut all = Vec::new();
        for action in Action::ALL {
            let other = |plan: &mut Plan, n: usize| plan.changes[n].action = action;
            all.extend(rows(plan, plan.changes.len(), other).into_iter().filter(|m| m.plan != *plan));
        }
        all
    }),
    ("a count of the summary is another one", |plan| {
        let counts: [fn(&mut Plan) -> &mut u32; 12] = [
            |p| &mut p.summary.create,
            |p| &mut p.summary.rotate,
            |p| &mut p.summary.lock,
            |p| &mut p.summary.enable,
            |p| &mut p.summary.disable,
            |p| &mut p.summary.delete,
            |p| &mut p.summary.invalidate,
            |p| &mut p.summary.deliver,
            |p| &mut p.summary.unlock,
            |p| &mut p.summary.protect,
            |p| &mut p.summary.unprotect,
            |p| &mut p.summary.irreversible,
        ];
        rows(plan, counts.len(), |plan, n| *counts[n](plan) += 1)
    }),
    ("a visible team is left out", |plan| {
        let rests = |(n, team): &(usize, usize)| {
            let address = &plan.evidence.visible_teams[*n].teams[*team].address;
            let covered = plan.amends.iter().flat_map(|amends| &amends.covered);
            let mut used = plan.steps.iter().map(|s| &s.address).chain(covered.map(|row| &row.address));
            used.any(|used| used == address)
        };
        let teams =
            places(plan, |plan| plan.evidence.visible_teams.iter().map(|row| row.teams.len()).collect());
        made(plan, teams.into_iter().filter(rests).collect(), |plan, (n, team)| {
            drop(plan.evidence.visible_teams[n].teams.remove(team));
        })
    }),
    ("the teams of an instance are left out", |plan| {
        let switched = |n: &usize| {
            let instance = &plan.evidence.visible_teams[*n].instance;
            plan.steps.iter().any(|step| step.address == *instance)
        };
        let rows = (0..plan.evidence.visible_teams.len()).filter(switched);
        made(plan, rows.map(|n| (n, 0)).collect(), |plan, (n, _)| {
            drop(plan.evidence.visible_teams.remove(n));
        })
    }),
    ("a count of enabled tokens is left out", |plan| {
        let counted = |n: &usize| {
            let address = &plan.evidence.enabled_counts[*n].address;
            plan.steps.iter().any(|step| step.address == *address && takes(step))
        };
        let rows = (0..plan.evidence.enabled_counts.len()).filter(counted);
        made(plan, rows.map(|n| (n, 0)).collect(), |plan, (n, _)| {
            drop(plan.evidence.enabled_counts.remove(n));
        })
    }),
    ("what tokenform logs in with is left out", |plan| {
        let rests = |n: &usize| {
            let connection = &plan.evidence.callers[*n].connection;
            let rotates = |step: &Step| step.verb == Verb::Issue && step.shape.is_some();
            let mut there = plan.steps.iter().filter(|step| step.address.of_connection() == *connection);
            there.any(|step| takes(step) || rotates(step))
        };
        let rows = (0..plan.evidence.callers.len()).filter(rests);
        made(plan, rows.map(|n| (n, 0)).collect(), |plan, (n, _)| drop(plan.evidence.callers.remove(n)))
    }),
    ("a step of the way back is left out", |plan| {
        let ways = places(plan, |plan| plan.reverse.iter().map(|way| way.steps.len()).collect());
        made(plan, ways, |plan, (n, step)| drop(plan.reverse[n].steps.remove(step)))
    }),
    ("what can't be undone is left out of the way back", |plan| {
        let ways = places(plan, |plan| plan.reverse.iter().map(|way| way.lost.len()).collect());
        made(plan, ways, |plan, (n, step)| drop(plan.reverse[n].lost.remove(step)))
    }),
    ("a reset of an interrupted run is left out", |plan| {
        let rows = plan.amends.as_ref().map_or(0, |amends| amends.covered.len());
        rows_of(plan, rows, |plan, n| drop(plan.amends.as_mut().expect("a row").covered.remove(n)))
    }),
];

const VERBS: [Verb; 10] = [
    Verb::Reset,
    Verb::Issue,
    Verb::Deliver,
    Verb::Enable,
    Verb::Disable,
    Verb::Delete,
    Verb::Lock,
    Verb::Unlock,
    Verb::Protect,
    Verb::Unprotect,
];

fn sees(plan: &Plan, team: &Address) -> bool {
    plan.evidence.visible_teams.iter().flat_map(|row| &row.teams).any(|row| row.address == *team)
}

fn takes(step: &Step) -> bool {
    matches!(step.verb, Verb::Disable | Verb::Delete)
}

/// Each of so many changes of each step, where there is one.
fn choices(plan: &Plan, count: usize, change: impl Fn(&mut Step, usize) -> Option<()>) -> Vec<Mutant> {
    let places = (0..plan.steps.len()).flat_map(|at| (0..count).map(move |n| (at, n)));
    let mutant = |(at, n): (usize, usize)| {
        let mut changed = plan.clone();
        change(&mut changed.steps[at], n)?;
        let step = &changed.steps[at];
        let what = format!("{} becomes {} {:?} {}", plan.steps[at].id, step.verb, step.shape, step.address);
        Some(Mutant { what, plan: changed, harm: Harm::Always })
    };
    places.filter_map(mutant).collect()
}

fn rows(plan: &Plan, count: usize, change: impl Fn(&mut Plan, usize)) -> Vec<Mutant> {
    rows_of(plan, count, change)
}

fn rows_of(plan: &Plan, count: usize, change: impl Fn(&mut Plan, usize)) -> Vec<Mutant> {
    made(plan, (0..count).map(|n| (n, 0)).collect(), |plan, (n, _)| change(plan, n))
}

/// Places in a list of lists.
fn places(plan: &Plan, lengths: impl Fn(&Plan) -> Vec<usize>) -> Vec<(usize, usize)> {
    let lengths = lengths(plan).into_iter().zip(0..);
    lengths.flat_map(|(length, n)| (0..length).map(move |at| (n, at))).collect()
}

fn made(plan: &Plan, places: Vec<(usize, usize)>, change: impl Fn(&mut Plan, (usize, usize))) -> Vec<Mutant> {
    let mutant = |place: (usize, usize)| {
        let mut changed = plan.clone();
        change(&mut changed, place);
        Mutant { what: format!("row {place:?}"), plan: changed, harm: Harm::Always }
    };
    places.into_iter().map(mutant).collect()
}

/// Everything that names a step by its id names it by another.
fn rename(plan: &mut Plan, was: &StepId, id: &StepId) {
    let needs = plan.steps.iter_mut().flat_map(|step| &mut step.needs).map(|need| &mut need.step);
    let reviewed = plan.changes.iter_mut().flat_map(|change| &mut change.steps);
    for name in needs.chain(reviewed).filter(|name| **name == *was) {
        name.clone_from(id);
    }
    for way in &mut plan.reverse {
        let undone = way.steps.iter_mut().filter_map(|step| step.undoes.as_mut());
        let lost = way.lost.iter_mut().map(|lost| &mut lost.step);
        undone.chain(lost).filter(|name| **name == *was).for_each(|name| name.clone_from(id));
    }
}
