//! The state's key: 32 bytes in base64, from `TOKENFORM_KEY` or from the file `key`, mode 0600.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{StateError, atomic};
use crate::env::Env;
use crate::model::secret::{DigestKey, Secret};

const BYTES: usize = 32;

/// The longest key file that is read.
const LONGEST: u64 = 1024;

/// The key of a state that is about to be used: the one that its ledger and journals were made with.
pub(super) fn of_state(state: &Path, env: &Env) -> Result<DigestKey, StateError> {
    let key = load(state, env)?;
    let mark = state.join("key.id");
    match fs::read_to_string(&mark) {
        Ok(id) if id.trim() != key.id() && has_past(state) => Err(other(state, key.id(), id.trim())),
        Ok(id) if id.trim() == key.id() => Ok(key),
        Ok(_) | Err(_) => {
            // a courtesy: a state that can't be written can be looked at all the same
            let _ = atomic::replace(&mark, format!("{}\n", key.id()).as_bytes());
            Ok(key)
        }
    }
}

/// Under another key every fingerprint would look changed, and every age unknown: a plan would reset
/// and deliver all over again.
fn other(state: &Path, given: &str, known: &str) -> StateError {
    let reason = format!(
        "is another one (id {given}) than {} was made with (id {known}); {}",
        state.display(),
        way_out(state)
    );
    StateError::Key { reason }
}

fn way_out(state: &Path) -> String {
    format!(
        "set TOKENFORM_KEY as in earlier runs, or restore {}; if that key is lost, move ledger.jsonl and journal/ \
         out of the folder: a new state begins, which knows no ages",
        state.join("key").display()
    )
}

/// Whether something in the state was made with a key.
fn has_past(state: &Path) -> bool {
    let journals = fs::read_dir(state.join("journal"));
    state.join("ledger.jsonl").exists() || journals.is_ok_and(|mut entries| entries.next().is_some())
}

pub(super) fn load(state: &Path, env: &Env) -> Result<DigestKey, StateError> {
    if let Some(text) = env.vars.get("TOKENFORM_KEY").map(Zeroizing::new) {
        return decode(text.as_bytes(), "in TOKENFORM_KEY");
    }
    let path = state.join("key");
    match fs::metadata(&path) {
        Ok(_) => read(&path),
        Err(missing) if missing.kind() == ErrorKind::NotFound => draw(state, &path, env),
        Err(error) => Err(StateError::io("read", &path)(error)),
    }
}

fn read(path: &Path) -> Result<DigestKey, StateError> {
    let file = fs::File::open(path).map_err(StateError::io("read", path))?;
    let mode = file.metadata().map_err(StateError::io("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let reason =
            format!("file {} has mode {mode:03o}: others could read it; chmod 600 it", path.display());
        return Err(StateError::Key { reason });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(64));
    file.take(LONGEST).read_to_end(&mut text).map_err(StateError::io("read", path))?;
    decode(&text, &format!("in {}", path.display()))
}

fn decode(text: &[u8], place: &str) -> Result<DigestKey, StateError> {
    let decoded = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new);
    match decoded {
        Ok(bytes) if bytes.len() == BYTES => Ok(DigestKey::new(Secret::new(bytes.to_vec()))),
        Ok(bytes) => Err(StateError::Key {
            reason: format!(
                "{place} has {} bytes instead of {BYTES}; `openssl rand -base64 32` makes one",
                bytes.len()
            ),
        }),
        Err(_) => Err(StateError::Key {
            reason: format!("{place} is not base64; `openssl rand -base64 32` makes one"),
        }),
    }
}

/// Draws a key on first use. A ledger or a journal without a key was made under `TOKENFORM_KEY` or
/// has lost its key: what to do then is for a person to say.
fn draw(state: &Path, path: &Path, env: &Env) -> Result<DigestKey, StateError> {
    if has_past(state) {
        let state_name = state.display();
        let reason = format!("is missing, and {state_name} was made with one; {}", way_out(state));
        return Err(StateError::Key { reason });
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    env.dice.fill(bytes.as_mut_slice());
    let mut text = Zeroizing::new(STANDARD.encode(*bytes));
    text.push('\n');
    match atomic::create(path, text.as_bytes()) {
        Ok(()) => Ok(DigestKey::new(Secret::new(bytes.to_vec()))),
        // another run was first: its key counts
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(StateError::io("write", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Dice, Vars};
    use std::collections::BTreeMap;

    fn env(key: Option<&str>) -> Env {
        let vars: BTreeMap<_, _> =
            key.map(|k| ("TOKENFORM_KEY".to_owned(), k.to_owned())).into_iter().collect();
        Env { vars: Vars::only(vars), dice: Dice::seeded(1), ..Env::system() }
    }

    fn refusal(state: &Path, env: &Env) -> String {
        load(state, env).err().unwrap().to_string()
    }

    #[test]
    fn a_drawn_key_is_private_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let env = env(None);
        let first = load(dir.path(), &env).unwrap();
        let mode = fs::metadata(dir.path().join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(load(dir.path(), &env).unwrap().id(), first.id());
    }

    #[test]
    fn the_variable_and_the_file_hold_the_same_text() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = load(dir.path(), &env(None)).unwrap();
        let text = fs::read_to_string(dir.path().join("key")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(load(elsewhere.path(), &env(Some(&text))).unwrap().id(), drawn.id());
        assert!(!elsewhere.path().join("key").exists());
    }

    #[test]
    fn bad_keys_are_refused_and_never_quoted() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["", "hunter2!", "aHVudGVyMg=="] {
            let text = refusal(dir.path(), &env(Some(bad)));
            assert!(
                text.contains("TOKENFORM_KEY") && !text.contains("hunter2") && !text.contains("aHVu"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path(), &env(None)).unwrap();
        fs::set_permissions(dir.path().join("key"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refusal(dir.path(), &env(None)).contains("640"));
    }

    #[test]
    fn a_state_without_its_key_gets_no_new_one() {
        for made in ["ledger.jsonl", "journal/current.jsonl"] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("journal")).unwrap();
            fs::write(dir.path().join(made), "").unwrap();
            let told = refusal(dir.path(), &env(None));
            assert!(told.contains("is missing") && told.contains("TOKENFORM_KEY"), "{told}");
            assert!(told.contains("move ledger.jsonl and journal/ out"), "{told}");
            assert!(!dir.path().join("key").exists());
        }
    }

    #[test]
    fn another_key_is_refused_once_something_was_made_with_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let of = |key: Option<&str>| of_state(dir.path(), &env(key)).map(|key| key.id().to_owned());
        let (first, other) = (STANDARD.encode([1; BYTES]), STANDARD.encode([2; BYTES]));
        of(Some(&first)).unwrap();
        // nothing was made with it yet
        let id = of(Some(&other)).unwrap();
        fs::write(dir.path().join("ledger.jsonl"), "").unwrap();
        assert_eq!(of(Some(&other)).unwrap(), id);
        let told = of(Some(&first)).err().unwrap().to_string();
        assert!(told.contains(&format!("(id {id})")) && told.contains("another one"), "{told}");
        assert!(!told.contains(&first), "{told}");
        fs::remove_file(dir.path().join("ledger.jsonl")).unwrap();
        of(Some(&first)).unwrap();
    }
}
