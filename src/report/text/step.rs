//! The steps, numbered in execution order: what is called, what comes first, what can't be undone.

use super::many;
use crate::report::rows::{Rows, StepRow};
use crate::report::style::{Style, Tone};

/// The list of the steps; empty where there is none.
pub fn list(rows: &Rows<'_>, style: &Style) -> String {
    let count = rows.steps().len();
    if count == 0 {
        return String::new();
    }
    let digits = count.to_string().len();
    let steps = match count > many::SHOWN {
        true => many::steps(rows, |row| one(row, digits, style), digits),
        false => rows.steps().map(|row| one(&row, digits, style)).collect(),
    };
    format!("{}, in the order in which they run:\n{steps}", style.paint(Tone::Bold, "Steps"))
}

fn one(row: &StepRow, digits: usize, style: &Style) -> String {
    let StepRow { number, verb, address, shape, irreversible, undo, call, after, to, only_if, .. } = row;
    let title = style.paint(Tone::Bold, format!("{verb} {address}"));
    let shape = shape.map(|shape| format!("{shape}, ")).unwrap_or_default();
    let undo = match irreversible {
        true => style.paint(Tone::Bad, undo),
        false => (*undo).to_owned(),
    };
    let indent = " ".repeat(digits + 6);
    let mut text = format!("  {number:digits$}. {title} ({shape}{undo})\n");
    let rows = [
        Some(call.clone()),
        after.as_ref().map(|after| format!("after {after}")),
        to.as_ref().map(|to| format!("to {to}")),
        only_if.as_ref().map(|condition| format!("only if {condition}, else later")),
    ];
    for row in rows.into_iter().flatten() {
        text.push_str(&format!("{indent}{row}\n"));
    }
    text
}
