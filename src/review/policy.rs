//! Policies: Rego on the plan's JSON, evaluated in process, with the conventions that conftest users know.
//!
//! Package `main`; its rules `deny`, `violation` and `warn`, and those that begin with `deny_`, `violation_` or
//! `warn_`; each gives messages, as texts or as objects with `msg` and, to name an object of the plan,
//! `address`. The input is the plan file. What can't be evaluated stops the run: no policy passes by being broken.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde_json::Value as Json;

use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;

/// A file of rules.
pub struct Source {
    /// For people.
    pub name: String,
    pub text: String,
}

/// Why policies can't be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// A policy that needs longer is taken for one that never ends.
const PATIENCE: Duration = Duration::from_secs(10);

const PACKAGE: &str = "data.main";

/// Puts a document under some names of `data`; nothing that is there already is given another value.
pub fn add_data(root: &mut Json, under: &[String], document: Json) -> Result<(), Broken> {
    let nested = under
        .iter()
        .rev()
        .fold(document, |inner, name| Json::Object([(name.clone(), inner)].into_iter().collect()));
    let Json::Object(members) = nested else {
        return Err(Broken("data for policies is an object, whose members stand under `data`".to_owned()));
    };
    merge(root, members, "data")
}

fn merge(root: &mut Json, members: serde_json::Map<String, Json>, at: &str) -> Result<(), Broken> {
    for (name, value) in members {
        let place = format!("{at}.{name}");
        match (root.get_mut(&name), value) {
            (None, value) => root[name] = value,
            (Some(there @ Json::Object(_)), Json::Object(inner)) => merge(there, inner, &place)?,
            (Some(there), value) if *there == value => {}
            (Some(_), _) => return Err(Broken(format!("two files give `{place}` different values"))),
        }
    }
    Ok(())
}

/// What the policies say to a plan file: denials and violations are errors. `data` is an object, what the
/// rules see as `data` besides their own packages.
pub fn judge(sources: &[Source], data: &Json, plan: &[u8]) -> Result<Vec<Finding>, Broken> {
    let mut engine = Engine::new();
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: PATIENCE,
        check_interval: NonZeroU32::new(1_000).expect("a thousand is not zero"),
    });
    let mut packages = Vec::new();
    for source in sources {
        let added = engine.add_policy(source.name.clone(), source.text.clone());
        packages.push(added.map_err(|error| Broken(error.to_string()))?);
    }
    if !packages.iter().any(|package| package == PACKAGE) {
        return Err(Broken("no policy is in the package `main`, so nothing would be judged".to_owned()));
    }
    engine.add_data_json(&data.to_string()).map_err(|error| Broken(error.to_string()))?;
    let plan = std::str::from_utf8(plan).map_err(|_| Broken("the plan is not UTF-8".to_owned()))?;
    engine.set_input_json(plan).map_err(|error| Broken(error.to_string()))?;
    let results = engine.eval_query(PACKAGE.to_owned(), false).map_err(|error| Broken(error.to_string()))?;
    let mut values = results.result.into_iter().flat_map(|result| result.expressions);
    let value = values.next().map_or(Value::Undefined, |expression| expression.value);
    let rules = serde_json::to_value(&value).map_err(|error| Broken(error.to_string()))?;
    let mut findings = Vec::new();
    for (rule, says) in rules.as_object().into_iter().flatten() {
        if let Some(code) = code_of(rule) {
            findings.extend(messages(rule, says)?.into_iter().map(|said| said.finding(code, rule)));
        }
    }
    Ok(findings)
}

fn code_of(rule: &str) -> Option<code::Code> {
    let is = |name: &str| rule == name || rule.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
    match rule {
        _ if is("deny") || is("violation") => Some(code::POLICY_DENIED),
        _ if is("warn") => Some(code::POLICY_WARNED),
        _ => None,
    }
}

struct Said {
    message: String,
    address: Option<Address>,
}

impl Said {
    fn finding(self, code: code::Code, rule: &str) -> Finding {
        let finding = Finding::new(code, format!("{rule}: {}", self.message));
        Finding { address: self.address, ..finding }
    }
}

