//! What commands that talk to vendors stand on: spec, state, key, and the target they talk to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;

use super::Global;
use super::exit::Failure;
use super::interrupts::{Caught, Interrupts, no_signals};
use super::log::Log;
use super::output::Output;
use super::world::SandboxTarget;
use crate::env::{Clock, Env};
use crate::http::{Reader, Why, on_this_machine};
use crate::model::approval::Approval;
use crate::model::asked::Asked;
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::history::History;
use crate::model::secret::{Digest, DigestKey};
use crate::model::vocabulary::{Period, Target};
use crate::plan::document::{Plan, PlanFinding, Source};
use crate::plan::{self, Inputs, Planned};
use crate::provider::registry;
use crate::provider::state::{Desired, Snapshot};
use crate::review::windows;
use crate::state::{StateDir, StateError, who};
use crate::{saved, spec};

/// A spec and the target it is for.
pub struct Session {
    pub env: Env,
    pub desired: Desired,
    pub spec_path: PathBuf,
    pub spec_digest: Digest,
    /// The levers of this run.
    pub asked: Asked,
    /// Of the plan file that is applied.
    pub approvals: Vec<Approval>,
    pub state: StateDir,
    pub key: DigestKey,
    pub history: History,
    /// Where the ledger is or would be, for people.
    ledger: PathBuf,
    pub sandbox: Option<SandboxTarget>,
    log: Log,
    /// The connections of a reader live on one runtime.
    runtime: Runtime,
    /// Where they are caught since the program began.
    interrupts: Option<io::Result<Interrupts>>,
}

impl Session {
    /// Loads the spec and opens the state. Sends nothing, except that the sandbox is started.
    pub fn open(global: &Global, path: &Path, env: Env, output: &Output) -> Result<Self, Failure> {
        let (runtime, interrupts) = match output.take_caught() {
            Some(Caught { runtime, interrupts }) => (runtime, Some(interrupts)),
            None => (super::runtime(), None),
        };
        let loaded = load_spec(path, rehearsed(&env)?)?;
        output.findings(&loaded.findings, &loaded.sources);
        let state = StateDir::open(&state_folder(global, path))?.watched(env.points.clone());
        let key = state.key(&env)?;
        let spec_digest = saved::spec_digest(&loaded.written, &key);
        let (env, desired, sandbox) = match &global.sandbox {
            None => (rehearsal(env, &loaded.desired)?, loaded.desired, None),
            Some(world) => {
                let target = SandboxTarget::start(
                    world.as_deref(),
                    path,
                    state.path(),
                    &loaded.desired,
                    &env,
                    output,
                )?;
                (target.env(&env), target.redirect(loaded.desired), Some(target))
            }
        };
        let (history, findings) = state.history()?;
        output.findings(&findings, &crate::model::source::Sources::default());
        let ledger = state.ledger_path();
        let spec_path = path.to_path_buf();
        let asked = Asked::default();
        Ok(Self {
            env,
            desired,
            spec_path,
            spec_digest,
            asked,
            approvals: Vec::new(),
            state,
            key,
            history,
            ledger,
            sandbox,
            log: global.log,
            runtime,
            interrupts,
        })
    }

    /// Interrupts, from now on at the latest.
    pub fn interrupts(&mut self) -> Result<Interrupts, Failure> {
        let caught = self.interrupts.take().unwrap_or_else(|| self.block_on(async { Interrupts::catch() }));
        caught.map_err(|error| no_signals(&error))
    }

    /// Runs a future on this thread.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn target(&self) -> Target {
        match self.sandbox {
            None => Target::Live,
            Some(_) => Target::Sandbox,
        }
    }

    /// The power to look, whose waits are shown.
    pub fn reader(&self, output: &std::rc::Rc<Output>) -> Reader {
        let reader = Reader::new(self.env.clone());
        let screen = std::rc::Rc::clone(output);
        reader.on_reply(Box::new(move |traffic| screen.traffic(traffic)));
        self.log.follow(&reader, &self.env, output);
        let (output, env, log) = (std::rc::Rc::clone(output), self.env.clone(), self.log);
        reader.on_wait(Box::new(move |wait| {
            log.wait(&wait, &env, &output);
            let why = format!("{} ({})", wait.purpose, why(wait.why));
            let seconds = u64::try_from(wait.time.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
            output.event(&Event::Waiting { address: wait.object, why, seconds });
        }));
        reader
    }

    /// Reads live state, everything that was asked for at once.
    pub async fn read(&self, reader: &Reader, output: &Output) -> Snapshot {
        for connection in self.desired.connections().filter(|at| self.asked.reaches(at)) {
            output.event(&Event::Reading { what: connection.to_string() });
        }
        registry::read(reader, &self.desired, &self.key, &self.asked, &self.history).await
    }

    /// Plans from what was read.
    pub fn plan(&self, snapshot: &Snapshot, expires: Period, unattended: bool) -> Planned {
        self.plan_as(snapshot, expires, unattended, true)
    }

    /// A plan that is read and not saved.
    pub fn plan_to_read(&self, snapshot: &Snapshot, expires: Period, unattended: bool) -> Planned {
        self.plan_as(snapshot, expires, unattended, false)
    }

    fn plan_as(&self, snapshot: &Snapshot, expires: Period, unattended: bool, kept: bool) -> Planned {
        let mut planned = plan::plan(&Inputs {
            desired: &self.desired,
            snapshot,
            history: &self.history,
            key: &self.key,
            now: self.env.clock.now(),
            by: Some(who(&self.env)).filter(|who| !who.is_unknown()),
            expires,
            target: self.target(),
            source: Source::Live,
            spec_path: self.spec_path.clone(),
            spec_digest: self.spec_digest.clone(),
            ledger: self.ledger.clone(),
            asked: &self.asked,
            unattended,
            kept,
        });
        planned.findings.iter_mut().for_each(|finding| self.point_to_the_line(finding));
        planned.plan.findings.extend(self.not_now(&planned.plan).as_ref().map(PlanFinding::from));
        planned
    }

    /// What was renamed is told with the line of the spec that has to change.
    fn point_to_the_line(&self, finding: &mut Finding) {
        let Some(address) = finding.address.as_ref().filter(|_| finding.code == code::PLAN_RENAMED) else {
            return;
        };
        if let (Some(place), Some(help)) = (spec::place_of(&self.spec_path, address), &mut finding.help) {
            *help = format!("{place}: {help}");
        }
    }

    /// What a plan tells that could not be applied now.
    fn not_now(&self, plan: &Plan) -> Option<Finding> {
        let warning = windows::warning(&self.desired.changes, &plan.asked, plan.created_at);
        warning.filter(|_| !plan.steps.is_empty())
    }

    /// Keeps the sandbox's world for the next run.
    pub fn keep_world(&self) -> Result<(), Failure> {
        self.sandbox.as_ref().map_or(Ok(()), SandboxTarget::keep)
    }

    /// Reads the ledger again, after an apply has written to it.
    pub fn refresh(&mut self) -> Result<(), StateError> {
        self.history = self.state.history()?.0;
        Ok(())
    }
}

