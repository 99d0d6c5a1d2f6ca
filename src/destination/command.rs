//! A program that takes values on its standard input. Never in its arguments, where other users of
//! the machine could read them.
//!
//! What it says while it has a value is never heard: it may be the value in any encoding, and no
//! masking finds them all. A probe has no value, so the last line of a probe that fails is shown.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::trouble::{MAY_PASS, MAY_PASS_SLOWLY, Trouble};
use super::{CommandDestination, Handover, Probed, Receipt, lock_name};
use crate::env::Env;
use crate::model::secret::Secret;
use crate::state::StateDir;

const TIMEOUT: Duration = Duration::from_secs(60);

/// How long what a program said is still read after it ended: a child of its own may hold the pipe.
const GRACE: Duration = Duration::from_millis(200);

/// How much of what a program says is looked at. More gives no hint.
const HEARD: u64 = 64 * 1024;

/// The longest hint, in characters.
const HINT: usize = 200;

const UNHEARD: &str = "Run it by hand with a made-up value to see why; what it says during a delivery is not shown, \
                       it may hold the value.";

/// Runs the declared probe, else only looks the program up.
pub(super) async fn probe(command: &CommandDestination, env: &Env) -> Result<Probed, Trouble> {
    let program = resolve(&command.run, env)?;
    let Some(probe) = &command.probe else {
        let why = format!("{} is there; no `probe` is declared", program.display());
        return Ok(Probed::NotProbed(why));
    };
    let mut child = prepared(probe, env)?;
    child.stdin(Stdio::null());
    child.stderr(Stdio::piped());
    run(&mut child, &probe[0], None, limit(command)).await.map(|()| Probed::Writable)
}

pub(super) async fn deliver(
    name: &str,
    command: &CommandDestination,
    what: &Handover<'_>,
    state: &StateDir,
    env: &Env,
) -> Result<Receipt, Trouble> {
    let hold = state.hold(&lock_name("command", name.as_bytes()), name, env.clock.now()).await;
    let _hold = hold.map_err(|e| Trouble::new(e.to_string()))?;
    let mut child = prepared(&command.run, env)?;
    child.stdin(Stdio::piped());
    child.env("TOKENFORM_DELIVER_ADDRESS", what.address.to_string());
    for (variable, text) in [
        ("TOKENFORM_DELIVER_KEY", what.key),
        ("TOKENFORM_DELIVER_ID_KEY", what.id_key),
        ("TOKENFORM_DELIVER_ID", what.id),
    ] {
        match text {
            Some(text) => child.env(variable, text),
            None => child.env_remove(variable),
        };
    }
    run(&mut child, &command.run[0], Some(what.value), limit(command)).await?;
    Ok(Receipt { text: format!("taken by {}", command.run[0]) })
}

fn limit(command: &CommandDestination) -> Duration {
    command.timeout.map_or(TIMEOUT, |period| period.as_duration())
}

/// A program with its arguments and without the state's key. It has a process group of its own: a
/// Ctrl-C is for the run, which lets a delivery come to its end; and what it has started can be stopped
/// with it.
fn prepared(run: &[String], env: &Env) -> Result<Command, Trouble> {
    let mut command = Command::new(resolve(run, env)?);
    command.args(&run[1..]).env_remove("TOKENFORM_KEY");
    command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.process_group(0);
    Ok(command)
}

