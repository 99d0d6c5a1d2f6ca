//! What must still hold right before a step, with the numbers that it was planned by.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vocabulary::Period;

// PRODUCT section 6
/// A condition evaluated right before a step from a fresh read; one that no longer holds defers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "condition", rename_all = "snake_case", deny_unknown_fields)]
pub enum Guard {
    /// A replaced or unlisted token was not used for at least so long.
    OldIdle {
        token_id: u64,
        at_least: Period,
        /// When it was last used, as planned by; absent if never, as far as the vendor knows.
        #[schemars(with = "Option<String>")]
        last_used_on: Option<Timestamp>,
    },
    /// The token that replaced it is enabled, both have been there for `overlap`, and there is
    /// evidence that consumers have it.
    SuccessorInPlace {
        token_id: u64,
        #[schemars(with = "String")]
        issued_at: Timestamp,
        overlap: Period,
        known_by: KnownBy,
    },
    /// A replaced or unlisted token was disabled by tokenform at least so long ago.
    DisabledFor {
        token_id: u64,
        at_least: Period,
        #[schemars(with = "String")]
        since: Timestamp,
    },
    /// The owner of an unlisted token keeps another one that is enabled.
    OwnerKeepsOne { token_id: u64 },
    /// The vendor's audit log tells of no failed request by a replaced token since it was disabled.
    NotTried {
        access_id: String,
        #[schemars(with = "String")]
        since: Timestamp,
    },
    /// Nobody can tell whether a replaced token was tried since it was disabled. Holds always: it
    /// says in the reviewed plan what is not known.
    Unwatched { token_id: u64, why: String },
}

/// How it is known that consumers have a new token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KnownBy {
    /// The ledger says that it was delivered to each of these slots.
    Ledger { delivered: Vec<String> },
    /// It was used later than tokenform's own probe, and from another address than tokenform's.
    Live {
        #[schemars(with = "String")]
        used_on: Timestamp,
        ip: String,
    },
    /// The spec states that consumers had moved by then.
    Spec {
        #[schemars(with = "String")]
        consumers_moved: Timestamp,
    },
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldIdle { at_least, .. } => write!(f, "old_idle >= {at_least}"),
            Self::SuccessorInPlace { token_id, known_by, .. } => {
                write!(f, "successor_in_place (id {token_id}, {known_by})")
            }
            Self::DisabledFor { at_least, .. } => write!(f, "disabled_for >= {at_least}"),
            Self::OwnerKeepsOne { token_id } => write!(f, "another than id {token_id} is enabled"),
            Self::NotTried { access_id, since } => write!(f, "not_tried since {since} ({access_id})"),
            Self::Unwatched { why, .. } => write!(f, "unwatched ({why})"),
        }
    }
}

impl fmt::Display for KnownBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger { delivered } => {
                write!(f, "delivered to {} as the ledger says", delivered.join(", "))
            }
            Self::Live { used_on, ip } => write!(f, "used from {ip} at {used_on}"),
            Self::Spec { consumers_moved } => {
                write!(f, "consumers moved by {consumers_moved}, says the spec")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_stored_with_its_condition_and_numbers_and_shown_in_a_line() {
        let guard = Guard::OldIdle { token_id: 5, at_least: "24h".parse().unwrap(), last_used_on: None };
        let json = serde_json::to_string(&guard).unwrap();
        assert_eq!(json, r#"{"condition":"old_idle","token_id":5,"at_least":"1d","last_used_on":null}"#);
        assert_eq!(serde_json::from_str::<Guard>(&json).unwrap(), guard);
        assert_eq!(guard.to_string(), "old_idle >= 1d");
        let more = json.replace("null}", "null,\"x\":1}");
        assert!(serde_json::from_str::<Guard>(&more).is_err(), "an unknown member is refused");
        let other = json.replace("old_idle", "moon_is_full");
        assert!(serde_json::from_str::<Guard>(&other).is_err(), "an unknown condition is refused");
    }
}
