//! `tokenform status`: what is in flight, which instances are held open, and what is protected.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::format::ListFormat;
use super::output::Output;
use super::{Global, line, session};
use crate::env::Env;
use crate::model::history::History;
use crate::model::source::Sources;
use crate::report;
use crate::report::status::Flight;
use crate::state::ledger;
use crate::state::{self, Holder, StateDir, Unfinished};

/// Show an apply that runs, or that did not come to its end
///
/// Reads the journal of the state folder, brings what is finished in it into the ledger, and sends
/// nothing. Instances that `unlock --for` holds open are listed, each with its end, and what the ledger
/// remembers as protected. Exit 5 if an apply is running, 6 if one is unfinished.
#[derive(Args)]
pub struct Status {
    /// The spec whose state is asked for: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

pub fn run(command: &Status, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    if let Err(error) = command.path.metadata() {
        return Err(session::bad_file(&command.path, &error));
    }
    let folder = session::state_folder(global, &command.path);
    let (flight, history, now) = match folder.exists() {
        true => found(&StateDir::open(&folder)?, global, env, output)?,
        false => (Flight::NoState(folder), History::default(), env.clock.now()),
    };
    let text = match command.format {
        ListFormat::Text => report::status::text(&flight, &history, now, &output.style),
        ListFormat::Json => report::status::json(&flight, &history),
    };
    output.data(text.as_bytes());
    Ok(match flight {
        Flight::NoState(_) | Flight::Idle | Flight::Waits(_) => Exit::Done,
        Flight::Running(_) => Exit::Locked,
        Flight::Unfinished(_) => Exit::Partial,
    })
}

/// What is in flight in a state, what it remembers, and what time it is for it.
fn found(
    state: &StateDir,
    global: &Global,
    env: &Env,
    output: &Output,
) -> Result<(Flight, History, Timestamp), Failure> {
    let flight = match state.held()? {
        Some(held) => Flight::Running(held),
        None => match left_behind(state, env, output)? {
            None => Flight::Idle,
            Some(ended) if ended.may_wait() => Flight::Waits(ended),
            Some(unfinished) => Flight::Unfinished(unfinished),
        },
    };
    Ok((flight, state.history()?.0, now(global, env, state)?))
}

/// A sandbox has a clock of its own, which stood at the last line of its ledger.
fn now(global: &Global, env: &Env, state: &StateDir) -> Result<Timestamp, Failure> {
    let last = match global.sandbox {
        Some(_) => ledger::survey(state)?.rows.last().map(|row| row.line.at),
        None => None,
    };
    Ok(last.unwrap_or_else(|| env.clock.now()))
}

/// What an apply left that no longer runs. Its finished steps go into the ledger first, so that who
/// follows the advice and moves the journal away loses none.
fn left_behind(state: &StateDir, env: &Env, output: &Output) -> Result<Option<Unfinished>, Failure> {
    if !state.journal_path().exists() {
        return Ok(None);
    }
    let _lock = state.lock(&Holder::this(env, &line::this_run()))?;
    let folded = state::fold(state)?;
    output.findings(&folded.findings, &Sources::default());
    Ok(state.unfinished()?)
}
