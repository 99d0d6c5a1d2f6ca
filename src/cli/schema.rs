//! `tokenform schema`: the JSON Schemas of what tokenform reads and writes.

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::{report, saved, spec};

/// Print the JSON Schema of the spec, of plan files, or of the events of `apply --format json`
///
/// Editors complete and check a spec that begins with
/// `# yaml-language-server: $schema=PATH/spec.schema.json`.
#[derive(Args)]
pub struct Schema {
    /// Which schema
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Spec,
    Plan,
    Events,
}

pub fn run(command: &Schema, output: &Output) -> Result<Exit, Failure> {
    let schema = match command.what {
        What::Spec => spec::schema(),
        What::Plan => saved::schema(),
        What::Events => report::events::schema(),
    };
    output.data(format!("{schema:#}\n").as_bytes());
    Ok(Exit::Done)
}
