//! The resource controller: instances, their parameters and their lock (contract ibm 2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::behaviour::ParameterRule;
use super::body::Body;
use super::estate::{Account, Becomes, Instance, Pending};
use super::{Place, find, iam, instances};
use crate::sandbox::json::Json;
use crate::sandbox::wire::{Call, Effect, Reply};
use crate::sandbox::world::World;

pub const ROOT: &str = "/v2/resource_instances";
const PAGE: usize = 100;

/// Answers a request below `/v2/resource_instances`.
pub fn answer(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    let caller = call.bearer().and_then(|token| iam::verify(world, token, now));
    let Some(caller) = caller else {
        return error(401, "RC-IamUnauthorized", "Token expired or not valid");
    };
    let Some(account) = world.ibm.get(&caller.connection).map(|account| account.id().to_owned()) else {
        return error(401, "RC-IamUnauthorized", "Unknown account");
    };
    let segments = call.segments(ROOT);
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut reply = match (call.method.as_str(), parts.as_slice()) {
        ("GET", []) => list(world, &account, call),
        (method, [id, rest @ ..]) => match find(world, &account, id) {
            Some(place) => one(world, &place, method, rest, call, now),
            None => not_found(id),
        },
        _ => error(405, "RC-MethodNotAllowed", "Method not allowed"),
    };
    reply.about.actor = format!("ibm.{}", caller.connection);
    reply.header("Transaction-Id", &world.mint.uuid())
}

fn one(world: &mut World, place: &Place, method: &str, rest: &[&str], call: &Call, now: Timestamp) -> Reply {
    let mut reply = match (method, rest) {
        ("GET", []) => {
            advance(world, place, now);
            shown(world, place, 200)
        }
        ("PATCH", []) => patch(world, place, call, now),
        ("POST", ["lock"]) => lock(world, place, true, now),
        ("DELETE", ["lock"]) => lock(world, place, false, now),
        ("DELETE", ["last_operation"]) => {
            error(422, "RC-OperationNotCancelable", "The operation is not cancelable")
        }
        _ => error(404, "RC-NotFound", "No such call"),
    };
    reply.about.instance = place.instance(world).map(|instance| instance.guid().to_owned());
    reply
}

/// Where a page begins, and the filters it was asked with: the server ignores those sent with it.
#[derive(Default, Serialize, Deserialize)]
struct Start {
    at: usize,
    filters: Vec<(String, String)>,
}

fn list(world: &World, account: &str, call: &Call) -> Reply {
    const FILTERS: [&str; 6] = ["guid", "name", "resource_group_id", "state", "type", "resource_plan_id"];
    let start = match call.param("start") {
        None => {
            let named = |(key, _): &&(String, String)| FILTERS.contains(&key.as_str());
            Some(Start { at: 0, filters: call.query.iter().filter(named).cloned().collect() })
        }
        Some(text) => URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
    };
    let Some(start) = start else { return error(400, "RC-BadRequest", "start is not valid") };
    let limit = call.param("limit").map_or(Some(PAGE), |text| text.parse().ok());
    let Some(limit) = limit.filter(|limit| (1..=PAGE).contains(limit)) else {
        return error(400, "RC-BadRequest", "limit must be from 1 to 100");
    };
    let all: Vec<_> = instances(world, account).filter(|row| start.admits(row)).collect();
    let end = all.len().min(start.at.saturating_add(limit));
    let page: Vec<_> =
        all.iter().skip(start.at).take(limit).map(|row| Body::new(row.1, &row.0.key, row.2)).collect();
    let next_url = (end < all.len()).then(|| {
        let next = Start { at: end, filters: start.filters };
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&next).unwrap_or_default());
        format!("{ROOT}?limit={limit}&start={text}")
    });
    Reply::json(200, &Page { rows_count: page.len(), next_url, resources: page })
}

#[derive(Serialize)]
struct Page<'a> {
    rows_count: usize,
    next_url: Option<String>,
    resources: Vec<Body<'a>>,
}

impl Start {
    fn admits(&self, (place, _, instance): &(Place, &Account, &Instance)) -> bool {
        let states: Vec<_> = self.filters.iter().filter(|(key, _)| key == "state").collect();
        let in_state = match states.is_empty() {
            true => ["active", "provisioning"].contains(&instance.state.as_str()),
            false => states.iter().any(|(_, state)| *state == instance.state),
        };
        let fits = |(key, value): &(String, String)| match key.as_str() {
            "guid" => instance.guid() == value,
            "name" => instance.name(&place.key) == value,
            "resource_group_id" => instance.resource_group == *value,
            "resource_plan_id" => instance.plan == *value,
            "type" => value == "service_instance",
            _ => true,
        };
        in_state && self.filters.iter().all(fits)
    }
}

/// An operation that runs gets one poll further.
fn advance(world: &mut World, place: &Place, now: Timestamp) {
    let Some(account) = place.account(world) else { return };
    let (rule, update) = (account.parameters, account.update.clone());
    let Some(instance) = place.instance_mut(world) else { return };
    let Some(pending) = &mut instance.pending else { return };
    if pending.polls > 0 {
        pending.polls -= 1;
        return;
    }
    let Some(pending) = instance.pending.take() else { return };
    instance.operation.state = if update.fails { "failed" } else { "succeeded" }.to_owned();
    instance.updated_at = Some(later(instance.updated_at, now));
    if !update.fails {
        apply(instance, rule, update.enforced_after, pending.parameters, pending.name, now);
    }
}

/// What a PATCH may hold (contract ibm 2.5).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    name: Option<String>,
    parameters: Option<Json>,
    resource_plan_id: Option<String>,
    #[serde(rename = "allow_cleanup")]
    _allow_cleanup: Option<IgnoredAny>,
}

