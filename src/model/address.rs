//! The name of a managed object: `ibm.prod.mon-prod.team["SRE"]`.
//!
//! An address is `VENDOR.CONNECTION[.OWNER[.KIND["NAME"]]]`. Parts are shared strings: a plan of
//! 100,000 tokens holds each connection name once per token only as a pointer.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where an object stands: vendor, connection, owner (an instance or a user) and item.
#[derive(Clone, Debug, Eq)]
pub struct Address {
    vendor: Arc<str>,
    connection: Arc<str>,
    owner: Option<Arc<str>>,
    item: Option<Item>,
}

/// The last part of an address: `team["SRE"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Item {
    kind: Arc<str>,
    name: Arc<str>,
}

// By the parts in their order. Those of one spec are mostly one shared text, which need not be read.
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        let part = |a: &Arc<str>, b: &Arc<str>| if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) };
        let owners = || match (&self.owner, &other.owner) {
            (Some(a), Some(b)) => part(a, b),
            (a, b) => a.cmp(b),
        };
        part(&self.vendor, &other.vendor)
            .then_with(|| part(&self.connection, &other.connection))
            .then_with(owners)
            .then_with(|| self.item.cmp(&other.item))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.same_lane(other) && self.item == other.item
    }
}

impl Address {
    /// `ibm.prod`
    pub fn connection(vendor: &str, connection: &str) -> Self {
        Self { vendor: vendor.into(), connection: connection.into(), owner: None, item: None }
    }

    /// `ibm.prod` → `ibm.prod.mon-prod`
    pub fn owner(&self, name: &str) -> Self {
        Self { owner: Some(name.into()), item: None, ..self.clone() }
    }

    /// `ibm.prod.mon-prod` → `ibm.prod.mon-prod.team["SRE"]`
    pub fn item(&self, kind: &str, name: &str) -> Self {
        let item = Item { kind: kind.into(), name: name.into() };
        Self { item: Some(item), ..self.clone() }
    }

    pub fn vendor(&self) -> &str {
        &self.vendor
    }

    pub fn connection_name(&self) -> &str {
        &self.connection
    }

    pub fn owner_name(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The item's kind and name, for example `("team", "SRE")`.
    pub fn item_parts(&self) -> Option<(&str, &str)> {
        self.item.as_ref().map(|item| (&*item.kind, &*item.name))
    }

    /// The most specific name: of the item, else of the owner, else of the connection.
    pub fn name(&self) -> &str {
        match (&self.item, &self.owner) {
            (Some(item), _) => &item.name,
            (None, Some(owner)) => owner,
            (None, None) => &self.connection,
        }
    }

    /// The connection that the object belongs to.
    pub fn of_connection(&self) -> Self {
        Self { owner: None, item: None, ..self.clone() }
    }

    /// Whether both belong to one connection.
    pub fn same_connection(&self, other: &Self) -> bool {
        same(&self.connection, &other.connection) && same(&self.vendor, &other.vendor)
    }

    /// Whether both belong to one owner.
    pub fn same_lane(&self, other: &Self) -> bool {
        let same_owner = match (&self.owner, &other.owner) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a == b,
        };
        same_owner && self.same_connection(other)
    }

    /// The owner of the object (itself, if it is one): steps of one lane run in plan order.
    pub fn lane(&self) -> Self {
        Self { item: None, ..self.clone() }
    }

    /// Whether `other` is this object or lies below it.
    pub fn covers(&self, other: &Self) -> bool {
        self.same_connection(other)
            && (self.owner.is_none() || self.owner == other.owner)
            && (self.item.is_none() || self.item == other.item)
    }
}

/// Parts are mostly one shared text.
fn same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// Whether a name can stand without quotes in an address.
fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Writes `.name`, or `["na.me"]` where the bare form could not be read back.
fn write_part(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_bare(name) { write!(f, ".{name}") } else { write!(f, "[{}]", Quoted(name)) }
}

