//! A serde reader over the tree that tells of every error with its place and reads on.
//!
//! Unknown keys are found from the list of fields that serde hands over. What can't be read becomes
//! `Given::Refused`, so one bad setting never hides the next.

mod access;
mod tell;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Visitor};

use access::{EnumAccess, MapAccess, SeqAccess};
pub use tell::shown;

use super::node::{Entry, Node, Value};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::Given;
use crate::model::source::Span;

/// Reads a whole tree. `refused` are places of values that were told already: they are passed over.
pub fn decode<'n, T: Deserialize<'n>>(root: &'n Node, refused: &BTreeSet<Span>) -> (Given<T>, Vec<Finding>) {
    let told = Told { findings: RefCell::default(), refused };
    let decoder = Decoder { node: root, key: "the spec", key_at: root.at, told: &told, wanted: None };
    let value = Given::deserialize(decoder).unwrap_or(Given::Refused);
    (value, told.findings.into_inner())
}

/// What was told so far.
struct Told<'s> {
    findings: RefCell<Vec<Finding>>,
    refused: &'s BTreeSet<Span>,
}

/// One value and the key it stands under.
#[derive(Clone, Copy)]
struct Decoder<'n, 't> {
    node: &'n Node,
    key: &'n str,
    key_at: Span,
    told: &'t Told<'t>,
    /// The kind of word that a text must be: the name of its type.
    wanted: Option<&'static str>,
}

/// Why a value could not be read.
#[derive(Debug)]
enum Failed {
    /// A finding says so already.
    Told,
    /// The value was read and is none of these words.
    NoSuchWord(&'static [&'static str]),
    /// serde's words, which may quote a value: never shown.
    Hidden,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value can't be used")
    }
}

impl std::error::Error for Failed {}

impl de::Error for Failed {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Hidden
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::NoSuchWord(expected)
    }
}

impl<'n> Decoder<'n, '_> {
    fn known(&self) -> Result<(), Failed> {
        if self.told.refused.contains(&self.node.at) { Err(Failed::Told) } else { Ok(()) }
    }

    fn child(&self, entry: &'n Entry) -> Self {
        Self { node: &entry.node, key: &entry.key, key_at: entry.key_at, wanted: None, ..*self }
    }

    /// The entries of known keys; tells of the others.
    fn entries_of(&self, known: &'static [&'static str]) -> impl Iterator<Item = &'n Entry> + use<'n> {
        let is_known = |entry: &&Entry| known.contains(&entry.key.as_str());
        let entries = self.node.entries().iter();
        entries.clone().filter(|entry| !is_known(entry)).for_each(|entry| self.unknown_key(entry, known));
        entries.filter(is_known)
    }

    fn text<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.known()?;
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text).map_err(|failed| self.tell(failed)),
            _ => Err(self.wrong_type("text")),
        }
    }

    fn whole_number<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.known()?;
        let Value::Integer(number) = self.node.value else {
            return Err(self.wrong_type("a whole number"));
        };
        let read = match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => Err(Failed::Hidden),
        };
        read.map_err(|failed| match failed {
            Failed::Told => Failed::Told,
            _ => self.push(self.finding(
                code::SPEC_BAD_VALUE,
                format!("`{}` can't be {number}", self.key),
                "out of range",
            )),
        })
    }

    fn map_of<V: Visitor<'n>>(
        self,
        entries: impl Iterator<Item = &'n Entry>,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let access = MapAccess { decoder: self, entries, value: None };
        visitor.visit_map(access).map_err(|failed| self.tell(failed))
    }

    /// The chosen form of a choice written as a map: `{ env: NAME }`.
    fn chosen(&self, forms: &'static [&'static str]) -> Result<&'n Entry, Failed> {
        let known: Vec<_> = self.entries_of(forms).collect();
        match known[..] {
            [one] => Ok(one),
            [] if !self.node.entries().is_empty() => Err(Failed::Told),
            [] => {
                let message = format!("`{}` is empty", self.key);
                Err(self.push(self.finding(code::SPEC_CHOOSE_ONE, message, one_of(forms))))
            }
            [first, second, ..] => {
                let message = format!("`{}` is written in two forms at once", self.key);
                let finding = Finding::new(code::SPEC_CHOOSE_ONE, message);
                let finding = finding.label(second.key_at, one_of(forms)).label(first.key_at, "and this one");
                Err(self.push(finding))
            }
        }
    }
}

fn one_of(forms: &[&str]) -> String {
    format!("exactly one of {}", forms.join(", "))
}

