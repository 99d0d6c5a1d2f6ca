//! One step from its last look before to its proof after.
//!
//! ```text
//! prepare ─▶ Began ─▶ mutate ─▶ look… ─▶ Answered ─▶ ready… ─▶ deliver ─▶ Delivered ─▶ confirm… ─▶ Done
//! ```

use std::time::Duration;

use super::{End, Ground, Run};
use crate::destination::{self, Destination, DestinationError, Handover};
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::provider::registry;
use crate::provider::steps::{Answer, Check, Context, Failure, Look, NewValue, Phase, Prepared};
use crate::state::StateError;
use crate::state::journal::Record;

/// How often a mutation that was surely not executed is sent in all.
const ATTEMPTS: u32 = 3;

/// What a mutation came to, seen from here.
enum Effect {
    Happened(Answer),
    Nothing(Finding),
    Unknown(Finding),
}

/// Runs a step whose needs are done.
pub(super) async fn run(run: &mut Run<'_>, step: &Step) -> Result<End, StateError> {
    let prepared = match registry::prepare(&run.ground.reader, &context(run), step).await {
        Ok(prepared) => prepared,
        Err(finding) => return Ok(End::Failed(finding)),
    };
    if let Some(finding) = moved(run, step, &prepared) {
        return Ok(End::Stale(finding));
    }
    match mutate(run, step, &prepared).await? {
        Effect::Nothing(finding) => {
            let reason = finding.message.clone();
            run.journal.record(Record::Refused { step: step.id.clone(), at: now(run), reason }).await?;
            Ok(End::Failed(finding))
        }
        Effect::Unknown(finding) => in_doubt(run, step, finding).await,
        Effect::Happened(answer) => {
            run.changed.insert(step.address.clone());
            finish(run, step, &prepared, answer).await
        }
    }
}

fn context<'a>(run: &'a Run<'_>) -> Context<'a> {
    Context { desired: run.ground.desired, key: run.ground.key, env: run.ground.env, done: &run.done }
}

fn now(run: &Run<'_>) -> jiff::Timestamp {
    run.ground.env.clock.now()
}

/// Compares the objects read right now with what the plan expects, except those that this run
/// itself has changed.
fn moved(run: &Run<'_>, step: &Step, prepared: &Prepared) -> Option<Finding> {
    let holds = |expect: &&crate::model::step::Expect| {
        run.changed.contains(&expect.address) || prepared.live.contains(expect)
    };
    let moved: Vec<_> = step.expects.iter().filter(|e| !holds(e)).map(|e| e.address.to_string()).collect();
    if moved.is_empty() {
        return None;
    }
    let message = format!("{} moved since the plan was made; nothing was sent", moved.join(", "));
    Some(Finding::new(code::STALE, message).at(&step.address))
}

/// Sends the mutation and finds out what it did. Only what surely was not executed is sent again.
async fn mutate(run: &Run<'_>, step: &Step, prepared: &Prepared) -> Result<Effect, StateError> {
    let mut last = Finding::new(code::HTTP_CALL, "it was not executed").at(&step.address);
    for attempt in 1..=ATTEMPTS {
        let facts = begin(run, step, prepared, attempt).await?;
        let failure = match registry::mutate(&run.writer, &context(run), step, prepared, &facts).await {
            Ok(Some(answer)) => return Ok(Effect::Happened(merge(facts, answer))),
            Ok(None) => {
                guide(run, step);
                return Ok(await_effect(run, step, prepared, facts).await);
            }
            Err(failure) => failure,
        };
        last = match failure {
            Failure::Refused(finding) => return Ok(Effect::Nothing(finding)),
            // A reset is never sent twice by itself: the second would kill a value in use.
            Failure::Throttled(finding, _) if step.verb == Verb::Reset => {
                return Ok(Effect::Nothing(finding));
            }
            Failure::Throttled(finding, wait) => {
                pause(run, "the vendor's rate limit", wait).await;
                finding
            }
            Failure::Doubt(finding) => match resolve_doubt(run, step, prepared, facts, finding).await {
                Effect::Nothing(finding) if repeats(step) => finding,
                effect => return Ok(effect),
            },
        };
    }
    Ok(Effect::Nothing(last))
}

/// Writes the intent before the request leaves. A marker's nonce is drawn here, one per attempt.
async fn begin(run: &Run<'_>, step: &Step, prepared: &Prepared, attempt: u32) -> Result<Facts, StateError> {
    let mut facts = prepared.facts.clone();
    if step.verb == Verb::Issue {
        facts.nonce = Some(run.ground.env.dice.nonce());
    }
    let record = Record::Began {
        step: step.id.clone(),
        address: step.address.clone(),
        verb: step.verb,
        at: now(run),
        attempt,
        facts: facts.clone(),
        rationale: run.reasons.get(&step.id).map(|r| (*r).to_owned()),
    };
    run.journal.record(record).await?;
    run.begun.set(true);
    Ok(facts)
}

