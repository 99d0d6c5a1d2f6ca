//! When a value was issued, as far as that is known, and whether its rotation is due.
//!
//! Due dates are computed from the issue time and never from the last run.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::age::Age;
use crate::model::vocabulary::Period;
use crate::provider::state::Rotate;

/// What is known of when a value was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issued {
    /// The vendor or the ledger tells.
    At(Timestamp),
    /// Elsewhere, at some time after this instant: until then another value was in its place.
    After(Timestamp),
    /// Nobody tells; the spec states it.
    Assumed(Timestamp),
    /// Why nothing is known.
    Unknown(&'static str),
}

impl Issued {
    /// The instant, where it is known exactly.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) | Self::Assumed(at) => Some(at),
            Self::After(_) | Self::Unknown(_) => None,
        }
    }

    /// What the spec states counts where nobody else knows anything.
    fn or_stated(self, rotate: &Rotate) -> Self {
        match (self, rotate.assume_issued) {
            (Self::Unknown(_), Some(at)) => Self::Assumed(at),
            _ => self,
        }
    }

    /// The earliest instant at which it can have been issued: it is no older than that.
    fn earliest(self) -> Option<Timestamp> {
        match self {
            Self::At(at) | Self::Assumed(at) | Self::After(at) => Some(at),
            Self::Unknown(_) => None,
        }
    }
}

/// Why a rotation is due.
pub struct Due {
    pub reason: String,
    /// Nothing but an unknown age makes it due.
    pub only_unknown_age: bool,
    /// `issued_after` demands it, whatever else is in flight.
    pub incident: bool,
    /// A person asked for it: what keeps it from happening is told, and not only waited for.
    pub asked: bool,
}

/// Whether the conditions of `rotate` hold for a value (PRODUCT section 1: an unknown age satisfies
/// neither condition; one that is known to be no older than allowed does).
pub fn due(rotate: &Rotate, issued: Issued, now: Timestamp) -> Option<Due> {
    let asked = rotate.max_age.is_some() || rotate.issued_after.is_some();
    let issued = issued.or_stated(rotate);
    let Some(earliest) = issued.earliest() else {
        let incident = rotate.issued_after.is_some();
        return asked.then(|| Due {
            reason: unknown(issued),
            only_unknown_age: true,
            incident,
            asked: false,
        });
    };
    let too_old = rotate.max_age.filter(|max| Period::between(earliest, now) >= *max);
    let before = rotate.issued_after.filter(|after| earliest <= *after);
    let reason = match (issued, before, too_old) {
        (_, None, None) => return None,
        (Issued::Assumed(at), Some(after), _) => {
            format!("issued {at} (assume_issued), before issued_after {after}")
        }
        (Issued::Assumed(at), None, Some(max)) => format!("{} (assume_issued)", old(at, max, now)),
        (Issued::At(at), Some(after), _) => format!("issued {at}, before issued_after {after}"),
        (Issued::At(at), None, Some(max)) => old(at, max, now),
        (_, Some(after), _) => format!("{}, issued_after {after}", unknown(issued)),
        (_, None, Some(max)) => format!("{}, max_age {max}", unknown(issued)),
    };
    let only_unknown_age = issued.at().is_none();
    Some(Due { reason, only_unknown_age, incident: before.is_some(), asked: false })
}

/// When the next rotation is due, at the latest.
pub fn next_due(rotate: Option<&Rotate>, issued: Issued) -> Option<Timestamp> {
    let rotate = rotate?;
    Some(rotate.max_age?.after(issued.or_stated(rotate).earliest()?))
}

/// How old a token is by its rotation's conditions; `None` if there is none.
pub fn age(address: &Address, rotate: &Rotate, issued: Issued, now: Timestamp) -> Option<Age> {
    let issued = issued.or_stated(rotate);
    let earliest = issued.earliest();
    let by_age = next_due(Some(rotate), issued);
    let by_incident = rotate.issued_after.filter(|after| earliest.is_some_and(|at| at <= *after));
    let due_at = [by_age, by_incident].into_iter().flatten().min();
    let asked = rotate.max_age.is_some() || rotate.issued_after.is_some();
    let says = match (due_at, issued) {
        (_, Issued::Unknown(_)) => unknown(issued),
        (Some(due), Issued::After(_)) => format!("{}, {}", unknown(issued), when(due, now)),
        (Some(due), Issued::At(_)) => when(due, now),
        (Some(due), Issued::Assumed(_)) => format!("{} (assume_issued)", when(due, now)),
        (None, _) => "not due".to_owned(),
    };
    asked.then(|| Age { address: address.clone(), issued_at: issued.at(), due_at, says })
}

fn unknown(issued: Issued) -> String {
    match issued {
        Issued::At(at) | Issued::Assumed(at) => format!("issued {at}"),
        Issued::After(at) => format!("age unknown: issued outside tokenform after {at}"),
        Issued::Unknown(why) => format!("age unknown: {why}"),
    }
}

/// `90d old, max_age 90d`, and how late that is where it is a day or more.
fn old(issued_at: Timestamp, max: Period, now: Timestamp) -> String {
    let late = Period::between(max.after(issued_at), now);
    let late = if late >= Period::days(1) { format!(", {} late", late.rough()) } else { String::new() };
    format!("{} old, max_age {max}{late}", Period::between(issued_at, now).rough())
}

