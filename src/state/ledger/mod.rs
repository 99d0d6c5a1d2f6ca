//! What all journals add up to: one line per finished step, and per decision that no journal tells
//! of. Append-only, hash-chained, secret-free.
//!
//! The chain has one form in all versions: a line's last member is `hash`, SHA-256 over the line's
//! own bytes without it; `prev` before it is the hash of the line before. Changing, moving or
//! dropping a line in the middle breaks the chain; cutting lines off the end shows where something
//! else names a later one (see `verify`).

mod line;

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub use self::line::{Entry, Finished, Line, VERSION};
use self::line::{First, Stored, Written};
use super::lines::{self, Whole};
use super::{LockGuard, StateDir, StateError};
use crate::model::finding::Finding;
use crate::model::secret::hex;
use crate::model::step::StepId;

/// A ledger whose chain holds.
#[derive(Debug, Default)]
pub struct Ledger {
    pub lines: Vec<Line>,
    /// The hash of the last line.
    pub head: Option<String>,
    /// A torn last line, if there was one.
    pub findings: Vec<Finding>,
    /// How many bytes of the file are whole lines.
    pub(super) length: usize,
}

/// A ledger as it is, damage and all: for people who look at it.
#[derive(Debug, Default)]
pub struct Survey {
    /// The lines that are as they were written, each with its number (from 1) and its hash.
    pub rows: Vec<Row>,
    /// What is wrong, in the order of the lines. A line behind a damaged one is judged by itself.
    pub damage: Vec<StateError>,
    pub torn: Option<Finding>,
    /// The hash of the last line, where that line is as it was written.
    pub head: Option<String>,
    length: usize,
}

#[derive(Debug)]
pub struct Row {
    pub number: usize,
    pub hash: String,
    pub line: Line,
}

/// Reads the ledger and verifies its chain. No file is an empty ledger.
pub fn read(dir: &StateDir) -> Result<Ledger, StateError> {
    let Survey { rows, damage, torn, head, length } = survey(dir)?;
    match damage.into_iter().next() {
        Some(damage) => Err(damage),
        None => Ok(Ledger {
            lines: rows.into_iter().map(|row| row.line).collect(),
            head,
            findings: torn.into_iter().collect(),
            length,
        }),
    }
}

/// Reads every line of the ledger that can be believed. Fails only where the file can't be read.
pub fn survey(dir: &StateDir) -> Result<Survey, StateError> {
    let path = dir.ledger_path();
    let whole = match Whole::read(&path) {
        Ok(Some(whole)) => whole,
        Ok(None) => return Ok(Survey::default()),
        Err(damage @ StateError::Damaged { .. }) => {
            return Ok(Survey { damage: vec![damage], ..Survey::default() });
        }
        Err(error) => return Err(error),
    };
    let mut survey = Survey { length: whole.bytes.len(), ..Survey::default() };
    let mut before = Before::Hash(None);
    for (number, bytes) in whole.lines() {
        before = match open(&path, number, bytes) {
            Ok(link) => {
                survey.take(&path, number, bytes, &link, &before);
                Before::Hash(Some(link.hash))
            }
            Err(damage) => {
                survey.damage.push(damage);
                Before::Damaged
            }
        };
    }
    survey.torn = whole.torn;
    if let Before::Hash(head) = before {
        survey.head = head;
    }
    Ok(survey)
}

/// The line before the one that is looked at.
enum Before {
    /// Its hash; the first line has none before it.
    Hash(Option<String>),
    /// Nobody knows what its hash was.
    Damaged,
}

impl Survey {
    fn take(&mut self, path: &Path, number: usize, bytes: &[u8], link: &Link, before: &Before) {
        if let Before::Hash(hash) = before
            && link.prev != *hash
        {
            let reason = "does not follow the line before: the chain is broken";
            self.damage.push(StateError::damaged(path, number, reason));
        }
        match parse(path, number, bytes, link.version) {
            Ok(line) => self.rows.push(Row { number, hash: link.hash.clone(), line }),
            Err(damage) => self.damage.push(damage),
        }
    }
}

