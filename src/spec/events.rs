//! Reads a YAML file from the parser's events: the tree that `tree` makes by way of serde, in a third of the
//! time. Only what nearly every file consists of: anchors, tags, directives, a second document, a key that is
//! no scalar and whatever is wrong are left to `tree`, whose library knows what they mean and what to say.

use std::borrow::Cow;

use granit_parser::{Event, Parser, ScalarStyle};

use super::node::{Entry, Node, Value};
use super::tree::{DEPTH, scalar};
use crate::model::source::Span;

/// A map or a list that is not closed yet.
struct Open {
    node: Node,
    /// The key whose value comes next.
    key: Option<(String, Span)>,
}

/// The tree of a file, with places in that file alone; `None` if the file has anything that this does not
/// read.
pub fn read(text: &str) -> Option<Node> {
    let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: DEPTH };
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        let at = Span { start: span.start.byte_offset()?, end: span.end.byte_offset()? };
        let done = match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_, None) if root.is_none() => continue,
            Event::SequenceStart(_, 0, None) => {
                begin(&mut open, at, Value::Seq(Vec::new()))?;
                continue;
            }
            Event::MappingStart(_, 0, None) => {
                begin(&mut open, at, Value::Map(Vec::new()))?;
                continue;
            }
            Event::Scalar(value, style, 0, None) => match open.last_mut() {
                Some(Open { node: Node { value: Value::Map(_), .. }, key: key @ None }) => {
                    // a key that is not there is told as `~`
                    let written = if at.start == at.end { String::new() } else { value.into_owned() };
                    *key = Some((written, at));
                    continue;
                }
                _ => Node { at, value: resolved(value, style)? },
            },
            Event::SequenceEnd | Event::MappingEnd => open.pop()?.node,
            _ => return None,
        };
        match open.last_mut() {
            None => root = Some(done),
            Some(Open { node: Node { value: Value::Seq(items), .. }, .. }) => items.push(done),
            Some(Open { node: Node { value: Value::Map(entries), .. }, key }) => {
                let (key, key_at) = key.take()?;
                entries.push(Entry { key, key_at, node: done });
            }
            Some(_) => return None,
        }
    }
    root
}

/// A map or a list, where a value may stand.
fn begin(open: &mut Vec<Open>, at: Span, value: Value) -> Option<()> {
    let key =
        open.last().is_some_and(|outer| matches!(outer.node.value, Value::Map(_)) && outer.key.is_none());
    if key || open.len() >= DEPTH {
        return None;
    }
    open.push(Open { node: Node { at, value }, key: None });
    Some(())
}

/// What a scalar stands for. What may be no text is the library's to judge.
fn resolved(text: Cow<'_, str>, style: ScalarStyle) -> Option<Value> {
    if style != ScalarStyle::Plain || is_text(&text) {
        return Some(Value::Text(text.into_owned()));
    }
    let is_number = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && (text.len() == 1 || !text.starts_with('0')) && !text.is_empty() {
        return text.parse().ok().map(Value::Integer);
    }
    // alone these would be something else than a scalar
    let is_marker = ["---", "..."].iter().any(|marker| text.starts_with(marker));
    if text.is_empty() {
        Some(Value::Null)
    } else if is_marker {
        None
    } else {
        scalar(&text)
    }
}

/// Words that are, or in some YAML are, a truth value, a number or nothing.
const WORDS: [&str; 12] =
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];

