//! `tokenform apply`: runs a plan that was reviewed, in its order, and proves the result.

mod approve;
mod proof;
pub mod resume;
mod reviewed;
mod settle;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::proof::Proof;
use self::reviewed::Reviewed;
use super::approvals::Approvals;
use super::exit::{Exit, Failure};
use super::format::ListFormat;
use super::interrupts::Interrupts;
use super::levers::Levers;
use super::output::Output;
use super::parallelism::Parallelism;
use super::plan::{requests, usable};
use super::policies::Policies;
use super::session::Session;
use super::{Global, line};
use crate::apply::{self, Applied, ApplyError, Ground, Stop};
use crate::env::Env;
use crate::http::Reader;
use crate::model::asked::Asked;
use crate::model::event::Event;
use crate::model::outcome::{Line, Outcome};
use crate::model::source::Sources;
use crate::plan::EXPIRES;
use crate::plan::check::Admitted;
use crate::plan::document::Plan;
use crate::provider::state::Snapshot;
use crate::state::{Holder, StateError};
use crate::{saved, state};

/// Plan, ask, and carry it out; or carry out a saved plan
///
/// Given a spec, it plans, shows the plan and asks for the exact word `yes`. Given a plan file, it
/// runs exactly that plan, without a prompt, or refuses: when the file was edited, when the spec or
/// live state moved, or when it expired. Every end prints what was done, what failed and what is in
/// doubt. An interrupt lets the step that runs come to its end, and begins no other.
#[derive(Args)]
pub struct Apply {
    /// The spec (a file or a folder), or a plan file written by `plan -o`
    #[arg(default_value = ".", value_name = "PATH|PLANFILE")]
    path: PathBuf,

    /// Don't ask: apply the fresh plan at once. A plan file is not asked about anyway
    #[arg(long)]
    auto_approve: bool,

    /// Accept resets that are due only because a state without a ledger knows no ages. A plan file
    /// was reviewed, so it needs no such word
    #[arg(long)]
    new_state: bool,

    /// The spec of a plan file, where it is not where it was planned from
    #[arg(long, value_name = "PATH")]
    spec: Option<PathBuf>,

    /// What a guided reset does without a terminal: refuse, or wait for the person all the same
    #[arg(long, value_enum, default_value = "refuse", value_name = "HOW")]
    guided: Guided,

    /// How standard output tells what happens: for people, or as events, one JSON object on each line,
    /// which always end in one `outcome`
    #[arg(long, value_enum, default_value = "text")]
    pub format: ListFormat,

    #[command(flatten)]
    approvals: Approvals,

    #[command(flatten)]
    policies: Policies,

    #[command(flatten)]
    levers: Levers,

    #[command(flatten)]
    parallelism: Parallelism,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Guided {
    Refuse,
    Wait,
}

/// A plan that may run, and the bytes that the journal keeps of it.
struct Approved {
    plan: Admitted,
    sealed: Vec<u8>,
}

/// One run of the command.
struct Job<'a> {
    command: &'a Apply,
    path: &'a Path,
    global: &'a Global,
    output: &'a Rc<Output>,
    /// One for the whole run: what it learns of rate limits holds for the proof as well.
    reader: Reader,
    interrupts: Interrupts,
}

impl Apply {
    /// An apply of what another command asks for.
    pub fn of(path: &Path, auto_approve: bool, guided: Guided, policies: Policies) -> Self {
        Self {
            path: path.to_path_buf(),
            auto_approve,
            new_state: false,
            spec: None,
            guided,
            format: ListFormat::Text,
            approvals: Approvals::default(),
            policies,
            levers: Levers::default(),
            parallelism: Parallelism::default(),
        }
    }
}

pub fn run(command: &Apply, global: &Global, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    run_asked(command, global, env, output, |session| command.levers.asked(&command.path, &session.desired))
}

