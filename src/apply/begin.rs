//! Whether a plan may begin now, by the spec's change windows.

use jiff::Timestamp;

use super::ApplyError;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::plan::document::Plan;
use crate::provider::state::Desired;
use crate::review::windows;
use crate::state::{Stage, Unfinished};

/// Whether steps may begin that never did. It is asked before the first mutation of a run alone: what has
/// begun is brought to its end, and what follows it belongs to it. `left` is what a resumed run goes on with.
pub fn may_begin(
    plan: &Plan,
    left: Option<&Unfinished>,
    desired: &Desired,
    now: Timestamp,
) -> Result<(), ApplyError> {
    if owes_resets(plan, left) || owes_tokens(plan, left) {
        return Ok(());
    }
    match windows::refusal(&desired.changes, &plan.asked, now) {
        None => Ok(()),
        Some(refusal) => Err(ApplyError::Closed(Box::new(refusal))),
    }
}

/// Whether a token was deleted to be replaced and its successor is not made: until then nothing of its name
/// works, which no window is a reason for either. A new plan makes nothing else then.
fn owes_tokens(plan: &Plan, left: Option<&Unfinished>) -> bool {
    let is_one = |step: &Step, verb| step.verb == verb && step.shape == Some(Shape::Replace);
    let stage = |step: &Step| left.and_then(|left| left.step(&step.id)).map(|log| log.stage);
    let deletes = |issue: &Step, delete: &Step| issue.needs.iter().any(|need| need.step == delete.id);
    let gone = |issue: &Step| {
        let mut before = plan.steps.iter().filter(|step| is_one(step, Verb::Delete) && deletes(issue, step));
        before.any(|delete| stage(delete) == Some(Stage::Done))
    };
    let made = |step: &Step| matches!(stage(step), Some(Stage::Done | Stage::Failed));
    let mut issues = plan.steps.iter().filter(|step| is_one(step, Verb::Issue));
    match left {
        Some(_) => issues.any(|issue| !made(issue) && gone(issue)),
        None => {
            let owed = |step: &Step| is_one(step, Verb::Issue) && step.needs.is_empty();
            !plan.steps.is_empty() && plan.steps.iter().all(owed)
        }
    }
}

/// Whether an instance stands open and the resets that must follow did not happen: until then earlier tokens
/// may work, which no window is a reason for.
fn owes_resets(plan: &Plan, left: Option<&Unfinished>) -> bool {
    let amends = plan.amends.as_ref().is_some_and(|amends| !amends.unlocked.is_empty());
    let is_done =
        |step: &Step| left.and_then(|left| left.step(&step.id)).is_some_and(|log| log.stage == Stage::Done);
    let opened = plan.steps.iter().filter(|step| step.verb == Verb::Unlock && is_done(step));
    let owed = |unlock: &Step| {
        plan.steps.iter().any(|step| step.needs.iter().any(|need| need.step == unlock.id) && !is_done(step))
    };
    amends || opened.into_iter().any(owed)
}
