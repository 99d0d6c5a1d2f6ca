//! The independent checker: judges any plan — fresh, saved or edited by hand — by the plan alone.
//!
//! It shares nothing with the planner: not the table of rules, not the graph. What comes first is
//! decided by the `needs` that the plan states and by the order within a lane, never by the position
//! of steps in different lanes. Only a plan that holds every invariant becomes [`Admitted`].

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Evidence, Invariant, Plan, VisibleTeams};
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::step::{Rule, Shape, Step, StepId};
use crate::model::verb::Verb;

/// A plan that holds every invariant. Nothing else can be applied.
pub struct Admitted(Plan);

impl Admitted {
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// Admits a plan, or gives it back with what each invariant found.
pub fn admit(mut plan: Plan) -> Result<Admitted, Box<Plan>> {
    plan.invariants = judge(&plan);
    match plan.invariants.iter().all(|invariant| invariant.holds) {
        true => Ok(Admitted(plan)),
        false => Err(Box::new(plan)),
    }
}

/// What each invariant finds in a plan.
pub fn judge(plan: &Plan) -> Vec<Invariant> {
    let view = View::new(plan);
    let checks: [(&str, Check); 7] = [
        ("I1", order_and_coverage),
        ("I2", nothing_after_a_lock),
        ("I3", callers_survive),
        ("I4", a_name_keeps_an_enabled_token),
        ("I5", secrets_have_destinations),
        ("I6", scope_is_kept),
        ("I7", limits_and_protections),
    ];
    let invariant = |(id, check): (&str, Check)| {
        let (holds, proof) = match check(&view) {
            Ok(proof) => (true, proof),
            Err(breaks) => (false, breaks.join("; ")),
        };
        Invariant { id: id.to_owned(), holds, proof }
    };
    checks.into_iter().map(invariant).collect()
}

/// The steps that prove an invariant, or everything that breaks it.
type Verdict = Result<String, Vec<String>>;

type Check = fn(&View<'_>) -> Verdict;

fn verdict(breaks: Vec<String>, proof: impl Into<String>) -> Verdict {
    if breaks.is_empty() { Ok(proof.into()) } else { Err(breaks) }
}

/// A plan with its steps by name.
struct View<'a> {
    plan: &'a Plan,
    steps: &'a [Step],
    evidence: &'a Evidence,
    position: BTreeMap<&'a StepId, usize>,
    by_object: BTreeMap<&'a Address, Vec<&'a Step>>,
}

impl<'a> View<'a> {
    fn new(plan: &'a Plan) -> Self {
        let position = plan.steps.iter().enumerate().map(|(i, s)| (&s.id, i)).collect();
        let mut by_object: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for step in &plan.steps {
            by_object.entry(&step.address).or_default().push(step);
        }
        Self { plan, steps: &plan.steps, evidence: &plan.evidence, position, by_object }
    }

    fn of_verb(&self, verb: Verb) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().filter(move |s| s.verb == verb)
    }

    /// The other steps of the same owner.
    fn lane<'b>(&'b self, step: &'b Step) -> impl Iterator<Item = &'a Step> + 'b {
        let lane = step.address.lane();
        self.steps.iter().filter(move |s| s.id != step.id && s.address.lane() == lane)
    }

    /// The steps of one object, in plan order.
    fn of(&self, address: &Address) -> &[&'a Step] {
        self.by_object.get(address).map_or(&[], Vec::as_slice)
    }

    /// Whether the plan locks or unlocks the instance of an address.
    fn switches(&self, address: &Address) -> bool {
        self.of(&address.lane()).iter().any(|s| matches!(s.verb, Verb::Lock | Verb::Unlock))
    }

    /// `12`, as people see it.
    fn number(&self, step: &Step) -> String {
        self.position.get(&step.id).map_or("?".into(), |i| (i + 1).to_string())
    }

    fn visible(&self, instance: &Address) -> Option<&'a VisibleTeams> {
        self.evidence.visible_teams.iter().find(|v| v.instance == *instance)
    }
}

fn has_need(step: &Step, before: &Step, rules: &[Rule]) -> bool {
    step.needs.iter().any(|need| need.step == before.id && rules.contains(&need.rule))
}

