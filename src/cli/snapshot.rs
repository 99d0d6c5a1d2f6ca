//! `tokenform snapshot`: live state as a file without secrets, and `plan --live FILE`, which plans from it.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;

use super::exit::{Exit, Failure};
use super::levers::Levers;
use super::output::Output;
use super::parallelism::Parallelism;
use super::plan::{in_flight, requests};
use super::session::{self, Session, bad_file};
use super::{Global, out};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::{DigestKey, sha256_hex};
use crate::model::source::Sources;
use crate::model::vocabulary::Period;
use crate::plan::document::Source;
use crate::plan::{Inputs, Planned, plan};
use crate::provider::registry;
use crate::saved::snapshot::{self, SnapshotError};
use crate::{saved, spec};

/// Write live state to a file without any secret, to plan from offline: `plan --live FILE`
///
/// It holds what the spec's connections show of the declared objects, and what the ledger remembers of
/// them; keys and tokens stand in it as keyed fingerprints alone. Plans from one file are the same
/// everywhere and at any time, so a repository of policies can test specs against a known estate.
#[derive(Args)]
pub struct Snapshot {
    /// The spec: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// The file to write (mode 0600); standard output without it. A snapshot that is there is replaced, any
    /// other file is not
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    parallelism: Parallelism,
}

pub fn run(command: &Snapshot, global: &Global, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    if let Some(out) = &command.out {
        out::refuse_for_snapshot(out, &session::base_folder(global, &command.path))?;
    }
    let session = Session::open(global, &command.path, env, output)?;
    let ended = taken(command, global, &session, output);
    let kept = session.keep_world();
    ended.and_then(|exit| kept.map(|()| exit))
}

fn taken(
    command: &Snapshot,
    global: &Global,
    session: &Session,
    output: &Rc<Output>,
) -> Result<Exit, Failure> {
    output.findings(in_flight(session)?.as_slice(), &Sources::default());
    let reader = session.reader(output);
    command.parallelism.bound(&reader);
    let now = session.env.clock.now();
    let read = session.block_on(session.read(&reader, output));
    if global.verbose > 0 {
        output.say(&requests(&reader));
    }
    let bytes = snapshot::write(&read, &session.history, now, session.target(), &session.key)
        .map_err(|findings| Failure { exit: Exit::Error, findings, sources: Sources::default() })?;
    match &command.out {
        None => output.data(&bytes),
        Some(path) => {
            saved::write(path, &bytes).map_err(|error| bad_file(path, &error))?;
            output.say(&format!("Saved the snapshot (sha256 {}).", sha256_hex(&bytes)));
        }
    }
    Ok(Exit::Done)
}

/// A plan from a snapshot: without network, state, clock or credentials.
pub struct Offline {
    pub planned: Planned,
    /// Drawn from the file, so that the plan's bytes are the same everywhere.
    pub key: DigestKey,
}

/// What `plan --live` is asked for.
pub struct Asked<'a> {
    pub live: &'a Path,
    pub path: &'a Path,
    /// As the command line has it, which `levers` judge.
    pub given: &'a Path,
    pub levers: &'a Levers,
    pub limit: &'a [String],
    pub expires: Period,
    /// The plan is saved or goes to a program.
    pub kept: bool,
}

/// Plans from a snapshot. "Now" is when it was taken.
pub fn planned(asked: &Asked<'_>, output: &Output) -> Result<Offline, Failure> {
    let bytes = session::read_file(asked.live)?;
    let mut still = snapshot::parse(&bytes).map_err(|error| named(asked.live, &error))?;
    let loaded = spec::load(asked.path, still.taken_at)?;
    output.findings(&loaded.findings, &loaded.sources);
    let mut desired = loaded.desired;
    session::raise_limits(&mut desired, asked.limit)?;
    let levers = asked.levers.asked(asked.given, &desired)?;
    let mut live = still.snapshot();
    live.left_out = desired.connections().filter(|at| !levers.reaches(at)).cloned().collect();
    let lacks = registry::fit(&desired, &mut live);
    if !lacks.is_empty() {
        let findings = lacks.iter().map(|(address, why)| other_spec(asked.live, address, why)).collect();
        return Err(Failure { exit: Exit::Error, findings, sources: Sources::default() });
    }
    let key = snapshot::key(&bytes);
    let planned = plan(&Inputs {
        desired: &desired,
        snapshot: &live,
        history: &still.history,
        key: &key,
        now: still.taken_at,
        by: None,
        expires: asked.expires,
        target: still.target,
        source: Source::Snapshot,
        spec_path: asked.path.to_path_buf(),
        spec_digest: saved::spec_digest(&loaded.written, &key),
        ledger: asked.live.to_path_buf(),
        asked: &levers,
        unattended: false,
        kept: asked.kept,
    });
    Ok(Offline { planned, key })
}

fn named(file: &Path, error: &SnapshotError) -> Failure {
    let finding = error.finding();
    let message = format!("{}: {}", file.display(), finding.message);
    Failure::new(Exit::Error, Finding { message, ..finding })
}

fn other_spec(file: &Path, address: &Address, why: &str) -> Finding {
    let message = format!("the snapshot {} was taken for another spec: {why}", file.display());
    Finding::new(code::SNAPSHOT_OTHER, message).at(address)
}
