//! The portal's audit log: whether somebody still knocks with a token that was disabled (contract
//! logicmonitor 8).
//!
//! For a failed API request the log's `username` is the access id as sent, so a forgotten consumer of
//! a disabled LMv1 token shows there, with its address. Bearer tokens have no access id. Successful
//! reads are not logged: silence before a token is disabled proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::wire::instant;
use crate::http::HttpError;
use crate::model::address::Address;

/// Access ids to watch for, each with the instant since when.
pub type Watched = BTreeMap<String, Timestamp>;

/// What the log told of the watched access ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Watch {
    /// There was nothing to watch for.
    #[default]
    NotAsked,
    /// By access id; one that is not here was not tried.
    Read(BTreeMap<String, Tries>),
    Unread {
        /// For people: `HTTP 403 …`.
        why: String,
        /// It is refused, and will be the next time as well; else it may work the next time.
        lasting: bool,
    },
}

/// Requests with a token that is disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tries {
    pub count: usize,
    pub last: Timestamp,
    /// Where the last one came from; empty where the log does not tell.
    pub ip: String,
}

/// More pages than the log of a soak has.
const MOST_PAGES: usize = 50;

/// How much earlier than the earliest watched instant is read: a row of that time must be there,
/// since tokenform's own change is logged, or the log can't be relied on.
const CONTROL: SignedDuration = SignedDuration::from_hours(1);

/// A row of the log.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct LogRow {
    pub id: Option<String>,
    pub username: Option<String>,
    pub happened_on: Option<i64>,
    pub ip: Option<String>,
    pub description: Option<String>,
}

/// Reads the log back to the earliest watched instant, newest rows first. The filter is by time alone
/// and what it gives is looked at again: a filter by text that a portal does not understand gives
/// nothing, and nothing must not be taken for silence (contract 4.1).
pub async fn read(client: &Client<'_>, object: &Address, watched: &Watched) -> Watch {
    let Some(first) = watched.values().min() else { return Watch::NotAsked };
    let since = first.checked_sub(CONTROL).unwrap_or(*first);
    let told = |why: &str, lasting| Watch::Unread { why: format!("the portal's audit log {why}"), lasting };
    match rows(client, object, since).await {
        Ok(Log::Whole(rows)) if rows.is_empty() => {
            told("is empty, though tokenform itself changed a token in that time", true)
        }
        Ok(Log::Whole(rows)) => Watch::Read(tries(&rows, watched)),
        Ok(Log::Endless) => told("is too long to be read whole", true),
        Ok(Log::Unfiltered) => told("can't be read back in time: it does not filter", true),
        Ok(Log::Malformed) => told("can't be read: the answer has no `items`", false),
        Err(error) => unread(&error),
    }
}

enum Log {
    Whole(Vec<LogRow>),
    Endless,
    Malformed,
    Unfiltered,
}

fn unread(error: &HttpError) -> Watch {
    let lasting = matches!(error.effective_status(), Some(400 | 403 | 404 | 405));
    let why = match error.effective_status() {
        Some(status) => format!("the portal's audit log can't be read: HTTP {status}"),
        None => "the portal's audit log could not be read: no answer".into(),
    };
    Watch::Unread { why, lasting }
}

/// Every row since an instant.
async fn rows(client: &Client<'_>, object: &Address, since: Timestamp) -> Result<Log, HttpError> {
    let (mut rows, mut seen, mut until, mut offset) = (Vec::new(), BTreeSet::new(), None, 0);
    for _ in 0..MOST_PAGES {
        let Some(page) = client.log(object, since, until, offset).await? else { return Ok(Log::Malformed) };
        let at = |row: &LogRow| row.happened_on.and_then(instant);
        let oldest = page.iter().filter_map(at).min();
        // a portal that does not filter would show its newest rows again and again
        if page.iter().filter_map(at).any(|at| until.is_some_and(|until| at > until)) {
            return Ok(Log::Unfiltered);
        }
        let before = rows.len();
        let new = page.into_iter().filter(|row| row.id.as_ref().is_none_or(|id| seen.insert(id.clone())));
        rows.extend(new.filter(|row| at(row).is_some_and(|at| at >= since)));
        if rows.len() == before || oldest.is_none_or(|oldest| oldest < since) {
            return Ok(Log::Whole(rows));
        }
        // back in time, and past the rows of that very second that were seen
        offset = rows.iter().filter(|row| at(row) == oldest).count();
        until = oldest;
    }
    Ok(Log::Endless)
}

fn tries(rows: &[LogRow], watched: &Watched) -> BTreeMap<String, Tries> {
    let mut tries: BTreeMap<String, Tries> = BTreeMap::new();
    for row in rows {
        let Some(at) = row.happened_on.and_then(instant) else { continue };
        let ids = [row.username.as_deref(), row.description.as_deref().and_then(tried)];
        let hit = ids.into_iter().flatten().find(|id| watched.get(*id).is_some_and(|since| at >= *since));
        let Some(id) = hit else { continue };
        let ip = row.ip.clone().unwrap_or_default();
        let entry = tries.entry(id.to_owned()).or_insert(Tries { count: 0, last: at, ip: ip.clone() });
        entry.count += 1;
        if at > entry.last {
            (entry.last, entry.ip) = (at, ip);
        }
    }
    tries
}

/// The access id in `… API token ID …`, as rows of failed, throttled and locked-out requests have it;
/// their wording varies by release (contract 8).
fn tried(description: &str) -> Option<&str> {
    description.split_once("API token ")?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn row(second: i64, username: &str, description: &str) -> LogRow {
        LogRow {
            id: Some(second.to_string()),
            username: Some(username.into()),
            happened_on: Some(second),
            ip: Some(format!("203.0.113.{}", second % 256)),
            description: Some(description.into()),
        }
    }

    #[test]
    fn tries_are_told_by_the_username_or_by_the_text() {
        let failed = "Failed API request: API token oldId attempted to access path '/x' with Method: GET";
        let rows = [
            row(130, "oldId", failed),
            row(120, "", "API token oldId is locked due to too many failed attempts"),
            row(110, "oldId", "whatever a later release says"),
            row(90, "oldId", failed),
            row(125, "svc-rotator", "Update api tokens - oldId for svc-ci via API token ourId"),
            row(125, "otherId", failed.replace("oldId", "otherId").as_str()),
        ];
        let watched = Watched::from([("oldId".to_owned(), at(100))]);
        let found = tries(&rows, &watched);
        assert_eq!(found.len(), 1);
        assert_eq!(found["oldId"], Tries { count: 3, last: at(130), ip: "203.0.113.130".into() });
        assert!(tries(&rows, &Watched::from([("oldId".to_owned(), at(131))])).is_empty());
    }
}
