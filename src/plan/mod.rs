//! The planner: wish + observation + history → a plan. Pure and synchronous: no clock, network or
//! randomness, so the same inputs give the same bytes.

pub mod check;
pub mod document;
mod graph;
mod incident;
mod partial;
mod protect;
mod reverse;
pub mod rules;
#[cfg(test)]
mod sample;
mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use self::document::{Amends, Covered, FORMAT_VERSION, LiveFields, Plan, PlanFinding, Source, Summary};
use crate::model::address::Address;
use crate::model::asked::{Asked, Extent};
use crate::model::change::{Action, Change};
use crate::model::code;
use crate::model::effect::SideEffect;
use crate::model::evidence::Evidence;
use crate::model::exposure::Incident;
use crate::model::finding::Finding;
use crate::model::history::History;
use crate::model::secret::{Digest, DigestKey};
use crate::model::step::{Expect, Need, Rule, Shape, Step};
use crate::model::verb::Verb;
use crate::model::vocabulary::{Period, Target};
use crate::model::who::Who;
use crate::provider::draft::{Context, Draft};
use crate::provider::registry;
use crate::provider::state::{Desired, Snapshot};

/// How long a saved plan may be applied.
pub const EXPIRES: Period = Period::hours(24);

/// Everything a plan is made from.
pub struct Inputs<'a> {
    pub desired: &'a Desired,
    pub snapshot: &'a Snapshot,
    pub history: &'a History,
    pub key: &'a DigestKey,
    pub now: Timestamp,
    /// Who makes it.
    pub by: Option<Who>,
    pub expires: Period,
    pub target: Target,
    /// Where the snapshot came from.
    pub source: Source,
    pub spec_path: PathBuf,
    pub spec_digest: Digest,
    /// Where the ledger is, or would be: named where there is none.
    pub ledger: PathBuf,
    /// The levers of this run.
    pub asked: &'a Asked,
    /// Nobody reviews this plan: what needs a person's eye is left out and waits.
    pub unattended: bool,
    /// It may be saved: it holds a digest of each field of live state that it rests on, by which an apply
    /// tells which one has moved.
    pub kept: bool,
}

/// A plan that nobody has judged yet, and what there is to say about it. An error among the findings means
/// that the plan must not be used: it is whole only for the objects without one.
pub struct Planned {
    pub plan: Plan,
    pub findings: Vec<Finding>,
}

/// Plans. Never fails: what can't be planned is a finding.
pub fn plan(inputs: &Inputs<'_>) -> Planned {
    let Inputs { history, key, now, asked, unattended, .. } = *inputs;
    let cx = Context { history, key, now, asked, unattended };
    let guarded = protect::lens(inputs.desired, history);
    let desired = guarded.as_ref().unwrap_or(inputs.desired);
    let lens = asked.incident.as_ref().map(|incident| incident::lens(desired, incident));
    let mut drafts = registry::drafts(cx, lens.as_ref().unwrap_or(desired), inputs.snapshot);
    let mut plan = empty(inputs);
    let mut findings = Vec::new();
    if let Some(incident) = &inputs.asked.incident {
        let unread = partial::unread(&drafts, incident);
        match asked.partial {
            true => plan.extent.unread = partial::told(unread).collect(),
            false => findings = unread,
        }
        let (narrowed, left) = incident::narrow(&incident_scene(inputs, incident), drafts);
        plan.extent.not_rotated = left;
        plan.complete = false;
        drafts = vec![narrowed];
    }
    if asked.partial {
        plan.extent.unread.extend(partial::set_aside(&mut drafts));
        plan.complete &= plan.extent.unread.is_empty();
    }
    protect::add(inputs, &mut drafts);
    plan.evidence = evidence(inputs, &drafts);
    let mut live = BTreeSet::new();
    let mut steps = Vec::new();
    let mut covered = Vec::new();
    for draft in drafts {
        findings.extend(draft.findings);
        live.extend(draft.live);
        plan.waiting.extend(draft.waiting);
        plan.ages.extend(draft.ages);
        plan.side_effects.extend(draft.effects);
        plan.unlisted.extend(draft.unlisted);
        covered.extend(draft.covered);
        for mut drafted in draft.changes {
            drafted.change.rationale =
                rationale(&drafted.change, asked, lens.as_ref().unwrap_or(inputs.desired));
            plan.changes.push(drafted.change);
            steps.extend(drafted.steps);
        }
    }
    match graph::order(steps) {
        Ok(steps) => plan.steps = steps,
        Err(cycle) => findings.push(ring(&cycle)),
    }
    if !plan.evidence.new_state.is_empty() {
        let message = format!("no ledger at {}", inputs.ledger.display());
        findings.insert(0, Finding::new(code::PLAN_NEW_STATE, message));
    }
    // One failed request can be told by every object that needed it.
    let mut told = BTreeSet::new();
    findings.retain(|f| told.insert((f.code.id(), f.address.clone(), f.message.clone())));
    plan.live = live.into_iter().collect();
    if !inputs.asked.target.is_empty() {
        target::narrow(&mut plan, &mut findings, &registry::declared(inputs.desired));
    }
    let changed: BTreeSet<_> = plan.changes.iter().map(|change| &change.address).collect();
    plan.side_effects =
        SideEffect::gathered(std::mem::take(&mut plan.side_effects), |at| changed.contains(at));
    amend(&mut plan, inputs.history, covered);
    tell_windows(&mut plan);
    plan.reverse = reverse::of(&plan);
    plan.live_digest = live_digest(&plan.live, inputs.key);
    if inputs.kept {
        plan.live_fields = live_fields(&plan.live, inputs);
    }
    plan.summary = Summary::of(&plan.changes, &plan.steps);
    plan.findings = findings.iter().map(PlanFinding::from).collect();
    Planned { plan, findings }
}

