//! Everything behind a mutation that happened: ready, delivered, proved, or taken back.

use super::End;
use super::act::Act;
use super::deliver::{Failure, deliver, deliver_unrecorded, missing, undelivered};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::{Recovery, Shape, Step};
use crate::model::verb::Verb;
use crate::provider::registry;
use crate::provider::steps::{Answer, Check, Phase};
use crate::state::StateError;

/// Delivers what is not delivered yet (slots in `fed` are), proves the step and files its end.
pub(super) async fn finish(act: Act<'_>, answer: Answer, fed: &[&str]) -> Result<End, StateError> {
    act.run.changed.borrow_mut().insert(act.step.address.clone());
    let wanted = missing(act.step, fed);
    if let Err(error) = act.answered(&answer.facts).await {
        deliver_unrecorded(act, &answer, &wanted).await;
        return Err(error);
    }
    if !wanted.is_empty()
        && let Check::NotYet(finding) | Check::Never(finding) = ask(act, Phase::Ready, &answer).await
    {
        return unusable(act, answer, finding, fed).await;
    }
    let failures = deliver(act, &answer, &wanted).await?;
    if failures.len() == wanted.len()
        && let Some(finding) = undelivered(act, &failures)
        && act.step.verb == Verb::Issue
    {
        return unusable(act, answer, finding, fed).await;
    }
    let proof = ask(act, Phase::Proof, &answer).await;
    conclude(act, answer, &failures, proof).await
}

async fn conclude(
    act: Act<'_>,
    answer: Answer,
    failures: &[Failure],
    proof: Check,
) -> Result<End, StateError> {
    let mut facts = match proof {
        Check::Holds(proved) => proved.over(answer.facts),
        // An old key that is still accepted blocks the lock, whatever else is known.
        Check::NotYet(finding) | Check::Never(finding) if act.step.verb == Verb::Reset => {
            return act.in_doubt(finding).await;
        }
        Check::NotYet(finding) | Check::Never(finding) => return unproved(act, answer.facts, finding).await,
    };
    let Some(finding) = undelivered(act, failures) else {
        let detail = detail(act.step, &facts);
        return act.done(facts, detail).await;
    };
    match act.step.recovery {
        Recovery::Marker => {
            facts.lacking = failures.iter().map(|failure| failure.slot.clone()).collect();
            let finding = partly(act.step, &facts, &finding);
            act.failed(facts, finding).await
        }
        Recovery::ReadBack | Recovery::Repeat => {
            let again = "Then apply again: the value is read and brought there, nothing is reset for it.";
            let help = format!("{} {again}", finding.help.as_deref().unwrap_or(finding.code.cure()));
            act.failed(facts, finding.help(help)).await
        }
    }
}

/// A value that is shown once and that some have. They keep it: it works, and so does the old one for
/// the others.
fn partly(step: &Step, facts: &Facts, undelivered: &Finding) -> Finding {
    let slots = step.destinations.iter().map(|d| d.slot());
    let have: Vec<_> = slots.filter(|slot| !facts.lacking.contains(slot)).collect();
    let id = facts.remote_id.map_or(String::new(), |id| format!(" (id {id})"));
    let becomes = if step.shape == Some(Shape::Replace) { "is deleted" } else { "stays as it is" };
    let old =
        facts.predecessor.map_or(String::new(), |id| format!("; id {id}, which it replaces, {becomes}"));
    let message = format!(
        "{}. It is shown once and can't be had again; {} has it{id}{old}",
        undelivered.message,
        have.join(", ")
    );
    let finding = Finding::new(code::PARTLY_DELIVERED, message).at(&step.address);
    match &undelivered.help {
        Some(help) => finding.help(format!("{help} {}", code::PARTLY_DELIVERED.cure())),
        None => finding,
    }
}

/// Asks a phase until it holds, will never hold, or patience ends.
async fn ask(act: Act<'_>, phase: Phase, answer: &Answer) -> Check {
    let (reader, cx, step) = (&act.ground().reader, act.context(), act.step);
    let mut last = Check::NotYet(act.finding(code::HTTP_CALL, "nobody looked whether it holds"));
    for wait in registry::patience(&cx, step, phase).waits() {
        act.sleep(wait).await;
        last = match phase {
            Phase::Proof => registry::confirm(reader, &cx, step, act.prepared, answer).await,
            Phase::Ready | Phase::Effect | Phase::Settle => registry::ready(reader, &cx, step, answer).await,
        };
        if !matches!(last, Check::NotYet(_)) {
            break;
        }
    }
    last
}

