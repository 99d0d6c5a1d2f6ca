//! `--sandbox`: the in-process double of the vendors that a command runs against instead.
//!
//! No real credential is resolved, no command is run, and every destination becomes a file under
//! the sandbox's own state. The world is kept there, so that plan → apply → plan converges.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::session::{clock_offset, read_file};
use crate::destination::{Destination, FileDestination, FileFormat, is_name};
use crate::env::{Clock, Env};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::sha256_hex;
use crate::model::vocabulary::SecretRef;
use crate::plan::document::Plan;
use crate::provider::ibm::state::{Credential as IbmCredential, Endpoints, TrustedProfile};
use crate::provider::logicmonitor::state::{Credential as LmCredential, Lmv1};
use crate::provider::state::Desired;
use crate::sandbox::{self, Options, Running, World};
use crate::state::atomic;

/// A running sandbox and where its world is kept.
pub struct SandboxTarget {
    running: Running,
    folder: PathBuf,
    clock: Clock,
    /// What a rehearsal adds to the clock; not kept.
    offset: std::time::Duration,
    /// Variables that hold the credentials which the sandbox issued.
    vars: BTreeMap<String, String>,
}

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
        let world = load(source.as_deref(), folder, desired, output)?;
        let clock = Clock::simulated(world.clock);
        clock.advance(world.ahead.as_duration());
        let offset = clock_offset(env)?.map_or(std::time::Duration::ZERO, |p| p.as_duration());
        clock.advance(offset);
        let env = Env { clock: clock.clone(), ..env.clone() };
        let running =
            sandbox::start(world, env, Options::default()).map_err(|error| failed(&error.to_string()))?;
        let mut target = Self { running, folder: folder.to_path_buf(), clock, offset, vars: BTreeMap::new() };
        target.issue(desired)?;
        Ok(target)
    }

    /// The clock of the world and the credentials that the sandbox issued.
    pub fn env(&self, env: &Env) -> Env {
        Env { clock: self.clock.clone(), dice: env.dice.clone(), vars: env.vars.with(self.vars.clone()) }
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
        let mut world = self.running.world();
        let ahead = world.ahead.as_secs().saturating_sub(self.offset.as_secs());
        world.ahead = crate::model::vocabulary::Period::seconds(ahead);
        let text = world.to_yaml().map_err(|error| failed(&error.to_string()))?;
        write(&self.kept(), text.as_bytes())?;
        self.append_tape()
    }

    /// The requests of this run, a JSON object on each line, behind those of earlier runs.
    fn append_tape(&self) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for entry in self.running.tape() {
            serde_json::to_writer(&mut lines, &entry).expect("a tape is strings and numbers");
            lines.push(b'\n');
        }
        let path = self.folder.join("tape.jsonl");
        let file = std::fs::File::options().create(true).append(true).open(&path);
        let appended = file.and_then(|mut file| file.write_all(&lines));
        appended.map_err(|error| failed(&format!("{}: {error}", path.display())))
    }

    fn kept(&self) -> PathBuf {
        self.folder.join("world.yaml")
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
        let folder = self.folder.join("destinations");
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
    let kept = folder.join("world.yaml");
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
        parse(&read_file(&kept)?, &kept)?
    } else {
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
