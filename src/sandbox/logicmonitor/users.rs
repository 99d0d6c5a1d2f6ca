//! Users and roles (contract logicmonitor 6).

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::estate::{Access, Kind, Portal, User, UserStatus};
use super::listing::{narrow, page, page_by};
use super::{error, tokens};
use crate::sandbox::wire::{Call, Effect, Reply};

/// `GET /setting/admins`
pub fn list(portal: &Portal, caller: &Caller, call: &Call) -> Reply {
    let rows: Vec<(&String, &User)> = portal.users.iter().collect();
    let roles = role_names(portal);
    // a filter is looked up in the row as it is shown
    let tokens = call.param("filter").is_some() || asks_for_tokens(call);
    page_by(call, rows, |(_, user)| user.id, |(name, user)| body(portal, &roles, caller, name, user, tokens))
}

/// `GET /setting/admins/{id}`
pub fn one(portal: &Portal, caller: &Caller, id: u64, call: &Call) -> Reply {
    let Some((name, user)) = portal.user_by_id(id) else { return error(404, 1404, "Admin is not found") };
    let fields = call.param("fields").map(|text| text.split(',').collect::<Vec<_>>());
    Reply::json(200, &narrow(body(portal, &role_names(portal), caller, name, user, true), fields.as_deref()))
}

/// `PATCH /setting/admins/{id}`: status and note.
pub fn patch(portal: &mut Portal, caller: &Caller, id: u64, call: &Call) -> Reply {
    #[derive(Deserialize)]
    struct Patch {
        status: Option<UserStatus>,
        note: Option<String>,
    }
    let Ok(Patch { status, note }) = serde_json::from_slice(&call.body) else {
        return error(400, 1400, "The body is not valid");
    };
    if let Some(user) = portal.user_by_id_mut(id) {
        user.status = status.unwrap_or(user.status);
        user.note = note.unwrap_or_else(|| std::mem::take(&mut user.note));
    }
    one(portal, caller, id, call).effect(Effect::Patch)
}

/// `GET /setting/roles`
pub fn roles(portal: &Portal, call: &Call) -> Reply {
    let names = role_names(portal);
    page(call, &names, |name| role(&names, name))
}

fn asks_for_tokens(call: &Call) -> bool {
    call.param("fields").is_none_or(|fields| fields.split(',').any(|field| field.trim() == "apiTokens"))
}

/// All roles that are named; an id is a place in this list.
fn role_names(portal: &Portal) -> Vec<&String> {
    let names: BTreeSet<&String> =
        portal.users.values().flat_map(|user| &user.roles).chain(portal.roles.keys()).collect();
    names.into_iter().collect()
}

/// Here roles are objects; the vendor's own client refuses one without `name` and `privileges`.
fn role(names: &[&String], name: &str) -> Value {
    let id = names.iter().position(|known| *known == name);
    json!({ "id": id.map(|at| at + 1), "name": name, "privileges": [] })
}

/// A user, with its tokens where they are asked for.
fn body(portal: &Portal, roles: &[&String], caller: &Caller, name: &str, user: &User, tokens: bool) -> Value {
    let status = match user.status {
        UserStatus::Active => "active",
        UserStatus::Suspended => "suspended",
    };
    let write = caller.access == Access::Manage;
    let own = |kind| move |token| tokens::body_in_user(portal, kind, (name, user), token);
    let api = user.api_tokens.iter().map(own(Kind::Lmv1));
    let all = api.chain(user.bearer_tokens.iter().map(own(Kind::Bearer)));
    let tokens: Vec<Value> = all.filter(|_| tokens).collect();
    json!({
        "id": user.id, "username": name, "email": user.email, "status": status, "apionly": user.api_only,
        "firstName": "", "lastName": "", "note": user.note, "adminGroupIds": [1], "tenantId": null,
        "roles": user.roles.iter().map(|name| role(roles, name)).collect::<Vec<_>>(),
        "apiTokens": tokens, "lastAccessOn": null, "createdBy": "world",
        "userPermission": if write { "write" } else { "read" }
    })
}