/// Whether a mutation that a look found not to have happened may be sent again.
fn repeats(step: &Step) -> bool {
    step.verb == Verb::Issue || step.verb.properties().repeatable
}

/// Shows a person what to do, where a person does it.
fn guide(run: &Run<'_>, step: &Step) {
    if let Some(lines) = registry::guide(&context(run), step) {
        run.tell(Event::Guide { address: step.address.clone(), lines });
    }
}

/// Waits until a mutation that was taken shows its effect.
async fn await_effect(run: &Run<'_>, step: &Step, prepared: &Prepared, facts: Facts) -> Effect {
    match watch(run, step, prepared, &facts).await {
        Look::Happened(answer) => Effect::Happened(merge(facts, answer)),
        Look::CannotTell(finding) => Effect::Unknown(finding),
        Look::NotHappened => {
            let message = match registry::guide(&context(run), step) {
                Some(_) => {
                    "the key did not change in time; nothing was changed, run it again when you are ready"
                }
                None => "the call was taken, but nothing changed",
            };
            Effect::Nothing(Finding::new(code::HTTP_CALL, message).at(&step.address))
        }
    }
}

/// After a lost answer: looks whether it happened. An issued token whose secret was lost with the
/// answer is deleted, so that the issue can be made again.
async fn resolve_doubt(
    run: &Run<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: Facts,
    why: Finding,
) -> Effect {
    let phase = |text: &str| Event::StepPhase { address: step.address.clone(), text: text.into() };
    run.tell(phase("no answer: looking whether it happened"));
    match watch(run, step, prepared, &facts).await {
        Look::CannotTell(finding) => Effect::Unknown(unseen(&why, finding)),
        Look::NotHappened => Effect::Nothing(why),
        Look::Happened(answer) if step.verb == Verb::Issue && answer.value.is_none() => {
            run.tell(phase("it happened, but its secret was lost: deleting the orphan"));
            match revoke(run, step, &answer).await {
                Ok(()) => Effect::Nothing(why),
                Err(finding) => Effect::Unknown(lost(finding)),
            }
        }
        Look::Happened(answer) => Effect::Happened(merge(facts, answer)),
    }
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
async fn watch(run: &Run<'_>, step: &Step, prepared: &Prepared, facts: &Facts) -> Look {
    let patience = registry::patience(&context(run), step, Phase::Effect);
    let mut last = Look::NotHappened;
    for wait in patience.waits() {
        run.ground.env.clock.sleep(wait).await;
        last = registry::look(&run.ground.reader, &context(run), step, prepared, facts).await;
        // An interrupt ends the wait for a person, never the wait for a vendor: that could be early.
        let given_up = run.ground.stop.get() && registry::is_guided(run.ground.desired, step);
        if matches!(last, Look::Happened(_)) || given_up {
            break;
        }
    }
    last
}

/// Everything behind the mutation: it happened, and its facts are known.
async fn finish(
    run: &mut Run<'_>,
    step: &Step,
    prepared: &Prepared,
    answer: Answer,
) -> Result<End, StateError> {
    run.journal
        .record(Record::Answered { step: step.id.clone(), at: now(run), facts: answer.facts.clone() })
        .await?;
    let ready = ask(run, step, Phase::Ready, Some(prepared), &answer).await;
    if let Check::NotYet(finding) | Check::Never(finding) = ready {
        return unusable(run, step, &answer, finding).await;
    }
    let undelivered = deliver(run, step, &answer).await?;
    if undelivered.len() == step.destinations.len()
        && let Some(finding) = undelivered.first().cloned()
        && step.verb == Verb::Issue
    {
        return unusable(run, step, &answer, finding).await;
    }
    let proof = ask(run, step, Phase::Proof, Some(prepared), &answer).await;
    conclude(run, step, prepared, answer, undelivered, proof).await
}

async fn conclude(
    run: &Run<'_>,
    step: &Step,
    prepared: &Prepared,
    answer: Answer,
    undelivered: Vec<Finding>,
    proof: Check,
) -> Result<End, StateError> {
    let (at, id) = (now(run), step.id.clone());
    let facts = match proof {
        Check::Holds(proved) => overlay(answer.facts, proved),
        Check::NotYet(finding) | Check::Never(finding) if step.verb == Verb::Reset => {
            return in_doubt(run, step, finding).await;
        }
        Check::NotYet(finding) | Check::Never(finding) => {
            return unproved(run, step, prepared, answer.facts, finding).await;
        }
    };
    match undelivered.into_iter().next() {
        Some(finding) => {
            let reason = finding.message.clone();
            run.journal.record(Record::Failed { step: id, at, reason, facts }).await?;
            Ok(End::Failed(finding))
        }
        None => {
            let detail = detail(step, &facts);
            run.journal.record(Record::Done { step: id, at, facts: facts.clone() }).await?;
            Ok(End::Done { facts: Box::new(facts), detail })
        }
    }
}

/// A mutation that happened and whose effect could not be proved. A lock that may be put back is.
async fn unproved(
    run: &Run<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: Facts,
    mut finding: Finding,
) -> Result<End, StateError> {
    let (at, id) = (now(run), step.id.clone());
    let back = match registry::restore(&run.writer, &context(run), step, prepared).await {
        Ok(false) => {
            let reason = finding.message.clone();
            run.journal.record(Record::Failed { step: id, at, reason, facts }).await?;
            return Ok(End::Failed(finding));
        }
        Ok(true) => ask_restored(run, step, prepared).await,
        Err(Failure::Refused(why) | Failure::Throttled(why, _) | Failure::Doubt(why)) => Check::Never(why),
    };
    match back {
        Check::Holds(_) => {
            finding.message.push_str("; the earlier parameters were put back");
            let reason = finding.message.clone();
            run.journal.record(Record::Refused { step: id, at: now(run), reason }).await?;
            Ok(End::Failed(finding))
        }
        Check::NotYet(why) | Check::Never(why) => {
            finding
                .message
                .push_str(&format!("; putting the earlier parameters back failed: {}", why.message));
            in_doubt(run, step, finding).await
        }
    }
}

/// Asks until what was put back reads back, or patience ends.
async fn ask_restored(run: &Run<'_>, step: &Step, prepared: &Prepared) -> Check {
    let (reader, cx) = (&run.ground.reader, context(run));
    let phase = |text: &str| Event::StepPhase { address: step.address.clone(), text: text.into() };
    run.tell(phase("not proved: the earlier parameters are put back"));
    let mut last = Check::Holds(Facts::default());
    for wait in registry::patience(&cx, step, Phase::Effect).waits() {
        run.ground.env.clock.sleep(wait).await;
        last = registry::restored(reader, &cx, step, prepared).await;
        if !matches!(last, Check::NotYet(_)) {
            break;
        }
    }
    last
}

/// Asks a phase until it holds, will never hold, or patience ends.
async fn ask(
    run: &Run<'_>,
    step: &Step,
    phase: Phase,
    prepared: Option<&Prepared>,
    answer: &Answer,
) -> Check {
    let (reader, cx) = (&run.ground.reader, context(run));
    let mut last = Check::Holds(Facts::default());
    for wait in registry::patience(&cx, step, phase).waits() {
        run.ground.env.clock.sleep(wait).await;
        last = match (phase, prepared) {
            (Phase::Proof, Some(prepared)) => registry::confirm(reader, &cx, step, prepared, answer).await,
            _ => registry::ready(reader, &cx, step, answer).await,
        };
        if !matches!(last, Check::NotYet(_)) {
            break;
        }
    }
    last
}

/// Brings the new value to each destination. Gives the failures; each success is journaled.
async fn deliver(run: &Run<'_>, step: &Step, answer: &Answer) -> Result<Vec<Finding>, StateError> {
    let mut failures = Vec::new();
    let (Some(value), Some(fingerprint)) = (&answer.value, &answer.facts.fingerprint) else {
        return Ok(failures);
    };
    for delivery in &step.destinations {
        match hand_over(run.ground, step, delivery, value).await {
            Ok(()) => {
                let (slot, fingerprint) = (delivery.slot(), fingerprint.clone());
                let record = Record::Delivered { step: step.id.clone(), at: now(run), slot, fingerprint };
                run.journal.record(record).await?;
            }
            Err(error) => {
                let finding = error.finding();
                let message = format!("the value did not reach {}: {}", delivery.slot(), finding.message);
                failures.push(Finding { message, ..finding }.at(&step.address));
            }
        }
    }
    Ok(failures)
}

async fn hand_over(
    ground: &Ground<'_>,
    step: &Step,
    delivery: &crate::model::step::Delivery,
    value: &NewValue,
) -> Result<(), DestinationError> {
    let target = destination(ground, &delivery.to)?;
    let handover = Handover {
        address: &step.address,
        key: delivery.key.as_deref(),
        value: &value.secret,
        id_key: delivery.id_key.as_deref(),
        id: value.id.as_deref(),
    };
    let receipt = destination::deliver(&delivery.to, target, &handover, ground.state, ground.env).await?;
    (ground.events)(Event::StepPhase { address: step.address.clone(), text: receipt.text });
    Ok(())
}

/// The declared destination of that name.
pub(super) fn destination<'a>(
    ground: &'a Ground<'_>,
    name: &str,
) -> Result<&'a Destination, DestinationError> {
    let unknown = || DestinationError {
        name: name.to_owned(),
        reason: "the spec does not declare it".into(),
        help: None,
    };
    ground.desired.destinations.get(name).ok_or_else(unknown)
}

