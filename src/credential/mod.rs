//! Resolves secret references to values, when first needed.
//!
//! A value is read into a wiped buffer, checked for being a pasted placeholder and handed on as a
//! [`Secret`]. No error holds a value, or anything that a command printed.

mod placeholder;

use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::env::Env;
use crate::model::code::CREDENTIAL;
use crate::model::finding::Finding;
use crate::model::secret::Secret;
use crate::model::vocabulary::SecretRef;

/// The longest value that is taken: far beyond any token, short enough to notice a wrong file.
const LONGEST: usize = 64 * 1024;

/// How long a command may run (real time).
const COMMAND_TIME: Duration = Duration::from_secs(30);

/// A reference that gave no usable value: which one, why, and what to do. Never the value.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what} could not be had from {from}: {why}")]
pub struct CredentialError {
    what: String,
    from: String,
    why: String,
    help: String,
}

impl CredentialError {
    /// The error as a finding about no object in particular.
    pub fn finding(&self) -> Finding {
        Finding::new(CREDENTIAL, self.to_string()).help(self.help.clone())
    }
}

/// The value that a reference stands for, with one trailing newline trimmed. `what` names it in
/// errors: "the API key of ibm.prod".
pub async fn resolve(reference: &SecretRef, env: &Env, what: &str) -> Result<Secret, CredentialError> {
    let value = match reference {
        SecretRef::Env(name) => from_env(name, env),
        SecretRef::File(path) => from_file(path),
        SecretRef::Command(words) => from_command(words).await,
    };
    value.and_then(checked).map_err(|trouble| CredentialError {
        what: what.to_owned(),
        from: told(reference),
        why: trouble.why,
        help: trouble.help.to_owned(),
    })
}

/// The reference as people know it. Arguments of a command may hold secrets: only its name is told.
fn told(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("the environment variable `{name}`"),
        SecretRef::File(path) => format!("the file `{}`", path.display()),
        SecretRef::Command(words) => {
            format!("the command `{}`", words.first().map_or("", String::as_str))
        }
    }
}

struct Trouble {
    why: String,
    help: &'static str,
}

fn trouble(why: impl Into<String>, help: &'static str) -> Trouble {
    Trouble { why: why.into(), help }
}

type Value = Zeroizing<Vec<u8>>;

fn from_env(name: &str, env: &Env) -> Result<Value, Trouble> {
    let value = env.vars.get(name);
    value
        .map(|text| Zeroizing::new(text.into_bytes()))
        .ok_or_else(|| trouble("it is not set", "Set it, or name another source in the spec."))
}

fn from_file(path: &Path) -> Result<Value, Trouble> {
    let help = "Check the path and who may read it; the path is relative to the file that names it.";
    let failed = |error: std::io::Error| trouble(error.to_string(), help);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut value = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1).read_to_end(&mut value).map_err(failed)?;
    Ok(value)
}

/// What a program prints. Its standard input and error are closed: what it says there may quote
/// the value.
async fn from_command(words: &[String]) -> Result<Value, Trouble> {
    let help = "Run the command by hand to see why; its output is not shown here, it may hold the value.";
    let (program, arguments) =
        words.split_first().ok_or_else(|| trouble("it is empty", "Name a program and its arguments."))?;
    let mut child = prepared(program, arguments)
        .spawn()
        .map_err(|error| trouble(format!("it could not be started: {error}"), help))?;
    let output = async {
        let mut value = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LONGEST as u64 + 1).read_to_end(&mut value).await?;
        }
        Ok::<_, std::io::Error>((value, child.wait().await?))
    };
    match tokio::time::timeout(COMMAND_TIME, output).await {
        Err(_) => Err(trouble(format!("it did not end within {} s", COMMAND_TIME.as_secs()), help)),
        Ok(Err(error)) => Err(trouble(error.to_string(), help)),
        Ok(Ok((_, status))) if !status.success() => Err(trouble(format!("it ended with {status}"), help)),
        Ok(Ok((value, _))) => Ok(value),
    }
}

