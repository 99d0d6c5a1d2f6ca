//! The locks of a state, and breaking those that nobody can let go: never in silence. Each break is a
//! line of `lock.log`, written before it is done.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::standing::System;
use super::{Holder, Standing, look, mark_of, named, open};
use crate::state::ledger::{self, Entry};
use crate::state::lines::{self, Whole};
use crate::state::{StateDir, StateError};

/// One lock of a state.
#[derive(Clone, Debug)]
pub struct Lock {
    /// `state`, or `destination`.
    pub sort: &'static str,
    pub path: PathBuf,
    pub standing: Standing,
}

/// A line of `lock.log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Who broke it, from where, and when (`since`).
    pub by: Holder,
    pub reason: String,
    /// The lock's file, inside the state folder.
    pub lock: String,
    /// How it stood: `dead`, `unknown`, or `held` by a run of another host.
    pub was: String,
    pub holder: Option<Holder>,
}

/// The state's lock, then those of destinations that were ever delivered to, by name.
pub fn all(dir: &StateDir) -> Result<Vec<Lock>, StateError> {
    let state = dir.lock_path();
    let mut locks = vec![Lock { sort: "state", standing: look(&state)?, path: state }];
    for path in files(&dir.path().join("locks"))? {
        locks.push(Lock { sort: "destination", standing: look(&path)?, path });
    }
    Ok(locks)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StateError::io("list", folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        files.push(entry.map_err(StateError::io("list", folder))?.path());
    }
    files.sort();
    Ok(files)
}

/// Breaks every lock of a state that is not free. Refuses, and touches none, if one is held by a
/// process of this machine.
pub fn break_dead(dir: &StateDir, by: &Holder, reason: &str) -> Result<Vec<Broken>, StateError> {
    let taken: Vec<Lock> = all(dir)?.into_iter().filter(|lock| lock.standing != Standing::Free).collect();
    if let Some(live) = taken.iter().find(|lock| lock.standing.is_live_here()) {
        return Err(super::held(&live.path, live.standing.clone()));
    }
    let broken = taken.iter().map(|lock| break_one(dir, lock, by, reason)).collect::<Result<Vec<_>, _>>()?;
    if let (Some(lock), Some(broken)) = (taken.first(), broken.first())
        && lock.sort == "state"
    {
        tell_ledger(dir, broken)?;
    }
    Ok(broken)
}

/// The history of a state has it, too. A state without a ledger gets none by this: plans must go on
/// to say that nothing is known of it.
fn tell_ledger(dir: &StateDir, broken: &Broken) -> Result<(), StateError> {
    let held = dir.lock(&broken.by)?;
    if ledger::read(dir)?.head.is_none() {
        return Ok(());
    }
    let entry = Entry::LockBroken {
        held_by: broken.holder.as_ref().map_or_else(|| "somebody".to_owned(), ToString::to_string),
        since: broken.holder.as_ref().map(|holder| holder.since),
    };
    ledger::add(dir, &held, broken.by.since, Some(broken.reason.clone()), entry)
}

fn break_one(dir: &StateDir, lock: &Lock, by: &Holder, reason: &str) -> Result<Broken, StateError> {
    let inside = lock.path.strip_prefix(dir.path()).unwrap_or(&lock.path);
    let broken = Broken {
        by: by.clone(),
        reason: reason.to_owned(),
        lock: inside.display().to_string(),
        was: lock.standing.as_str().to_owned(),
        holder: lock.standing.holder().cloned(),
    };
    log(dir, &broken)?;
    open_up(&lock.path, broken.holder.as_ref())?;
    Ok(broken)
}

/// Takes a lock away from `holder`, unless somebody else has it by now.
fn open_up(path: &Path, holder: Option<&Holder>) -> Result<(), StateError> {
    let file = open(path)?;
    let failed = || StateError::io("break", path);
    match System::of(file.try_lock()).map_err(failed())? {
        System::Free => file.set_len(0).map_err(failed()),
        // held by another host: whoever comes next locks another file of this name
        System::Taken if named(&file).as_ref() == holder => fs::remove_file(path).map_err(failed()),
        System::None if File::open(mark_of(path)).ok().and_then(|mark| named(&mark)).as_ref() == holder => {
            fs::remove_file(mark_of(path)).map_err(failed())
        }
        System::Taken | System::None => Err(super::held(path, look(path)?)),
    }
}

