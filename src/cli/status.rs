//! `tokenform status`: what is in flight.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::{Global, session};
use crate::env::Env;
use crate::report;
use crate::state::StateDir;

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
            let text = report::status::in_flight(&unfinished, &output.style);
            output.data(text.as_bytes());
            Ok(Exit::Partial)
        }
    }
}
