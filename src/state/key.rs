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

/// Draws a key on first use. A ledger without a key was made under `TOKENFORM_KEY` or has lost its
/// key: under a new one every fingerprint in it would look changed, so that is for a person to say.
fn draw(state: &Path, path: &Path, env: &Env) -> Result<DigestKey, StateError> {
    if state.join("ledger.jsonl").exists() {
        let reason = format!(
            "is missing, and {} has a ledger made with one; set TOKENFORM_KEY as in earlier runs, or restore {}",
            state.display(),
            path.display()
        );
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
    fn a_ledger_without_its_key_gets_no_new_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ledger.jsonl"), "").unwrap();
        assert!(refusal(dir.path(), &env(None)).contains("TOKENFORM_KEY"));
        assert!(!dir.path().join("key").exists());
    }
}
