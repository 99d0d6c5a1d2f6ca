//! The log of requests, for whoever looks for a fault: what was called, and what came back. No query, no
//! header and no body is in it, so no secret is.

use std::rc::Rc;

use clap::ValueEnum;

use super::output::Output;
use crate::env::Env;
use crate::http::{Call, Reader, Wait};

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Log {
    /// Nothing
    #[value(aliases = ["", "error", "warn", "info"])]
    #[default]
    Off,
    /// Each request, as it came back
    Debug,
    /// Also each wait that tokenform chooses
    Trace,
}

impl Log {
    /// Logs the requests of a reader, and of the writer that is made of it, from now on.
    pub fn follow(self, reader: &Reader, env: &Env, output: &Rc<Output>) {
        if self < Self::Debug {
            return;
        }
        let (clock, output) = (env.clock.clone(), Rc::clone(output));
        reader.on_call(Box::new(move |call| output.say(&format!("{:.3} debug {}", clock.now(), line(call)))));
    }

    /// Logs a wait.
    pub fn wait(self, wait: &Wait, env: &Env, output: &Output) {
        if self >= Self::Trace {
            let Wait { object, purpose, time, why } = wait;
            let now = env.clock.now();
            output.say(&format!("{now:.3} trace waits {time:.1?}: {purpose} ({object}): {why:?}"));
        }
    }
}

/// `GET HOST/PATH 200 34ms: list the users (logicmonitor.acme)`.
fn line(call: &Call<'_>) -> String {
    let Call { object, purpose, method, place, status, took } = call;
    let came = status.map_or("no reply".to_owned(), |status| status.to_string());
    format!("{method} {place} {came} {}ms: {purpose} ({object})", took.as_millis())
}
