//! What goes wrong, and when: rules of the world file or of `POST /__sandbox/faults`.
//!
//! ```yaml
//! faults:
//!   - { on: { method: PATCH, path: "/v2/resource_instances/*" }, do: drop_after }
//!   - { on: { path: "/santaba/rest/*", nth: 3, times: 2 }, do: { throttle: { limit: 50, window: 60s } } }
//!   - { on: { path: /identity/token, times: 0 }, do: { reply: { status: 429, headers: { Retry-After: "0" } } } }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::meddle::Meddling;
use super::wire::{Call, Reply};
use crate::model::vocabulary::Period;

/// One rule.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub on: When,
    pub r#do: Action,
}

/// Which requests a rule hits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Any method if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The decoded path; `*` stands for any text.
    pub path: String,
    /// A text that the query must hold, for example `type=bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The first matching request that is hit, from 1.
    pub nth: u32,
    /// How many are hit from there on; 0 is all.
    pub times: u32,
    /// How many matching requests were seen; kept, so that a fault does not come back.
    pub seen: u32,
}

impl Default for When {
    fn default() -> Self {
        Self { method: None, path: "*".to_owned(), query: None, nth: 1, times: 1, seen: 0 }
    }
}

/// What happens to a request that is hit.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// The connection closes with no reply; nothing was done.
    DropBefore,
    /// It is done, then the connection closes with no reply.
    DropAfter,
    /// The connection is reset (RST) with no reply; nothing was done.
    ResetBefore,
    /// It is done, then the connection is reset.
    ResetAfter,
    /// No reply, and the connection stays open; nothing was done. See `delay` for the other case.
    Hang,
    /// The head and half of the body of the true reply, then the connection closes.
    Cut,
    /// The head and half of the body of the true reply, then nothing more.
    Stall,
    /// The true reply with half of its body, as if that were all.
    Truncate,
    /// This reply instead; nothing was done.
    Reply(Canned),
    /// It is done, then this reply instead of the true one.
    ReplyAfter(Canned),
    /// The true reply, this much of real time later.
    Delay(Period),
    /// The true reply, a random part of this real time later.
    Jitter(Jitter),
    /// LogicMonitor's 429 with its headers.
    Throttle(Throttle),
    /// A portal being upgraded: 503 with HTML.
    Html503,
    /// The true reply in API v1's envelope, HTTP 200.
    V1,
    /// HTTP 200 whose body is an error (LogicMonitor).
    #[serde(rename = "error_in_200")]
    ErrorIn200,
    /// The plain text that Sysdig answers to an expired token.
    #[serde(rename = "plain_text_401")]
    PlainText401,
    /// 302 to a login page.
    LoginRedirect,
    /// Resource controller: a broker's permanent error wrapped in a 502.
    #[serde(rename = "broker_502")]
    Broker502,
    /// Resource controller: a broker's error wrapped in a 400, with `Retry-After: 0`.
    #[serde(rename = "broker_400")]
    Broker400,
    /// Somebody else changes something just before; the request goes on.
    Meddle(Meddling),
}

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Whole,
    /// Not sent: the connection closes.
    Dropped,
    /// Not sent: the connection is reset.
    Reset,
    /// Not sent, and the connection stays open.
    Never,
    /// Half of the body, then the connection closes.
    Cut,
    /// Half of the body, and the connection stays open.
    Stalled,
}

/// A reply as a rule states it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as it stands.
    #[serde(default)]
    pub body: String,
}

/// Replies out of order: each hit draws the next number of a seed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    pub up_to_ms: u64,
    #[serde(default)]
    pub seed: u64,
}

impl Jitter {
    /// SplitMix64's step and its mix, which are enough for delays.
    fn roll(&mut self) {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }

    pub fn delay(&self) -> Duration {
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Duration::from_millis((mixed >> 32) % self.up_to_ms.saturating_add(1).max(1))
    }
}

/// The numbers of a 429.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttle {
    pub limit: u32,
    pub remaining: u32,
    pub window: Period,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { limit: 100, remaining: 0, window: Period::seconds(60) }
    }
}

/// The first rule that hits this request, which is counted by every rule that it matches.
pub fn strike(faults: &mut [Fault], call: &Call) -> Option<Action> {
    let mut hit = None;
    for fault in faults.iter_mut().filter(|fault| fault.on.matches(call)) {
        let on = &mut fault.on;
        on.seen = on.seen.saturating_add(1);
        let first = on.nth.max(1);
        let within = on.times == 0 || on.seen < first.saturating_add(on.times);
        if hit.is_none() && on.seen >= first && within {
            if let Action::Jitter(jitter) = &mut fault.r#do {
                jitter.roll();
            }
            hit = Some(fault.r#do.clone());
        }
    }
    hit
}

impl When {
    fn matches(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&call.method))
            && glob(&self.path, &call.path)
            && self.query.as_ref().is_none_or(|part| call.raw_query.contains(part))
    }
}

