//! What became of each step of an apply, and the one command that continues.

use super::address::Address;
use super::step::StepId;

/// The end of an apply, however it ended (PRODUCT section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub done: Vec<Line>,
    pub failed: Vec<Line>,
    /// May have happened; only a look at the live system can tell.
    pub in_doubt: Vec<Line>,
    pub not_started: Vec<Line>,
    /// A guard no longer held; a later plan will do it.
    pub deferred: Vec<Line>,
    /// The one command that continues, for example `tokenform resume`.
    pub next: Option<String>,
    /// What the apply proved as a whole, for example that every old key was refused.
    pub proof: Option<String>,
}

/// One step and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub step: StepId,
    pub address: Address,
    /// What happened, in a few words; empty where there is nothing to say.
    pub detail: String,
}

impl Outcome {
    /// Whether every step is done or only waits for its time.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.in_doubt.is_empty() && self.not_started.is_empty()
    }
}
