//! I1: order and coverage. Every rule is an edge with its name on it.

use std::collections::BTreeSet;

use super::reverse::way_back;
use super::{Verdict, View, callers, has_need, is_caller, list, replace, retire, steps, unlisted, verdict};
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::evidence::VisibleTeam;
use crate::model::step::{Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;

/// I1: every rule is an edge with its name on it; locks and unlocks cover every visible team.
pub(super) fn order_and_coverage(view: &View<'_>) -> Verdict {
    let mut breaks = well_formed(view);
    let mut proof = Vec::new();
    for lock in view.of_verb(Verb::Lock) {
        lock_is_last(view, lock, &mut breaks);
        covers(view, lock, &mut breaks, &mut proof);
    }
    for unlock in view.of_verb(Verb::Unlock) {
        covers(view, unlock, &mut breaks, &mut proof);
    }
    amends_fit(view, &mut breaks);
    shapes_fit(view, &mut breaks);
    retirement_is_ordered(view, &mut breaks);
    retire::retirements(view, &mut breaks);
    replace::replacements(view, &mut breaks);
    unlisted::taken_by_disuse(view, &mut breaks);
    caller_is_last(view, &mut breaks);
    steps::say_what_they_do(view, &mut breaks);
    steps::summary_counts(view, &mut breaks);
    if proof.is_empty() {
        proof.push("no lock or unlock; every stated need comes first".into());
    }
    verdict(breaks, proof.join("; "))
}

/// Ids are unique, every need exists and stands earlier in the list.
fn well_formed(view: &View<'_>) -> Vec<String> {
    let mut breaks = Vec::new();
    if view.position.len() != view.steps.len() {
        breaks.push("two steps have one id".to_owned());
    }
    for (i, step) in view.steps.iter().enumerate() {
        for need in &step.needs {
            match view.position.get(&need.step) {
                None if view.covered(&need.step).is_some() => {}
                None => {
                    breaks.push(format!("step {} needs `{}`, which is not in the plan", i + 1, need.step))
                }
                Some(j) if *j >= i => {
                    breaks.push(format!(
                        "step {} needs step {}, which does not come before it",
                        i + 1,
                        j + 1
                    ));
                }
                Some(_) => {}
            }
        }
    }
    reviewed(view, &mut breaks);
    way_back(view, &mut breaks);
    break_glass(view, &mut breaks);
    breaks
}

/// Each step belongs to one reviewed change of its object that stands for its verb, and each
/// change has its steps.
fn reviewed(view: &View<'_>, breaks: &mut Vec<String>) {
    let mut listed = BTreeSet::new();
    for (change, id) in view.plan.changes.iter().flat_map(|c| c.steps.iter().map(move |id| (c, id))) {
        let step = view.position.get(id).map(|i| &view.steps[*i]);
        match step {
            None => breaks.push(format!("`{id}` of a reviewed change is not among the steps")),
            Some(step) if step.address != change.address || !stands_for(change.action, step) => {
                let (action, number) = (change.action.as_str(), view.number(step));
                breaks.push(format!("step {number} is not what `{action} {}` says", change.address));
            }
            Some(_) if !listed.insert(id) => breaks.push(format!("two changes have `{id}`")),
            Some(_) => {}
        }
    }
    for step in view.steps.iter().filter(|s| !listed.contains(&s.id)) {
        breaks.push(format!("step {} belongs to no reviewed change", view.number(step)));
    }
}

/// A break-glass plan opens its instance and resets its tokens, and does nothing else; it alone holds
/// an instance open, for as long as its reviewer was told.
fn break_glass(view: &View<'_>, breaks: &mut Vec<String>) {
    let asked = view.plan.asked.unlock.as_ref();
    if asked.is_some_and(|asked| asked.reason.trim().is_empty()) {
        breaks.push("the unlock that was asked for has no reason".to_owned());
    }
    if asked.and_then(|asked| asked.hold).is_some_and(|hold| hold > LONGEST_HOLD) {
        breaks.push(format!("the instance is to be held open for longer than {LONGEST_HOLD}"));
    }
    for step in view.steps {
        let number = view.number(step);
        if asked.is_some_and(|asked| step.address.lane() != asked.instance || !opens(step)) {
            breaks.push(format!("step {number} is not part of the unlock that was asked for"));
        }
        let told = asked.filter(|asked| step.verb == Verb::Unlock && step.address == asked.instance);
        let told = told.and_then(|asked| asked.hold).map(|hold| hold.to_string());
        if step.params.get("hold") != told.as_ref() {
            breaks.push(format!("step {number} does not hold the instance open as the plan says"));
        }
    }
}

/// What is to stay open for longer is declared so.
const LONGEST_HOLD: Period = Period::days(30);

fn opens(step: &Step) -> bool {
    matches!(step.verb, Verb::Unlock | Verb::Reset)
}

/// Whether a reviewer of this action expects such a step.
fn stands_for(action: Action, step: &Step) -> bool {
    match action {
        Action::Create => step.verb == Verb::Issue && step.shape.is_none(),
        Action::Rotate => {
            let shape = step.shape;
            step.verb == Verb::Reset && shape == Some(Shape::SingleSlot)
                || step.verb == Verb::Issue && matches!(shape, Some(Shape::Overlap | Shape::Replace))
                || step.verb == Verb::Delete && shape == Some(Shape::Replace)
        }
        Action::Invalidate => step.shape == Some(Shape::Invalidate),
        Action::Deliver => step.verb == Verb::Deliver,
        Action::Enable => step.verb == Verb::Enable,
        Action::Disable => step.verb == Verb::Disable,
        Action::Delete => {
            matches!(step.verb, Verb::Disable | Verb::Delete) && step.shape != Some(Shape::Replace)
        }
        Action::Lock => step.verb == Verb::Lock,
        Action::Unlock => step.verb == Verb::Unlock,
        Action::Protect => step.verb == Verb::Protect,
        Action::Unprotect => step.verb == Verb::Unprotect,
    }
}

/// `reset-before-lock` and `lock-last`: everything else of the instance comes before its lock.
fn lock_is_last(view: &View<'_>, lock: &Step, breaks: &mut Vec<String>) {
    for other in view.lane(lock) {
        let rules: &[Rule] = match other.verb {
            Verb::Reset => &COVERING,
            _ => &[Rule::LockLast],
        };
        if !has_need(lock, other, rules) {
            breaks.push(format!(
                "lock {} does not need step {} ({})",
                view.number(lock),
                view.number(other),
                rules[0].as_str()
            ));
        }
    }
}

/// `lock-covers-all`, and its twin for an unlock: a reset for each visible team, ordered by an edge.
fn covers(view: &View<'_>, switch: &Step, breaks: &mut Vec<String>, proof: &mut Vec<String>) {
    let number = view.number(switch);
    let Some(visible) = view.visible(&switch.address) else {
        breaks.push(format!("{} {number} has no list of visible teams", switch.verb));
        return;
    };
    if visible.teams.is_empty() {
        breaks.push(format!("{} {number} of {} covers no visible team", switch.verb, switch.address));
    }
    let (mut resets, mut taken) = (Vec::new(), Vec::new());
    for team in &visible.teams {
        if team.ignored && switch.verb == Verb::Lock {
            continue;
        }
        let id = team.id.to_string();
        let reset = view.of_verb(Verb::Reset).find(|s| {
            s.address == team.address && s.params.get("team_id") == Some(&id) && in_order(switch, s)
        });
        match reset {
            Some(reset) => resets.push(view.number(reset)),
            None if taken_over(view, switch, team) => taken.push(team.address.to_string()),
            None => breaks.push(format!(
                "{} {number} of {} has no ordered reset of {} (lock-covers-all)",
                switch.verb, switch.address, team.address
            )),
        }
    }
    proof.push(match switch.verb {
        Verb::Lock if !taken.is_empty() => format!(
            "lock {number} of {} after resets {}, and after those of the interrupted apply of {}",
            switch.address,
            list(&resets),
            list(&taken)
        ),
        Verb::Lock => format!("lock {number} of {} after resets {}", switch.address, list(&resets)),
        _ => format!("unlock {number} of {} before resets {}", switch.address, list(&resets)),
    });
}

/// Whether a reset of the interrupted apply stands for one of this plan: only before a lock.
fn taken_over(view: &View<'_>, switch: &Step, team: &VisibleTeam) -> bool {
    let needed = switch.needs.iter().filter(|need| COVERING.contains(&need.rule));
    let mut rows = needed.filter_map(|need| view.covered(&need.step));
    switch.verb == Verb::Lock && rows.any(|row| row.address == team.address && row.team_id == team.id)
}

/// The rules that tie a reset to the lock that it covers a team for.
const COVERING: [Rule; 2] = [Rule::ResetBeforeLock, Rule::LockCoversAll];

/// How long a reset of an interrupted apply covers its team.
const COVERS_FOR: Period = Period::hours(24);

/// What is taken over from an interrupted apply are resets, each of a team of an instance that this
/// plan locks, each once, none of them older than a day; and unlocks, if this plan makes their resets.
fn amends_fit(view: &View<'_>, breaks: &mut Vec<String>) {
    let made = view.plan.created_at;
    let mut seen = BTreeSet::new();
    for instance in view.plan.amends.iter().flat_map(|amends| &amends.unlocked) {
        let owed = |step: &Step| step.shape == Some(Shape::Invalidate) && step.address.lane() == *instance;
        if !view.steps.iter().any(owed) || view.switches(instance) {
            breaks.push(format!("no reset is owed after the earlier unlock of {instance}"));
        }
    }
    for row in view.plan.amends.iter().flat_map(|amends| &amends.covered) {
        let mut wrong = |why: &str| breaks.push(format!("`{}` of an earlier run {why}", row.step));
        if row.step != StepId::new(Verb::Reset, &row.address, 1) {
            wrong("is not the reset of its team");
        }
        if view.position.contains_key(&row.step) || !seen.insert(&row.step) {
            wrong("stands twice");
        }
        if row.at > made || COVERS_FOR.after(row.at) < made {
            wrong("is not of the last 24 h");
        }
        let visible = view.visible(&row.address.lane()).into_iter().flat_map(|row| &row.teams);
        if !visible.into_iter().any(|team| team.address == row.address && team.id == row.team_id) {
            wrong("is of a team that nobody saw");
        }
        let needs_it = |lock: &Step| lock.needs.iter().any(|need| need.step == row.step);
        if !view.of_verb(Verb::Lock).any(|lock| lock.address == row.address.lane() && needs_it(lock)) {
            wrong("covers no lock");
        }
    }
}

fn in_order(switch: &Step, reset: &Step) -> bool {
    match switch.verb {
        Verb::Lock => has_need(switch, reset, &COVERING),
        _ => has_need(reset, switch, &[Rule::UnlockBeforeReset]),
    }
}

/// A shape fits its verb, so that nothing slips past what is judged by shape; and an `invalidate`
/// reset exists only in a plan that locks or unlocks its instance, or goes on after the unlock.
fn shapes_fit(view: &View<'_>, breaks: &mut Vec<String>) {
    for step in view.steps {
        let replaces = step.params.get("predecessor").is_some_and(|id| id != "0");
        let fits = match (step.verb, step.shape) {
            (Verb::Reset, Some(Shape::Invalidate | Shape::SingleSlot)) => true,
            (Verb::Issue, Some(Shape::Overlap | Shape::Replace)) => replaces,
            (Verb::Delete, Some(Shape::Replace)) => true,
            (Verb::Issue, None) => !replaces,
            // judged by what they say of the token that they are on
            (Verb::Enable | Verb::Disable | Verb::Delete, Some(Shape::Overlap)) => true,
            (Verb::Reset, _) | (_, Some(_)) => false,
            (_, None) => true,
        };
        if !fits {
            let shape = step.shape.map_or("no shape", Shape::as_str);
            breaks.push(format!("step {}, a {}, has {shape}", view.number(step), step.verb));
        }
        if step.shape == Some(Shape::Invalidate)
            && !view.switches(&step.address)
            && !view.was_unlocked(&step.address)
        {
            breaks.push(format!("step {} invalidates, but its instance is not switched", view.number(step)));
        }
    }
}

/// `issue-before-retire`, `disable-before-delete` and `delete-before-issue` within one object.
fn retirement_is_ordered(view: &View<'_>, breaks: &mut Vec<String>) {
    for steps in view.by_object.values() {
        for (before, after) in steps.iter().flat_map(|a| steps.iter().map(move |b| (a, b))) {
            let rule = match (before.verb, after.verb) {
                (Verb::Delete, Verb::Issue) if replace::is_one(before) => Rule::DeleteBeforeIssue,
                (Verb::Issue, Verb::Delete) if replace::is_one(after) => continue,
                (Verb::Issue, Verb::Disable | Verb::Delete) => Rule::IssueBeforeRetire,
                (Verb::Disable, Verb::Delete) => Rule::DisableBeforeDelete,
                _ => continue,
            };
            if !has_need(after, before, &[rule]) {
                let (after, before) = (view.number(after), view.number(before));
                breaks.push(format!("step {after} does not need step {before} ({})", rule.as_str()));
            }
        }
    }
}

/// `caller-last`: a rotation of a credential in use needs every step on other objects of its connection,
/// and of those that log in with it.
fn caller_is_last(view: &View<'_>, breaks: &mut Vec<String>) {
    for last in view.of_verb(Verb::Issue).filter(|s| replaces_a_caller(view, s)) {
        let connections = callers_of(view, last);
        // what it replaced goes after it, by issue-before-retire
        let others = view.steps.iter().filter(|s| s.address != last.address);
        let others = others.filter(|s| connections.contains(&s.address.of_connection()));
        let missing =
            others.filter(|s| !replaces_a_caller(view, s) && !has_need(last, s, &[Rule::CallerLast]));
        for other in missing {
            let (last, other) = (view.number(last), view.number(other));
            breaks.push(format!("step {last} does not need step {other} (caller-last)"));
        }
    }
}

/// The connection of a rotated credential, and those that log in with it.
pub(super) fn callers_of(view: &View<'_>, step: &Step) -> BTreeSet<Address> {
    let users = callers(view, step).into_iter().flat_map(|row| &row.in_use);
    let users = users.filter(|used| Some(used.token_id) == predecessor(step)).map(|used| &used.by);
    users.cloned().chain([step.address.of_connection()]).collect()
}

pub(super) fn predecessor(step: &Step) -> Option<u64> {
    step.params.get("predecessor")?.parse().ok()
}

pub(super) fn replaces_a_caller(view: &View<'_>, step: &Step) -> bool {
    predecessor(step).is_some_and(|id| is_caller(view, step, id))
}
