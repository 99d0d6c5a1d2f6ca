//! Snapshot files: live state, and what the ledger remembers of it, as one read saw them, without any
//! secret. A plan from one needs no network and is the same wherever and whenever it is made.
//!
//! The file's last member, `sha256`, is over all bytes before it: a damaged file is told from one that
//! says something else. It is no seal, since such a plan can't be applied.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::version;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::History;
use crate::model::observed::Observed;
use crate::model::secret::{DigestKey, Secret, sha256_hex};
use crate::model::vocabulary::Target;
use crate::provider::ibm::state::LiveInstance;
use crate::provider::logicmonitor::state::{LiveUser, PortalRead};
use crate::provider::state::{Caller, Snapshot};

/// The file format's version: `MAJOR.MINOR`. A reader takes every minor of its major up to its own.
pub const VERSION: &str = "1.0";

const KIND: &str = "tokenform snapshot";

/// Live state at one instant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Still {
    kind: String,
    format_version: String,
    tokenform_version: String,
    /// The "now" of plans from it.
    pub taken_at: Timestamp,
    pub target: Target,
    /// Which key made the fingerprints.
    key_id: String,
    led_to: BTreeMap<Address, String>,
    portals: BTreeMap<Address, PortalRead>,
    callers: BTreeMap<Address, Caller>,
    instances: BTreeMap<Address, Seen<LiveInstance>>,
    users: BTreeMap<Address, Seen<LiveUser>>,
    others: BTreeMap<Address, LiveUser>,
    pub history: History,
}

/// What is not readable is in no file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Seen<T> {
    Present(T),
    Absent,
}

/// A snapshot file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("this is not a whole snapshot: {reason}")]
    Malformed { reason: String },
    #[error("the snapshot has format version {found}; this tokenform reads up to {VERSION}")]
    Newer { found: String },
    #[error("the snapshot is damaged: its bytes do not match the sha256 at its end")]
    Damaged,
}

impl SnapshotError {
    /// serde's words are fit to print here: a snapshot never holds a secret.
    fn malformed(error: &serde_json::Error) -> Self {
        let reason = if error.is_eof() { format!("it ends too early ({error})") } else { error.to_string() };
        Self::Malformed { reason }
    }

    pub fn finding(&self) -> Finding {
        let code = match self {
            Self::Malformed { .. } => code::SNAPSHOT_MALFORMED,
            Self::Newer { .. } => code::SNAPSHOT_NEWER,
            Self::Damaged => code::SNAPSHOT_DAMAGED,
        };
        Finding::new(code, self.to_string())
    }
}

/// What stands before and behind the 64 digits of the checksum.
const BEFORE: &str = ",\n  \"sha256\": \"";
const BEHIND: &str = "\"\n}\n";

/// The file of what was read; else a finding for each object that could not be read.
pub fn write(
    snapshot: &Snapshot,
    history: &History,
    taken_at: Timestamp,
    target: Target,
    key: &DigestKey,
) -> Result<Vec<u8>, Vec<Finding>> {
    let mut unreadable = Vec::new();
    let still = Still {
        kind: KIND.to_owned(),
        format_version: VERSION.to_owned(),
        tokenform_version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        target,
        key_id: key.id().to_owned(),
        led_to: snapshot.led_to.clone(),
        portals: snapshot.portals.clone(),
        callers: snapshot.callers.clone(),
        instances: seen(&snapshot.instances, &mut unreadable),
        users: seen(&snapshot.users, &mut unreadable),
        others: snapshot.others.clone(),
        history: History { interrupted: None, ..history.clone() },
    };
    if !unreadable.is_empty() {
        return Err(unreadable);
    }
    let mut text = serde_json::to_string_pretty(&still).expect("strings, numbers, and maps with text keys");
    // its own `\n}` makes room for one more member
    text.truncate(text.len() - 2);
    let sum = sha256_hex(text.as_bytes());
    for part in [BEFORE, &sum, BEHIND] {
        text.push_str(part);
    }
    Ok(text.into_bytes())
}

/// Reads a snapshot file: first what it claims to be, then whether it is whole, then what it says.
pub fn parse(bytes: &[u8]) -> Result<Still, SnapshotError> {
    claims(bytes)?;
    let covered = covered(bytes).ok_or(SnapshotError::Damaged)?;
    serde_json::from_slice(&[covered, b"}"].concat()).map_err(|error| SnapshotError::malformed(&error))
}

/// Whether a file is a snapshot of any version, whole or not.
pub fn is_snapshot(bytes: &[u8]) -> bool {
    matches!(claims(bytes), Ok(()) | Err(SnapshotError::Newer { .. }))
}

fn claims(bytes: &[u8]) -> Result<(), SnapshotError> {
    #[derive(Deserialize)]
    struct Claims {
        kind: Option<String>,
        format_version: String,
    }
    if !super::is_plan(bytes) && !bytes.trim_ascii().is_empty() {
        let reason = "it is no snapshot, which begins with `{`".into();
        return Err(SnapshotError::Malformed { reason });
    }
    let Claims { kind, format_version } =
        serde_json::from_slice(bytes).map_err(|error| SnapshotError::malformed(&error))?;
    let malformed = |reason: String| SnapshotError::Malformed { reason };
    match kind.as_deref() {
        Some(KIND) => {}
        Some(other) => return Err(malformed(format!("its `kind` is `{other}`"))),
        None => return Err(malformed("it has no `kind`; a plan file is another thing".into())),
    }
    let found = version(&format_version);
    let found = found.ok_or_else(|| malformed(format!("`{format_version}` is no format version")))?;
    match Some(found) > version(VERSION) {
        true => Err(SnapshotError::Newer { found: format_version }),
        false => Ok(()),
    }
}