/// A name in JSON's quotes and escapes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        match self.0.bytes().all(is_plain) {
            true => write!(f, "\"{}\"", self.0),
            false => write!(f, "{}", serde_json::Value::from(self.0)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.vendor)?;
        write_part(f, &self.connection)?;
        if let Some(owner) = &self.owner {
            write_part(f, owner)?;
        }
        if let Some(item) = &self.item {
            write!(f, ".{}[{}]", item.kind, Quoted(&item.name))?;
        }
        Ok(())
    }
}

/// Why a text is not an address.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address; addresses look like ibm.prod.mon-prod.team[\"SRE\"]")]
pub struct NotAnAddress(String);

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        parse(text).ok_or_else(|| NotAnAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (vendor, rest) = text.split_at(end);
    let (connection, rest) = take_part(rest)?;
    let base = is_bare(vendor).then(|| Address::connection(vendor, &connection))?;
    if rest.is_empty() {
        return Some(base);
    }
    let (owner, rest) = take_part(rest)?;
    let owner = base.owner(&owner);
    if rest.is_empty() {
        return Some(owner);
    }
    let (kind, rest) = take_part(rest)?;
    let (name, rest) = take_quoted(rest)?;
    (rest.is_empty() && is_bare(&kind)).then(|| owner.item(&kind, &name))
}

fn take_part(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(bare) = text.strip_prefix('.') else {
        return take_quoted(text).map(|(name, rest)| (Cow::Owned(name), rest));
    };
    let end = bare.find(['.', '[']).unwrap_or(bare.len());
    let (name, rest) = bare.split_at(end);
    is_bare(name).then_some((Cow::Borrowed(name), rest))
}

fn take_quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('[')?;
    let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = names.next()?.ok()?;
    let rest = &text[names.byte_offset()..];
    Some((name, rest.strip_prefix(']')?))
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "VENDOR.CONNECTION[.OWNER[.KIND[\"NAME\"]]]",
            "examples": ["ibm.prod.mon-prod.team[\"SRE\"]"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_parts_and_equal_parts_are_the_same_to_the_order() {
        let all =
            ["a.b", "a.b.c", "a.b.c.t[\"x\"]", "a.b.c.t[\"y\"]", "a.b.c.u[\"a\"]", "a.b.d", "a.c", "b.a"];
        let all: Vec<Address> = all.iter().map(|text| text.parse().unwrap()).collect();
        for (a, i) in all.iter().zip(0..) {
            for (b, j) in all.iter().zip(0..) {
                let apart: Address = b.to_string().parse().unwrap();
                assert_eq!((a.cmp(b), a.cmp(&apart)), (i.cmp(&j), i.cmp(&j)), "{a} {b}");
                assert_eq!((a == b, *a == apart), (i == j, i == j));
            }
        }
    }

    #[test]
    fn every_address_reads_back_as_written() {
        let conn = Address::connection("ibm", "prod");
        let odd = Address::connection("logicmonitor", "a.b").owner("me@example.com \"q\"");
        for address in [
            conn.clone(),
            conn.owner("mon-prod"),
            conn.owner("mon-prod").item("team", "Monitor [x] \"Ops\""),
            odd.clone(),
            odd.item("api_token", ""),
        ] {
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
        assert_eq!(conn.owner("mon-prod").item("team", "SRE").to_string(), "ibm.prod.mon-prod.team[\"SRE\"]");
    }

    #[test]
    fn rubbish_is_not_an_address() {
        for text in ["", "ibm", "ibm.", "ibm.prod.", "ibm.prod.x.team", "ibm.prod.x.team[SRE]"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_owner_covers_its_items_and_no_neighbour() {
        let conn = Address::connection("ibm", "prod");
        let a = conn.owner("a");
        assert!(conn.covers(&a) && a.covers(&a.item("team", "x")) && a.covers(&a));
        assert!(!a.covers(&conn.owner("ab")) && !a.item("team", "x").covers(&a));
    }
}
