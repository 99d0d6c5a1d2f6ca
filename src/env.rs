//! The only door to time, randomness and environment variables.
//!
//! Everything that waits, draws or asks the environment takes an [`Env`], so that a test or the
//! sandbox decides what time it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

mod points;
pub use points::{Point, Points};

/// Time, randomness and environment variables.
#[derive(Clone)]
pub struct Env {
    pub clock: Clock,
    pub dice: Dice,
    pub vars: Vars,
    /// The longest that one request may take, in real time.
    pub deadline: Duration,
    /// Where a test can stop the run.
    pub points: Points,
}

impl Env {
    /// The real ones.
    pub fn system() -> Self {
        Self {
            clock: Clock::System { offset: SignedDuration::ZERO },
            dice: Dice::System,
            vars: Vars::process(),
            deadline: Duration::from_secs(30),
            points: Points::default(),
        }
    }
}

/// What time it is, and how to wait.
#[derive(Clone)]
pub enum Clock {
    /// The machine's clock, shifted by an offset for rehearsals.
    System { offset: SignedDuration },
    /// A clock that stands at an origin (or runs with the machine's) and jumps ahead when someone
    /// sleeps on it. The sandbox and the tool share one.
    Simulated(Arc<Simulated>),
}

/// The state of a simulated clock.
pub struct Simulated {
    /// Where the clock stands; `None` runs with the machine's clock.
    origin: Option<Timestamp>,
    ahead_ms: AtomicI64,
}

impl Clock {
    /// A clock that stands at `origin`, or that runs with the machine's clock.
    pub fn simulated(origin: Option<Timestamp>) -> Self {
        Self::Simulated(Arc::new(Simulated { origin, ahead_ms: AtomicI64::new(0) }))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System { offset } => shift(machine_now(), *offset),
            Self::Simulated(clock) => {
                let ahead = SignedDuration::from_millis(clock.ahead_ms.load(Ordering::SeqCst));
                shift(clock.origin.unwrap_or_else(machine_now), ahead)
            }
        }
    }

    /// Waits. On a simulated clock the time passes at once, and only once for all who begin to sleep
    /// at the same time.
    pub async fn sleep(&self, time: Duration) {
        match self {
            Self::System { .. } => tokio::time::sleep(time).await,
            Self::Simulated(clock) => {
                let end = clock.ahead_ms.load(Ordering::SeqCst).saturating_add(millis(time));
                tokio::task::yield_now().await;
                clock.ahead_ms.fetch_max(end, Ordering::SeqCst);
            }
        }
    }

    /// Moves a simulated clock ahead; the machine's clock can't be moved.
    pub fn advance(&self, time: Duration) {
        if let Self::Simulated(clock) = self {
            clock.ahead_ms.fetch_add(millis(time), Ordering::SeqCst);
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn shift(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
fn machine_now() -> Timestamp {
    Timestamp::now()
}

/// Randomness.
#[derive(Clone)]
pub enum Dice {
    System,
    /// The same draws on every run, for tests.
    Seeded(Arc<AtomicU64>),
}

impl Dice {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(AtomicU64::new(seed)))
    }

    /// Fills a buffer with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        match self {
            Self::System => getrandom::fill(buffer).expect("the operating system has no randomness"),
            Self::Seeded(state) => {
                for chunk in buffer.chunks_mut(8) {
                    let draw = splitmix64(state).to_le_bytes();
                    chunk.copy_from_slice(&draw[..chunk.len()]);
                }
            }
        }
    }

    /// 16 random bytes in lower-case hex: a nonce that can stand in a note.
    pub fn nonce(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        crate::model::secret::hex(&bytes)
    }

    /// A random UUID (RFC 9562, version 4).
    pub fn uuid(&self) -> String {
        let mut b = [0; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let hex = crate::model::secret::hex(&b);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// A number from 0 up to and without `below`.
    pub fn below(&self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below.max(1)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a well-mixed sequence from a counter.
fn splitmix64(state: &AtomicU64) -> u64 {
    let gamma: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(gamma, Ordering::SeqCst).wrapping_add(gamma);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Environment variables: the process's own, with some laid over them.
#[derive(Clone, Default)]
pub struct Vars {
    process: bool,
    over: BTreeMap<String, String>,
}

impl Vars {
    pub fn process() -> Self {
        Self { process: true, over: BTreeMap::new() }
    }

    /// Only the given ones: a test's, or a sandbox's that must not see real credentials.
    pub fn only(over: BTreeMap<String, String>) -> Self {
        Self { process: false, over }
    }

    /// These variables with others laid over them.
    pub fn with(&self, over: BTreeMap<String, String>) -> Self {
        let mut vars = self.clone();
        vars.over.extend(over);
        vars
    }

    /// The value, if it is set and UTF-8.
    pub fn get(&self, name: &str) -> Option<String> {
        if let Some(value) = self.over.get(name) {
            return Some(value.clone());
        }
        self.process.then(|| process_var(name)).flatten()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the process environment")]
fn process_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_jumps_when_advanced_and_is_shared() {
        let at: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let clock = Clock::simulated(Some(at));
        let twin = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(twin.now().to_string(), "2026-11-22T10:01:30Z");
    }

    #[tokio::test]
    async fn who_sleeps_together_on_a_simulated_clock_wakes_when_the_longest_sleep_ends() {
        let at: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let clock = Clock::simulated(Some(at));
        let (two, nine) = (Duration::from_secs(2), Duration::from_secs(9));
        tokio::join!(clock.sleep(two), clock.sleep(nine));
        assert_eq!(clock.now().to_string(), "2026-11-22T10:00:09Z");
        clock.sleep(two).await;
        clock.sleep(two).await;
        assert_eq!(clock.now().to_string(), "2026-11-22T10:00:13Z");
    }

    #[test]
    fn seeded_dice_repeat_and_uuids_have_their_version() {
        let (a, b) = (Dice::seeded(7), Dice::seeded(7));
        assert_eq!(a.nonce(), b.nonce());
        assert_ne!(a.nonce(), a.nonce());
        assert_eq!(&a.uuid()[14..15], "4");
    }
}
