//! Every edge of a window: days, midnight, clocks put forward and back, freezes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Zone {
    Zone { name: name.into(), rules: TimeZone::get(name).unwrap() }
}

fn window(days: &[Day], from: &str, to: &str, name: &str) -> Window {
    let days: BTreeSet<Day> = days.iter().copied().collect();
    Window { days, from: from.parse().unwrap(), to: to.parse().unwrap(), zone: zone(name) }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn only(window: Window) -> Changes {
    Changes { windows: vec![window], ..Changes::default() }
}

/// When it is closed, the next opening; `None` while it is open.
fn next(changes: &Changes, now: &str) -> Option<String> {
    closed(changes, at(now)).map(|closed| closed.next.unwrap().0.to_string())
}

fn freeze(from: &str, to: &str) -> Freeze {
    Freeze { from: at(from), to: at(to), reason: Some("year end".into()) }
}

use Day::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};

#[test]
fn a_spec_without_windows_is_open_at_any_time() {
    assert_eq!(closed(&Changes::default(), at("2026-11-22T03:00:00Z")), None);
}

#[test]
fn a_window_is_open_from_its_begin_until_before_its_end_on_its_days() {
    let changes = only(window(&[Mon, Tue, Wed, Thu], "09:00", "16:00", "Europe/Berlin"));
    // 2026-11-23 is a Monday; Berlin is an hour ahead
    assert_eq!(next(&changes, "2026-11-23T07:59:59Z").unwrap(), "2026-11-23T08:00:00Z");
    assert_eq!(next(&changes, "2026-11-23T08:00:00Z"), None);
    assert_eq!(next(&changes, "2026-11-23T14:59:59.999Z"), None);
    assert_eq!(next(&changes, "2026-11-23T15:00:00Z").unwrap(), "2026-11-24T08:00:00Z");
    assert_eq!(next(&changes, "2026-11-26T15:00:00Z").unwrap(), "2026-11-30T08:00:00Z", "Thursday to Monday");
}

#[test]
fn over_midnight_the_day_is_the_one_of_the_begin() {
    let changes = only(window(&[Fri], "22:00", "04:00", "UTC"));
    assert_eq!(next(&changes, "2026-11-27T22:00:00Z"), None, "Friday");
    assert_eq!(next(&changes, "2026-11-28T03:59:00Z"), None, "still the window of Friday");
    assert_eq!(next(&changes, "2026-11-28T04:00:00Z").unwrap(), "2026-12-04T22:00:00Z");
    assert_eq!(next(&changes, "2026-11-28T22:30:00Z").unwrap(), "2026-12-04T22:00:00Z", "Saturday");
    let to_midnight = only(window(&[Fri], "22:00", "00:00", "UTC"));
    assert_eq!(next(&to_midnight, "2026-11-27T23:59:59Z"), None);
    assert_eq!(next(&to_midnight, "2026-11-28T00:00:00Z").unwrap(), "2026-12-04T22:00:00Z");
    let whole = only(window(&[Sat, Sun], "00:00", "24:00", "UTC"));
    assert_eq!(next(&whole, "2026-11-28T00:00:00Z"), None);
    assert_eq!(next(&whole, "2026-11-29T23:59:59Z"), None);
    assert_eq!(next(&whole, "2026-11-30T00:00:00Z").unwrap(), "2026-12-05T00:00:00Z");
}

#[test]
fn what_the_clock_leaps_over_is_never_open() {
    // Berlin, 2027-03-28: 02:00 becomes 03:00 at 01:00Z. It is a Sunday.
    let berlin = |from, to| only(window(&[Sun], from, to, "Europe/Berlin"));
    let all = berlin("02:15", "02:45");
    assert_eq!(next(&all, "2027-03-28T00:59:59Z").unwrap(), "2027-04-04T00:15:00Z");
    assert_eq!(next(&all, "2027-03-28T01:00:00Z").unwrap(), "2027-04-04T00:15:00Z");
    let begins = berlin("02:30", "04:00");
    assert_eq!(next(&begins, "2027-03-28T00:59:59Z").unwrap(), "2027-03-28T01:00:00Z", "the leap itself");
    assert_eq!(next(&begins, "2027-03-28T01:59:59Z"), None, "03:59:59");
    assert_eq!(next(&begins, "2027-03-28T02:00:00Z").unwrap(), "2027-04-04T00:30:00Z");
    let ends = berlin("01:00", "02:30");
    assert_eq!(next(&ends, "2027-03-28T00:59:59Z"), None);
    assert!(next(&ends, "2027-03-28T01:00:00Z").is_some(), "it is 03:00");
}

