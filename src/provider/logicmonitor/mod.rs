//! LogicMonitor: LMv1 API tokens and bearer tokens of users.

pub mod draft;
pub mod spec;
pub mod state;

/// The vendor part of addresses.
pub const VENDOR: &str = "logicmonitor";
