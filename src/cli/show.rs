//! `tokenform show`: a saved plan, to read.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Global;
use super::exit::{Exit, Failure};
use super::format::{Format, Printer};
use super::output::Output;
use super::plan::errors;
use super::session;
use crate::env::Env;
use crate::model::secret::sha256_hex;
use crate::model::source::Sources;
use crate::model::vocabulary::Target;
use crate::plan::document::Plan;
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

pub fn run(command: &Show, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let (saved, seal) = read(&command.file, global, env)?;
    let known = format!("{seal}, sha256 {}", sha256_hex(&saved.bytes));
    output.data(&Printer::new(command.format, global, output).render(&saved.plan, &known, &saved.bytes));
    output.findings(&errors(&saved.plan), &Sources::default());
    Ok(Exit::Done)
}

/// Reads a plan file, and says what is known of its seal. An edited file is refused; without a
/// usable key nothing can be verified, and the plan can be read all the same.
pub fn read(file: &Path, global: &Global, env: &Env) -> Result<(Saved, String), Failure> {
    let bytes = session::read_file(file)?;
    let saved = saved::parse(&bytes)?;
    let not_verified = |why: &str| format!("seal: not verified ({why})");
    let seal = match StateDir::existing_key(&state_of(&saved.plan, global), env) {
        Ok(Some(key)) if key.id() == saved.plan.key_id => {
            saved::verify(&bytes, &key)?;
            "seal: verified".to_owned()
        }
        Ok(_) => not_verified("the state's key is not at hand"),
        Err(error) => not_verified(&error.to_string()),
    };
    Ok((saved, seal))
}

/// The state that a plan says it is from.
fn state_of(plan: &Plan, global: &Global) -> PathBuf {
    let base = session::base_folder(global, &plan.spec_path);
    match plan.target {
        Target::Live => base,
        Target::Sandbox => base.join("sandbox"),
    }
}
