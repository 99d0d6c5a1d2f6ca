//! A part of the estate, as `--target` and scopes of a spec name it: an address, or how it begins.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::Address;

/// `ibm`, `ibm.prod`, `ibm.prod.mon-prod`, `ibm.prod.mon-prod.team` or a whole address. Parts are
/// whole words: `ibm.prod.mon` is not the beginning of `ibm.prod.mon-prod`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prefix {
    /// Everything at a vendor.
    Vendor(String),
    /// An object and all below it.
    Object(Address),
    /// All items of one kind of an owner.
    Kind(Address, String),
}

impl Prefix {
    /// Whether the object is meant.
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Vendor(vendor) => vendor == address.vendor(),
            Self::Object(object) => object.covers(address),
            Self::Kind(owner, kind) => {
                owner.covers(address) && address.item_parts().is_some_and(|(k, _)| k == kind)
            }
        }
    }

    /// Whether anything of the object, or the object itself, is meant.
    pub fn touches(&self, address: &Address) -> bool {
        self.covers(address) || self.object().is_some_and(|object| address.covers(object))
    }

    /// The most that it names as one object.
    pub fn object(&self) -> Option<&Address> {
        match self {
            Self::Vendor(_) => None,
            Self::Object(object) | Self::Kind(object, _) => Some(object),
        }
    }
}

/// Whether any of several prefixes covers an address.
pub fn any_covers(prefixes: &[Prefix], address: &Address) -> bool {
    prefixes.iter().any(|prefix| prefix.covers(address))
}

impl From<Address> for Prefix {
    fn from(address: Address) -> Self {
        Self::Object(address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vendor(vendor) => f.write_str(vendor),
            Self::Object(object) => object.fmt(f),
            Self::Kind(owner, kind) => write!(f, "{owner}.{kind}"),
        }
    }
}

/// Why a text is neither an address nor the beginning of one.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is neither an address nor how one begins; addresses look like ibm.prod.mon-prod.team[\"SRE\"]"
)]
pub struct NotAPrefix(String);

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        parse(text).ok_or_else(|| NotAPrefix(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Prefix> {
    if is_word(text) {
        return Some(Prefix::Vendor(text.to_owned()));
    }
    if let Ok(address) = text.parse() {
        return Some(Prefix::Object(address));
    }
    let (owner, kind) = text.rsplit_once('.')?;
    let owner: Address = owner.parse().ok()?;
    let whole = owner.owner_name().is_some() && owner.item_parts().is_none() && is_word(kind);
    whole.then(|| Prefix::Kind(owner, kind.to_owned()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Prefix {
    fn schema_name() -> Cow<'static, str> {
        "Prefix".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An address, or how one begins: a vendor, a connection, an owner, the items of one kind.",
            "examples": ["ibm.prod", "ibm.prod.mon-prod", "ibm.prod.mon-prod.team[\"SRE\"]"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_written() {
        for text in
            ["ibm", "ibm.prod", "ibm.prod.mon", "ibm.prod.mon.team", "ibm.prod[\"a.b\"].team[\"x y\"]"]
        {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for text in ["", "ibm.", "ibm.prod.mon.team[SRE]", "a b", "x/y", "ibm.prod.mon.team.x"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_covers_whole_words_and_touches_what_is_above() {
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let team: Address = "ibm.prod.mon.team[\"SRE\"]".parse().unwrap();
        for text in ["ibm", "ibm.prod", "ibm.prod.mon", "ibm.prod.mon.team", "ibm.prod.mon.team[\"SRE\"]"] {
            assert!(prefix(text).covers(&team), "{text}");
        }
        for text in
            ["logicmonitor", "ibm.pro", "ibm.prod.mo", "ibm.prod.mon.user", "ibm.prod.mon.team[\"S\"]"]
        {
            assert!(!prefix(text).covers(&team), "{text}");
        }
        let instance = team.lane();
        assert!(prefix("ibm.prod.mon.team").touches(&instance) && !prefix("ibm.prod.b").touches(&instance));
        assert!(!prefix("ibm.prod.mon.team[\"SRE\"]").covers(&instance));
        assert!(prefix("ibm.prod.mon.team[\"SRE\"]").touches(&instance.of_connection()));
    }
}
