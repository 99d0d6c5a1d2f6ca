//! All files of a spec merged into one tree: maps are merged, everything else may be set once.
//!
//! One pass over all files at once, so that many files and wide maps stay linear.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Entry, Node, Value};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::Span;

/// Merges the roots of all files, in order. Of a key that is set twice the first value is kept.
/// Entries called `version` of the roots are not conflicts: `version` compares them.
pub fn merge(roots: Vec<Node>, findings: &mut Vec<Finding>) -> Node {
    let mut merger = Merger { findings };
    merger.maps(roots, true)
}

struct Merger<'a> {
    findings: &'a mut Vec<Finding>,
}

/// What all files say under one key of one map.
struct Slot {
    key: String,
    key_at: Span,
    nodes: Vec<Node>,
    /// The file that spoke last.
    file: usize,
}

impl Merger<'_> {
    /// Merges maps of different files. Within one of them a repeated key is a finding.
    fn maps(&mut self, mut maps: Vec<Node>, root: bool) -> Node {
        if let [one] = &mut maps[..]
            && is_clean(one.entries())
        {
            self.within(one);
            return maps.remove(0);
        }
        let at = maps.first().map_or_else(Span::default, |map| map.at);
        let mut slots: Vec<Slot> = Vec::new();
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        for (file, map) in maps.into_iter().enumerate() {
            let Value::Map(entries) = map.value else { continue };
            for entry in entries {
                self.entry(entry, file, &mut slots, &mut index);
            }
        }
        let entries = slots.into_iter().map(|slot| self.settle(slot, root)).collect();
        Node { at, value: Value::Map(entries) }
    }

    fn entry(
        &mut self,
        entry: Entry,
        file: usize,
        slots: &mut Vec<Slot>,
        index: &mut BTreeMap<String, usize>,
    ) {
        if entry.key == "<<" {
            let finding =
                Finding::new(code::SPEC_MERGE_KEY, "YAML merge keys are not part of the spec language");
            self.findings.push(finding.label(entry.key_at, "merges another map"));
            return;
        }
        let Some(&known) = index.get(&entry.key) else {
            index.insert(entry.key.clone(), slots.len());
            slots.push(Slot { key: entry.key, key_at: entry.key_at, nodes: vec![entry.node], file });
            return;
        };
        let slot = &mut slots[known];
        if slot.file == file {
            let message = format!("`{}` stands twice in one map", entry.key);
            let finding = Finding::new(code::SPEC_DUPLICATE_KEY, message);
            self.findings.push(finding.label(entry.key_at, "again here").label(slot.key_at, "first here"));
        } else {
            slot.file = file;
            slot.nodes.push(entry.node);
        }
    }

    fn settle(&mut self, slot: Slot, root: bool) -> Entry {
        let Slot { key, key_at, mut nodes, .. } = slot;
        let mergeable = nodes.iter().all(|node| matches!(node.value, Value::Map(_)));
        let node = if mergeable {
            self.maps(nodes, false)
        } else {
            let first = nodes.remove(0);
            if !(root && key == "version") {
                nodes.iter().for_each(|again| self.conflict(&key, key_at, &first, again));
            }
            self.value(first)
        };
        Entry { key, key_at, node }
    }

    fn conflict(&mut self, key: &str, key_at: Span, first: &Node, again: &Node) {
        let message = format!("`{key}` is set in two files");
        let finding = Finding::new(code::SPEC_CONFLICT, message);
        let place = |node: &Node| if node.at.start == node.at.end { key_at } else { node.at };
        self.findings
            .push(finding.label(place(again), "set again here").label(place(first), "first set here"));
    }

    /// A value of one file: maps inside of it may repeat a key too.
    fn value(&mut self, mut node: Node) -> Node {
        if matches!(node.value, Value::Map(_)) && !is_clean(node.entries()) {
            return self.maps(vec![node], false);
        }
        self.within(&mut node);
        node
    }

    /// The values in a list, or in a map that is clean itself: they stay where they are, but for those that
    /// repeat a key.
    fn within(&mut self, node: &mut Node) {
        let nodes: &mut dyn Iterator<Item = &mut Node> = match &mut node.value {
            Value::Map(entries) => &mut entries.iter_mut().map(|entry| &mut entry.node),
            Value::Seq(items) => &mut items.iter_mut(),
            _ => return,
        };
        for inner in nodes {
            if matches!(inner.value, Value::Map(_) | Value::Seq(_)) {
                let whole = std::mem::replace(inner, Node { at: inner.at, value: Value::Null });
                *inner = self.value(whole);
            }
        }
    }
}

/// Whether no key stands twice in a map, and none merges another map.
fn is_clean(entries: &[Entry]) -> bool {
    const FEW: usize = 8;
    let keys = || entries.iter().map(|entry| entry.key.as_str());
    let unique = match entries.len() {
        0..=FEW => keys().enumerate().all(|(at, key)| keys().take(at).all(|before| before != key)),
        _ => keys().collect::<BTreeSet<_>>().len() == entries.len(),
    };
    unique && keys().all(|key| key != "<<")
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    fn merged(files: &[&str]) -> (Node, Vec<(&'static str, Vec<String>)>) {
        let all = files.join("\n");
        let mut base = 0;
        let mut roots = Vec::new();
        for file in files {
            roots.push(parse(file, base).unwrap());
            base += file.len() + 1;
        }
        let mut findings = Vec::new();
        let node = merge(roots, &mut findings);
        let places =
            |f: &Finding| f.labels.iter().map(|l| all[l.span.start..l.span.end].to_owned()).collect();
        (node, findings.iter().map(|f| (f.code.id(), places(f))).collect())
    }

    #[test]
    fn maps_of_different_files_become_one() {
        let (node, findings) = merged(&["a: { b: { c: 1 } }", "a: { b: { d: [2] }, e: 3 }"]);
        assert_eq!(findings, []);
        let a = node.get("a").unwrap();
        assert_eq!(a.node.entries().iter().map(|e| &e.key).collect::<Vec<_>>(), ["b", "e"]);
        assert_eq!(a.get("b").unwrap().node.entries().len(), 2);
    }

    #[test]
    fn a_leaf_of_two_files_is_a_conflict_with_both_places() {
        let (_, findings) = merged(&["a: { b: [11] }", "a: { b: [22] }", "a: { b: { c: 1 } }"]);
        let code = "tokenform::spec::conflict";
        let places = |again: &str| vec![again.to_owned(), "[11]".to_owned()];
        assert_eq!(findings, [(code, places("[22]")), (code, places("{ c: 1 }"))]);
    }

    #[test]
    fn a_key_twice_in_one_map_is_told_wherever_it_stands() {
        let (node, findings) = merged(&["x: [{ k: 1, k: 2 }]\nm: { n: {} }\nm: {}\n<<: {}\n"]);
        let codes: Vec<_> = findings.iter().map(|(code, _)| *code).collect();
        let twice = "tokenform::spec::duplicate_key";
        assert_eq!(codes, [twice, "tokenform::spec::merge_key", twice]);
        assert_eq!(node.entries().len(), 2);
    }

    #[test]
    fn versions_are_not_conflicts() {
        assert_eq!(merged(&["version: 1", "version: 1"]).1, []);
    }

    #[test]
    fn wide_maps_merge() {
        let file =
            |from: usize| -> String { (from..from + 50_000).map(|i| format!("k{i}: {i}\n")).collect() };
        let (node, findings) = merged(&[&file(0), &file(50_000)]);
        assert_eq!((node.entries().len(), findings.len()), (100_000, 0));
    }
}
