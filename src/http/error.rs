//! Turns a failed request into an [`HttpError`]: what happened, to which object, why, what to do.

use jiff::Timestamp;

use super::clients::NoReply;
use super::headers::Told;
use super::retry::{self, Seen};
use super::said::Said;
use super::sealed::Malformed;
use super::{HttpError, Sent};
use crate::model::address::Address;
use crate::model::code::{CREDENTIAL, Code, HTTP_CALL, HTTP_CLOCK_SKEW};
use crate::model::finding::Finding;

/// Whose API a request speaks to; their errors and limits differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Iam,
    /// Resource controller and Sysdig.
    Ibm,
    LogicMonitor,
}

/// What a request was about, as errors tell it.
pub struct About<'a> {
    pub object: &'a Address,
    pub purpose: &'a str,
    pub method: &'a str,
    /// Host and path.
    pub place: &'a str,
    pub dialect: Dialect,
}

/// A failed attempt: the error if it is the last one, and what the retry rules look at.
pub struct Failed {
    pub error: HttpError,
    pub seen: Seen,
    /// A service refused an IAM token that can be had anew.
    pub renewable: bool,
}

impl HttpError {
    /// The status that the reply means: LogicMonitor puts errors into 200 and 202 too, and tells the
    /// real one in its code (contract logicmonitor 7.1).
    pub fn effective_status(&self) -> Option<u16> {
        let code = self.code.as_deref().and_then(|code| code.parse::<u16>().ok());
        match (self.status, code) {
            (Some(200..=299), Some(code @ 1400..=1599)) => Some(code - 1000),
            (status, _) => status,
        }
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.finding.fmt(f)
    }
}

impl std::error::Error for HttpError {}

