//! Token endpoints of both kinds (contract logicmonitor 4, 5).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Caller, may_own_tokens};
use super::estate::{Access, BearerRule, KeyInLists, Kind, Portal, Status, Token, User};
use super::listing::page_by;
use super::{audit, error, listed, no_route};
use crate::sandbox::mint::Mint;
use crate::sandbox::wire::{Call, Effect, Reply};

/// `GET /setting/admins/apitokens`, and that of one user.
pub fn list(portal: &Portal, caller: &Caller, owner: Option<u64>, call: &Call) -> Reply {
    let kind = listed(call);
    let wanted = portal
        .tokens()
        .filter(|(own, (_, user), _)| Some(*own) == kind && owner.is_none_or(|owner| user.id == Some(owner)));
    let rows: Vec<_> = wanted.map(|row| (row.2.id, row)).collect();
    let show = |(_, (kind, (name, user), token)): &(_, (Kind, (&String, &User), &Token))| {
        body(portal, caller.access, *kind, (name, user), token)
    };
    page_by(call, rows, |(id, _)| *id, show)
}

/// What a create may hold; everything else is read-only and ignored.
#[derive(Deserialize)]
struct Input {
    note: Option<String>,
    status: Option<u8>,
}

/// The fields of a body, or the refusal of a bad one. `status` is 1 or 2.
fn input(call: &Call) -> Result<(Option<String>, Option<Status>), Reply> {
    let bad = |message: &str| error(400, 1400, message);
    let input: Input =
        serde_json::from_slice(&call.body).map_err(|_| bad("The body is not a valid token"))?;
    let status = match input.status {
        None => None,
        Some(1) => Some(Status::Disabled),
        Some(2) => Some(Status::Enabled),
        Some(_) => return Err(bad("status must be 1 or 2")),
    };
    Ok((input.note, status))
}

/// `POST /setting/admins/{adminId}/apitokens[?type=bearer]`: the only answer that shows the secret.
pub fn create(
    portal: &mut Portal,
    mint: &mut Mint,
    caller: &Caller,
    owner: u64,
    call: &Call,
    now: Timestamp,
) -> Reply {
    let (note, status) = match input(call) {
        Ok(input) => input,
        Err(refusal) => return refusal,
    };
    let kind = match (call.param("type"), portal.bearer) {
        (Some("bearer"), BearerRule::Ignored) | (None, _) => Kind::Lmv1,
        (Some("bearer"), _) => Kind::Bearer,
        (Some(_), _) => return error(400, 1400, "type is not valid"),
    };
    if let Some(refusal) = uncreatable(portal, owner, kind) {
        return refusal;
    }
    let mut token = Token {
        note: note.unwrap_or_default(),
        status: status.unwrap_or_default(),
        created_by: Some(caller.username.clone()),
        ..Token::default()
    };
    token.complete(kind, &mut portal.last_token_id, mint, now);
    if let Some(user) = portal.user_by_id_mut(owner) {
        user.list_mut(kind).push(token.clone());
    }
    let named = token.access_id.as_deref().unwrap_or("bearer").to_owned();
    let text = format!("Add new api token - {named} for {}", name_of(portal, owner));
    audit::done(portal, &caller.username, text, call, now);
    let Some((name, user)) = portal.user_by_id(owner) else { return no_route() };
    let mut row = body(portal, caller.access, kind, (name, user), &token);
    row["accessKey"] = json!(token.key);
    let mut reply = Reply::json(200, &row).effect(Effect::Create);
    reply.about.token = token.id;
    reply
}

fn uncreatable(portal: &Portal, owner: u64, kind: Kind) -> Option<Reply> {
    let (name, user) = portal.user_by_id(owner)?;
    if !may_own_tokens(name, user) {
        let message = "API tokens cannot be generated for a user with the out-of-the-box Administrator role";
        return Some(error(400, 1400, message));
    }
    if kind != Kind::Bearer {
        return None;
    }
    match portal.bearer {
        BearerRule::Unlicensed => Some(error(403, 1403, "Bearer tokens are not available on this portal")),
        BearerRule::OnePerUser if !user.bearer_tokens.is_empty() => {
            Some(error(409, 1409, "The user already has a bearer token"))
        }
        _ => None,
    }
}

