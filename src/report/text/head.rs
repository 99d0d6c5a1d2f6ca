//! What a reviewer must know before the first change: new state, target, limits; and the legend.

use super::View;
use crate::model::change::Action;
use crate::model::vocabulary::Target;
use crate::plan::document::{PlanFinding, Source};
use crate::provider::state::Limits;
use crate::report::safe;
use crate::report::style::Tone;

/// The code of the finding whose message names the place without a ledger.
const NEW_STATE: &str = "tokenform::plan::new_state";

/// Lines about the plan as a whole; empty for an ordinary one.
pub fn opening(view: &View<'_>) -> String {
    let lines = [new_state(view), target(view), source(view), completeness(view), limits(view)];
    lines.into_iter().flatten().collect()
}

/// The symbols that the changes below use.
pub fn legend(view: &View<'_>) -> String {
    let mut text = "tokenform will make these changes:\n".to_owned();
    for action in Action::ALL {
        if view.plan.changes.iter().any(|change| change.action == action) {
            let symbol = view.style.paint(Tone::of(action), view.style.symbol(action));
            text.push_str(&format!("  {symbol} {}\n", action.as_str()));
        }
    }
    text
}

/// Whether the opening says this finding already.
pub fn says(view: &View<'_>, finding: &PlanFinding) -> bool {
    finding.code == NEW_STATE && rests_on_unknown_ages(view)
}

fn rests_on_unknown_ages(view: &View<'_>) -> bool {
    view.plan.ledger_head.is_none() && !view.plan.evidence.new_state.is_empty()
}

fn new_state(view: &View<'_>) -> Option<String> {
    let steps = &view.plan.evidence.new_state;
    rests_on_unknown_ages(view).then(|| {
        let finding = view.plan.findings.iter().find(|finding| finding.code == NEW_STATE);
        let message = finding.map_or("no ledger in this plan's state", |finding| &finding.message);
        let message = safe::line(message.trim_start_matches("NEW STATE: ").trim_end_matches('.'));
        let title = view.style.paint(Tone::Warn, "NEW STATE:");
        let numbers = view.numbered(steps);
        let why = format!("Due only because an age is unknown: step {numbers}.");
        let way = "Check `--state`. To go on: a reviewed saved plan, a typed `yes`, or `--new-state`.";
        format!("{title} {message}.\n  {why}\n  {way}\n")
    })
}

fn target(view: &View<'_>) -> Option<String> {
    match view.plan.target {
        Target::Live => None,
        Target::Sandbox => Some("Target: sandbox. Nothing real is read or changed.\n".to_owned()),
    }
}

fn source(view: &View<'_>) -> Option<String> {
    match view.plan.source {
        Source::Live => None,
        Source::Snapshot => Some("Made from a snapshot: it can't be applied.\n".to_owned()),
    }
}

fn completeness(view: &View<'_>) -> Option<String> {
    let title = view.style.paint(Tone::Warn, "Not complete:");
    (!view.plan.complete).then(|| format!("{title} only a part of the spec was planned.\n"))
}

/// The limits that are not the defaults: somebody chose them, and a reviewer should know.
fn limits(view: &View<'_>) -> Option<String> {
    let Limits { rotate, enable, disable, delete, lock, percent } = view.plan.limits;
    let usual = Limits::default();
    let rows = [
        ("rotate", rotate, usual.rotate),
        ("enable", enable, usual.enable),
        ("disable", disable, usual.disable),
        ("delete", delete, usual.delete),
        ("lock", lock, usual.lock),
        ("percent", percent, usual.percent),
    ];
    let chosen = rows.into_iter().filter(|(_, now, usual)| now != usual);
    let chosen: Vec<_> = chosen.map(|(key, now, usual)| format!("{key} {now} (default {usual})")).collect();
    (!chosen.is_empty()).then(|| format!("Limits: {}.\n", chosen.join(", ")))
}
