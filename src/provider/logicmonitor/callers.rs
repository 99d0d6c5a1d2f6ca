//! Which live tokens the connections of a spec authenticate with: also those that a run leaves out, as
//! long as they lead to a portal that it reads. Nothing is sent for it.

use std::collections::{BTreeMap, BTreeSet};

use super::client::identity;
use super::state::{Connection, LiveToken, TokenKind};
use super::steps::Task;
use super::wire::TokenRow;
use crate::http::Reader;
use crate::model::address::Address;
use crate::model::code::LM_CREDENTIAL_IN_USE;
use crate::model::evidence::{CallerEvidence, InUse, Untold};
use crate::model::finding::Finding;
use crate::provider::state::{Caller, Desired, Snapshot};

/// All tokens of a portal as listed.
pub struct Listed<'a> {
    pub api: &'a [TokenRow],
    pub bearer: &'a [TokenRow],
}

/// What the rows of a credential show besides.
pub struct Seen {
    /// Its user, where they agree on one.
    pub name: Option<String>,
    /// The addresses that it was used from last.
    pub ips: Vec<String>,
}

impl Listed<'_> {
    /// A connection's credential.
    pub async fn of(
        &self,
        reader: &Reader,
        at: &Address,
        connection: &Connection,
    ) -> Result<(Caller, Seen), Box<Finding>> {
        let identity = identity(connection);
        let access_id = reader.caller_access_id(at, &identity).await?;
        let mut ours: Vec<&TokenRow> = match &access_id {
            Some(id) => self.api.iter().filter(|row| row.access_id.as_ref() == Some(id)).collect(),
            None => Vec::new(),
        };
        let mut masked = Vec::new();
        for row in self.bearer {
            let Some(shown) = &row.access_key else {
                masked.push(row);
                continue;
            };
            if reader.matches_identity_prefix(at, &identity, shown).await? {
                ours.push(row);
            }
        }
        let mut names: Vec<_> = ours.iter().filter_map(|row| row.admin_name.clone()).collect();
        names.dedup();
        let name = if names.len() == 1 { names.pop() } else { None };
        let ips = ours.iter().filter_map(|row| row.last_auth_ip.clone());
        let ips = ips.filter(|ip| !ip.is_empty()).collect();
        // A portal may show nothing of a key (contract logicmonitor 4.3): then any of those may be ours.
        if ours.is_empty() && connection.credential.kind() == TokenKind::BearerToken {
            ours = masked;
        }
        let token_ids = ours.iter().filter_map(|row| row.id).collect();
        Ok((Caller { access_id, token_ids, untold: None }, Seen { name, ips }))
    }

    /// The credentials of other connections to the same portal. One whose value can't be had is told.
    pub async fn of_others(
        &self,
        reader: &Reader,
        others: &[(&Address, &Connection)],
    ) -> BTreeMap<Address, Caller> {
        let mut callers = BTreeMap::new();
        for (at, connection) in others {
            let caller = match self.of(reader, at, connection).await {
                Ok((caller, _)) => caller,
                Err(finding) => Caller { untold: Some(finding.message.clone()), ..Caller::default() },
            };
            callers.insert((*at).clone(), caller);
        }
        callers
    }
}

/// What connections of the spec use of the portal that each connection leads to: one must not take the
/// credential of another. Only of portals that were read.
pub fn evidence(desired: &Desired, snapshot: &Snapshot) -> Vec<CallerEvidence> {
    let read = desired.logicmonitor.iter().filter(|(at, _)| snapshot.callers.contains_key(*at));
    read.map(|(at, connection)| of_portal(desired, snapshot, at, connection)).collect()
}

/// Refuses to take a token that a connection of the spec logs in with now: a credential can be another one
/// than when the plan was made. One that can't be told is one that may be.
pub(super) async fn refuse_in_use(
    reader: &Reader,
    task: &Task<'_>,
    token: &LiveToken,
) -> Result<(), Box<Finding>> {
    let kind = token.kind;
    let peers = task.cx.desired.logicmonitor.iter().filter(|(_, peer)| peer.same_portal(task.connection));
    let peers: Vec<_> = peers.filter(|(_, peer)| peer.credential.kind() == kind).collect();
    let shown = match (kind, peers.is_empty()) {
        (TokenKind::BearerToken, false) => {
            let rows = task.client(reader).bearer_tokens_shown(&task.step.address, task.user).await?;
            rows.into_iter().find(|row| row.id == Some(token.id)).and_then(|row| row.access_key)
        }
        _ => None,
    };
    for (by, peer) in peers {
        let identity = identity(peer);
        let uses = match (kind, &shown) {
            (TokenKind::ApiToken, _) => {
                let id = reader.caller_access_id(by, &identity).await?;
                id.is_some() && id == token.access_id
            }
            (TokenKind::BearerToken, Some(shown)) => {
                reader.matches_identity_prefix(by, &identity, shown).await?
            }
            // the portal shows nothing to tell it by
            (TokenKind::BearerToken, None) => true,
        };
        if uses {
            let message = format!("{by} logs in with token id {} now; nothing was sent", token.id);
            return Err(task.finding(LM_CREDENTIAL_IN_USE, message).into());
        }
    }
    Ok(())
}

fn of_portal(
    desired: &Desired,
    snapshot: &Snapshot,
    at: &Address,
    connection: &Connection,
) -> CallerEvidence {
    let users = snapshot.users.iter().filter(|(user, _)| at.covers(user));
    let tokens: Vec<_> = users.filter_map(|(_, user)| user.present()).flat_map(|user| &user.tokens).collect();
    let mut in_use = BTreeSet::new();
    let mut untold = Vec::new();
    for (by, other) in &desired.logicmonitor {
        let portal = other.same_portal(connection);
        let Some(caller) = snapshot.callers.get(by) else {
            if portal {
                untold.push(unknown(by, other, "its portal was not read"));
            }
            continue;
        };
        // an access id is unique anywhere, so it is found even where the spec names one portal twice
        let theirs = |id: &Option<String>| id.is_some() && *id == caller.access_id;
        let seen = tokens.iter().filter(|token| theirs(&token.access_id)).map(|token| token.id);
        let told = caller.token_ids.iter().copied().filter(|_| portal);
        in_use.extend(seen.chain(told).map(|token_id| InUse { token_id, by: by.clone() }));
        untold.extend(caller.untold.as_deref().filter(|_| portal).map(|why| unknown(by, other, why)));
    }
    let token_ids: BTreeSet<u64> = in_use.iter().map(|row| row.token_id).collect();
    CallerEvidence {
        connection: at.clone(),
        token_ids: token_ids.into_iter().collect(),
        in_use: in_use.into_iter().collect(),
        untold,
    }
}

fn unknown(by: &Address, connection: &Connection, why: &str) -> Untold {
    let kind = connection.credential.kind().as_str().to_owned();
    Untold { by: by.clone(), kind, why: why.to_owned() }
}
