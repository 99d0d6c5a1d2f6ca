//! Decides whether a failed request is sent again and after how long. It never sleeps.

use std::time::Duration;

use super::Sent;
use super::headers::Told;

/// How often a read is sent at most (contract ibm 5.8).
pub const READ_TRIES: u32 = 5;

/// How often a mutation is sent at most; only surely unsent ones are sent again.
pub const UNSENT_TRIES: u32 = 3;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// What is known of a request that failed.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub sent: Sent,
    /// The status that the reply means, which can differ from the HTTP status.
    pub status: Option<u16>,
    /// Sending it again can't help, whatever the status says.
    pub permanent: bool,
    /// How long the vendor asked to wait.
    pub asked: Option<Duration>,
}

/// Whether to read again, after `tries` sent requests. `draw` is a random number.
pub fn read(seen: Seen, tries: u32, draw: u64) -> Option<Duration> {
    let worth = match seen.status {
        None => true,
        Some(status) => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
    };
    (worth && !seen.permanent && tries < READ_TRIES).then(|| wait(seen, tries, draw))
}

/// Whether to send a mutation again: only when it surely was not sent.
pub fn mutation(seen: Seen, tries: u32, draw: u64) -> Option<Duration> {
    (seen.sent == Sent::No && !seen.permanent && tries < UNSENT_TRIES).then(|| wait(seen, tries, draw))
}

fn wait(seen: Seen, tries: u32, draw: u64) -> Duration {
    match seen.asked {
        Some(asked) => asked + part(asked / 10, draw),
        None => {
            let full = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST);
            full / 2 + part(full / 2, draw)
        }
    }
}

/// A random part of a time.
fn part(of: Duration, draw: u64) -> Duration {
    let ms = u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(draw % ms.saturating_add(1))
}

/// How long a 429 or 503 asks to wait. LogicMonitor tells its window (contract logicmonitor 7.3);
/// others `Retry-After`, which is sent as 0 too and on statuses where it means nothing (contract
/// ibm 2.8).
pub fn asked(status: u16, told: &Told, window_by_default: bool) -> Option<Duration> {
    let clamp = |time: Duration, most: u64| time.clamp(Duration::from_secs(1), Duration::from_secs(most));
    match status {
        429 if window_by_default => {
            let window = told.window.or(told.retry_after).unwrap_or(Duration::from_secs(60));
            Some(clamp(window, 300))
        }
        429 | 503 => told.retry_after.map(|time| clamp(time, 60)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: Option<u16>) -> Seen {
        let sent = if status.is_some() { Sent::Yes } else { Sent::Maybe };
        Seen { sent, status, permanent: false, asked: None }
    }

    #[test]
    fn reads_are_repeated_on_outages_and_throttling_up_to_five_times() {
        for status in [None, Some(429), Some(500), Some(502), Some(503), Some(504)] {
            assert!(read(seen(status), 1, 0).is_some(), "{status:?}");
            assert!(read(seen(status), 4, 0).is_some(), "{status:?}");
            assert!(read(seen(status), 5, 0).is_none(), "{status:?}");
        }
        for status in [200, 301, 400, 401, 403, 404, 409, 412, 422, 501] {
            assert!(read(seen(Some(status)), 1, 0).is_none(), "{status}");
        }
        assert!(read(Seen { permanent: true, ..seen(Some(502)) }, 1, 0).is_none());
    }

    #[test]
    fn mutations_are_repeated_only_when_surely_not_sent() {
        assert!(mutation(Seen { sent: Sent::No, ..seen(None) }, 1, 0).is_some());
        assert!(mutation(Seen { sent: Sent::No, ..seen(None) }, 3, 0).is_none());
        assert!(mutation(seen(None), 1, 0).is_none());
        for status in [429, 500, 503] {
            assert!(mutation(seen(Some(status)), 1, 0).is_none(), "{status}");
        }
    }

    #[test]
    fn waits_double_from_one_second_to_thirty_with_jitter() {
        let ms = |tries, draw| wait(seen(None), tries, draw).as_millis();
        assert_eq!((ms(1, 0), ms(1, 500)), (500, 1_000));
        assert_eq!((ms(2, 0), ms(2, 1_000)), (1_000, 2_000));
        assert!((15_000..=30_000).contains(&ms(9, 12_345)));
        assert!((15_000..=30_000).contains(&ms(64, u64::MAX)));
    }

    #[test]
    fn what_the_vendor_asks_is_clamped_and_heeded_only_where_it_means_something() {
        let secs = |s| Some(Duration::from_secs(s));
        let told = |retry, window| Told { retry_after: retry, window, ..Told::default() };
        assert_eq!(asked(429, &told(secs(0), None), false), secs(1));
        assert_eq!(asked(503, &told(secs(900), None), false), secs(60));
        assert_eq!(asked(400, &told(secs(0), None), false), None);
        assert_eq!(asked(429, &told(None, None), false), None);
        assert_eq!(asked(429, &told(None, secs(20)), true), secs(20));
        assert_eq!(asked(429, &told(None, None), true), secs(60));
        assert_eq!(asked(429, &told(None, secs(9_000)), true), secs(300));
    }
}
