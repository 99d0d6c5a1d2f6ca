//! The JSON Schema of plan files: `schemas/plan.schema.json`.

use serde_json::{Value, json};

use crate::plan::document::Plan;

/// The schema of a plan file: the plan's own, and `seal`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Plan).to_value();
    schema["title"] = "tokenform plan".into();
    schema["properties"]["seal"] = json!({
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "HMAC-SHA256 under the state's key over the file's bytes before this, its last member."
    });
    if let Some(required) = schema["required"].as_array_mut() {
        required.push("seal".into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::tests::{key, small_plan};

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/plan.schema.json");

    fn text() -> String {
        format!("{:#}\n", schema())
    }

    #[test]
    fn the_committed_schema_is_the_types_own() {
        let committed = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(committed == text(), "write it anew: tokenform schema plan > schemas/plan.schema.json");
    }

    #[test]
    fn it_speaks_to_strangers() {
        for word in ["contract ibm", "contract logicmonitor", "PRODUCT", "ARCHITECTURE"] {
            assert!(!text().contains(word), "{word}");
        }
    }

    #[test]
    fn a_sealed_plan_is_valid_and_one_without_its_seal_is_not() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let mut file: Value = serde_json::from_slice(&crate::saved::seal(&small_plan(), &key())).unwrap();
        let errors: Vec<_> = validator.iter_errors(&file).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        file.as_object_mut().unwrap().remove("seal");
        assert!(!validator.is_valid(&file));
    }
}
