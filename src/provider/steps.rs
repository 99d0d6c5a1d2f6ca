//! What a provider offers for running one step. The engine (`apply`) decides order, waiting,
//! repeating and journaling; a provider makes one request or one look at a time.
//!
//! ```text
//! prepare ─▶ [journal Began] ─▶ mutate ─▶ look… ─▶ [Answered] ─▶ ready… ─▶ deliver ─▶ [Delivered] ─▶ confirm… ─▶ [Done]
//! ```
//! Phases with `…` are asked again while they say [`Check::NotYet`], for as long as [`Patience`] says.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::env::Env;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::secret::{DigestKey, Secret};
use crate::model::step::{Expect, StepId};
use crate::provider::state::Desired;

/// What every phase of a step may look at.
pub struct Context<'a> {
    pub desired: &'a Desired,
    pub key: &'a DigestKey,
    pub env: &'a Env,
    /// Facts of the steps of this plan that are done, an interrupted run of it included.
    pub done: &'a BTreeMap<StepId, Facts>,
}

/// A step whose objects were read again right before it.
pub struct Prepared {
    /// Digests as they are now; the engine compares them with `step.expects`.
    pub live: Vec<Expect>,
    /// What settling a lost answer will need; goes into the `Began` record.
    pub facts: Facts,
    /// What only the provider understands; never stored.
    pub hold: Hold,
    /// Why a guard of the step no longer holds, as this read shows: nothing is sent, a later plan does it.
    pub deferred: Option<String>,
}

/// What a provider keeps in memory from `prepare` to `confirm`.
pub enum Hold {
    Nothing,
    /// The value that is about to die: tried afterwards, and it must be refused.
    OldValue(Secret),
    /// A value that must be refused once the instance is locked, and the raw `parameters` as read.
    Lock {
        probe: Option<Secret>,
        parameters: Option<String>,
        updated_at: String,
    },
}

/// A new secret on its way to destinations, with its id where it has one.
pub struct NewValue {
    pub secret: Secret,
    pub id: Option<String>,
}

/// What a mutation or a look at its effect brought.
pub struct Answer {
    pub facts: Facts,
    pub value: Option<NewValue>,
}

/// One look at whether a mutation happened.
#[expect(clippy::large_enum_variant, reason = "one at a time, and moved once")]
pub enum Look {
    Happened(Answer),
    /// Surely not, or not yet.
    NotHappened,
    /// The read told nothing; why is told to the user.
    CannotTell(Finding),
}

/// One look at whether a condition holds.
pub enum Check {
    Holds(Facts),
    /// Ask again later.
    NotYet(Finding),
    /// Asking again will not help.
    Never(Finding),
}

impl Answer {
    /// The answer's facts laid over those of the beginning.
    pub fn over(self, began: Facts) -> Self {
        Self { facts: self.facts.over(began), value: self.value }
    }
}

impl Failure {
    pub fn into_finding(self) -> Finding {
        match self {
            Self::Refused(finding) | Self::Throttled(finding, _) | Self::Doubt(finding) => finding,
        }
    }
}

/// Why a mutation brought no answer.
pub enum Failure {
    /// The vendor said no, or the request surely was not sent: nothing happened.
    Refused(Finding),
    /// A 429: not executed; may be sent again after the window.
    Throttled(Finding, Duration),
    /// No answer, or one that says nothing: it may have happened.
    Doubt(Finding),
}

/// The phases that are asked more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `look`: has the mutation happened?
    Effect,
    /// `look` by a later run: has what an interrupted one sent happened? A request that had left may
    /// still be on its way.
    Settle,
    /// `ready`: may the new value be delivered?
    Ready,
    /// `confirm`: is it proved?
    Proof,
}

/// How long a phase is asked: first wait, then the pauses between asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Waits before each ask, in order; the last one repeats until `limit` is used up.
    pub pauses: Vec<Duration>,
    /// The whole time that may be waited.
    pub limit: Duration,
}

impl Patience {
    /// The pauses before each ask, until the limit is used up.
    pub fn waits(&self) -> impl Iterator<Item = Duration> + '_ {
        let last = self.pauses.last().copied();
        let repeated = std::iter::repeat_with(move || last).map_while(|pause| pause.filter(|p| !p.is_zero()));
        let mut used = Duration::ZERO;
        self.pauses.iter().copied().chain(repeated).take_while(move |pause| {
            used += *pause;
            used <= self.limit
        })
    }

    /// Asked once, at once.
    pub fn once() -> Self {
        Self { pauses: vec![Duration::ZERO], limit: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pauses: &[u64], limit: u64) -> Vec<u64> {
        let pauses = pauses.iter().copied().map(Duration::from_secs).collect();
        let patience = Patience { pauses, limit: Duration::from_secs(limit) };
        patience.waits().map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn pauses_repeat_the_last_one_until_the_limit_and_end() {
        assert_eq!(seconds(&[0, 2], 7), [0, 2, 2, 2]);
        assert_eq!(seconds(&[2, 5, 15], 22), [2, 5, 15]);
        assert_eq!(seconds(&[0], 0), [0]);
        assert_eq!(Patience::once().waits().count(), 1);
    }
}
