//! The state folder: key, ledger, lock and journal. Secret-free but for the key.
//!
//! ```text
//! .tokenform/
//!   .gitignore        *
//!   key               32 bytes in base64, 0600; or TOKENFORM_KEY
//!   key.id            which key the state was made with; not the key
//!   lock              held by a running apply, with who that is
//!   lock.log          locks that were broken by hand, and why
//!   ledger.jsonl      append-only, hash-chained; written by `fold`, and by `ledger::add` for what no journal tells
//!   journal/          current.jsonl while an apply is not settled, then APPLYID.jsonl
//!   locks/            one per destination
//! ```

pub mod atomic;
mod error;
mod fold;
pub mod journal;
mod key;
pub mod ledger;
mod lines;
mod lock;
mod past;
pub mod replay;
mod verify;
mod who;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

pub use error::StateError;
pub use fold::{Folded, fold};
pub use journal::{GivenUp, Journal, Record, give_up};
pub use lock::{Broken, Held, Hold, Holder, Lock, LockGuard, Standing, hold_folder};
pub use replay::{Ended, Stage, StepLog, Unfinished};
pub use verify::{Verified, verify};
pub use who::who;

use crate::env::{Env, Point, Points};
use crate::model::finding::Finding;
use crate::model::history::History;
use crate::model::secret::DigestKey;
use crate::model::who::Who;

/// A state folder.
pub struct StateDir {
    path: PathBuf,
    /// Who locked it, for the journal, the ledger and the locks of destinations.
    holder: Mutex<Option<Holder>>,
    /// One turn per destination lock, so that tasks of one process wait without polling.
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    points: Points,
}

impl StateDir {
    /// Opens the folder; creates it with mode 0700, and a `.gitignore` that keeps it out of commits.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        make_folder(path)?;
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(StateError::io("write", &ignore))?;
        }
        Ok(Self::to_read(path))
    }

    /// A folder to look at: nothing is made or locked.
    pub fn to_read(path: &Path) -> Self {
        let (holder, turns, points) = (Mutex::default(), Mutex::default(), Points::default());
        Self { path: path.to_owned(), holder, turns, points }
    }

    /// Tells of each change that is on disk.
    pub fn watched(self, points: Points) -> Self {
        Self { points, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of fingerprints, digests and seals: `TOKENFORM_KEY`, else the file `key`, which is
    /// drawn on first use. Refused if the state was made with another one.
    pub fn key(&self, env: &Env) -> Result<DigestKey, StateError> {
        key::of_state(&self.path, env)
    }

    /// The key of a state that may not exist, without making one.
    pub fn existing_key(path: &Path, env: &Env) -> Result<Option<DigestKey>, StateError> {
        let known = env.vars.get("TOKENFORM_KEY").is_some() || path.join("key").exists();
        known.then(|| key::load(path, env)).transpose()
    }

    /// Locks the state until the guard is dropped, or the process ends. Does not wait. `holder` is
    /// shown to others meanwhile, and is the ledger's `by`.
    pub fn lock(&self, holder: &Holder) -> Result<LockGuard, StateError> {
        let guard = lock::exclusive(&self.lock_path(), holder)?;
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder.clone());
        Ok(guard)
    }

    /// What keeps the state's lock from being taken now, if anything does.
    pub fn held(&self) -> Result<Option<Held>, StateError> {
        let path = self.lock_path();
        Ok(match lock::look(&path)? {
            Standing::Free | Standing::Dead(_) => None,
            standing => Some(Held { path, standing }),
        })
    }

    /// Every lock of this state, and how it stands.
    pub fn locks(&self) -> Result<Vec<Lock>, StateError> {
        lock::all(self)
    }

    /// Breaks every lock that is not free, and logs who did it and why. [`StateError::Held`], and
    /// nothing is touched, if a process of this machine holds one.
    pub fn break_locks(&self, by: &Holder, reason: &str) -> Result<Vec<Broken>, StateError> {
        lock::break_dead(self, by, reason)
    }

    /// The locks that were broken.
    pub fn broken_locks(&self) -> Result<Vec<Broken>, StateError> {
        lock::breaks(self)
    }

    /// Waits for, and holds, the lock of one destination: in this process and on disk. `of` names the
    /// destination to others.
    pub async fn hold(&self, slot: &str, of: &str, at: Timestamp) -> Result<Hold, StateError> {
        let folder = self.path.join("locks");
        make_folder(&folder)?;
        let turn = self.turn(slot);
        let holder = self.holder().unwrap_or_else(|| Holder::this(&Env::system(), "tokenform"));
        let holder = Holder { since: at, of: Some(of.to_owned()), ..holder };
        lock::hold(&folder.join(slot), turn, &holder).await
    }

    /// What the ledger says, with a finding where a crash left half a line.
    pub fn history(&self) -> Result<(History, Vec<Finding>), StateError> {
        let ledger = ledger::read(self)?;
        Ok((past::history(&ledger), ledger.findings))
    }

    /// The apply whose journal is not archived yet, if there is one: see [`Unfinished::may_wait`] for
    /// whether it must be settled first. Run [`fold`] first.
    pub fn unfinished(&self) -> Result<Option<Unfinished>, StateError> {
        let open = |journal: &Unfinished| !journal.is_over();
        Ok(replay::read(self)?.journal.filter(open))
    }

    /// Where the ledger is, or will be.
    pub fn ledger_path(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// Where the journal of an apply is, until it is folded into the ledger.
    pub fn journal_path(&self) -> PathBuf {
        self.path.join("journal").join("current.jsonl")
    }

    /// Called when a change of the folder is on disk.
    fn kept(&self, what: &'static str) -> Result<(), StateError> {
        self.points.pass(Point::Kept(what)).map_err(StateError::io("go on with", &self.path))
    }

    fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Where broken locks are logged.
    pub fn lock_log_path(&self) -> PathBuf {
        self.path.join("lock.log")
    }

    fn holder(&self) -> Option<Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who locked the state; nobody known before.
    pub fn by(&self) -> Who {
        self.holder().map(|holder| holder.by).unwrap_or_default()
    }

    fn turn(&self, slot: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(slot.to_owned()).or_default().clone()
    }
}

/// Makes a folder, and those above it, with mode 0700; keeps one that is there.
fn make_folder(path: &Path) -> Result<(), StateError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(StateError::io("create the folder", path))?;
    atomic::sync_folder(atomic::folder(path)).map_err(StateError::io("sync the folder of", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_folder_is_private_and_ignored_by_git() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/.tokenform");
        let state = StateDir::open(&path).unwrap();
        StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(state.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path.join(".gitignore")).unwrap(), "*\n");
        let (history, findings) = state.history().unwrap();
        assert!(history.head.is_none() && findings.is_empty());
        assert!(state.unfinished().unwrap().is_none());
    }

    #[test]
    fn a_file_in_its_place_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::write(&path, "").unwrap();
        let error = StateDir::open(&path).err().unwrap().to_string();
        assert!(error.contains("state"), "{error}");
    }
}