/// `due in 12d`, `3d late`
fn when(due: Timestamp, now: Timestamp) -> String {
    match due > now {
        true => format!("due in {}", Period::between(now, due).rough()),
        false => format!("{} late", Period::between(due, now).rough()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T10:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rotate(max_age: Option<&str>, issued_after: Option<&str>) -> Rotate {
        Rotate {
            max_age: max_age.map(|p| p.parse().unwrap()),
            issued_after: issued_after.map(at),
            assume_issued: None,
            rationale: None,
            strategy: crate::provider::state::Strategy::Overlap,
            overlap: Period::hours(24),
            idle: Period::hours(24),
            soak: Period::days(7),
            consumers_moved: None,
        }
    }

    fn says(rotate: &Rotate, issued: Issued) -> String {
        age(&Address::connection("ibm", "prod"), rotate, issued, at(NOW)).unwrap().says
    }

    #[test]
    fn due_at_max_age_to_the_second_and_by_issued_after() {
        let now = at(NOW);
        let ninety = rotate(Some("90d"), None);
        assert!(due(&ninety, Issued::At(at("2026-08-24T10:00:01Z")), now).is_none());
        let due_now = due(&ninety, Issued::At(at("2026-08-24T10:00:00Z")), now).unwrap();
        assert_eq!(due_now.reason, "90d old, max_age 90d");
        let incident = rotate(None, Some("2026-11-01T00:00:00Z"));
        assert!(due(&incident, Issued::At(at("2026-11-01T00:00:00Z")), now).unwrap().incident);
        assert!(due(&incident, Issued::At(at("2026-11-01T00:00:01Z")), now).is_none());
    }

    #[test]
    fn an_unknown_age_satisfies_neither_condition() {
        let unknown = Issued::Unknown("not in the ledger");
        assert!(due(&rotate(Some("90d"), None), unknown, at(NOW)).unwrap().only_unknown_age);
        let by_incident = rotate(None, Some("2026-01-01T00:00:00Z"));
        assert!(due(&by_incident, unknown, at(NOW)).unwrap().only_unknown_age);
        assert!(due(&rotate(None, None), unknown, at(NOW)).is_none());
    }

    #[test]
    fn what_was_issued_after_an_instant_is_no_older_than_that() {
        let after = Issued::After(at("2026-11-02T10:00:00Z"));
        assert!(due(&rotate(Some("21d"), None), after, at(NOW)).is_none());
        let too_old = due(&rotate(Some("20d"), None), after, at(NOW)).unwrap();
        assert_eq!(
            too_old.reason,
            "age unknown: issued outside tokenform after 2026-11-02T10:00:00Z, max_age 20d"
        );
        assert!(due(&rotate(None, Some("2026-11-02T09:59:59Z")), after, at(NOW)).is_none());
        assert!(due(&rotate(None, Some("2026-11-02T10:00:00Z")), after, at(NOW)).unwrap().incident);
    }

    #[test]
    fn ages_are_told_from_the_issue_time() {
        let ninety = rotate(Some("90d"), None);
        assert_eq!(says(&ninety, Issued::At(at("2026-09-05T10:00:00Z"))), "due in 12d");
        assert_eq!(says(&ninety, Issued::At(at("2026-08-21T10:00:00Z"))), "3d late");
        assert_eq!(says(&ninety, Issued::Unknown("not in the ledger")), "age unknown: not in the ledger");
        let incident = rotate(Some("90d"), Some("2026-11-19T10:00:00Z"));
        assert_eq!(says(&incident, Issued::At(at("2026-11-01T00:00:00Z"))), "3d late");
        assert_eq!(says(&incident, Issued::At(at("2026-11-20T00:00:00Z"))), "due in 87d");
        let only = rotate(None, Some("2026-11-01T00:00:00Z"));
        assert_eq!(says(&only, Issued::At(at("2026-11-20T00:00:00Z"))), "not due");
        assert!(
            age(&Address::connection("ibm", "prod"), &rotate(None, None), Issued::At(at(NOW)), at(NOW))
                .is_none()
        );
        let reason = due(&ninety, Issued::At(at("2026-08-21T10:00:00Z")), at(NOW)).unwrap().reason;
        assert_eq!(reason, "93d old, max_age 90d, 3d late");
    }

    #[test]
    fn what_the_spec_states_counts_only_where_nobody_knows() {
        let now = at(NOW);
        let stated = Rotate { assume_issued: Some(at("2026-11-01T00:00:00Z")), ..rotate(Some("90d"), None) };
        assert!(due(&stated, Issued::Unknown("x"), now).is_none());
        assert_eq!(next_due(Some(&stated), Issued::Unknown("x")), Some(at("2027-01-30T00:00:00Z")));
        let old = Rotate { assume_issued: Some(at("2026-01-01T00:00:00Z")), ..stated.clone() };
        let due_now = due(&old, Issued::Unknown("x"), now).unwrap();
        assert!(
            due_now.reason.ends_with("(assume_issued)") && !due_now.only_unknown_age,
            "{}",
            due_now.reason
        );
        let known = Issued::At(at("2026-11-20T00:00:00Z"));
        assert!(due(&old, known, now).is_none(), "what is known is not overruled");
        assert!(due(&old, Issued::After(at("2026-11-20T00:00:00Z")), now).is_none());
    }
}
