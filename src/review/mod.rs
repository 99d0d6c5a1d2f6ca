//! What people, policies and change windows say to a plan: pure functions, without I/O.

pub mod approval;
pub mod policy;
pub mod signers;
pub mod windows;