fn patch(world: &mut World, place: &Place, call: &Call, now: Timestamp) -> Reply {
    let Ok(body) = serde_json::from_slice::<Patch>(&call.body) else {
        return error(400, "RC-BadRequest", "The body is not a valid update");
    };
    if let Some(refusal) = unpatchable(world, place, &body) {
        return refusal;
    }
    let Some(account) = place.account(world) else { return not_found(&place.key) };
    let (rule, update) = (account.parameters, account.update.clone());
    let Some(instance) = place.instance_mut(world) else { return not_found(&place.key) };
    let effect = effect(instance, body.parameters.as_ref(), now);
    let is_async = update.async_polls > 0 || update.fails;
    instance.updated_at = Some(later(instance.updated_at, now));
    instance.operation.kind = "update".to_owned();
    instance.operation.r#async = is_async;
    let Patch { name, parameters, resource_plan_id, .. } = body;
    if let Some(plan) = resource_plan_id {
        instance.plan = plan;
    }
    if is_async {
        instance.operation.state = "in progress".to_owned();
        instance.pending = Some(Pending { polls: update.async_polls, parameters, name });
        return shown(world, place, 202).effect(effect);
    }
    instance.operation.state = "succeeded".to_owned();
    apply(instance, rule, update.enforced_after, parameters, name, now);
    shown(world, place, 200).effect(effect)
}

fn unpatchable(world: &World, place: &Place, body: &Patch) -> Option<Reply> {
    let instance = place.instance(world)?;
    if instance.locked {
        return Some(error(
            422,
            "RC-InstanceLocked",
            "The resource instance is locked and cannot be updated",
        ));
    }
    if instance.pending.is_some() {
        return Some(error(422, "RC-OperationInProgress", "Another operation is in progress"));
    }
    if instance.state != "active" {
        return Some(error(422, "RC-InstanceNotActive", "The resource instance is not active"));
    }
    if body.name.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > 180) {
        return Some(error(400, "RC-BadRequest", "name must have 1 to 180 characters"));
    }
    let auth = body.parameters.as_ref().and_then(|parameters| parameters.get("external_api_auth"))?;
    let known = matches!(auth.as_text(), Some("ANY" | "IAM_ONLY"));
    (!known).then(|| {
        let message = "[400, Bad Request] external_api_auth must be ANY or IAM_ONLY";
        error(400, "RC-ServiceBrokerErrorResponse", message).header("Retry-After", "0")
    })
}

/// What a PATCH does to the auth mode.
fn effect(instance: &Instance, parameters: Option<&Json>, now: Timestamp) -> Effect {
    let auth = parameters.and_then(|parameters| parameters.get("external_api_auth")).and_then(Json::as_text);
    match (auth, instance.refuses_tokens(now)) {
        (Some("IAM_ONLY"), false) => Effect::Lock,
        (Some("ANY"), true) => Effect::Unlock,
        _ => Effect::Patch,
    }
}

fn apply(
    instance: &mut Instance,
    rule: ParameterRule,
    enforced_after: Option<crate::model::vocabulary::Period>,
    parameters: Option<Json>,
    name: Option<String>,
    now: Timestamp,
) {
    if name.is_some() {
        instance.name = name;
    }
    let Some(sent) = parameters else { return };
    let before = instance.refuses_tokens(now);
    let auth = sent.get("external_api_auth").and_then(Json::as_text).map(|auth| auth == "IAM_ONLY");
    let wanted = match (instance.ignores_external_api_auth, auth, rule) {
        (true, ..) => before,
        (false, Some(iam_only), _) => iam_only,
        (false, None, ParameterRule::Replace) => false,
        (false, None, ParameterRule::LastRequest | ParameterRule::Merge) => before,
    };
    instance.parameters = Some(match (rule, instance.parameters.take()) {
        (ParameterRule::Merge, Some(mut old)) => {
            sent.members().iter().for_each(|(key, value)| old.set(key, value.clone()));
            old
        }
        _ => sent,
    });
    let delayed = enforced_after.filter(|_| wanted != before);
    instance.iam_only = Some(if delayed.is_some() { before } else { wanted });
    instance.becomes = delayed.map(|delay| Becomes { iam_only: wanted, at: delay.after(now) });
}

fn lock(world: &mut World, place: &Place, locked: bool, now: Timestamp) -> Reply {
    let Some(instance) = place.instance_mut(world) else { return not_found(&place.key) };
    instance.locked = locked;
    instance.operation.kind = if locked { "lock" } else { "unlock" }.to_owned();
    instance.operation.state = "succeeded".to_owned();
    instance.operation.r#async = false;
    instance.updated_at = Some(later(instance.updated_at, now));
    shown(world, place, 200).effect(Effect::Patch)
}

/// Now, but later than before: a standing clock must not hide an update.
fn later(before: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let tick = SignedDuration::from_millis(1);
    before.and_then(|before| before.checked_add(tick).ok()).map_or(now, |next| next.max(now))
}

fn shown(world: &World, place: &Place, status: u16) -> Reply {
    match (place.account(world), place.instance(world)) {
        (Some(account), Some(instance)) => Reply::json(status, &Body::new(account, &place.key, instance)),
        _ => not_found(&place.key),
    }
}

fn not_found(id: &str) -> Reply {
    let message = format!("The resource instance cannot be found: {id}");
    // Sent even with permanent errors (contract ibm 2.8).
    error(404, "RC-DatabaseErrorResponse", &message).header("Retry-After", "0")
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({
        "message": message, "error_code": code, "details": format!("status_code={status}"),
        "status_code": status, "transaction_id": "b1946ac9-0000-4000-8000-000000000001"
    });
    Reply::json(status, &body)
}
