//! Paces requests: it answers how long to wait, and never waits itself.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::headers::Told;

/// Between two mutations of one owner: at most two a second (contract ibm 5.8).
const BETWEEN_MUTATIONS: Duration = Duration::from_millis(500);

/// No pacing is longer than this; a 429 tells better.
const LONGEST: Duration = Duration::from_secs(300);

/// When the next request of each sort may leave.
#[derive(Debug, Default)]
pub struct Pacer {
    mutations: BTreeMap<String, Timestamp>,
    endpoints: BTreeMap<String, Pace>,
}

/// An endpoint whose budget is nearly used up.
#[derive(Debug)]
struct Pace {
    next: Timestamp,
    spacing: Duration,
    until: Timestamp,
}

impl Pacer {
    /// Takes the next place for a mutation of an owner; says how long to wait for it.
    pub fn mutation(&mut self, owner: &str, now: Timestamp) -> Duration {
        let start = self.mutations.get(owner).map_or(now, |next| now.max(*next));
        self.mutations.insert(owner.to_owned(), after(start, BETWEEN_MUTATIONS));
        until(start, now)
    }

    /// Takes the next place at an endpoint; says how long to wait for it.
    pub fn endpoint(&mut self, endpoint: &str, now: Timestamp) -> Duration {
        let Some(pace) = self.endpoints.get_mut(endpoint) else {
            return Duration::ZERO;
        };
        if now >= pace.until {
            self.endpoints.remove(endpoint);
            return Duration::ZERO;
        }
        let start = now.max(pace.next);
        pace.next = after(start, pace.spacing);
        until(start, now)
    }

    /// Learns from a reply: while few calls are left, they are spread over the window.
    pub fn heard(&mut self, endpoint: &str, told: &Told, now: Timestamp) {
        let (Some(left), Some(window)) = (told.remaining, told.window) else {
            return;
        };
        let few = told.limit.map_or(5, |limit| (limit / 10).max(2));
        if left > few {
            self.endpoints.remove(endpoint);
            return;
        }
        let window = window.min(LONGEST);
        let spacing = window / u32::try_from(left + 1).unwrap_or(u32::MAX);
        let next = after(now, spacing);
        let next = self.endpoints.get(endpoint).map_or(next, |pace| pace.next.max(next));
        let pace = Pace { next, spacing, until: after(now, window) };
        self.endpoints.insert(endpoint.to_owned(), pace);
    }

    /// After a 429: nothing leaves for that endpoint until the window is over.
    pub fn hold(&mut self, endpoint: &str, wait: Duration, now: Timestamp) {
        let end = after(now, wait.min(LONGEST));
        let pace = Pace { next: end, spacing: Duration::ZERO, until: end };
        self.endpoints.insert(endpoint.to_owned(), pace);
    }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The wait from `now` to `at`, capped: a clock that was set back must not stall anyone.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(limit: u64, remaining: u64) -> Told {
        Told {
            limit: Some(limit),
            remaining: Some(remaining),
            window: Some(Duration::from_secs(60)),
            ..Told::default()
        }
    }

    #[test]
    fn mutations_of_one_owner_are_half_a_second_apart_and_owners_are_free_of_each_other() {
        let mut pacer = Pacer::default();
        let waits: Vec<_> = (0..3).map(|_| pacer.mutation("a", at(10)).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1_000]);
        assert_eq!(pacer.mutation("b", at(10)), Duration::ZERO);
        assert_eq!(pacer.mutation("a", at(12)), Duration::ZERO);
    }

    #[test]
    fn the_last_calls_of_a_budget_are_spread_over_its_window() {
        let mut pacer = Pacer::default();
        pacer.heard("e", &told(100, 50), at(0));
        assert_eq!(pacer.endpoint("e", at(0)), Duration::ZERO);
        pacer.heard("e", &told(100, 2), at(0));
        assert_eq!(pacer.endpoint("e", at(0)), Duration::from_secs(20));
        assert_eq!(pacer.endpoint("e", at(0)), Duration::from_secs(40));
        assert_eq!(pacer.endpoint("other", at(0)), Duration::ZERO);
        assert_eq!(pacer.endpoint("e", at(61)), Duration::ZERO);
    }

    #[test]
    fn a_429_holds_its_endpoint_until_the_window_is_over() {
        let mut pacer = Pacer::default();
        pacer.hold("e", Duration::from_secs(30), at(0));
        assert_eq!(pacer.endpoint("e", at(10)), Duration::from_secs(20));
        assert_eq!(pacer.endpoint("e", at(30)), Duration::ZERO);
    }
}
