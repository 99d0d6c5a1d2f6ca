//! Change windows and freezes: whether changes may be made now, and when they may next.
//!
//! A window is open while a clock on the wall of its zone shows a time within it. So where a clock is
//! put forward, what it leaps over is never open; where it is put back, what it shows twice is open
//! twice. No rule is needed for times that don't exist or that exist twice.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::model::asked::Asked;
use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::window::{Changes, Day, Freeze, Window, Zone};

/// Why no changes may be made, and from when on they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    why: String,
    next: Option<(Timestamp, Zone)>,
}

/// How far ahead the next opening of a window is looked for: it comes back every week, and a leap of the
/// clock or of the calendar can take one of them away.
const DAYS_AHEAD: i32 = 30;

/// Whether changes may be made at this instant, by the spec alone.
pub fn closed(changes: &Changes, now: Timestamp) -> Option<Closed> {
    let why = match (freeze(changes, now), opens(changes, now)) {
        (Some(freeze), _) => frozen(freeze, &changes.zone),
        (None, true) => return None,
        (None, false) => outside(changes, now),
    };
    Some(Closed { why, next: next_opening(changes, now) })
}

/// What a plan tells that could not be applied at once.
pub fn warning(changes: &Changes, asked: &Asked, now: Timestamp) -> Option<Finding> {
    let closed = held_back(changes, asked, now)?;
    Some(closed.finding(code::PLAN_OUTSIDE_WINDOW, "an apply now would be refused"))
}

/// Why nothing of a plan may begin now.
pub fn refusal(changes: &Changes, asked: &Asked, now: Timestamp) -> Option<Finding> {
    let closed = held_back(changes, asked, now)?;
    Some(closed.finding(code::APPLY_OUTSIDE_WINDOW, "nothing new was sent"))
}

/// The same, of a plan that may have been made for any time.
fn held_back(changes: &Changes, asked: &Asked, now: Timestamp) -> Option<Closed> {
    asked.outside_window.is_none().then(|| closed(changes, now))?
}

impl Closed {
    fn finding(&self, code: Code, what: &str) -> Finding {
        let next = match &self.next {
            Some((at, zone)) => format!("changes may be made from {}", shown(*at, zone)),
            None => "the spec has no later opening".to_owned(),
        };
        Finding::new(code, format!("{what}: {}; {next}", self.why))
    }
}

/// `Mon 2027-01-04 09:00 Europe/Berlin (2027-01-04T08:00:00Z)`.
fn shown(at: Timestamp, zone: &Zone) -> String {
    let local = zone.rules.to_datetime(at);
    let day = Day::of(local.date()).as_str();
    let time = local.strftime("%H:%M");
    match zone.name.as_str() {
        "UTC" => format!("{day} {at:.0}"),
        name => format!("{day} {} {time} {name} ({at:.0})", local.date()),
    }
}

fn frozen(freeze: &Freeze, zone: &Zone) -> String {
    let reason = freeze.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("changes are frozen until {}{reason}", shown(freeze.to, zone))
}

fn outside(changes: &Changes, now: Timestamp) -> String {
    let zone = changes.windows.first().map_or(&changes.zone, |window| &window.zone);
    format!("{} is outside of every change window", shown(now, zone))
}

/// The freeze that lasts longest of those in force.
fn freeze(changes: &Changes, at: Timestamp) -> Option<&Freeze> {
    let in_force = changes.freezes.iter().filter(|freeze| freeze.from <= at && at < freeze.to);
    in_force.max_by_key(|freeze| freeze.to)
}

/// Whether a window is open, or there are none at all.
fn opens(changes: &Changes, at: Timestamp) -> bool {
    changes.windows.is_empty() || changes.windows.iter().any(|window| is_open(window, at))
}

fn is_open(window: &Window, at: Timestamp) -> bool {
    let today = window.zone.rules.to_datetime(at).date();
    let days = [today.yesterday().ok(), Some(today)];
    days.into_iter().flatten().flat_map(|day| pieces(window, day)).any(|(from, to)| from <= at && at < to)
}

/// The first instant from `now` on at which changes may be made, and the zone that it is told in.
fn next_opening(changes: &Changes, now: Timestamp) -> Option<(Timestamp, Zone)> {
    let mut at = now;
    // each freeze is left once, and each is followed by at most one look for a window
    for _ in 0..2 * changes.freezes.len() + 2 {
        if let Some(freeze) = freeze(changes, at) {
            at = freeze.to;
        } else if opens(changes, at) {
            break;
        } else {
            at = changes.windows.iter().filter_map(|window| next_begin(window, at)).min()?;
        }
    }
    let free = freeze(changes, at).is_none() && opens(changes, at);
    let zone = changes.windows.iter().find(|window| is_open(window, at)).map(|window| &window.zone);
    free.then(|| (at, zone.unwrap_or(&changes.zone).clone()))
}

/// When a closed window opens next.
fn next_begin(window: &Window, at: Timestamp) -> Option<Timestamp> {
    let today = window.zone.rules.to_datetime(at).date();
    let days = (-1..=DAYS_AHEAD).filter_map(|ahead| today.checked_add(ahead.days()).ok());
    days.flat_map(|day| pieces(window, day)).map(|(from, _)| from).filter(|from| *from > at).min()
}

/// When the window of a day is open: once, unless the clocks are changed within it.
fn pieces(window: &Window, day: Date) -> Vec<(Timestamp, Timestamp)> {
    let Some((from, to)) = hours(window, day).filter(|_| window.days.contains(&Day::of(day))) else {
        return Vec::new();
    };
    let spans = spans(&window.zone.rules, from, to).into_iter().flatten();
    spans
        .filter_map(|span| {
            let begin = span.offset.to_timestamp(from).ok()?.max(span.begin);
            let end = span.offset.to_timestamp(to).ok()?.min(span.end);
            (begin < end).then_some((begin, end))
        })
        .collect()
}

/// What the clock on the wall shows at both ends.
fn hours(window: &Window, day: Date) -> Option<(DateTime, DateTime)> {
    let Window { from, to, .. } = window;
    let last = if to <= from { day.tomorrow().ok()? } else { day };
    Some((from.on(day)?, to.on(last)?))
}

/// A time in which clocks are not changed.
struct Span {
    begin: Timestamp,
    end: Timestamp,
    offset: jiff::tz::Offset,
}

/// Every such time in which a clock may show one between `from` and `to`: no zone is farther than 26 hours
/// from UTC.
fn spans(rules: &TimeZone, from: DateTime, to: DateTime) -> Option<Vec<Span>> {
    const FAR: SignedDuration = SignedDuration::from_hours(26);
    let utc = |time: DateTime| jiff::tz::Offset::UTC.to_timestamp(time).ok();
    let (mut begin, last) = (utc(from)?.checked_sub(FAR).ok()?, utc(to)?.checked_add(FAR).ok()?);
    let mut spans = Vec::new();
    while begin < last {
        let end = rules.following(begin).next().map_or(last, |change| change.timestamp().min(last));
        spans.push(Span { begin, end, offset: rules.to_offset(begin) });
        begin = end;
    }
    Some(spans)
}

#[cfg(test)]
mod tests;
