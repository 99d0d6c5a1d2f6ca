//! Live tokens that a spec does not declare, and what becomes of each.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::vocabulary::Period;

/// A token under `unlisted_tokens`, with all that is judged by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlistedToken {
    /// `…api_token["#252"]`: by its id, since it has no name in the spec.
    pub address: Address,
    pub token_id: u64,
    /// The user whose it is.
    pub owner: String,
    /// As its maker wrote it.
    pub note: String,
    pub enabled: bool,
    #[schemars(with = "Option<String>")]
    pub created_on: Option<Timestamp>,
    pub created_by: String,
    #[schemars(with = "Option<String>")]
    pub last_used_on: Option<Timestamp>,
    /// The vendor says that it was never used. Where it is `false` and there is no last use, nobody
    /// tells.
    pub never_used: bool,
    /// The address that it was last used from.
    pub last_auth_ip: Option<String>,
    /// `unused_for` of the spec.
    pub unused_for: Option<Period>,
    pub fate: Fate,
    pub why: String,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    Disable,
    Delete,
    /// Disabled by tokenform, and not yet to be deleted.
    Waits,
    /// A person should look at it.
    Reported,
    /// It is in use, or left alone on purpose.
    Stays,
}

impl Fate {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "to be disabled",
            Self::Delete => "to be deleted",
            Self::Waits => "waiting to be deleted",
            Self::Reported => "only reported",
            Self::Stays => "left alone",
        }
    }
}

/// How long tokenform leaves an unlisted token disabled before it deletes it.
pub const KEPT_DISABLED: Period = Period::days(7);

impl UnlistedToken {
    /// Since when it is unused: its last use, else its creation where it was never used. `None`: nobody
    /// tells.
    pub fn unused_since(&self) -> Option<Timestamp> {
        self.last_used_on.or(self.created_on.filter(|_| self.never_used))
    }

    /// When it was last used, for people: with its age and whence.
    pub fn last_use(&self, now: Timestamp) -> String {
        let ago = |at| Period::between(at, now).rough();
        match (self.last_used_on, self.never_used) {
            (Some(at), _) => {
                let from = self.last_auth_ip.as_ref().map(|ip| format!(" from {ip}")).unwrap_or_default();
                format!("last used {} ago{from} ({at})", ago(at))
            }
            (None, true) => "never used".to_owned(),
            (None, false) => "no data of its use".to_owned(),
        }
    }

    /// Who made it and when, for people.
    pub fn origin(&self) -> String {
        let by = if self.created_by.is_empty() { String::new() } else { format!(" by {}", self.created_by) };
        self.created_on.map_or(format!("made{by} nobody tells when"), |at| format!("made {at}{by}"))
    }
}
