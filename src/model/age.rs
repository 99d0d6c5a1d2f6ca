//! How old a managed token is, and when its rotation is due.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::vocabulary::Period;

/// The age of one live token that has a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Age {
    pub address: Address,
    /// Absent where it is not known exactly.
    #[schemars(with = "Option<String>")]
    pub issued_at: Option<Timestamp>,
    /// When a rotation is due, or was; absent where that can't be known.
    #[schemars(with = "Option<String>")]
    pub due_at: Option<Timestamp>,
    /// For people: `due in 12d`, `3d late`, `age unknown: …`.
    pub says: String,
}

/// What is due within this long is told without being asked for.
const SOON: Period = Period::days(14);

/// Of a short life only the last part is soon.
const LAST_PART: u64 = 6;

impl Age {
    /// Whether people should see it without asking: late, soon due, or unknown.
    pub fn is_near(&self, now: Timestamp) -> bool {
        let Some(due) = self.due_at else { return true };
        let life = self
            .issued_at
            .map_or(SOON, |issued| Period::seconds(Period::between(issued, due).as_secs() / LAST_PART));
        Period::between(now, due) <= life.min(SOON)
    }

    pub fn is_late(&self, now: Timestamp) -> bool {
        self.due_at.is_none_or(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(issued: Option<&str>, due: &str) -> bool {
        let at = |text: &str| text.parse().unwrap();
        let address = Address::connection("ibm", "prod");
        let age = Age { address, issued_at: issued.map(at), due_at: Some(at(due)), says: String::new() };
        age.is_near(at("2026-11-22T10:00:00Z"))
    }

    #[test]
    fn two_weeks_are_near_and_only_the_last_sixth_of_a_short_life() {
        assert!(near(Some("2026-08-01T00:00:00Z"), "2026-12-06T10:00:00Z"));
        assert!(!near(Some("2026-08-01T00:00:00Z"), "2026-12-06T10:00:01Z"));
        assert!(!near(Some("2026-11-22T09:00:00Z"), "2026-11-23T09:00:00Z"));
        assert!(near(Some("2026-11-21T13:30:00Z"), "2026-11-22T13:30:00Z"));
        assert!(near(None, "2026-12-01T00:00:00Z"), "of unknown birth");
        assert!(near(Some("2026-01-01T00:00:00Z"), "2026-11-01T00:00:00Z"), "late");
    }
}
