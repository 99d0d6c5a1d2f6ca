//! Ctrl-C and SIGTERM, as one thing to wait for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// From the moment this exists a signal no longer ends the program: who has it must wait for it.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// To be called within a runtime.
    pub fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one, also for one that came while nobody waited.
    pub async fn next(&mut self) {
        tokio::select! {
            Some(()) = self.interrupt.recv() => {}
            Some(()) = self.terminate.recv() => {}
            else => std::future::pending().await,
        }
    }
}
