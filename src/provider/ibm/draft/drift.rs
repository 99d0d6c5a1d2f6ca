//! What somebody else has changed since tokenform last looked, and what that means.

use super::Scene;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::Past;
use crate::provider::age::Issued;
use crate::provider::ibm::state::{LiveTeam, Team};

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

impl Scene<'_> {
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
