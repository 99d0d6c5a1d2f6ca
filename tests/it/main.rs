//! Whole-program tests: what a user sees. Lower levels are tested beside the code.

mod bad_input;
mod cli;
mod crash;
mod credentials;
mod destinations;
mod disk;
mod drift;
mod examples;
mod faults;
mod help;
mod history;
mod interrupts;
mod lanes;
mod layers;
mod levers;
mod live;
mod locks;
mod main_job;
mod proof;
mod readme;
mod refusals;
mod requests;
mod server;
mod support;
mod vendor_trouble;
mod workload_protection;
