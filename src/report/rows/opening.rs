//! What a reviewer must know before the first change: new state, target, completeness, limits.

use super::{Notice, View};
use crate::model::address::Address;
use crate::model::asked::{PulledIn, Unread};
use crate::model::vocabulary::Target;
use crate::plan::document::{Covered, PlanFinding, Source};
use crate::provider::state::Limits;
use crate::report::safe;
use crate::report::style::Tone;

/// The code of the finding whose message names the place without a ledger.
const NEW_STATE: &str = "tokenform::plan::new_state";

/// Notices about the plan as a whole; none for an ordinary one.
pub fn notices(view: &View<'_>) -> Vec<Notice> {
    let all = [
        outside_window(view),
        break_glass(view),
        new_state(view),
        amends(view),
        target(view),
        source(view),
        incident(view),
        completeness(view),
        rotated(view),
        limits(view),
    ];
    all.into_iter().flatten().collect()
}

/// Whether the opening says this finding already.
pub fn says(view: &View<'_>, finding: &PlanFinding) -> bool {
    finding.code == NEW_STATE && rests_on_unknown_ages(view)
}

fn rests_on_unknown_ages(view: &View<'_>) -> bool {
    view.plan.ledger_head.is_none() && !view.plan.evidence.new_state.is_empty()
}

fn new_state(view: &View<'_>) -> Option<Notice> {
    if !rests_on_unknown_ages(view) {
        return None;
    }
    let finding = view.plan.findings.iter().find(|finding| finding.code == NEW_STATE);
    let message = finding.map_or("no ledger in this plan's state", |finding| &finding.message);
    let message = safe::line(message.trim_start_matches("NEW STATE: ").trim_end_matches('.'));
    let numbers = view.numbered(&view.plan.evidence.new_state);
    Some(Notice {
        title: Some("NEW STATE:"),
        tone: Tone::Warn,
        lines: vec![
            format!("{message}."),
            format!("Due only because an age is unknown: step {numbers}."),
            "Check `--state`. To go on: a reviewed saved plan, a typed `yes`, or `--new-state`.".to_owned(),
        ],
    })
}

/// Somebody lets it be applied when the spec allows no changes.
fn outside_window(view: &View<'_>) -> Option<Notice> {
    let reason = view.plan.asked.outside_window.as_ref()?;
    let lines = vec![
        "change windows and freezes do not hold this plan back.".to_owned(),
        format!("Reason: {}", safe::line(reason)),
    ];
    Some(Notice { title: Some("OUTSIDE THE WINDOW:"), tone: Tone::Warn, lines })
}

fn break_glass(view: &View<'_>) -> Option<Notice> {
    let asked = view.plan.asked.unlock.as_ref()?;
    let hold = asked.hold.map_or("not held open".to_owned(), |hold| format!("held open for {hold}"));
    if view.plan.steps.is_empty() {
        return None;
    }
    let lines = vec![
        format!("{} is opened by hand, {hold}.", safe::shown(&asked.instance)),
        format!("Reason: {}", safe::line(&asked.reason)),
    ];
    Some(Notice { title: Some("BREAK-GLASS:"), tone: Tone::Warn, lines })
}

fn amends(view: &View<'_>) -> Option<Notice> {
    let amends = view.plan.amends.as_ref()?;
    let row = |row: &Covered| format!("{} at {}", safe::shown(&row.step), row.at);
    let mut lines = vec![format!("goes on with apply {}.", safe::line(&amends.apply))];
    if !amends.covered.is_empty() {
        lines.push("Not made again:".into());
        lines.extend(amends.covered.iter().map(row));
    }
    let owed =
        |instance: &Address| format!("Still owed: the resets after its unlock of {}", safe::shown(instance));
    lines.extend(amends.unlocked.iter().map(owed));
    Some(Notice { title: Some("AMENDED PLAN:"), tone: Tone::Warn, lines })
}

/// Why there are only rotations, and how many of how much.
fn incident(view: &View<'_>) -> Option<Notice> {
    let incident = view.plan.asked.incident.as_ref()?;
    let open = view.plan.extent.not_rotated.iter().filter(|row| row.cause.is_open()).count();
    let scope: Vec<_> = incident.scope.iter().map(safe::shown).collect();
    let scope = if scope.is_empty() { String::new() } else { format!(" in {}", scope.join(", ")) };
    let why = incident.reason.as_ref().map(|why| format!(" ({})", safe::line(why))).unwrap_or_default();
    let lines = vec![
        format!("only what was issued before {}{scope} is rotated{why}.", incident.issued_before),
        format!("{} to rotate; {open} more entries may be exposed and stay.", view.plan.changes.len()),
        "A LogicMonitor token that is replaced works until it is retired: apply the spec afterwards."
            .to_owned(),
    ];
    Some(Notice { title: Some("Incident:"), tone: Tone::Warn, lines })
}

fn target(view: &View<'_>) -> Option<Notice> {
    match view.plan.target {
        Target::Live => None,
        Target::Sandbox => Some(plain("Target: sandbox. Nothing real is read or changed.")),
    }
}

fn source(view: &View<'_>) -> Option<Notice> {
    match view.plan.source {
        Source::Live => None,
        Source::Snapshot => Some(plain("Made from a snapshot: it can't be applied.")),
    }
}

fn completeness(view: &View<'_>) -> Option<Notice> {
    if view.plan.complete {
        return None;
    }
    let (asked, extent) = (&view.plan.asked, &view.plan.extent);
    let mut lines = vec!["only a part of the spec was planned.".to_owned()];
    lines.extend(named("Targets", asked.target.iter().map(safe::shown)));
    let pulled_in =
        |row: &PulledIn| format!("Pulled in: {} ({})", safe::shown(&row.address), safe::line(&row.why));
    lines.extend(extent.pulled_in.iter().map(pulled_in));
    let unread = |row: &Unread| format!("Not read: {} ({})", safe::shown(&row.address), safe::line(&row.why));
    lines.extend(extent.unread.iter().map(unread));
    lines.extend(named("Not contacted", extent.not_contacted.iter().map(safe::shown)));
    Some(Notice { title: Some("Not complete:"), tone: Tone::Warn, lines })
}

/// `Title: a, b`; nothing without any.
fn named(title: &str, words: impl Iterator<Item = String>) -> Option<String> {
    let words = words.collect::<Vec<_>>().join(", ");
    (!words.is_empty()).then(|| format!("{title}: {words}"))
}

/// Somebody wants these rotated, due or not.
fn rotated(view: &View<'_>) -> Option<Notice> {
    let rotated = named("Rotate now", view.plan.asked.rotate.iter().map(safe::shown));
    rotated.map(|line| plain(&format!("{line}.")))
}

/// The limits that are not the defaults: somebody chose them, and a reviewer should know.
fn limits(view: &View<'_>) -> Option<Notice> {
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
    (!chosen.is_empty()).then(|| plain(&format!("Limits: {}.", chosen.join(", "))))
}

fn plain(line: &str) -> Notice {
    Notice { title: None, tone: Tone::Dim, lines: vec![line.to_owned()] }
}
