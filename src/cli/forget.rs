//! `tokenform forget`: drops what the ledger remembers of an object that is gone for good.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::{Global, line, session};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::History;
use crate::model::source::Sources;
use crate::report::safe;
use crate::spec::nearest;
use crate::state::ledger::{self, Entry};
use crate::state::{self, Holder, StateDir};

/// Drop what the ledger remembers of an object, and of all below it
///
/// For objects that are gone for good. The ledger keeps its lines and gets one more, which says so. An
/// object that is still there becomes one of unknown age: its rotation is due.
#[derive(Args)]
pub struct Forget {
    /// The object's address; quote it for the shell
    #[arg(value_name = "ADDR")]
    address: Address,

    /// The spec whose state is meant: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub fn run(command: &Forget, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let folder = session::state_folder(global, &command.path);
    if !folder.exists() {
        let message = format!("there is no state at {}, so nothing is remembered", folder.display());
        return Err(Failure::usage(message, "Name the spec, or the state with --state."));
    }
    let state = StateDir::open(&folder)?;
    let held = state.lock(&Holder::this(env, &line::this_run()))?;
    let folded = state::fold(&state)?;
    output.findings(&folded.findings, &Sources::default());
    if let Some(unfinished) = state.unfinished()? {
        let message = format!("apply {} did not come to its end; nothing was forgotten", unfinished.apply_id);
        return Err(Failure::new(Exit::Partial, Finding::new(code::UNFINISHED, message)));
    }
    let remembered = remembered(&command.address, &state.history()?.0)?;
    let reason = command.reason.clone().filter(|reason| !reason.trim().is_empty());
    let entry = Entry::Forgotten { address: command.address.clone() };
    ledger::add(&state, &held, env.clock.now(), reason, entry)?;
    for address in remembered {
        output.data(format!("Forgotten: {}\n", safe::shown(address)).as_bytes());
    }
    Ok(Exit::Done)
}

/// The objects that are remembered there; a slip of the pen is told with the nearest.
fn remembered(address: &Address, history: &History) -> Result<Vec<Address>, Failure> {
    let meant = history.objects.keys().filter(|object| address.covers(object)).cloned();
    let meant: Vec<Address> = meant.collect();
    if !meant.is_empty() {
        return Ok(meant);
    }
    let known: Vec<String> = history.objects.keys().map(ToString::to_string).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = nearest::suggestion(&address.to_string(), &known);
    let help =
        near.unwrap_or_else(|| "The ledger, `ledger.jsonl` in the state folder, names its objects.".into());
    Err(Failure::usage(format!("the ledger remembers nothing of `{address}`"), help))
}
