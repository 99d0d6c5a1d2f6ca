//! `--issued-before`: the rotations that an incident asks for, and nothing else of the spec.
//!
//! The spec is planned as if each managed token in scope had `issued_after`; of the result only the
//! rotations stay, most recently used first and within the limits. Everything else in scope that may
//! be exposed is told with the reason why it stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::code;
use crate::model::evidence::Managed;
use crate::model::exposure::{Cause, Incident, NotRotated};
use crate::model::finding::Finding;
use crate::model::step::Step;
use crate::model::verb::Verb;
use crate::provider::draft::{Draft, Drafted};
use crate::provider::registry;
use crate::provider::state::{Desired, Limits, Rotate, Snapshot};

/// The spec as it is planned: each managed token in scope was to be issued after the incident.
pub(super) fn lens(desired: &Desired, incident: &Incident) -> Desired {
    let mut desired = desired.clone();
    let instances = desired.ibm.values_mut().flat_map(|connection| connection.instances.values_mut());
    for (address, team) in instances.flat_map(|instance| &mut instance.teams) {
        if team.manages_token() && incident.covers(address) {
            team.rotate = Some(since(team.rotate.take(), incident));
        }
    }
    // an incident rotates; what is not declared is told as such
    desired.logicmonitor.values_mut().for_each(|connection| connection.unlisted = None);
    let users = desired.logicmonitor.values_mut().flat_map(|connection| connection.users.values_mut());
    for (address, token) in users.flat_map(|user| &mut user.tokens) {
        if incident.covers(address) {
            token.rotate = Some(since(token.rotate.take(), incident));
        }
    }
    desired
}

fn since(rotate: Option<Rotate>, incident: &Incident) -> Rotate {
    let reason = incident.reason.as_deref().map_or("incident".to_owned(), |why| format!("incident: {why}"));
    Rotate {
        max_age: None,
        issued_after: Some(incident.issued_before),
        rationale: Some(reason),
        ..rotate.unwrap_or_default()
    }
}

/// What an incident's plan is made from.
pub(super) struct Scene<'a> {
    pub incident: &'a Incident,
    pub desired: &'a Desired,
    pub snapshot: &'a Snapshot,
    pub protected: Vec<Address>,
    pub managed: Vec<Managed>,
}

/// One draft with the rotations that are made, in order; and what else may be exposed.
pub(super) fn narrow(scene: &Scene<'_>, drafts: Vec<Draft>) -> (Draft, Vec<NotRotated>) {
    let mut left = Vec::new();
    let mut candidates = Vec::new();
    let mut whole = Draft::default();
    for mut draft in drafts {
        let (changes, start) = (std::mem::take(&mut draft.changes), left.len());
        candidates.extend(scene.candidates(changes, &draft.findings, &mut left));
        let open = draft.findings.iter().filter(|finding| finding.is_error());
        let mut open: Vec<_> = open.filter_map(|finding| not_planned(scene.incident, finding)).collect();
        open.retain(|row| left[start..].iter().all(|told: &NotRotated| told.address != row.address));
        left.append(&mut open);
        whole.live.extend(draft.live);
        whole.enabled_counts.extend(draft.enabled_counts);
        whole.unknown_age.extend(draft.unknown_age);
        whole.effects.extend(draft.effects);
    }
    candidates.sort_by_key(|drafted| std::cmp::Reverse(scene.last_used(drafted)));
    for drafted in candidates {
        match scene.over_limit(&whole.changes, &drafted) {
            None => whole.changes.push(drafted),
            Some(why) => left.push(row(&drafted.change.address, Cause::OverLimit, why)),
        }
    }
    keep_what_it_rests_on(&mut whole);
    let told: BTreeSet<Address> = left.iter().map(|row| row.address.clone()).collect();
    let rotated =
        whole.changes.iter().filter_map(|d| Some((d.change.address.clone(), replaced(d)?))).collect();
    let besides = registry::exposed_besides(scene.desired, scene.snapshot, scene.incident, &rotated);
    left.extend(besides.into_iter().filter(|row| !told.contains(&row.address)));
    left.sort_by(|a, b| (a.cause, &a.address, &a.why).cmp(&(b.cause, &b.address, &b.why)));
    left.dedup();
    (whole, left)
}

