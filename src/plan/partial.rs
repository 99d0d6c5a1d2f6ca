//! `--partial`: what can't be read is set aside, without a step, and told; the rest is planned.

use crate::model::asked::Unread;
use crate::model::code;
use crate::provider::draft::Draft;

/// Takes everything of owners that could not be read whole out of the drafts. Other errors stay: they
/// refuse the plan.
pub(super) fn set_aside(drafts: &mut [Draft]) -> Vec<Unread> {
    let mut rows = Vec::new();
    for draft in drafts {
        let findings = std::mem::take(&mut draft.findings);
        let not_read = draft.not_read;
        let (unread, rest): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| not_read || finding.code == code::PLAN_UNREADABLE);
        if unread.is_empty() {
            draft.findings = rest;
            continue;
        }
        *draft = Draft { findings: rest, ..Draft::default() };
        rows.extend(unread.into_iter().filter_map(|finding| {
            Some(Unread {
                address: finding.address?,
                code: finding.code.id().to_owned(),
                why: finding.message,
            })
        }));
    }
    rows
}
