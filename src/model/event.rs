//! What a long command tells while it works. The engine emits events; `report` owns the words.

use super::address::Address;
use super::finding::Finding;
use super::verb::Verb;

/// How far the requests of a command are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub answered: u64,
    /// How many there will be, as far as that is known yet.
    pub expected: u64,
    /// Calls left of a rate limit, and of how many, where the last reply told it.
    pub left: Option<(u64, u64)>,
}

/// One thing that happened or is going on.
#[derive(Clone, Debug)]
pub enum Event {
    /// Live state is being read; `what` says of what, for example `ibm.prod.mon-prod`.
    Reading { what: String },
    /// A step's request is about to leave. `number` counts from 1 in execution order.
    StepBegan { number: usize, total: usize, address: Address, verb: Verb },
    /// What the running step of this object does now, for example `old key refused?`.
    StepPhase { address: Address, text: String },
    /// A step is done; `detail` says how it was proved or where its value went.
    StepDone { number: usize, total: usize, address: Address, verb: Verb, detail: String },
    /// A step was refused, or is in doubt.
    StepFailed { number: usize, total: usize, address: Address, verb: Verb, finding: Finding },
    /// A condition of a step no longer holds: nothing was sent, and a later plan does it.
    StepDeferred { number: usize, total: usize, address: Address, verb: Verb, why: String },
    /// Nothing is sent about an object for so many seconds, for example in a vendor's rate-limit
    /// window.
    Waiting { address: Address, why: String, seconds: u64 },
    /// What a person must do now for this object.
    Guide { address: Address, lines: Vec<String> },
    /// Anything else worth a line.
    Note(String),
}
