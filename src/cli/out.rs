//! `-o FILE`: where a plan may be written without another file being lost.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use crate::saved::{self, SavedError};

/// Refuses a place that is a spec's, the state's, or another file's.
pub fn refuse(path: &Path, state: &Path) -> Result<(), Failure> {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension == "yaml" || extension == "yml" {
        return Err(refused(path, "has the name of a spec"));
    }
    if real(path).starts_with(real(state)) {
        return Err(refused(path, "is inside the state folder"));
    }
    match std::fs::read(path) {
        Ok(bytes) if !replaceable(&bytes) => Err(refused(path, "is there and is not a plan file")),
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

fn refused(path: &Path, why: &str) -> Failure {
    Failure::usage(
        format!("no plan is written to {}: it {why}", path.display()),
        "Name another file with -o.",
    )
}