/// A program with its arguments and without the state's key.
fn prepared(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("TOKENFORM_KEY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// Trims one line end and refuses what can't be a credential.
fn checked(mut value: Value) -> Result<Secret, Trouble> {
    if value.len() > LONGEST {
        return Err(trouble(
            format!("it is longer than {LONGEST} bytes"),
            "Check that the reference names a credential.",
        ));
    }
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
    if value.trim_ascii().is_empty() {
        return Err(trouble("it is empty", "Give it a value."));
    }
    if placeholder::looks_like_one(&value) {
        return Err(trouble(
            "its value looks like a pasted placeholder",
            "Put the real value there, without quotes or brackets around it.",
        ));
    }
    Ok(Secret::new(std::mem::take(&mut *value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Clock, Dice, Vars};
    use std::collections::BTreeMap;

    fn env(pairs: &[(&str, &str)]) -> Env {
        let vars: BTreeMap<_, _> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Env { clock: Clock::simulated(None), dice: Dice::seeded(1), vars: Vars::only(vars), ..Env::system() }
    }

    async fn value(reference: SecretRef, env: &Env) -> Result<Secret, String> {
        resolve(&reference, env, "the API key of ibm.prod").await.map_err(|e| e.to_string())
    }

    fn is(secret: &Secret, text: &str) -> bool {
        secret.same_as(&Secret::new(text.as_bytes().to_vec()))
    }

    #[tokio::test]
    async fn one_line_end_is_trimmed_from_every_source() {
        let env = env(&[("KEY", "a b \n\n")]);
        assert!(is(&value(SecretRef::Env("KEY".into()), &env).await.unwrap(), "a b \n"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "s3cret\r\n").unwrap();
        assert!(is(&value(SecretRef::File(path), &env).await.unwrap(), "s3cret"));
        let words = ["sh", "-c", "echo from-command"].map(str::to_owned).to_vec();
        assert!(is(&value(SecretRef::Command(words), &env).await.unwrap(), "from-command"));
    }

    #[tokio::test]
    async fn a_failing_command_tells_neither_its_arguments_nor_its_output() {
        let words = ["sh", "-c", "echo CANARY; echo CANARY >&2; exit 3"].map(str::to_owned).to_vec();
        let error = value(SecretRef::Command(words), &env(&[])).await.err().unwrap();
        assert!(error.contains("`sh`") && error.contains('3'), "{error}");
        assert!(!error.contains("CANARY"), "{error}");
    }

    /// The environment of a test can't be changed, so what is asked of the system is looked at.
    #[test]
    fn a_command_does_not_get_the_key_of_the_state() {
        let command = prepared("sh", &[]);
        let mut removed = command.as_std().get_envs().filter(|(_, value)| value.is_none());
        assert!(removed.any(|(name, _)| name == "TOKENFORM_KEY"));
    }

    #[tokio::test]
    async fn missing_empty_and_placeholder_values_are_refused_without_the_value() {
        let env = env(&[("EMPTY", "\n"), ("PASTED", "<CANARY>")]);
        for name in ["MISSING", "EMPTY", "PASTED"] {
            let error = value(SecretRef::Env(name.into()), &env).await.err().unwrap();
            assert!(error.contains("the API key of ibm.prod") && error.contains(name), "{error}");
            assert!(!error.contains("CANARY"), "{error}");
        }
        let error = value(SecretRef::File("/nowhere/key".into()), &env).await.err().unwrap();
        assert!(error.contains("/nowhere/key"), "{error}");
        assert!(value(SecretRef::Command(Vec::new()), &env).await.is_err());
    }

    #[tokio::test]
    async fn a_value_without_an_end_is_cut_off_and_refused() {
        let words = ["yes".to_owned()].to_vec();
        assert!(value(SecretRef::Command(words), &env(&[])).await.is_err());
    }
}