/// Loads a spec. A plan file in its place is told as what it is.
pub fn load_spec(path: &Path, now: Timestamp) -> Result<spec::Loaded, Failure> {
    spec::load(path, now).map_err(|rejected| {
        let plan = path.is_file() && std::fs::read(path).is_ok_and(|bytes| saved::is_plan(&bytes));
        match plan {
            false => rejected.into(),
            true => Failure::usage(
                format!("{} is a plan file, and a spec is asked for", path.display()),
                "To read it: tokenform show PLANFILE. To run it: tokenform apply PLANFILE.",
            ),
        }
    })
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Throttled => "the vendor's rate limit",
        Why::Outage => "no usable answer yet",
        Why::Pacing => "keeping below the rate limit",
    }
}

/// The state folder's own place: given, or `.tokenform` beside the spec.
pub fn base_folder(global: &Global, path: &Path) -> PathBuf {
    global.state.clone().unwrap_or_else(|| default_state(path))
}

/// The state folder in use: a sandbox has its own inside.
pub fn state_folder(global: &Global, path: &Path) -> PathBuf {
    let base = base_folder(global, path);
    match global.sandbox {
        None => base,
        Some(_) => base.join("sandbox"),
    }
}

/// `.tokenform` beside the spec file, or inside the spec folder.
fn default_state(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    folder.join(".tokenform")
}

/// `TOKENFORM_CLOCK_OFFSET` moves the clock for rehearsals, where every endpoint is loopback.
fn rehearsal(env: Env, desired: &Desired) -> Result<Env, Failure> {
    let Some(offset) = clock_offset(&env)? else { return Ok(env) };
    if !all_loopback(desired) {
        let message = "TOKENFORM_CLOCK_OFFSET is set, but an endpoint of the spec is not on this machine";
        return Err(Failure::usage(
            message,
            "Unset it: the clock can be moved only where every endpoint is loopback.",
        ));
    }
    let seconds = i64::try_from(offset.as_secs()).unwrap_or(i64::MAX);
    Ok(Env { clock: Clock::System { offset: SignedDuration::from_secs(seconds) }, ..env })
}

/// Now, on the clock of a rehearsal: a spec that states what happened in it is not ahead of its time.
fn rehearsed(env: &Env) -> Result<Timestamp, Failure> {
    let offset = clock_offset(env)?.map_or(Duration::ZERO, Period::as_duration);
    let now = env.clock.now();
    Ok(now.checked_add(offset).unwrap_or(now))
}

/// The offset that rehearsals ask for.
pub fn clock_offset(env: &Env) -> Result<Option<Period>, Failure> {
    let Some(text) = env.vars.get("TOKENFORM_CLOCK_OFFSET").filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(period) => Ok(Some(period)),
        Err(error) => {
            Err(Failure::usage(format!("TOKENFORM_CLOCK_OFFSET: {error}"), "Write for example 25h."))
        }
    }
}

fn all_loopback(desired: &Desired) -> bool {
    desired.origins().iter().all(|origin| on_this_machine(origin))
}

/// Reads a file whole.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| bad_file(path, &error))
}

/// A file that can't be read or written.
pub fn bad_file(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()), "Check the path and its permissions.")
}

/// Limits from `--limit NAME=COUNT`, laid over those of the spec.
pub fn raise_limits(desired: &mut Desired, given: &[String]) -> Result<(), Failure> {
    let mut limits: BTreeMap<&str, &mut u32> = BTreeMap::from([
        ("rotate", &mut desired.limits.rotate),
        ("enable", &mut desired.limits.enable),
        ("disable", &mut desired.limits.disable),
        ("delete", &mut desired.limits.delete),
        ("lock", &mut desired.limits.lock),
        ("percent", &mut desired.limits.percent),
    ]);
    for text in given {
        let parsed = text.split_once('=').and_then(|(name, count)| Some((name, count.parse().ok()?)));
        let slot = parsed.and_then(|(name, count)| limits.get_mut(name).map(|slot| (slot, count)));
        let Some((slot, count)) = slot else {
            let help = "Write NAME=COUNT, with a name of: rotate, enable, disable, delete, lock, percent.";
            return Err(Failure::usage(format!("`--limit {text}` is not a limit"), help));
        };
        **slot = count;
    }
    Ok(())
}
