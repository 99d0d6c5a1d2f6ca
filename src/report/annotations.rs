//! Findings in the forms that code-review tools annotate with: SARIF 2.1.0 and JUnit XML.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::finding::{Finding, Severity};
use crate::model::source::Sources;

/// SARIF 2.1.0. A finding without a place of its own is told at the beginning of `subject`.
pub fn sarif(findings: &[Finding], sources: &Sources, subject: &str) -> String {
    let rules: BTreeMap<&str, Value> = findings
        .iter()
        .map(|finding| {
            let id = finding.code.id();
            (id, json!({ "id": id, "help": { "text": finding.code.cure() } }))
        })
        .collect();
    let results: Vec<_> = findings.iter().map(|finding| result(finding, sources, subject)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tokenform",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn result(finding: &Finding, sources: &Sources, subject: &str) -> Value {
    let level = match finding.code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let place = place(finding, sources, subject);
    json!({
        "ruleId": finding.code.id(),
        "level": level,
        "message": { "text": told(finding) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": place.file },
            "region": { "startLine": place.line, "startColumn": place.column },
        }}],
    })
}

/// JUnit XML: each error is a failed test, each other finding a test that passed with words; no finding at
/// all is one test that passed.
pub fn junit(findings: &[Finding], sources: &Sources, subject: &str) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let cases: String = match findings {
        [] => format!("    <testcase classname=\"tokenform\" name=\"{}\"/>\n", escaped(subject)),
        findings => findings.iter().map(|finding| case(finding, sources, subject)).collect(),
    };
    let tests = findings.len().max(1);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"tokenform\" \
         tests=\"{tests}\" failures=\"{errors}\">\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

fn case(finding: &Finding, sources: &Sources, subject: &str) -> String {
    let Place { file, line, .. } = place(finding, sources, subject);
    let message = escaped(&told(finding));
    let body = match finding.is_error() {
        true => format!("<failure message=\"{message}\"/>"),
        false => format!("<system-out>{message}</system-out>"),
    };
    let (name, file) = (escaped(finding.code.id()), escaped(&file));
    format!("    <testcase classname=\"{file}\" name=\"{name} {file}:{line}\">{body}</testcase>\n")
}

/// What happened, and what to do.
fn told(finding: &Finding) -> String {
    match &finding.help {
        Some(help) => format!("{finding}. {help}"),
        None => finding.to_string(),
    }
}

struct Place {
    file: String,
    /// Both from 1.
    line: usize,
    column: usize,
}

fn place(finding: &Finding, sources: &Sources, subject: &str) -> Place {
    let located = finding.labels.first().and_then(|label| sources.locate(label.span));
    let Some((file, range)) = located else {
        return Place { file: subject.to_owned(), line: 1, column: 1 };
    };
    let before = file.text.get(..range.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        file: file.path.to_string_lossy().into_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// Fit for XML; characters that XML can't hold are shown as escapes.
fn escaped(text: &str) -> String {
    let text = super::safe::line(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::code;
    use crate::model::source::Span;

    #[test]
    fn a_finding_is_told_at_its_line_and_one_without_a_place_at_the_subject() {
        let mut sources = Sources::default();
        sources.add("a.yaml".into(), "version: 1\nibm: {\u{e9}, x}\n".into());
        let findings = [
            Finding::new(code::SPEC_UNKNOWN_KEY, "no <key> \"x\"")
                .label(Span { start: 20, end: 21 }, "here")
                .help("Drop it"),
            Finding::new(code::POLICY_WARNED, "warn: mind\u{1b}[2J"),
        ];
        let sarif: Value = serde_json::from_str(&sarif(&findings, &sources, "spec")).unwrap();
        let results = &sarif["runs"][0]["results"];
        let place = |n: usize| &results[n]["locations"][0]["physicalLocation"];
        assert_eq!(place(0)["artifactLocation"]["uri"], "a.yaml");
        assert_eq!(place(0)["region"], json!({ "startLine": 2, "startColumn": 9 }));
        assert_eq!(results[0]["message"]["text"], "no <key> \"x\". Drop it");
        assert_eq!(
            (&results[1]["level"], &place(1)["artifactLocation"]["uri"]),
            (&json!("warning"), &json!("spec"))
        );
        let junit = junit(&findings, &sources, "spec");
        assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
        assert!(
            junit.contains("a.yaml:2\"><failure message=\"no &lt;key&gt; &quot;x&quot;. Drop it\"/>"),
            "{junit}"
        );
        assert!(!junit.contains('\u{1b}'), "{junit}");
    }
}
