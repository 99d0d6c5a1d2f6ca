//! The audit log: who made, changed or misused which token (contract logicmonitor 8).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ROOT;
use super::estate::Portal;
use super::listing::page;
use crate::sandbox::wire::{Call, Reply};

/// How many rows a portal keeps.
const LONGEST: usize = 10_000;

/// One row.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub at: Timestamp,
    pub username: String,
    pub ip: String,
    pub description: String,
}

/// A disabled or deleted token still knocks: the row's username is the access id as sent.
pub fn failed_request(portal: &mut Portal, access_id: &str, call: &Call, now: Timestamp) {
    let path = call.path.strip_prefix(ROOT).unwrap_or(&call.path);
    let text = format!(
        "Failed API request: API token {access_id} attempted to access path '{path}' with Method: {}",
        call.method
    );
    write(portal, access_id, text, call, now);
}

/// Too many bad signatures.
pub fn locked(portal: &mut Portal, access_id: &str, call: &Call, now: Timestamp) {
    let text = format!("API token {access_id} is locked due to too many failed attempts");
    write(portal, access_id, text, call, now);
}

/// Something was done by an accepted caller.
pub fn done(portal: &mut Portal, username: &str, text: String, call: &Call, now: Timestamp) {
    write(portal, username, text, call, now);
}

fn write(portal: &mut Portal, username: &str, description: String, call: &Call, now: Timestamp) {
    if portal.audit.len() >= LONGEST {
        portal.audit.remove(0);
    }
    portal.audit.push(Row { at: now, username: username.to_owned(), ip: call.ip.clone(), description });
}

/// `GET /setting/accesslogs`: newest first; `total` is negative, as the vendor's is.
pub fn list(portal: &Portal, call: &Call) -> Reply {
    let rows: Vec<(usize, &Row)> = portal.audit.iter().enumerate().rev().collect();
    let reply = page(call, &rows, |(at, row)| {
        json!({
            "id": at.to_string(), "username": row.username, "happenedOn": row.at.as_second(),
            "happenedOnLocal": row.at.to_string(), "ip": row.ip, "description": row.description,
            "_all": format!("{} {} {}", row.username, row.ip, row.description)
        })
    });
    let Some(mut body) = reply.value() else { return reply };
    if let Some(items) = body.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("_all")));
        let returned = i64::try_from(items.len()).unwrap_or(i64::MAX);
        body["total"] = json!(-(returned + 1));
    }
    Reply::json(reply.status, &body)
}
