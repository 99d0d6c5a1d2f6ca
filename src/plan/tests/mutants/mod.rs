//! Small changes of a plan, each somebody's slip or forgery, and a score of who finds them.
//!
//! Whether one does harm is told by what the planner ordered ([`oracle`]) or by the operator itself,
//! never by the checker. Shared by the planner's tests and those of the examples.

mod oracle;
mod order;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::plan::check::admit;
use crate::plan::document::Plan;

/// A changed plan.
pub struct Mutant {
    pub what: String,
    pub plan: Plan,
    pub harm: Harm,
}

/// Who says whether a change does harm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// What may run before what: the oracle.
    Order,
    /// It is no longer the plan that was reviewed, whatever the order.
    Always,
}

/// Every change of one sort that can be made to a plan.
pub type Operator = (&'static str, fn(&Plan) -> Vec<Mutant>);

/// What became of the mutants of one operator.
#[derive(Default)]
struct Row {
    equivalent: usize,
    /// Equivalent ones that the checker refuses as well: it wants each rule as an edge of its own.
    strict: usize,
    caught: usize,
    missed: Vec<String>,
}

/// What became of all mutants of some plans.
#[derive(Default)]
pub struct Score {
    plans: usize,
    rows: BTreeMap<(usize, &'static str), Row>,
}

impl Score {
    /// Judges every mutant of a plan, by name for what is missed.
    pub fn judge(&mut self, name: &str, plan: &Plan) {
        assert!(admit(plan.clone()).is_ok(), "{name} is admitted before it is changed");
        self.plans += 1;
        let operators = order::OPERATORS.iter().chain(words::OPERATORS);
        for ((operator, mutants), number) in operators.zip(0..) {
            let row = self.rows.entry((number, operator)).or_default();
            for Mutant { what, plan: changed, harm } in mutants(plan) {
                let harmful = harm == Harm::Always || oracle::harms(plan, &changed);
                match (harmful, admit(changed).is_err()) {
                    (true, true) => row.caught += 1,
                    (true, false) => row.missed.push(format!("{name}: {what}")),
                    (false, refused) => {
                        row.equivalent += 1;
                        row.strict += usize::from(refused);
                    }
                }
            }
        }
    }

    pub fn missed(&self) -> Vec<String> {
        let all = self.rows.iter().flat_map(|((_, operator), row)| {
            row.missed.iter().map(move |what| format!("{operator}: {what}"))
        });
        all.collect()
    }

    /// Operators none of whose mutants did harm: they prove nothing.
    pub fn idle(&self) -> Vec<&'static str> {
        let idle = self.rows.iter().filter(|(_, row)| row.caught + row.missed.len() == 0);
        idle.map(|((_, operator), _)| *operator).collect()
    }

    /// How many harmful mutants are refused, of how many.
    fn caught(&self) -> (usize, usize) {
        let caught = self.rows.values().map(|row| row.caught).sum();
        (caught, caught + self.rows.values().map(|row| row.missed.len()).sum::<usize>())
    }

    /// A table for people, and the score below it.
    pub fn table(&self) -> String {
        let mut text =
            format!("{:<58}{:>8}{:>12}{:>8}{:>8}\n", "operator", "mutants", "equivalent", "caught", "missed");
        let (mut equivalent, mut strict) = (0, 0);
        for ((_, operator), row) in &self.rows {
            let all = row.equivalent + row.caught + row.missed.len();
            let _ = writeln!(
                text,
                "{operator:<58}{all:>8}{:>12}{:>8}{:>8}",
                row.equivalent,
                row.caught,
                row.missed.len()
            );
            equivalent += row.equivalent;
            strict += row.strict;
        }
        let (caught, harmful) = self.caught();
        let _ = writeln!(
            text,
            "score: the checker alone refuses {caught} of {harmful} harmful mutants of {} plans; {equivalent} \
             others are equivalent ({strict} of them refused as well, since each rule must be an edge)",
            self.plans
        );
        text
    }
}