/// I1: every rule is an edge with its name on it; locks and unlocks cover every visible team.
fn order_and_coverage(view: &View<'_>) -> Verdict {
    let mut breaks = well_formed(view);
    let mut proof = Vec::new();
    for lock in view.of_verb(Verb::Lock) {
        lock_is_last(view, lock, &mut breaks);
        covers(view, lock, &mut breaks, &mut proof);
    }
    for unlock in view.of_verb(Verb::Unlock) {
        covers(view, unlock, &mut breaks, &mut proof);
    }
    shapes_fit(view, &mut breaks);
    retirement_is_ordered(view, &mut breaks);
    caller_is_last(view, &mut breaks);
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
        if !step.guards.is_empty() {
            breaks.push(format!("step {} has a guard that this version can't evaluate", i + 1));
        }
    }
    reviewed(view, &mut breaks);
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

/// Whether a reviewer of this action expects such a step.
fn stands_for(action: Action, step: &Step) -> bool {
    match action {
        Action::Create => step.verb == Verb::Issue && step.shape.is_none(),
        Action::Rotate => matches!(step.shape, Some(Shape::SingleSlot | Shape::Overlap)),
        Action::Invalidate => step.shape == Some(Shape::Invalidate),
        Action::Deliver => step.verb == Verb::Deliver,
        Action::Enable => step.verb == Verb::Enable,
        Action::Disable => step.verb == Verb::Disable,
        Action::Delete => matches!(step.verb, Verb::Disable | Verb::Delete),
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
            Verb::Reset => &[Rule::ResetBeforeLock, Rule::LockCoversAll],
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
    let mut resets = Vec::new();
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
            None => breaks.push(format!(
                "{} {number} of {} has no ordered reset of {} (lock-covers-all)",
                switch.verb, switch.address, team.address
            )),
        }
    }
    proof.push(match switch.verb {
        Verb::Lock => format!("lock {number} of {} after resets {}", switch.address, list(&resets)),
        _ => format!("unlock {number} of {} before resets {}", switch.address, list(&resets)),
    });
}

fn in_order(switch: &Step, reset: &Step) -> bool {
    match switch.verb {
        Verb::Lock => has_need(switch, reset, &[Rule::ResetBeforeLock, Rule::LockCoversAll]),
        _ => has_need(reset, switch, &[Rule::UnlockBeforeReset]),
    }
}

/// A shape fits its verb, so that nothing slips past what is judged by shape; and an `invalidate`
/// reset exists only in a plan that locks or unlocks its instance.
fn shapes_fit(view: &View<'_>, breaks: &mut Vec<String>) {
    for step in view.steps {
        let replaces = step.params.get("predecessor").is_some_and(|id| id != "0");
        let fits = match (step.verb, step.shape) {
            (Verb::Reset, Some(Shape::Invalidate | Shape::SingleSlot)) => true,
            (Verb::Issue, Some(Shape::Overlap)) => replaces,
            (Verb::Issue, None) => !replaces,
            (Verb::Reset, _) | (_, Some(_)) => false,
            (_, None) => true,
        };
        if !fits {
            let shape = step.shape.map_or("no shape", Shape::as_str);
            breaks.push(format!("step {}, a {}, has {shape}", view.number(step), step.verb));
        }
        if step.shape == Some(Shape::Invalidate) && !view.switches(&step.address) {
            breaks.push(format!("step {} invalidates, but its instance is not switched", view.number(step)));
        }
    }
}

