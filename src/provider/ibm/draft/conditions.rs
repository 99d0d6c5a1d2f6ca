//! What must hold before an instance is changed, and what is told where it does not.

use std::collections::BTreeMap;

use super::Scene;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::step::Step;
use crate::model::verb::Verb;
use crate::provider::draft::Draft;
use crate::provider::ibm::state::{HeaderProof, Instance, LiveInstance, LiveTeam, Service};

impl Scene<'_> {
    /// What must hold before anything of the instance is changed.
    pub(super) fn preconditions(self, draft: &mut Draft) {
        let live = self.live;
        let keyed = |s: &Step| matches!(s.verb, Verb::Reset | Verb::Deliver);
        let keys = draft.changes.iter().flat_map(|c| &c.steps).any(keyed);
        let switches = draft.changes.iter().flat_map(|c| &c.steps).any(|s| s.address == *self.address);
        if let HeaderProof::Unproven(why) = &live.header
            && keys
        {
            draft.findings.push(Finding::new(code::IBM_TEAM_HEADER_UNPROVEN, why.clone()).at(self.address));
        }
        if switches && live.teams.is_empty() {
            let message = format!("no team is visible to {}, so no token could be reset", live.identity);
            draft.findings.push(Finding::new(code::PLAN_UNREADABLE, message).at(self.address));
        }
        if switches && let Some(why) = unwritable(live) {
            draft.findings.push(Finding::new(code::PLAN_NOT_WRITABLE, why).at(self.address));
        }
    }

    /// Every declared team is one visible team: zero or several hits stop the plan.
    pub(super) fn names(self, draft: &mut Draft) {
        let mut visible: BTreeMap<Address, Vec<u64>> = BTreeMap::new();
        for team in &self.live.teams {
            visible.entry(self.team_address(team)).or_default().push(team.id);
        }
        for address in self.want.teams.keys() {
            let ids = visible.get(address).map_or(&[][..], Vec::as_slice);
            let finding = match ids.len() {
                1 => continue,
                0 => Finding::new(code::PLAN_NAME_NOT_FOUND, self.not_visible(address)),
                _ => {
                    let ids: Vec<_> = ids.iter().map(|id| format!("id {id}")).collect();
                    let message = format!("several visible teams stand for it: {}", ids.join(", "));
                    Finding::new(code::PLAN_AMBIGUOUS, message)
                }
            };
            draft.findings.push(finding.at(address));
        }
    }

    pub(super) fn not_visible(self, address: &Address) -> String {
        let teams: Vec<_> = self.live.teams.iter().map(|t| format!("{} (id {})", t.name, t.id)).collect();
        let teams = if teams.is_empty() { "none".into() } else { teams.join(", ") };
        format!("{} sees no team `{}`; visible teams: {teams}", self.live.identity, address.name())
    }

    /// While `ANY`, a key that was not read can be neither compared, delivered nor proved dead.
    pub(super) fn unread(self, team: &LiveTeam) -> Finding {
        let message = format!("the token in {} (id {}) was not read", team.name, team.id);
        Finding::new(code::PLAN_UNREADABLE, message).at(&self.team_address(team))
    }

    pub(super) fn not_covered(self, team: &LiveTeam) -> Finding {
        let message = format!("NOT covered: the token in {} (id {}) is not reset", team.name, team.id);
        Finding::new(code::PLAN_NOT_COVERED, message).at(&self.team_address(team))
    }

    pub(super) fn resets_owed(self, team: &LiveTeam) -> Finding {
        let message =
            format!("the token in {} was not reset since the unlock: earlier ones may work", team.name);
        Finding::new(code::PLAN_RESETS_OWED, message).at(&self.team_address(team))
    }

    pub(super) fn unlisted(self, team: &LiveTeam) -> Finding {
        let message = format!("team {} (id {}) is visible but not listed", team.name, team.id);
        Finding::new(code::PLAN_OTHER_TEAMS, message).at(&self.team_address(team))
    }
}

/// On Workload Protection the mode is the user's own risk, declared or not yet in force alike.
pub(super) fn unaccepted(address: &Address, want: &Instance) -> Option<Finding> {
    let risky = want.service == Service::WorkloadProtection && want.external_api_auth.is_some();
    let message = "nothing documents that Workload Protection takes external_api_auth";
    (risky && !want.accept_unverified).then(|| Finding::new(code::IBM_ACCEPT_UNVERIFIED, message).at(address))
}

/// Why the vendor would refuse to change the instance (contract ibm 2.4, 2.7, 2.9).
fn unwritable(live: &LiveInstance) -> Option<String> {
    if live.state != "active" {
        return Some(format!("the instance's state is `{}`, not `active`", live.state));
    }
    if live.locked {
        return Some(
            "the instance is locked against updates (`ibmcloud resource service-instance-unlock`)".into(),
        );
    }
    if live.busy {
        return Some("another operation on the instance is in progress".into());
    }
    live.controlled_by.as_ref().map(|crn| format!("the instance is controlled by {crn}"))
}
