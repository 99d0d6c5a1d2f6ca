//! The words of what the reader finds. No word of serde's is shown: serde quotes values.

use super::{Decoder, Failed};
use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::source::Span;
use crate::spec::nearest::suggestion;
use crate::spec::node::{Entry, Value};

impl Decoder<'_, '_> {
    pub(super) fn place(&self) -> Span {
        if self.node.at.start == self.node.at.end { self.key_at } else { self.node.at }
    }

    pub(super) fn finding(&self, code: Code, message: String, label: impl Into<String>) -> Finding {
        Finding::new(code, message).label(self.place(), label)
    }

    pub(super) fn push(&self, finding: Finding) -> Failed {
        self.told.findings.borrow_mut().push(finding);
        Failed::Told
    }

    /// Makes sure that an error was told.
    pub(super) fn tell(&self, failed: Failed) -> Failed {
        match failed {
            Failed::Told => Failed::Told,
            Failed::NoSuchWord(words) => self.no_such_word(words),
            Failed::Hidden => self.bad_value(),
        }
    }

    pub(super) fn no_such_word(&self, words: &[&str]) -> Failed {
        let text = shown(self.node.text().unwrap_or_default());
        let message = format!("`{}` can't be `{text}`", self.key);
        let finding = self.finding(code::SPEC_BAD_VALUE, message, format!("not one of {}", words.join(", ")));
        self.push(with_help(finding, suggestion(&text, words)))
    }

    pub(super) fn bad_value(&self) -> Failed {
        let text = shown(self.node.text().unwrap_or_default());
        let (code, message, label) = match self.wanted {
            Some("Duration") => {
                (code::SPEC_BAD_DURATION, format!("`{text}` is not a duration"), "not a duration")
            }
            Some("Instant") => {
                (code::SPEC_BAD_INSTANT, format!("`{text}` is not an instant"), "not an instant")
            }
            Some("Time") => (
                code::SPEC_BAD_VALUE,
                format!("`{text}` is not a time of day"),
                "write it like 09:00 or 24:00",
            ),
            _ => (code::SPEC_BAD_VALUE, format!("`{}` can't have this value", self.key), "can't be used"),
        };
        self.push(self.finding(code, message, label))
    }

    pub(super) fn wrong_type(&self, expected: &str) -> Failed {
        if matches!(self.node.value, Value::Null) {
            let message = format!("`{}` has no value", self.key);
            let finding = self.finding(code::SPEC_WRONG_TYPE, message, format!("expected {expected}"));
            return self.push(finding.help("write a value (`{}` for an empty map), or remove the key"));
        }
        let (code, expected) = match self.wanted {
            Some("Duration") => (code::SPEC_BAD_DURATION, "a duration such as 90d"),
            Some("Instant") => (code::SPEC_BAD_INSTANT, "an instant such as 2026-11-01T00:00:00Z"),
            Some("Time") => (code::SPEC_WRONG_TYPE, "a time of day such as \"09:00\""),
            _ => (code::SPEC_WRONG_TYPE, expected),
        };
        let found = self.node.kind();
        let message = format!("`{}` must be {expected}, and this is {found}", self.key);
        let finding = self.finding(code, message, format!("expected {expected}"));
        self.push(with_help(finding, self.help_with_type(expected)))
    }

    pub(super) fn help_with_type(&self, expected: &str) -> Option<String> {
        match (&self.node.value, self.wanted, expected) {
            (Value::Integer(n), Some("Duration"), _) => Some(format!("write the unit: `{n}d` is {n} days")),
            (Value::Integer(_) | Value::Number(_), Some("Time"), _)
            | (Value::Integer(_) | Value::Number(_) | Value::Bool(_), None, "text") => {
                Some("write it in quotes".to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn unknown_key(&self, entry: &Entry, known: &[&str]) {
        if self.told.refused.contains(&entry.key_at) {
            return;
        }
        let message = format!("`{}` is not known under `{}`", entry.key, self.key);
        let finding = Finding::new(code::SPEC_UNKNOWN_KEY, message).label(entry.key_at, "unknown key");
        self.push(with_help(finding, suggestion(&entry.key, known)));
    }
}

fn with_help(finding: Finding, help: Option<String>) -> Finding {
    match help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// A text as messages quote it: its begin.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
