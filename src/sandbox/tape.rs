//! The tape: what was asked of the sandbox, by whom, with which effect. Never a secret value.

use serde::Serialize;

use super::mint::MARKER;
use super::wire::{About, Call, Effect};

/// How many requests the tape holds; the oldest go first.
const LONGEST: usize = 200_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct TapeEntry {
    /// Counts from 1, without gaps while the sandbox runs.
    pub seq: u64,
    /// On the sandbox's clock.
    pub at: jiff::Timestamp,
    /// `OPERATOR` for what the person at the console did.
    pub method: String,
    /// As sent, percent-encoded.
    pub path: String,
    pub query: String,
    /// Names in lower case; `authorization` is reduced to its scheme (and the LMv1 access id).
    pub headers: Vec<(String, String)>,
    /// Secrets are replaced by `(masked)`.
    pub body: String,
    /// The reply's status; 0 where the request was dropped unread.
    pub status: u16,
    #[serde(flatten)]
    pub about: About,
    pub effect: Effect,
    /// The fault rule that hit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// The requests so far.
#[derive(Default)]
pub struct Tape {
    entries: std::collections::VecDeque<TapeEntry>,
    seq: u64,
    /// Secrets of the world file that are not of the sandbox's making.
    foreign: Vec<String>,
}

/// What is known of a request when it has been answered.
pub struct Outcome {
    pub at: jiff::Timestamp,
    pub status: u16,
    pub about: About,
    pub effect: Effect,
    pub fault: Option<&'static str>,
}

impl Tape {
    /// A tape that also masks these values.
    pub fn new(foreign: Vec<String>) -> Self {
        Self { foreign, ..Self::default() }
    }

    pub fn record(&mut self, call: &Call, outcome: Outcome) {
        let headers = call.headers.iter().map(|(name, value)| self.header(name, value)).collect();
        let path = self.clean(&call.raw_path);
        let query = self.clean(&call.raw_query);
        let body = self.body(call);
        self.push(&call.method, path, query, headers, body, outcome);
    }

    /// What the person at the console did.
    pub fn record_operator(&mut self, what: &str, outcome: Outcome) {
        self.push("OPERATOR", what.to_owned(), String::new(), Vec::new(), String::new(), outcome);
    }

    pub fn entries(&self) -> Vec<TapeEntry> {
        self.entries.iter().cloned().collect()
    }

    fn push(
        &mut self,
        method: &str,
        path: String,
        query: String,
        headers: Vec<(String, String)>,
        body: String,
        outcome: Outcome,
    ) {
        self.seq += 1;
        let Outcome { at, status, about, effect, fault } = outcome;
        let (seq, method) = (self.seq, method.to_owned());
        self.entries.push_back(TapeEntry {
            seq,
            at,
            method,
            path,
            query,
            headers,
            body,
            status,
            about,
            effect,
            fault,
        });
        if self.entries.len() > LONGEST {
            self.entries.pop_front();
        }
    }

    fn header(&self, name: &str, value: &str) -> (String, String) {
        let name = name.to_ascii_lowercase();
        let value = if name == "authorization" { scheme(value) } else { self.clean(value) };
        (name, value)
    }

    fn body(&self, call: &Call) -> String {
        let path = call.path.as_str();
        if path == "/identity/token" || path == "/oidc/token" {
            return masked_form(call);
        }
        self.clean(&String::from_utf8_lossy(&call.body))
    }

    /// The text, or a note in its place when a secret is in it.
    fn clean(&self, text: &str) -> String {
        let decoded = super::wire::decode(text, true);
        let holds = |secret: &str| text.contains(secret) || decoded.contains(secret);
        if holds(MARKER) || self.foreign.iter().any(|secret| holds(secret)) {
            return "(masked)".to_owned();
        }
        text.to_owned()
    }
}

/// `Bearer`, `Basic`, `LMv1 ACCESSID`.
fn scheme(value: &str) -> String {
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    match scheme {
        "LMv1" => format!("LMv1 {}", rest.split(':').next().unwrap_or_default()),
        "Bearer" | "Basic" => scheme.to_owned(),
        // A bare value may be the secret itself.
        _ => "(unknown scheme)".to_owned(),
    }
}

/// The fields of an IAM grant without the values that could be secret.
fn masked_form(call: &Call) -> String {
    const PUBLIC: [&str; 6] =
        ["grant_type", "response_type", "scope", "profile_id", "profile_name", "profile_crn"];
    let field = |(key, value): (String, String)| {
        let value = if PUBLIC.contains(&key.as_str()) { value } else { "(masked)".to_owned() };
        format!("{key}={value}")
    };
    call.form().into_iter().map(field).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_gets_on_the_tape() {
        let mut tape = Tape::new(vec!["hunter2".to_owned()]);
        let secret = format!("x{MARKER}y");
        let calls = [
            (
                "/identity/token",
                "authorization",
                format!("Bearer {secret}"),
                format!("grant_type=a&apikey={secret}"),
            ),
            ("/x?y=tf%63anary", "x-other", secret.clone(), "hunter2".to_owned()),
            ("/x", "authorization", secret.clone(), "apikey=%74fcanary".to_owned()),
        ];
        for (target, header, value, body) in calls {
            let headers = vec![(header.to_owned(), value)];
            let call = Call::new("POST", target, headers, body.into_bytes(), String::new());
            let (about, effect) = (About::default(), Effect::None);
            let at = jiff::Timestamp::UNIX_EPOCH;
            tape.record(&call, Outcome { at, status: 200, about, effect, fault: None });
        }
        let text = serde_json::to_string(&tape.entries()).unwrap();
        assert!(!text.contains("canary") && !text.contains("hunter2"), "{text}");
        assert!(text.contains("grant_type=a&apikey=(masked)"), "{text}");
        assert_eq!(scheme("LMv1 id:sig:1"), "LMv1 id");
    }
}
