//! Points of a run at which a test can stop it: between what is durable and what comes next.
//!
//! The program itself watches none, and nothing that it is given can make it.

use std::io;
use std::sync::Arc;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point<'a> {
    /// A line of the journal is on disk.
    Recorded,
    /// Another change of the state folder is on disk: what it was.
    Kept(&'static str),
    /// A request is about to leave.
    Leaving { method: &'a str, path: &'a str },
    /// Its reply was read to the end.
    Arrived { method: &'a str, path: &'a str },
    /// A value is about to be handed to this destination.
    HandingOver(&'a str),
    /// The destination has it.
    HandedOver(&'a str),
}

type Watcher = dyn Fn(Point<'_>) -> io::Result<()> + Send + Sync;

/// Who is told of each point; nobody by default.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<Watcher>>);

impl Points {
    /// Tells a watcher, on the thread that comes to a point. It may end the process; its error is
    /// taken for the failure of what was just done, or was about to be done.
    pub fn watched(watcher: impl Fn(Point<'_>) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watcher)))
    }

    /// Called where a point is come to.
    pub fn pass(&self, point: Point<'_>) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |watcher| watcher(point))
    }
}
