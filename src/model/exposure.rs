//! What an incident may have exposed and a plan does not rotate, and why.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::prefix::{Prefix, any_covers};

/// `--issued-before`: everything that was issued before an instant, or may have been, is to be rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    #[schemars(with = "String")]
    pub issued_before: Timestamp,
    /// `--scope`: only here. Empty is everywhere.
    pub scope: Vec<Prefix>,
    /// `--reason`, kept in the ledger with each rotation.
    pub reason: Option<String>,
}

impl Incident {
    /// Whether the object is in scope.
    pub fn covers(&self, address: &Address) -> bool {
        self.scope.is_empty() || any_covers(&self.scope, address)
    }

    /// Whether the object, or anything below it, is in scope.
    pub fn touches(&self, address: &Address) -> bool {
        self.scope.is_empty() || self.scope.iter().any(|prefix| prefix.touches(address))
    }

    /// Whether something that was issued then, or nobody knows when, may be exposed.
    pub fn exposes(&self, issued_at: Option<Timestamp>) -> bool {
        issued_at.is_none_or(|at| at <= self.issued_before)
    }
}

/// Something that may be exposed and is not rotated by the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotRotated {
    pub address: Address,
    pub cause: Cause,
    pub why: String,
    /// The tokens, where the vendor gives ids and the address stands for more than one.
    pub token_ids: Vec<u64>,
}

/// Why something is not rotated, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// More than `limits` allows: the next plan has it.
    OverLimit,
    /// A new value would go nowhere.
    NoDestination,
    Protected,
    /// A guided reset needs a person, and the identity is none.
    Guided,
    /// The owner can't hold a usable token.
    OwnerRefused,
    OwnerMissing,
    /// It could not be read, or not be told apart.
    Unreadable,
    /// The ordinary plan changes it in another way.
    OtherWish,
    /// It was replaced and works until it is retired.
    Retiring,
    /// The spec does not manage it.
    Unlisted,
    /// A credential that tokenform itself works with.
    Credential,
    /// It is disabled.
    Disabled,
    /// Its instance accepts no API tokens.
    IamOnly,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OverLimit => "over the limit",
            Self::NoDestination => "no destination",
            Self::Protected => "protected",
            Self::Guided => "needs a person",
            Self::OwnerRefused => "owner refused",
            Self::OwnerMissing => "owner missing",
            Self::Unreadable => "unreadable",
            Self::OtherWish => "left to the ordinary plan",
            Self::Retiring => "works until it is retired",
            Self::Unlisted => "not managed",
            Self::Credential => "credential of tokenform",
            Self::Disabled => "disabled",
            Self::IamOnly => "instance is IAM_ONLY",
        }
    }

    /// Whether whoever holds it can use it now.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Disabled | Self::IamOnly)
    }
}