/// `issue-before-retire` and `disable-before-delete` within one object.
fn retirement_is_ordered(view: &View<'_>, breaks: &mut Vec<String>) {
    for steps in view.by_object.values() {
        for (before, after) in steps.iter().flat_map(|a| steps.iter().map(move |b| (a, b))) {
            let rule = match (before.verb, after.verb) {
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

/// `caller-last`: a rotation of the credential in use needs every other step of its connection.
fn caller_is_last(view: &View<'_>, breaks: &mut Vec<String>) {
    for last in view.of_verb(Verb::Issue).filter(|s| replaces_a_caller(view, s)) {
        let connection = last.address.of_connection();
        let others = view.steps.iter().filter(|s| s.id != last.id && s.address.of_connection() == connection);
        let missing =
            others.filter(|s| !replaces_a_caller(view, s) && !has_need(last, s, &[Rule::CallerLast]));
        for other in missing {
            let (last, other) = (view.number(last), view.number(other));
            breaks.push(format!("step {last} does not need step {other} (caller-last)"));
        }
    }
}

fn replaces_a_caller(view: &View<'_>, step: &Step) -> bool {
    let id = step.params.get("predecessor").and_then(|id| id.parse().ok());
    id.is_some_and(|id| is_caller(view, step, id))
}

/// Whether a connection of the spec authenticates with this token of the step's vendor.
fn is_caller(view: &View<'_>, step: &Step, id: u64) -> bool {
    let same = |connection: &Address| *connection == step.address.of_connection();
    view.evidence.callers.iter().any(|c| same(&c.connection) && c.token_ids.contains(&id))
}

/// I2: after a lock nothing of its instance runs, since the lock forbids reading and using tokens.
fn nothing_after_a_lock(view: &View<'_>) -> Verdict {
    let mut breaks = Vec::new();
    let mut locks = Vec::new();
    for lock in view.of_verb(Verb::Lock) {
        let at = view.position[&lock.id];
        for other in view.lane(lock).filter(|s| view.position[&s.id] > at) {
            breaks.push(format!("step {} runs after lock {} of its instance", view.number(other), at + 1));
        }
        locks.push((at + 1).to_string());
    }
    verdict(breaks, format!("no step of an instance after its lock ({})", list(&locks)))
}

/// I3: no step deletes or disables a credential that a connection of the spec uses now.
fn callers_survive(view: &View<'_>) -> Verdict {
    let mut breaks = Vec::new();
    let mut seen = 0;
    for step in retiring(view) {
        seen += 1;
        match token_id(step) {
            None => breaks.push(format!("step {} does not say which token it takes", view.number(step))),
            Some(id) if is_caller(view, step, id) => {
                let number = view.number(step);
                breaks
                    .push(format!("step {number} takes token id {id}, which a connection of the spec uses"));
            }
            Some(_) => {}
        }
    }
    verdict(breaks, format!("{seen} steps disable or delete a token, none a credential in use"))
}

fn retiring<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Step> + use<'a> {
    view.steps.iter().filter(|s| matches!(s.verb, Verb::Disable | Verb::Delete))
}

fn token_id(step: &Step) -> Option<u64> {
    step.params.get("token_id")?.parse().ok()
}

/// I4: no managed name goes from an enabled token to none, unless the spec asks for it.
fn a_name_keeps_an_enabled_token(view: &View<'_>) -> Verdict {
    let mut breaks = Vec::new();
    let counted: BTreeSet<&Address> = view.evidence.enabled_counts.iter().map(|c| &c.address).collect();
    for step in retiring(view) {
        if !counted.contains(&step.address) {
            breaks.push(format!("step {} has no count of enabled tokens", view.number(step)));
        }
    }
    for count in view.evidence.enabled_counts.iter().filter(|c| !c.may_be_zero) {
        let mut enabled: BTreeSet<u64> = count.enabled.iter().copied().collect();
        let mut issued = 0;
        for step in view.of(&count.address) {
            let had = enabled.len() + issued;
            match (step.verb, token_id(step)) {
                (Verb::Issue, _) => issued += 1,
                (Verb::Enable, Some(id)) => drop(enabled.insert(id)),
                (Verb::Disable | Verb::Delete, Some(id)) => drop(enabled.remove(&id)),
                _ => {}
            }
            if had > 0 && enabled.len() + issued == 0 {
                let number = view.number(step);
                breaks.push(format!("step {number} leaves {} without an enabled token", count.address));
            }
        }
    }
    verdict(breaks, format!("{} managed names judged", view.evidence.enabled_counts.len()))
}

/// I5: a new secret has a declared destination, or is meant to be dropped.
fn secrets_have_destinations(view: &View<'_>) -> Verdict {
    let secret: Vec<_> = view.steps.iter().filter(|s| s.verb.properties().yields_secret).collect();
    let lost = secret.iter().filter(|s| s.destinations.is_empty() && s.shape != Some(Shape::Invalidate));
    let kept = secret.iter().filter(|s| !s.destinations.is_empty() && s.shape == Some(Shape::Invalidate));
    let mut breaks: Vec<_> =
        lost.map(|s| format!("the secret of step {} goes nowhere", view.number(s))).collect();
    breaks.extend(kept.map(|s| format!("step {} invalidates, but delivers", view.number(s))));
    verdict(breaks, format!("{} steps yield a secret", secret.len()))
}

/// I6: every step touches a declared object, or a team of a declared instance that is switched.
fn scope_is_kept(view: &View<'_>) -> Verdict {
    let scope: BTreeSet<&Address> = view.evidence.scope.iter().collect();
    let declared = |a: &Address| scope.contains(a) || scope.contains(&a.lane()) && view.switches(a);
    let outside = view.steps.iter().filter(|s| !declared(&s.address));
    let breaks = outside
        .map(|s| format!("step {} touches {}, which is not declared", view.number(s), s.address))
        .collect();
    verdict(
        breaks,
        format!("{} steps within {} declared objects", view.steps.len(), view.evidence.scope.len()),
    )
}

/// I7: the plan does no more than `limits` allows, and nothing to a protected object.
fn limits_and_protections(view: &View<'_>) -> Verdict {
    let limits = &view.plan.limits;
    let count = |key: &str| view.steps.iter().filter(|s| limit_key(view, s) == Some(key)).count();
    let counts = [
        ("rotate", limits.rotate),
        ("enable", limits.enable),
        ("disable", limits.disable),
        ("delete", limits.delete),
        ("lock", limits.lock),
    ]
    .map(|(key, limit)| (key, count(key), limit));
    let mut breaks: Vec<String> = counts
        .iter()
        .filter(|(_, count, limit)| *count > *limit as usize)
        .map(|(name, count, limit)| format!("{count} to {name}, but limits.{name} is {limit}"))
        .collect();
    shares_are_kept(view, &mut breaks);
    for step in view.steps.iter().filter(|s| protection_forbids(s)) {
        for address in view.evidence.protected.iter().filter(|p| p.covers(&step.address)) {
            breaks.push(format!("step {} touches {address}, which is protected", view.number(step)));
        }
    }
    let used: Vec<_> = counts.iter().map(|(name, count, limit)| format!("{name} {count}/{limit}")).collect();
    verdict(breaks, used.join(", "))
}

/// What `protect` forbids; creating, enabling and delivering take nothing away.
fn protection_forbids(step: &Step) -> bool {
    match step.verb {
        Verb::Reset | Verb::Disable | Verb::Delete | Verb::Lock | Verb::Unlock => true,
        Verb::Issue => step.shape.is_some(),
        Verb::Deliver | Verb::Enable | Verb::Protect | Verb::Unprotect => false,
    }
}

/// The limit that counts a step. Resets of an instance that is switched count with its switch;
/// creations and deliveries are unlimited.
fn limit_key(view: &View<'_>, step: &Step) -> Option<&'static str> {
    match (step.verb, step.shape) {
        (Verb::Reset, Some(Shape::SingleSlot)) => (!view.switches(&step.address)).then_some("rotate"),
        (Verb::Issue, Some(Shape::Overlap)) => Some("rotate"),
        (Verb::Enable, _) => Some("enable"),
        (Verb::Disable, _) => Some("disable"),
        (Verb::Delete, _) => Some("delete"),
        (Verb::Lock | Verb::Unlock, _) => Some("lock"),
        _ => None,
    }
}

/// A share says little about a handful of objects: `limits.percent` holds from here up.
const SHARE_FROM: usize = 10;

/// `limits.percent`: per limit, counted objects over live managed objects of the connection.
fn shares_are_kept(view: &View<'_>, breaks: &mut Vec<String>) {
    let mut touched: BTreeMap<(Address, &str), BTreeSet<&Address>> = BTreeMap::new();
    for step in view.steps {
        if let Some(key) = limit_key(view, step) {
            touched.entry((step.address.of_connection(), key)).or_default().insert(&step.address);
        }
    }
    let percent = view.plan.limits.percent;
    for ((connection, key), objects) in touched {
        let managed = view.evidence.managed.iter().find(|m| m.connection == connection);
        let all = managed.map_or(0, |m| if key == "lock" { m.instances } else { m.tokens });
        let count = objects.len();
        if all >= SHARE_FROM && count * 100 > all * percent as usize {
            breaks
                .push(format!("{count} of {all} to {key} at {connection}, but limits.percent is {percent}"));
        }
    }
}

fn list(numbers: &[String]) -> String {
    if numbers.is_empty() { "none".into() } else { numbers.join(", ") }
}
