//! The story as a table: a line per line of the ledger, the why last.

use super::{Story, span, value};
use crate::model::who::Who;
use crate::report::safe;
use crate::report::style::{Style, Tone};
use crate::state::ledger::{Entry, Finished, Row};

const HEAD: [&str; 7] = ["WHEN", "WHAT", "OBJECT", "VALUE", "LIVED", "WHO", "WHY"];

/// The table; with `details`, what else each line tells stands below it.
pub fn text(story: &Story<'_>, details: bool, style: &Style) -> String {
    let table: Vec<[String; 7]> = story.rows.iter().map(|row| cells(story, row)).collect();
    let widths = widths(&table);
    let head = HEAD.map(str::to_owned);
    let mut text = format!("{}\n", style.paint(Tone::Bold, line(&head, &widths)));
    for (row, cells) in story.rows.iter().zip(&table) {
        text.push_str(&line(cells, &widths));
        text.push('\n');
        if details {
            text.extend(self::details(row).iter().map(|detail| format!("    {detail}\n")));
        }
    }
    text
}

fn cells(story: &Story<'_>, row: &Row) -> [String; 7] {
    let crate::state::ledger::Line { at, by, reason, entry } = &row.line;
    let lived = story.ended_by(row).and_then(|life| life.lived());
    [
        format!("{at:.0}"),
        entry.word().to_owned(),
        entry.address().map(safe::shown).unwrap_or_default(),
        safe::line(&value(entry)).into_owned(),
        lived.map(span).unwrap_or_default(),
        safe::line(&short(by)).into_owned(),
        safe::line(&why(reason.as_deref(), entry)).into_owned(),
    ]
}

/// The person, else the CI system.
fn short(by: &Who) -> String {
    let Who { user, host, ci } = by;
    match (user.is_some() || host.is_some(), ci) {
        (true, _) => Who { ci: None, ..by.clone() }.to_string(),
        (false, Some(ci)) => ci.system.clone(),
        (false, None) => "?".into(),
    }
}

/// The reason has the rationale in it, unless it was kept apart.
fn why(reason: Option<&str>, entry: &Entry) -> String {
    let rationale = entry.step().and_then(|step| step.rationale.as_deref());
    let outside = entry.step().and_then(|step| step.outside_window.as_ref());
    let outside = outside.map(|reason| format!("outside the window: {reason}"));
    [reason, rationale, outside.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The widest cell of each column. The last column has no bound: nothing stands behind it.
fn widths(table: &[[String; 7]]) -> [usize; 7] {
    let mut widths = HEAD.map(str::len);
    for cells in table {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// What else a line tells, each as one safe line.
fn details(row: &Row) -> Vec<String> {
    let mut told = vec![format!("line {}, hash {}", row.number, row.hash)];
    if let Some(ci) = &row.line.by.ci {
        let of = |words: &str, part: &Option<String>| {
            part.as_ref().map(|part| format!("{words}{part}")).unwrap_or_default()
        };
        let (job, commit, actor) =
            (of(" ", &ci.job), of(", commit ", &ci.commit), of(", started by ", &ci.actor));
        told.push(format!("in {}{job}{commit}{actor}", ci.system));
    }
    match &row.line.entry {
        Entry::Step(step) => told.extend(of_step(step)),
        Entry::Abandoned { apply, in_doubt, not_begun } => {
            told.push(format!("apply {apply}"));
            told.extend(in_doubt.iter().map(|(step, what)| format!("in doubt: {step}: {what}")));
            told.extend(not_begun.iter().map(|step| format!("did not happen: {step}")));
        }
        Entry::LockBroken { since, .. } => told.extend(since.map(|since| format!("held since {since}"))),
        Entry::HoldExtended { until, .. } => told.push(format!("not locked again until {until}")),
        Entry::HoldEnded { .. } | Entry::Forgotten { .. } => {}
    }
    told.iter().map(|detail| safe::line(detail).into_owned()).collect()
}

fn of_step(step: &Finished) -> Vec<String> {
    let plan = step.plan.as_ref().map(|plan| format!(", plan file {plan}")).unwrap_or_default();
    let mut told = vec![format!("apply {}{plan}", step.apply)];
    let approved = step.approvals.iter();
    told.extend(approved.map(|one| format!("approved by {} ({})", one.by.join(", "), one.key)));
    told.extend(step.facts.identity.as_ref().map(|identity| format!("token of {identity}")));
    told.extend(step.facts.proof.map(|proof| match proof {
        crate::model::history::Proof::Refused => "the old value was tried, and refused".to_owned(),
        crate::model::history::Proof::Changed => {
            "the value has changed; the old one could not be tried".to_owned()
        }
    }));
    told.extend(step.facts.hold_until.map(|until| format!("not locked again until {until}")));
    for (slot, receipt) in &step.delivered {
        let at = receipt.at.map(|at| format!(" at {at}")).unwrap_or_default();
        told.push(format!("{slot} was given {}{at}", receipt.fingerprint.short()));
    }
    told
}
