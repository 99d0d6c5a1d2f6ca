//! What a person reviews: one object, what happens to it and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::step::StepId;

/// What a change amounts to for its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Rotate,
    Invalidate,
    Deliver,
    Enable,
    Disable,
    Delete,
    Lock,
    Unlock,
    Protect,
    Unprotect,
}

impl Action {
    pub const ALL: [Self; 11] = [
        Self::Create,
        Self::Rotate,
        Self::Lock,
        Self::Enable,
        Self::Disable,
        Self::Delete,
        Self::Invalidate,
        Self::Deliver,
        Self::Unlock,
        Self::Protect,
        Self::Unprotect,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Rotate => "rotate",
            Self::Invalidate => "invalidate",
            Self::Deliver => "deliver",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Protect => "protect",
            Self::Unprotect => "unprotect",
        }
    }
}

/// One reviewed change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub address: Address,
    /// The kind of object, for example `team_token`.
    pub kind: String,
    pub action: Action,
    /// Why it is needed.
    pub reason: String,
    /// Why people want it, where they said so: the spec's `rationale`, or `--reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    pub fields: Vec<Field>,
    /// What else people should know: outages, mails to owners, last use.
    pub notes: Vec<String>,
    pub steps: Vec<StepId>,
}

impl Change {
    /// Both reasons, as people read them.
    pub fn why(&self) -> String {
        let rationale = self.rationale.as_deref();
        [Some(self.reason.as_str()), rationale].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// One attribute before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: String,
    /// Absent when the object does not exist yet.
    pub before: Option<String>,
    /// Absent when the object goes away; `(known after apply)` for what the vendor decides.
    pub after: Option<String>,
}

/// Something that is due later, or that waits for another thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    pub address: Address,
    pub what: String,
    /// Not before this instant, where one is known.
    #[schemars(with = "Option<String>")]
    pub until: Option<jiff::Timestamp>,
}
