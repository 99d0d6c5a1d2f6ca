//! Small words of the domain that more than one vendor uses: periods, statuses, secret references.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time as written in a spec: `90d`, `24h`, `15m`, `30s`, and sums such as `1d12h`.
/// A day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    seconds: u64,
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The longest period a spec may hold: 100 years. Keeps every sum of instants in range.
const LONGEST: u64 = 36_525 * 86_400;

impl Period {
    pub const fn seconds(seconds: u64) -> Self {
        Self { seconds }
    }

    pub const fn hours(hours: u64) -> Self {
        Self::seconds(hours * 3_600)
    }

    pub const fn days(days: u64) -> Self {
        Self::seconds(days * 86_400)
    }

    pub const fn as_secs(self) -> u64 {
        self.seconds
    }

    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.seconds)
    }

    /// The instant this long after `at`.
    pub fn after(self, at: Timestamp) -> Timestamp {
        let seconds = i64::try_from(self.seconds).unwrap_or(i64::MAX);
        at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// The instant this long before `at`.
    pub fn before(self, at: Timestamp) -> Timestamp {
        let seconds = i64::try_from(self.seconds).unwrap_or(i64::MAX);
        at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
    }

    /// The time from `start` to `end`, zero if `end` is earlier.
    pub fn between(start: Timestamp, end: Timestamp) -> Self {
        let seconds = end.duration_since(start).as_secs();
        Self::seconds(u64::try_from(seconds).unwrap_or(0))
    }

    /// The largest unit alone, for people: `91d`, `3h`.
    pub fn rough(self) -> String {
        let (unit, size) = UNITS.into_iter().find(|(_, size)| self.seconds >= *size).unwrap_or(('s', 1));
        format!("{}{unit}", self.seconds / size)
    }
}

/// Why a text is not a period.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a duration; write for example 90d, 24h, 15m, 30s or 1d12h")]
pub struct NotAPeriod(String);

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        parse_period(text).map(Self::seconds).ok_or_else(|| NotAPeriod(text.to_owned()))
    }
}

/// Numbers with units in falling order, each unit at most once.
fn parse_period(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*size)?)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.seconds;
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
            "minLength": 2,
            "description": "A duration: 90d, 24h, 15m, 30s, or a sum such as 1d12h.",
            "examples": ["90d", "24h", "1d12h"]
        })
    }
}

/// Where a credential's value is found. The value itself has no place in a spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// The name of an environment variable.
    Env(String),
    /// A file's path, relative to the file that names it.
    File(PathBuf),
    /// A program and its arguments; the value is what it prints.
    Command(Vec<String>),
}

/// The declared status of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenStatus {
    Enabled,
    Disabled,
    Absent,
}

/// Against what a plan was made: the vendors, or the embedded sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Live,
    Sandbox,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_back_as_written() {
        for text in ["90d", "24h", "15m", "30s", "1d12h", "2d3h4m5s", "0s"] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        }
        assert_eq!("1d12h".parse::<Period>().unwrap(), Period::hours(36));
        assert_eq!(Period::hours(36).to_string(), "1d12h");
    }

    #[test]
    fn bad_periods_are_refused() {
        for text in
            ["", "90", "d", "-1d", "1.5h", "1h1d", "1d1d", "90 d", "99999999999999999999d", "40000d", "1w"]
        {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
