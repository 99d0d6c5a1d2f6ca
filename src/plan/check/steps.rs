//! Each step by itself: its name, its edges and what is said of it. Part of I1.

use std::collections::BTreeSet;

use super::order::{callers_of, replaces_a_caller};
use super::{View, callers};
use crate::model::change::Action;
use crate::model::evidence::VisibleTeam;
use crate::model::step::{Rule, Shape, Step, StepId};
use crate::model::verb::Verb;

/// A step is called what it does, does it once, waits only for what a rule puts before it, and its
/// reviewer was told whether it can be undone.
pub(super) fn say_what_they_do(view: &View<'_>, breaks: &mut Vec<String>) {
    let mut acts = BTreeSet::new();
    for step in view.steps {
        let number = view.number(step);
        if !is_named(step) {
            breaks.push(format!("step {number} is not the `{}` that its id says", step.id));
        }
        if !acts.insert((&step.address, step.verb, step.params.get("token_id"))) {
            breaks.push(format!("step {number} does again what an earlier step does"));
        }
        if step.irreversible != step.verb.properties().irreversible {
            let word = if step.irreversible { "can" } else { "can't" };
            breaks.push(format!("step {number}, a {}, {word} be undone, and it says the reverse", step.verb));
        }
        if step.verb == Verb::Reset && !is_visible(view, step) {
            breaks.push(format!("step {number} resets the token of a team that nobody saw, or of none"));
        }
        if (step.verb, step.shape) == (Verb::Issue, Some(Shape::Overlap)) && callers(view, step).is_none() {
            breaks.push(format!(
                "step {number} replaces a token, and nothing tells what tokenform logs in with there"
            ));
        }
        stray_needs(view, step, breaks);
    }
}

/// The id is made of verb and address; several of one sort are numbered.
fn is_named(step: &Step) -> bool {
    let plain = StepId::new(step.verb, &step.address, 1);
    let rest = step.id.as_str().strip_prefix(plain.as_str());
    rest.is_some_and(|rest| match rest.strip_prefix(" #") {
        Some(number) => number.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    })
}

/// The teams of an instance are listed where the plan switches it, and then every reset is of one of them.
fn is_visible(view: &View<'_>, step: &Step) -> bool {
    let Some(row) = view.visible(&step.address.lane()) else { return !view.switches(&step.address) };
    let is_it = |team: &VisibleTeam| {
        team.address == step.address && step.params.get("team_id") == Some(&team.id.to_string())
    };
    view.switches(&step.address) && row.teams.iter().any(is_it)
}

/// A step that waits for what no rule puts before it may be kept from running by a failure elsewhere.
fn stray_needs(view: &View<'_>, step: &Step, breaks: &mut Vec<String>) {
    let mut connections = None;
    for need in &step.needs {
        let Some(at) = view.position.get(&need.step) else { continue };
        let before = &view.steps[*at];
        let fits = match need.rule {
            Rule::CallerLast => {
                replaces_a_caller(view, step)
                    && before.address != step.address
                    && connections
                        .get_or_insert_with(|| callers_of(view, step))
                        .contains(&before.address.of_connection())
            }
            rule => fits(rule, before, step),
        };
        if !fits {
            let (number, before) = (view.number(step), view.number(before));
            breaks.push(format!(
                "step {number} needs step {before}, which is no case of {}",
                need.rule.as_str()
            ));
        }
    }
}

fn fits(rule: Rule, before: &Step, after: &Step) -> bool {
    let taken = matches!(after.verb, Verb::Disable | Verb::Delete);
    let same_object = before.address == after.address;
    let same_lane = before.address.lane() == after.address.lane();
    match rule {
        Rule::ResetBeforeLock | Rule::LockCoversAll => {
            same_lane && (before.verb, after.verb) == (Verb::Reset, Verb::Lock)
        }
        Rule::LockLast => same_lane && after.verb == Verb::Lock && before.verb != Verb::Reset,
        Rule::UnlockBeforeReset => same_lane && (before.verb, after.verb) == (Verb::Unlock, Verb::Reset),
        Rule::IssueBeforeRetire => same_object && before.verb == Verb::Issue && taken,
        Rule::DisableBeforeDelete => {
            same_object && (before.verb, after.verb) == (Verb::Disable, Verb::Delete)
        }
        Rule::DeleteBeforeIssue => {
            let shapes = [before.shape, after.shape] == [Some(Shape::Replace); 2];
            same_object && shapes && (before.verb, after.verb) == (Verb::Delete, Verb::Issue)
        }
        Rule::CallerLast => false,
    }
}

/// The counts that a reviewer reads first are those of the plan.
pub(super) fn summary_counts(view: &View<'_>, breaks: &mut Vec<String>) {
    let count = |action: Action| view.plan.changes.iter().filter(|change| change.action == action).count();
    for action in Action::ALL {
        let (told, counted) = (view.plan.summary.count(action) as usize, count(action));
        if told != counted {
            breaks.push(format!("the summary says {told} to {}, the changes are {counted}", action.as_str()));
        }
    }
    let lost = view.steps.iter().filter(|step| step.irreversible).count();
    let told = view.plan.summary.irreversible as usize;
    if told != lost {
        breaks.push(format!("the summary says {told} irreversible, the steps are {lost}"));
    }
}
