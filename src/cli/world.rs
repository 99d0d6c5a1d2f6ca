//! `--sandbox`: the in-process double of the vendors that a command runs against instead.
//!
//! No real credential is resolved, no command is run, and every destination becomes a file under
//! the sandbox's own state. The world is kept there, so that plan → apply → plan converges: with each
//! change, so that a killed run leaves the world that its journal and its destinations speak of.
//!
//! ```text
//! STATE/sandbox/
//!   world.lock    held while a run uses the world
//!   world.yaml    the world, with its secrets, 0600
//!   world.clock   how far its clock was moved since
//!   world.origin  the digest of the file that it was begun from
//!   tape.jsonl    the requests
//!   destinations/
//! ```

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::session::{clock_offset, read_file};
use crate::destination::{Destination, FileDestination, FileFormat, is_name};
use crate::env::{Clock, Env};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::sha256_hex;
use crate::model::vocabulary::{Period, SecretRef};
use crate::plan::document::Plan;
use crate::provider::ibm::state::{Credential as IbmCredential, Endpoints, TrustedProfile};
use crate::provider::logicmonitor::state::{Credential as LmCredential, Lmv1};
use crate::provider::state::Desired;
use crate::sandbox::{self, Kept, Options, Running, World};
use crate::state::atomic;

/// A running sandbox and where its world is kept.
pub struct SandboxTarget {
    running: Running,
    keeper: Arc<Keeper>,
    clock: Clock,
    /// Variables that hold the credentials which the sandbox issued.
    vars: BTreeMap<String, String>,
    /// No other run uses the world meanwhile. Let go by the operating system, whatever ends the run.
    _lock: File,
}

/// Writes the world down.
struct Keeper {
    folder: PathBuf,
    /// What a rehearsal adds to the clock; not kept.
    offset: Duration,
}

impl Keeper {
    /// Whole or not at all, however the run ends. Not synced: only a crash of the machine loses it.
    fn keep(&self, kept: Kept) -> Result<(), Failure> {
        let ahead = Period::seconds(kept.ahead.as_secs().saturating_sub(self.offset.as_secs()));
        let (name, text) = match kept.world {
            None => (CLOCK, ahead.to_string()),
            Some(world) => {
                let text = World { ahead, ..world }.to_yaml();
                (WORLD, text.map_err(|error| failed(&error.to_string()))?)
            }
        };
        let path = self.folder.join(name);
        let told = |error: io::Error| failed(&format!("{}: {error}", path.display()));
        // made with mode 0600, and named so that `sweep` finds it
        let prefix = format!(".{name}.tokenform-");
        let mut draft = tempfile::Builder::new().prefix(&prefix).tempfile_in(&self.folder).map_err(told)?;
        draft.write_all(text.as_bytes()).map_err(told)?;
        draft.persist(&path).map(drop).map_err(|failed| told(failed.error))
    }
}

const WORLD: &str = "world.yaml";
const CLOCK: &str = "world.clock";

impl SandboxTarget {
    /// Starts the kept world, else the one that WORLD or the spec's folder describes.
    pub fn start(
        world: Option<&Path>,
        spec: &Path,
        folder: &Path,
        desired: &Desired,
        env: &Env,
        output: &Output,
    ) -> Result<Self, Failure> {
        let source = match world {
            Some(path) => Some(path.to_path_buf()),
            None => beside(spec)?,
        };
        let lock = exclusive(folder)?;
        let world = load(source.as_deref(), folder, desired, output)?;
        let clock = Clock::simulated(world.clock);
        clock.advance(world.ahead.as_duration());
        let offset = clock_offset(env)?.map_or(Duration::ZERO, Period::as_duration);
        clock.advance(offset);
        let env = Env { clock: clock.clone(), ..env.clone() };
        let keeper = Arc::new(Keeper { folder: folder.to_path_buf(), offset });
        let on_change = Arc::clone(&keeper);
        // what can't be written now is told at the end, when it is written again
        let on_change: sandbox::OnChange = Arc::new(move |kept| drop(on_change.keep(kept)));
        let options = Options { on_change: Some(on_change), ..Options::default() };
        let running = sandbox::start(world, env, options).map_err(|error| failed(&error.to_string()))?;
        let mut target = Self { running, keeper, clock, vars: BTreeMap::new(), _lock: lock };
        target.issue(desired)?;
        target.write_world()?;
        Ok(target)
    }

    /// The clock of the world and the credentials that the sandbox issued.
    pub fn env(&self, env: &Env) -> Env {
        Env { clock: self.clock.clone(), vars: env.vars.with(self.vars.clone()), ..env.clone() }
    }