/// Adds a line that no journal tells of. `_held` shows that the state is locked, and says by whom.
pub fn add(
    dir: &StateDir,
    _held: &LockGuard,
    at: Timestamp,
    reason: Option<String>,
    entry: Entry,
) -> Result<(), StateError> {
    read(dir)?.append(dir, vec![Line { at, by: dir.by(), reason, entry }])?;
    dir.kept("the ledger")
}

impl Ledger {
    /// Every step that is in the ledger, by apply id and step id.
    pub(super) fn known(&self) -> BTreeSet<(&str, &StepId)> {
        let steps = self.lines.iter().filter_map(|line| line.entry.step());
        steps.map(|step| (step.apply.as_str(), &step.step)).collect()
    }

    /// Whether an apply was given up.
    pub(super) fn abandons(&self, apply: &str) -> bool {
        self.lines.iter().any(|line| matches!(&line.entry, Entry::Abandoned { apply: id, .. } if id == apply))
    }

    /// Chains lines behind the last one, and writes and syncs them as one batch.
    pub(super) fn append(&self, dir: &StateDir, batch: Vec<Line>) -> Result<(), StateError> {
        let path = dir.ledger_path();
        let mut head = self.head.clone();
        let mut bytes = Vec::new();
        for line in batch {
            let (stored, hash) = seal(&line, head.as_deref());
            bytes.extend_from_slice(&stored);
            head = Some(hash);
        }
        let file = lines::append_after(&path, self.length).map_err(StateError::io("open", &path))?;
        lines::append(&file, &bytes).map_err(StateError::io("write", &path))
    }
}

/// A line with its hash, ready for the file; and the hash.
fn seal(line: &Line, prev: Option<&str>) -> (Vec<u8>, String) {
    let Line { at, by, reason, entry } = line;
    let written = Written { version: VERSION, at: *at, by, reason: reason.as_deref(), entry, prev };
    let mut bytes = lines::to_line(&written);
    bytes.pop();
    let hash = hex(&Sha256::digest(&bytes));
    bytes.pop();
    bytes.extend_from_slice(format!("{}{hash}{}\n", HASH.0, HASH.1).as_bytes());
    (bytes, hash)
}

/// What stands before and behind a hash in a line.
const HASH: (&str, &str) = (",\"hash\":\"", "\"}");
const HASH_DIGITS: usize = 64;

/// What chains a line, in every version.
#[derive(Deserialize)]
struct Link {
    version: u32,
    #[serde(default)]
    prev: Option<String>,
    hash: String,
}

/// Checks a line's hash over its bytes, and only then believes what it says of its place.
fn open(path: &Path, number: usize, bytes: &[u8]) -> Result<Link, StateError> {
    let damaged = |reason: &str| StateError::damaged(path, number, reason);
    let tail = HASH.0.len() + HASH_DIGITS + HASH.1.len();
    let split = bytes.len().checked_sub(tail).ok_or_else(|| damaged("is not a ledger line"))?;
    let hash = hex(&Sha256::new().chain_update(&bytes[..split]).chain_update(b"}").finalize());
    if bytes[split..] != *format!("{}{hash}{}", HASH.0, HASH.1).as_bytes() {
        return Err(damaged("does not match its hash: the line was changed"));
    }
    serde_json::from_slice(bytes).map_err(|error| damaged(&format!("is not a ledger line: {error}")))
}

fn parse(path: &Path, number: usize, bytes: &[u8], version: u32) -> Result<Line, StateError> {
    let line = match version {
        0 => return Err(StateError::damaged(path, number, "has format version 0, which never was")),
        1 => serde_json::from_slice::<First>(bytes).map(Line::from),
        VERSION => serde_json::from_slice::<Stored>(bytes).map(Line::from),
        found => return Err(StateError::Newer { path: path.to_owned(), found, ours: VERSION }),
    };
    line.map_err(|error| StateError::damaged(path, number, format!("is not a ledger line: {error}")))
}

#[cfg(test)]
mod tests;
