//! The proof of an apply: everything is read again, and the next plan must be empty.
//!
//! What an apply has just changed may be shown late by the vendor: how long LogicMonitor's lists and
//! IBM's enforcement take is documented nowhere (contracts logicmonitor 12, ibm 9). So it is read
//! again for a bounded time while all that can be late is late. What the apply did not touch can't be.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Job;
use crate::cli::session::Session;
use crate::model::address::Address;
use crate::model::change::{Action, Change, Field};
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::outcome::Outcome;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::plan::document::Plan;
use crate::plan::{EXPIRES, Planned};

/// Pauses before each read, in seconds: a minute in all (contract ibm 4.3).
const PAUSES: [u64; 6] = [0, 2, 4, 8, 16, 30];

/// What reading everything again has shown.
pub enum Proof {
    /// Steps are missing, so there is nothing to prove.
    NotTried,
    Interrupted,
    Holds(String),
    Fails(String),
}

impl Proof {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::NotTried => None,
            Self::Interrupted => {
                Some("interrupted before everything was read again: the result is not proved")
            }
            Self::Holds(text) | Self::Fails(text) => Some(text),
        }
    }
}

/// Reads again until it holds, or what is left can't be a delay. An interrupt ends it: all steps are
/// done, and a plan shows the same.
pub fn read(session: &Session, job: &Job<'_>, plan: &Plan, outcome: &Outcome) -> Proof {
    let touched: BTreeSet<&Address> = outcome.done.iter().map(|line| &line.address).collect();
    let mut waited = 0;
    let mut left = Vec::new();
    for pause in PAUSES {
        if let Some(late) = left.iter().find_map(Left::late) {
            let (address, why) = (late.clone(), "live state does not show yet what was done".to_owned());
            job.output.event(&Event::Waiting { address, why, seconds: pause });
        }
        let Ok(()) = job.wait(session, Duration::from_secs(pause)) else { return Proof::Interrupted };
        waited += pause;
        let Ok(snapshot) = job.read(session) else { return Proof::Interrupted };
        let mut planned = session.plan_to_read(&snapshot, EXPIRES, true);
        // What needs a person's eye waits there. What was just done does not: it is not as it was left.
        let mut attended = session.plan_to_read(&snapshot, EXPIRES, false);
        let due = take_due(&mut planned.plan, plan);
        take_due(&mut attended.plan, plan);
        left = disagreements(&planned, &attended, &touched);
        if left.is_empty() {
            return Proof::Holds(holds(&planned, &due, waited));
        }
        if !left.iter().any(|left| left.late().is_some()) {
            break;
        }
    }
    Proof::Fails(fails(&left, waited))
}

/// One thing that is not as the spec wants it.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// This apply has changed it: it may only be shown late.
    Late {
        address: Address,
        what: String,
    },
    Other {
        address: Option<Address>,
        what: String,
    },
    /// It could not be read, so nobody knows.
    Unread(String),
}

impl Left {
    fn late(&self) -> Option<&Address> {
        match self {
            Self::Late { address, .. } => Some(address),
            Self::Other { .. } | Self::Unread(_) => None,
        }
    }
}

/// After the last step the next plan must be empty, or only waiting.
fn disagreements(planned: &Planned, attended: &Planned, touched: &BTreeSet<&Address>) -> Vec<Left> {
    let is_touched = |address: &Address| touched.iter().any(|own| own.covers(address));
    let sort = |address: Option<&Address>, what: String| match address {
        Some(address) if is_touched(address) => Left::Late { address: address.clone(), what },
        address => Left::Other { address: address.cloned(), what },
    };
    // A target that was changed and that the spec does not declare need not be there any more.
    let errors = planned.findings.iter().filter(|f| f.is_error() && f.code != code::PLAN_TARGET);
    let errors = errors.map(|finding| match is_unread(finding) {
        true => Left::Unread(finding.to_string()),
        false => sort(finding.address.as_ref(), finding.message.clone()),
    });
    let planned = &planned.plan.changes;
    let held = attended.plan.changes.iter().filter(|change| !planned.contains(change));
    let changes = planned.iter().chain(held.filter(|change| is_touched(&change.address)));
    errors.chain(changes.map(|change| sort(Some(&change.address), wanted(change)))).collect()
}

