//! Plan files: sealed when written, and believed only after the seal was verified over their bytes.
//!
//! The file is the plan's JSON with one more member at the end, `seal`: HMAC-SHA256 under the
//! state's key over all bytes of the file before that member. Bytes are verified first and parsed
//! after; a plan is never serialised again to be compared.

mod digest;
mod error;
mod schema;
pub mod snapshot;
mod unsealed;

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

pub use digest::spec_digest;
pub use error::SavedError;
pub use schema::schema;

use crate::model::secret::DigestKey;
use crate::plan::document::{FORMAT_VERSION, Plan};
use crate::state::atomic;

/// A plan as a file has it, with the file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub plan: Plan,
    pub bytes: Vec<u8>,
}

/// What stands before and behind the seal's 64 digits; the last line end may be missing.
const BEFORE: &[u8] = b"\"seal\": \"";
const BEHIND: &[u8] = b"\"\n}";
const DIGITS: usize = 64;

/// The plan file: pretty JSON with `seal` as its last member.
pub fn seal(plan: &Plan, key: &DigestKey) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(plan)
        .expect("a plan is strings, numbers and lists; the path of a spec is UTF-8");
    // the plan's own `\n}` makes room for one more member
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b",\n  ");
    let seal = key.digest("seal", &bytes);
    for part in [BEFORE, seal.as_str().as_bytes(), BEHIND, b"\n"] {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Reads a plan file without its seal being verified, for `show` and `check`. A file of a newer
/// format is refused; so are unknown members.
pub fn parse(bytes: &[u8]) -> Result<Saved, SavedError> {
    readable(bytes)?;
    let plan = unsealed::plan(bytes).map_err(|error| SavedError::malformed(&error))?;
    Ok(Saved { plan, bytes: bytes.to_vec() })
}

/// Verifies a plan file and reads it: first which key sealed it, then its bytes, then what it says.
pub fn verify(bytes: &[u8], key: &DigestKey) -> Result<Saved, SavedError> {
    let head = head(bytes)?;
    if head.key_id != key.id() {
        return Err(SavedError::OtherKey { found: head.key_id, ours: key.id().to_owned() });
    }
    if head.seal.is_none() {
        return Err(SavedError::Malformed { reason: "it has no `seal`".into() });
    }
    let (covered, seal) = split(bytes).ok_or(SavedError::Edited)?;
    if key.digest("seal", covered).as_str().as_bytes() != seal {
        return Err(SavedError::Edited);
    }
    parse(bytes)
}

/// Writes a plan file with mode 0600, whole or not at all. A link is followed; a device, a pipe or
/// a folder is refused.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there and is not a regular file"))
        }
        Ok(_) => atomic::replace(&fs::canonicalize(path)?, bytes),
        Err(_) => atomic::replace(path, bytes),
    }
}

/// Whether a file is a plan file and not a spec: its first non-blank byte is `{`.
pub fn is_plan(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// What must be known of a file before its seal can be judged.
#[derive(Deserialize)]
struct Head {
    key_id: String,
    seal: Option<String>,
}

/// The head of a file whose format we can read.
fn head(bytes: &[u8]) -> Result<Head, SavedError> {
    readable(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| SavedError::malformed(&error))
}

/// The version is looked at alone and first: a newer format may lack every other member of ours.
fn readable(bytes: &[u8]) -> Result<(), SavedError> {
    #[derive(Deserialize)]
    struct Versioned {
        format_version: String,
    }
    if !is_plan(bytes) && !bytes.trim_ascii().is_empty() {
        return Err(SavedError::Malformed { reason: "it is not a plan file, which begins with `{`".into() });
    }
    let Versioned { format_version } =
        serde_json::from_slice(bytes).map_err(|error| SavedError::malformed(&error))?;
    let found = version(&format_version).ok_or_else(|| SavedError::Malformed {
        reason: format!("`{format_version}` is no format version"),
    })?;
    // ours is a constant of that form
    if Some(found) > version(FORMAT_VERSION) {
        return Err(SavedError::Newer { found: format_version });
    }
    Ok(())
}

/// `MAJOR.MINOR` as two numbers, which compare as versions do.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The bytes that the seal covers, and the seal; `None` if the file does not end as [`seal`] ends it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes).strip_suffix(BEHIND)?;
    let (rest, seal) = bytes.split_at(bytes.len().checked_sub(DIGITS)?);
    Some((rest.strip_suffix(BEFORE)?, seal))
}

#[cfg(test)]
pub(crate) mod tests;