impl About<'_> {
    /// Nothing was sent, for a reason of our own.
    pub fn not_sent(&self, why: &str, help: Option<&str>) -> Failed {
        let finding = self.finding(HTTP_CALL, &format!("was not sent: {why}"));
        Failed::local(self.with_help(finding, help))
    }

    /// The credential gave nothing to send.
    pub fn no_credential(&self, reason: &Finding) -> Failed {
        let mut finding = reason.clone();
        finding.code = CREDENTIAL;
        finding.message = format!("could not {}: {}", self.purpose, reason.message);
        Failed::local(finding.at(self.object))
    }

    /// No reply came.
    pub fn no_reply(&self, cause: &NoReply) -> Failed {
        let finding = self.finding(HTTP_CALL, &format!("brought no reply: {}", cause.why));
        let help = match cause.sent {
            Sent::No => "Check the endpoint, and that nothing between here and there refuses it.",
            Sent::Maybe | Sent::Yes => {
                "Check the network and the vendor's status page, and run the command again."
            }
        };
        let error = HttpError {
            sent: cause.sent,
            status: None,
            code: None,
            message: None,
            reason: None,
            retry_after: None,
            finding: Box::new(finding.help(help)),
        };
        let seen = Seen { sent: cause.sent, status: None, permanent: cause.permanent, asked: None };
        Failed { error, seen, renewable: false }
    }

    /// A reply that says no.
    pub fn answered(&self, status: u16, told: &Told, said: Said, now: Timestamp) -> Failed {
        let lm = self.dialect == Dialect::LogicMonitor;
        let mut error = HttpError {
            sent: Sent::Yes,
            status: Some(status),
            code: said.code.clone(),
            message: said.message.clone(),
            reason: said.reason.clone(),
            retry_after: None,
            finding: Box::new(Finding::new(HTTP_CALL, "")),
        };
        let effective = error.effective_status().unwrap_or(status);
        error.retry_after = retry::asked(effective, told, lm);
        let finding = self.finding(HTTP_CALL, &self.story(status, told, &said));
        let finding = self.with_help(finding, self.help(effective, &said));
        let refused = lm && effective == 401;
        error.finding = Box::new(if refused { with_skew(finding, told, now) } else { finding });
        let seen = Seen {
            sent: Sent::Yes,
            status: Some(effective),
            permanent: said.permanent,
            asked: error.retry_after,
        };
        Failed { error, seen, renewable: false }
    }

    /// A reply that says yes in a body that can't be used.
    pub fn malformed(&self, status: u16, told: &Told, malformed: &Malformed) -> Failed {
        let said = Said { correlation: told.correlation.clone(), ..Said::default() };
        let mut failed = self.answered(status, told, said, Timestamp::UNIX_EPOCH);
        let story = format!("answered {status} with a body that is {malformed}{}", id(told, None));
        *failed.error.finding = self
            .finding(HTTP_CALL, &story)
            .help("Check the endpoint; if it is right, the vendor's API has changed: report it.");
        failed.seen.permanent = true;
        failed
    }

    fn story(&self, status: u16, told: &Told, said: &Said) -> String {
        let id = id(told, said.correlation.as_deref());
        if said.api_v1 && self.dialect == Dialect::LogicMonitor {
            return format!("answered {status} as API v1, which hides failures{id}");
        }
        if (300..400).contains(&status) {
            return format!("answered {status}, a redirect to a login page{id}");
        }
        let code = said.code.as_ref().map_or(String::new(), |code| format!(" ({code})"));
        let words = match (&said.message, &said.reason) {
            (Some(message), Some(reason)) => format!(": {message} ({reason})"),
            (Some(text), None) | (None, Some(text)) => format!(": {text}"),
            (None, None) if said.code.is_some() => String::new(),
            (None, None) => ", in words that are not of this API and not shown".to_owned(),
        };
        format!("answered {status}{code}{words}{id}")
    }

    fn help(&self, status: u16, said: &Said) -> Option<&'static str> {
        if said.api_v1 && self.dialect == Dialect::LogicMonitor {
            return Some("Something on the way drops the header `X-Version`; remove it from the path.");
        }
        Some(match (self.dialect, status) {
            (Dialect::Iam, 400 | 401 | 403) => "Check the credential that the connection names in the spec.",
            (Dialect::LogicMonitor, 401) => {
                "Check the access id and key or the bearer token: wrong, disabled, deleted or locked. \
                 Nothing more is sent with it in this run, so that it is not locked."
            }
            (Dialect::LogicMonitor, 403) => {
                "The credential is valid but its role may not do this; it needs Settings, User Access."
            }
            (Dialect::LogicMonitor, 404) => "The id, or the feature, is not there on this portal.",
            (Dialect::Ibm, 401) => {
                "The credential was refused; check the endpoint and the identity's policies."
            }
            (Dialect::Ibm, 403) => {
                "Check the identity's policies on the instance, and whether it is IAM_ONLY."
            }
            (_, 300..=399) => "Check the endpoint, and for IBM that the instance lives in that region.",
            (_, 429) => "Wait and run the command again; others use the same rate limit.",
            (_, 500..=599) => "The vendor has trouble; look at its status page and run the command again.",
            _ => return None,
        })
    }

    /// `could not read the users: GET host/path …`
    fn finding(&self, code: Code, story: &str) -> Finding {
        let Self { object, purpose, method, place, .. } = self;
        Finding::new(code, format!("could not {purpose}: {method} {place} {story}")).at(object)
    }

    fn with_help(&self, finding: Finding, help: Option<&str>) -> Finding {
        match help {
            Some(help) => finding.help(help),
            None => finding,
        }
    }
}

impl Failed {
    /// Trouble on this side: nothing left, and asking again brings the same.
    fn local(finding: Finding) -> Self {
        let error = HttpError {
            sent: Sent::No,
            status: None,
            code: None,
            message: None,
            reason: None,
            retry_after: None,
            finding: Box::new(finding),
        };
        let seen = Seen { sent: Sent::No, status: None, permanent: true, asked: None };
        Self { error, seen, renewable: false }
    }

    /// Says how often it was tried.
    pub fn after(mut self, tries: u32) -> HttpError {
        if tries > 1 {
            self.error.finding.message.push_str(&format!(" (tried {tries} times)"));
        }
        self.error
    }

