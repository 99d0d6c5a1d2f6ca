//! LogicMonitor's half of the double: REST v3 of a portal, and v1 to who forgets to ask for v3
//! (contract logicmonitor).

mod audit;
mod auth;
mod envelope;
pub mod estate;
mod filter;
mod lag;
mod limits;
mod listing;
mod tokens;
mod users;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

pub use envelope::v1;

use super::wire::{Call, Reply};
use super::world::World;
use auth::Caller;
use estate::{Access, Kind, Portal, Status};

/// Where the API begins; signed paths begin behind it.
pub const ROOT: &str = "/santaba/rest";

/// What a portal remembers besides its world.
#[derive(Default)]
pub struct Runtime {
    failures: auth::Failures,
    windows: limits::Windows,
    past: lag::Past,
}

/// Answers a request below `/santaba/rest`.
pub fn answer(
    world: &mut World,
    runtimes: &mut BTreeMap<String, Runtime>,
    call: &Call,
    now: Timestamp,
) -> Reply {
    let version = version(call);
    let mut reply = route(world, runtimes, call, version, now);
    if version < 2 {
        reply = v1(reply);
    }
    reply
}

/// The API version: `X-Version`, else `?v=`, else 1.
fn version(call: &Call) -> u8 {
    let asked = call.header("x-version").or_else(|| call.param("v"));
    asked.and_then(|text| text.trim().parse().ok()).unwrap_or(1)
}

fn route(
    world: &mut World,
    runtimes: &mut BTreeMap<String, Runtime>,
    call: &Call,
    version: u8,
    now: Timestamp,
) -> Reply {
    let World { mint, logicmonitor, .. } = world;
    let caller = match auth::authenticate(logicmonitor, runtimes, call, version, now) {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    let Some(portal) = logicmonitor.get_mut(&caller.portal) else { return failed(401) };
    let Runtime { windows, past, .. } = runtimes.entry(caller.portal.clone()).or_default();
    disable_unused(portal, now);
    let segments = call.segments(ROOT);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let budget = limits::take(portal, windows, &call.method, &parts, now);
    let mut reply = if budget.exceeded {
        error(429, 1429, "Too many requests")
    } else if version < 2 && call.method == "PATCH" {
        error(405, 1405, "Method not allowed")
    } else if call.method != "GET" {
        past.keep(portal, now);
        dispatch(portal, mint, &caller, call, &parts, now)
    } else {
        let is_late = parts == ["setting", "admins", "apitokens"];
        let mut late = is_late.then(|| past.shown(portal, now)).flatten();
        dispatch(late.as_mut().unwrap_or(portal), mint, &caller, call, &parts, now)
    };
    if portal.limit_headers {
        reply = budget.headers(reply);
    }
    reply.about.actor = format!("logicmonitor.{}", caller.portal);
    reply
}

fn dispatch(
    portal: &mut Portal,
    mint: &mut super::mint::Mint,
    caller: &Caller,
    call: &Call,
    parts: &[&str],
    now: Timestamp,
) -> Reply {
    let writes = call.method != "GET";
    let (needed, word) = if writes { (Access::Manage, "manage") } else { (Access::View, "view") };
    let ["setting", rest @ ..] = parts else { return no_route() };
    if caller.access < needed && rest.first() == Some(&"admins") {
        return error(403, 1403, &format!("Permission denied: no permission to {word} users"));
    }
    match (call.method.as_str(), rest) {
        ("GET", ["companySetting"]) => Reply::json(200, &company(portal)),
        ("GET", ["accesslogs"]) if caller.access >= Access::View => audit::list(portal, call),
        ("GET", ["roles"]) if caller.access >= Access::View => users::roles(portal, call),
        ("GET", ["admins"]) => users::list(portal, caller, call),
        ("GET", ["admins", "apitokens"]) => tokens::list(portal, caller, None, call),
        (_, ["admins", id, rest @ ..]) => match id.parse() {
            Ok(user) => of_user(portal, mint, caller, call, user, rest, now),
            Err(_) => no_route(),
        },
        _ => no_route(),
    }
}

fn of_user(
    portal: &mut Portal,
    mint: &mut super::mint::Mint,
    caller: &Caller,
    call: &Call,
    user: u64,
    rest: &[&str],
    now: Timestamp,
) -> Reply {
    if portal.user_by_id(user).is_none() {
        return error(404, 1404, &format!("Admin<{user}> is not found"));
    }
    let mut reply = match (call.method.as_str(), rest) {
        ("GET", []) => users::one(portal, caller, user, call),
        ("PATCH", []) => users::patch(portal, caller, user, call),
        ("GET", ["apitokens"]) => tokens::list(portal, caller, Some(user), call),
        ("POST", ["apitokens"]) => tokens::create(portal, mint, caller, user, call, now),
        (_, ["apitokens", id]) => match id.parse() {
            Ok(token) => tokens::one(portal, caller, user, token, call, now),
            Err(_) => no_route(),
        },
        _ => no_route(),
    };
    reply.about.user = Some(user);
    reply
}

fn company(portal: &Portal) -> serde_json::Value {
    json!({ "name": portal.account, "tokenDisabledDays": portal.token_disabled_days, "userSuspendDays": 0 })
}

/// The portal's inactivity rule. The caller's own tokens are spared, so that a world whose clock
/// is far ahead can be used at all.
fn disable_unused(portal: &mut Portal, now: Timestamp) {
    let days = i64::from(portal.token_disabled_days);
    if days == 0 {
        return;
    }
    let limit = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN);
    let caller = portal.caller.clone();
    for (_, user) in portal.users.iter_mut().filter(|(name, _)| Some(*name) != caller.as_ref()) {
        for token in user.api_tokens.iter_mut().chain(&mut user.bearer_tokens) {
            if token.last_used_on.or(token.created_on).is_some_and(|used| used < limit) {
                token.status = Status::Disabled;
            }
        }
    }
}

/// An error of API v3 (contract logicmonitor 7.1).
fn error(status: u16, code: u32, message: &str) -> Reply {
    Reply::json(status, &json!({ "errorMessage": message, "errorCode": code, "errorDetail": null }))
}

fn failed(status: u16) -> Reply {
    error(status, 1401, "Authentication failed")
}

/// No such route: another thing than "token gone".
fn no_route() -> Reply {
    error(404, 1400, "HTTP 404 Not Found")
}

/// The kind of token that a list is about; `None` for a `type` that the API does not know.
fn listed(call: &Call) -> Option<Kind> {
    match call.param("type") {
        None => Some(Kind::Lmv1),
        Some("bearer") => Some(Kind::Bearer),
        Some(_) => None,
    }
}
