//! What all journals add up to: one line per finished step, append-only, hash-chained, secret-free.
//!
//! A line's `hash` is SHA-256 over the line's own bytes without `hash`; `prev` is the hash of the
//! line before. Changing, moving or dropping a line in the middle breaks the chain; cutting lines
//! off the end shows where a plan's `ledger_head` names a later one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::{self, Whole};
use super::{StateDir, StateError};
use crate::model::address::Address;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::secret::{Fingerprint, hex};
use crate::model::step::StepId;
use crate::model::verb::Verb;

/// The ledger's format version; a newer one is refused.
pub const VERSION: u32 = 1;

/// A finished step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub version: u32,
    /// The apply's id.
    pub apply: String,
    pub step: StepId,
    /// When it was finished.
    pub at: Timestamp,
    pub address: Address,
    pub verb: Verb,
    pub facts: Facts,
    /// Slot → fingerprint of the value it was given.
    pub delivered: BTreeMap<String, Fingerprint>,
    pub rationale: Option<String>,
    /// `user@host` of the run that did it.
    pub by: Option<String>,
    /// The hash of the line before; absent on the first.
    pub prev: Option<String>,
}

/// A line as it stands in the file: `hash` is its last member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    apply: String,
    step: StepId,
    at: Timestamp,
    address: Address,
    verb: Verb,
    facts: Facts,
    delivered: BTreeMap<String, Fingerprint>,
    rationale: Option<String>,
    by: Option<String>,
    prev: Option<String>,
    hash: String,
}

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

/// Reads the ledger and verifies its chain. No file is an empty ledger.
pub fn read(dir: &StateDir) -> Result<Ledger, StateError> {
    let path = dir.ledger_path();
    let Some(whole) = Whole::read(&path)? else {
        return Ok(Ledger::default());
    };
    let mut ledger = Ledger { length: whole.bytes.len(), ..Ledger::default() };
    for (number, bytes) in whole.lines() {
        let (line, hash) = open(&path, number, bytes)?;
        if line.prev != ledger.head {
            return Err(StateError::damaged(
                &path,
                number,
                "does not follow the line before: the chain is broken",
            ));
        }
        ledger.lines.push(line);
        ledger.head = Some(hash);
    }
    ledger.findings.extend(whole.torn);
    Ok(ledger)
}

/// Verifies the chain: how many lines it has, and its head.
pub fn verify(dir: &StateDir) -> Result<(usize, Option<String>), StateError> {
    read(dir).map(|ledger| (ledger.lines.len(), ledger.head))
}

impl Ledger {
    /// Every step that is in the ledger, by apply id and step id.
    pub(super) fn known(&self) -> BTreeSet<(&str, &StepId)> {
        self.lines.iter().map(|line| (line.apply.as_str(), &line.step)).collect()
    }

    /// Chains lines behind the last one, and writes and syncs them as one batch. `prev` is filled in.
    pub(super) fn append(&self, dir: &StateDir, batch: Vec<Line>) -> Result<(), StateError> {
        let path = dir.ledger_path();
        let mut head = self.head.clone();
        let mut bytes = Vec::new();
        for mut line in batch {
            line.prev = head;
            let (stored, hash) = seal(&line);
            bytes.extend_from_slice(&stored);
            head = Some(hash);
        }
        let file = lines::append_after(&path, self.length).map_err(StateError::io("open", &path))?;
        lines::append(&file, &bytes).map_err(StateError::io("write", &path))
    }
}

/// A line with its hash, ready for the file; and the hash.
fn seal(line: &Line) -> (Vec<u8>, String) {
    let mut bytes = lines::to_line(line);
    bytes.pop();
    let hash = hex(&Sha256::digest(&bytes));
    bytes.pop();
    bytes.extend_from_slice(format!("{}{hash}{}\n", HASH.0, HASH.1).as_bytes());
    (bytes, hash)
}

/// What stands before and behind a hash in a line.
const HASH: (&str, &str) = (",\"hash\":\"", "\"}");
const HASH_DIGITS: usize = 64;

/// Checks a line's hash over its bytes, and only then reads it.
fn open(path: &Path, number: usize, bytes: &[u8]) -> Result<(Line, String), StateError> {
    let damaged = |reason: &str| StateError::damaged(path, number, reason);
    newer(path, bytes)?;
    let tail = HASH.0.len() + HASH_DIGITS + HASH.1.len();
    let split = bytes.len().checked_sub(tail).ok_or_else(|| damaged("is not a ledger line"))?;
    let covered = [&bytes[..split], b"}".as_slice()].concat();
    let hash = hex(&Sha256::digest(&covered));
    if bytes[split..] != *format!("{}{hash}{}", HASH.0, HASH.1).as_bytes() {
        return Err(damaged("does not match its hash: the line was changed"));
    }
    let stored = serde_json::from_slice(bytes);
    let stored: Stored = stored.map_err(|error| damaged(&format!("is not a ledger line: {error}")))?;
    Ok(stored.apart())
}

