//! `tokenform status`: what is in flight, and which instances are held open.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::{Global, line, session};
use crate::env::Env;
use crate::model::source::Sources;
use crate::report::{self, safe};
use crate::state::ledger;
use crate::state::{self, Held, Holder, Standing, StateDir, Unfinished};

/// Show an apply that runs, or that did not come to its end
///
/// Reads the journal of the state folder, brings what is finished in it into the ledger, and sends
/// nothing. Instances that `unlock --for` holds open are listed, each with its end. Exit 5 if an apply is running, 6 if one is unfinished.
#[derive(Args)]
pub struct Status {
    /// The spec whose state is asked for: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,
}

pub fn run(command: &Status, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    if let Err(error) = command.path.metadata() {
        return Err(session::bad_file(&command.path, &error));
    }
    let folder = session::state_folder(global, &command.path);
    if !folder.exists() {
        output.data(format!("No state at {}: nothing was ever applied.\n", folder.display()).as_bytes());
        return Ok(Exit::Done);
    }
    let state = StateDir::open(&folder)?;
    if let Some(held) = state.held()? {
        output.data(running(&held).as_bytes());
        return Ok(Exit::Locked);
    }
    let (text, exit) = match left_behind(&state, env, output)? {
        None => ("Nothing is in flight.\n".to_owned(), Exit::Done),
        Some(ended) if ended.may_wait() => (report::status::waits(&ended), Exit::Done),
        Some(unfinished) => (report::status::in_flight(&unfinished, &output.style), Exit::Partial),
    };
    output.data(text.as_bytes());
    let (history, _) = state.history()?;
    output.data(report::status::holds(&history, now(global, env, &state)?).as_bytes());
    Ok(exit)
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

/// Who has the state now, and what to do about it.
fn running(held: &Held) -> String {
    let holder = held.standing.holder().map(report::lock::who).unwrap_or_default();
    let title = match held.standing {
        Standing::Held(_) => "An apply is running:",
        _ => "An apply may be running:",
    };
    format!("{title}\n{holder}{}\n", safe::lines(&held.help()))
}
