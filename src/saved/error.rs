//! Why a plan file is not believed.

use crate::model::code;
use crate::model::finding::Finding;
use crate::plan::document::FORMAT_VERSION;

/// A plan file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// Truncated, not JSON, a member too many or too few. Exit code 1.
    #[error("this is not a whole plan file: {reason}")]
    Malformed { reason: String },
    /// Exit code 1.
    #[error("the plan file has format version {found}; this tokenform reads up to {FORMAT_VERSION}")]
    Newer { found: String },
    /// The bytes are not the ones that were sealed. Exit code 3.
    #[error("the plan file was changed after it was written: its bytes do not match its seal")]
    Edited,
    /// Exit code 3.
    #[error("the plan file was sealed with key {found}, and the key of this state is {ours}")]
    OtherKey { found: String, ours: String },
}

impl SavedError {
    /// serde's words are fit to print here: a plan file never holds a secret.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        let reason = if error.is_eof() { format!("it ends too early ({error})") } else { error.to_string() };
        Self::Malformed { reason }
    }

    /// The error as told to the user.
    pub fn finding(&self) -> Finding {
        let code = match self {
            Self::Malformed { .. } => code::SEAL_MALFORMED,
            Self::Newer { .. } => code::SEAL_NEWER,
            Self::Edited => code::SEAL_EDITED,
            Self::OtherKey { .. } => code::SEAL_OTHER_KEY,
        };
        Finding::new(code, self.to_string())
    }
}
