//! Locks on files, let go by the operating system when their process ends, however it ends. The file
//! says who holds it; where the file system has no locks, that is all there is.

mod broken;
mod holder;
mod standing;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::broken::{Broken, Lock};
pub(super) use self::broken::{all, break_dead, breaks};
pub use self::holder::Holder;
pub(super) use self::standing::is_in_place;
pub use self::standing::{Held, Standing};
use self::standing::{System, is_shared};
use super::{StateError, lines};

/// The state's lock, held until dropped.
pub struct LockGuard {
    _mark: Mark,
}

/// A destination's lock, held until dropped.
pub struct Hold {
    // let go in this order
    _mark: Mark,
    _turn: OwnedMutexGuard<()>,
}

/// What shows a lock as taken.
enum Mark {
    /// The system's lock on this file, which holds who.
    System(File),
    /// A file that exists as long as the lock is held: the file system has no locks.
    File(PathBuf),
}

impl Drop for Mark {
    fn drop(&mut self) {
        // the text is a courtesy and the lock goes with the file: no failure matters
        let _ = match self {
            Self::System(file) => file.set_len(0).and_then(|()| file.unlock()),
            Self::File(path) => fs::remove_file(path),
        };
    }
}

/// How long a destination's lock is waited for: another process delivers there.
const WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// How often the state's lock is tried. Who only looks at it has it for an instant, and who has just
/// taken it has not said its name yet.
const TRIES: usize = 8;

/// Takes the lock at once or says who has it.
pub(super) fn exclusive(path: &Path, holder: &Holder) -> Result<LockGuard, StateError> {
    for _ in 0..TRIES {
        let file = open(path)?;
        match System::of(file.try_lock()).map_err(StateError::io("lock", path))? {
            System::None => return Ok(LockGuard { _mark: marked(path, holder)? }),
            System::Taken => std::thread::sleep(PAUSE),
            // broken, and made anew by somebody else, between the two lines above
            System::Free if !is_in_place(&file, path) => {}
            System::Free => return Ok(LockGuard { _mark: taken(path, file, holder)? }),
        }
    }
    Err(held(path, look(path)?))
}

/// Takes a turn among the tasks of this process, then the lock among processes.
pub(super) async fn hold(path: &Path, turn: Arc<Mutex<()>>, holder: &Holder) -> Result<Hold, StateError> {
    let turn = turn.lock_owned().await;
    let file = open(path)?;
    let mark = match System::of(wait(&file).await).map_err(StateError::io("lock", path))? {
        System::Taken => return Err(held(path, look(path)?)),
        // runs with one state take turns by its own lock
        System::None => Mark::System(file),
        System::Free => {
            say(&file, holder).map_err(StateError::io("write", path))?;
            Mark::System(file)
        }
    };
    Ok(Hold { _mark: mark, _turn: turn })
}

/// Holds a folder against runs with another state that write into it: their locks are elsewhere.
/// A file system that can't lock folders gives no such hold.
pub async fn hold_folder(folder: &Path) -> Result<Option<File>, StateError> {
    let file = File::open(folder).map_err(StateError::io("open", folder))?;
    match System::of(wait(&file).await) {
        Ok(System::Free) => Ok(Some(file)),
        Ok(System::Taken) => Err(held(folder, Standing::Held(None))),
        Ok(System::None) | Err(_) => Ok(None),
    }
}

async fn wait(file: &File) -> Result<(), fs::TryLockError> {
    // counted, because a lock is waited for in real time, whatever the clock of `Env`
    for _ in 0..WAIT.as_millis() / PAUSE.as_millis() {
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
    Err(fs::TryLockError::WouldBlock)
}

/// How a lock stands now. Changes nothing, so that it works where nothing may be written.
pub(super) fn look(path: &Path) -> Result<Standing, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Standing::Free),
        Err(error) => return Err(StateError::io("look at", path)(error)),
    };
    let system = System::of(file.try_lock_shared()).map_err(StateError::io("look at", path))?;
    let holder = match system {
        System::None => File::open(mark_of(path)).ok().and_then(|mark| named(&mark)),
        System::Taken | System::Free => named(&file),
    };
    Ok(Standing::of(system, holder, is_shared(&file)))
}