/// The same, of what `ask` asks for where no plan file says it.
pub fn run_asked(
    command: &Apply,
    global: &Global,
    env: Env,
    output: &Rc<Output>,
    ask: impl FnOnce(&Session) -> Result<Asked, Failure>,
) -> Result<Exit, Failure> {
    let path = command.levers.path(&command.path);
    let file = reviewed::plan_file(path)?;
    approve::possible(command, global, file.is_some())?;
    let reviewed = match file {
        Some(sealed) => {
            command.levers.refuse_beside_a_plan()?;
            Some(reviewed::open(sealed, command.spec.as_deref(), global, &env)?)
        }
        None => no_other_spec(command, path).map(|()| None)?,
    };
    let spec = reviewed.as_ref().map_or(path, |reviewed| reviewed.spec.as_path()).to_owned();
    locked(command, &spec, global, env, output, |session, job| {
        session.asked = match &reviewed {
            Some(reviewed) => {
                command.policies.judge(&reviewed.sealed, output)?;
                session.approvals = reviewed.approvals(command, path, session)?;
                reviewed.asked().clone()
            }
            None => ask(session)?,
        };
        match settle::settle(session, job, reviewed.as_ref())? {
            Some(exit) => Ok(exit),
            None => job.go(session, reviewed),
        }
    })
}