    /// Passes every text that a vendor wrote through `scrub`.
    pub fn scrubbed(mut self, scrub: impl Fn(&str) -> String) -> Self {
        for text in [&mut self.error.message, &mut self.error.reason].into_iter().flatten() {
            *text = scrub(text);
        }
        self.error.finding.message = scrub(&self.error.finding.message);
        self
    }
}

/// ` [id b19-1]`
fn id(told: &Told, in_body: Option<&str>) -> String {
    told.correlation.as_deref().or(in_body).map_or(String::new(), |id| format!(" [id {id}]"))
}

/// Tells a skew of over a minute; near the 30 minutes for which signatures hold (contract
/// logicmonitor 2.1) it is taken for the cause.
fn with_skew(mut finding: Finding, told: &Told, now: Timestamp) -> Finding {
    let Some(seconds) = told.date.map(|date| date.duration_since(now).as_secs()) else {
        return finding;
    };
    let apart = seconds.unsigned_abs();
    if apart > 60 {
        let side = if seconds > 0 { "behind" } else { "ahead of" };
        finding.message.push_str(&format!("; this machine's clock is {apart} s {side} the server's"));
    }
    if apart > 25 * 60 {
        finding.code = HTTP_CLOCK_SKEW;
        finding.help = Some("Set this machine's clock; a signature holds for 30 minutes at most.".into());
    }
    finding
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::said;

    fn about(dialect: Dialect, object: &Address) -> About<'_> {
        About { object, purpose: "read the users", method: "GET", place: "h/setting/admins", dialect }
    }

    fn answered(dialect: Dialect, status: u16, body: &str, told: &Told) -> Failed {
        let object = Address::connection("logicmonitor", "acme");
        let now = Timestamp::from_second(1_000_000).unwrap();
        about(dialect, &object).answered(status, told, said::read(body.as_bytes()), now)
    }

    #[test]
    fn a_story_has_object_place_status_code_words_and_id() {
        let told = Told { correlation: Some("abc-1".into()), ..Told::default() };
        let body = r#"{"errorMessage":"Permission denied","errorCode":1403}"#;
        let failed = answered(Dialect::LogicMonitor, 403, body, &told);
        assert_eq!(
            failed.error.to_string(),
            "logicmonitor.acme: could not read the users: GET h/setting/admins answered 403 (1403): Permission denied [id abc-1]"
        );
        assert!(failed.error.finding.help.unwrap().contains("User Access"));
    }

    #[test]
    fn unknown_bodies_and_redirects_are_told_and_not_quoted() {
        let html = answered(Dialect::Ibm, 503, "<html>CANARY", &Told::default());
        assert!(
            html.error.to_string().ends_with("answered 503, in words that are not of this API and not shown")
        );
        let login = answered(Dialect::Ibm, 302, "CANARY", &Told::default());
        assert!(login.error.to_string().ends_with("a redirect to a login page"));
        assert!(!format!("{:?}{:?}", html.error, login.error).contains("CANARY"));
    }

    #[test]
    fn an_error_inside_a_success_means_what_its_code_says() {
        let body = r#"{"errorMessage":"slow down","errorCode":1429}"#;
        let failed = answered(Dialect::LogicMonitor, 200, body, &Told::default());
        assert_eq!((failed.error.status, failed.error.effective_status()), (Some(200), Some(429)));
        assert_eq!(failed.seen.asked, Some(Duration::from_secs(60)));
    }

    #[test]
    fn clocks_apart_are_reported_on_a_401_of_the_signed_api() {
        let told = Told { date: Some(Timestamp::from_second(1_002_400).unwrap()), ..Told::default() };
        let failed = answered(Dialect::LogicMonitor, 401, "{}", &told);
        assert_eq!(failed.error.finding.code, HTTP_CLOCK_SKEW);
        assert!(failed.error.to_string().ends_with("this machine's clock is 2400 s behind the server's"));
        assert_eq!(answered(Dialect::Ibm, 401, "{}", &told).error.finding.code, HTTP_CALL);
    }
}
