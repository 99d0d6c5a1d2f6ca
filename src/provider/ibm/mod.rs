//! IBM Cloud Monitoring and Workload Protection: team tokens and `external_api_auth`.

pub mod client;
pub mod coverage;
pub mod draft;
pub mod evidence;
pub mod exposure;
pub mod header;
pub mod instance;
pub mod mode;
pub mod parameters;
pub mod read;
pub mod site;
pub mod spec;
pub mod state;
pub mod steps;
pub mod team_token;
pub mod wire;

#[cfg(test)]
mod testing;

/// The vendor part of addresses.
pub const VENDOR: &str = "ibm";

/// The kind of a team's token in addresses.
pub const TEAM: &str = "team";
