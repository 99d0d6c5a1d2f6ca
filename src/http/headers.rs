//! What reply headers tell: correlation id, rate limits, the server's clock. All leniently parsed.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;

/// The headers that anyone here looks at.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub correlation: Option<String>,
    pub retry_after: Option<Duration>,
    /// Seconds of the rolling rate window, calls allowed in it and calls left (contract logicmonitor 7.3).
    pub window: Option<Duration>,
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    /// When the server sent the reply, by its own clock.
    pub date: Option<Timestamp>,
}

impl Told {
    /// `now` turns a `Retry-After` date into a time to wait.
    pub fn read(headers: &HeaderMap, now: Timestamp) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        let correlation = ["transaction-id", "x-global-transaction-id", "request-id", "x-correlation-id"]
            .into_iter()
            .find_map(text)
            .and_then(identifier);
        Self {
            correlation,
            retry_after: text("retry-after").and_then(|value| retry_after(value, now)),
            window: number("x-rate-limit-window").map(Duration::from_secs),
            limit: number("x-rate-limit-limit"),
            remaining: number("x-rate-limit-remaining"),
            date: text("date").and_then(http_date),
        }
    }
}

/// Seconds, or an HTTP date (contract ibm 2.8).
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(value)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// `Sun, 22 Nov 2026 10:00:00 GMT`
fn http_date(value: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(value).ok().map(|at| at.timestamp())
}

/// A vendor's code or id that is safe to print: short and of plain characters.
pub fn identifier(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    (!text.is_empty() && text.len() <= 80 && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&'static str, &'static str)]) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        Told::read(&headers, "2026-11-22T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(told(&[("retry-after", "7")]).retry_after, Some(Duration::from_secs(7)));
        let date = told(&[("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT")]);
        assert_eq!(date.retry_after, Some(Duration::from_secs(30)));
        let past = told(&[("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT")]);
        assert_eq!(past.retry_after, Some(Duration::ZERO));
        assert_eq!(told(&[("retry-after", "soon")]).retry_after, None);
    }

    #[test]
    fn rubbish_in_rate_headers_and_ids_is_ignored() {
        let bad = told(&[("x-rate-limit-remaining", "many"), ("transaction-id", "a b<script>")]);
        assert_eq!((bad.remaining, bad.correlation), (None, None));
        let good = told(&[("x-rate-limit-remaining", " 3 "), ("x-correlation-id", "abc-1")]);
        assert_eq!((good.remaining, good.correlation.as_deref()), (Some(3), Some("abc-1")));
    }
}
