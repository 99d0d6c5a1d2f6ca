//! A plan as one HTML page: no scripts, nothing fetched, readable in light and dark, printable.

mod picture;
mod tables;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::rows::{AgeRow, Notice, Rows};
use super::style::Tone;

const STYLE: &str = include_str!("style.css");

/// The page. `ages` are those of all tokens with a rotation; `subject` names the spec in its title.
pub fn plan(rows: &Rows<'_>, ages: &[AgeRow], subject: &str) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing is fetched and nothing runs, whatever a name in the plan may try.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { "tokenform plan: " (subject) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(rows, subject))
                (opening(rows))
                (tables::findings(rows))
                @if rows.steps().len() > 0 {
                    section { h2 { "Order" } (picture::order(rows)) }
                    section { h2 { "Steps" } (tables::steps(rows)) }
                    section { h2 { "Changes" } (tables::changes(rows)) }
                }
                (tables::reverse(rows))
                (tables::waiting(rows))
                (tables::groups("Side effects", &rows.effects))
                (tables::groups("Possibly exposed, and not rotated by this plan", &rows.left))
                (tables::groups("Tokens that the spec does not declare", &rows.unlisted))
                @if !ages.is_empty() { section { h2 { "Ages" } (timeline::ages(ages)) } }
                (tables::invariants(rows))
                footer { (foot(rows)) }
            }
        }
    };
    page.into_string() + "\n"
}

fn head(rows: &Rows<'_>, subject: &str) -> Markup {
    html! {
        header {
            h1 { "tokenform plan" }
            p.subject { (subject) }
            @match rows.no_changes {
                Some(line) => p.verdict { (line) },
                None => ul.counts {
                    @for row in &rows.counts {
                        li.zero[row.count == 0] { b { (row.count) } " to " (row.action.as_str()) }
                    }
                    li.bad[rows.irreversible > 0] { b { (rows.irreversible) } " irreversible" }
                },
            }
        }
    }
}

fn opening(rows: &Rows<'_>) -> Markup {
    html! { @for notice in &rows.opening { (self::notice(notice)) } }
}

fn notice(notice: &Notice) -> Markup {
    let Notice { title, tone, lines } = notice;
    html! {
        p.notice.warn[*tone == Tone::Warn || *tone == Tone::Bad] {
            @if let Some(title) = title { b { (title) } " " }
            @for (i, line) in lines.iter().enumerate() {
                @if i > 0 { br; }
                (line)
            }
        }
    }
}

fn foot(rows: &Rows<'_>) -> Markup {
    html! {
        @match &rows.seal {
            Some(seal) => (seal),
            None => "Not saved: this plan can't be applied as it is.",
        }
    }
}

#[cfg(test)]
mod tests;
