//! The independent checker: judges any plan — fresh, saved or edited by hand — by the plan alone.
//!
//! It shares nothing with the planner: not the table of rules, not the graph. What comes first is
//! decided by the `needs` that the plan states and by the order within a lane, never by the position
//! of steps in different lanes. Only a plan that holds every invariant becomes [`Admitted`].

mod limits;
mod order;
mod replace;
mod retire;
mod reverse;
mod steps;
mod unlisted;

use std::collections::{BTreeMap, BTreeSet};

use super::document::{
    CallerEvidence, Covered, EnabledCount, Evidence, Invariant, Plan, PlanFinding, VisibleTeams,
};
use crate::model::address::Address;
use crate::model::finding::Severity;
use crate::model::step::{Rule, Shape, Step, StepId};
use crate::model::unlisted::UnlistedToken;
use crate::model::verb::Verb;

/// A plan that holds every invariant. Nothing else can be applied.
pub struct Admitted(Plan);

impl Admitted {
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// Admits a plan, or gives it back with what each invariant found. A plan with an error among its
/// findings is whole only for the objects without one, so it is refused as well.
pub fn admit(mut plan: Plan) -> Result<Admitted, Box<Plan>> {
    plan.invariants = judge(&plan);
    let holds = plan.invariants.iter().all(|invariant| invariant.holds);
    match holds && errors(&plan).next().is_none() {
        true => Ok(Admitted(plan)),
        false => Err(Box::new(plan)),
    }
}

/// The findings that refuse a plan, whatever its invariants say.
pub fn errors(plan: &Plan) -> impl Iterator<Item = &PlanFinding> {
    plan.findings.iter().filter(|finding| finding.severity == Severity::Error.as_str())
}

/// What each invariant finds in a plan.
pub fn judge(plan: &Plan) -> Vec<Invariant> {
    let view = View::new(plan);
    let checks: [(&str, Check); 7] = [
        ("I1", order::order_and_coverage),
        ("I2", nothing_after_a_lock),
        ("I3", callers_survive),
        ("I4", a_name_keeps_an_enabled_token),
        ("I5", secrets_have_destinations),
        ("I6", scope_is_kept),
        ("I7", limits::limits_and_protections),
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
    /// Tokens that the spec does not declare.
    unlisted: BTreeMap<&'a Address, &'a UnlistedToken>,
    /// The enabled tokens of each managed name.
    counts: BTreeMap<&'a Address, &'a EnabledCount>,
}

impl<'a> View<'a> {
    fn new(plan: &'a Plan) -> Self {
        let position = plan.steps.iter().enumerate().map(|(i, s)| (&s.id, i)).collect();
        let mut by_object: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for step in &plan.steps {
            by_object.entry(&step.address).or_default().push(step);
        }
        let declared: BTreeSet<_> = plan.evidence.scope.iter().collect();
        let unlisted = plan.unlisted.iter().filter(|row| !declared.contains(&row.address));
        let unlisted = unlisted.map(|row| (&row.address, row)).collect();
        // of several rows of one name the first counts
        let counts = plan.evidence.enabled_counts.iter().rev().map(|count| (&count.address, count)).collect();
        Self { plan, steps: &plan.steps, evidence: &plan.evidence, position, by_object, unlisted, counts }
    }

    fn of_verb(&self, verb: Verb) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().filter(move |s| s.verb == verb)
    }

    /// How many steps of the same owner stand before this one.
    fn steps_before(&self, step: &Step) -> usize {
        let lane = step.address.lane();
        self.steps.iter().take_while(|s| s.id != step.id).filter(|s| s.address.lane() == lane).count()
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

    /// Whether the plan goes on with an apply that unlocked the instance of an address.
    fn was_unlocked(&self, address: &Address) -> bool {
        let mut unlocked = self.plan.amends.iter().flat_map(|amends| &amends.unlocked);
        unlocked.any(|instance| *instance == address.lane()) && !self.switches(address)
    }

    /// `12`, as people see it.
    fn number(&self, step: &Step) -> String {
        self.position.get(&step.id).map_or("?".into(), |i| (i + 1).to_string())
    }

    /// The reset of an interrupted run that a lock needs by this id.
    fn covered(&self, id: &StepId) -> Option<&'a Covered> {
        self.plan.amends.iter().flat_map(|amends| &amends.covered).find(|covered| covered.step == *id)
    }

    fn visible(&self, instance: &Address) -> Option<&'a VisibleTeams> {
        self.evidence.visible_teams.iter().find(|v| v.instance == *instance)
    }
}

