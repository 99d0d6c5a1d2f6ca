//! The sandbox: the vendors' APIs on a loopback port, with a world, faults, a clock and a tape.
//!
//! Written from the vendors' contracts, not from the client, and sharing no code with it: it
//! imports `model` and `env` alone, so that the double can't share a misunderstanding with what it
//! is the double of. It issues its own credentials and verifies them for real.
//!
//! ```text
//! a request to a vendor's own host ─▶ proxy ─▶ server
//!
//! a request ─▶ server ─▶ state ─┬▶ control   /__sandbox/…
//!                               ├▶ faults    hit it, or let it through to
//!                               ├▶ ibm       /identity/token  /v2/resource_instances  /api
//!                               └▶ logicmonitor  /santaba/rest
//! ```

mod authority;
pub mod clock;
mod control;
pub mod faults;
mod hosts;
pub mod ibm;
pub mod json;
mod keeping;
pub mod logicmonitor;
pub mod meddle;
pub mod mint;
mod proxy;
mod server;
mod state;
pub mod tape;
#[cfg(test)]
mod tests;
mod wire;
pub mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::env::{Clock, Env};
pub use keeping::{Kept, OnChange};
pub use proxy::Proxy;
use server::{Cell, lock};
use state::State;
pub use tape::TapeEntry;
pub use wire::{About, Effect};
pub use world::World;

/// Where to listen, and who keeps the world meanwhile.
#[derive(Clone)]
pub struct Options {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Told of each change before the request that made it is answered.
    pub on_change: Option<OnChange>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), on_change: None }
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the world can't be used: {0}")]
    World(String),
    #[error("the world has version {found}; this tokenform knows version {known}")]
    Version { found: u32, known: u32 },
    #[error("the world file {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the sandbox listens on loopback only, not on {0}: use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    #[error("the sandbox can't listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the sandbox's thread can't be started: {0}")]
    Thread(std::io::Error),
    #[error("the proxy has no certificate: {0}")]
    Certificate(String),
}

/// A credential that the sandbox issued, ready for environment variables. No `Debug`.
pub enum Issued {
    Ibm {
        api_key: String,
        /// A compute-resource token, where the world has a trusted profile.
        cr_token: Option<String>,
    },
    LogicMonitor {
        access_id: String,
        access_key: String,
        bearer: String,
    },
}

impl Issued {
    /// Each value with what it is: `api_key`, `access_id`.
    pub fn values(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Ibm { api_key, cr_token } => {
                let profile = cr_token.iter().map(|token| ("cr_token", token.as_str()));
                std::iter::once(("api_key", api_key.as_str())).chain(profile).collect()
            }
            Self::LogicMonitor { access_id, access_key, bearer } => {
                vec![("access_id", access_id), ("access_key", access_key), ("bearer", bearer)]
            }
        }
    }
}

/// Starts a sandbox on a thread of its own. Its clock is the given one if that is simulated, so
/// that the tool and its sandbox share it; otherwise the world's.
pub fn start(mut world: World, env: Env, options: Options) -> Result<Running, SandboxError> {
    if !options.listen.ip().is_loopback() {
        return Err(SandboxError::NotLoopback(options.listen));
    }
    let clock = match env.clock {
        shared @ Clock::Simulated(_) => shared,
        Clock::System { .. } => clock::start(world.clock, world.ahead),
    };
    world.complete(clock.now())?;
    let state = State { on_change: options.on_change, ..State::new(world, clock.clone()) };
    let cell = Cell::new(state.into());
    let listen = |source| SandboxError::Listen { address: options.listen, source };
    let listener = std::net::TcpListener::bind(options.listen).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(SandboxError::Thread)?;
    let shared = cell.clone();
    let run = move || {
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            tokio::select! {
                _ = server::serve(listener, shared) => {}
                _ = stopped => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(run);
    let thread = Some(thread.map_err(SandboxError::Thread)?);
    Ok(Running { address, cell, clock, stop: Some(stop), thread })
}

/// A sandbox that runs, until it is stopped or dropped.
pub struct Running {
    address: SocketAddr,
    cell: Cell,
    clock: Clock,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// `http://127.0.0.1:PORT`, the origin of every vendor's API.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a CONNECT proxy in front of it, on the same address and a port of its own, for clients
    /// whose hosts can't be changed. `now` is the time that those clients go by.
    pub fn proxy(&self, now: Timestamp) -> Result<Proxy, SandboxError> {
        Proxy::start(self.address, now)
    }

    /// The clock that the tool should run on.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The credential of a connection; `vendor` is `ibm` or `logicmonitor`.
    pub fn credential(&self, vendor: &str, connection: &str) -> Option<Issued> {
        let world = &lock(&self.cell).world;
        match vendor {
            "ibm" => {
                let account = world.ibm.get(connection)?;
                let profile = account.iam.trusted_profile.as_ref();
                let cr_token = profile.and_then(|profile| profile.cr_token.clone());
                Some(Issued::Ibm { api_key: account.api_key.clone()?, cr_token })
            }
            "logicmonitor" => {
                let portal = world.logicmonitor.get(connection)?;
                let caller = portal.users.get(portal.caller.as_ref()?)?;
                let (token, bearer) = (caller.api_tokens.first()?, caller.bearer_tokens.first()?);
                Some(Issued::LogicMonitor {
                    access_id: token.access_id.clone()?,
                    access_key: token.key.clone()?,
                    bearer: bearer.key.clone()?,
                })
            }
            _ => None,
        }
    }

    /// The world as it is now, for keeping: secrets included.
    pub fn world(&self) -> World {
        let mut state = lock(&self.cell);
        let now = state.now();
        state.operators(now);
        World { ahead: clock::ahead(&self.clock, state.world.clock), ..state.world.clone() }
    }

    /// Every request so far.
    pub fn tape(&self) -> Vec<TapeEntry> {
        lock(&self.cell).tape.entries()
    }

    /// Nothing goes wrong any more.
    pub fn lift_faults(&self) {
        lock(&self.cell).lift_faults();
    }

    /// Asks the operator of an instance's account to reset a team's token. False if the world has
    /// no such operator or team.
    pub fn operator_watch(&self, guid: &str, team_id: u64) -> bool {
        let mut state = lock(&self.cell);
        let now = state.now();
        let State { world, desk, .. } = &mut *state;
        desk.watch(world, guid, team_id, now).is_ok()
    }

    /// Stops the server; open connections close.
    pub fn stop(mut self) {
        self.shut();
    }

    /// Waits until the server ends by itself, which it does only when its thread dies.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn shut(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut();
    }
}
