//! `--partial`: the rest of a spec, when something can't be read.

use crate::model::observed::Observed;
use crate::model::vocabulary::TokenStatus::Disabled;
use crate::plan::check::admit;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};

/// Two instances that are to be locked, one of which can't be read, and a token to disable.
fn half_read() -> World {
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops"]));
    add_instance(&mut world, "away", wants(Some(IamOnly)), is(Any, &["Ops"]));
    let away = prod().owner("away");
    let failure = Observed::Unreadable(Box::new(unreadable(&away)));
    world.snapshot.instances.insert(away, failure);
    let portal = lm(vec![("off", wanted(Some(Disabled)))], vec![live(5, "off")]);
    world.desired.logicmonitor = portal.desired.logicmonitor;
    world.snapshot.users = portal.snapshot.users;
    world.snapshot.callers = portal.snapshot.callers;
    world
}

#[test]
fn without_the_flag_nothing_is_planned_to_be_used() {
    assert!(admit(half_read().plan().plan).is_err());
}

#[test]
fn what_cannot_be_read_has_no_step_and_is_told_and_the_rest_is_planned() {
    let mut world = half_read();
    world.asked.partial = true;
    let plan = world.admitted();
    assert!(!plan.complete);
    let told: Vec<_> = plan.extent.unread.iter().map(|row| format!("{}: {}", row.address, row.why)).collect();
    assert_eq!(told, ["ibm.prod.away: HTTP 500"]);
    let steps: Vec<_> = plan.steps.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert!(steps.iter().all(|id| !id.contains("away")), "{steps:?}");
}

#[test]
fn an_instance_of_which_a_team_cannot_be_read_is_not_locked() {
    let mut world = half_read();
    world.asked.partial = true;
    live_mon(&mut world).teams[0].fingerprint = None;
    let plan = world.admitted();
    let steps: Vec<_> = plan.steps.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(steps, ["disable logicmonitor.acme.svc.api_token[\"off\"]"]);
    assert_eq!(plan.extent.unread.len(), 2);
}

#[test]
fn a_whole_plan_is_complete_with_the_flag_too() {
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops"]));
    world.asked.partial = true;
    let plan = world.admitted();
    assert!(plan.complete && plan.extent.unread.is_empty());
}

#[test]
fn what_is_wrong_and_could_be_read_still_refuses() {
    let mut world = half_read();
    world.asked.partial = true;
    live_svc(&mut world).tokens.push(live(6, "off"));
    assert!(admit(world.plan().plan).is_err(), "two tokens of one name");
}
