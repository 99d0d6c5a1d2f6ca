//! Building blocks of the types that YAML is read into: a setting that may be missing or refused,
//! and words that a reader knows by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::vocabulary::Period;
use super::window::TimeOfDay;

/// A setting of a spec.
///
/// It reads itself without ever failing, so that the settings beside it are read too. That is right
/// only for a deserializer that tells of every error itself, as the spec reader's does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// The key is not there.
    #[default]
    Missing,
    /// It is there and can't be used; that has been told.
    Refused,
    Is(T),
}

/// A map whose bad entries don't stop the reading of its good ones.
pub type Entries<T> = Given<BTreeMap<String, Given<T>>>;

/// A list whose bad items don't stop the reading of its good ones.
pub type Items<T> = Given<Vec<Given<T>>>;

impl<T> Given<T> {
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Missing | Self::Refused => None,
        }
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }
}

impl<T: Clone> Given<T> {
    pub fn cloned(&self) -> Option<T> {
        self.get().cloned()
    }
}

impl<T> Given<Vec<Given<T>>> {
    /// The good items with their positions in the list.
    pub fn items(&self) -> impl Iterator<Item = (usize, &T)> {
        let items = self.get().map_or(&[][..], Vec::as_slice);
        items.iter().enumerate().filter_map(|(at, item)| item.get().map(|item| (at, item)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(T::deserialize(deserializer).map_or(Self::Refused, Self::Is))
    }
}

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A duration as a spec writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Duration(pub Period);

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        Period::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Period::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Period::json_schema(generator)
    }
}

/// An instant as a spec writes it: RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Instant(pub Timestamp);

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "An instant in RFC 3339, with a zone.",
            "examples": ["2026-11-01T00:00:00Z"]
        })
    }
}

/// A time of day as a spec writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Time(pub TimeOfDay);

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            "description": "A time that a clock on the wall shows: 00:00 to 24:00.",
            "examples": ["09:00", "24:00"]
        })
    }
}
