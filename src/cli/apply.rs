//! `tokenform apply`: runs a plan that was reviewed, in its order, and proves the result.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::plan::{admitted, usable};
use super::session::{Session, read_file};
use super::settle::settle;
use super::{Global, block_on};
use crate::apply::{self, Applied, Ground};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::secret::Digest;
use crate::model::source::Sources;
use crate::model::vocabulary::Target;
use crate::plan::EXPIRES;
use crate::plan::check::Admitted;
use crate::plan::document::Plan as Document;
use crate::provider::registry;
use crate::{report, saved, state};

/// Plan, ask, and carry it out; or carry out a saved plan
///
/// Given a spec, it plans, shows the plan and asks for the exact word `yes`. Given a plan file, it
/// runs exactly that plan, without a prompt, or refuses: when the file was edited, when the spec or
/// live state moved, or when it expired. Every end prints what was done, what failed and what is in
/// doubt.
#[derive(Args)]
pub struct Apply {
    /// The spec (a file or a folder), or a plan file written by `plan -o`
    #[arg(default_value = ".", value_name = "PATH|PLANFILE")]
    path: PathBuf,

    /// Don't ask: apply the fresh plan at once
    #[arg(long)]
    auto_approve: bool,

    /// Accept resets that are due only because a state without a ledger knows no ages
    #[arg(long)]
    new_state: bool,

    /// The spec of a plan file, where it is not where it was planned from
    #[arg(long, value_name = "PATH")]
    spec: Option<PathBuf>,

    /// What a guided reset does without a terminal: refuse, or wait for the person all the same
    #[arg(long, value_enum, default_value = "refuse", value_name = "HOW")]
    guided: Guided,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Guided {
    Refuse,
    Wait,
}

/// A plan that may run, and the bytes that the journal keeps of it.
struct Approved {
    plan: Admitted,
    sealed: Vec<u8>,
}

pub fn run(command: &Apply, global: &Global, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    let bytes = plan_file(&command.path)?;
    can_be_approved(command, global, bytes.is_some())?;
    let spec = match &bytes {
        None => command.path.clone(),
        Some(bytes) => spec_of(command, bytes)?,
    };
    let mut session = Session::open(global, &spec, env, output)?;
    let who = state::who(&session.env);
    let _lock = session.state.lock(who.as_deref().unwrap_or("someone"))?;
    let ended = settle(&session, output).and_then(|()| {
        session.refresh()?;
        go(command, global, &mut session, bytes, output)
    });
    session.keep_world()?;
    ended
}

/// The file's bytes, if it is a plan file.
fn plan_file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    if path.is_dir() {
        return Ok(None);
    }
    let bytes = read_file(path)?;
    Ok(saved::is_plan(&bytes).then_some(bytes))
}

/// Without a terminal and without approval it fails before any read.
fn can_be_approved(command: &Apply, global: &Global, saved: bool) -> Result<(), Failure> {
    if saved || command.auto_approve || (!global.no_input && std::io::stdin().is_terminal()) {
        return Ok(());
    }
    let message = "there is no terminal to approve the plan at";
    Err(Failure::usage(
        message,
        "Review a plan saved with `plan -o FILE` and apply that file, or pass --auto-approve.",
    ))
}

/// Where the spec of a plan file is.
fn spec_of(command: &Apply, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let plan = saved::parse(bytes)?.plan;
    let path = command.spec.clone().unwrap_or(plan.spec_path);
    if path.exists() {
        return Ok(path);
    }
    let message = format!("the plan's spec {} is not there", path.display());
    Err(Failure::usage(message, "Run it where the plan was made, or name the spec with --spec PATH."))
}

fn go(
    command: &Apply,
    global: &Global,
    session: &mut Session,
    bytes: Option<Vec<u8>>,
    output: &Rc<Output>,
) -> Result<Exit, Failure> {
    let reader = session.reader(output);
    let approved = match bytes {
        Some(bytes) => reviewed(session, bytes, &reader, output)?,
        None => match fresh(command, session, &reader, output)? {
            Some(approved) => approved,
            None => return Ok(Exit::Done),
        },
    };
    guided_needs_a_person(command, global, session, approved.plan.plan())?;
    let applied = carry_out(&approved, session, reader, output)?;
    state::fold(&session.state)?;
    conclude(applied, &approved, session, output)
}

