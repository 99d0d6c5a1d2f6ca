//! Settles what an interrupted apply left in doubt: each begun step is brought to an end by a look,
//! never by a guess. Steps that were not begun do not run.
//!
//! | recovery | it happened | it did not |
//! | --- | --- | --- |
//! | read back (IBM) | the present key is delivered where it is missing, not reset again; a mode is proved | nothing happened |
//! | marker (LogicMonitor issue) | its secret is lost: the orphan is deleted, unless every destination has it | nothing happened |
//! | repeat (enable, disable, delete) | confirmed by list | nothing happened |
//!
//! A look that can't tell leaves the step in doubt.

use futures_util::{StreamExt, stream};

use super::act::Act;
use super::deliver::{self, holds, missing};
use super::finish::{finish, revoke};
use super::step::watch;
use super::{Applied, ApplyError, End, Fate, Ground, Run, Way, may_begin};
use crate::model::code;
use crate::model::step::Recovery;
use crate::model::verb::Verb;
use crate::plan::check::Admitted;
use crate::provider::registry;
use crate::provider::steps::{Answer, Hold, Look, Phase, Prepared};
use crate::state::journal::Journal;
use crate::state::{Stage, StateError, StepLog, Unfinished};

/// Settles the begun steps of an unfinished apply. `admitted` is the plan that its journal holds.
pub async fn settle(
    unfinished: &Unfinished,
    admitted: &Admitted,
    ground: &Ground<'_>,
) -> Result<Applied, StateError> {
    taken_up(unfinished, admitted, ground, false).await
}

/// Settles an unfinished apply and goes on with the very plan that its journal holds: steps that were
/// not begun, and those that surely did not happen. Each still compares its object with the plan. Their
/// destinations are proved again: what was reachable when the apply began need not be so now. What was
/// begun should be settled before: outside of the spec's change windows nothing happens here.
pub async fn resume(
    unfinished: &Unfinished,
    admitted: &Admitted,
    ground: &Ground<'_>,
) -> Result<Applied, ApplyError> {
    may_begin(admitted.plan(), Some(unfinished), ground.desired, ground.env.clock.now())?;
    let left = unfinished.not_done();
    let steps = admitted.plan().steps.iter().filter(|step| left.contains(&step.id));
    deliver::probe(steps, ground).await?;
    Ok(taken_up(unfinished, admitted, ground, true).await?)
}

/// Settles, and with `finishes` lets begin what never did, until it ends or is stopped.
async fn taken_up(
    unfinished: &Unfinished,
    admitted: &Admitted,
    ground: &Ground<'_>,
    finishes: bool,
) -> Result<Applied, StateError> {
    let journal = Journal::reopen(ground.state)?;
    let run = Run::new(admitted, ground, &journal);
    let work = async {
        all(&run, unfinished).await;
        if finishes && run.try_again()? {
            run.all().await;
        }
        Ok::<_, StateError>(())
    };
    tokio::select! {
        done = work => done?,
        () = ground.stop.now() => {}
    }
    Ok(run.close().await)
}

impl Run<'_> {
    /// Lets every step begin that never did or that surely did not happen, as the journal has it now.
    /// `false`: nothing is left, or something is in doubt, so nothing new is sent.
    fn try_again(&self) -> Result<bool, StateError> {
        let Some(left) = self.ground.state.unfinished()? else { return Ok(false) };
        if left.is_in_doubt() {
            return Ok(false);
        }
        for (place, step) in self.steps.iter().enumerate() {
            let nothing_happened = |log: &StepLog| log.stage == Stage::Refused && log.delivered.is_empty();
            if left.step(&step.id).is_none_or(nothing_happened) {
                self.set(place, Fate::Waiting);
                self.broken.borrow_mut().remove(&step.address);
            }
        }
        Ok(true)
    }
}

/// Beside each other, as they ran; those that a person does, one after the other.
async fn all(run: &Run<'_>, unfinished: &Unfinished) {
    let is_guided =
        |(place, _): &(usize, &StepLog)| registry::is_guided(run.ground.desired, &run.steps[*place]);
    let (guided, open): (Vec<_>, Vec<_>) = sort(run, unfinished).into_iter().partition(is_guided);
    let look = async |(place, log)| {
        if !run.halted.get() && !run.ground.stop.is_asked() {
            let way = run.begin(place);
            let end = one(run, &way, log).await;
            run.ended(&way, end);
        }
    };
    let at_once = run.ground.parallelism.get();
    tokio::join!(
        stream::iter(open).for_each_concurrent(at_once, &look),
        stream::iter(guided).for_each(&look),
    );
}

