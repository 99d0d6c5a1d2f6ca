//! A YAML file as a tree of values that know their places. The only file that names the YAML crate; its
//! parser's events are read by `events`.
//!
//! Duplicate keys and merge keys pass through as ordinary entries, so that `merge` can tell of them
//! with places. A string is told from a number, a truth value and nothing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::events;
use super::node::{Entry, Node, Value};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::Span;

/// How deep maps and lists may stand in each other.
pub const DEPTH: usize = 64;

/// The most parser events of one file, whatever its size.
const EVENTS: usize = 50_000_000;

/// The most events that aliases of one file may repeat.
const REPEATED: usize = 2_000_000;

/// The stack that a parser of [`DEPTH`] may use.
const STACK: usize = 32 << 20;

/// Parses one document. `base` is where the file's first byte stands on the number line. A file
/// without any content is `Null`.
pub fn parse(text: &str, base: usize) -> Result<Node, Box<Finding>> {
    let node = events::read(text).map_or_else(|| by_serde(text, base), Ok)?;
    Ok(settled(node, text, base))
}

/// What a plain scalar by itself stands for; `None` if it can't stand by itself.
pub(super) fn scalar(text: &str) -> Option<Value> {
    serde_yaml::from_str_with_options(text, options(text.len())).ok()
}

/// The tree by way of serde. serde's frames are wide, above all in debug builds: the deepest file that is allowed needs more
/// stack than a thread has by default. A panic of the parser ends here as a finding.
pub(super) fn by_serde(text: &str, base: usize) -> Result<Node, Box<Finding>> {
    let failed = |finding: Finding| Err(Box::new(finding));
    let at = Span { start: base, end: base };
    std::thread::scope(|scope| {
        let parse = || serde_yaml::from_str_with_options::<Node>(text, options(text.len()));
        let explained = move || parse().map_err(|error| Box::new(explain(&error, text, base)));
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, explained);
        match thread.map(|thread| thread.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => failed(
                Finding::new(code::SPEC_SYNTAX, "the YAML parser gave up on this file").label(at, "here"),
            ),
            Err(error) => {
                failed(Finding::new(code::SPEC_UNREADABLE, format!("no thread to parse on: {error}")))
            }
        }
    })
}

/// Budgets that grow with the file, so that only a file that unfolds into more than it holds is
/// refused.
fn options(size: usize) -> serde_yaml::Options {
    let events = (2 * size + 1_000).min(EVENTS);
    let repeated = (size / 4 + 10_000).min(REPEATED);
    let all = events + repeated;
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH,
            max_events: events,
            max_nodes: all,
            max_aliases: repeated,
            max_anchors: events,
            max_recorded_anchor_events: all,
            max_total_scalar_bytes: usize::MAX,
            max_merge_keys: events,
            simple_key_max_lookahead: 1_024,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: repeated,
            max_replay_stack_depth: DEPTH,
        },
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::PassThrough,
        merge_keys: serde_yaml::MergeKeyPolicy::AsOrdinary,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::AsString,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

pub(super) fn settled(mut node: Node, text: &str, base: usize) -> Node {
    settle(&mut node, text, base);
    node
}

/// Moves spans to the file's place on the number line, ends maps and lists where their last part
/// ends, and takes keys that are no strings as written.
fn settle(node: &mut Node, text: &str, base: usize) {
    let own = node.at;
    node.at = moved(own, base);
    match &mut node.value {
        Value::Map(entries) => {
            for entry in &mut *entries {
                if entry.key.is_empty() {
                    entry.key = text.get(entry.key_at.start..entry.key_at.end).unwrap_or("").to_owned();
                    entry.key = entry.key.trim_matches(['"', '\'']).to_owned();
                }
                entry.key_at = moved(entry.key_at, base);
                settle(&mut entry.node, text, base);
            }
            let last = entries.last().map(|entry| entry.node.at.end.max(entry.key_at.end));
            node.at.end = closed(text, own, last.unwrap_or(0).max(node.at.end), base);
        }
        Value::Seq(items) => {
            items.iter_mut().for_each(|item| settle(item, text, base));
            let last = items.last().map_or(0, |item| item.at.end).max(node.at.end);
            node.at.end = closed(text, own, last, base);
        }
        _ => {}
    }
}