/// What people gave as the why of a change: with a lever, else in the spec.
fn rationale(change: &Change, asked: &Asked, desired: &Desired) -> Option<String> {
    match &asked.unlock {
        Some(unlock) => Some(unlock.reason.clone()),
        None if change.action == Action::Rotate => registry::rationale(desired, &change.address),
        None => None,
    }
}

/// Resets of the interrupted apply that count: the lock needs each like one of this plan. And the
/// instances that it unlocked, if this plan makes the resets that follow.
fn amend(plan: &mut Plan, history: &History, mut covered: Vec<Covered>) {
    covered.retain(|row| {
        let is_its_lock = |step: &&mut Step| step.verb == Verb::Lock && step.address == row.address.lane();
        let lock = plan.steps.iter_mut().find(is_its_lock);
        let need = Need { step: row.step.clone(), rule: Rule::ResetBeforeLock };
        lock.map(|lock| lock.needs.push(need)).is_some()
    });
    let Some(interrupted) = &history.interrupted else { return };
    let owes = |instance: &&Address| {
        let resets = |step: &Step| step.shape == Some(Shape::Invalidate) && step.address.lane() == **instance;
        let switches = |step: &Step| step.verb == Verb::Lock && step.address == **instance;
        plan.steps.iter().any(resets) && !plan.steps.iter().any(switches)
    };
    let unlocked: Vec<Address> = interrupted.unlocked.iter().filter(owes).cloned().collect();
    if !covered.is_empty() || !unlocked.is_empty() {
        plan.amends = Some(Amends { apply: interrupted.apply_id.clone(), covered, unlocked });
    }
}

/// Since an unlock, until the last reset that follows it, earlier tokens may work again; since a deletion by
/// `replace`, until the issue, none does: said with the numbers that the steps have now.
fn tell_windows(plan: &mut Plan) {
    // the numbers of the first and of the last step of what opens a window and what ends it
    let (mut unlocks, mut resets) = (BTreeMap::new(), BTreeMap::new());
    let (mut deletions, mut issues) = (BTreeMap::new(), BTreeMap::new());
    for (step, number) in plan.steps.iter().zip(1_usize..) {
        match (step.verb, step.shape) {
            (Verb::Unlock, _) => drop(unlocks.insert(&step.address, number)),
            (Verb::Reset, _) => drop(resets.insert(step.address.lane(), number)),
            (Verb::Delete, Some(Shape::Replace)) => {
                deletions.entry(&step.address).or_insert(number);
            }
            (Verb::Issue, Some(Shape::Replace)) => drop(issues.insert(&step.address, number)),
            _ => {}
        }
    }
    for change in &mut plan.changes {
        let at = &change.address;
        let told = match change.action {
            Action::Unlock => unlocks
                .get(at)
                .zip(resets.get(at))
                .map(|(unlock, last)| format!("from step {unlock} to {last}, earlier tokens may work again")),
            Action::Rotate => deletions.get(at).zip(issues.get(at)).map(|(first, last)| {
                format!("from step {first} until step {last} is done, no token of this name works")
            }),
            _ => None,
        };
        change.notes.extend(told);
    }
}

