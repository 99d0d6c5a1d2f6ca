//! What people and policies say to a plan: pure functions of the plan file's bytes.

pub mod approval;
pub mod policy;
pub mod signers;
