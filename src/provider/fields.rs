//! What binds a plan to a live object, field by field: taken from the very structs that its digest is
//! taken over, so the two can't disagree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::secret::Digest;

/// Names like `status`, `teams 12`, `parameters.external_api_auth` or `id 5 note`, and their values. What is
/// not there has no row.
pub type Fields = BTreeMap<String, String>;

/// The value of a row that stands for a whole item.
pub const THERE: &str = "there";

/// What binds a plan to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub digest: Digest,
    pub fields: Fields,
}

/// The fields of a binding.
pub fn of(binding: &impl Serialize) -> Fields {
    let mut fields = Fields::new();
    let value = serde_json::to_value(binding).expect("a binding is strings and integers");
    lay_out("", &value, &mut fields);
    fields
}

fn lay_out(name: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| *key != "id" || name.is_empty());
            members.for_each(|(key, value)| lay_out(&joined(name, " ", key), value, fields));
        }
        Value::Array(items) if items.iter().any(|item| identity(item).is_some()) => {
            for item in items {
                let (id, rest) = identity(item).unwrap_or((item.to_string(), item));
                let name = joined(name, " ", &id);
                fields.extend(item.is_object().then(|| (name.clone(), THERE.to_owned())));
                lay_out(&name, rest, fields);
            }
        }
        Value::String(text) => match foreign(text) {
            Some(members) => {
                fields.extend(members.iter().map(|(key, value)| (joined(name, ".", key), told(value))))
            }
            None => drop(fields.insert(name.to_owned(), text.clone())),
        },
        Value::Array(_) | Value::Bool(_) | Value::Number(_) => {
            fields.insert(name.to_owned(), told(value));
        }
    }
}

/// The members of a text that is a JSON object.
fn foreign(text: &str) -> Option<Map<String, Value>> {
    let is_object = text.trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(text).ok()).flatten()
}

/// The id of a list's item, `[id, value]` or `{"id": …}`, and what else there is of it.
fn identity(item: &Value) -> Option<(String, &Value)> {
    match item {
        Value::Array(pair) => match pair.as_slice() {
            [id, value] if id.is_u64() => Some((id.to_string(), value)),
            _ => None,
        },
        Value::Object(members) => members.get("id").map(|id| (format!("id {id}"), item)),
        _ => None,
    }
}

fn told(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn joined(name: &str, between: &str, next: &str) -> String {
    if name.is_empty() { next.to_owned() } else { format!("{name}{between}{next}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(value: &Value) -> Vec<String> {
        of(value).into_iter().map(|(name, value)| format!("{name} = {value}")).collect()
    }

    #[test]
    fn every_field_of_a_binding_has_a_row_of_its_own() {
        let instance = json!({
            "guid": "g", "locked": false, "parameters": "{\"a\":[1],\"b\":\"x\"}", "state": null,
            "teams": [[1, "Ops"], [12, "SRE"]],
        });
        assert_eq!(
            rows(&instance),
            [
                "guid = g",
                "locked = false",
                "parameters.a = [1]",
                "parameters.b = x",
                "teams 1 = Ops",
                "teams 12 = SRE"
            ]
        );
        let tokens = json!([{"id": 5, "note": "ci", "status": 2}, {"id": 7, "note": null, "status": 1}]);
        assert_eq!(
            rows(&tokens),
            ["id 5 = there", "id 5 note = ci", "id 5 status = 2", "id 7 = there", "id 7 status = 1"]
        );
        assert_eq!(rows(&json!({"id": 3, "roles": ["a", "b"]})), ["id = 3", "roles = [\"a\",\"b\"]"]);
        assert!(rows(&json!([])).is_empty());
    }
}
