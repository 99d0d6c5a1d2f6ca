//! What stands below the steps: findings, what waits, the invariants, the counts and the seal.

use super::{View, opening};
use crate::model::change::{Action, Waiting};
use crate::model::code;
use crate::plan::document::{Invariant, Plan, PlanFinding};
use crate::report::style::Tone;
use crate::report::{check, safe};

/// Actions that the summary names even at zero.
const ALWAYS: usize = 6;

/// How many objects an action changes.
#[derive(Debug)]
pub struct CountRow {
    pub action: Action,
    pub count: u32,
}

/// What the planner found, with what to do about it.
#[derive(Debug)]
pub struct FindingRow {
    pub severity: String,
    pub tone: Tone,
    pub code: String,
    pub address: Option<String>,
    /// May have several lines.
    pub message: String,
    pub help: Option<&'static str>,
}

/// What is due later or waits for another thing.
#[derive(Debug)]
pub struct WaitingRow {
    pub address: String,
    pub what: String,
    pub until: Option<String>,
}

/// One invariant and the checker's word on it.
#[derive(Debug)]
pub struct InvariantRow {
    pub id: String,
    pub meaning: &'static str,
    pub holds: bool,
    /// May have several lines.
    pub proof: String,
}

pub fn actions(plan: &Plan) -> Vec<Action> {
    let occurs = |action: &Action| plan.changes.iter().any(|change| change.action == *action);
    Action::ALL.into_iter().filter(occurs).collect()
}

pub fn findings(view: &View<'_>) -> Vec<FindingRow> {
    let findings = view.plan.findings.iter().filter(|finding| !opening::says(view, finding));
    findings.map(finding).collect()
}

fn finding(finding: &PlanFinding) -> FindingRow {
    let PlanFinding { code, severity, address, message } = finding;
    let tone = match severity.as_str() {
        "error" => Tone::Bad,
        "warning" => Tone::Warn,
        _ => Tone::Dim,
    };
    let known = code::ALL.iter().find(|known| known.id() == code.as_str());
    FindingRow {
        severity: safe::line(severity).into_owned(),
        tone,
        code: safe::line(code).into_owned(),
        address: address.as_ref().map(safe::shown),
        message: safe::lines(message).into_owned(),
        help: known.map(|known| known.cure()),
    }
}

pub fn waiting(waiting: &Waiting) -> WaitingRow {
    let Waiting { address, what, until } = waiting;
    WaitingRow {
        address: safe::shown(address),
        what: safe::line(what).into_owned(),
        until: until.map(|at| at.to_string()),
    }
}

pub fn invariant(invariant: &Invariant) -> InvariantRow {
    let Invariant { id, holds, proof } = invariant;
    InvariantRow {
        id: safe::line(id).into_owned(),
        meaning: check::meaning(id),
        holds: *holds,
        proof: safe::lines(proof).into_owned(),
    }
}

pub fn counts(plan: &Plan) -> Vec<CountRow> {
    let counts = Action::ALL.into_iter().enumerate();
    let counts = counts.map(|(i, action)| (i, CountRow { action, count: plan.summary.count(action) }));
    counts.filter(|(i, row)| *i < ALWAYS || row.count > 0).map(|(_, row)| row).collect()
}

pub fn no_changes(plan: &Plan) -> Option<&'static str> {
    if !plan.changes.is_empty() || !plan.steps.is_empty() {
        return None;
    }
    if plan.asked.incident.is_some() {
        return Some("Nothing to rotate.");
    }
    let errors = plan.findings.iter().any(|finding| finding.severity == "error");
    Some(match (errors, plan.complete) {
        (false, _) if plan.asked.unlock.is_some() => {
            "Nothing to unlock: the instance accepts API tokens already. Nothing is changed, and no hold is set."
        }
        (true, _) => "No changes were planned; see the findings.",
        (false, true) => "No changes. Live state matches the spec.",
        (false, false) => "No changes in the part of the spec that was planned.",
    })
}

pub fn seal(plan: &Plan, seal: &str) -> Option<String> {
    let (made, expires) = (plan.created_at, plan.expires_at);
    (!seal.is_empty()).then(|| format!("{}; made {made}, expires {expires}.", safe::line(seal)))
}