/// A mutation that happened and whose effect could not be proved. A lock that may be put back is.
async fn unproved(act: Act<'_>, facts: Facts, mut finding: Finding) -> Result<End, StateError> {
    act.doubt(&finding.message).await?;
    let back = match registry::restore(&act.run.writer, &act.context(), act.step, act.prepared, &facts).await
    {
        Ok(false) => return act.failed(facts, finding).await,
        Ok(true) => restored(act, &facts).await,
        Err(failure) => Check::Never(failure.into_finding()),
    };
    match back {
        Check::Holds(_) => {
            finding.message.push_str("; the earlier parameters were put back");
            act.refused(finding).await
        }
        Check::NotYet(why) | Check::Never(why) => {
            let told = format!("; putting the earlier parameters back failed: {}", why.message);
            finding.message.push_str(&told);
            act.in_doubt(finding).await
        }
    }
}

/// Asks until what was put back reads back, or patience ends.
async fn restored(act: Act<'_>, facts: &Facts) -> Check {
    act.tell("not proved: the earlier parameters are put back");
    let (reader, cx) = (&act.ground().reader, act.context());
    let mut last = Check::NotYet(act.finding(code::HTTP_CALL, "nobody looked whether they are back"));
    for wait in registry::patience(&cx, act.step, Phase::Effect).waits() {
        act.sleep(wait).await;
        last = registry::restored(reader, &cx, act.step, act.prepared, facts).await;
        if !matches!(last, Check::NotYet(_)) {
            break;
        }
    }
    last
}

/// A new value that can't be used or that reached no one. An issued token is deleted again, so that
/// nothing is left behind; what can't be taken back is recorded as it is.
async fn unusable(
    act: Act<'_>,
    answer: Answer,
    mut finding: Finding,
    fed: &[&str],
) -> Result<End, StateError> {
    if act.step.verb != Verb::Issue || !fed.is_empty() {
        return act.failed(answer.facts, finding).await;
    }
    match revoke(act, &answer).await? {
        Ok(()) => {
            finding.message.push_str(match act.step.shape {
                Some(Shape::Replace) => "; the new token was deleted again",
                _ => "; the new token was deleted again, the old one was not touched",
            });
            act.refused(finding).await
        }
        Err(failed) => act.in_doubt(failed).await,
    }
}

/// Deletes a token that was issued and that nobody has the secret of. The inner error says why it is
/// still there.
pub(super) async fn revoke(act: Act<'_>, answer: &Answer) -> Result<Result<(), Finding>, StateError> {
    let Some(id) = answer.facts.remote_id else {
        return Ok(Err(act.finding(code::HTTP_CALL, "the new token has no id to delete it by")));
    };
    act.doubt(&format!("token id {id} is deleted again")).await?;
    let revoked = registry::revoke(&act.run.writer, &act.context(), act.step, id).await;
    Ok(revoked.map_err(|failure| {
        let why = failure.into_finding();
        let message = format!("token id {id} could not be deleted again: {}", why.message);
        Finding { message, ..why }
    }))
}

/// What a done step says of itself in one line.
fn detail(step: &Step, facts: &Facts) -> String {
    let slots: Vec<_> = step.destinations.iter().map(|d| d.slot()).collect();
    let delivered = slots.join(", ");
    let old = match facts.proof {
        Some(crate::model::history::Proof::Changed) => "the key differs from the journaled one",
        _ => "old key refused",
    };
    match (step.verb, step.shape) {
        (Verb::Reset, Some(Shape::Invalidate)) => format!("key changed, {old}; new value dropped"),
        (Verb::Reset, _) => format!("key changed, delivered to {delivered}, {old}"),
        (Verb::Issue, _) => {
            let id = facts.remote_id.map_or(String::new(), |id| format!("id {id}, "));
            format!("{id}probed, delivered to {delivered}")
        }
        (Verb::Deliver, _) => format!("delivered to {delivered}"),
        (Verb::Lock, _) => "IAM_ONLY, read back and probed".into(),
        (Verb::Unlock, _) => "ANY, read back and probed".into(),
        (Verb::Protect, _) => "remembered in the ledger".into(),
        (Verb::Unprotect, _) => "lifted in the ledger".into(),
        (verb, _) => format!("{verb}d, confirmed by list"),
    }
}
