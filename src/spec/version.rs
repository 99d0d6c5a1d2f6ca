//! The version of the language: it stands in every file, and all agree.

use super::language::VERSION;
use super::node::{Node, Value};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::{Sources, Span};

/// Checks all files. Says whether the rest of the spec can be understood.
pub fn check(roots: &[Node], sources: &Sources, findings: &mut Vec<Finding>) -> bool {
    let mut readable = true;
    for (index, root) in roots.iter().enumerate() {
        if let Some(finding) = wrong_version(root, sources, index == 0) {
            readable &= finding.code != code::SPEC_NEWER;
            findings.push(finding);
        }
    }
    disagreement(roots, findings);
    readable
}

/// `first`: merging keeps this file's version, so `decode` tells of a wrong type itself.
fn wrong_version(root: &Node, sources: &Sources, first: bool) -> Option<Finding> {
    let Some(entry) = root.get("version") else {
        let start = sources.locate(root.at).map_or(root.at.start, |(file, _)| file.base);
        let place = Span { start, end: start };
        let finding = Finding::new(code::SPEC_VERSION, "the file does not say `version`");
        return Some(finding.label(place, "begin with `version: 1`").help(code::SPEC_VERSION.cure()));
    };
    let Value::Integer(version) = entry.node.value else {
        let finding = Finding::new(code::SPEC_WRONG_TYPE, "`version` must be a whole number");
        return (!first).then(|| finding.label(entry.key_at, "expected `version: 1`"));
    };
    let place = entry.node.at;
    if version == i128::from(VERSION) {
        return None;
    }
    if version > i128::from(VERSION) {
        let message = format!("the spec is in version {version} of the language, newer than {VERSION}");
        return Some(
            Finding::new(code::SPEC_NEWER, message)
                .label(place, "newer version")
                .help(code::SPEC_NEWER.cure()),
        );
    }
    let finding = Finding::new(code::SPEC_VERSION, format!("there is no version {version} of the language"));
    Some(finding.label(place, "no such version").help(code::SPEC_VERSION.cure()))
}

/// Two files in two versions: both places.
fn disagreement(roots: &[Node], findings: &mut Vec<Finding>) {
    let mut versions =
        roots.iter().filter_map(|root| root.get("version")).filter_map(|entry| match entry.node.value {
            Value::Integer(version) => Some((version, entry.node.at)),
            _ => None,
        });
    let Some((first, first_at)) = versions.next() else { return };
    if let Some((other, at)) = versions.find(|(version, _)| *version != first) {
        let message = format!("the files are in different versions: {first} and {other}");
        let finding = Finding::new(code::SPEC_VERSION, message);
        findings.push(finding.label(at, "this file").label(first_at, "and this one"));
    }
}
