//! IBM Cloud Monitoring and Workload Protection: team tokens and `external_api_auth`.

pub mod draft;
pub mod state;

/// The vendor part of addresses.
pub const VENDOR: &str = "ibm";

/// The kind of a team's token in addresses.
pub const TEAM: &str = "team";
