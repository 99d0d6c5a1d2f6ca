//! Values of a YAML file that know their places, and the keys they stand under.

use crate::model::source::Span;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// For a value taken over by an alias: where it was written.
    pub at: Span,
    pub value: Value,
}

/// A YAML value. Integers outside of 64 bits are numbers.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    Seq(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value` of a map. Keys that look like numbers are kept as written.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub key_at: Span,
    pub node: Node,
}

impl Node {
    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Seq(items) => items,
            _ => &[],
        }
    }

    /// The entry of a key. Linear in the width of the map: not for wide ones.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages. Never the value itself.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Integer(_) | Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl Entry {
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.node.get(key)
    }

    /// Where the value of a path of keys stands; where the path ends early, the last key on it.
    pub fn place(&self, path: &[&str]) -> Span {
        match path {
            [] if self.node.at.start == self.node.at.end => self.key_at,
            [] => self.node.at,
            [key, rest @ ..] => self.get(key).map_or(self.key_at, |entry| entry.place(rest)),
        }
    }
}
