//! The proof of an apply: everything is read again, and the next plan must be empty.

use super::Job;
use crate::cli::session::Session;
use crate::model::code;
use crate::plan::{EXPIRES, Planned};

/// What reading everything again has shown.
pub enum Proof {
    /// Steps are missing, so there is nothing to prove.
    NotTried,
    Interrupted,
    Holds(String),
    Fails(String),
}

impl Proof {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::NotTried => None,
            Self::Interrupted => {
                Some("interrupted before everything was read again: the result is not proved")
            }
            Self::Holds(text) | Self::Fails(text) => Some(text),
        }
    }
}

/// Reads again. An interrupt ends it: all steps are done, and a plan shows the same.
pub fn read(session: &Session, job: &Job<'_>) -> Proof {
    match job.read(session) {
        Ok(snapshot) => judged(session.plan(&snapshot, EXPIRES, true)),
        Err(_) => Proof::Interrupted,
    }
}

/// After the last step the next plan must be empty, or only waiting.
fn judged(planned: Planned) -> Proof {
    // A target that was changed and that the spec does not declare need not be there any more.
    let errors = planned.findings.iter().filter(|f| f.is_error() && f.code != code::PLAN_TARGET);
    let errors: Vec<_> = errors.map(ToString::to_string).collect();
    let matches = match planned.plan.complete {
        true => "live state matches the spec",
        false => "live state matches the spec in the part that was planned",
    };
    match (planned.plan.changes.as_slice(), errors.as_slice()) {
        ([], []) if planned.plan.waiting.is_empty() => Proof::Holds(format!("read again: {matches}")),
        ([], []) => Proof::Holds(format!("read again: {matches}; what is left waits for its time")),
        ([], errors) => Proof::Fails(format!("read again, but: {}", errors.join("; "))),
        (changes, _) => {
            let left: Vec<_> =
                changes.iter().map(|c| format!("{} {}", c.action.as_str(), c.address)).collect();
            Proof::Fails(format!("read again: not as the spec wants it: {}", left.join(", ")))
        }
    }
}