    /// The operator of the world begins to press the console's button.
    pub fn watch(&self, plan: &Plan, address: &Address) {
        let step = plan.steps.iter().find(|step| step.address == *address);
        let Some((guid, team)) = step.and_then(|s| Some((s.params.get("guid")?, s.params.get("team_id")?)))
        else {
            return;
        };
        if let Ok(team) = team.parse() {
            self.running.operator_watch(guid, team);
        }
    }

    /// Keeps the world for the next run, readable by its owner alone: it holds the sandbox's secrets.
    pub fn keep(&self) -> Result<(), Failure> {
        self.write_world()?;
        self.append_tape()
    }

    fn write_world(&self) -> Result<(), Failure> {
        let world = self.running.world();
        self.keeper.keep(Kept { ahead: world.ahead, world: Some(world) })
    }

    /// The requests of this run, a JSON object on each line, behind those of earlier runs.
    fn append_tape(&self) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for entry in self.running.tape() {
            serde_json::to_writer(&mut lines, &entry).expect("a tape is strings and numbers");
            lines.push(b'\n');
        }
        let path = self.keeper.folder.join("tape.jsonl");
        let file = File::options().create(true).append(true).open(&path);
        let appended = file.and_then(|mut file| file.write_all(&lines));
        appended.map_err(|error| failed(&format!("{}: {error}", path.display())))
    }

    fn issue(&mut self, desired: &Desired) -> Result<(), Failure> {
        for address in desired.ibm.keys().chain(desired.logicmonitor.keys()) {
            let issued = self.running.credential(address.vendor(), address.connection_name());
            let issued = issued.ok_or_else(|| failed(&format!("the world has no {address}")))?;
            for (what, value) in issued.values() {
                self.vars.insert(variable(address, what), value.to_owned());
            }
        }
        Ok(())
    }

    /// The same wishes, sent to the sandbox: its endpoints, its credentials, its destinations.
    pub fn redirect(&self, mut desired: Desired) -> Desired {
        let origin = self.running.origin();
        for (address, connection) in &mut desired.ibm {
            connection.credential = self.ibm_credential(address, &connection.credential);
            connection.endpoints = Endpoints {
                iam: Some(origin.clone()),
                resource_controller: Some(origin.clone()),
                monitoring: Some(origin.clone()),
                workload_protection: Some(origin.clone()),
            };
        }
        for (address, connection) in &mut desired.logicmonitor {
            connection.endpoint = Some(origin.clone());
            connection.credential = match connection.credential {
                LmCredential::Lmv1(_) => LmCredential::Lmv1(Lmv1 {
                    access_id: issued(address, "access_id"),
                    access_key: issued(address, "access_key"),
                }),
                LmCredential::Bearer(_) => LmCredential::Bearer(issued(address, "bearer")),
            };
        }
        let folder = self.keeper.folder.join("destinations");
        for (name, destination) in &mut desired.destinations {
            *destination = redirected(&folder, name, destination);
        }
        desired
    }
}

impl SandboxTarget {
    /// The same form of credential, issued by the sandbox. A ready token would have ended before the
    /// next command, and a world may have no profile: an API key stands for both.
    fn ibm_credential(&self, address: &Address, wished: &IbmCredential) -> IbmCredential {
        match wished {
            IbmCredential::TrustedProfile(profile)
                if self.vars.contains_key(&variable(address, "cr_token")) =>
            {
                let cr_token = issued(address, "cr_token");
                IbmCredential::TrustedProfile(TrustedProfile { cr_token, ..profile.clone() })
            }
            IbmCredential::ApiKey(_) | IbmCredential::IamToken(_) | IbmCredential::TrustedProfile(_) => {
                IbmCredential::ApiKey(issued(address, "api_key"))
            }
        }
    }
}

/// The variable that holds a credential issued by the sandbox.
fn variable(address: &Address, what: &str) -> String {
    format!("TOKENFORM_SANDBOX {address} {what}")
}

fn issued(address: &Address, what: &str) -> SecretRef {
    SecretRef::Env(variable(address, what))
}

/// A file of the destination's own format; a command becomes a dotenv file.
fn redirected(folder: &Path, name: &str, destination: &Destination) -> Destination {
    let format = match destination {
        Destination::File(file) => file.format,
        Destination::Command(_) => FileFormat::Dotenv,
    };
    let extension = match format {
        FileFormat::Raw => "txt",
        FileFormat::Dotenv => "env",
        FileFormat::Json => "json",
    };
    // `validate` refuses other names; if one came here, its file would still be in the folder
    let stem = match is_name(name) {
        true => name.to_owned(),
        false => sha256_hex(name.as_bytes()),
    };
    Destination::File(FileDestination { path: folder.join(format!("{stem}.{extension}")), format })
}

