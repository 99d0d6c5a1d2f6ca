//! What is read: steps, changes, findings, what waits, invariants.

use maud::{Markup, html};

use crate::report::diff;
use crate::report::graph;
use crate::report::rows::{ChangeRow, FieldRow, FindingRow, LeftRow, Rows, StepRow};
use crate::report::style::{Style, Tone};

/// More rows of one sort than this make a page that no browser shows and nobody reads.
const MOST: usize = 2_000;

pub fn steps(rows: &Rows<'_>) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th.number { "#" }
                        @for title in ["Step", "Object", "Call", "After", "Undo", "Last use"] { th { (title) } }
                    }
                }
                tbody { @for row in rows.steps().take(MOST) { (step(&row)) } }
            }
        }
        (more(rows.steps().len(), "steps"))
    }
}

/// What a page does not hold.
fn more(of: usize, what: &str) -> Markup {
    html! {
        @if of > MOST {
            p.notice.warn {
                b { "Cut:" } " " (of - MOST) " of " (of) " " (what) " are not shown. `--format json` has all of them: \
                read it before you approve."
            }
        }
    }
}

pub fn changes(rows: &Rows<'_>) -> Markup {
    html! {
        @for row in rows.changes().take(MOST) { (change(&row)) }
        (more(rows.changes().len(), "changes"))
    }
}

fn step(row: &StepRow) -> Markup {
    let StepRow { number, address, irreversible, undo, call, after, to, only_if, last_use, .. } = row;
    html! {
        tr id={ "step-" (number) } {
            td.number { (number) }
            td { (graph::title(row)) }
            td {
                code { (address) }
                @if let Some(to) = to { div.dim { "to " code { (to) } } }
                @if let Some(only_if) = only_if { div.dim { "only if " code { (only_if) } ", else later" } }
            }
            td { code { (call) } }
            td { (after.as_deref().unwrap_or("")) }
            td.bad[*irreversible] { (undo) }
            td { (last_use.as_deref().unwrap_or("")) }
        }
    }
}

fn change(row: &ChangeRow) -> Markup {
    let ChangeRow { address, kind, action, sentence, reason, fields, notes, step_count, steps } = row;
    html! {
        article {
            h3 {
                span.symbol.(tone(Tone::of(*action))) { (Style::UNICODE.symbol(*action)) } " "
                code { (address) } " " (sentence)
            }
            p { span.dim { (kind) ": " } (reason) }
            @if !fields.is_empty() {
                table.fields { @for field in fields { (self::field(field)) } }
            }
            @for note in notes { p.note { (note) } }
            @if *step_count > 0 {
                p.dim { @if *step_count == 1 { "step " } @else { "steps " } (steps) }
            }
        }
    }
}

fn field(row: &FieldRow) -> Markup {
    let FieldRow { name, before, after, diff } = row;
    html! {
        tr {
            th { (name) }
            @match (diff, before, after) {
                (Some(diff), ..) => td { pre { @for line in diff { (self::line(line)) } } },
                (None, Some(same), Some(_)) if row.is_kept() => td.dim { (same) },
                (None, Some(before), Some(after)) => td { del { (before) } " → " ins { (after) } },
                (None, None, Some(after)) => td { ins { (after) } },
                (None, Some(before), None) => td { del { (before) } },
                (None, None, None) => td {},
            }
        }
    }
}

fn line(row: &diff::Row) -> Markup {
    html! {
        @match row {
            diff::Row::Same(line) => { "  " (line) "\n" },
            diff::Row::Gone(line) => { del { "- " (line) } "\n" },
            diff::Row::New(line) => { ins { "+ " (line) } "\n" },
            diff::Row::Skipped => "  ...\n",
        }
    }
}

pub fn findings(rows: &Rows<'_>) -> Markup {
    html! {
        @if !rows.findings.is_empty() {
            section {
                h2 { "Findings" }
                @for row in rows.findings.iter().take(MOST) { (finding(row)) }
                (more(rows.findings.len(), "findings"))
            }
        }
    }
}

fn finding(row: &FindingRow) -> Markup {
    let FindingRow { severity, tone, code, address, message, help } = row;
    html! {
        div.finding.(self::tone(*tone)) {
            p { b { (severity) } " " code { (code) } }
            p.lines {
                @if let Some(address) = address { code { (address) } ": " }
                (message)
            }
            @if let Some(help) = help { p.dim { "help: " (help) } }
        }
    }
}

pub fn reverse(rows: &Rows<'_>) -> Markup {
    html! {
        @if !rows.reverse.is_empty() {
            section {
                h2 { "To undo a lock later" }
                @for row in &rows.reverse {
                    p { code { (row.instance) } ": " (row.how) }
                    ol { @for step in &row.steps { li { (step) } } }
                    @for lost in &row.lost { p { "can't be undone: " (lost) } }
                }
            }
        }
    }
}

pub fn waiting(rows: &Rows<'_>) -> Markup {
    html! {
        @if !rows.waiting.is_empty() {
            section {
                h2 { "Waiting" }
                table {
                    thead { tr { th { "Object" } th { "What" } th { "Until" } } }
                    tbody {
                        @for row in rows.waiting.iter().take(MOST) {
                            tr {
                                td { code { (row.address) } }
                                td { (row.what) }
                                td { (row.until.as_deref().unwrap_or("")) }
                            }
                        }
                    }
                }
                (more(rows.waiting.len(), "waiting objects"))
            }
        }
    }
}

pub fn groups(title: &str, groups: &[LeftRow]) -> Markup {
    html! {
        @if !groups.is_empty() {
            section {
                h2 { (title) }
                @for row in groups {
                    p { b { (row.title) } }
                    ul { @for line in &row.lines { li { (line) } } }
                }
            }
        }
    }
}

pub fn invariants(rows: &Rows<'_>) -> Markup {
    html! {
        @if !rows.invariants.is_empty() {
            section {
                h2 { "Invariants" }
                @if !rows.proved() && rows.no_changes.is_none() {
                    p.notice.warn { b { "The checker refuses this plan." } " It can't be applied." }
                }
                table {
                    tbody {
                        @for row in &rows.invariants {
                            tr {
                                td { (row.id) }
                                td.bad[!row.holds] { @if row.holds { "holds" } @else { "does not hold" } }
                                td { (row.meaning) }
                                td.lines { (row.proof) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The class of a tone.
fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Change | Tone::Warn => "warn",
        Tone::Bad => "bad",
        Tone::Dim | Tone::Bold => "plain",
    }
}
