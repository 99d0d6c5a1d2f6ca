//! What somebody else does to the world: a colleague in a console, a consumer of a token.
//!
//! Done by a fault rule just before a request, or by `POST /__sandbox/meddle`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::ibm::estate::{Account, Instance, Team};
use super::json::Json;
use super::logicmonitor::estate::{Portal, Status, Token, User, UserStatus};
use super::world::World;

/// One outside change.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Meddling {
    /// Another writer of `parameters`: these are set, and `updated_at` moves.
    Parameters {
        connection: String,
        instance: String,
        set: BTreeMap<String, Json>,
    },
    /// Another person resets the identity's token in a team.
    ResetTeam {
        connection: String,
        instance: String,
        team: String,
    },
    /// A new team that the identity sees.
    AddTeam {
        connection: String,
        instance: String,
        team: String,
    },
    /// The resource controller's lock.
    LockInstance {
        connection: String,
        instance: String,
        locked: bool,
    },
    /// A consumer uses a LogicMonitor token.
    UseToken {
        connection: String,
        token: u64,
        ip: String,
    },
    /// A person enables or disables a LogicMonitor token.
    SetToken {
        connection: String,
        token: u64,
        status: Status,
    },
    DeleteToken {
        connection: String,
        token: u64,
    },
    SetUser {
        connection: String,
        user: String,
        status: UserStatus,
    },
}

/// Carries an outside change out. Fails when it names something that isn't there.
pub fn meddle(world: &mut World, what: &Meddling, now: Timestamp) -> Result<(), SandboxError> {
    match what {
        Meddling::Parameters { connection, instance, set } => {
            let instance = instance_of(world, connection, instance)?;
            let parameters = instance.parameters.get_or_insert_with(|| Json::Map(Vec::new()));
            set.iter().for_each(|(key, value)| parameters.set(key, value.clone()));
            instance.updated_at = Some(now);
            if set.contains_key("external_api_auth") {
                (instance.iam_only, instance.becomes) = (None, None);
            }
        }
        Meddling::ResetTeam { connection, instance, team } => {
            let key = world.mint.sysdig_key();
            let instance = instance_of(world, connection, instance)?;
            let found = instance.teams.get_mut(team).ok_or_else(|| missing("team", team))?;
            found.key = Some(key);
        }
        Meddling::AddTeam { connection, instance, team } => {
            let mut mint = world.mint.clone();
            let instance = instance_of(world, connection, instance)?;
            let product = instance.service.product();
            let mut next = instance.teams.values().filter_map(|team| team.id).max().unwrap_or(10_000) + 1;
            instance
                .teams
                .entry(team.clone())
                .or_insert_with(Team::default)
                .complete(&mut next, product, &mut mint);
            world.mint = mint;
        }
        Meddling::LockInstance { connection, instance, locked } => {
            instance_of(world, connection, instance)?.locked = *locked;
        }
        Meddling::UseToken { connection, token, ip } => {
            let token = token_of(world, connection, *token)?;
            token.last_used_on = Some(now);
            token.last_auth_ip.clone_from(ip);
        }
        Meddling::SetToken { connection, token, status } => {
            token_of(world, connection, *token)?.status = *status;
        }
        Meddling::DeleteToken { connection, token } => {
            let access_id = token_of(world, connection, *token)?.access_id.clone();
            portal_of(world, connection)?.deleted_access_ids.extend(access_id);
            for user in portal_of(world, connection)?.users.values_mut() {
                user.api_tokens.retain(|row| row.id != Some(*token));
                user.bearer_tokens.retain(|row| row.id != Some(*token));
            }
        }
        Meddling::SetUser { connection, user, status } => {
            user_of(world, connection, user)?.status = *status;
        }
    }
    Ok(())
}

fn missing(what: &str, name: &str) -> SandboxError {
    SandboxError::World(format!("the world has no {what} `{name}`"))
}

fn instance_of<'a>(
    world: &'a mut World,
    connection: &str,
    name: &str,
) -> Result<&'a mut Instance, SandboxError> {
    let account: &mut Account =
        world.ibm.get_mut(connection).ok_or_else(|| missing("ibm connection", connection))?;
    account.instances.get_mut(name).ok_or_else(|| missing("instance", name))
}

fn portal_of<'a>(world: &'a mut World, connection: &str) -> Result<&'a mut Portal, SandboxError> {
    world.logicmonitor.get_mut(connection).ok_or_else(|| missing("logicmonitor connection", connection))
}

fn user_of<'a>(world: &'a mut World, connection: &str, name: &str) -> Result<&'a mut User, SandboxError> {
    portal_of(world, connection)?.users.get_mut(name).ok_or_else(|| missing("user", name))
}

fn token_of<'a>(world: &'a mut World, connection: &str, id: u64) -> Result<&'a mut Token, SandboxError> {
    let portal = portal_of(world, connection)?;
    let found = portal.users.values_mut().find_map(|user| user.token_mut(id));
    found.map(|(_, token)| token).ok_or_else(|| missing("token", &id.to_string()))
}
