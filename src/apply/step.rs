//! One step from its last look before to its proof after.
//!
//! ```text
//! prepare ─▶ Began ─▶ mutate ─▶ look… ─▶ Answered ─▶ ready… ─▶ deliver ─▶ Delivered ─▶ confirm… ─▶ Done
//! ```
//! This file goes as far as `look`; `finish` has the rest.

use std::time::Duration;

use super::act::Act;
use super::finish::{finish, revoke};
use super::{End, Ground, Run, Way};
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::{Expect, Step};
use crate::model::verb::Verb;
use crate::provider::registry;
use crate::provider::steps::{Answer, Failure, Look, Patience, Phase, Prepared};
use crate::state::StateError;

/// How often a mutation that was surely not executed is sent in all.
const ATTEMPTS: u32 = 3;

/// What a mutation came to.
#[expect(clippy::large_enum_variant, reason = "one at a time, and moved once")]
enum Effect {
    Happened(Answer),
    Nothing(Finding),
    Unknown(Finding),
}

/// Runs a step whose needs are done.
pub(super) async fn run(run: &Run<'_>, way: &Way<'_>) -> Result<End, StateError> {
    let step = way.step;
    let prepared = match registry::prepare(&run.ground.reader, &run.context(way), step).await {
        Ok(prepared) => prepared,
        Err(finding) => return Ok(End::Failed(finding)),
    };
    if let Some(finding) = moved(run, step, &prepared) {
        return Ok(End::Stale(finding));
    }
    if let Some(why) = prepared.deferred {
        return Ok(End::Deferred(why));
    }
    let act = Act::new(run, way, &prepared);
    match mutate(act).await? {
        Effect::Nothing(finding) => act.refused(finding).await,
        Effect::Unknown(finding) => act.in_doubt(finding).await,
        Effect::Happened(answer) => finish(act, answer, &[]).await,
    }
}

/// Compares the objects read right now with what the plan expects, except those that this run
/// itself has changed.
fn moved(run: &Run<'_>, step: &Step, prepared: &Prepared) -> Option<Finding> {
    let holds = |expect: &&Expect| run.has_changed(&expect.address) || prepared.live.contains(expect);
    let moved: Vec<_> = step.expects.iter().filter(|e| !holds(e)).map(|e| e.address.to_string()).collect();
    if moved.is_empty() {
        return None;
    }
    let message = format!("{} moved since the plan was made; nothing was sent", moved.join(", "));
    Some(Finding::new(code::STALE, message).at(&step.address))
}

/// Sends the mutation and finds out what it did. Only what surely was not executed is sent again.
async fn mutate(act: Act<'_>) -> Result<Effect, StateError> {
    let mut last = act.finding(code::HTTP_CALL, "it was not executed");
    for attempt in 1..=ATTEMPTS {
        let facts = act.begin(attempt).await?;
        let sent = registry::mutate(&act.run.writer, &act.context(), act.step, act.prepared, &facts).await;
        let failure = match sent {
            Ok(Some(answer)) => return Ok(Effect::Happened(answer.over(facts))),
            Ok(None) => return Ok(await_effect(act, facts).await),
            Err(failure) => failure,
        };
        last = match failure {
            Failure::Refused(finding) => return Ok(Effect::Nothing(finding)),
            // A reset is never sent twice by itself: the second would kill a value in use.
            Failure::Throttled(finding, _) if act.step.verb == Verb::Reset => {
                return Ok(Effect::Nothing(finding));
            }
            Failure::Throttled(finding, wait) if repeats(act.step) => {
                pause(act, wait).await;
                finding
            }
            // A PATCH sends whole settings back: who wrote them meanwhile must not be overwritten.
            Failure::Throttled(finding, wait) => {
                pause(act, wait).await;
                match watch(act, &facts, &Patience::once()).await {
                    Look::NotHappened => finding,
                    Look::Happened(answer) => return Ok(Effect::Happened(answer.over(facts))),
                    Look::CannotTell(moved) => return Ok(Effect::Nothing(moved)),
                }
            }
            Failure::Doubt(finding) => match resolve_doubt(act, facts, finding).await? {
                Effect::Nothing(finding) if repeats(act.step) || is_switch(act.step) => finding,
                effect => return Ok(effect),
            },
        };
    }
    Ok(Effect::Nothing(last))
}

