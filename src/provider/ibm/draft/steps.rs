//! The steps of a draft: what each calls, needs to know, and expects of live state.

use std::collections::BTreeMap;

use super::Scene;
use crate::model::code;
use crate::model::evidence::VisibleTeam;
use crate::model::finding::Finding;
use crate::model::step::{Call, Delivery, Expect, Recovery, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::provider::draft::{Draft, host};
use crate::provider::ibm::state::{AuthMode, LiveTeam, Team, TokenReset};

impl<'a> Scene<'a> {
    pub(super) fn switch_step(self, verb: Verb, to: AuthMode, teams: &[VisibleTeam]) -> Step {
        let mut params = self.params();
        let hold = self.cx.asked.unlocks(self.address).and_then(|asked| asked.hold);
        if let Some(hold) = hold.filter(|_| verb == Verb::Unlock) {
            params.insert("hold".into(), hold.to_string());
        }
        params.insert("setting".into(), to.as_str().into());
        let ignored: Vec<_> = teams.iter().filter(|t| t.ignored).map(|t| t.id.to_string()).collect();
        params.insert("ignored_teams".into(), ignored.join(","));
        Step {
            id: StepId::new(verb, self.address, 1),
            address: self.address.clone(),
            verb,
            shape: None,
            call: Call {
                method: "PATCH".into(),
                host: host(&self.connection.resource_controller()),
                path: format!("/v2/resource_instances/{}", self.live.guid),
            },
            needs: Vec::new(),
            irreversible: verb.properties().irreversible,
            destinations: Vec::new(),
            params,
            expects: vec![self.expect_instance()],
            guards: Vec::new(),
            recovery: Recovery::ReadBack,
        }
    }

    pub(super) fn reset_step(
        self,
        team: &LiveTeam,
        want: Option<&Team>,
        shape: Shape,
        destinations: Vec<Delivery>,
        draft: &mut Draft,
    ) -> Step {
        let address = self.team_address(team);
        let owned = want.is_some_and(|w| w.owner.is_some());
        if self.connection.token_reset.is_guided() && self.live.service_id && !owned {
            let message = format!(
                "a guided reset needs a person logged in as {}, which is a service ID",
                self.live.identity
            );
            draft.findings.push(Finding::new(code::PLAN_GUIDED_SERVICE_ID, message).at(&address));
        }
        let expects = self.expect_team(team);
        draft.live.extend(expects.clone());
        Step {
            id: StepId::new(Verb::Reset, &address, 1),
            call: self.reset_call(team, want),
            address,
            verb: Verb::Reset,
            shape: Some(shape),
            needs: Vec::new(),
            irreversible: true,
            destinations,
            params: self.team_params(team, want),
            expects: expects.into_iter().collect(),
            guards: Vec::new(),
            recovery: Recovery::ReadBack,
        }
    }

    pub(super) fn reset_call(self, team: &LiveTeam, want: Option<&Team>) -> Call {
        match &self.connection.token_reset {
            TokenReset::Guided { .. } => Call {
                method: "GUIDED".into(),
                host: "cloud.ibm.com".into(),
                path: format!("Settings > User Profile > API: Reset Token, in team \"{}\"", team.name),
            },
            TokenReset::Call { method, path, .. } => Call {
                method: method.clone(),
                host: host(&self.live.origin),
                path: path
                    .replace("{team_id}", &team.id.to_string())
                    .replace("{username}", self.identity(want)),
            },
        }
    }

    pub(super) fn deliver_step(
        self,
        team: &LiveTeam,
        want: &Team,
        to: Vec<Delivery>,
        draft: &mut Draft,
    ) -> Step {
        let address = self.team_address(team);
        let expects = self.expect_team(team);
        draft.live.extend(expects.clone());
        Step {
            id: StepId::new(Verb::Deliver, &address, 1),
            address,
            verb: Verb::Deliver,
            shape: None,
            call: Call { method: "GET".into(), host: host(&self.live.origin), path: "/api/token".into() },
            needs: Vec::new(),
            irreversible: false,
            destinations: to,
            params: self.team_params(team, Some(want)),
            expects: expects.into_iter().collect(),
            guards: Vec::new(),
            recovery: Recovery::Repeat,
        }
    }

    pub(super) fn params(self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("guid".into(), self.live.guid.clone()),
            ("origin".into(), self.live.origin.clone()),
            ("identity".into(), self.live.identity.clone()),
        ])
    }

    pub(super) fn team_params(self, team: &LiveTeam, want: Option<&Team>) -> BTreeMap<String, String> {
        let mut params = self.params();
        params.insert("team_id".into(), team.id.to_string());
        params.insert("team_name".into(), team.name.clone());
        params.insert("owner".into(), want.and_then(|w| w.owner.clone()).unwrap_or_default());
        params
    }

    pub(super) fn expect_instance(self) -> Expect {
        Expect { address: self.address.clone(), digest: self.live.digest(self.cx.key) }
    }

    /// A key that could not be read (the instance is locked) binds nothing.
    pub(super) fn expect_team(self, team: &LiveTeam) -> Option<Expect> {
        let digest = team.digest(&self.live.guid, self.cx.key);
        team.fingerprint.is_some().then(|| Expect { address: self.team_address(team), digest })
    }

    pub(super) fn identity(self, want: Option<&'a Team>) -> &'a str {
        want.and_then(|w| w.owner.as_deref()).unwrap_or(&self.live.identity)
    }
}
