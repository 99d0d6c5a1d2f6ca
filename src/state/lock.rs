//! Locks on files, let go by the operating system when their process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::StateError;

/// The state's lock, held until dropped.
pub struct LockGuard {
    file: File,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // the text is a courtesy and the lock goes with the file: neither failure matters
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// A destination's lock, held until dropped.
pub struct Hold {
    _turn: OwnedMutexGuard<()>,
    _file: File,
}

/// How long a destination's lock is waited for: another process delivers there.
const WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Takes the lock at once or says who has it. The file holds `who`; since when is its time.
pub(super) fn exclusive(path: &Path, who: &str) -> Result<LockGuard, StateError> {
    let mut file = open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
        Err(TryLockError::Error(error)) => return Err(StateError::io("lock", path)(error)),
    }
    let write = file.set_len(0).and_then(|()| file.write_all(who.as_bytes()));
    write.map_err(StateError::io("write", path))?;
    Ok(LockGuard { file })
}

/// Who holds the lock, as [`StateError::Held`]; `None` if nobody does.
pub(super) fn holder(path: &Path) -> Result<Option<StateError>, StateError> {
    let mut file = open(path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(held(path, &mut file))),
        Err(TryLockError::Error(error)) => Err(StateError::io("look at", path)(error)),
    }
}

/// Takes a turn among the tasks of this process, then the lock among processes.
pub(super) async fn hold(path: &Path, turn: Arc<Mutex<()>>) -> Result<Hold, StateError> {
    let turn = turn.lock_owned().await;
    let mut file = open(path)?;
    match wait(&file).await {
        Ok(()) => Ok(Hold { _turn: turn, _file: file }),
        Err(TryLockError::WouldBlock) => Err(held(path, &mut file)),
        Err(TryLockError::Error(error)) => Err(StateError::io("lock", path)(error)),
    }
}

/// Holds a folder against runs with another state that write into it: their locks are elsewhere.
/// A file system that can't lock folders gives no such hold.
pub async fn hold_folder(folder: &Path) -> Result<Option<File>, StateError> {
    let mut file = File::open(folder).map_err(StateError::io("open", folder))?;
    match wait(&file).await {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(held(folder, &mut file)),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

async fn wait(file: &File) -> Result<(), TryLockError> {
    // counted, because a lock is waited for in real time, whatever the clock of `Env`
    for _ in 0..WAIT.as_millis() / PAUSE.as_millis() {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
    Err(TryLockError::WouldBlock)
}

fn open(path: &Path) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(StateError::io("open", path))
}

fn held(path: &Path, file: &mut File) -> StateError {
    let mut who = String::new();
    // a holder that is just writing its name is still a holder
    let _ = file.take(256).read_to_string(&mut who);
    let since = file.metadata().and_then(|m| m.modified()).ok().and_then(|at| Timestamp::try_from(at).ok());
    StateError::Held {
        path: path.to_owned(),
        who: if who.is_empty() { "another run".into() } else { who },
        since: since.map_or_else(|| "an unknown time".into(), |at| format!("{at:.0}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_handle_is_told_who_holds_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let guard = exclusive(&path, "ada@ci-1").unwrap();
        let Err(StateError::Held { who, since, .. }) = exclusive(&path, "bob@ci-2") else {
            panic!("locked twice");
        };
        assert_eq!(who, "ada@ci-1");
        assert!(since.parse::<Timestamp>().is_ok(), "{since}");
        assert!(matches!(holder(&path).unwrap(), Some(StateError::Held { who, .. }) if who == "ada@ci-1"));
        drop(guard);
        assert!(holder(&path).unwrap().is_none());
        exclusive(&path, "bob@ci-2").unwrap();
    }

    #[tokio::test]
    async fn a_hold_waits_for_another_handle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        let first = hold(&path, Arc::default()).await.unwrap();
        let second = hold(&path, Arc::default());
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err(), "held twice");
        drop(first);
        second.await.unwrap();
    }
}