impl Scene<'_> {
    /// The rotations among an owner's changes that can be made; what can't is told.
    fn candidates(
        &self,
        changes: Vec<Drafted>,
        findings: &[Finding],
        left: &mut Vec<NotRotated>,
    ) -> Vec<Drafted> {
        let switches =
            changes.iter().flat_map(|d| &d.steps).any(|s| matches!(s.verb, Verb::Lock | Verb::Unlock));
        let mut candidates = Vec::new();
        for drafted in changes {
            let address = &drafted.change.address;
            let is_meant = self.incident.covers(address) && is_about_a_token(drafted.change.action);
            let wrong = findings.iter().filter(|f| f.is_error()).find(|f| concerns(f, address));
            match (drafted.change.action, wrong) {
                _ if !is_meant => {}
                (Action::Rotate, _) if self.protected.iter().any(|p| p.covers(address)) => {
                    left.push(row(address, Cause::Protected, "it is under `protect: true`"));
                }
                (_, Some(finding)) => left.push(row(address, cause(finding), finding.message.clone())),
                (Action::Rotate, None) if !switches => candidates.push(drafted),
                (action, None) => {
                    let why =
                        format!("the ordinary plan is to {} it: {}", action.as_str(), drafted.change.reason);
                    left.push(row(address, Cause::OtherWish, why));
                }
            }
        }
        candidates
    }

    /// What was used last goes first; what nobody tells the use of may be in use now; what was never
    /// used goes last.
    fn last_used(&self, drafted: &Drafted) -> Timestamp {
        let used =
            replaced(drafted).and_then(|id| registry::last_used(self.snapshot, &drafted.change.address, id));
        match (replaced(drafted), used) {
            (None, _) => Timestamp::MAX,
            (Some(_), None) => Timestamp::MIN,
            (Some(_), Some(at)) => at,
        }
    }

    /// Why one more rotation is too many, if it is.
    fn over_limit(&self, chosen: &[Drafted], next: &Drafted) -> Option<String> {
        let Limits { rotate, percent, .. } = self.desired.limits;
        if chosen.len() >= rotate as usize {
            return Some(format!(
                "limits.rotate is {rotate}; raise it with --limit rotate=COUNT, or plan again"
            ));
        }
        let connection = next.change.address.of_connection();
        let all = self.managed.iter().find(|m| m.connection == connection).map_or(0, |m| m.tokens);
        let same = chosen.iter().filter(|d| d.change.address.of_connection() == connection).count();
        let too_many = all >= SHARE_FROM && (same + 1) * 100 > all * percent as usize;
        too_many.then(|| {
            format!(
                "limits.percent is {percent}, of {all} at {connection}; raise it with --limit percent=100"
            )
        })
    }
}

/// `limits.percent` holds from so many objects up (PRODUCT section 1).
const SHARE_FROM: usize = 10;

fn is_about_a_token(action: Action) -> bool {
    matches!(action, Action::Rotate | Action::Invalidate | Action::Disable | Action::Delete)
}

/// The id of the token that a rotation replaces, where the vendor gives ids.
fn replaced(drafted: &Drafted) -> Option<u64> {
    let id = |step: &Step| step.params.get("predecessor")?.parse().ok().filter(|id: &u64| *id != 0);
    drafted.steps.iter().find_map(id)
}

/// Whether an error is about an object or about what it lies in.
fn concerns(finding: &Finding, address: &Address) -> bool {
    finding.address.as_ref().is_none_or(|at| at.covers(address))
}

/// An error about something in scope for which nothing was drafted.
fn not_planned(incident: &Incident, finding: &Finding) -> Option<NotRotated> {
    let address = finding.address.as_ref()?;
    incident.touches(address).then(|| row(address, cause(finding), finding.message.clone()))
}

fn cause(finding: &Finding) -> Cause {
    let causes = BTreeMap::from([
        (code::PLAN_NO_DESTINATION, Cause::NoDestination),
        (code::PLAN_PROTECTED, Cause::Protected),
        (code::PLAN_GUIDED_SERVICE_ID, Cause::Guided),
        (code::PLAN_OWNER_REFUSED, Cause::OwnerRefused),
        (code::PLAN_USER_MISSING, Cause::OwnerMissing),
        (code::IBM_LOCKED_OUT, Cause::IamOnly),
    ]);
    causes.get(&finding.code).copied().unwrap_or(Cause::Unreadable)
}

fn row(address: &Address, cause: Cause, why: impl Into<String>) -> NotRotated {
    NotRotated { address: address.clone(), cause, why: why.into(), token_ids: Vec::new() }
}

/// Drops what only changes rest on that are not made.
fn keep_what_it_rests_on(draft: &mut Draft) {
    let steps: Vec<&Step> = draft.changes.iter().flat_map(|drafted| &drafted.steps).collect();
    let expected: BTreeSet<&Address> = steps.iter().flat_map(|s| &s.expects).map(|e| &e.address).collect();
    let lanes: BTreeSet<Address> = steps.iter().map(|step| step.address.lane()).collect();
    let own: BTreeSet<&Address> = steps.iter().map(|step| &step.address).collect();
    let ids: BTreeSet<_> = steps.iter().map(|step| &step.id).collect();
    draft.live.retain(|e| expected.contains(&e.address) || lanes.contains(&e.address));
    draft.enabled_counts.retain(|count| own.contains(&count.address));
    draft.unknown_age.retain(|step| ids.contains(step));
}
