//! Approval of a fresh plan: `--auto-approve`, or a person at a terminal who has seen it.

use std::io::{BufRead, IsTerminal, Write};

use tokio::sync::oneshot;

use super::{Apply, Guided};
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::session::Session;
use crate::model::code;
use crate::model::finding::Finding;
use crate::plan::document::Plan;
use crate::provider::registry;

/// Whether somebody can be asked.
fn person(global: &Global) -> bool {
    !global.no_input && std::io::stdin().is_terminal()
}

/// Without a terminal and without approval it fails before any read.
pub fn possible(command: &Apply, global: &Global, saved: bool) -> Result<(), Failure> {
    if saved || command.auto_approve || person(global) {
        return Ok(());
    }
    let message = "there is no terminal to approve the plan at";
    Err(Failure::usage(
        message,
        "Review a plan saved with `plan -o FILE` and apply that file, or pass --auto-approve.",
    ))
}

/// `--auto-approve`, or the exact word `yes`.
pub async fn asked(command: &Apply, plan: &Plan, output: &Output) -> Result<(), Failure> {
    if command.auto_approve {
        let accepted = plan.evidence.new_state.is_empty() || command.new_state;
        return accepted.then_some(()).ok_or_else(|| new_state(plan));
    }
    output.show_to_approver(plan);
    output.say("\nDo you want to carry out these steps? Only `yes` is accepted.");
    let _ = write!(std::io::stderr(), "  Enter a value: ");
    match answer().await.as_deref() {
        Some("yes") => Ok(()),
        _ => {
            let finding = Finding::new(code::NOT_APPROVED, "the plan was not approved; nothing was changed");
            Err(Failure::new(Exit::Error, finding))
        }
    }
}

/// A line of the terminal. It is read on a thread of its own, so that an interrupt is heard meanwhile:
/// the thread ends with the program.
async fn answer() -> Option<String> {
    let (tell, told) = oneshot::channel();
    let read = move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let _ = tell.send(read.is_ok().then_some(line));
    };
    std::thread::Builder::new().name("prompt".into()).spawn(read).ok()?;
    let line = told.await.ok()??;
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn new_state(plan: &Plan) -> Failure {
    let count = plan.evidence.new_state.len();
    let message = format!(
        "{count} resets are due only because this state knows no ages; --auto-approve alone refuses them"
    );
    let help = "Review a saved plan, answer the prompt, or pass --new-state.";
    Failure::new(Exit::Refused, Finding::new(code::PLAN_NEW_STATE_REFUSED, message).help(help))
}

/// Guided resets need somebody at a terminal.
pub fn guided(command: &Apply, global: &Global, session: &Session, plan: &Plan) -> Result<(), Failure> {
    let guided = plan.steps.iter().find(|step| registry::is_guided(&session.desired, step));
    match guided {
        Some(step) if !person(global) && command.guided == Guided::Refuse => {
            let message = format!("{} is a guided reset, and there is no terminal", step.id);
            let finding = Finding::new(code::PLAN_GUIDED_NO_TERMINAL, message).at(&step.address);
            Err(Failure::new(Exit::Refused, finding))
        }
        _ => Ok(()),
    }
}