/// A new value that can't be used or reached no one. An issued token is deleted again, so that
/// nothing is left behind; what can't be taken back is recorded as it is.
async fn unusable(
    run: &Run<'_>,
    step: &Step,
    answer: &Answer,
    mut finding: Finding,
) -> Result<End, StateError> {
    let (at, id) = (now(run), step.id.clone());
    if step.verb == Verb::Issue {
        if let Err(failed) = revoke(run, step, answer).await {
            return in_doubt(run, step, failed).await;
        }
        finding.message.push_str("; the new token was deleted again, the old one was not touched");
        run.journal.record(Record::Refused { step: id, at, reason: finding.message.clone() }).await?;
    } else {
        let (reason, facts) = (finding.message.clone(), answer.facts.clone());
        run.journal.record(Record::Failed { step: id, at, reason, facts }).await?;
    }
    Ok(End::Failed(finding))
}

async fn revoke(run: &Run<'_>, step: &Step, answer: &Answer) -> Result<(), Finding> {
    let Some(id) = answer.facts.remote_id else {
        return Err(
            Finding::new(code::HTTP_CALL, "the new token has no id to delete it by").at(&step.address)
        );
    };
    match registry::revoke(&run.writer, &context(run), step, id).await {
        Ok(()) => Ok(()),
        Err(Failure::Refused(why) | Failure::Throttled(why, _) | Failure::Doubt(why)) => {
            let message = format!("token id {id} could not be deleted again: {}", why.message);
            Err(Finding { message, ..why })
        }
    }
}

