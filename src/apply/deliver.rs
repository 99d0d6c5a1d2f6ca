//! A new value on its way to its destinations.

use std::collections::BTreeSet;

use super::act::Act;
use super::{ApplyError, Ground};
use crate::destination::{self, Destination, DestinationError, Handover, Probed};
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::secret::Fingerprint;
use crate::model::step::{Delivery, Step};
use crate::plan::check::Admitted;
use crate::provider::steps::{Answer, NewValue};
use crate::state::StateError;

/// Proves, before the first mutation, that every destination of the plan can take a value.
pub(super) async fn probe(admitted: &Admitted, ground: &Ground<'_>) -> Result<(), ApplyError> {
    let deliveries = admitted.plan().steps.iter().flat_map(|step| &step.destinations);
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

/// Brings the new value to each destination. Gives the failures; each success is journaled.
pub(super) async fn deliver(
    act: Act<'_>,
    answer: &Answer,
    to: &[&Delivery],
) -> Result<Vec<Finding>, StateError> {
    let mut failures = Vec::new();
    let (Some(value), Some(fingerprint)) = (&answer.value, &answer.facts.fingerprint) else {
        return Ok(failures);
    };
    for delivery in to {
        match hand_over(act, delivery, value).await {
            Ok(()) => act.delivered(delivery.slot(), fingerprint.clone()).await?,
            Err(error) => {
                let finding = error.finding();
                let message = format!("the value did not reach {}: {}", delivery.slot(), finding.message);
                failures.push(Finding { message, ..finding }.at(&act.step.address));
            }
        }
    }
    Ok(failures)
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
    };
    ground.desired.destinations.get(name).ok_or_else(unknown)
}
