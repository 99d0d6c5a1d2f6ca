//! `-o FILE`: where a plan or a snapshot may be written without another file being lost.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use crate::saved::{self, SavedError};

/// Refuses a place that is a spec's, the state's, or another file's than a plan's.
pub fn refuse(path: &Path, state: &Path) -> Result<(), Failure> {
    refuse_but(path, state, "plan", replaceable)
}

/// Refuses a place that is a spec's, the state's, or another file's than a snapshot's.
pub fn refuse_for_snapshot(path: &Path, state: &Path) -> Result<(), Failure> {
    refuse_but(path, state, "snapshot", |bytes| bytes.is_empty() || saved::snapshot::is_snapshot(bytes))
}

fn refuse_but(path: &Path, state: &Path, what: &str, own: impl Fn(&[u8]) -> bool) -> Result<(), Failure> {
    let refused = |why: &str| {
        let message = format!("no {what} is written to {}: it {why}", path.display());
        Err(Failure::usage(message, "Name another file with -o."))
    };
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "yaml" || extension == "yml" {
        return refused("has the name of a spec");
    }
    if real(path).starts_with(real(state)) {
        return refused("is inside the state folder");
    }
    match std::fs::read(path) {
        Ok(bytes) if !own(&bytes) => refused(&format!("is there and is not a {what} file")),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A plan file of this or a newer version, or a file that holds nothing.
fn replaceable(bytes: &[u8]) -> bool {
    bytes.is_empty() || matches!(saved::parse(bytes), Ok(_) | Err(SavedError::Newer { .. }))
}

/// The path without links; of a file that is not there, its folder's.
fn real(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let inside = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(inside).unwrap_or_else(|| path.to_path_buf())
}