/// A saved plan: sealed by this state, for this target, from this spec, and live state as it was.
fn reviewed(
    session: &Session,
    bytes: Vec<u8>,
    reader: &crate::http::Reader,
    output: &Output,
) -> Result<Approved, Failure> {
    let plan = saved::verify(&bytes, &session.key)?.plan;
    right_target(session, &plan)?;
    if session.env.clock.now() >= plan.expires_at {
        return Err(stale(format!("the plan expired at {}", plan.expires_at)));
    }
    if plan.spec_digest != session.spec_digest {
        return Err(stale(format!(
            "the spec {} changed since the plan was made",
            session.spec_path.display()
        )));
    }
    let plan = admitted(plan)?;
    let snapshot = block_on(session.read(reader, output));
    nothing_moved(session, plan.plan(), &snapshot)?;
    output.data(report::text::plan(plan.plan(), "seal: verified", &output.style).as_bytes());
    Ok(Approved { plan, sealed: bytes })
}

fn right_target(session: &Session, plan: &Document) -> Result<(), Failure> {
    let (made, here) = (plan.target, session.target());
    if made == here {
        return Ok(());
    }
    let word = |target| if target == Target::Live { "the vendors" } else { "the sandbox" };
    let message = format!("the plan was made against {}, but this run is against {}", word(made), word(here));
    Err(Failure::new(Exit::Refused, Finding::new(code::WRONG_TARGET, message)))
}

/// Compares every live object that the plan rests on with what is read now, and names what moved.
fn nothing_moved(
    session: &Session,
    plan: &Document,
    snapshot: &crate::provider::state::Snapshot,
) -> Result<(), Failure> {
    let now: BTreeMap<Address, Digest> = registry::digests(&session.desired, snapshot, &session.key);
    let moved = plan.live.iter().filter(|expect| now.get(&expect.address) != Some(&expect.digest));
    let moved: Vec<_> = moved.map(|expect| expect.address.to_string()).collect();
    match moved.as_slice() {
        [] => Ok(()),
        _ => Err(stale(format!("live state moved since the plan was made: {}", moved.join(", ")))),
    }
}

fn stale(message: String) -> Failure {
    Failure::new(Exit::Stale, Finding::new(code::STALE, format!("{message}; nothing was sent")))
}

/// A fresh plan, shown and approved. `None`: there is nothing to do.
fn fresh(
    command: &Apply,
    session: &Session,
    reader: &crate::http::Reader,
    output: &Output,
) -> Result<Option<Approved>, Failure> {
    let snapshot = block_on(session.read(reader, output));
    let planned = session.plan(&snapshot, EXPIRES, command.auto_approve);
    output.data(report::text::plan(&planned.plan, "", &output.style).as_bytes());
    let plan = usable(planned)?;
    if plan.plan().steps.is_empty() {
        return Ok(None);
    }
    approve(command, plan.plan(), output)?;
    let sealed = saved::seal(plan.plan(), &session.key);
    Ok(Some(Approved { plan, sealed }))
}

/// `--auto-approve`, or the exact word `yes`.
fn approve(command: &Apply, plan: &Document, output: &Output) -> Result<(), Failure> {
    if command.auto_approve {
        let accepted = plan.evidence.new_state.is_empty() || command.new_state;
        return accepted.then_some(()).ok_or_else(|| new_state(plan));
    }
    output.say("\nDo you want to carry out these steps? Only `yes` is accepted.");
    let _ = write!(std::io::stderr(), "  Enter a value: ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(_) if line.trim_end_matches(['\r', '\n']) == "yes" => Ok(()),
        _ => {
            let finding = Finding::new(code::NOT_APPROVED, "the plan was not approved; nothing was changed");
            Err(Failure::new(Exit::Error, finding))
        }
    }
}

fn new_state(plan: &Document) -> Failure {
    let count = plan.evidence.new_state.len();
    let message = format!(
        "{count} resets are due only because this state knows no ages; --auto-approve alone refuses them"
    );
    let help = "Review a saved plan, answer the prompt, or pass --new-state.";
    Failure::new(Exit::Refused, Finding::new(code::PLAN_NEW_STATE_REFUSED, message).help(help))
}

