//! What somebody else has changed since tokenform last looked, and what that means.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Scene;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::Past;
use crate::provider::age::Issued;
use crate::provider::ibm::state::{AuthMode, LiveTeam, OtherTeams, Team};

/// When the key of a team was issued: IBM does not tell, so the ledger must know that very key.
pub(super) fn issued(past: &Past, team: &LiveTeam) -> Issued {
    let is_known = past.fingerprint.is_some() && past.fingerprint == team.fingerprint;
    match (is_known, past.fingerprint.is_some()) {
        (true, _) => match (past.issued_at, past.issued_after) {
            (Some(at), _) => Issued::At(at),
            (None, Some(after)) => Issued::After(after),
            (None, None) => Issued::Unknown("it was there before tokenform first read it"),
        },
        (false, true) => {
            past.seen_at.map_or(Issued::Unknown("it was issued outside tokenform"), Issued::After)
        }
        (false, false) => Issued::Unknown("not in the ledger"),
    }
}

impl<'a> Scene<'a> {
    /// The ledger says that tokenform set what the spec still wants, and it is otherwise now. `None`
    /// where the wish is new.
    pub(super) fn mode_changed_outside(self, live: AuthMode, wish: AuthMode) -> Option<Finding> {
        let (setting, at) = self.cx.past(self.address).setting.as_ref()?;
        let (live, wish) = (live.as_str(), wish.as_str());
        let message = format!(
            "external_api_auth was set to {wish} by tokenform at {at} and is {live} now: changed in the console or \
             by another tool; the instance was last updated at {}",
            self.live.updated_at
        );
        (setting == wish).then(|| Finding::new(code::PLAN_MODE_CHANGED_OUTSIDE, message).at(self.address))
    }

    /// When tokenform locked the instance, if its last word on it was a lock.
    pub(super) fn locked_by_us(self) -> Option<Timestamp> {
        let (setting, at) = self.cx.past(self.address).setting.as_ref()?;
        (setting == AuthMode::IamOnly.as_str()).then_some(*at)
    }

    /// Visible teams that the ledger knows neither by name nor by id.
    pub(super) fn unknown_teams(self) -> Vec<&'a LiveTeam> {
        let known: BTreeSet<u64> =
            self.cx.history.below(self.address).filter_map(|(_, past)| past.remote_id).collect();
        let known = |team: &&LiveTeam| {
            let past = self.cx.history.objects.get(&self.team_address(team));
            // that it is protected tells nothing of its token
            let fence = Past { protected: true, ..Past::default() };
            known.contains(&team.id) || past.is_some_and(|past| *past != fence)
        };
        self.live.teams.iter().filter(|team| !known(team)).collect()
    }

    pub(super) fn team_after_lock(self, team: &LiveTeam, locked_at: Timestamp) -> Finding {
        let ignored = match self.want.other_teams {
            OtherTeams::Ignore => ", or was left out of it by `other_teams: ignore`",
            OtherTeams::Reset | OtherTeams::Refuse => "",
        };
        let message = format!(
            "team {} (id {}) appeared after the lock at {locked_at}{ignored}: its token was not reset, and can't be \
             read while IAM_ONLY; an unlock resets it",
            team.name, team.id
        );
        Finding::new(code::PLAN_TEAM_AFTER_LOCK, message).at(&self.team_address(team))
    }

    /// The key is not the one that the ledger last knew: somebody has reset it in the console.
    pub(super) fn key_changed_outside(self, team: &LiveTeam, want: &Team, past: &Past) -> Option<Finding> {
        let (known, live) = past.fingerprint.as_ref().zip(team.fingerprint.as_ref())?;
        if known == live {
            return None;
        }
        let since = past.seen_at.map(|at| format!(" after {at}")).unwrap_or_default();
        let mut message = format!(
            "the token in {} was reset outside tokenform{since}: its fingerprint is {}, the ledger's last one {}",
            team.name,
            live.short(),
            known.short()
        );
        let dead: Vec<_> = want.deliver.iter().map(|delivery| delivery.slot()).collect();
        let dead: Vec<_> =
            dead.iter().filter(|slot| past.delivered.contains_key(*slot)).map(String::as_str).collect();
        if !dead.is_empty() {
            message.push_str(&format!("; {} may hold a dead value", dead.join(", ")));
        }
        Some(Finding::new(code::PLAN_KEY_CHANGED_OUTSIDE, message).at(&self.team_address(team)))
    }
}