/// Runs a job on a spec's state, whose lock it holds meanwhile.
fn locked(
    command: &Apply,
    spec: &Path,
    global: &Global,
    env: Env,
    output: &Rc<Output>,
    work: impl FnOnce(&mut Session, &Job<'_>) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let holder = Holder::this(&env, &line::this_run());
    let mut session = Session::open(global, spec, env, output)?;
    let _lock = session.state.lock(&holder)?;
    let interrupts = session.interrupts()?;
    let path = command.levers.path(&command.path);
    let job = Job { command, path, global, output, reader: session.reader(output), interrupts };
    command.parallelism.bound(&job.reader);
    let ended = work(&mut session, &job);
    if global.verbose > 0 {
        output.say(&requests(&job.reader));
    }
    let kept = session.keep_world();
    ended.and_then(|exit| kept.map(|()| exit))
}

/// `--spec` belongs to a plan file.
fn no_other_spec(command: &Apply, path: &Path) -> Result<(), Failure> {
    match &command.spec {
        None => Ok(()),
        Some(_) => Err(Failure::usage(
            format!("--spec goes with a plan file, and {} is a spec", path.display()),
            "Name one spec: tokenform apply PATH.",
        )),
    }
}

impl Job<'_> {
    fn go(&self, session: &mut Session, reviewed: Option<Reviewed>) -> Result<Exit, Failure> {
        let approved = match reviewed {
            Some(reviewed) => reviewed::approved(reviewed, session, self)?,
            None => match self.fresh(session)? {
                Some(approved) => approved,
                None => return Ok(Exit::Done),
            },
        };
        approve::guided(self.command, self.global, session, approved.plan.plan())?;
        self.carry_out(&approved.plan, &approved.sealed, session)
    }

    /// Reads everything; an interrupt ends it.
    fn read(&self, session: &Session) -> Result<Snapshot, Failure> {
        session.block_on(self.interrupts.end(session.read(&self.reader, self.output)))
    }

    /// Waits by the clock; an interrupt ends it.
    fn wait(&self, session: &Session, time: Duration) -> Result<(), Failure> {
        session.block_on(self.interrupts.end(session.env.clock.sleep(time)))
    }

    /// A fresh plan, shown and approved. `None`: there is nothing to do.
    fn fresh(&self, session: &Session) -> Result<Option<Approved>, Failure> {
        let snapshot = self.read(session)?;
        let planned = session.plan(&snapshot, EXPIRES, self.command.auto_approve);
        self.output.plan(&planned.plan, "");
        let plan = usable(planned)?;
        if plan.plan().steps.is_empty() {
            return Ok(None);
        }
        apply::may_begin(plan.plan(), None, &session.desired, session.env.clock.now())?;
        let sealed = saved::seal(plan.plan(), &session.key);
        self.command.policies.judge(&sealed, self.output)?;
        self.command.approvals.refuse_fresh(&session.desired.approvals, plan.plan())?;
        session.block_on(self.interrupts.end(approve::asked(self.command, plan.plan(), self.output)))??;
        Ok(Some(Approved { plan, sealed }))
    }

    /// Runs the steps, and says what came of it.
    fn carry_out(&self, plan: &Admitted, sealed: &[u8], session: &mut Session) -> Result<Exit, Failure> {
        let ran =
            self.on_ground(session, plan.plan(), async |ground| apply::apply(plan, sealed, ground).await);
        let applied = ran.map_err(|error| self.not_begun(plan.plan(), error))?;
        self.concluded(applied, plan.plan(), session)
    }

    /// Says what became of each step, and only then reads again to prove the result.
    fn concluded(&self, mut applied: Applied, plan: &Plan, session: &mut Session) -> Result<Exit, Failure> {
        self.output.findings(&applied.findings, &Sources::default());
        let complete = applied.outcome.is_complete();
        applied.outcome.next = (!complete).then(|| self.next(&applied.outcome, session));
        self.output.outcome(&applied.outcome);
        remembered(session).map_err(|error| Failure::new(Exit::Partial, error.finding()))?;
        session.asked = session.asked.proving(plan.changes.iter().map(|change| &change.address));
        let proof = match complete {
            true => proof::read(session, self, plan, &applied.outcome),
            false => Proof::NotTried,
        };
        self.tell_proof(&proof, &applied.outcome, session);
        Ok(exit(&applied, &proof))
    }

    /// Gives work what steps stand on. An interrupt lets those that run end, and begins no other; a second
    /// one stops.
    fn on_ground<T>(&self, session: &Session, plan: &Plan, work: impl AsyncFnOnce(&Ground<'_>) -> T) -> T {
        let stop = Stop::default();
        let events = |event: Event| {
            if let (Event::Guide { address, .. }, Some(sandbox)) = (&event, &session.sandbox) {
                sandbox.watch(plan, address);
            }
            self.output.event(&event);
        };
        let ground = Ground {
            desired: &session.desired,
            key: &session.key,
            env: &session.env,
            state: &session.state,
            reader: self.reader.clone(),
            events: &events,
            approvals: &session.approvals,
            stop: &stop,
            parallelism: self.command.parallelism.lanes(),
        };
        session.block_on(self.interrupts.raise(&stop, self.output, work(&ground)))
    }

    /// The summary of an apply that ended before its first step.
    fn not_begun(&self, plan: &Plan, error: ApplyError) -> Failure {
        let row = |step: &crate::model::step::Step| Line {
            step: step.id.clone(),
            address: step.address.clone(),
            detail: "nothing was sent".into(),
        };
        let again = line::command("apply", self.global, self.path);
        let outcome = Outcome {
            not_started: plan.steps.iter().map(row).collect(),
            next: Some(again),
            ..Outcome::default()
        };
        self.output.outcome(&outcome);
        error.into()
    }

    fn tell_proof(&self, proof: &Proof, outcome: &Outcome, session: &Session) {
        let next = match proof {
            Proof::NotTried | Proof::Holds(_) => None,
            Proof::Interrupted | Proof::Fails(_) => Some(self.next(outcome, session)),
        };
        self.output.ending(proof.text(), next.as_deref());
    }

    /// The one command that continues.
    fn next(&self, outcome: &Outcome, session: &Session) -> String {
        // What is in doubt is settled before anything else.
        let verb = if outcome.in_doubt.is_empty() { "plan" } else { "resume" };
        line::command(verb, self.global, &session.spec_path)
    }
}

/// What was done goes into the ledger, and what the ledger says into the next plan.
fn remembered(session: &mut Session) -> Result<(), StateError> {
    state::fold(&session.state)?;
    session.refresh()
}

fn exit(applied: &Applied, proof: &Proof) -> Exit {
    let complete = applied.outcome.is_complete();
    match proof {
        _ if applied.interrupted && !complete => Exit::Interrupted,
        _ if applied.stale => Exit::Stale,
        Proof::Interrupted => Exit::Interrupted,
        Proof::Holds(_) if complete => Exit::Done,
        Proof::Holds(_) | Proof::Fails(_) | Proof::NotTried => Exit::Partial,
    }
}
