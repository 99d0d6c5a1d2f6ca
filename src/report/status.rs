//! Work in flight: what an interrupted apply left behind, and what a person can do about it.

use std::path::Path;

use super::safe;
use super::style::{Style, Tone};
use crate::model::verb::Verb;
use crate::saved;
use crate::state::{Stage, StepLog, Unfinished};

/// The steps of an unfinished apply with the state each is in, as its journal has it, and how to go on.
pub fn in_flight(unfinished: &Unfinished, journal: &Path, style: &Style) -> String {
    let id = safe::line(&unfinished.apply_id);
    let by = unfinished.by.as_deref().map_or(String::new(), |by| format!(" by {}", safe::line(by)));
    let title = format!("Apply {id}, begun {}{by}, did not come to its end:", unfinished.at);
    let mut text = format!("{}\n", style.paint(Tone::Warn, title));
    for log in &unfinished.steps {
        text.push_str(&format!("  {}: {}\n", safe::shown(&log.step), words(log.stage)));
    }
    if let Some(count) = not_begun(unfinished) {
        text.push_str(&format!("  {count} steps were not begun.\n"));
    }
    text.push_str(&how_to_go_on(unfinished, journal, style));
    text
}

/// What a step's last record says.
fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Began => "its request may have left; nothing is known of its effect",
        Stage::Answered => "it happened; its value may not have been delivered",
        Stage::Delivered => "it happened and was delivered, at least in part; it is not proved",
        Stage::Done => "done",
        Stage::Refused => "nothing happened",
        Stage::Failed => "it happened; a delivery or a proof failed",
        Stage::InDoubt => "in doubt",
    }
}

fn not_begun(unfinished: &Unfinished) -> Option<usize> {
    let plan = saved::parse(&unfinished.plan).ok()?.plan;
    let count = plan.steps.iter().filter(|step| unfinished.step(&step.id).is_none()).count();
    (count > 0).then_some(count)
}

/// `resume` is not built yet, so a person settles what is left.
fn how_to_go_on(unfinished: &Unfinished, journal: &Path, style: &Style) -> String {
    let mut text = format!("\n{}\n", style.paint(Tone::Bold, "To go on:"));
    for log in unfinished.steps.iter().filter(|log| !log.stage.finished()) {
        text.push_str(&format!("  - {}: {}\n", safe::shown(&log.step), safe::line(&advice(log))));
    }
    text.push_str(&format!(
        "  - Then move {} away and plan again: the new plan starts from what is live.\n",
        safe::shown(journal.display())
    ));
    text
}

fn advice(log: &StepLog) -> String {
    match log.verb {
        Verb::Issue => format!(
            "look in the portal for a token whose note has `g={}`; if it is there and not delivered, its secret is lost: delete it.",
            log.facts.nonce.as_deref().unwrap_or("?")
        ),
        Verb::Reset => "nothing is lost: the key can be read while the instance is ANY, and the next plan \
                        delivers it. If the instance was to be locked, the next plan resets it once more."
            .into(),
        Verb::Unlock => {
            "look at the instance; if it is ANY, earlier tokens may work: reset each team's token.".into()
        }
        _ => "the next plan reads whether it happened.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::model::history::Facts;
    use crate::report::sample;
    use crate::state::{Journal, Record, StateDir};

    /// The text for an apply that was killed after these records.
    fn killed_after(records: impl Fn(jiff::Timestamp) -> Vec<Record>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let key = state.key(&Env::system()).unwrap();
        let at = "2026-11-22T10:00:00Z".parse().unwrap();
        let plan = saved::seal(&sample::everything(), &key);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let journal = Journal::create(&state, "7f3a", at, &plan).unwrap();
            for record in records(at) {
                journal.record(record).await.unwrap();
            }
        });
        let unfinished = state.unfinished().unwrap().expect("it is unfinished");
        in_flight(&unfinished, Path::new(".tokenform/journal/current.jsonl"), &Style::PLAIN)
    }

    fn began(at: jiff::Timestamp) -> Record {
        let address = sample::token("ci");
        let facts = Facts { nonce: Some("c0ffee".into()), ..Facts::default() };
        Record::Began {
            step: crate::model::step::StepId::new(Verb::Issue, &address, 1),
            address,
            verb: Verb::Issue,
            at,
            attempt: 1,
            facts,
            rationale: None,
        }
    }

    #[test]
    fn an_issue_without_an_answer_is_told_with_the_nonce_to_look_for() {
        let text = killed_after(|at| vec![began(at)]);
        assert!(text.contains("Apply 7f3a, begun 2026-11-22T10:00:00Z"), "{text}");
        assert!(text.contains("its request may have left"), "{text}");
        assert!(text.contains("`g=c0ffee`") && text.contains("current.jsonl"), "{text}");
    }

    #[test]
    fn one_that_was_killed_before_its_first_step_says_so() {
        let text = killed_after(|_| Vec::new());
        let steps = sample::everything().steps.len();
        assert!(text.contains(&format!("{steps} steps were not begun")), "{text}");
    }
}