fn has_need(step: &Step, before: &Step, rules: &[Rule]) -> bool {
    step.needs.iter().any(|need| need.step == before.id && rules.contains(&need.rule))
}

/// What connections of the spec log in with at the portal of a step.
fn callers<'a>(view: &View<'a>, step: &Step) -> Option<&'a CallerEvidence> {
    let connection = step.address.of_connection();
    view.evidence.callers.iter().find(|row| row.connection == connection)
}

/// Whether a connection of the spec authenticates with this token of the step's portal.
fn is_caller(view: &View<'_>, step: &Step, id: u64) -> bool {
    callers(view, step).is_some_and(|row| row.token_ids.contains(&id))
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
        breaks.extend(locks_out(view, step).map(|why| format!("step {} {why}", view.number(step))));
    }
    verdict(breaks, format!("{seen} steps disable or delete a token, none a credential in use"))
}

/// Why a connection of the spec may not be able to log in after a step.
fn locks_out(view: &View<'_>, step: &Step) -> Option<String> {
    let Some(id) = token_id(step) else { return Some("does not say which token it takes".to_owned()) };
    let Some(row) = callers(view, step) else {
        return Some(format!("takes token id {id}, and nothing tells what tokenform logs in with there"));
    };
    if row.token_ids.contains(&id) {
        let users = row.in_use.iter().filter(|used| used.token_id == id).map(|used| used.by.to_string());
        let users: Vec<_> = users.collect();
        let users = if users.is_empty() { "a connection of the spec".to_owned() } else { users.join(", ") };
        return Some(format!("takes token id {id}, which {users} uses"));
    }
    let kind = step.address.item_parts().map(|(kind, _)| kind);
    let untold = row.untold.iter().find(|untold| kind.is_none_or(|kind| untold.kind == kind))?;
    let by = &untold.by;
    Some(format!("takes token id {id}, which may be the credential of {by}: {}", untold.why))
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
        // a token that goes before its successor is made
        let mut owed = None;
        for step in view.of(&count.address) {
            let had = enabled.len() + issued;
            match (step.verb, token_id(step)) {
                (Verb::Issue, _) => issued += 1,
                (Verb::Enable, Some(id)) => drop(enabled.insert(id)),
                (Verb::Disable | Verb::Delete, Some(id)) => drop(enabled.remove(&id)),
                _ => {}
            }
            let left = enabled.len() + issued;
            if left > 0 {
                owed = None;
            } else if had > 0 && count.replaces && replace::is_one(step) {
                owed = Some(view.number(step));
            } else if had > 0 {
                let number = view.number(step);
                breaks.push(format!("step {number} leaves {} without an enabled token", count.address));
            }
        }
        breaks.extend(
            owed.map(|number| format!("step {number} leaves {} without an enabled token", count.address)),
        );
    }
    unlisted::owners_keep_one(view, &mut breaks);
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
    let plain = view.steps.iter().filter(|s| !s.verb.properties().yields_secret);
    let odd = plain.filter(|s| !s.destinations.is_empty());
    breaks.extend(odd.map(|s| format!("step {}, a {}, has nothing to deliver", view.number(s), s.verb)));
    verdict(breaks, format!("{} steps yield a secret", secret.len()))
}

/// I6: every step touches a declared object, a team of a declared instance that is (or was just)
/// switched, or a token that the plan itself names as unlisted.
fn scope_is_kept(view: &View<'_>) -> Verdict {
    let scope: BTreeSet<&Address> = view.evidence.scope.iter().collect();
    let switched = |a: &Address| scope.contains(&a.lane()) && (view.switches(a) || view.was_unlocked(a));
    let declared = |a: &Address| scope.contains(a) || switched(a) || unlisted::row(view, a).is_some();
    // what a protection is of, the spec says: I7
    let remote = view.steps.iter().filter(|s| !matches!(s.verb, Verb::Protect | Verb::Unprotect));
    let outside = remote.filter(|s| !declared(&s.address));
    let breaks = outside
        .map(|s| format!("step {} touches {}, which is not declared", view.number(s), s.address))
        .collect();
    verdict(
        breaks,
        format!("{} steps within {} declared objects", view.steps.len(), view.evidence.scope.len()),
    )
}

fn list(numbers: &[String]) -> String {
    if numbers.is_empty() { "none".into() } else { numbers.join(", ") }
}
