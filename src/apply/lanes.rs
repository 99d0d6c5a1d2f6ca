//! Which steps may begin: a pure answer from the plan's order, its `needs` and what runs already.
//!
//! Steps of one lane ([`Address::lane`]: an instance, a user) run one after the other, in plan order.
//! Lanes run beside each other, so many at once, and a step also waits for its needs in other lanes.
//! A person at a console does one thing at a time, so only one guided step runs at once; others wait
//! for the person without keeping a place that a step of another lane could have.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use crate::model::address::Address;
use crate::model::step::{Step, StepId};

/// The steps of a plan, by their place in it, on their way from waiting to ended.
pub(super) struct Lanes {
    /// How many steps each still waits for.
    waits: Vec<usize>,
    /// Who waits for each.
    followers: Vec<Vec<usize>>,
    guided: BTreeSet<usize>,
    /// What may begin; the first in plan order goes first.
    ready: BTreeSet<usize>,
    running: BTreeSet<usize>,
    at_once: NonZeroUsize,
}

impl Lanes {
    pub fn new(steps: &[Step], at_once: NonZeroUsize, is_guided: impl Fn(&Step) -> bool) -> Self {
        let before = before(steps);
        let mut followers = vec![Vec::new(); steps.len()];
        for (step, needs) in before.iter().enumerate() {
            needs.iter().for_each(|need| followers[*need].push(step));
        }
        Self {
            waits: before.iter().map(BTreeSet::len).collect(),
            followers,
            guided: (0..steps.len()).filter(|step| is_guided(&steps[*step])).collect(),
            ready: (0..steps.len()).filter(|step| before[*step].is_empty()).collect(),
            running: BTreeSet::new(),
            at_once,
        }
    }

    /// Takes the step that begins next, if one may begin now.
    pub fn take(&mut self) -> Option<usize> {
        if self.running.len() >= self.at_once.get() {
            return None;
        }
        let is_asked = self.running.iter().any(|step| self.guided.contains(step));
        let next = *self.ready.iter().find(|step| !(is_asked && self.guided.contains(step)))?;
        self.ready.remove(&next);
        self.running.insert(next);
        Some(next)
    }

    /// A taken step came to an end, whatever end: whether its followers may run is not asked here.
    pub fn ended(&mut self, step: usize) {
        self.running.remove(&step);
        for follower in std::mem::take(&mut self.followers[step]) {
            self.waits[follower] -= 1;
            if self.waits[follower] == 0 {
                self.ready.insert(follower);
            }
        }
    }
}