async fn in_doubt(run: &Run<'_>, step: &Step, finding: Finding) -> Result<End, StateError> {
    let reason = finding.message.clone();
    run.journal.record(Record::InDoubt { step: step.id.clone(), at: now(run), reason }).await?;
    Ok(End::InDoubt(finding))
}

async fn pause(run: &Run<'_>, why: &str, wait: Duration) {
    run.tell(Event::Waiting { why: why.to_owned(), seconds: wait.as_secs() });
    run.ground.env.clock.sleep(wait).await;
}

/// Facts of the beginning under those of the answer.
fn merge(began: Facts, answer: Answer) -> Answer {
    Answer { facts: overlay(began, answer.facts), value: answer.value }
}

/// The newer facts where there are any, else the older ones.
fn overlay(old: Facts, new: Facts) -> Facts {
    Facts {
        fingerprint: new.fingerprint.or(old.fingerprint),
        old_fingerprint: new.old_fingerprint.or(old.old_fingerprint),
        issued_at: new.issued_at.or(old.issued_at),
        remote_id: new.remote_id.or(old.remote_id),
        access_id: new.access_id.or(old.access_id),
        predecessor: new.predecessor.or(old.predecessor),
        nonce: new.nonce.or(old.nonce),
        enabled: new.enabled.or(old.enabled),
        proof: new.proof.or(old.proof),
        identity: new.identity.or(old.identity),
        setting: new.setting.or(old.setting),
    }
}

/// What a done step says of itself in one line.
fn detail(step: &Step, facts: &Facts) -> String {
    let slots: Vec<_> = step.destinations.iter().map(|d| d.slot()).collect();
    let delivered = slots.join(", ");
    match (step.verb, step.shape) {
        (Verb::Reset, Some(Shape::Invalidate)) => "key changed, old key refused; new value dropped".into(),
        (Verb::Reset, _) => format!("key changed, delivered to {delivered}, old key refused"),
        (Verb::Issue, _) => {
            let id = facts.remote_id.map_or(String::new(), |id| format!("id {id}, "));
            format!("{id}probed, delivered to {delivered}")
        }
        (Verb::Deliver, _) => format!("delivered to {delivered}"),
        (Verb::Lock, _) => "IAM_ONLY, proved: API tokens are refused".into(),
        (Verb::Unlock, _) => "ANY, proved: API tokens are read again".into(),
        (verb, _) => format!("{verb}d, confirmed by list"),
    }
}