/// Whether a mutation that a look found not to have happened may be sent again.
fn repeats(step: &Step) -> bool {
    step.verb == Verb::Issue || step.verb.properties().repeatable
}

/// A PATCH that a look found lost may be sent again: it sets the same, and the look has seen that nobody
/// wrote meanwhile.
fn is_switch(step: &Step) -> bool {
    matches!(step.verb, Verb::Lock | Verb::Unlock)
}

async fn pause(act: Act<'_>, wait: Duration) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let address = act.step.address.clone();
    act.run.tell(Event::Waiting { address, why: "the vendor's rate limit".into(), seconds });
    act.sleep(wait).await;
}

/// Waits until a mutation that was taken, or that a person does, shows its effect.
async fn await_effect(act: Act<'_>, facts: Facts) -> Effect {
    let guided = registry::guide(&act.context(), act.step);
    if let Some(lines) = guided.clone() {
        act.run.tell(Event::Guide { address: act.step.address.clone(), lines });
    }
    let patience = registry::patience(&act.context(), act.step, Phase::Effect);
    match watch(act, &facts, &patience).await {
        Look::Happened(answer) => Effect::Happened(answer.over(facts)),
        Look::CannotTell(finding) => Effect::Unknown(finding),
        Look::NotHappened if guided.is_some() => Effect::Nothing(act.finding(
            code::HTTP_CALL,
            "the key did not change in time; nothing was changed, run it again when you are ready",
        )),
        Look::NotHappened => {
            Effect::Unknown(act.finding(
                code::HTTP_CALL,
                "the call was taken, but its effect does not show; it may come later",
            ))
        }
    }
}

/// After a lost answer: looks whether it happened. An issued token whose secret was lost with the
/// answer is deleted, so that the issue can be made again.
async fn resolve_doubt(act: Act<'_>, facts: Facts, why: Finding) -> Result<Effect, StateError> {
    act.tell("no answer: looking whether it happened");
    let patience = registry::patience(&act.context(), act.step, Phase::Effect);
    Ok(match watch(act, &facts, &patience).await {
        Look::CannotTell(finding) => Effect::Unknown(unseen(&why, finding)),
        Look::NotHappened => Effect::Nothing(why),
        Look::Happened(answer) if act.step.verb == Verb::Issue && answer.value.is_none() => {
            act.tell("it happened, but its secret was lost: deleting the orphan");
            match revoke(act, &answer).await? {
                Ok(()) => Effect::Nothing(why),
                Err(finding) => Effect::Unknown(lost(finding)),
            }
        }
        Look::Happened(answer) => Effect::Happened(answer.over(facts)),
    })
}

/// A doubt that the look did not end: what was sent comes first, it may have happened.
fn unseen(sent: &Finding, look: Finding) -> Finding {
    let message =
        format!("{}; it may have happened, and the look at it failed: {}", sent.message, look.message);
    Finding { message, ..look }
}

/// A token that is live and whose secret nobody has.
fn lost(failed: Finding) -> Finding {
    let message = format!("the answer with the new token's secret was lost; {}", failed.message);
    Finding { message, ..failed }
}

/// Looks at the effect until it shows or patience ends.
pub(super) async fn watch(act: Act<'_>, facts: &Facts, patience: &Patience) -> Look {
    let Ground { desired, stop, reader, .. } = act.ground();
    let is_guided = registry::is_guided(desired, act.step);
    let mut last = Look::NotHappened;
    for wait in patience.waits() {
        // An interrupt ends the wait for a person, never the wait for a vendor: that could be early.
        tokio::select! {
            () = act.sleep(wait) => {}
            () = stop.asked(), if is_guided => {}
        }
        last = registry::look(reader, &act.context(), act.step, act.prepared, facts).await;
        if matches!(last, Look::Happened(_)) || (is_guided && stop.is_asked()) {
            break;
        }
    }
    last
}