/// Guided resets need somebody at a terminal.
fn guided_needs_a_person(
    command: &Apply,
    global: &Global,
    session: &Session,
    plan: &Document,
) -> Result<(), Failure> {
    let person = !global.no_input && std::io::stdin().is_terminal();
    let guided = plan.steps.iter().find(|step| registry::is_guided(&session.desired, step));
    match guided {
        Some(step) if !person && command.guided == Guided::Refuse => {
            let message = format!("{} is a guided reset, and there is no terminal", step.id);
            Err(Failure::new(
                Exit::Refused,
                Finding::new(code::PLAN_GUIDED_NO_TERMINAL, message).at(&step.address),
            ))
        }
        _ => Ok(()),
    }
}

/// Runs the steps. An interrupt lets the step that runs end, and begins no other.
fn carry_out(
    approved: &Approved,
    session: &Session,
    reader: crate::http::Reader,
    output: &Rc<Output>,
) -> Result<Applied, Failure> {
    let stop = Cell::new(false);
    let events = |event: Event| {
        if let (Event::Guide { address, .. }, Some(sandbox)) = (&event, &session.sandbox) {
            sandbox.watch(approved.plan.plan(), address);
        }
        output.event(&event);
    };
    let ground = Ground {
        desired: &session.desired,
        key: &session.key,
        env: &session.env,
        state: &session.state,
        reader,
        events: &events,
        stop: &stop,
    };
    let applied = block_on(async {
        let work = apply::apply(&approved.plan, &approved.sealed, &ground);
        let interrupts = async {
            while tokio::signal::ctrl_c().await.is_ok() {
                stop.set(true);
                output.say("Interrupted: the step that runs is finished, no other is begun.");
            }
            std::future::pending().await
        };
        tokio::select! {
            applied = work => applied,
            () = interrupts => unreachable!("waiting for interrupts never ends"),
        }
    })?;
    Ok(applied)
}

/// Proves the result with a fresh read, prints the summary, and says how the run ends.
fn conclude(
    mut applied: Applied,
    approved: &Approved,
    session: &mut Session,
    output: &Rc<Output>,
) -> Result<Exit, Failure> {
    session.refresh()?;
    output.findings(&applied.findings, &Sources::default());
    let complete = applied.outcome.is_complete();
    let proved = match complete {
        true => proof(session, output),
        false => Err(String::new()),
    };
    applied.outcome.proof = match &proved {
        Ok(text) | Err(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    applied.outcome.next = next(&applied, complete && proved.is_ok(), approved, session);
    output.data(report::summary::outcome(&applied.outcome, &output.style).as_bytes());
    Ok(match (complete, proved.is_ok()) {
        _ if applied.interrupted && !complete => Exit::Interrupted,
        _ if applied.stale => Exit::Stale,
        (true, true) => Exit::Done,
        _ => Exit::Partial,
    })
}

/// After the last step the next plan must be empty, or only waiting.
fn proof(session: &Session, output: &Rc<Output>) -> Result<String, String> {
    let reader = session.reader(output);
    let snapshot = block_on(session.read(&reader, output));
    let planned = session.plan(&snapshot, EXPIRES, true);
    let errors: Vec<_> = planned.findings.iter().filter(|f| f.is_error()).map(ToString::to_string).collect();
    match (planned.plan.changes.as_slice(), errors.as_slice()) {
        ([], []) if planned.plan.waiting.is_empty() => Ok("read again: live state matches the spec".into()),
        ([], []) => Ok("read again: live state matches the spec; what is left waits for its time".into()),
        ([], errors) => Err(format!("read again, but: {}", errors.join("; "))),
        (changes, _) => {
            let left: Vec<_> =
                changes.iter().map(|c| format!("{} {}", c.action.as_str(), c.address)).collect();
            Err(format!("read again: not as the spec wants it: {}", left.join(", ")))
        }
    }
}

/// The one command that continues.
fn next(applied: &Applied, proved: bool, approved: &Approved, session: &Session) -> Option<String> {
    let outcome = &applied.outcome;
    let sandbox = if session.sandbox.is_some() { " --sandbox" } else { "" };
    let spec = approved.plan.plan().spec_path.display();
    if !outcome.in_doubt.is_empty() {
        return Some(format!("tokenform status{sandbox} {spec}"));
    }
    (!proved).then(|| format!("tokenform plan{sandbox} {spec}"))
}
