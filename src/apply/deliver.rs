//! A new value on its way to its destinations.

use std::collections::BTreeSet;
use std::time::Duration;

use super::act::Act;
use super::{ApplyError, Ground};
use crate::destination::{self, Destination, DestinationError, Handover, Probed};
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::secret::Fingerprint;
use crate::model::step::{Delivery, Recovery, Step};
use crate::provider::steps::{Answer, NewValue};
use crate::state::StateError;

/// Proves, before the first mutation, that every destination of these steps can take a value.
pub(super) async fn probe(steps: impl Iterator<Item = &Step>, ground: &Ground<'_>) -> Result<(), ApplyError> {
    let deliveries = steps.flat_map(|step| &step.destinations);
    let names: BTreeSet<&str> = deliveries.map(|d| d.to.as_str()).collect();
    for name in names {
        let destination = declared(ground, name)?;
        if let Probed::NotProbed(why) = destination::probe(name, destination, ground.env).await? {
            (ground.events)(Event::Note(format!("destination {name}: not probed ({why})")));
        }
    }
    Ok(())
}

/// The deliveries of a step whose slots are not fed yet.
pub(super) fn missing<'s>(step: &'s Step, fed: &[&str]) -> Vec<&'s Delivery> {
    step.destinations.iter().filter(|d| !fed.contains(&d.slot().as_str())).collect()
}

/// Whether a slot of the step holds the value with this fingerprint, where that can be read.
pub(super) fn holds(act: Act<'_>, delivery: &Delivery, value: &Fingerprint) -> bool {
    let ground = act.ground();
    let declared = ground.desired.destinations.get(&delivery.to);
    declared.and_then(|to| destination::holds(to, delivery, value, ground.key)) == Some(true)
}

/// A slot that the value did not reach, and why.
pub(super) struct Failure {
    pub slot: String,
    error: DestinationError,
}

/// Brings the new value to each destination. Gives the failures; each success is journaled. A journal
/// that can't be written keeps no value back: it is in memory now, and may never be again.
pub(super) async fn deliver(
    act: Act<'_>,
    answer: &Answer,
    to: &[&Delivery],
) -> Result<Vec<Failure>, StateError> {
    let (mut failures, mut recorded) = (Vec::new(), Ok(()));
    let (Some(value), Some(fingerprint)) = (&answer.value, &answer.facts.fingerprint) else {
        return Ok(failures);
    };
    for delivery in to {
        match patiently(act, delivery, value).await {
            Ok(()) if recorded.is_ok() => {
                recorded = act.delivered(delivery.slot(), fingerprint.clone()).await;
            }
            Ok(()) => {}
            Err(error) => failures.push(Failure { slot: delivery.slot(), error }),
        }
    }
    recorded.map(|()| failures)
}

/// Brings a value to its destinations where the journal can't be written any more. Only one that can
/// be read again: of the old one nothing is left, and a later run delivers the same once more. Of one
/// that is shown once nobody would know who has it, and the token would be deleted in their hands.
pub(super) async fn deliver_unrecorded(act: Act<'_>, answer: &Answer, to: &[&Delivery]) {
    let Some(value) = answer.value.as_ref().filter(|_| act.step.recovery != Recovery::Marker) else {
        return;
    };
    for delivery in to {
        if let Err(error) = patiently(act, delivery, value).await {
            act.tell(error.to_string());
        }
    }
}

/// What is told of slots that a value did not reach.
pub(super) fn undelivered(act: Act<'_>, failures: &[Failure]) -> Option<Finding> {
    let first = failures.first()?.error.finding();
    let why: Vec<_> = failures.iter().map(|f| format!("{}: {}", f.slot, f.error)).collect();
    let message = format!("the value did not reach {}", why.join("; nor "));
    Some(Finding { message, ..first }.at(&act.step.address))
}

/// The pauses before each further try, in seconds: a busy store or a full disk may be mended meanwhile,
/// and an old value that died with a reset is missed all the while.
const PAUSES: [u64; 3] = [1, 2, 4];

/// Hands over until the destination has the value, or trying again will not help.
async fn patiently(act: Act<'_>, delivery: &Delivery, value: &NewValue) -> Result<(), DestinationError> {
    for (pause, tried) in PAUSES.into_iter().zip(1..) {
        match hand_over(act, delivery, value).await {
            Err(error) if tried < error.tries => {
                act.tell(format!("{error}; trying again in {pause} s"));
                act.sleep(Duration::from_secs(pause)).await;
            }
            ended => return ended,
        }
    }
    hand_over(act, delivery, value).await
}

async fn hand_over(act: Act<'_>, delivery: &Delivery, value: &NewValue) -> Result<(), DestinationError> {
    let ground = act.ground();
    let target = declared(ground, &delivery.to)?;
    let handover = Handover {
        address: &act.step.address,
        key: delivery.key.as_deref(),
        value: &value.secret,
        id_key: delivery.id_key.as_deref(),
        id: value.id.as_deref(),
    };
    let receipt = destination::deliver(&delivery.to, target, &handover, ground.state, ground.env).await?;
    act.tell(receipt.text);
    Ok(())
}

/// The declared destination of that name.
fn declared<'a>(ground: &Ground<'a>, name: &str) -> Result<&'a Destination, DestinationError> {
    let unknown = || DestinationError {
        name: name.to_owned(),
        reason: "the spec does not declare it".into(),
        help: None,
        tries: 1,
    };
    ground.desired.destinations.get(name).ok_or_else(unknown)
}
