//! A plan as a comment on a pull request, in GitHub's and GitLab's Markdown.
//!
//! A hidden marker on the first line lets a job find its earlier comment and replace it. The counts
//! come first, so that they are seen even where a comment is folded. Text that others wrote can
//! neither format, link, mention nor close anything: it is escaped, and stands in `code` where it is
//! a name.

use super::rows::{ChangeRow, FieldRow, FindingRow, LeftRow, Notice, ReverseRow, Rows, StepRow, WaitingRow};
use super::style::Style;
use crate::report::diff;

/// What GitHub takes in one comment. It counts characters; bytes are never fewer.
pub const LIMIT: usize = 65_536;

/// What the parts that are never cut, and the closing lines, may need.
const RESERVE: usize = 2_048;

/// The comment. `subject` is what makes the marker: the spec's path as the plan has it.
pub fn plan(rows: &Rows<'_>, subject: &str) -> String {
    let mut page = Page { text: head(rows, subject), left_out: Vec::new() };
    page.section("findings", "", rows.findings.iter().map(finding), "\n");
    page.section("steps", STEPS, rows.steps().map(|row| step(&row)), "\n");
    page.folded("change", "changes", rows.changes().map(|row| change(&row)));
    page.folded("sort of side effects", "sorts of side effects", rows.effects.iter().map(left));
    page.folded("way back from a lock", "ways back from locks", rows.reverse.iter().map(reverse));
    page.folded("object waits", "objects wait", rows.waiting.iter().map(waiting));
    page.folded(
        "reason why things stay exposed",
        "reasons why things stay exposed",
        rows.left.iter().map(left),
    );
    page.folded(
        "group of tokens that the spec does not declare",
        "groups of tokens that the spec does not declare",
        rows.unlisted.iter().map(left),
    );
    page.folded(
        "invariant",
        "invariants",
        rows.invariants.iter().map(|row| {
            let mark = if row.holds { "holds" } else { "**does not hold**" };
            format!("- {} {mark}: {}. {}\n", row.id, row.meaning, prose(&row.proof))
        }),
    );
    page.close(rows)
}

/// The first line of the comment: the same for every plan of one spec.
pub fn marker(subject: &str) -> String {
    // A comment can't hold `--` or `>`.
    let safe = |c: char| if c.is_alphanumeric() || "/._ ".contains(c) { c } else { '_' };
    format!("<!-- tokenform:plan {} -->", subject.chars().map(safe).collect::<String>())
}

/// The comment while it grows.
struct Page {
    text: String,
    /// What did not fit, for the last line.
    left_out: Vec<String>,
}

impl Page {
    fn fits(&self, piece: &str) -> bool {
        self.text.len() + piece.len() + RESERVE <= LIMIT
    }

    /// Rows behind a heading, as many as fit; what is left out is told, and not rendered.
    fn section(&mut self, name: &str, heading: &str, rows: impl ExactSizeIterator<Item = String>, end: &str) {
        let all = rows.len();
        let mut shown = 0;
        for row in rows {
            let piece = if shown == 0 { format!("{heading}{row}") } else { row };
            if !self.fits(&piece) {
                break;
            }
            self.text.push_str(&piece);
            shown += 1;
        }
        if shown > 0 {
            self.text.push_str(end);
        }
        if shown < all {
            self.left_out.push(format!("{} of {all} {name}", all - shown));
        }
    }

    /// Rows behind a line that unfolds.
    fn folded(&mut self, one: &str, many: &str, rows: impl ExactSizeIterator<Item = String>) {
        let title = match rows.len() {
            1 => format!("1 {one}"),
            n => format!("{n} {many}"),
        };
        let open = format!("<details><summary>{title}</summary>\n\n");
        self.section(many, &open, rows, "\n</details>\n\n");
    }

    fn close(mut self, rows: &Rows<'_>) -> String {
        if !self.left_out.is_empty() {
            let left = self.left_out.join(", ");
            self.text.push_str(&format!(
                "**Cut: this comment can't hold the whole plan.** Not shown: {left}. Read all of it with \
                 `tokenform show PLANFILE` before you approve.\n\n"
            ));
        }
        match (&rows.seal, rows.proved()) {
            (_, false) if rows.no_changes.is_none() => {
                self.text.push_str("**The checker refuses this plan.** It can't be applied.\n");
            }
            (Some(seal), _) => self.text.push_str(&format!("{}\n", prose(seal))),
            (None, _) => self.text.push_str("Not saved: this plan can't be applied as it is.\n"),
        }
        self.text
    }
}

fn head(rows: &Rows<'_>, subject: &str) -> String {
    let verdict = match rows.no_changes {
        Some(line) => line.to_owned(),
        None => rows.summary(),
    };
    let notices: String = rows.opening.iter().map(notice).collect();
    format!("{}\n### tokenform plan\n\n**{verdict}**\n\n{notices}", marker(subject))
}

