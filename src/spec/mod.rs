//! (under construction)

pub mod decode;
pub mod language;
pub mod merge;
pub mod nearest;
pub mod secrets;
pub mod tree;
