//! Plain data that every layer speaks: no I/O, no async, no vendor names.

pub mod address;
pub mod age;
pub mod approval;
pub mod asked;
pub mod change;
pub mod code;
pub mod effect;
pub mod event;
pub mod evidence;
pub mod exposure;
pub mod finding;
pub mod given;
pub mod guard;
pub mod history;
pub mod observed;
pub mod outcome;
pub mod prefix;
pub mod reverse;
pub mod secret;
pub mod source;
pub mod step;
pub mod unlisted;
#[cfg(test)]
pub mod vendor_sample;
pub mod verb;
pub mod vocabulary;
pub mod who;
pub mod window;
