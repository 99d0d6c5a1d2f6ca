//! What a step does, as a closed list with a property table. Rules, retries and rendering key on
//! the properties, never on vendor names.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One kind of remote mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Replaces the one token of an identity in a team; the old value dies at once.
    Reset,
    /// Creates a token; its secret is shown once.
    Issue,
    /// Brings the value read from the vendor to a destination; changes nothing remote.
    Deliver,
    Enable,
    Disable,
    Delete,
    /// Sets an instance to refuse API tokens.
    Lock,
    /// Sets an instance to accept API tokens.
    Unlock,
    Protect,
    Unprotect,
}

/// What holds for a verb, whatever the vendor.
pub struct Properties {
    pub yields_secret: bool,
    /// Doing it twice has the effect of doing it once.
    pub repeatable: bool,
    /// Something is lost that can't be brought back.
    pub irreversible: bool,
}

impl Verb {
    pub fn properties(self) -> Properties {
        let row =
            |yields_secret, repeatable, irreversible| Properties { yields_secret, repeatable, irreversible };
        match self {
            //                     secret repeat irreversible
            Self::Reset => row(true, false, true),
            Self::Issue => row(true, false, false),
            Self::Deliver => row(true, true, false),
            Self::Enable | Self::Disable => row(false, true, false),
            Self::Delete => row(false, true, true),
            Self::Lock | Self::Unlock => row(false, false, false),
            Self::Protect | Self::Unprotect => row(false, true, false),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Issue => "issue",
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

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
