//! A file that takes values: read, changed in memory, and replaced as a whole.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::trouble::{MAY_PASS, Trouble};
use super::{Entry, FileDestination, FileFormat, Handover, Receipt, dotenv, json, lock_name};
use crate::env::Env;
use crate::model::secret::Secret;
use crate::state::{StateDir, atomic, hold_folder};

/// A file with secrets is small; a larger one is some other file.
const LARGEST: u64 = 1024 * 1024;

pub(super) fn fits(file: &FileDestination, key: Option<&str>, id_key: Option<&str>) -> Result<(), String> {
    let mut keys = [key, id_key].into_iter().flatten();
    match file.format {
        FileFormat::Raw if key.or(id_key).is_some() => {
            Err("format `raw` holds one value and takes no `key` or `id_key`".into())
        }
        FileFormat::Raw => Ok(()),
        _ if key.is_none() => Err("this format needs a `key` for the value".into()),
        _ if key == id_key => Err("`key` and `id_key` are the same".into()),
        FileFormat::Json => Ok(()),
        FileFormat::Dotenv => match keys.find(|key| !dotenv::is_key(key)) {
            Some(bad) => {
                Err(format!("`{bad}` is no variable name (letters, digits and `_`, not a digit first)"))
            }
            None => Ok(()),
        },
    }
}

/// Shows that the file could be replaced: it is absent or one of ours to write, it parses, and a
/// file beside it can be made. Touches neither it nor its keys.
pub(super) fn probe(file: &FileDestination) -> Result<(), Trouble> {
    let old = read(&file.path)?;
    changed(file, &old, &[])?;
    atomic::rehearse(&file.path).map_err(|e| Trouble::io("write beside", &file.path, &e))
}

pub(super) async fn deliver(
    file: &FileDestination,
    what: &Handover<'_>,
    state: &StateDir,
    env: &Env,
) -> Result<Receipt, Trouble> {
    fits(file, what.key, what.id_key).map_err(Trouble::new)?;
    let lock = lock_name("file", resolved(&file.path)?.as_os_str().as_bytes());
    let of = file.path.display().to_string();
    let _hold = state.hold(&lock, &of, env.clock.now()).await.map_err(|e| Trouble::new(e.to_string()))?;
    // a run with another state has its locks elsewhere, and may deliver into this file too
    let folder = hold_folder(atomic::folder(&file.path)).await;
    let _folder = folder.map_err(|e| Trouble::new(e.to_string()))?;
    replace(file, what)?;
    Ok(Receipt { text: format!("written to {}", file.path.display()) })
}

/// The value in the file: `Some(None)` if there is none, `None` if the file can't be read.
pub(super) fn value(file: &FileDestination, key: Option<&str>) -> Option<Option<Secret>> {
    let text = read(&file.path).ok()?;
    match (file.format, key) {
        (FileFormat::Raw, _) => Some((!text.is_empty()).then(|| Secret::new(text.to_vec()))),
        (FileFormat::Dotenv, Some(key)) => dotenv::get(&text, key).ok(),
        (FileFormat::Json, Some(key)) => json::get(&text, key).ok(),
        (FileFormat::Dotenv | FileFormat::Json, None) => None,
    }
}

/// From read to rename; the caller holds the file's lock.
fn replace(file: &FileDestination, what: &Handover<'_>) -> Result<(), Trouble> {
    let write = |e: std::io::Error| Trouble::io("write", &file.path, &e);
    let old = read(&file.path)?;
    let id = what.id.map(|id| Secret::new(id.as_bytes().to_vec()));
    let mut entries = Vec::new();
    match (what.id_key, &id) {
        (Some(key), Some(value)) => entries.push(Entry { key, value }),
        (Some(key), None) => {
            return Err(Trouble::new(format!("`id_key: {key}` is asked for, and the value has no id")));
        }
        (None, _) => {}
    }
    // a raw file has no key, and `fits` saw to it that others do
    entries.push(Entry { key: what.key.unwrap_or_default(), value: what.value });
    let new = changed(file, &old, &entries)?;
    atomic::sweep(&file.path).map_err(write)?;
    atomic::replace_keeping(&file.path, &new).map_err(write)
}

/// The file's bytes with the entries in place.
fn changed(file: &FileDestination, old: &[u8], entries: &[Entry<'_>]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let changed = match file.format {
        FileFormat::Raw => Ok(raw(old, entries)),
        FileFormat::Dotenv => dotenv::set(old, entries),
        FileFormat::Json => json::set(old, entries),
    };
    changed.map_err(|reason| {
        Trouble::new(format!("{} {reason}", file.path.display()))
            .help("Correct the file, or name another one.")
    })
}

#[expect(clippy::disallowed_methods, reason = "a destination takes the value")]
fn raw(old: &[u8], entries: &[Entry<'_>]) -> Zeroizing<Vec<u8>> {
    let value = entries.last().map(|entry| entry.value.expose(<[u8]>::to_vec));
    Zeroizing::new(value.unwrap_or_else(|| old.to_vec()))
}

/// The file's bytes, empty if it does not exist. Refuses what a rename would silently replace: a
/// link, a folder, a device.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    is_in_a_folder(path)?;
    let can_t_read = |e: std::io::Error| Trouble::io("read", path, &e);
    let kind = match fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type(),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Zeroizing::default()),
        Err(e) => return Err(can_t_read(e)),
    };
    if kind.is_symlink() {
        let trouble = Trouble::new(format!("{} is a symbolic link", path.display()));
        return Err(trouble.help("Name the file that it points to."));
    }
    if !kind.is_file() {
        return Err(Trouble::new(format!("{} is not a regular file", path.display())));
    }
    let file = File::open(path).map_err(can_t_read)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(can_t_read)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Trouble::new(format!(
            "{} is larger than 1 MiB: hardly a file of secrets",
            path.display()
        )));
    }
    Ok(bytes)
}

fn is_in_a_folder(path: &Path) -> Result<(), Trouble> {
    let folder = atomic::folder(path);
    if folder.is_dir() {
        return Ok(());
    }
    let trouble = Trouble::new(format!("the folder {} does not exist", folder.display()));
    // a mount that comes and goes
    Err(trouble.help("Create it; tokenform makes no folders for secrets.").tries(MAY_PASS))
}

/// The file's one true name, so that two destinations of one file share a lock.
fn resolved(path: &Path) -> Result<std::path::PathBuf, Trouble> {
    is_in_a_folder(path)?;
    let folder = fs::canonicalize(atomic::folder(path));
    let folder = folder.map_err(|e| Trouble::io("find the folder of", path, &e))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
