//! Files that are there whole or not at all: written beside their target, synced, renamed, and the
//! folder synced. A reader, or a run after `kill -9`, never sees half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Puts `bytes` in place of `target`, mode 0600.
pub fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    draft(target, bytes)?.persist(target).map_err(|failed| failed.error)?;
    sync_folder(folder(target))
}

/// Puts `bytes` in place of `target`, which keeps its owner, its group and its mode, except that
/// others lose access. A new one has mode 0600.
pub fn replace_keeping(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft(target, bytes)?;
    keep(target, draft.as_file())?;
    draft.persist(target).map_err(|failed| failed.error)?;
    sync_folder(folder(target))
}

/// Makes `target` with `bytes`, mode 0600; `AlreadyExists` if there is one.
pub fn create(target: &Path, bytes: &[u8]) -> io::Result<()> {
    draft(target, bytes)?.persist_noclobber(target).map_err(|failed| failed.error)?;
    sync_folder(folder(target))
}

/// Shows that `target` could be replaced: makes, syncs and removes a file beside it, which could be
/// given the target's owner.
pub fn rehearse(target: &Path) -> io::Result<()> {
    let draft = draft(target, b"")?;
    keep(target, draft.as_file())?;
    draft.close()
}

/// Removes what killed runs left beside `target`: their drafts may hold a secret. Call it under a
/// lock of the target, so that nobody is writing a draft now.
pub fn sweep(target: &Path) -> io::Result<()> {
    let prefix = draft_prefix(target);
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes names in a folder durable: new files, renames, removals.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a file stands in; `.` for a bare name.
pub fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A synced file beside the target, removed unless it is persisted.
fn draft(target: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    // tempfile creates with mode 0600
    let mut draft =
        tempfile::Builder::new().prefix(&draft_prefix(target)).tempfile_in(absolute_folder(target)?)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

/// Gives a draft the owner, the group and the mode of its target, without access for others.
fn keep(target: &Path, draft: &File) -> io::Result<()> {
    let old = match fs::symlink_metadata(target) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let new = draft.metadata()?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        let told = |error: io::Error| {
            let (uid, gid) = (old.uid(), old.gid());
            io::Error::new(error.kind(), format!("its owner (uid {uid}, gid {gid}) can't be kept: {error}"))
        };
        fchown(draft, Some(old.uid()), Some(old.gid())).map_err(told)?;
    }
    draft.set_permissions(fs::Permissions::from_mode(old.mode() & 0o770))?;
    draft.sync_all()
}

/// A draft is renamed after the work folder could have moved, so its path is made absolute.
fn absolute_folder(target: &Path) -> io::Result<PathBuf> {
    std::path::absolute(folder(target))
}

fn draft_prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.tokenform-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_with_mode_0600_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.env");
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&target, b"new").unwrap();
        rehearse(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["a.env"]);
    }

    #[test]
    fn a_file_of_somebody_keeps_its_owner_and_mode_and_others_lose_access() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.env");
        for (before, after) in [(0o600, 0o600), (0o644, 0o640), (0o440, 0o440), (0o777, 0o770)] {
            fs::write(&target, "old").unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(before)).unwrap();
            // only root may give a file away; others show that their own stays theirs
            let owner = if rustix::process::getuid().is_root() { Some(4711) } else { None };
            std::os::unix::fs::chown(&target, owner, owner).unwrap();
            let old = fs::metadata(&target).unwrap();
            rehearse(&target).unwrap();
            replace_keeping(&target, b"new").unwrap();
            let new = fs::metadata(&target).unwrap();
            assert_eq!((new.uid(), new.gid()), (old.uid(), old.gid()));
            assert_eq!(new.mode() & 0o7777, after, "{before:o}");
            assert_eq!(
                (fs::read(&target).unwrap(), names(dir.path())),
                (b"new".to_vec(), vec!["a.env".to_owned()])
            );
            fs::remove_file(&target).unwrap();
        }
        replace_keeping(&target, b"first").unwrap();
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn create_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("key");
        create(&target, b"1").unwrap();
        assert_eq!(create(&target, b"2").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"1");
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn sweeping_removes_drafts_of_this_target_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".a.env.tokenform-x1", ".b.env.tokenform-x1", "a.env", ".a.env"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        sweep(&dir.path().join("a.env")).unwrap();
        assert_eq!(names(dir.path()), [".a.env", ".b.env.tokenform-x1", "a.env"]);
    }
}
