//! (under construction)

pub mod merge;
pub mod tree;
