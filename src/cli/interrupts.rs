//! Ctrl-C and SIGTERM, as one thing to wait for.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::apply::Stop;
use crate::model::code;
use crate::model::finding::Finding;

/// From the moment this exists a signal no longer ends the program: whoever waits for anything must
/// wait for it too.
pub struct Interrupts {
    signals: RefCell<[Signal; 2]>,
}

/// A runtime that catches interrupts already. What comes before somebody waits for them is kept; a command that
/// never waits for them could not be interrupted any more, since they stay caught.
pub struct Caught {
    pub runtime: Runtime,
    pub interrupts: io::Result<Interrupts>,
}

impl Caught {
    pub fn new() -> Self {
        let runtime = super::runtime();
        let interrupts = runtime.block_on(async { Interrupts::catch() });
        Self { runtime, interrupts }
    }
}

impl Interrupts {
    /// To be called within a runtime.
    pub fn catch() -> io::Result<Self> {
        let signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        Ok(Self { signals: RefCell::new(signals) })
    }

    /// Waits for the next one, also for one that came while nobody waited.
    pub async fn next(&self) {
        poll_fn(|cx| {
            let mut signals = self.signals.borrow_mut();
            let came = signals.iter_mut().any(|signal| matches!(signal.poll_recv(cx), Poll::Ready(Some(()))));
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Work that may end anywhere: an interrupt drops it.
    pub async fn end<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.next() => Err(interrupted()),
        }
    }

    /// Work that ends in order: interrupts raise `stop`, and the work heeds it.
    pub async fn raise<T>(&self, stop: &Stop, output: &Output, work: impl Future<Output = T>) -> T {
        let raised = async {
            loop {
                self.next().await;
                stop.raise();
                output.say(match stop.is_now() {
                    false => {
                        "Interrupted: what runs is finished, nothing else is begun. Once more: it stops now."
                    }
                    true => "Interrupted again: stopped where it was.",
                });
            }
        };
        tokio::select! {
            done = work => done,
            never = raised => never,
        }
    }
}

/// A run that was ended before it changed anything.
pub fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, Finding::new(code::INTERRUPTED, "interrupted; nothing was sent"))
}

/// Nothing may run that could not be stopped in order.
pub fn no_signals(error: &io::Error) -> Failure {
    let message = format!("interrupts can't be caught, so nothing was sent: {error}");
    Failure::usage(message, "Look at the limits of this process, then run it again.")
}