/// Whether a plain scalar is surely text.
fn is_text(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned.bytes().next() {
        None | Some(b'~') => false,
        Some(b'.') => {
            !matches!(unsigned.as_bytes().get(1), Some(b'0'..=b'9' | b'i' | b'I' | b'n' | b'N' | b'.'))
        }
        Some(b'0'..=b'9') => {
            let radix = matches!(unsigned.as_bytes().get(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B'));
            let in_numbers = |byte: u8| matches!(byte, b'0'..=b'9' | b'_' | b'e' | b'E' | b'+' | b'-' | b'.');
            !radix && !unsigned.bytes().all(in_numbers)
        }
        Some(_) => !WORDS.iter().any(|word| unsigned.eq_ignore_ascii_case(word)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::tree::{by_serde, settled};
    use super::*;

    /// Whether both readers make the same tree of a file, if this one makes any.
    fn alike(text: &str) -> bool {
        let told = |node: Node| format!("{:?}", settled(node, text, 7));
        read(text).is_none_or(|node| by_serde(text, 7).is_ok_and(|other| told(node) == told(other)))
    }

    const SCALARS: [&str; 62] = [
        "a",
        "ab c",
        "'q'",
        "\"d\\n\"",
        "''",
        "0",
        "7",
        "42",
        "007",
        "-1",
        "+5",
        "- 1",
        "1_000",
        "0x1f",
        "0o17",
        "0b1",
        "1.5",
        "1e3",
        ".5",
        "-.5",
        ".inf",
        "-.INF",
        ".nan",
        "1.",
        "true",
        "True",
        "TRUE",
        "false",
        "yes",
        "off",
        "y",
        "null",
        "Null",
        "~",
        "~x",
        "",
        "2026-11-01",
        "2026-11-01T00:00:00Z",
        "90d",
        "24h",
        "1d12h",
        "12:30",
        "a:b",
        "a#b",
        "#c",
        "x # c",
        "-",
        "--",
        "---",
        "...",
        "..",
        "..x",
        ".",
        "<<",
        "@",
        "ü ✓",
        "99999999999999999999",
        "1000000000000000000",
        "-0",
        "00",
        "inf",
        "|\n  x\n  y",
    ];

    fn document() -> impl Strategy<Value = String> {
        let scalar = || select(SCALARS.to_vec()).prop_map(str::to_owned);
        let key = select(vec!["k", "2024", "true", "'q'", "~", "<<", "a b", "? x", "", "1.5", "-"]);
        let flow = prop_oneof![
            prop::collection::vec(scalar(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((key.clone(), scalar()), 0..3).prop_map(|pairs| {
                let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{ {} }}", pairs.join(", "))
            }),
            scalar(),
        ];
        let lines = prop::collection::vec((0..3_usize, key, prop::bool::ANY, flow), 0..7);
        lines.prop_map(|lines| {
            let line = |(depth, key, item, value): (usize, &str, bool, String)| {
                let indent = "  ".repeat(depth);
                if item { format!("{indent}- {value}\n") } else { format!("{indent}{key}: {value}\n") }
            };
            lines.into_iter().map(line).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn it_makes_the_tree_that_serde_makes_or_none(text in document()) {
            prop_assert!(alike(&text), "{text:?}: {:?}, {:?}", read(&text), by_serde(&text, 0));
        }
    }

    #[test]
    fn each_scalar_is_what_the_library_takes_it_for() {
        for scalar in SCALARS {
            for text in [
                format!("k: {scalar}\n"),
                format!("- {scalar}\n"),
                format!("{scalar}\n"),
                format!("[{scalar}]"),
            ] {
                assert!(alike(&text), "{text:?}: {:?}, {:?}", read(&text), by_serde(&text, 0));
            }
        }
    }

    #[test]
    fn ordinary_files_are_read_and_unusual_ones_are_left() {
        let ordinary = ["a: 1\nb: { c: [x, 'y'] }\n", "# only\n---\na: 1\n", "a:\n- b: 90d\n  c: true\n"];
        for text in ordinary {
            assert!(read(text).is_some() && alike(text), "{text:?}");
        }
        let unusual = [
            "a: &x 1\nb: *x\n",
            "a: !!str 1\n",
            "? [a]\n: 1\n",
            "a: 1\n---\nb: 1\n",
            "a: [\n",
            "%YAML 1.2\n---\na: 1\n",
        ];
        for text in unusual {
            assert!(read(text).is_none(), "{text:?}");
        }
        for text in ["", "# c\n", "---\n", "a", "\ta: 1\n"] {
            assert!(alike(text), "{text:?}");
        }
    }
}
