//! What stands around changes and steps: the opening and legend, findings, what waits, the counts.

use super::many;
use crate::plan::document::Plan;
use crate::report::check;
use crate::report::rows::{AgeRow, FindingRow, LeftRow, Notice, ReverseRow, Rows, WaitingRow};
use crate::report::style::{Style, Tone};

/// Lines about the plan as a whole; empty for an ordinary one.
pub fn opening(rows: &Rows<'_>, style: &Style) -> String {
    rows.opening.iter().map(|notice| self::notice(notice, style)).collect()
}

fn notice(notice: &Notice, style: &Style) -> String {
    let Notice { title, tone, lines } = notice;
    let title = title.map(|title| style.paint(*tone, title) + " ").unwrap_or_default();
    format!("{title}{}\n", lines.join("\n  "))
}

/// The symbols that the changes below use.
pub fn legend(rows: &Rows<'_>, style: &Style) -> String {
    let line = |action| format!("  {} {}\n", style.mark(action), action.as_str());
    let lines: String = rows.actions.iter().map(|action| line(*action)).collect();
    format!("tokenform will make these changes:\n{lines}")
}

pub fn no_changes(line: &str, style: &Style) -> String {
    format!("{}\n", style.paint(Tone::Bold, line))
}

pub fn findings(rows: &Rows<'_>, style: &Style) -> String {
    // What refuses the plan is never behind what does not.
    let (errors, others): (Vec<_>, Vec<_>) = rows.findings.iter().partition(|row| row.tone == Tone::Bad);
    let findings = match rows.findings.len() > many::SHOWN {
        true => many::first(&[errors, others].concat(), |row| finding(row, style)),
        false => rows.findings.iter().map(|row| finding(row, style)).collect(),
    };
    titled("Findings:", findings, style)
}

fn finding(row: &FindingRow, style: &Style) -> String {
    let FindingRow { severity, tone, code, address, message, help } = row;
    let head = style.paint(*tone, format!("{severity}[{code}]"));
    let about = address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
    let help = help.map(|help| format!("    help: {help}\n")).unwrap_or_default();
    format!("  {head}\n    {about}{}\n{help}", message.replace('\n', "\n    "))
}

pub fn reverse(rows: &Rows<'_>, style: &Style) -> String {
    let ways = rows.reverse.iter().map(|ReverseRow { instance, how, steps, lost }| {
        let steps: String = steps.iter().zip(1..).map(|(step, n)| format!("    {n}. {step}\n")).collect();
        let lost: String = lost.iter().map(|lost| format!("    can't be undone: {lost}\n")).collect();
        format!("  {instance}: {how}\n{steps}{lost}")
    });
    titled("To undo a lock later:", ways.collect(), style)
}

pub fn waiting(rows: &Rows<'_>, style: &Style) -> String {
    let waiting = many::first(&rows.waiting, |WaitingRow { address, what, until }| {
        let until = until.as_ref().map(|at| format!(", until {at}")).unwrap_or_default();
        format!("  {address}: {what}{until}\n")
    });
    titled("Waiting:", waiting, style)
}

pub fn ages(rows: &Rows<'_>, style: &Style) -> String {
    let mut ages = many::first(&rows.ages, |row| age(row, style));
    if !ages.is_empty() && rows.due_later > 0 {
        ages.push_str(&format!("  {} more are due later; `plan -v` shows them.\n", rows.due_later));
    }
    titled("Due soon, or late:", ages, style)
}

/// What may be exposed and stays, by cause.
pub fn left(rows: &Rows<'_>, style: &Style) -> String {
    titled("Possibly exposed, and not rotated by this plan:", grouped(&rows.left, style), style)
}

/// What it does to people and programs, by sort.
pub fn effects(rows: &Rows<'_>, style: &Style) -> String {
    titled("Side effects:", grouped(&rows.effects, style), style)
}

/// Tokens that the spec does not declare, by what becomes of them.
pub fn unlisted(rows: &Rows<'_>, style: &Style) -> String {
    titled("Tokens that the spec does not declare:", grouped(&rows.unlisted, style), style)
}

fn grouped(rows: &[LeftRow], style: &Style) -> String {
    let group = |row: &LeftRow| {
        let lines: String = row.lines.iter().map(|line| format!("    {line}\n")).collect();
        format!("  {}\n{lines}", style.paint(row.tone, &row.title))
    };
    rows.iter().map(group).collect()
}

pub fn all_ages(ages: &[AgeRow], style: &Style) -> String {
    titled("Ages of tokens with a rotation:", ages.iter().map(|row| age(row, style)).collect(), style)
}

fn age(row: &AgeRow, style: &Style) -> String {
    let AgeRow { address, says, tone, issued, .. } = row;
    let issued = issued.as_ref().map(|at| format!(" (issued {at})")).unwrap_or_default();
    format!("  {address}: {}{issued}\n", style.paint(*tone, says))
}

/// One line where all of them hold, else each of them.
pub fn invariants(plan: &Plan, rows: &Rows<'_>, style: &Style) -> String {
    if !rows.proved() {
        return check::admitted(plan, style);
    }
    let ids: Vec<_> = rows.invariants.iter().map(|row| row.id.as_str()).collect();
    let ids = match ids.join(" ").as_str() {
        "I1 I2 I3 I4 I5 I6 I7" => style.pick("I1–I7", "I1-I7").to_owned(),
        _ => ids.join(", "),
    };
    format!("Invariants {ids} hold; `tokenform check` shows the proof.\n")
}

/// `Plan: 1 to create, … 2 to invalidate. 5 irreversible.`
pub fn summary(rows: &Rows<'_>, style: &Style) -> String {
    format!("{} {}\n", style.paint(Tone::Bold, "Plan:"), rows.summary())
}

pub fn seal(rows: &Rows<'_>) -> String {
    rows.seal.as_ref().map(|seal| format!("{seal}\n")).unwrap_or_default()
}

fn titled(title: &str, rows: String, style: &Style) -> String {
    match rows.is_empty() {
        true => rows,
        false => format!("{}\n{rows}", style.paint(Tone::Bold, title)),
    }
}
