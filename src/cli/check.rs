//! `tokenform check`: the independent judge of a plan.

use std::path::PathBuf;

use clap::Args;

use super::approvals::Approvals;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::plan::errors;
use super::policies::Policies;
use super::{Global, show};
use crate::env::Env;
use crate::model::approval::Approval;
use crate::model::source::Sources;
use crate::plan::check;
use crate::provider::state::Approvals as Wish;
use crate::report;
use crate::report::safe;
use crate::state::who;

/// Admit or refuse a plan: prints each invariant with the steps that prove it
///
/// The checker shares nothing with the planner and judges the file alone. Exit 0 admits, 3 refuses.
#[derive(Args)]
pub struct Check {
    /// A plan file, written by `plan -o`
    #[arg(value_name = "PLANFILE")]
    file: PathBuf,

    #[command(flatten)]
    approvals: Approvals,

    #[command(flatten)]
    policies: Policies,
}

pub fn run(command: &Check, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let (saved, seal) = show::read(&command.file, global, env)?;
    let (plan, exit) = match check::admit(saved.plan.clone()) {
        Ok(admitted) => (admitted.plan().clone(), Exit::Done),
        Err(refused) => (*refused, Exit::Refused),
    };
    let asked = (command.file.as_path(), saved.bytes.as_slice());
    let approvals = command.approvals.of(&Wish::default(), &plan, asked, &who(env), env.clock.now())?;
    output.data(report::check::admitted(&plan, &output.style).as_bytes());
    output.findings(&errors(&plan), &Sources::default());
    output.say(&seal);
    for Approval { by, key } in approvals {
        output.say(&format!("approved by {} ({key})", safe::line(&by.join(", "))));
    }
    command.policies.judge(&saved.bytes, output)?;
    Ok(exit)
}