/// The one `*.world.yaml` in the spec folder, or beside the spec file.
fn beside(spec: &Path) -> Result<Option<PathBuf>, Failure> {
    let folder = if spec.is_dir() { spec } else { spec.parent().unwrap_or(Path::new("")) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries =
        std::fs::read_dir(folder).map_err(|error| failed(&format!("{}: {error}", folder.display())))?;
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(".world.yaml"));
    let mut worlds: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named).collect();
    worlds.sort();
    match worlds.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let list: Vec<_> = several.iter().map(|p| p.display().to_string()).collect();
            let message = format!("several worlds to choose from: {}", list.join(", "));
            Err(Failure::usage(message, "Name one: --sandbox=WORLD"))
        }
    }
}

/// The kept world, else the source, else an empty one; with every connection of the spec in it.
fn load(source: Option<&Path>, folder: &Path, desired: &Desired, output: &Output) -> Result<World, Failure> {
    let kept = folder.join(WORLD);
    let origin = folder.join("world.origin");
    let written = source.map(read_file).transpose()?;
    let mark = written.as_deref().map(sha256_hex).unwrap_or_default();
    let mut world = if kept.exists() {
        if std::fs::read_to_string(&origin).unwrap_or_default() != mark {
            output.say(&format!(
                "The sandbox goes on with its kept world, though another file describes it now. To start afresh, remove {}.",
                folder.display()
            ));
        }
        let world = parse(&read_file(&kept)?, &kept)?;
        World { ahead: world.ahead.max(moved(folder)), ..world }
    } else {
        absent(&folder.join(CLOCK))?;
        write(&origin, mark.as_bytes())?;
        match (&written, source) {
            (Some(bytes), Some(path)) => parse(bytes, path)?,
            _ => World::default(),
        }
    };
    std::fs::create_dir_all(folder.join("destinations")).map_err(|error| failed(&error.to_string()))?;
    for address in desired.ibm.keys() {
        world.ibm.entry(address.connection_name().to_owned()).or_default();
    }
    for address in desired.logicmonitor.keys() {
        world.logicmonitor.entry(address.connection_name().to_owned()).or_default();
    }
    Ok(world)
}

/// Takes the world's lock, or says that it is in use.
fn exclusive(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("world.lock");
    let told = |error: io::Error| failed(&format!("{}: {error}", path.display()));
    let file = File::options().create(true).append(true).open(&path).map_err(told)?;
    match file.try_lock() {
        // drafts that killed runs have left
        Ok(()) => [WORLD, CLOCK]
            .iter()
            .try_for_each(|name| atomic::sweep(&folder.join(name)))
            .map_err(told)
            .map(|()| file),
        Err(TryLockError::Error(error)) => Err(told(error)),
        Err(TryLockError::WouldBlock) => {
            let message = format!("the sandbox's world in {} is in use by another run", folder.display());
            let finding = Finding::new(code::STATE_HELD, message);
            Err(Failure::new(Exit::Locked, finding.help("Wait for it to end, or use another `--state`.")))
        }
    }
}

/// How far a run that was killed had moved the clock.
fn moved(folder: &Path) -> Period {
    let text = std::fs::read_to_string(folder.join(CLOCK)).unwrap_or_default();
    text.trim().parse().unwrap_or(Period::seconds(0))
}

fn absent(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(&format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<World, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| failed(&format!("{}: not UTF-8", path.display())))?;
    World::from_yaml(text).map_err(|error| failed(&format!("{}: {error}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    atomic::replace(path, bytes).map_err(|error| failed(&format!("{}: {error}", path.display())))
}

fn failed(message: &str) -> Failure {
    let finding = Finding::new(code::SANDBOX, message.to_owned())
        .help("See `tokenform sandbox --help` for what a world holds.");
    Failure::new(Exit::Error, finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirected_destination_is_a_file_of_the_folder_whatever_its_name() {
        let folder = Path::new("/s/destinations");
        let command = Destination::Command(crate::destination::CommandDestination {
            run: vec!["x".into()],
            probe: None,
            timeout: None,
        });
        for name in ["ops.env", "../../evil", "/tmp/abs", "..", ".x", "a/b", ""] {
            let Destination::File(file) = redirected(folder, name, &command) else { panic!() };
            assert_eq!(file.path.parent(), Some(folder), "{name}");
            assert_eq!(file.path.extension().unwrap(), "env");
        }
    }
}
