//! The end of every apply: what is done, failed, in doubt, not started or deferred, and what next.

use super::safe;
use super::style::{Style, Tone};
use crate::model::outcome::{Line, Outcome};

/// The summary. It begins with `Apply complete: 7 done.` or `Apply incomplete: 3 done, 1 failed, …`.
pub fn outcome(outcome: &Outcome, style: &Style) -> String {
    let Outcome { done, failed, in_doubt, not_started, deferred, next, proof } = outcome;
    let mut text = headline(outcome, style);
    text.push_str(&list("Done", Tone::Good, done, style));
    text.push_str(&list("Failed", Tone::Bad, failed, style));
    text.push_str(&list("In doubt", Tone::Bad, in_doubt, style));
    text.push_str(&list("Not started", Tone::Warn, not_started, style));
    text.push_str(&list("Deferred", Tone::Change, deferred, style));
    text.push_str(&ending(proof.as_deref(), next.as_deref(), style));
    text
}

/// What the apply proved as a whole, and the one command that continues; empty without either.
pub fn ending(proof: Option<&str>, next: Option<&str>, style: &Style) -> String {
    let mut text = String::new();
    if let Some(proof) = proof {
        text.push_str(&format!("\n{}\n", safe::lines(proof)));
    }
    if let Some(next) = next {
        text.push_str(&format!("\n{} {}\n", style.paint(Tone::Bold, "Next:"), safe::line(next)));
    }
    text
}

fn headline(outcome: &Outcome, style: &Style) -> String {
    let Outcome { done, failed, in_doubt, not_started, deferred, next: _, proof: _ } = outcome;
    let line = match (outcome.is_complete(), deferred.len()) {
        (true, 0) => format!("Apply complete: {} done.", done.len()),
        (true, later) => format!("Apply complete: {} done, {later} deferred.", done.len()),
        (false, later) => format!(
            "Apply incomplete: {} done, {} failed, {} in doubt, {} not started, {later} deferred.",
            done.len(),
            failed.len(),
            in_doubt.len(),
            not_started.len()
        ),
    };
    let tone = if outcome.is_complete() { Tone::Good } else { Tone::Bad };
    format!("{}\n", style.paint(tone, line))
}

fn list(title: &str, tone: Tone, lines: &[Line], style: &Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let rows: String = lines.iter().map(row).collect();
    format!("\n{}\n{rows}", style.paint(tone, format_args!("{title}:")))
}

/// The step's id holds its address already.
fn row(line: &Line) -> String {
    let Line { step, address: _, detail } = line;
    let step = safe::shown(step);
    match detail.as_str() {
        "" => format!("  {step}\n"),
        detail => format!("  {step}: {}\n", safe::lines(detail).replace('\n', "\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_whole_apply_says_so_in_one_line() {
        let whole = Outcome { done: vec![sample::line("SRE", "old key refused")], ..Outcome::default() };
        assert!(outcome(&whole, &Style::PLAIN).starts_with("Apply complete: 1 done.\n"));
        let later = Outcome { deferred: vec![sample::line("SRE", "")], ..whole };
        assert!(outcome(&later, &Style::PLAIN).starts_with("Apply complete: 1 done, 1 deferred.\n"));
    }

    #[test]
    fn a_broken_apply_lists_every_step_and_the_way_on() {
        let broken = Outcome {
            done: vec![sample::line("SRE", "old key refused; delivered to ops-env#KEY")],
            failed: vec![sample::line("Ops", "403 from\nhost\x1b[2J")],
            in_doubt: vec![sample::line("Web", "no answer")],
            not_started: vec![sample::line("DB", ""), sample::line("CI", "")],
            deferred: vec![],
            next: Some("tokenform status".to_owned()),
            proof: Some("1 of 5 old keys was refused.".to_owned()),
        };
        snapbox::assert_data_eq!(
            outcome(&broken, &Style::PLAIN),
            snapbox::IntoData::raw(snapbox::str![[r#"
Apply incomplete: 1 done, 1 failed, 1 in doubt, 2 not started, 0 deferred.

Done:
  reset ibm.prod.mon-prod.team["SRE"]: old key refused; delivered to ops-env#KEY

Failed:
  reset ibm.prod.mon-prod.team["Ops"]: 403 from
    host\u{1b}[2J

In doubt:
  reset ibm.prod.mon-prod.team["Web"]: no answer

Not started:
  reset ibm.prod.mon-prod.team["DB"]
  reset ibm.prod.mon-prod.team["CI"]

1 of 5 old keys was refused.

Next: tokenform status

"#]])
        );
    }
}
