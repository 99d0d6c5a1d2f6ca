//! Files of JSON lines that are appended to: a crash can tear the last line and no other.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{StateError, atomic};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::hex;

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
            Ok(bytes) => Self::cut(bytes, path).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", path)(error)),
        }
    }

    fn cut(mut bytes: Vec<u8>, path: &Path) -> Result<Self, StateError> {
        let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1);
        if whole_but_for_its_end(&bytes[end..]) {
            let number = bytes[..end].iter().filter(|b| **b == b'\n').count() + 1;
            return Err(StateError::damaged(path, number, "has lost its line end"));
        }
        let torn = (end < bytes.len()).then(|| torn_finding(path, bytes.len() - end));
        bytes.truncate(end);
        Ok(Self { bytes, torn })
    }

    /// The lines without their ends, numbered from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        (1..).zip(
            self.bytes.split_inclusive(|b| *b == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line)),
        )
    }
}

/// Whether a whole line has another byte for its end. No crash leaves that: what it tears is the
/// beginning of a line, and no beginning of an object is an object. It was written, and acted on.
fn whole_but_for_its_end(tail: &[u8]) -> bool {
    let is_object =
        |text: &[u8]| text.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    tail.split_last().is_some_and(|(_, line)| is_object(line))
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

/// What stands before and behind the checksum of a line.
const SUM: (&str, &str) = (",\"sum\":\"", "\"}");
const SUM_DIGITS: usize = 16;

/// An object as one line of JSON whose last member is a checksum: `sum`, half of the SHA-256 of the
/// line without it. A byte that a disk has changed would else be another valid name or number.
pub(super) fn to_summed_line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut line = to_line(value);
    line.truncate(line.len() - 1);
    let sum = sum_of(&line);
    line.truncate(line.len() - 1);
    line.extend_from_slice(format!("{}{sum}{}\n", SUM.0, SUM.1).as_bytes());
    line
}

/// The line without its checksum; `None` if that is wrong. One that has none is taken as it is.
pub(super) fn unsummed(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    let split = line.len().checked_sub(SUM.0.len() + SUM_DIGITS + SUM.1.len());
    let Some((object, tail)) =
        split.map(|at| line.split_at(at)).filter(|(_, t)| t.starts_with(SUM.0.as_bytes()))
    else {
        return Some(Cow::Borrowed(line));
    };
    let object = [object, b"}"].concat();
    let expected = format!("{}{}{}", SUM.0, sum_of(&object), SUM.1);
    (tail == expected.as_bytes()).then_some(Cow::Owned(object))
}

fn sum_of(object: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(object)[..SUM_DIGITS / 2])
}

/// A value as one line of JSON.
pub(super) fn to_line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("a record is strings, numbers and maps with text keys");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found_wherever_it_is() {
        let line = to_summed_line(&serde_json::json!({ "done": { "step": "a", "at": 7 } }));
        let line = line.strip_suffix(b"\n").unwrap();
        assert_eq!(unsummed(line).unwrap(), br#"{"done":{"at":7,"step":"a"}}"#.as_slice());
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.to_vec();
                changed[at] ^= 1 << bit;
                let read = unsummed(&changed).map(Cow::into_owned);
                // without its checksum's name it is one more member, which no reader takes
                let two = |object: &[u8]| {
                    let object = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(object);
                    object.is_ok_and(|object| object.len() == 1)
                };
                assert!(!read.as_deref().is_some_and(two), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_torn_line_is_dropped_and_one_whose_end_was_changed_is_damage() {
        let line = to_summed_line(&serde_json::json!({ "a": { "b": [1, "}"] } }));
        for cut in 1..line.len() {
            let whole = Whole::cut([&line, &line[..cut]].concat(), Path::new("x")).unwrap();
            assert_eq!((whole.bytes.as_slice(), whole.torn.is_some()), (line.as_slice(), true), "{cut}");
        }
        let mut changed = [line.clone(), line.clone()].concat();
        *changed.last_mut().unwrap() = b'\x0b';
        let error = Whole::cut(changed, Path::new("x")).err().unwrap();
        assert!(matches!(error, StateError::Damaged { line: 2, .. }), "{error}");
    }
}
