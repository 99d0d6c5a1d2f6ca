//! What `apply` does first: settles what an interrupted apply left in doubt.

use std::collections::BTreeMap;

use super::Job;
use super::reviewed::Reviewed;
use crate::apply::{self, Applied, Ground};
use crate::cli::exit::{Exit, Failure};
use crate::cli::line;
use crate::cli::plan::admitted;
use crate::cli::session::Session;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::model::step::Step;
use crate::model::verb::Verb;
use crate::plan::check::Admitted;
use crate::plan::document::Plan;
use crate::state::{GivenUp, Stage, Unfinished};
use crate::{saved, state};

/// Folds what an earlier apply left behind. If steps of it were begun and not finished, each is
/// brought to an end by a look; one that stays in doubt stops this run. Steps that were not begun do
/// not run: they are planned anew, and approved anew. An exit: the apply of this very plan, or of an unlock
/// that owes resets, went on with what was left, and that was all.
pub fn settle(
    session: &mut Session,
    job: &Job<'_>,
    reviewed: Option<&Reviewed>,
) -> Result<Option<Exit>, Failure> {
    let Some(left) = left_behind(session, job)? else { return Ok(None) };
    let same = reviewed.map(|reviewed| reviewed.sealed == left.plan);
    match same {
        Some(true) => return job.resume(session, &left, false).map(Some),
        Some(false) if !left.may_wait() => return Err(something_else(&left, job, session)),
        Some(false) => {}
        None if !left.may_wait() => drop(own_plan(session, &left)?),
        None => {}
    }
    if left.is_in_doubt() {
        settled(session, &left, job)?;
        job.output.say("Settled.\n");
    }
    session.refresh()?;
    match session.state.unfinished()? {
        None => Ok(None),
        Some(rest) if same.is_none() && owes_resets(&rest)? => job.resume(session, &rest, true).map(Some),
        Some(rest) => {
            replaced(session, &rest)?;
            session.refresh()?;
            Ok(None)
        }
    }
}

/// The apply that did not come to its end, if there is one. What it finished is in the ledger then.
pub fn left_behind(session: &mut Session, job: &Job<'_>) -> Result<Option<Unfinished>, Failure> {
    let folded = state::fold(&session.state)?;
    job.output.findings(&folded.findings, &Sources::default());
    session.refresh()?;
    Ok(session.state.unfinished()?)
}

/// Settles what is in doubt, or stops.
pub fn settled(session: &Session, unfinished: &Unfinished, job: &Job<'_>) -> Result<(), Failure> {
    let output = job.output;
    output.say(&format!("Settling apply {}, which was interrupted:", unfinished.apply_id));
    let plan = own_plan(session, unfinished)?;
    let work = async |ground: &Ground<'_>| apply::settle(unfinished, &plan, ground).await;
    let applied: Applied = job.on_ground(session, plan.plan(), work)?;
    state::fold(&session.state)?;
    output.findings(&applied.findings, &Sources::default());
    let left = session.state.unfinished()?.filter(Unfinished::is_in_doubt);
    if applied.interrupted {
        return Err(interrupted(&applied, left.is_some(), job));
    }
    if left.is_none() {
        return Ok(());
    }
    output.outcome(&applied.outcome);
    let message = format!("apply {} is still in doubt; nothing new is sent", unfinished.apply_id);
    Err(Failure::new(Exit::Partial, Finding::new(code::UNFINISHED, message)))
}

/// Another plan takes the place of what is left; nothing of it is in doubt.
pub fn replaced(session: &Session, left: &Unfinished) -> Result<(), Failure> {
    let (at, by) = (session.env.clock.now(), session.state.by());
    let not_begun = left.not_done();
    state::give_up(&session.state, GivenUp { at, by, reason: None, in_doubt: BTreeMap::new(), not_begun })?;
    state::fold(&session.state)?;
    Ok(())
}

/// Whether an instance was opened and its resets are still to come: they exist in that plan alone.
fn owes_resets(left: &Unfinished) -> Result<bool, Failure> {
    let plan = saved::parse(&left.plan)?.plan;
    let done = |step: &Step| left.step(&step.id).is_some_and(|log| log.stage != Stage::Refused);
    let unlocks = plan.steps.iter().filter(|step| step.verb == Verb::Unlock && done(step));
    let owed = |unlock: &Step| {
        plan.steps.iter().any(|step| step.needs.iter().any(|need| need.step == unlock.id) && !done(step))
    };
    Ok(unlocks.into_iter().any(owed))
}

/// Another plan file than the one that was interrupted.
fn something_else(left: &Unfinished, job: &Job<'_>, session: &Session) -> Failure {
    let message = format!(
        "apply {} did not come to its end, and this is another plan; nothing was sent",
        left.apply_id
    );
    let resume = line::command("resume", job.global, &session.spec_path);
    let help = format!("Finish it: {resume}. Or give it up: {resume} --abandon --reason TEXT.");
    Failure::new(Exit::Partial, Finding::new(code::UNFINISHED, message).help(help))
}

/// What is not settled yet stays as it is, for the next apply.
fn interrupted(applied: &Applied, left: bool, job: &Job<'_>) -> Failure {
    let message = match left {
        false => "interrupted; the earlier apply is settled, and nothing new was planned",
        true => {
            job.output.outcome(&applied.outcome);
            "interrupted; the earlier apply is not settled yet"
        }
    };
    Failure::new(Exit::Interrupted, Finding::new(code::INTERRUPTED, message))
}

/// The journal's own plan is admitted again: settling has no other power than the apply had.
pub fn own_plan(session: &Session, unfinished: &Unfinished) -> Result<Admitted, Failure> {
    let plan = admitted(saved::verify(&unfinished.plan, &session.key)?.plan)?;
    same_spec(session, plan.plan())?;
    Ok(plan)
}

/// Destinations and endpoints are the spec's: settling by another one would do what nobody reviewed.
fn same_spec(session: &Session, plan: &Plan) -> Result<(), Failure> {
    if plan.spec_digest == session.spec_digest {
        return Ok(());
    }
    let message = "the interrupted apply was made from another version of the spec; nothing was sent";
    let help = "Put that version back and run `tokenform resume`, then change the spec; or give the rest up: \
                `tokenform resume --abandon --reason TEXT`.";
    Err(Failure::new(Exit::Partial, Finding::new(code::UNFINISHED, message).help(help)))
}
