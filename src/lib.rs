//! tokenform: declared API tokens and authentication modes, planned, reviewed and applied in a proved order.

pub mod apply;
pub mod cli;
pub mod credential;
pub mod destination;
pub mod env;
pub mod http;
pub mod model;
pub mod plan;
pub mod provider;
pub mod report;
pub mod sandbox;
pub mod saved;
pub mod spec;
pub mod state;
