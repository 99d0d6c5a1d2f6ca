//! Paces requests: it answers how long to wait, and never waits itself.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::headers::Told;

/// Between two mutations of one instance: at most two a second (contract ibm 5.8).
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

/// A rate limit of a rolling window (contract logicmonitor 7.3), as replies told it.
#[derive(Debug)]
struct Budget {
    limit: Option<u64>,
    window: Duration,
    /// Calls left by the last reply, those added that have left the window since.
    remaining: u64,
    /// When that reply came.
    told: Timestamp,
    /// When the replies of the last window came. The vendor counted each call earlier, so it has
    /// forgotten it a window later.
    replies: VecDeque<Timestamp>,
    /// Others use the limit as well: not before this instant, so that they are left some of it.
    next: Timestamp,
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
        let endpoint = self.entry(endpoint);
        if let Some(held) = endpoint.held.filter(|held| is_ahead(*held, now)) {
            return Place::Later(until(held, now));
        }
        endpoint.held = None;
        if let Some(budget) = &mut endpoint.budget {
            let place = budget.place(endpoint.flying, now);
            if place != Place::Now {
                return place;
            }
        }
        endpoint.flying += 1;
        Place::Now
    }

    /// A request came back, with or without a reply.
    pub fn landed(&mut self, endpoint: &str) {
        let endpoint = self.entry(endpoint);
        endpoint.flying = endpoint.flying.saturating_sub(1);
    }

    /// Learns from a reply, which `counts` against the limit unless it is a 429.
    pub fn heard(&mut self, endpoint: &str, told: &Told, counts: bool, now: Timestamp) {
        let (Some(remaining), Some(window)) = (told.remaining, told.window) else {
            return;
        };
        let endpoint = self.entry(endpoint);
        let budget = endpoint.budget.get_or_insert_with(|| Budget {
            limit: None,
            window,
            remaining,
            told: now,
            replies: VecDeque::new(),
            next: now,
        });
        (budget.limit, budget.window) = (told.limit, window.min(LONGEST));
        (budget.remaining, budget.told) = (remaining, now);
        budget.replies.extend(counts.then_some(now));
        // The one that brought this reply does not fly any more.
        budget.spare_others(endpoint.flying.saturating_sub(1), now);
    }

    /// After a 429: nothing leaves for that endpoint until the window is over.
    pub fn hold(&mut self, endpoint: &str, wait: Duration, now: Timestamp) {
        let endpoint = self.entry(endpoint);
        let end = after(now, wait.min(LONGEST));
        endpoint.held = Some(endpoint.held.map_or(end, |held| held.max(end)));
    }

    fn entry(&mut self, endpoint: &str) -> &mut Endpoint {
        if !self.endpoints.contains_key(endpoint) {
            self.endpoints.insert(endpoint.to_owned(), Endpoint::default());
        }
        self.endpoints.get_mut(endpoint).expect("it was put in, if it was not there")
    }
}

impl Budget {
    /// Whether one more may leave, beside those that fly.
    fn place(&mut self, flying: u64, now: Timestamp) -> Place {
        self.forget(now);
        let room = self.room(flying);
        if room > 0 && is_ahead(self.next, now) {
            return Place::Later(until(self.next, now));
        }
        if room > 0 {
            self.spare_others(flying + 1, now);
            return Place::Now;
        }
        if flying > 0 {
            return Place::Landing;
        }
        let first = self.replies.front().copied().unwrap_or(self.told).min(self.told);
        let free = after(first, self.window);
        Place::Later(until(free, now).max(Duration::from_millis(1)))
    }

    /// Drops what left the window. Without a reply for a whole window nothing is known to be used.
    fn forget(&mut self, now: Timestamp) {
        let inside = |at: Timestamp| is_ahead(after(at, self.window), now);
        while self.replies.front().is_some_and(|at| !inside(*at)) {
            self.replies.pop_front();
            self.remaining += 1;
        }
        if !inside(self.told) {
            self.remaining = self.limit.unwrap_or(1);
            self.told = now;
        }
    }