#[test]
fn what_the_clock_shows_twice_is_open_twice() {
    // Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00Z. It is a Sunday.
    let twice = only(window(&[Sun], "02:15", "02:45", "Europe/Berlin"));
    assert_eq!(next(&twice, "2026-10-25T00:00:00Z").unwrap(), "2026-10-25T00:15:00Z");
    assert_eq!(next(&twice, "2026-10-25T00:44:59Z"), None);
    assert_eq!(next(&twice, "2026-10-25T00:45:00Z").unwrap(), "2026-10-25T01:15:00Z");
    assert_eq!(next(&twice, "2026-10-25T01:30:00Z"), None);
    assert_eq!(next(&twice, "2026-10-25T01:45:00Z").unwrap(), "2026-11-01T01:15:00Z");
    let begins = only(window(&[Sun], "02:30", "04:00", "Europe/Berlin"));
    assert_eq!(next(&begins, "2026-10-25T00:30:00Z"), None);
    assert_eq!(next(&begins, "2026-10-25T01:00:00Z").unwrap(), "2026-10-25T01:30:00Z", "02:00 again");
    let ends = only(window(&[Sun], "01:00", "02:30", "Europe/Berlin"));
    assert_eq!(next(&ends, "2026-10-25T00:45:00Z").unwrap(), "2026-10-25T01:00:00Z", "02:00 again");
    assert_eq!(next(&ends, "2026-10-25T01:29:59Z"), None);
}

#[test]
fn zones_with_odd_offsets_and_lost_days_have_their_windows() {
    // Lord Howe puts its clocks by half an hour; Kathmandu is 5:45 ahead
    let howe = only(window(&Day::ALL, "02:00", "02:30", "Australia/Lord_Howe"));
    assert_eq!(next(&howe, "2026-10-03T15:00:00Z").unwrap(), "2026-10-04T15:00:00Z", "leapt over that day");
    let kathmandu = only(window(&[Mon], "00:00", "00:15", "Asia/Kathmandu"));
    assert_eq!(next(&kathmandu, "2026-11-22T18:00:00Z").unwrap(), "2026-11-22T18:15:00Z");
    // Samoa had no Friday, 30 December 2011
    let apia = only(window(&[Fri], "09:00", "17:00", "Pacific/Apia"));
    assert_eq!(next(&apia, "2011-12-25T00:00:00Z").unwrap(), "2012-01-05T19:00:00Z");
}

#[test]
fn a_freeze_beats_every_window_and_the_next_opening_is_behind_it() {
    let mut changes = only(window(&[Mon, Tue, Wed, Thu], "09:00", "16:00", "Europe/Berlin"));
    changes.freezes.push(freeze("2026-12-20T00:00:00Z", "2027-01-04T00:00:00Z"));
    changes.freezes.push(freeze("2027-01-04T00:00:00Z", "2027-01-04T10:00:00Z"));
    assert_eq!(next(&changes, "2026-12-17T16:00:00Z").unwrap(), "2027-01-04T10:00:00Z", "Monday, within it");
    assert_eq!(next(&changes, "2026-12-22T10:00:00Z").unwrap(), "2027-01-04T10:00:00Z");
    assert_eq!(next(&changes, "2027-01-04T10:00:00Z"), None);
    let only_freezes = Changes { windows: vec![], ..changes };
    assert_eq!(next(&only_freezes, "2026-12-19T23:59:59Z"), None);
    assert_eq!(next(&only_freezes, "2026-12-20T00:00:00Z").unwrap(), "2027-01-04T10:00:00Z");
}

