//! The flags of `plan` after an incident: what may be exposed, where, and why it is rotated.

use clap::Args;
use jiff::Timestamp;

use super::exit::Failure;
use super::levers::there;
use crate::model::asked::Asked;
use crate::model::exposure;
use crate::provider::registry;
use crate::provider::state::Desired;

/// Flags of an incident.
#[derive(Args, Default)]
pub struct Incident {
    /// Rotate everything that was issued before this instant, or may have been; nothing else
    ///
    /// What was used last is rotated first, within the limits (`--limit rotate=500`). The plan says
    /// what may be exposed and is not rotated, and why. Nothing is bypassed. Run it again, once the plan
    /// is applied, for what is still left.
    #[arg(long, value_name = "INSTANT", help_heading = "After an incident")]
    issued_before: Option<Timestamp>,

    /// Only here: an address, or how it begins. May be given more than once
    #[arg(long, value_name = "ADDR", requires = "issued_before", help_heading = "After an incident")]
    scope: Vec<String>,

    /// Why, for the plan and the ledger
    #[arg(long, value_name = "TEXT", requires = "issued_before", help_heading = "After an incident")]
    reason: Option<String>,
}

impl Incident {
    /// Adds the incident to what is asked for. Nothing was read yet.
    pub fn add(&self, asked: &mut Asked, desired: &Desired, now: Timestamp) -> Result<(), Failure> {
        let Some(issued_before) = self.issued_before else { return Ok(()) };
        if issued_before > now {
            let message =
                format!("--issued-before {issued_before} lies in the future: no rotation could satisfy it");
            return Err(Failure::usage(
                message,
                "Give the instant at which the exposure ended, at most now.",
            ));
        }
        let (partial, outside_window) = (asked.partial, asked.outside_window.clone());
        if *asked != (Asked { partial, outside_window, ..Asked::default() }) {
            let message = "--issued-before goes with --scope, and with no other lever";
            return Err(Failure::usage(
                message,
                "Plan the incident alone: --issued-before INSTANT --scope ADDR.",
            ));
        }
        let declared = registry::declared(desired);
        let scope: Result<_, _> = self.scope.iter().map(|word| there("--scope", word, &declared)).collect();
        let reason = self.reason.clone().filter(|reason| !reason.trim().is_empty());
        asked.incident = Some(exposure::Incident { issued_before, scope: scope?, reason });
        Ok(())
    }
}
