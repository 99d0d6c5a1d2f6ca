//! Rate limits: per endpoint and method of a portal, in a rolling window (contract logicmonitor 7.3).

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::estate::{Limit, Portal};
use crate::model::vocabulary::Period;
use crate::sandbox::wire::Reply;

/// The vendor publishes no numbers; these are the sandbox's.
const DEFAULT: Limit = Limit { limit: 500, window: Period::seconds(60) };

/// When each endpoint was asked, within its window.
#[derive(Default)]
pub struct Windows {
    asked: BTreeMap<String, VecDeque<Timestamp>>,
}

/// What is left of a window.
pub struct Budget {
    pub exceeded: bool,
    limit: Limit,
    remaining: u32,
}

/// Takes one request from its endpoint's window. One beyond the limit takes nothing.
pub fn take(portal: &Portal, windows: &mut Windows, method: &str, parts: &[&str], now: Timestamp) -> Budget {
    let endpoint = endpoint(method, parts);
    let limit =
        portal.limits.get(&endpoint).or_else(|| portal.limits.get("default")).copied().unwrap_or(DEFAULT);
    let seconds = i64::try_from(limit.window.as_secs()).unwrap_or(i64::MAX);
    let begin = now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
    let asked = windows.asked.entry(endpoint).or_default();
    while asked.front().is_some_and(|at| *at <= begin) {
        asked.pop_front();
    }
    let used = u32::try_from(asked.len()).unwrap_or(u32::MAX);
    let exceeded = used >= limit.limit;
    if !exceeded {
        asked.push_back(now);
    }
    let remaining = limit.limit.saturating_sub(used).saturating_sub(1);
    Budget { exceeded, limit, remaining }
}

/// `GET /setting/admins/{id}/apitokens`
fn endpoint(method: &str, parts: &[&str]) -> String {
    let is_id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut text = format!("{method} ");
    for part in parts {
        text.push('/');
        text.push_str(if is_id(part) { "{id}" } else { part });
    }
    text
}

impl Budget {
    /// Puts the three headers on a reply.
    pub fn headers(&self, reply: Reply) -> Reply {
        reply
            .header("X-Rate-Limit-Limit", &self.limit.limit.to_string())
            .header("X-Rate-Limit-Remaining", &self.remaining.to_string())
            .header("X-Rate-Limit-Window", &self.limit.window.as_secs().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_rolls() {
        let limit = Limit { limit: 2, window: Period::seconds(10) };
        let limits = [("GET /setting/admins/{id}".to_owned(), limit)].into();
        let portal = Portal { limits, ..Portal::default() };
        let mut windows = Windows::default();
        let mut at = |second: i64| {
            let now = Timestamp::from_second(1_700_000_000 + second).unwrap();
            take(&portal, &mut windows, "GET", &["setting", "admins", "7"], now).exceeded
        };
        assert_eq!([at(0), at(5), at(6), at(10), at(11), at(15)], [false, false, true, false, true, false]);
    }
}
