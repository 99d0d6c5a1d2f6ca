//! A list that shows the portal as it was a while ago. How long the vendor's own takes to follow a
//! change is unknown (contract logicmonitor 10, "propagation delay of create/disable").

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::estate::{Portal, User};
use crate::model::vocabulary::Period;

/// The users as they were before each change that the list does not show yet, oldest first. Not kept
/// with the world: a portal that was started again has caught up.
#[derive(Default)]
pub struct Past(VecDeque<(Timestamp, BTreeMap<String, User>)>);

impl Past {
    /// To be called before a change.
    pub fn keep(&mut self, portal: &Portal, now: Timestamp) {
        let lag = portal.token_list_lag;
        while self.0.front().is_some_and(|(at, _)| shows(lag, *at, now)) {
            self.0.pop_front();
        }
        if lag > Period::seconds(0) {
            self.0.push_back((now, portal.users.clone()));
        }
    }

    /// The portal as its list of all tokens shows it now, if that is not as it is.
    pub fn shown(&self, portal: &Portal, now: Timestamp) -> Option<Portal> {
        let (_, users) = self.0.iter().find(|(at, _)| !shows(portal.token_list_lag, *at, now))?;
        Some(Portal { users: users.clone(), ..portal.clone() })
    }
}

/// Whether a change at an instant is shown by now.
fn shows(lag: Period, at: Timestamp, now: Timestamp) -> bool {
    lag.after(at) <= now
}
