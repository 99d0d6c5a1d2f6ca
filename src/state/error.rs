//! Why the state folder can't be used, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lock::Held;
use crate::model::code::{self, Code};
use crate::model::finding::Finding;

/// A state folder that can't be used as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateError {
    /// Reading or writing failed: permissions, a full disk.
    #[error("can't {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// The key is missing or unusable. Never quotes it.
    #[error("the state key {reason}")]
    Key { reason: String },
    /// Another run holds the lock: exit code 5.
    #[error("{0}")]
    Held(Box<Held>),
    /// A line that was not left by a crash: by hand, or by a failing disk.
    #[error("{} line {line}: {reason}", .path.display())]
    Damaged { path: PathBuf, line: usize, reason: String },
    #[error("{} has format version {found}; this tokenform reads up to {ours}", .path.display())]
    Newer { path: PathBuf, found: u32, ours: u32 },
    /// A journal is still there: its apply is not settled.
    #[error("{} is the journal of an apply that is not settled", .path.display())]
    Unsettled { path: PathBuf },
    /// The file that is being written is no longer the one of its name.
    #[error("{} was removed or replaced while this run writes it", .path.display())]
    Gone { path: PathBuf },
    /// The journal's writer stopped after an earlier failure.
    #[error("{} can't be written any more after an earlier error", .path.display())]
    Stopped { path: PathBuf },
}

impl StateError {
    /// Wraps an I/O error: `.map_err(StateError::io("read", &path))`.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn damaged(path: &Path, line: usize, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), line, reason: reason.into() }
    }

    /// The error as told to the user.
    pub fn finding(&self) -> Finding {
        let finding = Finding::new(self.code(), self.to_string());
        match self {
            Self::Held(held) => finding.help(held.help()),
            Self::Damaged { path, .. } => finding.help(after_damage(path)),
            _ => finding,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Gone { .. } | Self::Stopped { .. } => code::STATE_IO,
            Self::Key { .. } => code::STATE_KEY,
            Self::Held(_) => code::STATE_HELD,
            Self::Damaged { .. } => code::STATE_DAMAGED,
            Self::Newer { .. } => code::STATE_NEWER,
            Self::Unsettled { .. } => code::STATE_UNSETTLED,
        }
    }
}

/// The way out, where there is no backup to restore.
fn after_damage(path: &Path) -> String {
    let is_ledger = path.file_name().is_some_and(|name| name == "ledger.jsonl");
    let file = path.display();
    match is_ledger {
        true => format!(
            "Restore {file} from a backup. If there is none, move it out of the folder: a new ledger begins, and the \
             plan says what is then unknown (NEW STATE)."
        ),
        false => format!(
            "Restore {file} from a backup. If there is none, its other lines still say, each by itself, which steps \
             were under way: look at those objects at the vendor, then move the file out of the folder and plan anew."
        ),
    }
}