fn notice(notice: &Notice) -> String {
    let title = notice.title.map(|title| format!("**{title}** ")).unwrap_or_default();
    let lines: Vec<_> = notice.lines.iter().map(|line| prose(line)).collect();
    format!("> {title}{}\n\n", lines.join("<br>"))
}

const STEPS: &str =
    "| # | step | object | after | undo | last use |\n| ---: | --- | --- | --- | --- | --- |\n";

fn step(row: &StepRow) -> String {
    let StepRow { number, verb, address, shape, irreversible, undo, after, last_use, to, only_if, .. } = row;
    let verb = shape.map_or_else(|| verb.to_string(), |shape| format!("{verb} ({shape})"));
    let undo = if *irreversible { format!("**{undo}**") } else { (*undo).to_owned() };
    let to = to.as_ref().map(|to| format!("<br>to {}", code(to))).unwrap_or_default();
    let only_if =
        only_if.as_ref().map(|only_if| format!("<br>only if {}", code(only_if))).unwrap_or_default();
    let [after, last_use] = [after, last_use].map(|cell| cell.as_deref().map(prose).unwrap_or_default());
    format!("| {number} | {verb} | {}{to}{only_if} | {after} | {undo} | {last_use} |\n", code(address))
}

fn reverse(row: &ReverseRow) -> String {
    let ReverseRow { instance, how, steps, lost } = row;
    let steps = steps.iter().zip(1..).map(|(step, n)| format!("  {n}. {}\n", prose(step)));
    let lost = lost.iter().map(|lost| format!("  - can't be undone: {}\n", prose(lost)));
    format!("- {}: {}\n{}", code(instance), prose(how), steps.chain(lost).collect::<String>())
}

fn finding(row: &FindingRow) -> String {
    let FindingRow { severity, code: id, address, message, help, .. } = row;
    let about = address.as_ref().map(|address| format!("{}: ", code(address))).unwrap_or_default();
    let help = help.map(|help| format!(" <br>help: {}", prose(help))).unwrap_or_default();
    let message = prose(message);
    format!("- **{}** {} {about}{message}{help}\n", prose(severity), code(id))
}

fn change(row: &ChangeRow) -> String {
    let ChangeRow { address, kind, sentence, reason, fields, notes, step_count, steps, action } = row;
    let symbol = Style::UNICODE.symbol(*action);
    let head = format!("- {} {} {sentence}", code(symbol), code(address));
    let step = if *step_count == 1 { "step" } else { "steps" };
    let mut text = format!("{head}: {} ({}; {step} {steps})\n", prose(reason), prose(kind));
    for line in fields.iter().flat_map(field).chain(notes.iter().map(|note| format!("note: {}", prose(note))))
    {
        text.push_str(&format!("  - {line}\n"));
    }
    text
}

/// What an attribute becomes; nothing for one that stays as it is.
fn field(row: &FieldRow) -> Option<String> {
    let FieldRow { name, before, after, diff } = row;
    if row.is_kept() {
        return None;
    }
    let changed = |before: &str, after: &str| format!("{}: {} → {}", code(name), code(before), code(after));
    Some(match (before, after, diff) {
        (.., Some(diff)) => {
            format!("{}: {}", code(name), diff.iter().filter_map(line).collect::<Vec<_>>().join(", "))
        }
        (before, after, None) => {
            changed(before.as_deref().unwrap_or("(none)"), after.as_deref().unwrap_or("(none)"))
        }
    })
}

/// A changed line of long settings.
fn line(row: &diff::Row) -> Option<String> {
    match row {
        diff::Row::Same(_) | diff::Row::Skipped => None,
        diff::Row::Gone(line) => Some(format!("− {}", code(line.trim()))),
        diff::Row::New(line) => Some(format!("+ {}", code(line.trim()))),
    }
}

fn waiting(row: &WaitingRow) -> String {
    let until = row.until.as_ref().map(|at| format!(", until {at}")).unwrap_or_default();
    format!("- {}: {}{until}\n", code(&row.address), prose(&row.what))
}

/// What may be exposed and stays, for one cause.
fn left(row: &LeftRow) -> String {
    let lines: String = row.lines.iter().map(|line| format!("  - {}\n", code(line))).collect();
    format!("- {}\n{lines}", prose(&row.title))
}

/// A name or value: as it is, whatever is in it. `<code>` and not backquotes, since those can be closed
/// from within; entities, since a table would end at a bar.
fn code(text: &str) -> String {
    format!("<code>{}</code>", prose(text))
}

/// Words of others within a sentence: no formatting, no links, no mentions. An empty comment parts a
/// text so that none is seen in it.
fn prose(text: &str) -> String {
    let text = escape(text).replace('\n', "<br>").replace('@', "@<!-- -->");
    text.replace("://", ":<!-- -->//").replace("www.", "www<!-- -->.")
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' | '!' => {
                safe.push_str(&format!("&#{};", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
