//! What an incident may have exposed at IBM besides managed tokens.

use crate::model::address::Address;
use crate::model::exposure::{Cause, Incident, NotRotated};
use crate::provider::ibm::draft::{mode, seen_as};
use crate::provider::ibm::state::{AuthMode, Instance, LiveInstance, Team};
use crate::provider::state::{Desired, Snapshot};

/// Credentials, locked instances, and visible teams whose tokens are not managed.
pub fn besides(desired: &Desired, snapshot: &Snapshot, incident: &Incident) -> Vec<NotRotated> {
    let mut rows = Vec::new();
    for (at, connection) in &desired.ibm {
        if incident.covers(at) {
            let why = "the connection's own credential is no token of a team: replace it by hand".to_owned();
            rows.push(NotRotated { address: at.clone(), cause: Cause::Credential, why, token_ids: vec![] });
        }
        for (address, want) in connection.instances.iter().filter(|(at, _)| incident.covers(at)) {
            if let Some(live) = snapshot.instances.get(address).and_then(|live| live.present()) {
                rows.extend(of_instance(address, want, live));
            }
        }
    }
    rows
}

fn of_instance(address: &Address, want: &Instance, live: &LiveInstance) -> Option<NotRotated> {
    let row = |cause, why| Some(NotRotated { address: address.clone(), cause, why, token_ids: vec![] });
    if matches!(mode(address, live), Ok(AuthMode::IamOnly)) {
        let teams = live.teams.len();
        let why = format!("the tokens of {teams} visible teams work only after an unlock, which resets them");
        return row(Cause::IamOnly, why);
    }
    let managed = |team: &&_| seen_as(want, team).is_some_and(Team::manages_token);
    let others: Vec<_> =
        live.teams.iter().filter(|team| !managed(team)).map(|team| team.name.as_str()).collect();
    let why = format!("tokens of visible teams that are not managed here: {}", others.join(", "));
    if others.is_empty() { None } else { row(Cause::Unlisted, why) }
}
