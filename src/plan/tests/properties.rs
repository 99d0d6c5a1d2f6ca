//! What holds for any wish and observation, and for any point at which an apply stops.

use proptest::prelude::*;

use super::model::Model;
use super::worlds::world;
use crate::model::address::Address;
use crate::model::finding::Finding;
use crate::model::verb::Verb;
use crate::plan::check::{Admitted, admit};
use crate::plan::document::Plan;
use crate::plan::sample::{World, story};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

/// The plan of a world, if no error stops it and neither protection nor a credential in use does.
fn admitted(world: &World) -> Option<Admitted> {
    let planned = world.plan();
    let usable = !planned.findings.iter().any(Finding::is_error);
    usable.then(|| admit(planned.plan).ok()).flatten()
}

/// Plans and applies until no step is left; at most a few rounds.
fn settle(model: &mut Model) -> Result<Plan, TestCaseError> {
    for _ in 0..4 {
        let planned = model.world.plan();
        let text = story(&planned);
        prop_assert!(!planned.findings.iter().any(Finding::is_error), "{text}");
        let Ok(admitted) = admit(planned.plan) else {
            return Err(TestCaseError::fail(text));
        };
        let plan = admitted.plan();
        if plan.steps.is_empty() {
            prop_assert!(plan.changes.is_empty(), "{text}");
            return Ok(plan.clone());
        }
        model.apply(plan, plan.steps.len());
    }
    Err(TestCaseError::fail(format!("never ends:\n{}", model.world.story())))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_without_errors_breaks_no_rule_but_a_protection_or_a_credential_in_use(world in world()) {
        let planned = world.plan();
        prop_assume!(!planned.findings.iter().any(Finding::is_error));
        let text = story(&planned);
        for broken in planned.plan.invariants.iter().filter(|i| !i.holds) {
            prop_assert!(["I3", "I7"].contains(&broken.id.as_str()), "{text}");
        }
        let steps = &planned.plan.steps;
        for (lock, at) in steps.iter().zip(0..).filter(|(s, _)| s.verb == Verb::Lock) {
            let late = steps[at..].iter().filter(|s| s.verb == Verb::Reset);
            prop_assert!(late.clone().all(|s| s.address.lane() != lock.address), "{text}");
        }
    }

    #[test]
    fn planning_twice_gives_the_same_bytes(world in world()) {
        let bytes = |world: &World| serde_json::to_vec(&world.plan().plan).unwrap();
        prop_assert_eq!(bytes(&world), bytes(&world.clone()));
        let read: Plan = serde_json::from_slice(&bytes(&world)).unwrap();
        prop_assert_eq!(read, world.plan().plan);
    }

    #[test]
    fn after_an_apply_nothing_is_left_but_waiting(world in world()) {
        let Some(admitted) = admitted(&world) else { return Ok(()) };
        let plan = admitted.plan();
        let mut model = Model::new(world);
        model.apply(plan, plan.steps.len());
        let next = model.world.plan();
        // A due rotation waits until the last predecessor has gone, and that one until older ones have.
        let waited = |at: &Address| plan.waiting.iter().any(|w| w.address == *at && w.until.is_none());
        let left = next.plan.steps.iter().filter(|s| !waited(&s.address)).count();
        prop_assert!(left == 0, "first:\n{plan:#?}\nthen:\n{}", story(&next));
        let errors = next.findings.iter().filter(|f| !f.address.as_ref().is_some_and(waited));
        prop_assert!(!errors.into_iter().any(Finding::is_error), "{}", story(&next));
    }

    #[test]
    fn an_apply_that_stops_anywhere_converges(world in world(), stop in 0..12_usize) {
        let Some(admitted) = admitted(&world) else { return Ok(()) };
        let mut model = Model::new(world);
        model.apply(admitted.plan(), stop);
        settle(&mut model)?;
    }
}

#[test]
fn enough_random_worlds_have_steps_to_apply() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut steps = std::collections::BTreeMap::new();
    for _ in 0..512 {
        let world = world().new_tree(&mut runner).unwrap().current();
        for step in admitted(&world).iter().flat_map(|a| &a.plan().steps) {
            *steps.entry(step.verb).or_insert(0) += 1;
        }
    }
    assert_eq!(steps.len(), 9, "{steps:?}");
    assert!(steps.values().all(|count| *count >= 5), "{steps:?}");
}
