//! The plan: changes that a person reviews, and the graph of steps that carries them out.

pub mod document;
