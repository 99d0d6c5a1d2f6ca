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
    endpoints: BTreeMap<String, Endpoint>,
}

/// When a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Now,
    /// Not before this time is over.
    Later(Duration),
    /// Not before one of those that fly has come back: they use up what is left.
    Landing,
}

/// What is known of one endpoint of one host.
#[derive(Debug, Default)]
struct Endpoint {
    /// Requests that left and have no reply yet: the budget that replies tell does not count them.
    flying: u64,
    budget: Option<Budget>,
    /// Until when nothing leaves, after a 429.
    held: Option<Timestamp>,
}

/// A rate limit as the last reply told it.
#[derive(Debug)]
struct Budget {
    limit: Option<u64>,
    remaining: u64,
    /// From here on calls are spread.
    few: u64,
    window: Duration,
    next: Timestamp,
    until: Timestamp,
}

impl Pacer {
    /// Takes the next place for a mutation of an owner; says how long to wait for it.
    pub fn mutation(&mut self, owner: &str, now: Timestamp) -> Duration {
        let start = self.mutations.get(owner).map_or(now, |next| now.max(*next));
        self.mutations.insert(owner.to_owned(), after(start, BETWEEN_MUTATIONS));
        until(start, now)
    }

    /// Takes a place at an endpoint if there is one now, to be given back by [`Self::landed`]; else
    /// says what to wait for before asking again.
    pub fn endpoint(&mut self, endpoint: &str, now: Timestamp) -> Place {
        let endpoint = self.endpoints.entry(endpoint.to_owned()).or_default();
        if let Some(held) = endpoint.held.filter(|held| is_ahead(*held, now)) {
            return Place::Later(until(held, now));
        }
        endpoint.held = None;
        let budget = endpoint.budget.take().and_then(|budget| budget.at(now));
        if let Some(mut budget) = budget {
            if now < budget.next {
                let wait = until(budget.next, now);
                endpoint.budget = Some(budget);
                return Place::Later(wait);
            }
            if endpoint.flying > 0 && budget.remaining <= endpoint.flying {
                endpoint.budget = Some(budget);
                return Place::Landing;
            }
            budget.spread(endpoint.flying, now);
            endpoint.budget = Some(budget);
        }
        endpoint.flying += 1;
        Place::Now
    }

    /// A request came back, with or without a reply.
    pub fn landed(&mut self, endpoint: &str) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.flying = endpoint.flying.saturating_sub(1);
        }
    }

    /// Learns from a reply: while few calls are left, they are spread over the window.
    pub fn heard(&mut self, endpoint: &str, told: &Told, now: Timestamp) {
        let (Some(remaining), Some(window)) = (told.remaining, told.window) else {
            return;
        };
        let endpoint = self.endpoints.entry(endpoint.to_owned()).or_default();
        let few = told.limit.map_or(5, |limit| (limit / 10).max(2));
        let window = window.min(LONGEST);
        let (limit, until) = (told.limit, after(now, window));
        let mut budget = Budget { limit, remaining, few, window, next: now, until };
        // The one that brought this reply does not fly any more.
        budget.spread(endpoint.flying.saturating_sub(1), now);
        endpoint.budget = Some(budget);
    }

    /// After a 429: nothing leaves for that endpoint until the window is over.
    pub fn hold(&mut self, endpoint: &str, wait: Duration, now: Timestamp) {
        let endpoint = self.endpoints.entry(endpoint.to_owned()).or_default();
        let end = after(now, wait.min(LONGEST));
        endpoint.held = Some(endpoint.held.map_or(end, |held| held.max(end)));
        endpoint.budget = None;
    }
}

impl Budget {
    /// The same, or a full one when its window is over: what flies still counts.
    fn at(self, now: Timestamp) -> Option<Self> {
        if is_ahead(self.until, now) {
            return Some(self);
        }
        let full = |limit| Self { remaining: limit, next: now, until: after(now, self.window), ..self };
        self.limit.map(full)
    }

    /// The next one leaves later, the fewer calls are left behind those that fly.
    fn spread(&mut self, flying: u64, now: Timestamp) {
        let left = self.remaining.saturating_sub(flying);
        if left <= self.few {
            let share = u32::try_from(left + 1).unwrap_or(u32::MAX);
            self.next = self.next.max(after(now, self.window / share));
            self.until = self.until.max(self.next);
        }
    }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Whether `at` is still to come. One that is too far away was told before the clock was set back.
fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    now < at && at <= after(now, LONGEST * 2)
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

    fn later(seconds: u64) -> Place {
        Place::Later(Duration::from_secs(seconds))
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
        assert_eq!(pacer.endpoint("e", at(0)), Place::Now);
        pacer.landed("e");
        pacer.heard("e", &told(100, 2), at(0));
        assert_eq!(pacer.endpoint("e", at(0)), later(20));
        assert_eq!(pacer.endpoint("e", at(20)), Place::Now);
        assert_eq!(pacer.endpoint("e", at(20)), later(20));
        assert_eq!(pacer.endpoint("other", at(0)), Place::Now);
        assert_eq!(pacer.endpoint("e", at(81)), Place::Now);
    }

    #[test]
    fn requests_without_a_reply_yet_count_against_the_budget() {
        let mut pacer = Pacer::default();
        pacer.heard("e", &told(5, 4), at(0));
        let left: Vec<_> = (0..8).map(|_| pacer.endpoint("e", at(0)) == Place::Now).collect();
        assert_eq!(left, [true, true, true, false, false, false, false, false]);
        // A new window does not bring back what still flies.
        assert_eq!(pacer.endpoint("e", at(120)), Place::Now);
        assert_eq!(pacer.endpoint("e", at(150)), Place::Now);
        assert_eq!(pacer.endpoint("e", at(181)), Place::Landing);
        // What never came back frees its place as well.
        (0..5).for_each(|_| pacer.landed("e"));
        assert_eq!(pacer.endpoint("e", at(300)), Place::Now);
    }

    #[test]
    fn a_429_holds_its_endpoint_until_the_window_is_over() {
        let mut pacer = Pacer::default();
        pacer.hold("e", Duration::from_secs(30), at(0));
        assert_eq!(pacer.endpoint("e", at(10)), later(20));
        // A late reply of an earlier request does not lift it.
        pacer.heard("e", &told(100, 99), at(11));
        assert_eq!(pacer.endpoint("e", at(12)), later(18));
        assert_eq!(pacer.endpoint("e", at(30)), Place::Now);
    }
}
