//! How a lock stands: what the operating system and the lock file together say of it.
//!
//! | the system's lock | the file names | so it is |
//! | --- | --- | --- |
//! | taken | anybody, or nobody | held |
//! | free | nobody | free |
//! | free | a run | dead: it ended without letting go; the next run takes it at once |
//! | free, on a network file system | a run of another host | unknown: locks may not reach that far |
//! | none: the file system has no locks | nobody | free |
//! | none | a run of this host | held if its process is there, else dead |
//! | none | a run of another host | unknown |

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::holder::Holder;

/// What the operating system says of a file's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Taken,
    Free,
    /// The file system has no locks.
    None,
}

impl System {
    /// From what a try to lock gave.
    pub(super) fn of(tried: Result<(), std::fs::TryLockError>) -> io::Result<Self> {
        match tried {
            Ok(()) => Ok(Self::Free),
            Err(std::fs::TryLockError::WouldBlock) => Ok(Self::Taken),
            Err(std::fs::TryLockError::Error(error)) if has_no_locks(&error) => Ok(Self::None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn has_no_locks(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    let without = [rustix::io::Errno::NOLCK, rustix::io::Errno::NOSYS, rustix::io::Errno::OPNOTSUPP];
    without.iter().any(|errno| Some(errno.raw_os_error()) == number)
}

/// How a lock stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Free,
    /// Somebody has it; who, if the file tells.
    Held(Option<Holder>),
    /// Who had it no longer runs.
    Dead(Holder),
    /// It can't be seen from here whether who had it still runs.
    Unknown(Holder),
}

impl Standing {
    /// The table above. `shared`: the file is on a network file system.
    pub(super) fn of(system: System, holder: Option<Holder>, shared: bool) -> Self {
        match (system, holder) {
            (System::Taken, holder) => Self::Held(holder),
            (System::Free | System::None, None) => Self::Free,
            (System::Free, Some(holder)) if shared && !holder.is_here() => Self::Unknown(holder),
            (System::Free, Some(holder)) => Self::Dead(holder),
            (System::None, Some(holder)) if !holder.is_here() => Self::Unknown(holder),
            (System::None, Some(holder)) if holder.runs_here() => Self::Held(Some(holder)),
            (System::None, Some(holder)) => Self::Dead(holder),
        }
    }

    /// `free`, `held`, `dead` or `unknown`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held(_) => "held",
            Self::Dead(_) => "dead",
            Self::Unknown(_) => "unknown",
        }
    }

    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Free | Self::Held(None) => None,
            Self::Held(Some(holder)) | Self::Dead(holder) | Self::Unknown(holder) => Some(holder),
        }
    }

    /// Whether it is surely held by a process of this machine.
    pub fn is_live_here(&self) -> bool {
        match self {
            Self::Held(holder) => holder.as_ref().is_none_or(Holder::is_here),
            Self::Free | Self::Dead(_) | Self::Unknown(_) => false,
        }
    }
}

/// A lock that can't be taken: where it is and how it stands.
#[derive(Clone, Debug)]
pub struct Held {
    pub path: PathBuf,
    pub standing: Standing,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match &self.standing {
            Standing::Free => write!(f, "{path} is free"),
            Standing::Held(None) => write!(f, "{path} is held by a run that has not said its name"),
            Standing::Held(Some(holder)) => write!(f, "{path} is held by {holder}"),
            Standing::Dead(holder) => write!(f, "{path} was left by {holder}, which no longer runs"),
            Standing::Unknown(holder) => {
                write!(
                    f,
                    "{path} was taken by {holder}; whether that still runs can't be seen from this host"
                )
            }
        }
    }
}