#[test]
fn the_refusal_says_why_and_when_in_the_zone_and_in_utc() {
    let mut changes = only(window(&[Mon], "09:00", "16:00", "Europe/Berlin"));
    changes.zone = zone("Europe/Berlin");
    let told = |changes: &Changes, now| refusal(changes, &Asked::default(), at(now)).unwrap().message;
    assert_eq!(
        told(&changes, "2026-11-22T23:50:00Z"),
        "nothing new was sent: Mon 2026-11-23 00:50 Europe/Berlin (2026-11-22T23:50:00Z) is outside of every \
         change window; changes may be made from Mon 2026-11-23 09:00 Europe/Berlin (2026-11-23T08:00:00Z)"
    );
    changes.freezes.push(freeze("2026-12-20T00:00:00Z", "2027-01-04T00:00:00Z"));
    assert_eq!(
        told(&changes, "2026-12-21T10:00:00Z"),
        "nothing new was sent: changes are frozen until Mon 2027-01-04 01:00 Europe/Berlin \
         (2027-01-04T00:00:00Z) (year end); changes may be made from Mon 2027-01-04 09:00 Europe/Berlin \
         (2027-01-04T08:00:00Z)"
    );
    let asked = Asked { outside_window: Some("INC-7".into()), ..Asked::default() };
    assert!(refusal(&changes, &asked, at("2026-12-21T10:00:00Z")).is_none());
    assert!(warning(&changes, &asked, at("2026-12-21T10:00:00Z")).is_none());
}

#[test]
fn the_ends_of_time_are_no_panic() {
    let changes = only(window(&[Mon], "22:00", "04:00", "Pacific/Kiritimati"));
    for now in [Timestamp::MIN, Timestamp::MAX] {
        drop(closed(&changes, now));
    }
}

proptest! {
    /// The next opening is open, and no minute before it is.
    #[test]
    fn the_next_opening_is_the_first(
        minute in 0_i64..1_051_200,
        days in proptest::collection::btree_set(0_usize..7, 1..7),
        (from, to) in (0_u16..96, 0_u16..96).prop_filter("a window", |(from, to)| from != to),
        name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]),
        frozen in (0_i64..40_000, 1_i64..20_000),
    ) {
        let start = at("2026-01-01T00:00:00Z");
        let later = |minutes: i64| start + SignedDuration::from_mins(minutes);
        let time = |quarter: u16| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
        let days: Vec<Day> = days.into_iter().map(|day| Day::ALL[day]).collect();
        let mut changes = only(window(&days, &time(from), &time(to), name));
        let (begin, long) = frozen;
        let freeze = Freeze { from: later(minute + begin), to: later(minute + begin + long), reason: None };
        changes.freezes.push(freeze);
        let now = later(minute);
        if let Some(Closed { next: Some((next, _)), .. }) = closed(&changes, now) {
            prop_assert!(next > now && closed(&changes, next).is_none());
            // offsets and windows are of whole quarters and minutes
            let minutes = next.duration_since(now).as_mins();
            for before in (0..minutes).step_by(5) {
                prop_assert!(closed_now(&changes, now + SignedDuration::from_mins(before)));
            }
        }
    }
}

/// The same question, asked of the wall clock alone.
fn closed_now(changes: &Changes, now: Timestamp) -> bool {
    let frozen = changes.freezes.iter().any(|freeze| freeze.from <= now && now < freeze.to);
    let open = changes.windows.iter().any(|window| {
        let local = window.zone.rules.to_datetime(now);
        let (today, time) = (local.date(), local.strftime("%H:%M").to_string());
        let (from, to) = (window.from.to_string(), window.to.to_string());
        let begins = |date| window.days.contains(&Day::of(date));
        match from < to {
            true => begins(today) && from <= time && time < to,
            false => begins(today) && from <= time || begins(today.yesterday().unwrap()) && time < to,
        }
    });
    frozen || !open
}
