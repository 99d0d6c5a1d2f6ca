//! `tokenform check`: the independent judge of a plan.

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::plan::errors;
use super::{Global, show};
use crate::env::Env;
use crate::model::source::Sources;
use crate::plan::check;
use crate::report;

/// Admit or refuse a plan: prints each invariant with the steps that prove it
///
/// The checker shares nothing with the planner and judges the file alone. Exit 0 admits, 3 refuses.
#[derive(Args)]
pub struct Check {
    /// A plan file, written by `plan -o`
    #[arg(value_name = "PLANFILE")]
    file: PathBuf,
}

pub fn run(command: &Check, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let (saved, seal) = show::read(&command.file, global, env)?;
    let (plan, exit) = match check::admit(saved.plan) {
        Ok(admitted) => (admitted.plan().clone(), Exit::Done),
        Err(refused) => (*refused, Exit::Refused),
    };
    output.data(report::check::admitted(&plan, &output.style).as_bytes());
    output.findings(&errors(&plan), &Sources::default());
    output.say(&seal);
    Ok(exit)
}