/// The bytes that the checksum is over, if it is theirs.
fn covered(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_suffix(BEHIND.as_bytes())?;
    let (rest, sum) = rest.split_at(rest.len().checked_sub(64)?);
    let covered = rest.strip_suffix(BEFORE.as_bytes())?;
    (sha256_hex(covered).as_bytes() == sum).then_some(covered)
}

fn seen<T: Clone>(
    live: &BTreeMap<Address, Observed<T>>,
    unreadable: &mut Vec<Finding>,
) -> BTreeMap<Address, Seen<T>> {
    let mut kept = BTreeMap::new();
    for (address, observed) in live {
        match observed {
            Observed::Present(object) => drop(kept.insert(address.clone(), Seen::Present(object.clone()))),
            Observed::Absent => drop(kept.insert(address.clone(), Seen::Absent)),
            Observed::Unreadable(finding) => unreadable.push((**finding).clone()),
        }
    }
    kept
}

impl Still {
    /// Live state as a planner takes it. The origins of instances are still to be filled in:
    /// [`crate::provider::registry::fit`].
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            instances: observed(std::mem::take(&mut self.instances)),
            users: observed(std::mem::take(&mut self.users)),
            callers: std::mem::take(&mut self.callers),
            led_to: std::mem::take(&mut self.led_to),
            portals: std::mem::take(&mut self.portals),
            others: std::mem::take(&mut self.others),
            ..Snapshot::default()
        }
    }
}

fn observed<T>(seen: BTreeMap<Address, Seen<T>>) -> BTreeMap<Address, Observed<T>> {
    let row = |(address, seen)| match seen {
        Seen::Present(object) => (address, Observed::Present(object)),
        Seen::Absent => (address, Observed::Absent),
    };
    seen.into_iter().map(row).collect()
}

/// The key of plans from this file: drawn from its bytes, so that the same file gives the same plan
/// without any state. Everybody who has the file has the key, so it proves nothing.
pub fn key(bytes: &[u8]) -> DigestKey {
    DigestKey::new(Secret::new(sha256_hex(bytes).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::tests::key as state_key;

    fn file() -> Vec<u8> {
        let at = "2026-11-22T10:00:00Z".parse().unwrap();
        let portal = Address::connection("logicmonitor", "acme");
        let led_to = BTreeMap::from([(portal.clone(), "acme.logicmonitor.com".to_owned())]);
        let users = BTreeMap::from([(portal.owner("svc"), Observed::Absent)]);
        let snapshot = Snapshot { led_to, users, ..Snapshot::default() };
        write(&snapshot, &History::default(), at, Target::Live, &state_key()).unwrap()
    }

    fn edited(from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(file()).unwrap();
        assert!(text.contains(from), "{from}");
        text.replace(from, to).into_bytes()
    }

    #[test]
    fn it_reads_back_and_gives_the_same_bytes_and_key() {
        let mut still = parse(&file()).unwrap();
        let snapshot = still.snapshot();
        assert!(matches!(snapshot.users.values().next(), Some(Observed::Absent)));
        let again = write(&snapshot, &still.history, still.taken_at, still.target, &state_key()).unwrap();
        assert_eq!(again, file());
        assert_eq!(key(&again).id(), key(&file()).id());
        assert_ne!(key(&edited("acme.l", "acne.l")).id(), key(&file()).id());
    }

    #[test]
    fn a_damaged_foreign_or_newer_file_is_refused_as_what_it_is() {
        assert_eq!(parse(&edited("acme.l", "acne.l")).unwrap_err(), SnapshotError::Damaged);
        assert_eq!(parse(&edited("\n}\n", "\n}")).unwrap_err(), SnapshotError::Damaged);
        let newer = edited("\"1.0\"", "\"1.1\"");
        assert_eq!(parse(&newer).unwrap_err(), SnapshotError::Newer { found: "1.1".into() });
        assert!(is_snapshot(&newer) && is_snapshot(&file()) && !is_snapshot(b"{}") && !is_snapshot(b"a: 1"));
        let reason = |bytes: &[u8]| match parse(bytes).unwrap_err() {
            SnapshotError::Malformed { reason } => reason,
            other => panic!("{other}"),
        };
        assert!(reason(&file()[..100]).contains("ends too early"));
        assert!(reason(b"").contains("ends too early"));
        assert!(reason(b"version: 1").contains("no snapshot"));
        assert!(reason(br#"{"format_version": "1.0"}"#).contains("a plan file is another thing"));
        assert!(reason(br#"{"format_version": "1.0", "kind": "x"}"#).contains("`x`"));
    }

    #[test]
    fn what_could_not_be_read_is_in_no_file() {
        let at = Address::connection("ibm", "prod").owner("mon");
        let finding = Finding::new(code::HTTP_CALL, "HTTP 500").at(&at);
        let instances = BTreeMap::from([(at, Observed::Unreadable(Box::new(finding)))]);
        let snapshot = Snapshot { instances, ..Snapshot::default() };
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let told = write(&snapshot, &History::default(), now, Target::Live, &state_key()).unwrap_err();
        assert_eq!(told[0].message, "HTTP 500");
    }
}