impl Held {
    /// What to do about it.
    pub fn help(&self) -> String {
        let breaking = "`tokenform lock break --reason TEXT`";
        match &self.standing {
            Standing::Held(Some(holder)) if holder.is_here() => {
                format!("Wait for it to end, or end process {}: the lock is free at once then.", holder.pid)
            }
            Standing::Held(Some(holder)) | Standing::Unknown(holder) => {
                format!(
                    "Wait for it to end, or look on {}. If it surely runs no more: {breaking}",
                    holder.host
                )
            }
            Standing::Dead(_) => format!("Its file system has no locks that end with a process: {breaking}"),
            Standing::Held(None) | Standing::Free => {
                "Wait for it to end; `tokenform lock list` shows who it is.".into()
            }
        }
    }
}

/// Whether a file is on a file system that several machines may write to: their locks may not reach
/// each other.
pub(super) fn is_shared(file: &File) -> bool {
    kind(file).is_some_and(|kind| NETWORK.contains(&kind))
}

/// NFS, SMB (three ages of it), FUSE, 9P, AFS, Ceph, Lustre, GFS2, OCFS2: from statfs(2).
const NETWORK: [u32; 11] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x5346_414f,
    0x00c3_6400,
    0x0bd0_0bd0,
    0x0116_1970,
    0x7461_636f,
];

#[cfg(target_os = "linux")]
fn kind(file: &File) -> Option<u32> {
    // the type is a 32-bit number in a field whose width differs between machines
    let stat = rustix::fs::fstatfs(file).ok()?;
    u32::try_from(i128::from(stat.f_type) & 0xffff_ffff).ok()
}

#[cfg(not(target_os = "linux"))]
fn kind(_file: &File) -> Option<u32> {
    None
}

/// Whether the open file is still the one of that name: a lock on one that was taken away is none.
pub fn is_in_place(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let (open, named) = (file.metadata().map(place), std::fs::metadata(path).map(place));
    matches!((open, named), (Ok(open), Ok(named)) if open == named)
}

#[cfg(test)]
mod tests {
    use super::super::holder::tests::ada;
    use super::*;

    #[test]
    fn the_system_decides_and_the_file_tells_the_rest() {
        let gone = Holder { pid: i32::MAX as u32, ..ada() };
        let far = Holder { host: "elsewhere.example".into(), ..ada() };
        for (system, holder, shared, expected) in [
            (System::Taken, None, false, "held"),
            (System::Taken, Some(&gone), false, "held"),
            (System::Free, None, true, "free"),
            (System::Free, Some(&ada()), true, "dead"),
            (System::Free, Some(&far), false, "dead"),
            (System::Free, Some(&far), true, "unknown"),
            (System::None, None, true, "free"),
            (System::None, Some(&ada()), false, "held"),
            (System::None, Some(&gone), false, "dead"),
            (System::None, Some(&far), false, "unknown"),
        ] {
            let standing = Standing::of(system, holder.cloned(), shared);
            assert_eq!(standing.as_str(), expected, "{system:?} {holder:?} {shared}");
        }
    }

    #[test]
    fn a_lock_that_can_t_be_taken_says_who_and_what_to_do() {
        let told = |standing| {
            let held = Held { path: "s/lock".into(), standing };
            format!("{held}. {}", held.help())
        };
        let here = told(Standing::Held(Some(ada())));
        assert!(here.contains("s/lock is held by ada@") && here.contains("`tokenform apply spec`"), "{here}");
        assert!(here.contains(&format!("end process {}", ada().pid)) && !here.contains("break"), "{here}");
        let far = Holder { host: "ci-2".into(), ..ada() };
        for standing in [Standing::Unknown(far.clone()), Standing::Held(Some(far)), Standing::Dead(ada())] {
            let told = told(standing);
            assert!(told.contains("tokenform lock break --reason"), "{told}");
        }
    }

    #[test]
    fn a_file_that_was_replaced_is_no_longer_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let file = File::create(&path).unwrap();
        assert!(is_in_place(&file, &path) && !is_shared(&file));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_in_place(&file, &path));
        File::create(&path).unwrap();
        assert!(!is_in_place(&file, &path));
    }
}
