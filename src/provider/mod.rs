//! The vendors: what can be declared at each, how it is read, what changes it and how that is proved.
//!
//! # How to add a provider
//! 1. A folder here: `spec` (serde types), `state` (validated and live types), `client` and `wire`
//!    (requests and replies), `read`, `draft` (pure: wish + observation → changes and steps), `steps`.
//! 2. Its rows in `registry.rs`.
//! 3. A folder under `sandbox/`, written from the vendor's contract and not from the client.
//!
//! A provider may not order steps, retry, sleep, format, write files or decide severity.

pub mod age;
pub mod draft;
pub mod fields;
pub mod ibm;
pub mod logicmonitor;
pub mod registry;
pub mod spec;
pub mod state;
pub mod steps;