/// The system's lock is ours. A network file system may have given it to another host as well.
fn taken(path: &Path, file: File, holder: &Holder) -> Result<Mark, StateError> {
    let before = Standing::of(System::Free, named(&file), is_shared(&file));
    if matches!(before, Standing::Unknown(_)) {
        return Err(held(path, before));
    }
    say(&file, holder).map_err(StateError::io("write", path))?;
    Ok(Mark::System(file))
}

/// Makes the file that is the lock where there are no others. One that was left behind stays until a
/// person breaks it: nothing else could take it over without a race.
fn marked(path: &Path, holder: &Holder) -> Result<Mark, StateError> {
    let mark = mark_of(path);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mark) {
        Ok(mut file) => {
            file.write_all(&lines::to_line(holder)).map_err(StateError::io("write", &mark))?;
            Ok(Mark::File(mark))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let holder = File::open(&mark).ok().and_then(|file| named(&file));
            let standing = holder.map_or(Standing::Held(None), |h| Standing::of(System::None, Some(h), true));
            Err(held(path, standing))
        }
        Err(error) => Err(StateError::io("write", &mark)(error)),
    }
}

/// The file that stands for a lock where the file system has none.
fn mark_of(path: &Path) -> PathBuf {
    path.with_extension("held")
}

fn open(path: &Path) -> Result<File, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(StateError::io("open", path))
}

/// Writes who holds the lock.
fn say(file: &File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(&lines::to_line(holder), 0)
}

/// Who the file says holds the lock; nobody if it can't be read as that.
fn named(file: &File) -> Option<Holder> {
    let mut text = Vec::new();
    file.take(4096).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn held(path: &Path, standing: Standing) -> StateError {
    StateError::Held(Box::new(Held { path: path.to_owned(), standing }))
}

#[cfg(test)]
mod tests {
    use super::holder::tests::ada;
    use super::*;

    fn refused(result: Result<impl Sized, StateError>) -> Held {
        match result {
            Err(StateError::Held(held)) => *held,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("locked twice"),
        }
    }

    #[test]
    fn a_second_handle_is_told_who_holds_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(look(&path).unwrap(), Standing::Free);
        let guard = exclusive(&path, &ada()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
        let held = refused(exclusive(&path, &ada()));
        assert_eq!(held.standing.holder().unwrap().by.user.as_deref(), Some("ada"));
        assert_eq!(look(&path).unwrap(), held.standing);
        drop(guard);
        assert_eq!(look(&path).unwrap(), Standing::Free);
        exclusive(&path, &ada()).unwrap();
    }

    #[test]
    fn a_lock_that_a_dead_run_left_is_taken_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        for left in [lines::to_line(&ada()), b"{\"user\": \"ad".to_vec(), b"\0\0\xff".to_vec()] {
            fs::write(&path, &left).unwrap();
            drop(exclusive(&path, &ada()).unwrap());
            assert_eq!(fs::read(&path).unwrap(), b"");
        }
    }

    #[test]
    fn who_looks_takes_the_lock_from_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        drop(exclusive(&path, &ada()).unwrap());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    look(&path).unwrap();
                    // without a break the lock would hardly ever be free on a busy machine
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let taken = (0..200).all(|_| exclusive(&path, &ada()).is_ok());
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(taken);
        });
    }

    #[test]
    fn where_the_file_system_has_no_locks_a_file_stands_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mark = marked(&path, &ada()).unwrap();
        assert!(matches!(refused(marked(&path, &ada())).standing, Standing::Held(Some(_))));
        drop(mark);
        drop(marked(&path, &ada()).unwrap());
        // left by a run that was killed: nobody takes it over
        let gone = Holder { pid: i32::MAX as u32, ..ada() };
        fs::write(mark_of(&path), lines::to_line(&gone)).unwrap();
        assert_eq!(refused(marked(&path, &ada())).standing, Standing::Dead(gone));
        fs::write(mark_of(&path), "").unwrap();
        assert_eq!(refused(marked(&path, &ada())).standing, Standing::Held(None));
    }

    #[tokio::test]
    async fn a_hold_waits_for_another_handle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        let first = hold(&path, Arc::default(), &ada()).await.unwrap();
        let second_holder = ada();
        let second = hold(&path, Arc::default(), &second_holder);
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err(), "held twice");
        assert_eq!(look(&path).unwrap().as_str(), "held");
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(look(&path).unwrap(), Standing::Free);
    }
}