/// The messages of a rule, in order.
fn messages(rule: &str, says: &Json) -> Result<Vec<Said>, Broken> {
    let odd = || Broken(format!("`{rule}` gives {says}: texts or objects with `msg` are expected"));
    match says {
        Json::Array(items) => items.iter().map(|item| message(item).ok_or_else(odd)).collect(),
        Json::Bool(false) => Ok(Vec::new()),
        Json::Bool(true) => Ok(vec![Said { message: "it holds".to_owned(), address: None }]),
        one => Ok(vec![message(one).ok_or_else(odd)?]),
    }
}

fn message(item: &serde_json::Value) -> Option<Said> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    if let Some(message) = text(item) {
        return Some(Said { message, address: None });
    }
    let object = item.as_object()?;
    let address = object.get("address").and_then(text).and_then(|address| address.parse().ok());
    Some(Said { message: text(object.get("msg")?)?, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Result<Vec<String>, String> {
        let source = Source { name: "p.rego".into(), text: text.into() };
        let plan =
            br#"{"steps": [{"verb": "delete", "address": "ibm.prod.mon.team[\"SRE\"]"}], "seal": "ab"}"#;
        let shown = |f: Finding| format!("{} {f}", f.code.severity().as_str());
        judge(&[source], &serde_json::json!({"open": ["mon"]}), plan)
            .map(|findings| findings.into_iter().map(shown).collect())
            .map_err(|broken| broken.to_string())
    }

    #[test]
    fn rules_of_the_package_main_speak_in_texts_or_objects() {
        let text = r#"
            package main
            deny contains "plainly" if input.seal == "ab"
            deny_deletes contains {"msg": sprintf("no %s", [step.verb]), "address": step.address} if {
                some step in input.steps
                step.verb == "delete"
            }
            violation contains {"msg": "with details", "details": {"n": 1}} if true
            warn contains "mind" if true
            denying contains "no rule of ours" if true
            helper := 3
        "#;
        assert_eq!(
            judged(text).unwrap(),
            [
                "error deny: plainly",
                "error ibm.prod.mon.team[\"SRE\"]: deny_deletes: no delete",
                "error violation: with details",
                "info warn: mind".replace("info", "warning").as_str(),
            ]
        );
        assert_eq!(judged("package main\ndeny contains \"x\" if false").unwrap(), [""; 0]);
        assert_eq!(
            judged("package main\ndefault deny := false\ndeny if true").unwrap(),
            ["error deny: it holds"]
        );
    }

    #[test]
    fn rules_see_what_was_given_as_data() {
        let text = "package main\ndeny contains sprintf(\"%s is open\", [name]) if some name in data.open";
        assert_eq!(judged(text).unwrap(), ["error deny: mon is open"]);
    }

    #[test]
    fn data_of_several_files_stands_side_by_side_and_never_differs() {
        let mut root = serde_json::json!({});
        let under = ["a".to_owned(), "b".to_owned()];
        add_data(&mut root, &under, serde_json::json!({"x": 1})).unwrap();
        add_data(&mut root, &under, serde_json::json!({"y": 2, "x": 1})).unwrap();
        assert_eq!(root, serde_json::json!({"a": {"b": {"x": 1, "y": 2}}}));
        let error = add_data(&mut root, &["a".to_owned()], serde_json::json!({"b": {"x": 3}})).unwrap_err();
        assert!(error.to_string().contains("`data.a.b.x`"), "{error}");
        assert!(add_data(&mut root, &[], serde_json::json!([1])).is_err());
    }

    #[test]
    fn what_cannot_be_evaluated_is_an_error_and_never_a_pass() {
        for (text, why) in [
            ("package other\ndeny contains \"x\" if true", "package `main`"),
            ("package main\ndeny contains if", "p.rego"),
            ("package main\ndeny contains 3 if true", "texts or objects"),
            ("package main\ndeny contains {\"message\": \"x\"} if true", "texts or objects"),
            (
                "package main\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"x\"})",
                "http.send",
            ),
            ("package main\nx := 1\nx := 2\ndeny contains \"x\" if x", ""),
        ] {
            let told = judged(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
