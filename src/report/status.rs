//! Work in flight: what an interrupted apply left behind, and how it is settled.

use super::safe;
use super::style::{Style, Tone};
use crate::model::address::Address;
use crate::model::history::{History, Hold};
use crate::model::verb::Verb;
use crate::saved;
use crate::state::{Stage, StepLog, Unfinished};
use jiff::Timestamp;

/// The steps of an unfinished apply with the state each is in, as its journal has it, and how to go on.
pub fn in_flight(unfinished: &Unfinished, style: &Style) -> String {
    let id = safe::line(&unfinished.apply_id);
    let by = match unfinished.by.is_unknown() {
        true => String::new(),
        false => format!(" by {}", safe::shown(&unfinished.by)),
    };
    let title = format!("Apply {id}, begun {}{by}, did not come to its end:", unfinished.at);
    let mut text = format!("{}\n", style.paint(Tone::Warn, title));
    for log in &unfinished.steps {
        text.push_str(&format!("  {}: {}\n", safe::shown(&log.step), words(log.stage)));
    }
    if let Some(count) = not_begun(unfinished) {
        text.push_str(&format!("  {count} steps were not begun.\n"));
    }
    text.push_str(&how_to_go_on(unfinished, style));
    text
}

/// An apply that ended in order before all of it was done.
pub fn waits(ended: &Unfinished) -> String {
    let (id, rest) = (safe::line(&ended.apply_id), ended.not_done());
    let mut text = format!("Nothing is in flight. Apply {id} ended with steps that are not done:\n");
    for step in &rest {
        text.push_str(&format!("  {}\n", safe::shown(step)));
    }
    text + "`tokenform resume` goes on with them; the next apply of a new plan takes their place.\n"
}

/// Instances that an unlock by hand holds open, or held until a moment ago. Empty without any.
pub fn holds(history: &History, now: Timestamp) -> String {
    let held = history.objects.iter().filter_map(|(address, past)| Some((address, past.hold.as_ref()?)));
    let line = |(address, hold): (&Address, &Hold)| {
        let Hold { until, reason, by } = hold;
        let by = if by.is_unknown() { String::new() } else { format!(", by {by}") };
        let when = match *until > now {
            true => format!("held open until {until}"),
            false => format!("its hold ended at {until}: the next apply resets and locks as the spec says"),
        };
        safe::shown(format_args!("  {address}: {when} ({reason}{by})")) + "\n"
    };
    let lines: String = held.map(line).collect();
    match lines.is_empty() {
        true => lines,
        false => format!(
            "Unlocked by hand:\n{lines}To end a hold: `tokenform unlock INSTANCE --end --reason TEXT`.\n"
        ),
    }
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

/// The next apply settles first; what it will look for is told.
fn how_to_go_on(unfinished: &Unfinished, style: &Style) -> String {
    let mut text =
        format!("\n{}\n", style.paint(Tone::Bold, "To go on, run `tokenform resume`. It first settles:"));
    for log in unfinished.steps.iter().filter(|log| !log.stage.finished()) {
        text.push_str(&format!("  - {}: {}\n", safe::shown(&log.step), safe::line(&settling(log))));
    }
    text.push_str("Then it finishes the plan that was approved. Nothing is guessed.\n");
    text
}

/// How a step will be settled (PRODUCT section 4).
fn settling(log: &StepLog) -> String {
    match log.verb {
        Verb::Issue => format!(
            "it looks for a token whose note has `g={}`; if no destination has it, its secret is lost and it is deleted",
            log.facts.nonce.as_deref().unwrap_or("?")
        ),
        Verb::Reset => {
            "it reads the key; if it has changed, it is delivered where it is missing, not reset again".into()
        }
        _ => "it reads whether it happened".into(),
    }
}

/// What a person must look at where a step is given up in doubt.
pub fn to_check(log: &StepLog) -> String {
    match log.verb {
        Verb::Issue => format!(
            "look for a token whose note has `g={}`: its secret is lost, delete it",
            log.facts.nonce.as_deref().unwrap_or("?")
        ),
        Verb::Reset => "look whether the key has changed, and who has the new one".into(),
        _ => "look whether it happened".into(),
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
    fn killed_after(records: impl Fn(Timestamp) -> Vec<Record>) -> String {
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
        in_flight(&unfinished, &Style::PLAIN)
    }

    fn began(at: Timestamp) -> Record {
        let address = sample::token("ci");
        let facts = Facts { nonce: Some("c0ffee".into()), ..Facts::default() };
        Record::Began {
            step: crate::model::step::StepId::new(Verb::Issue, &address, 1),
            address,
            verb: Verb::Issue,
            at,
            attempt: 1,
            facts,
            reason: None,
            rationale: None,
        }
    }

    #[test]
    fn an_issue_without_an_answer_is_told_with_the_nonce_to_look_for() {
        let text = killed_after(|at| vec![began(at)]);
        assert!(text.contains("Apply 7f3a, begun 2026-11-22T10:00:00Z"), "{text}");
        assert!(text.contains("its request may have left"), "{text}");
        assert!(text.contains("`g=c0ffee`") && text.contains("tokenform resume"), "{text}");
    }

    #[test]
    fn a_hold_is_told_with_its_end_its_reason_and_who() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let by = crate::model::who::Who { user: Some("ada".into()), ..Default::default() };
        let hold = Hold { until: at("2026-11-22T14:00:00Z"), reason: "INC-7\u{1b}[2J".into(), by };
        let past = crate::model::history::Past { hold: Some(hold), ..Default::default() };
        let mut history = History::default();
        assert_eq!(holds(&history, at("2026-11-22T10:00:00Z")), "");
        history.objects.insert(Address::connection("ibm", "prod").owner("mon"), past);
        let open = holds(&history, at("2026-11-22T10:00:00Z"));
        assert!(open.contains("ibm.prod.mon: held open until 2026-11-22T14:00:00Z (INC-7"), "{open}");
        assert!(open.contains(", by ada)") && !open.contains('\u{1b}'), "{open}");
        let over = holds(&history, at("2026-11-22T14:00:00Z"));
        assert!(over.contains("its hold ended at 2026-11-22T14:00:00Z"), "{over}");
    }

    #[test]
    fn one_that_was_killed_before_its_first_step_says_so() {
        let text = killed_after(|_| Vec::new());
        let steps = sample::everything().steps.len();
        assert!(text.contains(&format!("{steps} steps were not begun")), "{text}");
    }
}
