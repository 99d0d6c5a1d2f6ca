//! Finds values that stand where only a reference to a secret may stand, before anything is shown.
//!
//! Such a value is masked in the sources and never quoted: a pasted secret must not reach a CI log.
//! Works on each file's own tree, so that nothing merging drops escapes it.

use std::collections::BTreeSet;

use super::node::{Entry, Node, Value};
use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::source::Span;

/// What was found in all files.
#[derive(Default)]
pub struct Masked {
    /// What must be overwritten before anything is shown.
    pub spans: BTreeSet<Span>,
    pub findings: Vec<Finding>,
}

/// Keys under which a bare value is a secret, wherever they stand.
const SECRET_KEYS: [&str; 14] = [
    "api_key",
    "apikey",
    "access_key",
    "accesskey",
    "access_id",
    "bearer",
    "iam_token",
    "cr_token",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "credentials",
];

/// An environment variable's name is not longer than this; pasted keys are.
const LONGEST_NAME: usize = 64;

impl Masked {
    /// Looks through one file.
    pub fn scan(&mut self, root: &Node) {
        for vendor in root.entries() {
            for connection in vendor.node.entries() {
                self.connection(connection);
            }
        }
        self.anywhere(root);
    }

    fn connection(&mut self, connection: &Entry) {
        for entry in connection.node.entries() {
            match entry.key.as_str() {
                "credential" => self.credential(entry),
                "endpoint" => self.endpoint(entry),
                "endpoints" => entry.node.entries().iter().for_each(|entry| self.endpoint(entry)),
                _ => {}
            }
        }
    }

    /// Below `credential` only the names of variables, files, programs and profiles may stand. In
    /// `{ SECRET }` the secret is a key without a value.
    fn credential(&mut self, entry: &Entry) {
        if !is_key_word(&entry.key) {
            return self.mask_at(entry.key_at, code::SPEC_LITERAL_SECRET, LITERAL, MASKED);
        }
        match (&entry.node.value, entry.key.as_str()) {
            (Value::Map(entries), _) => entries.iter().for_each(|entry| self.credential(entry)),
            (Value::Null, _) | (_, "id" | "name") | (Value::Seq(_), "command") => {}
            (Value::Text(text), "env") if is_variable_name(text) => {}
            (Value::Text(_), "env") => {
                self.literal(&entry.node, "this is not the name of an environment variable")
            }
            (Value::Text(text), "file") if !text.contains('\n') => {}
            (Value::Text(_), "command") => {
                self.literal(&entry.node, "a command is a list of a program and its arguments")
            }
            (Value::Seq(items), _) => items.iter().for_each(|item| self.literal(item, LITERAL)),
            _ => self.literal(&entry.node, LITERAL),
        }
    }

    /// An origin holds no user and no password.
    fn endpoint(&mut self, entry: &Entry) {
        if entry.node.text().is_some_and(|text| text.contains('@')) {
            let message = "an endpoint must not hold a user or a password";
            self.mask_at(entry.node.at, code::SPEC_BAD_ENDPOINT, message, "masked");
        }
    }

    /// Bare values under keys that only secrets have, at any depth and in any wrong place.
    fn anywhere(&mut self, node: &Node) {
        node.items().iter().for_each(|item| self.anywhere(item));
        for entry in node.entries() {
            let bare = matches!(entry.node.value, Value::Text(_) | Value::Integer(_) | Value::Number(_));
            if bare && SECRET_KEYS.contains(&entry.key.to_ascii_lowercase().as_str()) {
                self.literal(&entry.node, LITERAL);
            }
            self.anywhere(&entry.node);
        }
    }

    fn literal(&mut self, node: &Node, message: &str) {
        self.mask_at(node.at, code::SPEC_LITERAL_SECRET, message, MASKED);
    }

    fn mask_at(&mut self, at: Span, code: Code, message: &str, label: &str) {
        if self.spans.insert(at) {
            self.findings.push(Finding::new(code, message).label(at, label).help(code.cure()));
        }
    }
}

const MASKED: &str = "masked: a reference belongs here";

