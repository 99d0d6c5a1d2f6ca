//! How an apply is told to end early: soon, in order; or now.

use std::cell::Cell;

use tokio::sync::Notify;

/// Raised by interrupts, one level at a time. Nothing lowers it.
#[derive(Default)]
pub struct Stop {
    level: Cell<Level>,
    raised: Notify,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Run,
    Soon,
    Now,
}

impl Stop {
    /// The first time: steps that run come to their end, and no other begins. From then on: everything
    /// is dropped where it stands.
    pub fn raise(&self) {
        let next = if self.level.get() == Level::Run { Level::Soon } else { Level::Now };
        self.level.set(next);
        self.raised.notify_waiters();
    }

    /// Whether no other step may begin.
    pub fn is_asked(&self) -> bool {
        self.level.get() >= Level::Soon
    }

    /// Whether nothing may go on.
    pub fn is_now(&self) -> bool {
        self.level.get() == Level::Now
    }

    /// Waits until no other step may begin.
    pub async fn asked(&self) {
        self.reached(Level::Soon).await;
    }

    /// Waits until nothing may go on.
    pub async fn now(&self) {
        self.reached(Level::Now).await;
    }

    /// Nothing is missed between the look and the wait: both are on one thread, without a point
    /// between them at which another task could run.
    async fn reached(&self, level: Level) {
        while self.level.get() < level {
            self.raised.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_asks_and_the_second_ends() {
        let stop = Stop::default();
        assert!(!stop.is_asked());
        let both = async { tokio::join!(stop.asked(), stop.now()) };
        let raise = async {
            stop.raise();
            assert!(stop.is_asked() && !stop.is_now());
            tokio::task::yield_now().await;
            stop.raise();
            stop.raise();
        };
        tokio::join!(both, raise);
        assert!(stop.is_now());
    }
}