/// Takes out what has become due by this apply or since its plan, and belongs to the next one: the
/// other steps in the life of a token that is replaced. A step that repeats one of this apply has not
/// become due: it is not shown yet, or was undone.
fn take_due(next: &mut Plan, applied: &Plan) -> Vec<Change> {
    let about = |step: &Step| {
        (
            step.address.clone(),
            step.verb,
            ["token_id", "predecessor"].map(|name| step.params.get(name).cloned()),
        )
    };
    let repeats = |step: &Step| applied.steps.iter().any(|own| about(own) == about(step));
    let is_life = |step: &Step| step.shape == Some(Shape::Overlap) && !repeats(step);
    let steps = &next.steps;
    // what had to wait for a plan of its own
    let lifts = applied.steps.iter().any(|step| step.verb == Verb::Unprotect);
    let is_due = |change: &mut Change| {
        if lifts && !matches!(change.action, Action::Protect | Action::Unprotect) {
            return true;
        }
        let mut own = steps.iter().filter(|step| change.steps.contains(&step.id));
        !change.steps.is_empty() && own.all(is_life)
    };
    next.changes.extract_if(.., is_due).collect()
}

/// Reads are repeated by themselves as long as that helps.
fn is_unread(finding: &Finding) -> bool {
    [code::HTTP_CALL, code::CREDENTIAL].contains(&finding.code)
}

/// What is wanted of an object and what it is, field by field.
fn wanted(change: &Change) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let told = |field: &Field| {
        format!("{} is {}, and the spec wants {}", field.name, value(&field.before), value(&field.after))
    };
    let fields: Vec<_> = change.fields.iter().map(told).collect();
    match fields.is_empty() {
        true => format!("to {}: {}", change.action.as_str(), change.reason),
        false => format!("to {}: {}", change.action.as_str(), fields.join("; ")),
    }
}

fn holds(planned: &Planned, due: &[Change], waited: u64) -> String {
    let after = if waited == 0 { String::new() } else { format!(" after {waited} s") };
    if let Some(asked) = &planned.plan.asked.unlock {
        let waits = planned.plan.waiting.iter().filter(|waiting| waiting.address == asked.instance);
        let until = |at: Option<jiff::Timestamp>| at.map_or(String::new(), |at| format!(", until {at}"));
        let waits: Vec<_> = waits.map(|w| format!(" {}{}", w.what, until(w.until))).collect();
        return format!("read again{after}: {}{}", asked.instance, waits.concat());
    }
    let later = if planned.plan.waiting.is_empty() { "" } else { "; what is left waits for its time" };
    let part = if planned.plan.complete { "" } else { " in the part that was planned" };
    let due: Vec<_> =
        due.iter().map(|change| format!("{} {}", change.action.as_str(), change.address)).collect();
    let due = match due.is_empty() {
        true => String::new(),
        false => format!("; due by now, for the next apply: {}", due.join(", ")),
    };
    format!("read again: live state matches the spec{part}{after}{later}{due}")
}

fn fails(left: &[Left], waited: u64) -> String {
    let unread: Vec<_> = left.iter().filter_map(unread).collect();
    let mut text = match unread.is_empty() {
        true => "read again: not as the spec wants it:".to_owned(),
        false => format!("read again, but: {}", unread.join("; ")),
    };
    for left in left {
        let (address, what, why) = match left {
            Left::Unread(_) => continue,
            Left::Late { address, what } => (
                address.to_string(),
                what,
                format!("this apply changed it, and it is still so after {waited} s"),
            ),
            Left::Other { address: Some(address), what } => {
                (address.to_string(), what, "this apply did not touch it".to_owned())
            }
            Left::Other { address: None, what } => ("the plan".to_owned(), what, String::new()),
        };
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        text.push_str(&format!("\n  {address}: {what}{why}"));
    }
    text
}