fn log(dir: &StateDir, broken: &Broken) -> Result<(), StateError> {
    let path = dir.lock_log_path();
    let keep = Whole::read(&path)?.map_or(0, |whole| whole.bytes.len());
    let file = lines::append_after(&path, keep).map_err(StateError::io("open", &path))?;
    lines::append(&file, &lines::to_line(broken)).map_err(StateError::io("write", &path))
}

/// Every break there was; a line that can't be read is passed over.
pub fn breaks(dir: &StateDir) -> Result<Vec<Broken>, StateError> {
    let whole = Whole::read(&dir.lock_log_path())?;
    let lines = whole.iter().flat_map(Whole::lines);
    Ok(lines.filter_map(|(_, line)| serde_json::from_slice(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::super::holder::tests::ada;
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        (dir, state)
    }

    #[tokio::test]
    async fn dead_locks_are_broken_with_a_reason_and_logged() {
        let (_dir, state) = state();
        assert!(break_dead(&state, &ada(), "why not").unwrap().is_empty());
        assert!(!state.lock_log_path().exists());
        drop(state.hold("file-1", "/ops.env", ada().since).await.unwrap());
        fs::write(state.lock_path(), lines::to_line(&ada())).unwrap();
        fs::write(state.path().join("locks/file-1"), lines::to_line(&ada())).unwrap();
        let stand =
            |state: &StateDir| all(state).unwrap().iter().map(|l| l.standing.as_str()).collect::<Vec<_>>();
        assert_eq!(stand(&state), ["dead", "dead"]);
        let broken = break_dead(&state, &ada(), "the machine is gone").unwrap();
        assert_eq!(broken.iter().map(|b| b.lock.as_str()).collect::<Vec<_>>(), ["lock", "locks/file-1"]);
        assert_eq!(stand(&state), ["free", "free"]);
        assert_eq!(breaks(&state).unwrap(), broken);
        assert_eq!((broken[0].reason.as_str(), broken[0].was.as_str()), ("the machine is gone", "dead"));
    }

    #[test]
    fn a_ledger_that_is_there_is_told() {
        let (_dir, state) = state();
        let left = || fs::write(state.lock_path(), lines::to_line(&ada())).unwrap();
        left();
        break_dead(&state, &ada(), "first").unwrap();
        assert!(!state.ledger_path().exists());
        let guard = state.lock(&ada()).unwrap();
        let some = Entry::Abandoned { apply: "a1".into(), in_doubt: [].into(), not_begun: Vec::new() };
        ledger::add(&state, &guard, ada().since, None, some).unwrap();
        drop(guard);
        left();
        break_dead(&state, &ada(), "second").unwrap();
        let lines = ledger::read(&state).unwrap().lines;
        let told = lines.last().unwrap();
        assert_eq!((told.entry.word(), told.reason.as_deref()), ("break-lock", Some("second")));
    }

    #[test]
    fn a_live_lock_is_never_broken() {
        let (_dir, state) = state();
        let _guard = state.lock(&ada()).unwrap();
        assert!(matches!(break_dead(&state, &ada(), "hurry"), Err(StateError::Held(_))));
        assert!(!state.lock_log_path().exists());
        assert_eq!(all(&state).unwrap()[0].standing.as_str(), "held");
    }

    /// What a run of another host holds on a shared file system is for a person to judge.
    #[test]
    fn a_lock_that_another_host_holds_is_replaced_by_a_new_one() {
        let (_dir, state) = state();
        let far = Holder { host: "ci-2".into(), ..ada() };
        let guard = state.lock(&far).unwrap();
        let broken = break_dead(&state, &ada(), "ci-2 was scrapped").unwrap();
        assert_eq!((broken[0].was.as_str(), broken[0].holder.as_ref()), ("held", Some(&far)));
        let new = state.lock(&ada()).unwrap();
        drop(guard);
        assert_eq!(all(&state).unwrap()[0].standing, Standing::Held(Some(ada_of(&state))));
        drop(new);
    }

    fn ada_of(state: &StateDir) -> Holder {
        let text = fs::read(state.lock_path()).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}
