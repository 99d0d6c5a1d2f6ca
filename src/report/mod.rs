//! Words for people: renders plans, findings, progress and outcomes. It decides nothing.
//!
//! Everything here is a function of its arguments to a text, except [`progress`], which writes as
//! events come. Text that others wrote (names, notes, reasons, files) passes through [`safe`].

pub mod annotations;
pub mod check;
pub mod diff;
pub mod events;
pub mod finding;
pub mod graph;
pub mod history;
pub mod html;
pub mod json;
pub mod lock;
pub mod markdown;
pub mod progress;
pub mod rows;
pub mod safe;
pub mod status;
pub mod style;
pub mod summary;
pub mod text;
mod wrap;

#[cfg(test)]
pub mod sample;
