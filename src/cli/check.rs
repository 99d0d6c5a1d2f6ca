//! `tokenform check`: the independent judge of a plan.

use std::path::PathBuf;

use clap::Args;

use super::approvals::Approvals;
use super::exit::{Exit, Failure};
use super::format::FindingFormat;
use super::output::Output;
use super::plan::{broken, errors};
use super::policies::Policies;
use super::{Global, show};
use crate::env::Env;
use crate::model::approval::Approval;
use crate::model::finding::Finding;
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

    /// How findings are printed: SARIF and JUnit hold what breaks an invariant and what the policies say
    #[arg(long, value_enum, default_value = "text")]
    format: FindingFormat,
}

pub fn run(command: &Check, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    let (saved, seal) = show::read(&command.file, global, env)?;
    let (plan, exit) = match check::admit(saved.plan.clone()) {
        Ok(admitted) => (admitted.plan().clone(), Exit::Done),
        Err(refused) => (*refused, Exit::Refused),
    };
    let asked = (command.file.as_path(), saved.bytes.as_slice());
    let approvals = command.approvals.of(&Wish::default(), &plan, asked, &who(env), env.clock.now())?;
    if command.format != FindingFormat::Text {
        let findings = [broken(&plan), command.policies.findings(&saved.bytes)?].concat();
        let refused = findings.iter().any(Finding::is_error);
        let document = command.format.document(&findings, &Sources::default(), &plan.spec_path);
        output.data(document.unwrap_or_default().as_bytes());
        return Ok(if refused { Exit::Refused } else { exit });
    }
    output.data(report::check::admitted(&plan, &output.style).as_bytes());
    output.findings(&errors(&plan), &Sources::default());
    output.say(&seal);
    for Approval { by, key } in approvals {
        output.say(&format!("approved by {} ({key})", safe::line(&by.join(", "))));
    }
    command.policies.judge(&saved.bytes, output)?;
    Ok(exit)
}
