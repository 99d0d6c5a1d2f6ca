//! What binds a plan to a live object, field by field: taken from the very structs that its digest is
//! taken over, so the two can't disagree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::secret::{Digest, DigestKey};
use crate::provider::ibm::state::{LiveInstance, LiveTeam};
use crate::provider::logicmonitor::state::{LiveToken, LiveUser, lay_out_tokens, tokens_digest};

/// Names like `status`, `teams 12`, `parameters.external_api_auth` or `id 5 note`, and their values. What is
/// not there has no row.
pub type Fields = BTreeMap<String, String>;

/// Takes the name and the value of one field after the other. Of several by one name the last counts.
pub type Put<'p> = dyn FnMut(String, &str) + 'p;

/// The value of a row that stands for a whole item.
pub const THERE: &str = "there";

/// What binds a plan to one object. Nothing of it is computed before it is asked for.
pub enum Bound<'s> {
    Instance(&'s LiveInstance),
    /// A team, and the guid of its instance.
    Team(&'s LiveTeam, &'s str),
    User(&'s LiveUser),
    /// All live tokens that one address stands for, in id order.
    Tokens(Vec<&'s LiveToken>),
}

impl Bound<'_> {
    pub fn digest(&self, key: &DigestKey) -> Digest {
        match self {
            Self::Instance(live) => live.digest(key),
            Self::Team(team, guid) => team.digest(guid, key),
            Self::User(live) => live.digest(key),
            Self::Tokens(tokens) => tokens_digest(tokens, key),
        }
    }

    /// The same, field by field.
    pub fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        self.lay_out(&mut |name, value| drop(fields.insert(name, value.to_owned())));
        fields
    }

    /// Hands out its fields, one after the other.
    pub fn lay_out(&self, put: &mut Put<'_>) {
        match self {
            Self::Instance(live) => live.lay_out(put),
            Self::Team(team, guid) => team.lay_out(guid, put),
            Self::User(live) => live.lay_out(put),
            Self::Tokens(tokens) => lay_out_tokens(tokens, put),
        }
    }
}

/// Hands out the fields of a binding.
pub fn lay_out(binding: &impl Serialize, put: &mut Put<'_>) {
    let value = serde_json::to_value(binding).expect("a binding is strings and integers");
    lay_out_value("", &value, put);
}

/// Hands out a text: the members of one that is a JSON object, else the text itself.
pub fn lay_out_text(name: String, text: &str, put: &mut Put<'_>) {
    match foreign(text) {
        Some(members) => {
            members.iter().for_each(|(key, value)| put(joined(&name, ".", key), &told(value)));
        }
        None => put(name, text),
    }
}

fn lay_out_value(name: &str, value: &Value, put: &mut Put<'_>) {
    match value {
        Value::Null => {}
        Value::Array(items) if items.is_empty() => {}
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| *key != "id" || name.is_empty());
            members.for_each(|(key, value)| lay_out_value(&joined(name, " ", key), value, put));
        }
        Value::Array(items) if items.iter().any(|item| identity(item).is_some()) => {
            for item in items {
                let (id, rest) = identity(item).unwrap_or((item.to_string(), item));
                let name = joined(name, " ", &id);
                if item.is_object() {
                    put(name.clone(), THERE);
                }
                lay_out_value(&name, rest, put);
            }
        }
        Value::String(text) => lay_out_text(name.to_owned(), text, put),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) => put(name.to_owned(), &told(value)),
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
        let mut fields = Fields::new();
        lay_out(value, &mut |name, value| drop(fields.insert(name, value.to_owned())));
        fields.into_iter().map(|(name, value)| format!("{name} = {value}")).collect()
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