/// The end of a map or list with its closing bracket, if it began with an opening one.
fn closed(text: &str, own: Span, end: usize, base: usize) -> usize {
    let close = match text.as_bytes().get(own.start) {
        Some(b'{') => '}',
        Some(b'[') => ']',
        _ => return end,
    };
    let Some(rest) = text.get(end - base..) else {
        return end;
    };
    let after = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    if after.starts_with(close) { base + text.len() - after.len() + 1 } else { end }
}

fn moved(span: Span, base: usize) -> Span {
    Span { start: span.start + base, end: span.end + base }
}

fn span_of(location: serde_yaml::Location) -> Option<Span> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let len = usize::try_from(span.byte_len()?).ok()?;
    Some(Span { start, end: start + len })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let at = span_of(spanned.defined).unwrap_or_default();
        Ok(Self { at, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<Key>>()? {
            let key_at = span_of(key.defined).unwrap_or_default();
            entries.push(Entry { key: key.value.0, key_at, node: map.next_value()? });
        }
        Ok(Value::Map(entries))
    }
}

/// A key that is text; empty for other scalars, whose text is taken from the file.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyKey;
        impl Visitor<'_> for AnyKey {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key that is plain text")
            }

            fn visit_unit<E>(self) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Key, E> {
                Ok(Key(String::new()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Key, E> {
                Ok(Key(value.to_owned()))
            }
        }
        deserializer.deserialize_any(AnyKey)
    }
}

/// The parser's error as a finding of ours. The parser's own words are kept only where they come
/// from the grammar and can't quote a value of the file.
fn explain(error: &serde_yaml::Error, text: &str, base: usize) -> Finding {
    explain_at(error, place_of_error(error, text, base), text, base)
}

