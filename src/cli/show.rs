//! `tokenform show`: a saved plan, to read.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Global;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::plan::errors;
use super::session::{self, default_state};
use crate::env::Env;
use crate::model::source::Sources;
use crate::report;
use crate::saved::{self, Saved};
use crate::state::StateDir;

/// Show a saved plan
///
/// Prints the plan as it was reviewed. The seal is verified if the state's key is at hand; the plan
/// can be read without it.
#[derive(Args)]
pub struct Show {
    /// A plan file, written by `plan -o`
    #[arg(value_name = "PLANFILE")]
    file: PathBuf,

    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// The plan file's own format
    Json,
}

pub fn run(command: &Show, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let (saved, seal) = read(&command.file, global, env)?;
    match command.format {
        Format::Json => output.data(&report::json::plan(&saved.bytes)),
        Format::Text => output.data(report::text::plan(&saved.plan, seal, &output.style).as_bytes()),
    }
    output.findings(&errors(&saved.plan), &Sources::default());
    Ok(Exit::Done)
}

/// Reads a plan file. The seal is verified where the state has a key, and an edited file is refused.
pub fn read(file: &Path, global: &Global, env: &Env) -> Result<(Saved, &'static str), Failure> {
    let bytes = session::read_file(file)?;
    let saved = saved::parse(&bytes)?;
    let state = global.state.clone().unwrap_or_else(|| default_state(&saved.plan.spec_path));
    let state = match saved.plan.target {
        crate::model::vocabulary::Target::Live => state,
        crate::model::vocabulary::Target::Sandbox => state.join("sandbox"),
    };
    match StateDir::existing_key(&state, env)? {
        Some(key) if key.id() == saved.plan.key_id => {
            saved::verify(&bytes, &key)?;
            Ok((saved, "seal: verified"))
        }
        _ => Ok((saved, "seal: not verified (the state's key is not at hand)")),
    }
}
