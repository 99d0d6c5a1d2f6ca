//! `--partial`: what can't be read is set aside, without a step, and told; the rest is planned.

use crate::model::asked::Unread;
use crate::model::code;
use crate::model::exposure::Incident;
use crate::model::finding::Finding;
use crate::provider::draft::Draft;

/// Takes everything of owners that could not be read whole out of the drafts. Other errors stay: they
/// refuse the plan.
pub(super) fn set_aside(drafts: &mut [Draft]) -> Vec<Unread> {
    let mut rows = Vec::new();
    for draft in drafts {
        let findings = std::mem::take(&mut draft.findings);
        let not_read = draft.not_read;
        let (unread, rest): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| is_unread(not_read, finding));
        if unread.is_empty() {
            draft.findings = rest;
            continue;
        }
        *draft = Draft { findings: rest, ..Draft::default() };
        rows.extend(told(unread));
    }
    rows
}

/// What of an incident's scope could not be read. Without `--partial` it refuses the plan.
pub(super) fn unread(drafts: &[Draft], incident: &Incident) -> Vec<Finding> {
    let all = drafts.iter().flat_map(|draft| draft.findings.iter().map(|f| (draft.not_read, f)));
    let unread = all.filter(|(not_read, finding)| is_unread(*not_read, finding)).map(|(_, finding)| finding);
    unread.filter(|f| f.address.as_ref().is_some_and(|at| incident.touches(at))).cloned().collect()
}

/// As a plan that goes on without it tells it.
pub(super) fn told(unread: Vec<Finding>) -> impl Iterator<Item = Unread> {
    unread.into_iter().filter_map(|finding| {
        let code = finding.code.id().to_owned();
        Some(Unread { address: finding.address?, code, why: finding.message })
    })
}

fn is_unread(not_read: bool, finding: &Finding) -> bool {
    not_read || finding.code == code::PLAN_UNREADABLE
}