/// What the earlier run left of each step. Gives those that are to be looked at.
fn sort<'u>(run: &Run<'_>, unfinished: &'u Unfinished) -> Vec<(usize, &'u StepLog)> {
    let mut open = Vec::new();
    for (place, step) in run.steps.iter().enumerate() {
        match unfinished.step(&step.id) {
            None => run.skip(place, "not begun when the apply was interrupted".into()),
            Some(log) if log.stage == Stage::Done => run.remember(place, log.facts.clone()),
            Some(log) if log.stage.finished() => run.set(place, Fate::Earlier),
            Some(log) => {
                run.set(place, Fate::InDoubt("it was not looked at any more".into()));
                open.push((place, log));
            }
        }
    }
    open
}

async fn one(run: &Run<'_>, way: &Way<'_>, log: &StepLog) -> Result<End, StateError> {
    // The request of this step may have left in the earlier run.
    run.intent_is_kept(way.place);
    let prepared =
        Prepared { live: Vec::new(), facts: log.facts.clone(), hold: Hold::Nothing, deferred: None };
    let act = Act::new(run, way, &prepared);
    let answered = matches!(log.stage, Stage::Answered | Stage::Delivered);
    // A request of the interrupted run may still be on its way.
    let patience = registry::patience(&act.context(), act.step, Phase::Settle);
    match watch(act, &log.facts, &patience).await {
        Look::CannotTell(finding) => act.in_doubt(finding).await,
        Look::NotHappened if answered => {
            let message = "it was answered, but nothing shows of it now: somebody else may have undone it";
            act.refused(act.finding(code::SETTLED_AS_NOTHING, message)).await
        }
        Look::NotHappened => {
            let message = "it did not happen, as far as the vendor shows";
            act.refused(act.finding(code::SETTLED_AS_NOTHING, message)).await
        }
        Look::Happened(answer) => happened(act, answer.over(log.facts.clone()), log).await,
    }
}

/// It happened. A value that can be read is delivered where it is missing; one that was shown once
/// and that not everybody has is lost.
async fn happened(act: Act<'_>, answer: Answer, log: &StepLog) -> Result<End, StateError> {
    let fed = fed(act, &answer, log).await?;
    let fed: Vec<&str> = fed.iter().map(String::as_str).collect();
    let everyone = missing(act.step, &fed).is_empty();
    if log.stage == Stage::InDoubt && act.step.verb == Verb::Reset && log.facts.fingerprint.is_some() {
        return still_accepted(act, answer).await;
    }
    let shown_once = act.step.recovery == Recovery::Marker && answer.value.is_none();
    match shown_once && !everyone {
        true => orphan(act, answer, &fed).await,
        false => finish(act, answer, &fed).await,
    }
}

/// The slots that have the present value: by the journal, or because the destination holds it. A run
/// that was killed between a write and its record has delivered all the same.
async fn fed(act: Act<'_>, answer: &Answer, log: &StepLog) -> Result<Vec<String>, StateError> {
    let Some(present) = &answer.facts.fingerprint else { return Ok(Vec::new()) };
    let known = log.delivered.iter().filter(|(_, receipt)| receipt.fingerprint == *present);
    let mut fed: Vec<String> = known.map(|(slot, _)| slot.clone()).collect();
    for delivery in &act.step.destinations {
        let slot = delivery.slot();
        if !fed.contains(&slot) && holds(act, delivery, present) {
            act.delivered(slot.clone(), present.clone()).await?;
            fed.push(slot);
        }
    }
    Ok(fed)
}

/// A reset whose key had changed while the old one was still accepted. The old one is lost with the
/// earlier run, so nobody can try it again: that is told, and never taken for a proof.
async fn still_accepted(act: Act<'_>, answer: Answer) -> Result<End, StateError> {
    let message = "the key has changed, but the old one was still accepted, and can't be tried any more";
    act.failed(answer.facts, act.finding(code::SETTLED_UNPROVED, message)).await
}

/// An issued token whose secret nobody has any more, or not everybody who should. It goes, so that a
/// next one can be brought to all of them alike.
async fn orphan(act: Act<'_>, answer: Answer, fed: &[&str]) -> Result<End, StateError> {
    act.tell("its secret was lost with the interrupted run: deleting the orphan");
    match revoke(act, &answer).await? {
        Ok(()) => {
            let mut message =
                "its secret was lost with the interrupted run, so the new token was deleted again".to_owned();
            if !fed.is_empty() {
                message.push_str(&format!("; until it is issued anew, {} holds a dead one", fed.join(", ")));
            }
            act.refused(act.finding(code::SECRET_LOST, message)).await
        }
        Err(finding) => act.in_doubt(finding).await,
    }
}
