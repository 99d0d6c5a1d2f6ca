//! Whether the conditions of a step still hold, judged by what was read right before it.

use jiff::Timestamp;

use super::audit_log::{self, Watch, Watched};
use super::owners::Owners;
use super::state::LiveToken;
use super::steps::Task;
use crate::http::Reader;
use crate::model::guard::Guard;
use crate::model::vocabulary::Period;

/// Why a guard of the step no longer holds; `None` if all hold. The first of the owners is whose token the
/// step is on.
pub async fn broken(reader: &Reader, task: &Task<'_>, owners: Owners<'_>) -> Option<String> {
    let user = owners.first;
    let now = task.cx.env.clock.now();
    for guard in &task.step.guards {
        let why = match guard {
            Guard::OldIdle { token_id, at_least, .. } => {
                find(owners, *token_id).and_then(|old| used(old, *at_least, now))
            }
            Guard::SuccessorInPlace { token_id, issued_at, overlap, .. } => {
                in_place(owners, *token_id, overlap.after(*issued_at), now)
            }
            Guard::DisabledFor { token_id, at_least, since } => {
                let until = at_least.after(*since);
                let enabled = find(owners, *token_id).is_some_and(LiveToken::enabled);
                if enabled {
                    Some(format!("id {token_id} is enabled again"))
                } else {
                    (now < until).then(|| format!("id {token_id} was disabled too recently: until {until}"))
                }
            }
            Guard::OwnerKeepsOne { token_id } => {
                let other = |token: &&LiveToken| token.enabled() && token.id != *token_id;
                let kept = user.tokens.iter().any(|token| other(&token));
                (!kept).then(|| format!("id {token_id} is the last enabled token of {}", user.username))
            }
            Guard::NotTried { access_id, since } => tried(reader, task, access_id, *since).await,
            Guard::Unwatched { .. } => None,
        };
        if why.is_some() {
            return why;
        }
    }
    None
}

fn find(owners: Owners<'_>, id: u64) -> Option<&LiveToken> {
    owners.tokens().find(|token| token.id == id)
}

fn used(old: &LiveToken, at_least: Period, now: Timestamp) -> Option<String> {
    let last = old.last_used_on?;
    let from = old.last_auth_ip.as_ref().map(|ip| format!(" from {ip}")).unwrap_or_default();
    (now < at_least.after(last)).then(|| format!("id {} was used{from} at {last}: it is in use", old.id))
}

fn in_place(owners: Owners<'_>, id: u64, until: Timestamp, now: Timestamp) -> Option<String> {
    match find(owners, id) {
        None => Some(format!("id {id}, which replaced it, is not there")),
        Some(new) if owners.second.is_some() && owners.holder(new).status != "active" => {
            Some(format!("id {id}, which replaced it, is of a user who is {}", owners.holder(new).status))
        }
        Some(new) if !new.enabled() => Some(format!("id {id}, which replaced it, is disabled")),
        Some(_) => (now < until).then(|| format!("both shall work until {until}")),
    }
}

async fn tried(reader: &Reader, task: &Task<'_>, access_id: &str, since: Timestamp) -> Option<String> {
    let watched = Watched::from([(access_id.to_owned(), since)]);
    match audit_log::read(&task.client(reader), &task.step.address, &watched).await {
        Watch::NotAsked => None,
        Watch::Unread { why, .. } => Some(why),
        Watch::Read(tries) => tries
            .get(access_id)
            .map(|tries| format!("it was tried from {} at {}: it is in use", tries.ip, tries.last)),
    }
}
