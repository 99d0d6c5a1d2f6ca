//! What a plan does to people and programs besides its objects.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;

/// One side effect, told once for all objects that have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideEffect {
    pub sort: EffectSort,
    /// Who gets mail, what stops or goes on, which token.
    pub who: String,
    pub says: String,
    pub certainty: Certainty,
    /// The objects of the changes that have it.
    pub at: Vec<Address>,
    /// Of a token that is replaced or taken away, where the vendor tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_used_on: Option<Timestamp>,
    /// The address that it was last used from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_auth_ip: Option<String>,
}

/// What sort of effect it is, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EffectSort {
    /// A consumer stops working.
    Breaks,
    /// A consumer that people may worry about goes on.
    Works,
    /// When a token that is replaced or taken away was last used.
    LastUse,
    /// The vendor mails somebody.
    Mail,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The vendor says so, or the live system.
    Documented,
    /// It follows from what is documented.
    Inferred,
    /// Nobody says; the worse is taken.
    Assumed,
}

impl EffectSort {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaks => "stops working",
            Self::Works => "goes on working",
            Self::LastUse => "last use of tokens that are replaced or taken away",
            Self::Mail => "gets mail",
        }
    }
}

impl SideEffect {
    pub fn new(sort: EffectSort, who: impl Into<String>, says: impl Into<String>, at: Vec<Address>) -> Self {
        let (who, says) = (who.into(), says.into());
        let certainty = Certainty::Documented;
        Self { sort, who, says, certainty, at, last_used_on: None, last_auth_ip: None }
    }

    /// What equal ones have in common.
    fn told(&self) -> impl Ord + use<> {
        let Self { sort, who, says, certainty, at: _, last_used_on, last_auth_ip } = self.clone();
        (sort, who, says, certainty, last_used_on, last_auth_ip)
    }

    /// Equal ones as one, in the order of their sorts; only for objects that still are in the plan.
    pub fn gathered(effects: Vec<Self>, is_there: impl Fn(&Address) -> bool) -> Vec<Self> {
        let mut gathered: Vec<Self> = Vec::new();
        let mut places: BTreeMap<_, usize> = BTreeMap::new();
        for mut effect in effects {
            effect.at.retain(&is_there);
            if effect.at.is_empty() {
                continue;
            }
            match places.entry(effect.told()) {
                Entry::Occupied(place) => gathered[*place.get()].at.append(&mut effect.at),
                Entry::Vacant(place) => {
                    place.insert(gathered.len());
                    gathered.push(effect);
                }
            }
        }
        gathered.sort_by_key(|effect| effect.sort);
        gathered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_effects_are_told_once_and_only_of_what_is_there() {
        let at = |name: &str| Address::connection("ibm", "prod").owner(name);
        let breaks = |name| SideEffect::new(EffectSort::Breaks, "Grafana", "stops", vec![at(name)]);
        let mail = SideEffect::new(EffectSort::Mail, "svc", "mailed", vec![at("a")]);
        let effects = vec![mail, breaks("a"), breaks("b"), breaks("gone")];
        let told = SideEffect::gathered(effects, |address| *address != at("gone"));
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].sort, told[0].at.as_slice()), (EffectSort::Breaks, &[at("a"), at("b")][..]));
    }
}
