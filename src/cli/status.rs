//! `tokenform status`: what is in flight.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::{Global, session};
use crate::env::Env;
use crate::report;
use crate::state::StateDir;
use crate::state::replay::{Stage, StepLog, Unfinished};

/// Show an apply that did not come to its end
///
/// Reads the journal of the state folder and sends nothing. Exit 6 if an apply is unfinished.
#[derive(Args)]
pub struct Status {
    /// The spec whose state is asked for: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,
}

pub fn run(command: &Status, global: &Global, _env: &Env, output: &Output) -> Result<Exit, Failure> {
    let folder = session::state_folder(global, &command.path);
    if !folder.exists() {
        output.data(format!("No state at {}: nothing was ever applied.\n", folder.display()).as_bytes());
        return Ok(Exit::Done);
    }
    let state = StateDir::open(&folder)?;
    match state.unfinished()? {
        None => {
            output.data(b"Nothing is in flight.\n");
            Ok(Exit::Done)
        }
        Some(unfinished) => {
            output.data(in_flight(&unfinished, output).as_bytes());
            Ok(Exit::Partial)
        }
    }
}

/// What an interrupted apply left, and what a person can do until `resume` is built.
pub fn in_flight(unfinished: &Unfinished, output: &Output) -> String {
    let steps: Vec<_> =
        unfinished.steps.iter().map(|log| (log.step.clone(), stage(log).to_owned())).collect();
    report::status::in_flight(&unfinished.apply_id, &steps, &output.style)
}

/// What a step's last record says, in words.
fn stage(log: &StepLog) -> &'static str {
    match log.stage {
        Stage::Began => "its request may have left; nothing is known of its effect",
        Stage::Answered => "it happened; its value may not have been delivered",
        Stage::Delivered => "it happened and was delivered, at least in part; not proved",
        Stage::Done => "done",
        Stage::Refused => "nothing happened",
        Stage::Failed => "it happened; a delivery or a proof failed",
        Stage::InDoubt => "in doubt",
    }
}