impl<'n> de::Deserializer<'n> for Decoder<'n, '_> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        match self.node.value {
            Value::Text(_) => self.text(visitor),
            Value::Integer(_) => self.whole_number(visitor),
            Value::Bool(_) => self.deserialize_bool(visitor),
            Value::Seq(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Null | Value::Number(_) => Err(self.wrong_type("text or a whole number")),
        }
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.known()?;
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value).map_err(|failed| self.tell(failed)),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    fn deserialize_u16<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.whole_number(visitor)
    }

    fn deserialize_u32<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.whole_number(visitor)
    }

    fn deserialize_u64<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.whole_number(visitor)
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.text(visitor)
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.known()?;
        let Value::Seq(items) = &self.node.value else {
            return Err(self.wrong_type("a list"));
        };
        let access = SeqAccess { decoder: self, items: items.iter() };
        visitor.visit_seq(access).map_err(|failed| self.tell(failed))
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        self.known()?;
        match &self.node.value {
            Value::Map(entries) => self.map_of(entries.iter(), visitor),
            _ => Err(self.wrong_type("a map")),
        }
    }

    /// A text is handed to the visitor too: one type of the language is a text or a map.
    fn deserialize_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        self.known()?;
        match &self.node.value {
            Value::Map(_) => self.map_of(self.entries_of(fields), visitor),
            Value::Text(text) if name == "TokenReset" => {
                visitor.visit_str(text).map_err(|failed| self.tell(failed))
            }
            _ => Err(self.wrong_type("a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failed> {
        self.known()?;
        let access = match &self.node.value {
            Value::Text(text) => EnumAccess { variant: text, value: None, decoder: self },
            Value::Map(_) => {
                let entry = self.chosen(variants)?;
                EnumAccess { variant: &entry.key, value: Some(self.child(entry)), decoder: self }
            }
            _ => return Err(self.wrong_type(&format!("one of {}", variants.join(", ")))),
        };
        visitor.visit_enum(access).map_err(|failed| self.tell(failed))
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failed> {
        let named = Self { wanted: Some(name), ..self };
        visitor.visit_newtype_struct(named).map_err(|failed| named.tell(failed))
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failed> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'n>>
        i8 i16 i32 i64 i128 u8 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::super::language::Spec;
    use super::super::tree::parse;
    use super::*;

    /// Each finding as `code @ the labelled text @ help`.
    fn told(text: &str) -> Vec<String> {
        let root = parse(text, 0).unwrap();
        let (_, findings) = decode::<Spec>(&root, &BTreeSet::new());
        let line = |f: &Finding| {
            let code = f.code.id().trim_start_matches("tokenform::spec::");
            let span = f.labels[0].span;
            let help = f.help.as_ref().map(|help| format!(" @ {help}")).unwrap_or_default();
            format!("{code} @ {}{help}", &text[span.start..span.end])
        };
        findings.iter().map(line).collect()
    }

    #[test]
    fn one_bad_setting_hides_no_other() {
        let text = "version: one\nlimit: {}\nibm:\n  prod:\n    acount: x\n    account: 7\n    instances:\n      a: { service: monitorin, region: [x], protect: yes }\n      b:\n      c: { teams: { t: { token: { rotate: { max_age: 90, overlap: 1w, issued_after: soon } } } } }\nlimits: { rotate: -1, lock: 1.5, enable: 99999999999 }\n";
        insta::assert_snapshot!(told(text).join("\n"), @r"
        unknown_key @ limit @ did you mean `limits`?
        wrong_type @ one
        unknown_key @ acount @ did you mean `account`?
        wrong_type @ 7 @ write it in quotes
        bad_value @ monitorin @ did you mean `monitoring`?
        wrong_type @ [x]
        wrong_type @ yes
        wrong_type @ b @ write a value (`{}` for an empty map), or remove the key
        bad_duration @ 90 @ write the unit: `90d` is 90 days
        bad_duration @ 1w
        bad_instant @ soon
        bad_value @ -1
        wrong_type @ 1.5
        bad_value @ 99999999999
        ");
    }

    #[test]
    fn choices_are_one_text_or_one_form() {
        let text = "ibm: { a: { credential: { api_key: { env: A, file: b } } }, b: { credential: {} }, c: { credential: { apikey: { env: X } }, token_reset: guide }, d: { token_reset: [x] }, e: { token_reset: { metod: POST, expect: [x, 200] } } }\ndestinations: { a: file, b: { file: { path: [x], format: yaml } } }\n";
        insta::assert_snapshot!(told(text).join("\n"), @r"
        choose_one @ file
        choose_one @ {}
        unknown_key @ apikey @ did you mean `api_key`?
        bad_value @ guide @ did you mean `guided`?
        wrong_type @ [x]
        unknown_key @ metod @ did you mean `method`?
        wrong_type @ x
        wrong_type @ file
        wrong_type @ [x]
        bad_value @ yaml @ known are: raw, dotenv, json
        ");
    }

    #[test]
    fn refused_places_are_passed_over() {
        let text = "version: [x]\n";
        let root = parse(text, 0).unwrap();
        let refused = BTreeSet::from([root.get("version").unwrap().node.at]);
        assert!(decode::<Spec>(&root, &refused).1.is_empty());
    }
}
