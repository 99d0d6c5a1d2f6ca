//! tokenform: declared API tokens and authentication modes, planned, reviewed and applied in a
//! proved order.
//!
//! # One straight line
//!
//! ```text
//! file ──spec::load────▶ Desired ──┐
//! APIs ──registry::read▶ Snapshot ─┼─plan::plan─▶ Plan ─check::admit─▶ Admitted ─apply::apply─▶ Applied ─▶ exit code
//! ledger ─state::history▶ History ─┘                │                                  │
//!                                                   └▶ report (text, JSON)             ├▶ journal, destinations
//!                                                                                      └▶ events ▶ progress
//! ```
//!
//! No stage calls an earlier one. The planner is pure and synchronous.
//!
//! # Rooms, each importing only from the ones before it
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`model`] | plain data: addresses, verbs, steps, changes, findings, secrets |
//! | [`env`](mod@env) | the only door to time, randomness and environment variables |
//! | [`credential`] | secret references, resolved when first needed |
//! | [`state`] | key, lock, journal and ledger in a folder |
//! | [`http`] | one way to talk HTTP: `Reader` looks, `Writer` changes |
//! | [`destination`] | where new secrets go |
//! | [`provider`] | the vendors: specs, live types, reading, drafts, steps |
//! | [`spec`] | YAML to `Desired`, with every finding and its place |
//! | [`plan`] | drafts to an ordered plan, and the checker that shares nothing with it |
//! | [`saved`] | plan files: digests and the seal |
//! | [`review`] | approvals of and policies on a plan file's bytes |
//! | [`apply`] | an admitted plan, step by step |
//! | [`report`] | words: plans, findings, progress, summaries |
//! | [`cli`] | one file per command |
//!
//! Beside them [`sandbox`], which imports only `model` and `env`, so that the double can't share a
//! misunderstanding with the client. `tests/it/layers.rs` holds all of this by the text.
//!
//! # Invariants, and the tests that hold them
//!
//! [`plan::check`] judges any plan; `src/plan/tests/` breaks each one by hand, and
//! `properties.rs` there plans random worlds.
//!
//! 1. Every ordering rule is an edge; a lock is preceded by a reset of every visible team.
//! 2. No step after a lock needs what the lock forbids.
//! 3. No step disables or deletes a credential that a connection of the spec uses.
//! 4. No managed name is left without an enabled token, unless the spec asks for it.
//! 5. Every new secret has a destination, or is meant to be dropped.
//! 6. No step leaves the declared scope.
//! 7. Limits and protections hold.

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
pub mod review;
pub mod sandbox;
pub mod saved;
pub mod spec;
pub mod state;
