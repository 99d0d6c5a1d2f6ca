//! A plan as text: changes with their reasons, steps in execution order, what waits, the count.
//!
//! The look is Terraform's; the numbered steps, their rules and the reasons are ours (PRODUCT 6).

mod change;
mod many;
mod parts;
mod step;

use super::rows::Rows;
use super::style::Style;
use crate::plan::document::Plan;

/// The whole plan for a reviewer. `seal` says what is known of the file's seal, for example
/// `seal: verified`; empty for a plan that was just made.
pub fn plan(plan: &Plan, seal: &str, style: &Style) -> String {
    let rows = Rows::of(plan, seal);
    let mut text = vec![parts::opening(&rows, style)];
    if let Some(line) = rows.no_changes {
        text.push(parts::no_changes(line, style));
        text.push(parts::waiting(&rows, style));
        text.push(parts::ages(&rows, style));
        text.push(parts::left(&rows, style));
        text.push(parts::unlisted(&rows, style));
        text.push(parts::findings(&rows, style));
    } else {
        text.push(parts::legend(&rows, style));
        text.extend(many::changes(plan, &rows, style));
        text.push(step::list(&rows, style));
        text.push(parts::effects(&rows, style));
        text.push(parts::reverse(&rows, style));
        text.push(parts::findings(&rows, style));
        text.push(parts::waiting(&rows, style));
        text.push(parts::ages(&rows, style));
        text.push(parts::left(&rows, style));
        text.push(parts::unlisted(&rows, style));
        text.push(parts::invariants(plan, &rows, style));
        text.push(parts::summary(&rows, style));
    }
    text.push(parts::seal(&rows));
    text.retain(|part| !part.is_empty());
    text.join("\n")
}

/// The ages of all tokens that have a rotation, for those who ask for more.
pub fn ages(plan: &Plan, style: &Style) -> String {
    let ages = parts::all_ages(&Rows::all_ages(plan), style);
    if ages.is_empty() { ages } else { format!("\n{ages}") }
}

#[cfg(test)]
mod tests;
