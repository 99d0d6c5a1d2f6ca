//! Whole-program tests: what a user sees. Lower levels are tested beside the code.

// the mutants of plans name these rooms as the library does
use tokenform::{model, plan};

mod adoption;
mod approvals;
mod bad_input;
mod canary;
mod ci;
mod cli;
mod crash;
mod credentials;
mod destinations;
mod disk;
mod drift;
mod events;
mod examples;
mod faults;
mod help;
mod history;
mod incident;
mod interrupts;
mod lanes;
mod layers;
mod levers;
mod live;
mod locks;
mod main_job;
#[path = "../../src/plan/tests/mutants/mod.rs"]
mod mutants;
mod mutation;
mod policy;
mod proof;
mod protect;
mod readme;
mod refusals;
mod replace;
mod requests;
mod resume;
mod second_owner;
mod server;
mod snapshot;
mod support;
mod unlisted;
mod unlock;
mod vendor_trouble;
mod windows;
mod workload_protection;
mod year;
