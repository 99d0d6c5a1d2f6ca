//! What is promised and not built yet: refused by name, never unknown and never ignored.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::Global;
use super::exit::{Exit, Failure};
use crate::model::code;
use crate::model::finding::Finding;

/// Commands to come.
#[derive(Subcommand)]
pub enum Later {
    #[command(hide = true)]
    Import(Anything),
    #[command(hide = true)]
    Completions(Anything),
    #[command(hide = true)]
    Man(Anything),
}

/// Not built yet, whatever it is given
#[derive(Args)]
pub struct Anything {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<OsString>,
}

impl Later {
    pub fn refused(&self) -> Failure {
        let (name, instead) = match self {
            Self::Import(_) => ("import", "Write the spec by hand; `tokenform validate` checks it."),
            Self::Completions(_) => ("completions", "See `tokenform --help`."),
            Self::Man(_) => ("man", "See `tokenform help COMMAND`."),
        };
        not_yet(&format!("`tokenform {name}`"), instead)
    }
}

/// A state that is not a folder of this machine.
pub fn refuse_remote_state(global: &Global) -> Result<(), Failure> {
    let state = global.state.as_deref().map(|state| state.to_string_lossy()).unwrap_or_default();
    match state.split_once("://") {
        None => Ok(()),
        Some((scheme, _)) => {
            let what = format!("a state at `{scheme}://`");
            Err(not_yet(&what, "Give a folder: --state DIR."))
        }
    }
}

fn not_yet(what: &str, instead: &str) -> Failure {
    let finding = Finding::new(code::NOT_YET, format!("{what} is not built yet; nothing was done"));
    Failure::new(Exit::Error, finding.help(instead))
}
