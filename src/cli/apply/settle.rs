//! What `apply` does first: settles what an interrupted apply left in doubt.

use super::Job;
use crate::apply::{self, Applied, Ground, Stop};
use crate::cli::exit::{Exit, Failure};
use crate::cli::plan::admitted;
use crate::cli::session::Session;
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::plan::document::Plan;
use crate::state::Unfinished;
use crate::{report, saved, state};

/// Folds what an earlier apply left behind. If steps of it were begun and not finished, each is
/// brought to an end by a look; one that stays in doubt stops this run. Steps that were not begun do
/// not run: they are planned anew, and approved anew.
pub fn settle(session: &mut Session, job: &Job<'_>) -> Result<(), Failure> {
    let folded = state::fold(&session.state)?;
    job.output.findings(&folded.findings, &Sources::default());
    if let Some(unfinished) = session.state.unfinished()? {
        settled(session, &unfinished, job)?;
    }
    Ok(session.refresh()?)
}

fn settled(session: &Session, unfinished: &Unfinished, job: &Job<'_>) -> Result<(), Failure> {
    let output = job.output;
    output.say(&format!("Settling apply {}, which was interrupted:", unfinished.apply_id));
    let applied = run(session, unfinished, job)?;
    state::fold(&session.state)?;
    output.findings(&applied.findings, &Sources::default());
    let left = session.state.unfinished()?;
    if applied.interrupted {
        return Err(interrupted(&applied, left.is_some(), job));
    }
    if left.is_none() {
        output.say("Settled. What was not begun is planned anew.\n");
        return Ok(());
    }
    output.data(report::summary::outcome(&applied.outcome, &output.style).as_bytes());
    let message = format!("apply {} is still in doubt; nothing new is sent", unfinished.apply_id);
    Err(Failure::new(Exit::Partial, Finding::new(code::UNFINISHED, message)))
}

/// What is not settled yet stays as it is, for the next apply.
fn interrupted(applied: &Applied, left: bool, job: &Job<'_>) -> Failure {
    let style = &job.output.style;
    let message = match left {
        false => "interrupted; the earlier apply is settled, and nothing new was planned",
        true => {
            job.output.data(report::summary::outcome(&applied.outcome, style).as_bytes());
            "interrupted; the earlier apply is not settled yet"
        }
    };
    Failure::new(Exit::Interrupted, Finding::new(code::INTERRUPTED, message))
}

/// The journal's own plan is admitted again: settling has no other power than the apply had.
fn run(session: &Session, unfinished: &Unfinished, job: &Job<'_>) -> Result<Applied, Failure> {
    let plan = admitted(saved::verify(&unfinished.plan, &session.key)?.plan)?;
    same_spec(session, plan.plan())?;
    let stop = Stop::default();
    let events = |event: Event| job.output.event(&event);
    let ground = Ground {
        desired: &session.desired,
        key: &session.key,
        env: &session.env,
        state: &session.state,
        reader: job.reader.clone(),
        events: &events,
        stop: &stop,
        parallelism: job.command.parallelism.lanes(),
    };
    let work = apply::settle(unfinished, &plan, &ground);
    Ok(session.block_on(job.interrupts.raise(&stop, job.output, work))?)
}

/// Destinations and endpoints are the spec's: settling by another one would do what nobody reviewed.
fn same_spec(session: &Session, plan: &Plan) -> Result<(), Failure> {
    if plan.spec_digest == session.spec_digest {
        return Ok(());
    }
    let message = "the interrupted apply was made from another version of the spec; nothing was sent";
    let help = "Put that version back, apply it, and then change the spec.";
    Err(Failure::new(Exit::Partial, Finding::new(code::UNFINISHED, message).help(help)))
}
