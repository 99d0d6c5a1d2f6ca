//! I1: a replaced token goes only after the one that replaced it is in place, by an edge or by a guard.

use jiff::Timestamp;

use super::{View, has_need, replace, token_id, unlisted};
use crate::model::evidence::EnabledCount;
use crate::model::guard::Guard;
use crate::model::step::{Rule, Shape, Step};
use crate::model::verb::Verb;

/// Every step that disables or deletes a token of a declared name is what the spec asks for, or a
/// retirement that carries its evidence. The numbers of a guard must hold at the time of the plan; right
/// before the step they are judged again.
pub(super) fn retirements(view: &View<'_>, breaks: &mut Vec<String>) {
    let declared = view.steps.iter().filter(|step| unlisted::row(view, &step.address).is_none());
    for step in declared.filter(|step| !replace::is_one(step)) {
        let retires = step.shape == Some(Shape::Overlap) && step.verb != Verb::Issue;
        let count = view.counts.get(&step.address).copied();
        let why = match (retires, count) {
            (true, None) => Some("retires a token of a name that nobody counted".to_owned()),
            (true, Some(count)) => retirement(view, step, count),
            (false, _) if !step.guards.is_empty() => Some("has a guard, but retires nothing".to_owned()),
            (false, Some(count)) if takes(step) && !count.may_be_zero => {
                Some("takes a token that the spec wants, without being its retirement".to_owned())
            }
            (false, Some(count)) if step.verb == Verb::Enable && replaced(step, count) => {
                Some("brings a replaced token back, and does not say so".to_owned())
            }
            (false, _) => None,
        };
        breaks.extend(why.map(|why| format!("step {} {why} (issue-before-retire)", view.number(step))));
    }
}

fn takes(step: &Step) -> bool {
    matches!(step.verb, Verb::Disable | Verb::Delete)
}

fn replaced(step: &Step, count: &EnabledCount) -> bool {
    token_id(step).is_some_and(|id| count.predecessors.contains(&id))
}

/// What is wrong with a retirement.
fn retirement(view: &View<'_>, step: &Step, count: &EnabledCount) -> Option<String> {
    let Some(id) = token_id(step).filter(|id| count.predecessors.contains(id)) else {
        return Some("retires a token that no live one has replaced".into());
    };
    let now = view.plan.created_at;
    let needed = match step.verb {
        Verb::Enable => return None,
        Verb::Disable => [in_place(view, step, count, id, now), guarded(step, |g| idle(g, id, now)), true],
        Verb::Delete => [
            in_place(view, step, count, id, now) && !count.enabled.contains(&id),
            guarded(step, |g| soaked(g, id, now)),
            guarded(step, |g| matches!(g, Guard::NotTried { .. } | Guard::Unwatched { .. })),
        ],
        _ => [false; 3],
    };
    let lacks = ["evidence that its successor is in place", "its time", "a word on who still tries it"];
    let lacking = needed.iter().zip(lacks).find(|(holds, _)| !**holds);
    lacking.map(|(_, what)| format!("retires token id {id} without {what}"))
}

fn guarded(step: &Step, holds: impl Fn(&Guard) -> bool) -> bool {
    step.guards.iter().any(holds)
}

/// The new token is issued by this plan, before this step; or a guard says how it is known that another
/// enabled one has taken its place, and that the overlap is over.
fn in_place(view: &View<'_>, step: &Step, count: &EnabledCount, id: u64, now: Timestamp) -> bool {
    let issues = view.of(&step.address).iter().filter(|s| s.verb == Verb::Issue);
    let earlier = |guard: &Guard| match guard {
        Guard::SuccessorInPlace { token_id, issued_at, overlap, known_by: _ } => {
            *token_id != id && count.enabled.contains(token_id) && overlap.after(*issued_at) <= now
        }
        _ => false,
    };
    issues.into_iter().any(|issue| has_need(step, issue, &[Rule::IssueBeforeRetire]))
        || guarded(step, earlier)
}

fn idle(guard: &Guard, id: u64, now: Timestamp) -> bool {
    match guard {
        Guard::OldIdle { token_id, at_least, last_used_on } => {
            *token_id == id && last_used_on.is_none_or(|last| at_least.after(last) <= now)
        }
        _ => false,
    }
}

fn soaked(guard: &Guard, id: u64, now: Timestamp) -> bool {
    match guard {
        Guard::DisabledFor { token_id, at_least, since } => *token_id == id && at_least.after(*since) <= now,
        _ => false,
    }
}
