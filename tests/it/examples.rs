//! Every example is valid by the schema, and is planned.

use crate::support::{Place, repository};

/// Folders of examples that hold no spec; they have tests of their own.
const NO_SPECS: [&str; 2] = ["ci", "policy"];

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(repository().join("examples")).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !NO_SPECS.contains(&name.as_str()));
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    names
}

#[test]
fn every_example_validates_against_the_schema() {
    let schema = std::fs::read_to_string(repository().join("schemas/spec.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for name in names() {
        let folder = repository().join("examples").join(&name);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if !file.ends_with(".yaml") || file.ends_with(".world.yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let document: serde_json::Value = serde_yaml::from_str(&text).unwrap();
            let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            let wrong = text.replacen("version: 1", "version: 1\nversoin: 1", 1);
            let wrong: serde_json::Value = serde_yaml::from_str(&wrong).unwrap();
            assert!(!validator.is_valid(&wrong), "the schema lets unknown keys pass");
        }
    }
}

#[test]
fn every_example_is_planned() {
    for name in names() {
        let place = Place::example(&name);
        let path = format!("examples/{name}");
        place.run(&["validate", &path]).exits(0);
        let plan = place.run(&["plan", &path, "--sandbox", "--detailed-exitcode"]).exits(2);
        assert!(plan.stdout.contains("Plan: "), "{}", plan.stdout);
    }
}
