//! A plan as text: changes with their reasons, steps in execution order, what waits, the count.
//!
//! The look is Terraform's; the numbered steps, their rules and the reasons are ours (PRODUCT 6).

mod change;
mod head;
mod step;
mod tail;

use std::collections::BTreeMap;

use super::safe;
use super::style::Style;
use crate::model::step::StepId;
use crate::plan::document::{Plan, numbers};

/// The whole plan for a reviewer. `seal` says what is known of the file's seal, for example
/// `seal: verified`; empty for a plan that was just made.
pub fn plan(plan: &Plan, seal: &str, style: &Style) -> String {
    let view = View { plan, style, numbers: numbers(plan) };
    let mut parts = vec![head::opening(&view)];
    if plan.changes.is_empty() && plan.steps.is_empty() {
        parts.push(tail::no_changes(&view));
        parts.push(tail::waiting(&view));
        parts.push(tail::findings(&view));
    } else {
        parts.push(head::legend(&view));
        parts.extend(plan.changes.iter().map(|change| change::block(&view, change)));
        parts.push(step::list(&view));
        parts.push(tail::findings(&view));
        parts.push(tail::waiting(&view));
        parts.push(tail::invariants(&view));
        parts.push(tail::summary(&view));
    }
    parts.push(tail::seal(&view, seal));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// What every part of the text is rendered from.
struct View<'a> {
    plan: &'a Plan,
    style: &'a Style,
    numbers: BTreeMap<&'a StepId, usize>,
}

impl View<'_> {
    /// The numbers of some steps as people read them: `1, 2`; one that the plan lacks by its id.
    fn numbered<'s>(&self, ids: impl IntoIterator<Item = &'s StepId>) -> String {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for id in ids {
            match self.numbers.get(id) {
                Some(number) => known.push(*number),
                None => unknown.push(format!("`{}` (not in this plan)", safe::shown(id))),
            }
        }
        known.sort_unstable();
        let known = known.iter().map(ToString::to_string);
        known.chain(unknown).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