/// The program's file: as it is if it has a `/`, else from `PATH`.
fn resolve(run: &[String], env: &Env) -> Result<PathBuf, Trouble> {
    let Some(program) = run.first().filter(|program| !program.is_empty()) else {
        return Err(Trouble::new("names no program"));
    };
    let found = if program.contains('/') {
        Some(PathBuf::from(program)).filter(|path| executable(path))
    } else {
        let path = env.vars.get("PATH").unwrap_or_default();
        std::env::split_paths(OsStr::new(&path))
            .map(|folder| folder.join(program))
            .find(|file| executable(file))
    };
    found.ok_or_else(|| {
        Trouble::new(format!("there is no program `{program}`")).help("Install it, or give its whole path.")
    })
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a program to its end; anything but exit code 0 is trouble.
async fn run(
    command: &mut Command,
    name: &str,
    value: Option<&Secret>,
    limit: Duration,
) -> Result<(), Trouble> {
    let mut child = command.spawn().map_err(|error| not_started(name, &error))?;
    let group = Group::of(&child);
    let mut heard = Vec::new();
    let Ok(ended) = timeout(limit, attend(&mut child, value, &mut heard)).await else {
        // it may have taken the value or not: a delivery may be repeated, so it counts as failed
        drop(group);
        let _ = child.kill().await;
        let seconds = limit.as_secs();
        let taken = if value.is_some() { "; it may have taken the value" } else { "" };
        let trouble = Trouble::new(format!("`{name}` did not end within {seconds} s and was stopped{taken}"));
        return Err(trouble.tries(MAY_PASS_SLOWLY));
    };
    group.ended();
    let (reason, tries) = match ended {
        (_, Err(e)) => (format!("`{name}` can't be waited for: {e}"), MAY_PASS),
        (_, Ok(status)) if !status.success() => (format!("`{name}` failed ({status})"), MAY_PASS),
        (Err(e), Ok(_)) if e.kind() == ErrorKind::BrokenPipe => {
            (format!("`{name}` did not read the value"), 1)
        }
        (Err(e), Ok(_)) => (format!("`{name}` could not be given the value: {e}"), MAY_PASS),
        (Ok(()), Ok(_)) => return Ok(()),
    };
    let help = match value {
        Some(_) => Some(UNHEARD.to_owned()),
        None => hint(&heard).map(|said| format!("It said: {said}")),
    };
    Err(Trouble { reason, help, tries })
}

fn not_started(name: &str, error: &std::io::Error) -> Trouble {
    let trouble = Trouble::new(format!("`{name}` can't be started: {error}"));
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory | ErrorKind::ExecutableFileBusy => {
            trouble.tries(MAY_PASS)
        }
        _ => trouble,
    }
}

/// A program and all that it has started, killed when dropped: by a timeout, or by a person who stops
/// the run at once.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// It ended by itself: what it left behind is meant to stay, and its number is no longer its own.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // none is left to kill
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Feeds a child, listens to it and waits for it, all at once.
async fn attend(
    child: &mut Child,
    value: Option<&Secret>,
    heard: &mut Vec<u8>,
) -> (std::io::Result<()>, std::io::Result<ExitStatus>) {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let work = async { tokio::join!(feed(stdin, value), child.wait()) };
    let listen = listen(stderr, heard);
    tokio::pin!(work, listen);
    tokio::select! {
        ended = &mut work => {
            let _ = timeout(GRACE, &mut listen).await;
            ended
        }
        () = &mut listen => work.await,
    }
}

/// Writes the value and closes the pipe.
#[expect(clippy::disallowed_methods, reason = "a destination takes the value")]
async fn feed(stdin: Option<ChildStdin>, value: Option<&Secret>) -> std::io::Result<()> {
    let (Some(mut stdin), Some(value)) = (stdin, value) else { return Ok(()) };
    let bytes = value.expose(|bytes| Zeroizing::new(bytes.to_vec()));
    stdin.write_all(&bytes).await?;
    stdin.shutdown().await
}

/// Reads what a child says up to a limit, and the rest into nothing so that it never blocks.
async fn listen(stderr: Option<ChildStderr>, heard: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    // a program that can't be heard gives no hint
    let _ = (&mut stderr).take(HEARD + 1).read_to_end(heard).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}

/// The last line that was said; nothing if there was too much to be read.
fn hint(heard: &[u8]) -> Option<String> {
    if heard.len() as u64 > HEARD {
        return None;
    }
    let text = String::from_utf8_lossy(heard);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(HINT).collect())
}

#[cfg(test)]
mod tests;
