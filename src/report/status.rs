//! Work in flight: what an interrupted apply left behind, and how it is settled.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::safe;
use super::style::{Style, Tone};
use crate::model::address::Address;
use crate::model::history::{History, Hold};
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::who::Who;
use crate::saved;
use crate::state::{Held, Holder, Stage, Standing, StepLog, Unfinished};

/// What is in flight in a state.
pub enum Flight {
    /// There is no state at that place.
    NoState(PathBuf),
    Running(Held),
    Idle,
    /// An apply ended in order before all of it was done.
    Waits(Unfinished),
    /// An apply did not come to its end.
    Unfinished(Unfinished),
}

/// What is in flight, how to go on, and what is held open.
pub fn text(flight: &Flight, history: &History, now: Timestamp, style: &Style) -> String {
    let text = match flight {
        Flight::NoState(folder) => {
            format!("No state at {}: nothing was ever applied.\n", safe::line(&folder.to_string_lossy()))
        }
        Flight::Running(held) => running(held),
        Flight::Idle => "Nothing is in flight.\n".to_owned(),
        Flight::Waits(ended) => waits(ended),
        Flight::Unfinished(unfinished) => in_flight(unfinished, style),
    };
    text + &holds(history, now) + &protected(history)
}

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    /// `no_state`, `running`, `idle`, `waits` or `unfinished`.
    state: &'static str,
    /// Who runs it, as far as is known.
    holder: Option<&'a Holder>,
    apply: Option<ApplyRow<'a>>,
    holds: BTreeMap<String, &'a Hold>,
    /// What the ledger remembers as protected.
    protected: Vec<&'a Address>,
}

#[derive(Serialize)]
struct ApplyRow<'a> {
    id: &'a str,
    at: Timestamp,
    by: &'a Who,
    /// Steps that began, in the order in which they did.
    steps: Vec<StepRow<'a>>,
    /// Steps that surely did not happen.
    not_done: Vec<StepId>,
}

#[derive(Serialize)]
struct StepRow<'a> {
    step: &'a StepId,
    address: String,
    verb: Verb,
    stage: Stage,
    /// How `resume` settles it; absent where nothing is in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    settling: Option<String>,
}

/// The same as JSON.
pub fn json(flight: &Flight, history: &History) -> String {
    let (state, holder, apply) = match flight {
        Flight::NoState(_) => ("no_state", None, None),
        Flight::Running(held) => ("running", held.standing.holder(), None),
        Flight::Idle => ("idle", None, None),
        Flight::Waits(ended) => ("waits", None, Some(ended)),
        Flight::Unfinished(unfinished) => ("unfinished", None, Some(unfinished)),
    };
    let holds = history.objects.iter().filter_map(|(at, past)| Some((at.to_string(), past.hold.as_ref()?)));
    let document = Document {
        format_version: "1.0",
        state,
        holder,
        apply: apply.map(apply_row),
        holds: holds.collect(),
        protected: remembered(history).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("a status is strings and numbers");
    text.push('\n');
    text
}

fn apply_row(unfinished: &Unfinished) -> ApplyRow<'_> {
    ApplyRow {
        id: &unfinished.apply_id,
        at: unfinished.at,
        by: &unfinished.by,
        steps: unfinished.steps.iter().map(step_row).collect(),
        not_done: unfinished.not_done(),
    }
}

fn step_row(log: &StepLog) -> StepRow<'_> {
    let StepLog { step, address, verb, stage, .. } = log;
    let settling = (!stage.finished()).then(|| settling(log));
    StepRow { step, address: address.to_string(), verb: *verb, stage: *stage, settling }
}

/// Who has the state now, and what to do about it.
fn running(held: &Held) -> String {
    let holder = held.standing.holder().map(super::lock::who).unwrap_or_default();
    let title = match held.standing {
        Standing::Held(_) => "An apply is running:",
        _ => "An apply may be running:",
    };
    format!("{title}\n{holder}{}\n", safe::lines(&held.help()))
}

/// The steps of an unfinished apply with the state each is in, as its journal has it, and how to go on.
fn in_flight(unfinished: &Unfinished, style: &Style) -> String {
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
fn waits(ended: &Unfinished) -> String {
    let (id, rest) = (safe::line(&ended.apply_id), ended.not_done());
    let mut text = format!("Nothing is in flight. Apply {id} ended with steps that are not done:\n");
    for step in &rest {
        text.push_str(&format!("  {}\n", safe::shown(step)));
    }
    text + "`tokenform resume` goes on with them; the next apply of a new plan takes their place.\n"
}

/// Instances that an unlock by hand holds open, or held until a moment ago. Empty without any.
fn holds(history: &History, now: Timestamp) -> String {
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

fn remembered(history: &History) -> impl Iterator<Item = &Address> {
    history.objects.iter().filter(|(_, past)| past.protected).map(|(address, _)| address)
}

/// What is protected whatever the spec says. Empty without any.
fn protected(history: &History) -> String {
    let lines: String = remembered(history).map(|address| format!("  {}\n", safe::shown(address))).collect();
    match lines.is_empty() {
        true => lines,
        false => format!("Protected, as the ledger remembers; `protect: false` lifts it:\n{lines}"),
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
        in_flight(&left_after(records), &Style::PLAIN)
    }

    /// What is left of an apply that was killed after these records.
    fn left_after(records: impl Fn(Timestamp) -> Vec<Record>) -> Unfinished {
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
        state.unfinished().unwrap().expect("it is unfinished")
    }

    fn began(at: Timestamp) -> Record {
        let address = sample::token("ci");
        let facts = Facts { nonce: Some("c0ffee".into()), ..Facts::default() };
        Record::Began {
            step: StepId::new(Verb::Issue, &address, 1),
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
        let by = Who { user: Some("ada".into()), ..Default::default() };
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
    fn what_is_remembered_as_protected_is_listed() {
        let mut history = History::default();
        assert_eq!(protected(&history), "");
        let fence = crate::model::history::Past { protected: true, ..Default::default() };
        let at = Address::connection("ibm", "prod").owner("mon");
        history.objects.insert(at.owner("other"), Default::default());
        history.objects.insert(at, fence);
        assert!(protected(&history).ends_with("lifts it:\n  ibm.prod.mon\n"), "{}", protected(&history));
    }

    #[test]
    fn as_json_each_step_has_its_stage_and_how_it_is_settled() {
        let unfinished = left_after(|at| vec![began(at)]);
        let json: serde_json::Value =
            serde_json::from_str(&json(&Flight::Unfinished(unfinished), &History::default())).unwrap();
        assert_eq!(json["state"], "unfinished");
        assert_eq!(json["apply"]["id"], "7f3a");
        let step = &json["apply"]["steps"][0];
        assert_eq!((&step["verb"], &step["stage"]), (&"issue".into(), &"began".into()));
        assert!(step["settling"].as_str().unwrap().contains("g=c0ffee"), "{step}");
        let steps = sample::everything().steps.len();
        assert_eq!(json["apply"]["not_done"].as_array().unwrap().len(), steps);
        let idle: serde_json::Value =
            serde_json::from_str(&super::json(&Flight::Idle, &History::default())).unwrap();
        assert_eq!((&idle["state"], &idle["apply"]), (&"idle".into(), &serde_json::Value::Null));
    }

    #[test]
    fn one_that_was_killed_before_its_first_step_says_so() {
        let text = killed_after(|_| Vec::new());
        let steps = sample::everything().steps.len();
        assert!(text.contains(&format!("{steps} steps were not begun")), "{text}");
    }
}
