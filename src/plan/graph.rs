//! The step graph: edges from the table of rules, and an execution order that obeys them.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::TABLE;
use crate::model::address::Address;
use crate::model::step::{Need, Step, StepId};

/// Steps that wait for each other in a ring; the rules and the drafts contradict each other.
#[derive(Debug)]
pub struct Cycle(pub Vec<StepId>);

/// Puts the edges into `needs` and the steps into an order in which each stands after its needs.
/// Steps that no rule orders keep the order in which they were drafted.
pub fn order(mut steps: Vec<Step>) -> Result<Vec<Step>, Cycle> {
    let edges = edges(&steps);
    for (after, needs) in &edges {
        let need = |(before, row): (&usize, &usize)| Need {
            step: steps[*before].id.clone(),
            rule: TABLE[*row].rule,
        };
        let needs = needs.iter().map(need).collect();
        steps[*after].needs = needs;
    }
    let sequence = sequence(steps.len(), &edges).map_err(|ring| {
        let names = ring.iter().map(|i| steps[*i].id.clone());
        Cycle(names.collect())
    })?;
    let mut slots: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    Ok(sequence.into_iter().filter_map(|i| slots[i].take()).collect())
}

/// Step → the steps it needs, each with the row of the first rule that asks for it.
type Edges = BTreeMap<usize, BTreeMap<usize, usize>>;

fn edges(steps: &[Step]) -> Edges {
    let mut edges = Edges::new();
    for (number, row) in TABLE.iter().enumerate() {
        let mut before: BTreeMap<Address, Vec<usize>> = BTreeMap::new();
        for (i, step) in steps.iter().enumerate().filter(|(_, s)| row.is_before(s)) {
            before.entry(row.scope.key(step)).or_default().push(i);
        }
        for (i, step) in steps.iter().enumerate().filter(|(_, s)| row.is_after(s)) {
            let keys = row.scope.keys_before(step);
            for j in keys.iter().filter_map(|key| before.get(key)).flatten().filter(|j| **j != i) {
                if !row.orders(&steps[*j], step) {
                    continue;
                }
                edges.entry(i).or_default().entry(*j).or_insert(number);
            }
        }
    }
    edges
}

/// Kahn's algorithm; among steps that are ready, the first drafted goes first.
fn sequence(count: usize, edges: &Edges) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = (0..count).map(|i| edges.get(&i).map_or(0, BTreeMap::len)).collect();
    let mut dependants: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (after, needs) in edges {
        for before in needs.keys() {
            dependants.entry(*before).or_default().push(*after);
        }
    }
    let mut ready: BTreeSet<usize> = (0..count).filter(|i| missing[*i] == 0).collect();
    let mut sequence = Vec::with_capacity(count);
    while let Some(next) = ready.pop_first() {
        sequence.push(next);
        for after in dependants.get(&next).into_iter().flatten() {
            missing[*after] -= 1;
            if missing[*after] == 0 {
                ready.insert(*after);
            }
        }
    }
    match sequence.len() == count {
        true => Ok(sequence),
        false => Err((0..count).filter(|i| missing[*i] > 0).collect()),
    }
}
