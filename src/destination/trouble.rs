//! Why a destination can't take a value, and whether trying again may help.

use std::io::ErrorKind;
use std::path::Path;

use crate::model::code;
use crate::model::finding::Finding;

/// A destination that can't take the value. Names it and says why; never holds the value.
#[derive(Clone, Debug, thiserror::Error)]
#[error("destination `{name}`: {reason}")]
pub struct DestinationError {
    pub name: String,
    pub reason: String,
    pub help: Option<String>,
    /// How often it makes sense to try in all: 1 where trying again will not help.
    pub tries: u32,
}

impl DestinationError {
    /// The error as told to the user.
    pub fn finding(&self) -> Finding {
        let finding = Finding::new(code::DESTINATION, self.to_string());
        match &self.help {
            Some(help) => finding.help(help.clone()),
            None => finding,
        }
    }
}

/// Why a destination can't take a value, and what to do about it.
pub(super) struct Trouble {
    pub reason: String,
    pub help: Option<String>,
    pub tries: u32,
}

/// A failure that may pass: a full disk, a store that is busy.
pub(super) const MAY_PASS: u32 = 4;
/// One that may pass and takes long to show.
pub(super) const MAY_PASS_SLOWLY: u32 = 2;

/// Errors that trying again does not mend.
const LASTS: [ErrorKind; 5] = [
    ErrorKind::InvalidInput,
    ErrorKind::IsADirectory,
    ErrorKind::NotADirectory,
    ErrorKind::PermissionDenied,
    ErrorKind::ReadOnlyFilesystem,
];

impl Trouble {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), help: None, tries: 1 }
    }

    /// An error of the operating system.
    pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let trouble = Self::new(format!("can't {doing} {}: {error}", path.display()));
        if LASTS.contains(&error.kind()) { trouble } else { trouble.tries(MAY_PASS) }
    }

    pub fn tries(self, tries: u32) -> Self {
        Self { tries, ..self }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub fn named(self, name: &str) -> DestinationError {
        let Self { reason, help, tries } = self;
        DestinationError { name: name.to_owned(), reason, help, tries }
    }
}
