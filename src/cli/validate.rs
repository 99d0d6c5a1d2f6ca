//! `tokenform validate`: is the spec right?

use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure};
use super::format::FindingFormat;
use super::output::Output;
use super::session;
use crate::env::Env;
use crate::spec;

/// Check a spec offline and show every finding at once
///
/// Reads the file, or every *.yaml and *.yml of the folder, and sends nothing. Each finding has a
/// code, the line it is about, and what to do.
#[derive(Args)]
pub struct Validate {
    /// The spec: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// How findings are printed: for people on standard error, else as one document on standard output
    #[arg(long, value_enum, default_value = "text")]
    format: FindingFormat,
}

pub fn run(command: &Validate, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let loaded = session::load_spec(&command.path, env.clock.now());
    let (findings, sources, exit) = match &loaded {
        Ok(loaded) => (&loaded.findings, &loaded.sources, Exit::Done),
        Err(failure) => (&failure.findings, &failure.sources, failure.exit),
    };
    if let Some(document) = command.format.document(findings, sources, &command.path) {
        output.data(document.as_bytes());
        return Ok(exit);
    }
    let loaded = loaded?;
    output.findings(&loaded.findings, &loaded.sources);
    let text = format!("{}: the spec is valid.\n", loaded.path.display());
    output.data(text.as_bytes());
    Ok(Exit::Done)
}

impl From<Box<spec::Rejected>> for Failure {
    fn from(rejected: Box<spec::Rejected>) -> Self {
        Self { exit: Exit::Error, findings: rejected.findings, sources: rejected.sources }
    }
}
