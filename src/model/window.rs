//! When changes may be made: windows that come back every week, and freezes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// When a spec lets changes be made. One that says nothing lets them be made at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// What instants are told in where no window has its own zone.
    pub zone: Zone,
    /// None at all: at any time.
    pub windows: Vec<Window>,
    pub freezes: Vec<Freeze>,
}

impl Changes {
    pub fn asks_nothing(&self) -> bool {
        self.windows.is_empty() && self.freezes.is_empty()
    }
}

/// Open while a clock on the wall of `zone` shows a time from `from` until before `to`. One that ends
/// at or before its begin goes over midnight; its day is the one on which it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    pub days: BTreeSet<Day>,
    pub from: TimeOfDay,
    pub to: TimeOfDay,
    pub zone: Zone,
}

/// No changes from `from` until before `to`, whatever the windows say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freeze {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: Option<String>,
}

/// A time zone by its name in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: String,
    pub rules: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }
}

/// Its name alone: the rules come from the machine's database, and change there.
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    pub fn of(date: Date) -> Self {
        match date.weekday() {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "Mon",
            Self::Tue => "Tue",
            Self::Wed => "Wed",
            Self::Thu => "Thu",
            Self::Fri => "Fri",
            Self::Sat => "Sat",
            Self::Sun => "Sun",
        }
    }
}

/// A time that a clock on a wall shows: `00:00` to `23:59`, and `24:00`, at which a day ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    minutes: u16,
}

impl TimeOfDay {
    pub const MIDNIGHT: Self = Self { minutes: 0 };
    pub const END: Self = Self { minutes: 24 * 60 };

    /// On a day, or at its end; `None` behind the last day that there is.
    pub fn on(self, date: Date) -> Option<DateTime> {
        if self == Self::END {
            return Some(date.tomorrow().ok()?.to_datetime(Time::midnight()));
        }
        let (hour, minute) = (i8::try_from(self.minutes / 60).ok()?, i8::try_from(self.minutes % 60).ok()?);
        Some(date.to_datetime(Time::new(hour, minute, 0, 0).ok()?))
    }
}

/// Why a text is not a time of day.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time of day; write it like 09:00, 23:30 or 24:00")]
pub struct NotATime(String);

impl FromStr for TimeOfDay {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).map(|minutes| Self { minutes }).ok_or_else(|| NotATime(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && (hours < 24 || (hours, minutes) == (24, 0))).then_some(hours * 60 + minutes)
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_written_and_nothing_else_is_one() {
        for text in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in
            ["", "9:00", "09:0", "24:01", "23:60", "+9:00", "09:00:00", "0900", "ab:cd", "٠٩:٠٠", "09:00 "]
        {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        let day = jiff::civil::date(2026, 12, 31);
        assert_eq!(TimeOfDay::END.on(day), TimeOfDay::MIDNIGHT.on(jiff::civil::date(2027, 1, 1)));
        assert_eq!(TimeOfDay::END.on(Date::MAX), None);
    }
}
