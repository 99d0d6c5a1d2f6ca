//! What stands below the steps: findings, what waits, the invariants, the count and the seal.

use super::{View, head};
use crate::model::change::{Action, Waiting};
use crate::model::code;
use crate::plan::document::{PlanFinding, Summary};
use crate::report::style::Tone;
use crate::report::{check, safe};

/// Actions that the summary names even at zero.
const ALWAYS: usize = 6;

/// The line of a plan without changes. It claims no more than was looked at.
pub fn no_changes(view: &View<'_>) -> String {
    let errors = view.plan.findings.iter().any(|finding| finding.severity == "error");
    let line = match (errors, view.plan.complete) {
        (true, _) => "No changes were planned; see the findings.",
        (false, true) => "No changes. Live state matches the spec.",
        (false, false) => "No changes in the part of the spec that was planned.",
    };
    format!("{}\n", view.style.paint(Tone::Bold, line))
}

/// What the planner found, with what to do about it.
pub fn findings(view: &View<'_>) -> String {
    let findings = view.plan.findings.iter().filter(|finding| !head::says(view, finding));
    let rows: String = findings.map(|finding| self::finding(view, finding)).collect();
    titled(view, "Findings:", rows)
}

fn finding(view: &View<'_>, finding: &PlanFinding) -> String {
    let PlanFinding { code, severity, address, message } = finding;
    let tone = match severity.as_str() {
        "error" => Tone::Bad,
        "warning" => Tone::Warn,
        _ => Tone::Dim,
    };
    let head = format!("{}[{}]", safe::line(severity), safe::line(code));
    let about = address.as_ref().map(|address| format!("{}: ", safe::shown(address))).unwrap_or_default();
    let known = code::ALL.iter().find(|known| known.id() == code.as_str());
    let help = known.map(|known| format!("    help: {}\n", known.cure())).unwrap_or_default();
    let message = safe::lines(message).replace('\n', "\n    ");
    format!("  {}\n    {about}{message}\n{help}", view.style.paint(tone, head))
}

/// What is due later or waits for another thing.
pub fn waiting(view: &View<'_>) -> String {
    let rows = view.plan.waiting.iter().map(|waiting| {
        let Waiting { address, what, until } = waiting;
        let until = until.map(|at| format!(", until {at}")).unwrap_or_default();
        format!("  {}: {}{until}\n", safe::shown(address), safe::line(what))
    });
    titled(view, "Waiting:", rows.collect())
}

/// One line where all of them hold, else each of them.
pub fn invariants(view: &View<'_>) -> String {
    let invariants = &view.plan.invariants;
    if invariants.is_empty() || invariants.iter().any(|invariant| !invariant.holds) {
        return check::admitted(view.plan, view.style);
    }
    let ids: Vec<_> = invariants.iter().map(|invariant| safe::line(&invariant.id)).collect();
    let ids = match ids.join(" ").as_str() {
        "I1 I2 I3 I4 I5 I6 I7" => view.style.pick("I1–I7", "I1-I7").to_owned(),
        _ => ids.join(", "),
    };
    format!("Invariants {ids} hold; `tokenform check` shows the proof.\n")
}

/// `Plan: 1 to create, … 2 to invalidate. 5 irreversible.`
pub fn summary(view: &View<'_>) -> String {
    let summary: &Summary = &view.plan.summary;
    let counts = Action::ALL.into_iter().enumerate().map(|(i, action)| (i, action, summary.count(action)));
    let shown = counts.filter(|(i, _, count)| *i < ALWAYS || *count > 0);
    let shown: Vec<_> = shown.map(|(_, action, count)| format!("{count} to {}", action.as_str())).collect();
    let title = view.style.paint(Tone::Bold, "Plan:");
    format!("{title} {}. {} irreversible.\n", shown.join(", "), summary.irreversible)
}

/// What is known of a plan file's seal, and how long the plan can be applied.
pub fn seal(view: &View<'_>, seal: &str) -> String {
    match seal {
        "" => String::new(),
        seal => format!(
            "{}; made {}, expires {}.\n",
            safe::line(seal),
            view.plan.created_at,
            view.plan.expires_at
        ),
    }
}

fn titled(view: &View<'_>, title: &str, rows: String) -> String {
    match rows.is_empty() {
        true => rows,
        false => format!("{}\n{rows}", view.style.paint(Tone::Bold, title)),
    }
}
