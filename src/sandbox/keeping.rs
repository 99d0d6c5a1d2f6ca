//! Tells who keeps the world what a request has changed, before the request is answered: a tool that
//! is killed finds on its disk what it has been told of.

use std::sync::Arc;

use super::state::State;
use super::wire::Call;
use super::world::World;
use super::{clock, control};
use crate::model::vocabulary::Period;

/// Takes what must be kept.
pub type OnChange = Arc<dyn Fn(Kept) + Send + Sync>;

/// What changed since the last time.
pub struct Kept {
    /// How far the clock has been moved since its start.
    pub ahead: Period,
    /// The world with its secrets; `None` if the clock alone has moved.
    pub world: Option<World>,
}

/// What shows a change without a look at the whole world, which may be large. When a token was last
/// used is not in it: it is kept with the next change, or at the end.
#[derive(PartialEq, Eq)]
pub struct Mark {
    minted: u64,
    /// Rules, and how many requests they have seen.
    faults: (usize, u64),
    /// Changes that take effect after some more reads.
    pending: usize,
}

impl State {
    pub(super) fn mark(&self) -> Mark {
        let world = &self.world;
        let instances = world.ibm.values().flat_map(|account| account.instances.values());
        Mark {
            minted: world.mint.count,
            faults: (world.faults.len(), world.faults.iter().map(|fault| u64::from(fault.on.seen)).sum()),
            pending: instances
                .map(|instance| instance.pending.as_ref().map_or(0, |p| 1 + p.polls as usize))
                .sum(),
        }
    }

    /// Tells of what a request has changed. Whatever is not a read counts as a change; a clock that
    /// is moved is told as such.
    pub(super) fn keep(&mut self, before: &Mark, call: &Call) {
        let Some(on_change) = &self.on_change else { return };
        let ahead = clock::ahead(&self.clock, self.world.clock);
        let read = call.method == "GET" || call.method == "HEAD" || call.path == control::CLOCK;
        let changed = !read || self.mark() != *before;
        if !changed && ahead <= self.kept_ahead {
            return;
        }
        let world = changed.then(|| World { ahead, ..self.world.clone() });
        on_change(Kept { ahead, world });
        self.kept_ahead = ahead;
    }
}