fn unread(left: &Left) -> Option<&str> {
    match left {
        Left::Unread(what) => Some(what),
        Left::Late { .. } | Left::Other { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::change::Action;
    use crate::model::step::StepId;
    use crate::model::verb::Verb;
    use crate::report::sample;

    fn change(address: &Address, fields: Vec<Field>) -> Change {
        Change {
            address: address.clone(),
            kind: "api_token".into(),
            action: Action::Enable,
            reason: "it is declared".into(),
            rationale: None,
            fields,
            notes: vec![],
            steps: vec![],
        }
    }

    fn planned(changes: Vec<Change>, findings: Vec<Finding>) -> Planned {
        let plan = Plan { changes, ..sample::empty() };
        Planned { plan, findings }
    }

    fn status() -> Vec<Field> {
        let value = |text: &str| Some(text.to_owned());
        vec![Field { name: "status".into(), before: value("disabled"), after: value("enabled") }]
    }

    #[test]
    fn only_what_the_apply_has_touched_can_be_late() {
        let (own, other) = (sample::token("ours"), sample::token("theirs"));
        let planned = planned(vec![change(&own, status()), change(&other, vec![])], vec![]);
        let left = disagreements(&planned, &planned, &[&own].into());
        assert_eq!(left.iter().filter_map(Left::late).collect::<Vec<_>>(), [&own]);
        snapbox::assert_data_eq!(
            fails(&left, 60) + "\n",
            snapbox::IntoData::raw(snapbox::str![[r#"
read again: not as the spec wants it:
  logicmonitor.acme.svc-ci.api_token["ours"]: to enable: status is disabled, and the spec wants enabled (this apply changed it, and it is still so after 60 s)
  logicmonitor.acme.svc-ci.api_token["theirs"]: to enable: it is declared (this apply did not touch it)

"#]])
        );
    }

    #[test]
    fn a_target_that_is_not_there_any_more_is_no_disagreement() {
        let gone = planned(vec![], vec![Finding::new(code::PLAN_TARGET, "the spec declares no such team")]);
        assert!(disagreements(&gone, &gone, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_mode_in_conflict_may_be_late_and_what_could_not_be_read_is_not() {
        let instance = sample::instance("mon");
        let at = |code| Finding::new(code, "told").at(&instance);
        let sorted = |finding, touched: &Address| {
            let planned = planned(vec![], vec![finding]);
            let left = disagreements(&planned, &planned, &[touched].into());
            (left.len(), left.iter().any(|left| left.late().is_some()))
        };
        assert_eq!(sorted(at(code::IBM_MODE_CONFLICT), &instance), (1, true));
        assert_eq!(sorted(at(code::IBM_MODE_CONFLICT), &sample::instance("dev")), (1, false));
        assert_eq!(sorted(at(code::HTTP_CALL), &instance), (1, false));
        // A lock touches every team of its instance.
        let team = change(&sample::team("mon", "SRE"), vec![]);
        let (empty, locked) = (planned(vec![], vec![]), planned(vec![team], vec![]));
        let left = disagreements(&locked, &locked, &[&instance].into());
        assert!(left[0].late().is_some());
        // What waits for a person's eye is no disagreement, unless this apply has just done it.
        assert!(disagreements(&empty, &locked, &[&sample::instance("dev")].into()).is_empty());
        assert_eq!(disagreements(&empty, &locked, &[&instance].into()), left);
    }
    #[test]
    fn what_has_become_due_is_the_next_applys_unless_it_repeats_a_step_of_this_one() {
        let at = sample::token("ours");
        let step = |verb: Verb, name: &str, id: &str| Step {
            id: StepId::new(verb, &at, 1),
            address: at.clone(),
            verb,
            shape: Some(Shape::Overlap),
            params: [(name.to_owned(), id.to_owned())].into(),
            ..sample::everything().steps.remove(0)
        };
        let plan = |step: Step| {
            let change = Change { steps: vec![step.id.clone()], ..change(&at, vec![]) };
            Plan { changes: vec![change], steps: vec![step], ..sample::empty() }
        };
        let applied = plan(step(Verb::Delete, "token_id", "5"));
        let due = |next: Step| take_due(&mut plan(next), &applied).len();
        assert_eq!(due(step(Verb::Issue, "predecessor", "6")), 1);
        assert_eq!(due(step(Verb::Delete, "token_id", "6")), 1);
        assert_eq!(due(step(Verb::Delete, "token_id", "5")), 0, "it is still shown");
        assert_eq!(due(Step { shape: None, ..step(Verb::Enable, "token_id", "6") }), 0);
        let told = holds(&planned(vec![], vec![]), &plan(step(Verb::Issue, "predecessor", "6")).changes, 0);
        assert!(
            told.ends_with(
                "; due by now, for the next apply: enable logicmonitor.acme.svc-ci.api_token[\"ours\"]"
            ),
            "{told}"
        );
    }
}