/// For each step those that must have ended before it: its needs, and the one before it in its lane.
/// In an admitted plan they all stand earlier.
fn before(steps: &[Step]) -> Vec<BTreeSet<usize>> {
    let mut places: BTreeMap<&StepId, usize> = BTreeMap::new();
    let mut lanes: BTreeMap<Address, usize> = BTreeMap::new();
    let mut before = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let mut waits: BTreeSet<usize> =
            step.needs.iter().filter_map(|need| places.get(&need.step).copied()).collect();
        waits.extend(lanes.insert(step.address.lane(), at));
        before.push(waits);
        places.insert(&step.id, at);
    }
    before
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::step::{Call, Need, Recovery, Rule};
    use crate::model::verb::Verb;

    fn step(lane: &str, name: usize, needs: &[&Step]) -> Step {
        let address = Address::connection("ibm", "prod").owner(lane).item("team", &name.to_string());
        let need = |step: &&Step| Need { step: step.id.clone(), rule: Rule::LockLast };
        Step {
            id: StepId::new(Verb::Reset, &address, 1),
            address,
            verb: Verb::Reset,
            shape: None,
            call: Call { method: "POST".into(), host: "h".into(), path: "/".into() },
            needs: needs.iter().map(need).collect(),
            irreversible: true,
            destinations: Vec::new(),
            params: BTreeMap::new(),
            expects: Vec::new(),
            guards: Vec::new(),
            recovery: Recovery::ReadBack,
        }
    }

    fn lanes(steps: &[Step], at_once: usize, guided: &[usize]) -> Lanes {
        let guided: Vec<&StepId> = guided.iter().filter_map(|at| Some(&steps.get(*at)?.id)).collect();
        Lanes::new(steps, NonZeroUsize::new(at_once).unwrap(), |step| guided.contains(&&step.id))
    }

    fn taken(lanes: &mut Lanes) -> Vec<usize> {
        std::iter::from_fn(|| lanes.take()).collect()
    }

    #[test]
    fn a_lane_is_a_line_and_lanes_run_beside_each_other() {
        let steps = [step("a", 0, &[]), step("a", 1, &[]), step("b", 2, &[]), step("c", 3, &[])];
        let mut all = lanes(&steps, 8, &[]);
        assert_eq!(taken(&mut all), [0, 2, 3]);
        all.ended(2);
        assert_eq!(taken(&mut all), [] as [usize; 0]);
        all.ended(0);
        assert_eq!(taken(&mut all), [1]);
        assert_eq!(taken(&mut lanes(&steps, 2, &[])), [0, 2]);
    }

    #[test]
    fn a_step_waits_for_its_needs_in_other_lanes() {
        let first = step("a", 0, &[]);
        let steps = [first.clone(), step("b", 1, &[&first]), step("b", 2, &[])];
        let mut all = lanes(&steps, 8, &[]);
        assert_eq!(taken(&mut all), [0]);
        all.ended(0);
        assert_eq!(taken(&mut all), [1]);
    }

    #[test]
    fn one_person_does_one_thing_at_a_time_and_keeps_no_other_lane_waiting() {
        let steps = [step("a", 0, &[]), step("b", 1, &[]), step("c", 2, &[])];
        let mut all = lanes(&steps, 2, &[0, 1]);
        assert_eq!(taken(&mut all), [0, 2]);
        all.ended(2);
        assert_eq!(taken(&mut all), [] as [usize; 0]);
        all.ended(0);
        assert_eq!(taken(&mut all), [1]);
    }

    /// Steps over a few lanes, each with needs among those before it.
    fn plans() -> impl Strategy<Value = Vec<Step>> {
        let one = (0..4_usize, proptest::collection::vec(any::<proptest::sample::Index>(), 0..3));
        proptest::collection::vec(one, 1..24).prop_map(|rows| {
            let mut steps: Vec<Step> = Vec::new();
            for (at, (lane, needs)) in rows.into_iter().enumerate() {
                let needs: Vec<&Step> = match at {
                    0 => Vec::new(),
                    _ => needs.iter().map(|need| &steps[need.index(at)]).collect(),
                };
                let next = step(["a", "b", "c", "d"][lane], at, &needs);
                steps.push(next);
            }
            steps
        })
    }

    proptest! {
        /// Whichever of the running steps ends next: every step runs once, after its needs and its
        /// lane, never too many at once; and one at a time is plan order.
        #[test]
        fn whatever_the_timing_needs_and_lanes_are_kept(
            steps in plans(),
            at_once in 1..9_usize,
            timing in proptest::collection::vec(any::<proptest::sample::Index>(), 24),
        ) {
            let mut all = lanes(&steps, at_once, &[0, 1, 2]);
            let (mut begun, mut running) = (Vec::new(), Vec::new());
            let mut ended: BTreeSet<usize> = BTreeSet::new();
            for which in timing.iter().take(steps.len()) {
                for next in taken(&mut all) {
                    let must = &steps[next].needs;
                    prop_assert!(must.iter().all(|n| ended.iter().any(|e| steps[*e].id == n.step)));
                    let lane = |at: &usize| steps[*at].address.lane() == steps[next].address.lane();
                    prop_assert!((0..next).filter(lane).all(|at| ended.contains(&at)));
                    begun.push(next);
                    running.push(next);
                }
                prop_assert!(!running.is_empty() && running.len() <= at_once);
                prop_assert!(running.iter().filter(|step| **step < 3).count() <= 1);
                let done = running.swap_remove(which.index(running.len()));
                all.ended(done);
                ended.insert(done);
            }
            prop_assert_eq!(ended.len(), steps.len());
            if at_once == 1 {
                prop_assert!(begun.is_sorted(), "{:?}", begun);
            }
        }
    }
}
