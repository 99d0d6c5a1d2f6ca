//! `tokenform lock`: who holds the locks of a state, and breaking one that nobody can let go.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::format::ListFormat;
use super::output::Output;

use super::{Global, line, session};
use crate::env::Env;
use crate::report;
use crate::state::{Holder, StateDir};

/// Show who holds the state's locks, or break one that was left behind
///
/// A state has one writer at a time. Its lock, and those of destinations, are let go by the operating
/// system when their process ends, however it ends: a dead run holds nothing, except where a file
/// system has no locks or shares them with other hosts. That is what `lock break` is for.
#[derive(Args)]
pub struct Lock {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    List(List),
    Break(Break),
}

/// List the locks: free, held, dead (its run no longer exists) or unknown (of another host)
#[derive(Args)]
struct List {
    /// The spec whose state is asked for: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

/// Break the locks that no run of this machine holds
///
/// Refuses (exit 5) while a process of this machine holds one. Who broke what, and why, is kept in
/// `lock.log` in the state folder.
#[derive(Args)]
struct Break {
    /// The spec whose state is meant: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Why the holder surely runs no more
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub fn run(command: &Lock, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    match &command.what {
        What::List(list) => listed(list, global, output),
        What::Break(this) => broken(this, global, env, output),
    }
}

fn listed(list: &List, global: &Global, output: &Output) -> Result<Exit, Failure> {
    let (locks, breaks) = match state(&list.path, global)? {
        Some(state) => (state.locks()?, state.broken_locks()?),
        None => Default::default(),
    };
    let text = match list.format {
        ListFormat::Text => report::lock::text(&locks, &breaks, &output.style),
        ListFormat::Json => report::lock::json(&locks, &breaks),
    };
    output.data(text.as_bytes());
    Ok(Exit::Done)
}

fn broken(this: &Break, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let reason = this.reason.trim();
    if reason.is_empty() {
        let help = "Write why its holder surely runs no more: it is kept in the state's lock.log.";
        return Err(Failure::usage("--reason says nothing", help));
    }
    let broken = match state(&this.path, global)? {
        Some(state) => state.break_locks(&Holder::this(env, &line::this_run()), reason)?,
        None => Vec::new(),
    };
    output.data(report::lock::broken(&broken).as_bytes());
    Ok(Exit::Done)
}

/// The state of a spec; none if nothing was ever applied. Makes no folder.
fn state(path: &Path, global: &Global) -> Result<Option<StateDir>, Failure> {
    if let Err(error) = path.metadata() {
        return Err(session::bad_file(path, &error));
    }
    let folder = session::state_folder(global, path);
    Ok(if folder.exists() { Some(StateDir::open(&folder)?) } else { None })
}
