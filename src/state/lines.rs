//! Files of JSON lines that are appended to: a crash can tear the last line and no other.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{StateError, atomic};
use crate::model::code;
use crate::model::finding::Finding;

/// A file's bytes, up to the end of its last whole line.
pub(super) struct Whole {
    pub bytes: Vec<u8>,
    /// Whether something behind the last line end was dropped.
    pub torn: Option<Finding>,
}

impl Whole {
    /// Reads a file; `None` if it does not exist.
    pub fn read(path: &Path) -> Result<Option<Self>, StateError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(Self::cut(bytes, path))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", path)(error)),
        }
    }

    fn cut(mut bytes: Vec<u8>, path: &Path) -> Self {
        let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1);
        let torn = (end < bytes.len()).then(|| torn_finding(path, bytes.len() - end));
        bytes.truncate(end);
        Self { bytes, torn }
    }

    /// The lines without their ends, numbered from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        (1..).zip(
            self.bytes.split_inclusive(|b| *b == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line)),
        )
    }
}

fn torn_finding(path: &Path, bytes: usize) -> Finding {
    Finding::new(
        code::STATE_TORN,
        format!("the last line of {} was not written whole; its {bytes} bytes are dropped", path.display()),
    )
}

/// Opens a file for appending behind its first `keep` bytes: what a crash tore off is cut away.
/// Creates it with mode 0600 if `keep` is 0.
pub(super) fn append_after(path: &Path, keep: usize) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(keep == 0).mode(0o600).open(path)?;
    let length = u64::try_from(keep).unwrap_or(u64::MAX);
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    atomic::sync_folder(atomic::folder(path))?;
    Ok(file)
}

/// Appends bytes and makes them durable.
pub(super) fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_data()
}

/// A value as one line of JSON.
pub(super) fn to_line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("a record is strings, numbers and maps with text keys");
    line.push(b'\n');
    line
}
