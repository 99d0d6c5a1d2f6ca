//! `tokenform sandbox`: the vendors' APIs on loopback, to try scripts and clients against.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::exit::{Exit, Failure};
use super::interrupts::Interrupts;
use super::line::single_quoted;
use super::output::Output;
use super::session::read_file;
use crate::env::Env;
use crate::model::code;
use crate::model::finding::Finding;
use crate::sandbox::{self, Options, Proxy, Running, World};

/// Serve the vendors' APIs on loopback, with a fake estate
///
/// IBM IAM, resource controller, Sysdig and LogicMonitor on one port. Prints, as
/// `export` lines, where it listens and the credentials it issued. Besides the
/// vendors' paths:
///
///   GET  /__sandbox/tape     every request so far, as JSON, without secrets
///   GET  /__sandbox/world    the estate as it is, without secrets
///   GET  /__sandbox/clock    the time; POST {"advance":"24h"} moves it ahead
///   POST /__sandbox/faults   rules for what goes wrong next; DELETE lifts them
///
/// With --as-proxy, scripts that name the vendors' own hosts run against it
/// unchanged: it prints an HTTPS_PROXY that answers for these hosts,
///
///   iam.cloud.ibm.com
///   resource-controller.cloud.ibm.com
///   REGION.monitoring.cloud.ibm.com
///   REGION.security-compliance-secure.cloud.ibm.com
///   PORTAL.logicmonitor.com
///
/// and refuses every other one: nothing leaves this machine. Its certificates are
/// of an authority of its own, whose key is in memory alone; clients trust it by
/// the printed REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE.
///
/// It ends with an interrupt or SIGTERM.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Sandbox {
    /// The file that describes the estate; without it there is one empty connection of each vendor,
    /// named `sandbox`
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,

    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Also be an HTTPS proxy that answers for the vendors' hosts
    #[arg(long)]
    as_proxy: bool,

    /// Where to write the certificate that the proxy's clients must trust; without it, a temporary
    /// file that goes away at the end
    #[arg(long, value_name = "FILE", requires = "as_proxy")]
    ca_file: Option<PathBuf>,
}

pub fn run(command: &Sandbox, env: Env, output: &Output) -> Result<Exit, Failure> {
    let world = world(command)?;
    let connections: Vec<_> = (world.ibm.keys().map(|name| ("ibm", name.clone())))
        .chain(world.logicmonitor.keys().map(|name| ("logicmonitor", name.clone())))
        .collect();
    let stands = world.clock;
    let options = Options { listen: command.listen, on_change: None };
    let now = env.clock.now();
    let running = sandbox::start(world, env, options).map_err(|error| failed(error.to_string()))?;
    let front =
        if command.as_proxy { Some(Front::open(&running, now, command.ca_file.as_deref())?) } else { None };
    let mut lines = format!("export TOKENFORM_SANDBOX_ORIGIN={}\n", running.origin());
    for (vendor, name) in &connections {
        let issued = running.credential(vendor, name);
        for (what, value) in issued.iter().flat_map(|issued| issued.values()) {
            lines.push_str(&format!("export {}={}\n", variable(vendor, name, what), single_quoted(value)));
        }
    }
    lines.extend(front.iter().map(Front::exports));
    output.data(lines.as_bytes());
    if let Some(at) = stands {
        output.say(&format!(
            "The world's clock stands at {at}: clients that sign or check by the machine's time may be refused. \
             Leave `clock` out of the world file for them."
        ));
    }
    output.say(&format!("The sandbox listens on {}; an interrupt ends it.", running.origin()));
    let ended = super::runtime().block_on(stopped());
    drop(front);
    running.stop();
    ended.map(|()| Exit::Done).map_err(|error| failed(error.to_string()))
}

/// Waits for an interrupt, or for the SIGTERM of a script that has started it in the background.
async fn stopped() -> io::Result<()> {
    Interrupts::catch()?.next().await;
    Ok(())
}

/// The first line of every certificate file that was written here.
const CA_HEADER: &str =
    "# The authority of one run of `tokenform sandbox --as-proxy`. Trust it for that run alone.\n";

/// The proxy, and the file with its certificate.
struct Front {
    proxy: Proxy,
    file: PathBuf,
    /// Holds a file that goes away.
    _temporary: Option<tempfile::TempPath>,
}

impl Front {
    fn open(running: &Running, now: Timestamp, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let proxy = running.proxy(now).map_err(|error| failed(error.to_string()))?;
        let text = format!("{CA_HEADER}{}", proxy.certificate());
        let written = match ca_file {
            Some(path) => certificate_at(path, &text).map(|()| (path.to_path_buf(), None)),
            None => temporary(&text).map(|path| (path.to_path_buf(), Some(path))),
        };
        let (file, temporary) =
            written.map_err(|error| failed(format!("the certificate's file: {error}")))?;
        // Scripts run in other folders.
        let file = std::path::absolute(&file).unwrap_or(file);
        Ok(Self { proxy, file, _temporary: temporary })
    }

    fn exports(&self) -> String {
        let file = single_quoted(&self.file.to_string_lossy());
        let mut lines = format!("export HTTPS_PROXY={}\n", self.proxy.origin());
        // Each is what some client asks first: requests, curl, and nearly all others.
        for name in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
            lines.push_str(&format!("export {name}={file}\n"));
        }
        lines
    }
}

/// Writes the certificate in one step; any other file that stands there is left alone.
fn certificate_at(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::read(path) {
        Ok(old) if !old.starts_with(CA_HEADER.as_bytes()) => {
            let why = format!("{} is there and is not the sandbox's; name another file", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn temporary(text: &str) -> io::Result<tempfile::TempPath> {
    let mut file = tempfile::Builder::new().prefix("tokenform-sandbox-ca-").suffix(".pem").tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file.into_temp_path())
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

fn failed(message: String) -> Failure {
    Failure::new(
        Exit::Error,
        Finding::new(code::SANDBOX, message).help("Check --world, --listen and --ca-file."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_replaces_its_like_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for run in ["one", "two"] {
            certificate_at(&path, &format!("{CA_HEADER}{run}")).unwrap();
            assert!(std::fs::read_to_string(&path).unwrap().ends_with(run));
        }
        let precious = folder.path().join("id_rsa");
        std::fs::write(&precious, "mine").unwrap();
        assert!(certificate_at(&precious, CA_HEADER).is_err());
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
    }
}