    /// How many may leave now: by the vendor's word, and by our own count, since replies can overtake
    /// each other.
    fn room(&self, flying: u64) -> u64 {
        let own = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.replies.len() as u64));
        self.remaining.min(own).saturating_sub(flying)
    }

    /// While few calls are left of a limit that others use, too, they are spread over the window.
    fn spare_others(&mut self, flying: u64, now: Timestamp) {
        let ours = self.replies.len() as u64 + flying;
        let limit = self.limit.unwrap_or_default();
        let room = self.room(flying);
        if limit > self.remaining + ours && room <= (limit / 10).max(2) {
            let rest = until(after(self.told, self.window), now);
            let share = u32::try_from(room + 1).unwrap_or(u32::MAX);
            self.next = self.next.max(after(now, rest / share));
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

    /// Asks for places at one instant until there is none; says how many there were, and what then.
    fn burst(pacer: &mut Pacer, now: Timestamp) -> (usize, Place) {
        let mut left = 0;
        loop {
            match pacer.endpoint("e", now) {
                Place::Now => left += 1,
                place => return (left, place),
            }
        }
    }

    /// A reply of a vendor that nobody else asks.
    fn reply(pacer: &mut Pacer, limit: u64, remaining: u64, now: Timestamp) {
        pacer.heard("e", &told(limit, remaining), true, now);
        pacer.landed("e");
    }

    #[test]
    fn the_whole_limit_is_used_at_once_and_again_when_it_has_left_the_window() {
        let mut pacer = Pacer::default();
        assert_eq!(pacer.endpoint("e", at(0)), Place::Now);
        reply(&mut pacer, 100, 99, at(0));
        assert_eq!(burst(&mut pacer, at(0)), (99, Place::Landing));
        (0..99).for_each(|left| reply(&mut pacer, 100, 98 - left, at(1)));
        assert_eq!(burst(&mut pacer, at(1)), (0, later(59)));
        assert_eq!(burst(&mut pacer, at(60)), (1, Place::Landing));
        reply(&mut pacer, 100, 0, at(60));
        assert_eq!(burst(&mut pacer, at(60)), (0, later(1)));
        assert_eq!(burst(&mut pacer, at(61)), (99, Place::Landing));
        assert_eq!(pacer.endpoint("other", at(61)), Place::Now);
    }

    #[test]
    fn a_reply_that_was_overtaken_brings_nothing_back() {
        let mut pacer = Pacer::default();
        let left: Vec<_> = (0..5).map(|_| pacer.endpoint("e", at(0))).collect();
        assert_eq!(left, [Place::Now; 5]);
        for remaining in [0, 1, 2, 3, 4] {
            reply(&mut pacer, 5, remaining, at(1));
        }
        assert_eq!(burst(&mut pacer, at(1)), (0, later(60)));
    }

    #[test]
    fn the_last_calls_of_a_limit_that_others_use_are_spread_over_its_window() {
        let mut pacer = Pacer::default();
        assert_eq!(pacer.endpoint("e", at(0)), Place::Now);
        reply(&mut pacer, 100, 50, at(0));
        assert_eq!(pacer.endpoint("e", at(0)), Place::Now);
        reply(&mut pacer, 100, 2, at(0));
        assert_eq!(pacer.endpoint("e", at(0)), later(20));
        assert_eq!(pacer.endpoint("e", at(20)), Place::Now);
        assert_eq!(pacer.endpoint("e", at(20)), later(20));
        assert_eq!(pacer.endpoint("e", at(61)), Place::Now);
    }

    #[test]
    fn requests_without_a_reply_yet_count_against_the_limit() {
        let mut pacer = Pacer::default();
        assert_eq!(pacer.endpoint("e", at(0)), Place::Now);
        reply(&mut pacer, 5, 4, at(0));
        assert_eq!(burst(&mut pacer, at(0)), (4, Place::Landing));
        // A new window does not bring back what still flies.
        assert_eq!(burst(&mut pacer, at(120)), (1, Place::Landing));
        // What never came back frees its place as well.
        (0..5).for_each(|_| pacer.landed("e"));
        assert_eq!(burst(&mut pacer, at(300)), (5, Place::Landing));
    }

    #[test]
    fn a_429_holds_its_endpoint_until_the_window_is_over() {
        let mut pacer = Pacer::default();
        pacer.hold("e", Duration::from_secs(30), at(0));
        assert_eq!(pacer.endpoint("e", at(10)), later(20));
        // A late reply of an earlier request does not lift it.
        pacer.heard("e", &told(100, 99), true, at(11));
        assert_eq!(pacer.endpoint("e", at(12)), later(18));
        assert_eq!(pacer.endpoint("e", at(30)), Place::Now);
    }
}