fn explain_at(error: &serde_yaml::Error, at: Span, text: &str, base: usize) -> Finding {
    use serde_yaml::Error as E;
    let told = |code, message: &str, label: &str| Finding::new(code, message).label(at, label);
    match error.without_snippet() {
        E::AliasError { error, .. } => explain_at(error, at, text, base),
        E::AliasReplayCounterOverflow { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => too_much(at),
        E::RecursiveReferencesRequireWeakTypes { .. } => told(
            code::SPEC_ALIAS_BOMB,
            "an alias stands inside of the value that it repeats",
            "without an end",
        ),
        E::UnknownAnchor { .. } => told(code::SPEC_SYNTAX, "an alias repeats nothing", "no `&` of this name"),
        E::MultipleDocuments { .. } => {
            let message = "the file holds more than one YAML document";
            told(code::SPEC_DOCUMENTS, message, "a second document begins here")
        }
        E::Budget { breach: serde_yaml::budget::BudgetBreach::Depth { .. }, .. } => too_deep(at),
        E::Budget { .. } => too_much(at),
        E::ExternalMessage { msg, .. } if msg.contains("recursion limit") || msg.contains("nesting") => {
            too_deep(at)
        }
        E::ExternalMessage { msg, .. } if msg.contains("tab") => {
            let tab = tab_after(text, at, base);
            Finding::new(code::SPEC_SYNTAX, "a tab can't indent in YAML").label(tab, "write spaces")
        }
        E::ExternalMessage { msg, .. } => {
            told(code::SPEC_SYNTAX, &format!("this is not YAML: {}", first_line(msg)), "here")
        }
        E::SerdeInvalidType { .. } => told(code::SPEC_SYNTAX, "a key must be plain text", "this is no key"),
        _ => told(code::SPEC_SYNTAX, "this is not YAML that a spec can be written in", "here"),
    }
}

fn tab_after(text: &str, at: Span, base: usize) -> Span {
    let found = text.get(at.start - base..).and_then(|rest| rest.find('\t'));
    found.map_or(at, |tab| Span { start: at.start + tab, end: at.start + tab + 1 })
}

fn too_deep(at: Span) -> Finding {
    let message = format!("maps and lists stand in each other more than {DEPTH} deep");
    Finding::new(code::SPEC_TOO_DEEP, message).label(at, "too deep")
}

fn too_much(at: Span) -> Finding {
    let message = "aliases of this file unfold into far more than the file holds";
    Finding::new(code::SPEC_ALIAS_BOMB, message).label(at, "unfolds too far")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The error's bytes where it has them, else the rest of its line from its column on.
fn place_of_error(error: &serde_yaml::Error, text: &str, base: usize) -> Span {
    let Some(location) = error.location() else {
        return Span { start: base, end: base };
    };
    if let Some(span) = span_of(location).filter(|span| span.end > span.start) {
        return moved(span, base);
    }
    let line = usize::try_from(location.line()).unwrap_or(0).saturating_sub(1);
    let column = usize::try_from(location.column()).unwrap_or(0).saturating_sub(1);
    moved(place_of_column(text, line, column), base)
}

/// A line and a column in characters, both from 0, as bytes.
fn place_of_column(text: &str, line: usize, column: usize) -> Span {
    let mut start = 0;
    for whole in text.split_inclusive('\n').take(line) {
        start += whole.len();
    }
    let rest = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("");
    let skip = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    let end = (start + rest.trim_end().len()).max(start + skip);
    Span { start: start + skip, end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::code::Code;

    fn code_and_place(text: &str) -> (Code, &str) {
        let finding = parse(text, 100).unwrap_err();
        let span = finding.labels[0].span;
        (finding.code, &text[span.start - 100..span.end - 100])
    }

    fn slice<'a>(text: &'a str, entry: &Entry) -> (&'a str, &'a str) {
        let at = |span: Span| &text[span.start - 7..span.end - 7];
        (at(entry.key_at), at(entry.node.at))
    }

    #[test]
    fn values_know_their_type_and_place() {
        let text = "ü: 90\nb:\n  - x\n  - 'q'\n2024: true\nf: { a: [1, 2 ] }\ng:\nt: 2026-11-01T00:00:00Z\n";
        let node = parse(text, 7).unwrap();
        let places: Vec<_> = node.entries().iter().map(|entry| slice(text, entry)).collect();
        assert_eq!(
            places,
            [
                ("ü", "90"),
                ("b", "- x\n  - 'q'"),
                ("2024", "true"),
                ("f", "{ a: [1, 2 ] }"),
                ("g", ""),
                ("t", "2026-11-01T00:00:00Z"),
            ]
        );
        let kinds: Vec<_> = node.entries().iter().map(|entry| entry.node.kind()).collect();
        assert_eq!(kinds, ["a number", "a list", "a truth value", "a map", "nothing", "text"]);
        assert_eq!(node.entries()[2].key, "2024");
    }

    #[test]
    fn an_alias_stands_where_its_value_was_written() {
        let text = "a: &x { b: 1 }\nc: *x\n";
        let node = parse(text, 7).unwrap();
        assert_eq!(slice(text, node.get("c").unwrap()).1, "{ b: 1 }");
    }

    #[test]
    fn broken_yaml_is_told_with_its_place() {
        for (text, code, place) in [
            ("a: 1\n\tb: 2\n", code::SPEC_SYNTAX, "\t"),
            ("a: [1, 2\n", code::SPEC_SYNTAX, "[1, 2"),
            ("a: 1\n---\nb: 2\n", code::SPEC_DOCUMENTS, "b: 2"),
            ("a: *nope\n", code::SPEC_SYNTAX, "*nope"),
            ("a: !foo x\n", code::SPEC_SYNTAX, "x"),
            ("a: &a [*a]\n", code::SPEC_ALIAS_BOMB, "*a"),
            ("? [1]\n: 2\n", code::SPEC_SYNTAX, "["),
        ] {
            assert_eq!(code_and_place(text), (code, place), "{text:?}");
        }
    }

    #[test]
    fn nesting_ends_at_64() {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let deep = |n: usize| open.repeat(n) + &close.repeat(n);
            assert!(parse(&deep(DEPTH), 0).is_ok());
            assert_eq!(code_and_place(&deep(DEPTH + 1)).0, code::SPEC_TOO_DEEP);
            assert_eq!(code_and_place(&deep(100_000)).0, code::SPEC_TOO_DEEP);
        }
    }

    #[test]
    fn an_alias_bomb_is_refused_and_honest_aliases_are_not() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
        }
        assert_eq!(code_and_place(&bomb).0, code::SPEC_ALIAS_BOMB);
        let honest: String = (0..1_000).map(|i| format!("k{i}: *x\n")).collect();
        assert!(parse(&format!("x: &x {{ max_age: 90d }}\n{honest}"), 0).is_ok());
    }
}
