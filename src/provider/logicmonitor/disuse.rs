//! The portal's inactivity rule: who has disabled a token, and which one it will disable next
//! (contract logicmonitor 5.3).

use jiff::Timestamp;

use super::state::{LiveToken, LiveUser};
use crate::model::vocabulary::Period;

/// Who has disabled a token, as far as its last use tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledBy {
    /// Unused for longer than the portal allows: the rule, unless a person was earlier.
    Rule { unused: Period, days: u64 },
    /// The rule is off, or its time has not come: a person.
    Person,
    /// The setting, or the time of the last use, is not known.
    Unknown,
}

/// Tells the portal's doing from a person's.
pub fn disabled_by(user: &LiveUser, token: &LiveToken, now: Timestamp) -> DisabledBy {
    match (user.disables_after_days, unused(token, now)) {
        (Some(0), _) => DisabledBy::Person,
        (Some(days), Some(unused)) if unused >= Period::days(days) => DisabledBy::Rule { unused, days },
        (Some(_), Some(_)) => DisabledBy::Person,
        (None, _) | (_, None) => DisabledBy::Unknown,
    }
}

impl std::fmt::Display for DisabledBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule { unused, days } => write!(
                f,
                "by the portal's inactivity rule: unused for {}, and the portal disables after {days}d",
                unused.rough()
            ),
            Self::Person => f.write_str("by a person: the portal's inactivity rule does not reach it"),
            Self::Unknown => f.write_str("by the portal's inactivity rule or by a person"),
        }
    }
}

/// How long before the rule a token is told of.
const AHEAD: Period = Period::days(14);

/// When the rule will disable an enabled token that stays unused, if that is soon.
pub fn disabled_soon(user: &LiveUser, token: &LiveToken, now: Timestamp) -> Option<Timestamp> {
    let days = user.disables_after_days.filter(|days| *days > 0)?;
    let at = Period::days(days).after(token.last_used_on.or(token.created_on)?);
    let near = Period::between(now, at) <= AHEAD && Period::days(days) > AHEAD;
    (token.enabled() && near).then_some(at)
}

/// Since its last use; since its creation if it was never used.
fn unused(token: &LiveToken, now: Timestamp) -> Option<Period> {
    Some(Period::between(token.last_used_on.or(token.created_on)?, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::logicmonitor::state::{DISABLED, ENABLED, TokenKind};

    const NOW: &str = "2026-11-22T10:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn user(days: Option<u64>) -> LiveUser {
        let row = crate::provider::logicmonitor::wire::UserRow {
            id: Some(32),
            username: Some("svc".into()),
            ..Default::default()
        };
        LiveUser { disables_after_days: days, ..row.live().unwrap() }
    }

    fn token(created: Option<&str>, used: Option<&str>, status: i64) -> LiveToken {
        LiveToken {
            id: 5,
            owner: 32,
            kind: TokenKind::ApiToken,
            access_id: None,
            note: "ci".into(),
            status,
            created_on: created.map(at),
            created_by: "alice".into(),
            last_used_on: used.map(at),
            never_used: used.is_none(),
            last_auth_ip: None,
        }
    }

    fn who(days: Option<u64>, created: Option<&str>, used: Option<&str>) -> DisabledBy {
        disabled_by(&user(days), &token(created, used, DISABLED), at(NOW))
    }

    #[test]
    fn the_rule_is_told_from_a_person_by_its_days_and_the_last_use() {
        let old = Some("2026-01-01T00:00:00Z");
        let thirty = who(Some(30), old, Some("2026-10-23T10:00:00Z"));
        assert_eq!(thirty, DisabledBy::Rule { unused: Period::days(30), days: 30 });
        assert!(thirty.to_string().contains("unused for 30d, and the portal disables after 30d"));
        assert_eq!(who(Some(30), old, Some("2026-10-23T10:00:01Z")), DisabledBy::Person);
        assert!(
            matches!(who(Some(30), old, None), DisabledBy::Rule { .. }),
            "never used: since its creation"
        );
        assert_eq!(who(Some(0), old, None), DisabledBy::Person);
        assert_eq!(who(None, old, None), DisabledBy::Unknown);
        assert_eq!(who(Some(30), None, None), DisabledBy::Unknown);
    }

    #[test]
    fn what_the_rule_will_disable_is_told_two_weeks_ahead() {
        let soon = |days, used, status| disabled_soon(&user(days), &token(None, Some(used), status), at(NOW));
        assert_eq!(soon(Some(90), "2026-09-07T10:00:00Z", ENABLED), Some(at("2026-12-06T10:00:00Z")));
        assert_eq!(soon(Some(90), "2026-09-07T10:00:01Z", ENABLED), None);
        assert_eq!(soon(Some(90), "2026-09-07T10:00:00Z", DISABLED), None);
        assert_eq!(soon(Some(0), "2026-01-01T10:00:00Z", ENABLED), None);
        assert_eq!(soon(None, "2026-01-01T10:00:00Z", ENABLED), None);
    }
}