/// HMAC over the digests of every live object that the plan rests on.
pub fn live_digest(live: &[Expect], key: &DigestKey) -> Digest {
    let bytes = serde_json::to_vec(live).expect("addresses and digests are strings");
    key.digest("live", &bytes)
}

/// What each live object that the plan rests on looks like, field by field.
fn live_fields(live: &[Expect], inputs: &Inputs<'_>) -> Vec<LiveFields> {
    let asked = live.iter().map(|expect| &expect.address).collect();
    let bound = registry::bound(inputs.desired, inputs.snapshot, &asked);
    let row = |expect: &Expect| {
        let bound = bound.get(&expect.address)?;
        Some(LiveFields::of(expect.address.clone(), bound, inputs.key))
    };
    live.iter().filter_map(row).collect()
}

fn empty(inputs: &Inputs<'_>) -> Plan {
    Plan {
        format_version: FORMAT_VERSION.to_owned(),
        tokenform_version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: inputs.now,
        created_by: inputs.by.clone(),
        expires_at: inputs.expires.after(inputs.now),
        target: inputs.target,
        source: inputs.source,
        complete: true,
        asked: inputs.asked.clone(),
        extent: Extent {
            not_contacted: inputs.snapshot.left_out.iter().cloned().collect(),
            ..Extent::default()
        },
        amends: None,
        spec_path: inputs.spec_path.clone(),
        spec_digest: inputs.spec_digest.clone(),
        live_digest: live_digest(&[], inputs.key),
        key_id: inputs.key.id().to_owned(),
        ledger_head: inputs.history.head.clone(),
        limits: inputs.desired.limits,
        summary: Summary::default(),
        changes: Vec::new(),
        steps: Vec::new(),
        invariants: Vec::new(),
        findings: Vec::new(),
        reverse: Vec::new(),
        waiting: Vec::new(),
        ages: Vec::new(),
        side_effects: Vec::new(),
        unlisted: Vec::new(),
        live: Vec::new(),
        live_fields: Vec::new(),
        estate: registry::estate(inputs.desired, inputs.snapshot),
        evidence: Evidence::default(),
    }
}

fn evidence(inputs: &Inputs<'_>, drafts: &[Draft]) -> Evidence {
    let scope = registry::scope(inputs.desired);
    Evidence {
        visible_teams: drafts.iter().filter_map(|d| d.visible_teams.clone()).collect(),
        callers: registry::credentials_in_use(inputs.desired, inputs.snapshot),
        enabled_counts: drafts.iter().flat_map(|d| d.enabled_counts.clone()).collect(),
        owners: drafts.iter().flat_map(|d| d.owners.clone()).collect(),
        managed: registry::managed(inputs.desired, inputs.snapshot),
        scope,
        protected: protect::all(inputs),
        unprotect: inputs.desired.unprotect.iter().cloned().collect(),
        new_state: match inputs.history.head {
            None => drafts.iter().flat_map(|d| d.unknown_age.clone()).collect(),
            Some(_) => Vec::new(),
        },
    }
}

fn incident_scene<'a>(inputs: &'a Inputs<'_>, incident: &'a Incident) -> incident::Scene<'a> {
    let Inputs { desired, snapshot, .. } = *inputs;
    let (protected, managed) = (protect::all(inputs), registry::managed(desired, snapshot));
    incident::Scene { incident, desired, snapshot, protected, managed }
}

fn ring(cycle: &graph::Cycle) -> Finding {
    let names: Vec<_> = cycle.0.iter().map(|id| id.as_str()).collect();
    Finding::new(code::PLAN_CHECK, format!("steps wait for each other in a ring: {}", names.join(", ")))
}

impl From<&Finding> for PlanFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.id().to_owned(),
            severity: finding.code.severity().as_str().to_owned(),
            address: finding.address.clone(),
            message: finding.message.clone(),
        }
    }
}
