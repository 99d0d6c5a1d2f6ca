//! The sandbox's clock: where the world says it stands, ahead by what was slept and advanced.

use jiff::{SignedDuration, Timestamp};

use crate::env::Clock;
use crate::model::vocabulary::Period;

/// The clock of a world: `origin` plus `ahead`, or the machine's clock plus `ahead`.
pub fn start(origin: Option<Timestamp>, ahead: Period) -> Clock {
    let clock = Clock::simulated(origin);
    clock.advance(ahead.as_duration());
    clock
}

/// How far a clock is ahead of its origin, in whole seconds rounded up: a kept world must never
/// go back in time. The grace is for a machine's clock that is read twice.
pub fn ahead(clock: &Clock, origin: Option<Timestamp>) -> Period {
    const GRACE_MS: i128 = 50;
    let base = origin.unwrap_or_else(|| Clock::System { offset: SignedDuration::ZERO }.now());
    let ms = clock.now().duration_since(base).as_millis();
    let seconds = (ms - GRACE_MS).max(0).unsigned_abs().div_ceil(1000);
    Period::seconds(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_clock_goes_on_where_it_stopped() {
        let origin: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let clock = start(Some(origin), Period::hours(2));
        clock.advance(std::time::Duration::from_millis(1500));
        assert_eq!(ahead(&clock, Some(origin)), Period::seconds(7202));
        let free = start(None, Period::days(3));
        assert_eq!(ahead(&free, None), Period::days(3));
    }
}
