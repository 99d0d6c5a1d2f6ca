//! A spec in a folder of its own and the program that runs on it.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What every minted secret of the sandbox holds.
pub const CANARY: &str = "tfcanary";

/// A folder with a copy of an example.
pub struct Place {
    folder: tempfile::TempDir,
}

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Both streams, for tests of what is said at all.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(
            self.all().contains(words),
            "`{words}` is not in\nstdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Place {
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A copy of `examples/NAME`, at the same relative path.
    pub fn example(name: &str) -> Self {
        let place = Self::empty();
        copy(&repository().join("examples").join(name), &place.path(&format!("examples/{name}")));
        place
    }

    /// A copy of all examples.
    pub fn examples() -> Self {
        let place = Self::empty();
        copy(&repository().join("examples"), &place.path("examples"));
        place
    }

    pub fn path(&self, inner: &str) -> PathBuf {
        self.folder.path().join(inner)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, inner: &str, text: &str) {
        let path = self.path(inner);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, inner: &str) -> String {
        fs::read_to_string(self.path(inner)).unwrap_or_else(|error| panic!("{inner}: {error}"))
    }

    /// The program, in this folder, without a terminal and without the caller's variables.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenform"));
        command.args(args).current_dir(self.root()).stdin(Stdio::null()).env_clear().env("LANG", "C.UTF-8");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// The program with a terminal on its standard input, at which `answer` is typed.
    pub fn run_at_terminal(&self, args: &[&str], answer: &str) -> Ran {
        let (mut terminal, mut command) = self.command_at_terminal(args);
        terminal.write_all(answer.as_bytes()).unwrap();
        command.output().unwrap().into()
    }

    /// The program with a terminal on its standard input, and where somebody types into that.
    pub fn command_at_terminal(&self, args: &[&str]) -> (File, Command) {
        let (master, slave) = terminal();
        let mut command = self.command(args);
        command.stdin(Stdio::from(slave));
        (File::from(master), command)
    }

    /// The tape of the sandbox whose state is in `inner`.
    pub fn tape(&self, inner: &str) -> Vec<serde_json::Value> {
        self.read(inner).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every file below the folder that holds a minted secret, as relative paths.
    pub fn files_with_canary(&self) -> Vec<String> {
        let mut hits = Vec::new();
        visit(self.root(), &mut |path| {
            let bytes = fs::read(path).unwrap();
            if bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()) {
                hits.push(path.strip_prefix(self.root()).unwrap().display().to_string());
            }
        });
        hits.sort();
        hits
    }
}

fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (master, slave.into())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        // State that a run in the work tree may have left.
        if name.to_string_lossy().starts_with(".tokenform") {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, each);
        } else {
            each(&path);
        }
    }
}