/// PATCH, PUT and DELETE of one token; GET where the portal answers to it.
pub fn one(portal: &mut Portal, caller: &Caller, owner: u64, id: u64, call: &Call, now: Timestamp) -> Reply {
    let missing = || error(404, 1404, &format!("APIToken<{id}> is not found"));
    let readable = portal.single_token_get;
    let found = portal.user_by_id_mut(owner).and_then(|user| user.token_mut(id));
    let Some((kind, token)) = found else { return missing() };
    let named = token.access_id.as_deref().unwrap_or("bearer").to_owned();
    let effect = match call.method.as_str() {
        "GET" if readable => Effect::None,
        "PATCH" | "PUT" => match input(call) {
            Ok(input) => change(token, input, call.method == "PUT"),
            Err(refusal) => return refusal,
        },
        "DELETE" => Effect::Delete,
        _ => return no_route(),
    };
    if effect != Effect::None {
        let verb = if effect == Effect::Delete { "Delete" } else { "Update" };
        let text = format!("{verb} api tokens - {named} for {}", name_of(portal, owner));
        audit::done(portal, &caller.username, text, call, now);
    }
    if effect == Effect::Delete {
        return delete(portal, owner, id);
    }
    let Some((name, user)) = portal.user_by_id(owner) else { return missing() };
    let Some(token) = user.list(kind).iter().find(|token| token.id == Some(id)) else { return missing() };
    let mut reply = Reply::json(200, &body(portal, caller.access, kind, (name, user), token)).effect(effect);
    reply.about.token = Some(id);
    reply
}

/// PUT is a full update: what it leaves out goes back to its default, and the status's is 2.
fn change(token: &mut Token, (note, status): (Option<String>, Option<Status>), full: bool) -> Effect {
    if let Some(note) = note.or_else(|| full.then(String::new)) {
        token.note = note;
    }
    if let Some(status) = status.or_else(|| full.then_some(Status::Enabled)) {
        token.status = status;
    }
    Effect::Patch
}

fn name_of(portal: &Portal, user: u64) -> String {
    portal.user_by_id(user).map_or_else(String::new, |(name, _)| name.clone())
}

fn delete(portal: &mut Portal, owner: u64, id: u64) -> Reply {
    let found = portal.user_by_id_mut(owner).and_then(|user| user.token_mut(id));
    let access_id = found.and_then(|(_, token)| token.access_id.clone());
    portal.deleted_access_ids.extend(access_id);
    if let Some(user) = portal.user_by_id_mut(owner) {
        user.api_tokens.retain(|token| token.id != Some(id));
        user.bearer_tokens.retain(|token| token.id != Some(id));
    }
    let mut reply = Reply::json(200, &json!({})).effect(Effect::Delete);
    reply.about.token = Some(id);
    reply
}

/// A token as every answer but that to its create shows it (contract logicmonitor 4.2).
fn body(portal: &Portal, access: Access, kind: Kind, (name, user): (&str, &User), token: &Token) -> Value {
    let seconds = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_second);
    let roles = user.roles.iter().map(|role| match portal.roles_as_objects {
        true => json!({ "name": role }),
        false => json!(role),
    });
    let mut row = json!({
        "id": token.id, "adminId": user.id, "adminName": name, "note": token.note,
        "status": token.status.number(), "roles": roles.collect::<Vec<_>>(),
        "createdOn": seconds(token.created_on), "createdBy": token.created_by,
        "lastUsedOn": seconds(token.last_used_on), "lastAuthIp": token.last_auth_ip,
        "accessId": match kind { Kind::Lmv1 => token.access_id.as_deref(), Kind::Bearer => None },
        "userPermission": if access == Access::Manage { "write" } else { "read" }
    });
    match portal.key_in_lists {
        KeyInLists::Masked => row["accessKey"] = json!(token.key.as_deref().map(masked)),
        KeyInLists::Absent => {}
        KeyInLists::Full => row["accessKey"] = json!(token.key),
    }
    row
}

/// A token inside a user's body, where a `type` hint comes with it.
pub fn body_in_user(portal: &Portal, kind: Kind, owner: (&str, &User), token: &Token) -> Value {
    let mut row = body(portal, Access::View, kind, owner, token);
    row["type"] = match kind {
        Kind::Lmv1 => Value::Null,
        Kind::Bearer => json!("bearer"),
    };
    row
}

/// The first 20 characters, then asterisks.
fn masked(key: &str) -> String {
    let shown: String = key.chars().take(20).collect();
    let hidden = key.chars().count().saturating_sub(20);
    format!("{shown}{}", "*".repeat(hidden))
}
