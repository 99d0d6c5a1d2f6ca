//! What an incident may have exposed and the plan does not rotate.

use crate::model::exposure::{Cause, NotRotated};
use crate::plan::document::Plan;
use crate::report::safe;
use crate::report::style::Tone;

/// Everything that stays for one cause.
#[derive(Debug)]
pub struct LeftRow {
    /// `over the limit (12)`
    pub title: String,
    pub tone: Tone,
    /// Address and why, one line each; the last may count those that are not shown.
    pub lines: Vec<String>,
}

/// How many objects are named for one cause.
const NAMED: usize = 20;

/// How many ids of one object are named.
const IDS: usize = 10;

/// By cause, in the order in which they are told.
pub fn left(plan: &Plan) -> Vec<LeftRow> {
    let rows = &plan.extent.not_rotated;
    let mut causes: Vec<Cause> = rows.iter().map(|row| row.cause).collect();
    causes.dedup();
    causes
        .into_iter()
        .map(|cause| of_cause(cause, rows.iter().filter(|row| row.cause == cause).collect()))
        .collect()
}

fn of_cause(cause: Cause, rows: Vec<&NotRotated>) -> LeftRow {
    let mut lines: Vec<String> = rows.iter().take(NAMED).map(|row| line(row)).collect();
    if rows.len() > NAMED {
        lines.push(format!("and {} more; --format json has all", rows.len() - NAMED));
    }
    let tone = if cause.is_open() { Tone::Warn } else { Tone::Dim };
    LeftRow { title: format!("{} ({})", cause.as_str(), rows.len()), tone, lines }
}

fn line(row: &NotRotated) -> String {
    let NotRotated { address, cause: _, why, token_ids } = row;
    let mut ids: Vec<_> = token_ids.iter().take(IDS).map(ToString::to_string).collect();
    if token_ids.len() > IDS {
        ids.push(format!("and {} more", token_ids.len() - IDS));
    }
    let ids = if ids.is_empty() { String::new() } else { format!(" (id {})", ids.join(", ")) };
    format!("{}{ids}: {}", safe::shown(address), safe::line(why))
}
