//! LogicMonitor: LMv1 API tokens and bearer tokens of users.

pub mod audit_log;
pub mod callers;
pub mod client;
pub mod disuse;
pub mod draft;
pub mod evidence;
pub mod exposure;
mod guards;
mod issue;
pub mod note;
pub mod owners;
pub mod read;
mod retire;
#[cfg(test)]
mod samples;
pub mod spec;
pub mod state;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod wire;

/// The vendor part of addresses.
pub const VENDOR: &str = "logicmonitor";
