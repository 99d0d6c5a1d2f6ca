//! How a run ends: the exit codes (PRODUCT section 4), and what each failure comes to.

use crate::apply::ApplyError;
use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::saved::SavedError;
use crate::state::StateError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or no changes, or only waiting.
    Done,
    /// An error, usage included; a truncated or newer plan file.
    Error,
    /// Changes are pending; only with `plan --detailed-exitcode`.
    Changes,
    /// Refused by a rule, a limit, a protection, or a seal that doesn't match.
    Refused,
    /// The spec or live state moved since the plan, or it expired.
    Stale,
    /// The state lock is held.
    Locked,
    /// Some steps failed or are in doubt.
    Partial,
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::Refused => 3,
            Self::Stale => 4,
            Self::Locked => 5,
            Self::Partial => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Exit {
    /// The word that an outcome has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
            Self::Changes => "changes",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::Locked => "locked",
            Self::Partial => "partial",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A run that did not come to its end.
pub struct Failure {
    pub exit: Exit,
    /// What happened, why and what to do next.
    pub findings: Vec<Finding>,
    pub sources: Sources,
}

impl Failure {
    pub fn new(exit: Exit, finding: Finding) -> Self {
        Self { exit, findings: vec![finding], sources: Sources::default() }
    }

    /// Findings with one exit code: the gravest of the errors among them.
    pub fn of(findings: Vec<Finding>, sources: Sources) -> Self {
        let errors = findings.iter().filter(|f| f.is_error());
        let refused = errors.map(|f| of_code(f.code)).all(|exit| exit == Exit::Refused);
        let exit = if refused { Exit::Refused } else { Exit::Error };
        Self { exit, findings, sources }
    }

    /// A usage error found behind clap.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Error, Finding::new(code::USAGE, message).help(help))
    }
}

/// Whether an error of planning is a refusal (the wish is understood and not allowed) or an error
/// (the wish or the world could not be read).
fn of_code(code: Code) -> Exit {
    let errors = [
        code::PLAN_UNREADABLE,
        code::PLAN_AMBIGUOUS,
        code::PLAN_USER_MISSING,
        code::PLAN_NAME_NOT_FOUND,
        code::PLAN_TARGET,
        code::IBM_UNKNOWN_AUTH_MODE,
        code::IBM_MODE_CONFLICT,
        code::HTTP_CALL,
        code::CREDENTIAL,
    ];
    if errors.contains(&code) || code.id().starts_with("tokenform::spec::") {
        Exit::Error
    } else if code.id().starts_with("tokenform::plan::") || code.id().starts_with("tokenform::ibm::") {
        Exit::Refused
    } else {
        Exit::Error
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let exit = match error {
            StateError::Held(_) => Exit::Locked,
            _ => Exit::Error,
        };
        Self::new(exit, error.finding())
    }
}

impl From<SavedError> for Failure {
    fn from(error: SavedError) -> Self {
        let exit = match error {
            SavedError::Malformed { .. } | SavedError::Newer { .. } => Exit::Error,
            SavedError::Edited | SavedError::OtherKey { .. } => Exit::Refused,
        };
        Self::new(exit, error.finding())
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::State(error) => error.into(),
            ApplyError::Closed(finding) => Self::new(Exit::Refused, *finding),
            ApplyError::Destination(error) => {
                let finding = error.finding();
                let message = format!("{}; nothing was changed", finding.message);
                Self::new(Exit::Error, Finding { message, ..finding })
            }
        }
    }
}
