//! `parameters` of an instance as raw JSON text: one value changed, every other byte kept.
//!
//! Resource controller treats `parameters` like the last request, so the whole object goes back,
//! with unknown keys, their order, number formats and even white space as they were read (contract
//! ibm 2.5).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The parameter that this is all about.
pub const AUTH: &str = "external_api_auth";

/// `external_api_auth` as the text of `parameters` says it; a value that is no string is kept as
/// its JSON text. `None` where it is missing or the text is no object.
pub fn setting(parameters: Option<&str>) -> Option<String> {
    let entries = entries(parameters?)?;
    let (_, value) = entries.iter().rfind(|(key, _)| key == AUTH)?;
    let text = serde_json::from_str::<String>(value.get());
    Some(text.unwrap_or_else(|_| value.get().to_owned()))
}

/// The text with `external_api_auth` changed or added, and nothing else. `None` if it is no object.
pub fn with_setting(parameters: Option<&str>, value: &str) -> Option<String> {
    let raw = parameters.unwrap_or("{}");
    let entries = entries(raw)?;
    let value = Value::from(value).to_string();
    let mut text = raw.to_owned();
    let mut found = false;
    for (_, old) in entries.iter().rev().filter(|(key, _)| key == AUTH) {
        let start = old.get().as_ptr().addr() - raw.as_ptr().addr();
        text.replace_range(start..start + old.get().len(), &value);
        found = true;
    }
    if !found {
        let comma = if entries.is_empty() { "" } else { "," };
        text.insert_str(text.rfind('}')?, &format!("{comma}\"{AUTH}\":{value}"));
    }
    Some(text)
}

/// What became of the keys of `before` that should not have changed: one line per key that has
/// vanished or has another value, with both values.
pub fn changes(before: Option<&str>, after: Option<&str>) -> Vec<String> {
    let before = before.and_then(entries).unwrap_or_default();
    let after = after.and_then(entries).unwrap_or_default();
    let now = |key: &str| after.iter().rfind(|(k, _)| k == key).map(|(_, value)| *value);
    before
        .iter()
        .filter(|(key, _)| key != AUTH)
        .filter_map(|(key, old)| match now(key) {
            None => Some(format!("`{key}` has vanished (it was {})", old.get())),
            Some(new) if !same(old, new) => Some(format!("`{key}` was {} and is {}", old.get(), new.get())),
            Some(_) => None,
        })
        .collect()
}

/// Equal as JSON, whatever the white space and the order of inner keys.
fn same(a: &RawValue, b: &RawValue) -> bool {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    a.get() == b.get() || value(a) == value(b)
}

/// The members of an object in their order, values as slices of the text.
fn entries(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Entries<'_>>(text).ok().map(|entries| entries.0)
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder).map(Entries)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = r#"{ "z":1.50e3, "external_api_auth" : "ANY","big":12345678901234567890123,
  "a": {"y":[1, 2],"x":null}, "caf\u00e9":true }"#;

    #[test]
    fn only_the_setting_changes_and_every_other_byte_stays() {
        let locked = with_setting(Some(ODD), "IAM_ONLY").unwrap();
        assert_eq!(locked, ODD.replace("\"ANY\"", "\"IAM_ONLY\""));
        assert_eq!(with_setting(Some(&locked), "ANY").unwrap(), ODD);
    }

    #[test]
    fn a_missing_setting_is_added_behind_the_others() {
        let added = |text| with_setting(text, "ANY");
        assert_eq!(added(None).unwrap(), r#"{"external_api_auth":"ANY"}"#);
        assert_eq!(added(Some(" { } ")).unwrap(), r#" { "external_api_auth":"ANY"} "#);
        assert_eq!(
            added(Some(r#"{"default_receiver":false}"#)).unwrap(),
            r#"{"default_receiver":false,"external_api_auth":"ANY"}"#
        );
        assert!(added(Some("[1]")).is_none() && added(Some("\"}\"")).is_none());
    }

    #[test]
    fn the_setting_is_read_as_text_whatever_its_type() {
        assert_eq!(setting(Some(ODD)).as_deref(), Some("ANY"));
        assert_eq!(setting(Some(r#"{"external_api_auth":true}"#)).as_deref(), Some("true"));
        assert_eq!(setting(Some(r#"{"inner":{"external_api_auth":"ANY"}}"#)), None);
        assert_eq!(setting(None), None);
    }

    #[test]
    fn vanished_and_changed_keys_are_named_with_both_values() {
        let before = Some(r#"{"a":1,"b":{"x":1,"y":2},"external_api_auth":"ANY","c":"k"}"#);
        let after = Some(r#"{"b":{"y":2, "x":1},"c":"l","external_api_auth":"IAM_ONLY","new":0}"#);
        assert_eq!(changes(before, after), ["`a` has vanished (it was 1)", "`c` was \"k\" and is \"l\""]);
        assert!(changes(None, after).is_empty());
    }
}
