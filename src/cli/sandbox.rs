//! `tokenform sandbox`: the vendors' APIs on loopback, to try scripts and clients against.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::block_on;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::session::read_file;
use crate::env::Env;
use crate::model::code;
use crate::model::finding::Finding;
use crate::sandbox::{self, Options, World};

/// Serve the vendors' APIs on loopback, with a fake estate
///
/// IBM IAM, resource controller, Sysdig and LogicMonitor on one port. Prints, as `export` lines,
/// where it listens and the credentials it issued. Besides the vendors' paths:
///
///   GET  /__sandbox/tape     every request so far, as JSON, without secrets
///   GET  /__sandbox/world    the estate as it is, without secrets
///   GET  /__sandbox/clock    the time; POST {"advance":"24h"} moves it ahead
///   POST /__sandbox/faults   rules for what goes wrong next
///
/// It ends with an interrupt.
#[derive(Args)]
pub struct Sandbox {
    /// The file that describes the estate; without it there is one empty connection of each vendor,
    /// named `sandbox`
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,

    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub fn run(command: &Sandbox, env: Env, output: &Output) -> Result<Exit, Failure> {
    let world = world(command)?;
    let connections: Vec<_> = (world.ibm.keys().map(|name| ("ibm", name.clone())))
        .chain(world.logicmonitor.keys().map(|name| ("logicmonitor", name.clone())))
        .collect();
    let options = Options { listen: command.listen };
    let running = sandbox::start(world, env, options).map_err(|error| failed(error.to_string()))?;
    let mut lines = format!("export TOKENFORM_SANDBOX_ORIGIN={}\n", running.origin());
    for (vendor, name) in &connections {
        let issued = running.credential(vendor, name);
        for (what, value) in issued.iter().flat_map(|issued| issued.values()) {
            lines.push_str(&format!("export {}={}\n", variable(vendor, name, what), quoted(value)));
        }
    }
    output.data(lines.as_bytes());
    output.say(&format!("The sandbox listens on {}; an interrupt ends it.", running.origin()));
    let ended = block_on(tokio::signal::ctrl_c());
    running.stop();
    ended.map(|()| Exit::Done).map_err(|error| failed(error.to_string()))
}

fn world(command: &Sandbox) -> Result<World, Failure> {
    let Some(path) = &command.world else {
        let mut world = World::default();
        world.ibm.entry("sandbox".into()).or_default();
        world.logicmonitor.entry("sandbox".into()).or_default();
        return Ok(world);
    };
    let bytes = read_file(path)?;
    let text = String::from_utf8(bytes).map_err(|_| failed(format!("{}: not UTF-8", path.display())))?;
    World::from_yaml(&text).map_err(|error| failed(format!("{}: {error}", path.display())))
}

/// `SANDBOX_IBM_PROD_API_KEY`
fn variable(vendor: &str, name: &str, what: &str) -> String {
    let text = format!("SANDBOX_{vendor}_{name}_{what}").to_ascii_uppercase();
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// A value in a shell's single quotes.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::Error, Finding::new(code::SANDBOX, message).help("Check --world and --listen."))
}
