//! One JSON object. Other members keep their order and their values' own bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Entry;
use crate::model::secret::Secret;

/// The file with each entry in place of its key's value, else behind the last member. Written with
/// one member a line; an empty file counts as an empty object.
pub(super) fn set(old: &[u8], entries: &[Entry<'_>]) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = std::str::from_utf8(old).map_err(|_| "is not UTF-8")?;
    let members = if text.trim().is_empty() { Vec::new() } else { members(text)? };
    let values = entries.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    let mut object = Object::with_capacity(old.len() * 2 + 1024);
    let mut written: Vec<&str> = Vec::new();
    for (key, raw) in &members {
        let entry = entries.iter().position(|entry| entry.key == key);
        match entry {
            // a second member of one name would hide the first
            Some(_) if written.contains(&key.as_ref()) => continue,
            Some(at) => object.member(key, &values[at]),
            None => object.member(key, raw.get().as_bytes()),
        }
        written.extend(entry.map(|at| entries[at].key));
    }
    for (entry, value) in entries.iter().zip(&values).filter(|(entry, _)| !written.contains(&entry.key)) {
        object.member(entry.key, value);
    }
    Ok(object.end())
}

/// The value of a key that is a string: what [`set`] has written.
pub(super) fn get(text: &[u8], key: &str) -> Result<Option<Secret>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8")?;
    let members = if text.trim().is_empty() { Vec::new() } else { members(text)? };
    let last = members.iter().rfind(|(name, _)| name == key);
    Ok(last.and_then(|(_, raw)| serde_json::from_str(raw.get()).ok()))
}

/// Text that is being written, wiped when dropped.
struct Object {
    text: Zeroizing<Vec<u8>>,
}

impl Object {
    fn with_capacity(bytes: usize) -> Self {
        let mut text = Zeroizing::new(Vec::with_capacity(bytes));
        text.push(b'{');
        Self { text }
    }

    fn member(&mut self, key: &str, value: &[u8]) {
        let key = serde_json::Value::from(key).to_string();
        let comma: &[u8] = if self.text.len() > 1 { b"," } else { b"" };
        for part in [comma, b"\n  ", key.as_bytes(), b": ", value] {
            self.text.extend_from_slice(part);
        }
    }

    fn end(mut self) -> Zeroizing<Vec<u8>> {
        let end: &[u8] = if self.text.len() > 1 { b"\n}\n" } else { b"}\n" };
        self.text.extend_from_slice(end);
        self.text
    }
}

/// The value as a JSON text.
#[expect(clippy::disallowed_methods, reason = "a destination takes the value")]
fn value(entry: &Entry<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
    entry.value.expose(|bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| "can't hold a value that is not UTF-8")?;
        // every byte may become an escape of six: no copy is left behind by growing
        let mut json = Zeroizing::new(Vec::with_capacity(text.len() * 6 + 2));
        serde_json::to_writer(&mut *json, text).map_err(|_| "can't hold the value")?;
        Ok(json)
    })
}

/// The object's members in order. Errors say where and never quote: the file holds secrets.
fn members(text: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(Members).and_then(|members| reader.end().map(|()| members));
    read.map_err(|e| format!("is not a JSON object (line {}, column {})", e.line(), e.column()))
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(old: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
        let values: Vec<_> = pairs.iter().map(|(_, v)| Secret::new(v.as_bytes().to_vec())).collect();
        let entries: Vec<_> =
            pairs.iter().zip(&values).map(|((key, _), value)| Entry { key, value }).collect();
        set(old.as_bytes(), &entries).map(|new| String::from_utf8(new.to_vec()).unwrap())
    }

    #[test]
    fn other_members_keep_their_order_and_bytes() {
        let old = "{\n  \"z\": 1.50,\n  \"k\": \"old\",\n  \"a\": { \"x\" : [1, 2.0e3] }\n}\n";
        let new = put(old, &[("k", "v\"\\\n"), ("id", "7")]).unwrap();
        assert_eq!(
            new,
            "{\n  \"z\": 1.50,\n  \"k\": \"v\\\"\\\\\\n\",\n  \"a\": { \"x\" : [1, 2.0e3] },\n  \"id\": \"7\"\n}\n"
        );
        assert_eq!(put(&new, &[("k", "v\"\\\n"), ("id", "7")]).unwrap(), new);
    }

    #[test]
    fn empty_files_and_objects_take_their_first_member() {
        for old in ["", " \n", "{}"] {
            assert_eq!(put(old, &[("k", "v")]).unwrap(), "{\n  \"k\": \"v\"\n}\n");
        }
        assert_eq!(put("{}", &[]).unwrap(), "{}\n");
    }

    #[test]
    fn what_was_set_is_read_back() {
        for value in ["plain", "v\"\\\n", "ünï"] {
            let new = put("{\"k\": \"old\", \"n\": 7}", &[("k", value)]).unwrap();
            let read = get(new.as_bytes(), "k").unwrap().unwrap();
            assert!(read.same_as(&Secret::new(value.into())));
            for other in ["n", "x"] {
                assert!(get(new.as_bytes(), other).unwrap().is_none());
            }
        }
        assert!(get(b"", "k").unwrap().is_none() && get(b"[]", "k").is_err());
    }

    #[test]
    fn a_repeated_key_is_left_once() {
        assert_eq!(
            put("{\"k\":1,\"a\":2,\"k\":3}", &[("k", "v")]).unwrap(),
            "{\n  \"k\": \"v\",\n  \"a\": 2\n}\n"
        );
    }

    #[test]
    fn what_is_no_object_is_refused_without_quoting_it() {
        for old in ["[\"hunter2\"]", "\"hunter2\"", "{\"k\": hunter2}", "{\"k\": \"hunter2\"", "{} hunter2"] {
            let reason = put(old, &[("k", "v")]).unwrap_err();
            assert!(
                reason.starts_with("is not a JSON object (line 1") && !reason.contains("hunter2"),
                "{reason}"
            );
        }
    }
}