/// The version alone, whatever else a newer line holds.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn newer(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    match serde_json::from_slice::<Versioned>(bytes) {
        Ok(Versioned { version }) if version > VERSION => {
            Err(StateError::Newer { path: path.to_owned(), found: version, ours: VERSION })
        }
        _ => Ok(()),
    }
}

impl Stored {
    fn apart(self) -> (Line, String) {
        let Self { version, apply, step, at, address, verb, facts, delivered, rationale, by, prev, hash } =
            self;
        (Line { version, apply, step, at, address, verb, facts, delivered, rationale, by, prev }, hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(n: usize) -> Line {
        let address = Address::connection("ibm", "prod").owner("m").item("team", &format!("t{n}"));
        Line {
            version: VERSION,
            apply: "a1".into(),
            step: StepId::new(Verb::Reset, &address, 1),
            at: "2026-11-22T10:00:00Z".parse().unwrap(),
            address,
            verb: Verb::Reset,
            facts: Facts::default(),
            delivered: BTreeMap::new(),
            rationale: Some("TRA-12".into()),
            by: None,
            prev: None,
        }
    }

    fn three() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        Ledger::default().append(&state, vec![line(1), line(2)]).unwrap();
        read(&state).unwrap().append(&state, vec![line(3)]).unwrap();
        (dir, state)
    }

    #[test]
    fn lines_read_back_chained_and_their_bytes_are_pinned() {
        let (_dir, state) = three();
        let ledger = read(&state).unwrap();
        assert_eq!(ledger.lines.len(), 3);
        assert_eq!(verify(&state).unwrap(), (3, ledger.head));
        let text = fs::read_to_string(state.ledger_path()).unwrap();
        let (first, hash) = text.lines().next().unwrap().split_once(",\"hash\":").unwrap();
        assert_eq!(
            first,
            r#"{"version":1,"apply":"a1","step":"reset ibm.prod.m.team[\"t1\"]","at":"2026-11-22T10:00:00Z","address":"ibm.prod.m.team[\"t1\"]","verb":"reset","facts":{},"delivered":{},"rationale":"TRA-12","by":null,"prev":null"#
        );
        assert_eq!(hash, format!("\"{}\"}}", hex(&Sha256::digest(format!("{first}}}")))));
    }

    fn damage_of(change: impl Fn(&str) -> String) -> StateError {
        let (_dir, state) = three();
        let text = fs::read_to_string(state.ledger_path()).unwrap();
        fs::write(state.ledger_path(), change(&text)).unwrap();
        read(&state).unwrap_err()
    }

    #[test]
    fn tampering_is_found_and_the_line_named() {
        type Change<'a> = &'a dyn Fn(&str) -> String;
        let cases: [(usize, Change<'_>); 4] = [
            (1, &|text| text.replacen("TRA-12", "TRA-13", 1)),
            (2, &|text| {
                text.lines().enumerate().filter(|(i, _)| *i != 1).map(|(_, l)| format!("{l}\n")).collect()
            }),
            (2, &|text| format!("{}\nrubbish\n", text.lines().next().unwrap())),
            (1, &|text| text.split_inclusive('\n').skip(1).collect()),
        ];
        for (expected, change) in cases {
            let error = damage_of(change);
            assert!(matches!(error, StateError::Damaged { line, .. } if line == expected), "{error}");
        }
    }

    #[test]
    fn a_newer_line_is_refused_as_newer() {
        let error = damage_of(|text| format!("{text}{{\"version\":2,\"what\":1}}\n"));
        assert!(matches!(error, StateError::Newer { found: 2, .. }), "{error}");
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_cut_off_by_the_next_append() {
        let (_dir, state) = three();
        let text = fs::read_to_string(state.ledger_path()).unwrap();
        fs::write(state.ledger_path(), &text[..text.len() - 9]).unwrap();
        let ledger = read(&state).unwrap();
        assert_eq!((ledger.lines.len(), ledger.findings.len()), (2, 1));
        ledger.append(&state, vec![line(3)]).unwrap();
        assert_eq!(fs::read_to_string(state.ledger_path()).unwrap(), text);
    }
}
