//! One case's own world: the vendors in this process, the spec in a folder, and runs of the program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokenform::env::Env;
use tokenform::sandbox::faults::Fault;
use tokenform::sandbox::{self, Effect, Options, Running, TapeEntry, World};

use crate::child::{ORDERS, Orders, Stop};
use crate::estate::Estate;

const STORE: &str = include_str!("store.sh");

/// A run that takes longer than this hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// The vendors, the spec and what runs have left behind.
pub struct Place {
    pub estate: &'static Estate,
    folder: tempfile::TempDir,
    server: Running,
    watch: Arc<Mutex<Watch>>,
    /// The vendors before the first run.
    pub before: Value,
    runs: usize,
}

/// Whom the vendors kill, when they have done what was asked and not answered yet.
#[derive(Default)]
struct Watch {
    victim: Option<Pid>,
    /// Changes of the world so far, and the one that is the victim's last.
    changes: usize,
    last: Option<usize>,
}

/// How a run of the program ended.
pub struct Ran {
    status: ExitStatus,
    /// It was ended by the matrix after a long time.
    pub hung: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw()) && !self.hung
    }

    /// It had no chance to say anything about itself.
    pub fn crashed(&self) -> bool {
        self.was_killed() || self.code() == Some(101)
    }

    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl Place {
    /// The world of an estate with these faults. With `last` the vendors kill the program when
    /// they have made their change of that number.
    pub fn new(estate: &'static Estate, faults: Vec<Fault>, last: Option<usize>) -> Self {
        let mut world = World::from_yaml(estate.world).expect("the world of the matrices reads");
        world.faults = faults;
        let watch = Arc::new(Mutex::new(Watch { last, ..Watch::default() }));
        let told = Arc::clone(&watch);
        let options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            on_change: Some(Arc::new(move |kept| {
                if kept.world.is_some() {
                    lock(&told).changed()
                }
            })),
        };
        let server = sandbox::start(world, Env::system(), options).expect("the vendors start");
        let folder = scratch();
        let place = |inner: &str| folder.path().join(inner);
        for inner in ["spec", "held", "runs"] {
            fs::create_dir(place(inner)).expect("a folder");
        }
        fs::write(place("spec/tokens.yaml"), estate.spec.replace("ORIGIN", &server.origin()))
            .expect("the spec");
        fs::write(place("store.sh"), STORE).expect("the delivering program");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(place("store.sh"), executable).expect("the delivering program's mode");
        let before = world_of(&server);
        Self { estate, folder, server, watch, before, runs: 0 }
    }

    pub fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join(inner)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Whether an apply has left its journal.
    pub fn is_unfinished(&self) -> bool {
        self.path("spec/.tokenform/journal/current.jsonl").exists()
    }

    /// Runs the program to its end, whichever that is.
    pub fn run(&mut self, args: &[&str], stop: Stop, deadline: Duration, points: Option<PathBuf>) -> Ran {
        self.runs += 1;
        let out = self.path(&format!("runs/{}.stdout", self.runs));
        let err = self.path(&format!("runs/{}.stderr", self.runs));
        let orders = Orders {
            now: self.server.clock().now(),
            vendors: self.server.origin().trim_start_matches("http://").to_owned(),
            deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            stop,
            points,
        };
        let mut command = Command::new(std::env::current_exe().expect("this program's path"));
        command.args(args).current_dir(self.root()).env_clear();
        command.envs([("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("USER", "matrix")]);
        command.envs(self.credentials());
        command.env(ORDERS, serde_json::to_string(&orders).expect("orders are JSON"));
        command.stdin(Stdio::null());
        command.stdout(File::create(&out).expect("a file")).stderr(File::create(&err).expect("a file"));
        let (status, hung) = self.wait(&mut command);
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned();
        Ran { status, hung, stdout: read(&out), stderr: read(&err) }
    }

    #[expect(clippy::disallowed_methods, reason = "the process that may hang lives in real time")]
    fn wait(&self, command: &mut Command) -> (ExitStatus, bool) {
        let mut child = {
            // the vendors must know whom to kill before they are asked anything
            let mut watch = lock(&self.watch);
            let child = command.spawn().expect("the program starts");
            watch.victim = Some(Pid::from_child(&child));
            child
        };
        let end = Instant::now() + LONGEST;
        let ended = loop {
            match child.try_wait().expect("a child can be waited for") {
                Some(status) => break (status, false),
                None if Instant::now() > end => break (ended_by_us(&mut child), true),
                None => std::thread::sleep(Duration::from_millis(3)),
            }
        };
        lock(&self.watch).victim = None;
        ended
    }

    /// What the vendors issued to the program, as variables.
    fn credentials(&self) -> BTreeMap<String, String> {
        let mut vars = BTreeMap::new();
        for (vendor, connection) in [("ibm", "prod"), ("logicmonitor", "acme")] {
            let Some(issued) = self.server.credential(vendor, connection) else { continue };
            for (what, value) in issued.values() {
                let name = format!("SANDBOX_{vendor}_{connection}_{what}").to_ascii_uppercase();
                vars.insert(name, value.to_owned());
            }
        }
        vars
    }

    /// The vendors as they are, secrets included.
    pub fn world(&self) -> Value {
        world_of(&self.server)
    }

    pub fn tape(&self) -> Vec<TapeEntry> {
        self.server.tape()
    }

    /// How often the vendors have written something down: their state, or a number they gave.
    pub fn changes(&self) -> usize {
        lock(&self.watch).changes
    }

    /// How many requests had an effect.
    pub fn effects(&self) -> usize {
        self.tape().iter().filter(|entry| entry.effect != Effect::None).count()
    }

    pub fn lift_faults(&self) {
        self.server.lift_faults();
    }

    /// Keeps the folder for people to look at, and says where.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

impl Watch {
    fn changed(&mut self) {
        self.changes += 1;
        if self.last == Some(self.changes)
            && let Some(victim) = self.victim
        {
            kill_process(victim, Signal::KILL).expect("the program can be killed");
        }
    }
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended_by_us(child: &mut Child) -> ExitStatus {
    child.kill().expect("the program can be killed");
    child.wait().expect("a child can be waited for")
}

fn world_of(server: &Running) -> Value {
    serde_json::to_value(server.world()).expect("a world is JSON")
}

/// In memory where that is possible: every run syncs its journal some sixty times.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = tempfile::Builder::new().prefix("tokenform-matrix-").tempdir_in(memory);
    made.or_else(|_| tempfile::tempdir()).expect("a folder for a case")
}