impl Action {
    /// The name on the tape.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::Hang => "hang",
            Self::Cut => "cut",
            Self::Stall => "stall",
            Self::Truncate => "truncate",
            Self::Reply(_) => "reply",
            Self::ReplyAfter(_) => "reply_after",
            Self::Delay(_) => "delay",
            Self::Jitter(_) => "jitter",
            Self::Throttle(_) => "throttle",
            Self::Html503 => "html503",
            Self::V1 => "v1",
            Self::ErrorIn200 => "error_in_200",
            Self::PlainText401 => "plain_text_401",
            Self::LoginRedirect => "login_redirect",
            Self::Broker502 => "broker_502",
            Self::Broker400 => "broker_400",
            Self::Meddle(_) => "meddle",
        }
    }

    /// How the reply ends.
    pub fn ending(&self) -> Ending {
        match self {
            Self::DropBefore | Self::DropAfter => Ending::Dropped,
            Self::ResetBefore | Self::ResetAfter => Ending::Reset,
            Self::Hang => Ending::Never,
            Self::Cut => Ending::Cut,
            Self::Stall => Ending::Stalled,
            _ => Ending::Whole,
        }
    }

    /// The reply of an action that replaces the true one before anything was done.
    pub fn instead(&self) -> Option<Reply> {
        match self {
            Self::Reply(canned) => Some(canned.reply()),
            Self::Throttle(throttle) => Some(throttle.reply()),
            Self::Html503 => {
                Some(Reply::html(503, "<html><body><h1>Portal upgrade in progress</h1></body></html>"))
            }
            Self::ErrorIn200 => Some(canned(200, 500, "Internal error", 1500)),
            Self::PlainText401 => Some(Reply::text(401, "unauthorized: the token is not valid")),
            Self::LoginRedirect => Some(Reply::empty(302).header("Location", "/sandbox-login?from=api")),
            Self::Broker502 => Some(broker(502)),
            Self::Broker400 => Some(broker(400).header("Retry-After", "0")),
            Self::DropBefore | Self::ResetBefore | Self::Hang => Some(Reply::empty(0)),
            Self::DropAfter
            | Self::ResetAfter
            | Self::Cut
            | Self::Stall
            | Self::Truncate
            | Self::ReplyAfter(_)
            | Self::Delay(_)
            | Self::Jitter(_)
            | Self::V1
            | Self::Meddle(_) => None,
        }
    }
}

impl Canned {
    pub fn reply(&self) -> Reply {
        let looks_json = self.body.trim_start().starts_with(['{', '[']);
        let kind = if looks_json { "application/json" } else { "text/plain" };
        let mut reply = Reply::text(self.status, &self.body).header("Content-Type", kind);
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        reply
    }
}

impl Throttle {
    fn reply(&self) -> Reply {
        canned(429, 429, "Too many requests", 1429)
            .header("X-Rate-Limit-Limit", &self.limit.to_string())
            .header("X-Rate-Limit-Remaining", &self.remaining.to_string())
            .header("X-Rate-Limit-Window", &self.window.as_secs().to_string())
    }
}

fn canned(status: u16, detail: u16, message: &str, code: u32) -> Reply {
    let detail = serde_json::json!({ "httpStatus": detail });
    Reply::json(
        status,
        &serde_json::json!({ "errorMessage": message, "errorCode": code, "errorDetail": detail }),
    )
}

/// A nested Sysdig error in a broker error (contract ibm 2.8).
fn broker(status: u16) -> Reply {
    let nested = r#"{"errors":[{"reason":"Exception","message":"Cannot update default receiver"}]}"#;
    let message = format!(
        "The service's broker returned error, [500, Internal Server Error] Sysdig provision request return code: 500 response: {nested}"
    );
    let body = serde_json::json!({
        "message": message, "error_code": "RC-ServiceBrokerErrorResponse", "status_code": status,
        "details": "", "transaction_id": "b1946ac9-0000-4000-8000-000000000001"
    });
    Reply::json(status, &body)
}

/// Whether a text matches a pattern in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.any(|at| glob(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str) -> Call {
        Call::new(method, path, vec![], vec![], String::new())
    }

    #[test]
    fn a_rule_hits_from_the_nth_on_and_only_so_often() {
        let yaml = "- { on: { method: get, path: '/a/*', nth: 2, times: 2 }, do: drop_after }\n";
        let mut faults: Vec<Fault> = serde_yaml::from_str(yaml).unwrap();
        let hits: Vec<bool> =
            (0..5).map(|_| strike(&mut faults, &call("GET", "/a/b?x=1")).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert!(strike(&mut faults, &call("POST", "/a/b")).is_none());
        assert_eq!(faults[0].on.seen, 5);
    }

    #[test]
    fn every_action_reads_from_yaml() {
        let yaml = "
- { on: {}, do: { reply: { status: 429, headers: { Retry-After: '0' }, body: '{}' } } }
- { on: {}, do: { throttle: { limit: 5 } } }
- { on: {}, do: { delay: 2s } }
- { on: {}, do: { jitter: { up_to_ms: 9 } } }
- { on: { query: type=bearer }, do: html503 }
- { on: {}, do: { meddle: { reset_team: { connection: prod, instance: mon-prod, team: SRE } } } }
";
        let faults: Vec<Fault> = serde_yaml::from_str(yaml).unwrap();
        let names: Vec<_> = faults.iter().map(|fault| fault.r#do.name()).collect();
        assert_eq!(names, ["reply", "throttle", "delay", "jitter", "html503", "meddle"]);
    }

    #[test]
    fn jitter_draws_another_delay_for_each_request_and_stays_below_its_bound() {
        let yaml = "- { on: { times: 0 }, do: { jitter: { up_to_ms: 9, seed: 3 } } }\n";
        let mut faults: Vec<Fault> = serde_yaml::from_str(yaml).unwrap();
        let draw = |_| match strike(&mut faults, &call("GET", "/a")) {
            Some(Action::Jitter(jitter)) => jitter.delay().as_millis(),
            _ => panic!("not hit"),
        };
        let drawn: std::collections::BTreeSet<_> = (0..100).map(draw).collect();
        assert!(drawn.len() > 5 && drawn.iter().all(|ms| *ms <= 9), "{drawn:?}");
    }

    #[test]
    fn globs() {
        assert!(glob("*", "") && glob("/a/*/c", "/a/ü/b/c") && glob("a", "a"));
        assert!(!glob("/a/*", "/b") && !glob("a", "ab") && !glob("*c", "ab"));
    }
}