/// A key of the language, or a slip in writing one.
fn is_key_word(key: &str) -> bool {
    key.len() <= 24 && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

const LITERAL: &str = "a value stands where only a reference to a secret may stand";

/// `[A-Za-z_][A-Za-z0-9_]*`, and nothing that looks like a key somebody pasted.
fn is_variable_name(text: &str) -> bool {
    let word = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let starts = !text.starts_with(|c: char| c.is_ascii_digit());
    word && starts && text.len() <= LONGEST_NAME && !looks_random(text)
}

/// Both cases and digits in one long word: no one names a variable so.
fn looks_random(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    text.len() >= 20 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// Places that may hold a secret, by the look of each line alone: better too many.
pub fn suspects(text: &str, base: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = base;
    // The indentation of a secret's key whose value stands on the lines below.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        block = block.filter(|key| line.trim().is_empty() || indent > *key);
        let hidden = block.map(|_| indent).or_else(|| behind_secret_key(line));
        if let Some(from) = hidden {
            spans.push(Span { start: start + from, end: start + line.trim_end().len().max(from) });
            let value = line[from..].trim_start();
            block = block.or_else(|| value.starts_with(['|', '>']).then_some(indent));
        }
        start += line.len();
    }
    spans
}

/// Where the first bare value behind a secret's key begins.
fn behind_secret_key(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let bare = |value: &str| !value.is_empty() && !value.starts_with(['{', '[', '#']);
    let secret =
        SECRET_KEYS.iter().filter_map(|key| value_of(&lower, key)).filter(|at| bare(line[*at..].trim()));
    let env = value_of(&lower, "env").filter(|at| {
        let value = line[*at..].trim();
        bare(value) && !begins_with_name(value)
    });
    secret.chain(env).min()
}

/// Whether a text begins with a variable's name, in quotes or not, and the value ends behind it.
fn begins_with_name(value: &str) -> bool {
    let (name, rest) = match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => value[1..].split_once(quote).unwrap_or((value, "")),
        None => value.split_at(value.find([',', '}', ']', ' ', '\t']).unwrap_or(value.len())),
    };
    let rest = rest.trim_start();
    is_variable_name(name) && (rest.is_empty() || rest.starts_with([',', '}', ']', '#']))
}

/// Where the value begins of the first place that reads `KEY:`, with or without quotes.
fn value_of(line: &str, key: &str) -> Option<usize> {
    let after = line.find(key)? + key.len();
    let colon = after + line[after..].find(':')?;
    line[after..colon].trim_matches([' ', '"', '\'']).is_empty().then_some(colon + 1)
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    fn masked(text: &str) -> Vec<&str> {
        let mut masked = Masked::default();
        masked.scan(&parse(text, 0).unwrap());
        assert_eq!(masked.findings.len(), masked.spans.len());
        masked.spans.iter().map(|span| &text[span.start..span.end]).collect()
    }

    #[test]
    fn literal_secrets_are_found_in_every_shape() {
        for (credential, secret) in [
            ("hunter2", "hunter2"),
            ("{ api_key: \"hunter2\" }", "\"hunter2\""),
            ("{ api_key: 1234 }", "1234"),
            ("{ api_key: { env: \"two words\" } }", "\"two words\""),
            ("{ api_key: { env: a=b } }", "a=b"),
            ("{ api_key: { env: lmb1aB3dE5gH7jK9mN2pQ4rS } }", "lmb1aB3dE5gH7jK9mN2pQ4rS"),
            ("{ api_key: { value: hunter2 } }", "hunter2"),
            ("{ api_key: [hunter2] }", "hunter2"),
            ("{ api_key: { command: hunter2 } }", "hunter2"),
            ("{ api_key: { Hunter2 } }", "Hunter2"),
            ("{ lmb_UGFzdGVk: }", "lmb_UGFzdGVk"),
            ("{ apikey: hunter2 }", "hunter2"),
            ("{ lmv1: { access_id: { env: ID }, access_key: hunter2 } }", "hunter2"),
            ("{ api_key: { file: \"a\\nb\" } }", "\"a\\nb\""),
        ] {
            assert_eq!(
                masked(&format!("ibm: {{ prod: {{ credential: {credential} }} }}")),
                [secret],
                "{credential}"
            );
        }
        assert_eq!(masked("ibm:\n  prod:\n    credential: |\n      a\n      b\n"), ["a\n      b\n"]);
        assert_eq!(masked("password: hunter2"), ["hunter2"]);
        assert_eq!(masked("x: &k hunter2\nibm: { p: { credential: { api_key: *k } } }"), ["hunter2"]);
        assert_eq!(masked("ibm: { p: { endpoints: { iam: \"https://u:p@h\" } } }"), ["\"https://u:p@h\""]);
    }

    #[test]
    fn references_are_not_masked() {
        let refs = "ibm: { a: { credential: { api_key: { env: IBMCLOUD_API_KEY } } }, b: { credential: { api_key: { file: k } } }, c: { credential: { api_key: { command: [pass, show] } } }, credential: { credential: { trusted_profile: { cr_token: { file: /t }, id: Profile-1 } } } }\nlogicmonitor: { a: { users: { u: { api_tokens: { password: {} } } } } }\n";
        assert_eq!(masked(refs), [] as [&str; 0]);
    }

    #[test]
    fn a_text_that_is_no_yaml_is_masked_by_line() {
        let text = "a: [\n  credential: { api_key: \"x y\" }\n  api_key: { env: NAME }\n  env: a-b\n  token: abc\n  secret: |\n    x\n    y\n  token_reset: guided\n";
        let spans = suspects(text, 10);
        let found: Vec<_> = spans.iter().map(|s| &text[s.start - 10..s.end - 10]).collect();
        assert_eq!(found, [" \"x y\" }", " a-b", " abc", " |", "x", "y"]);
    }
}
