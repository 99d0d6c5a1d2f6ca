//! `tokenform unlock`: break-glass. Opens one instance by a plan of its own, or ends such a hold.

use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use jiff::Timestamp;

use super::apply::{self, Apply, Guided};
use super::exit::{Exit, Failure};
use super::levers::reason;
use super::output::Output;
use super::plan::{self, Plan};
use super::policies::Policies;
use super::session::{self, Session};
use super::{Global, line};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::asked::{Asked, AskedUnlock};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::prefix::Prefix;
use crate::model::vocabulary::Period;
use crate::provider::state::Desired;
use crate::report::safe;
use crate::spec::nearest;
use crate::state::ledger::{self, Entry};
use crate::state::{self, Holder, StateDir};

/// Open an instance that is locked to IAM, by hand and for a reason
///
/// Makes a plan of its own: the unlock, and the reset of every visible team's token that must follow
/// it, since earlier tokens may work again. It is shown and approved like any apply; with -o it is
/// saved for review, and `apply PLANFILE` runs it. The reason stands in the plan, the journal and the
/// ledger. The spec is not asked whether it wants this: with --for, plans leave the instance open until
/// then; without it, the next apply locks it again. Of an instance that is held open already, --for sets a
/// later end: nothing is sent, and the reason is kept.
#[derive(Args)]
pub struct Unlock {
    /// The instance: its address, or its name where no other has it
    #[arg(value_name = "INSTANCE")]
    instance: String,

    /// The spec: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,

    /// Leave it open so long, at most 30d; then the next apply resets and locks
    #[arg(long = "for", value_name = "DURATION")]
    hold: Option<Period>,

    /// Save the plan to this file instead of asking
    #[arg(short, long, value_name = "FILE", conflicts_with = "auto_approve")]
    out: Option<PathBuf>,

    /// Don't ask: apply the plan at once
    #[arg(long)]
    auto_approve: bool,

    /// What a guided reset does without a terminal: refuse, or wait for the person all the same
    #[arg(long, value_enum, default_value = "refuse", value_name = "HOW")]
    guided: Guided,

    /// Let the plan be applied outside of the spec's change windows, and in a freeze
    #[arg(long, value_name = "REASON", value_parser = reason)]
    outside_window: Option<String>,

    #[command(flatten)]
    policies: Policies,

    /// End a hold before its time. Nothing is sent: the next apply resets and locks
    #[arg(long, conflicts_with_all = ["hold", "out", "auto_approve", "outside_window", "policy"])]
    end: bool,
}

/// The longest hold: what is to be open for longer is declared so.
const LONGEST: Period = Period::days(30);

pub fn run(command: &Unlock, global: &Global, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    if command.hold.is_some_and(|hold| hold > LONGEST || hold.as_secs() == 0) {
        let help = "Give at most 30d. What is to stay open is declared so: external_api_auth: ANY.";
        return Err(Failure::usage("--for is out of bounds", help));
    }
    if command.end {
        return end_hold(command, global, env, output);
    }
    if let Some(hold) = command.hold.filter(|_| may_be_held(command, global))
        && let Some(exit) = extend_hold(command, hold, global, &env, output)?
    {
        return Ok(exit);
    }
    let ask = |session: &Session| command.asked(&session.desired);
    let policies = command.policies.clone();
    match &command.out {
        Some(out) => plan::run_asked(&Plan::to_file(&command.path, out, policies), global, env, output, ask),
        None => {
            let apply = Apply::of(&command.path, command.auto_approve, command.guided, policies);
            apply::run_asked(&apply, global, env, output, ask)
        }
    }
}

impl Unlock {
    fn asked(&self, desired: &Desired) -> Result<Asked, Failure> {
        let instance = find(&self.instance, desired)?;
        managed(&instance, desired)?;
        let target = vec![Prefix::from(instance.clone())];
        let unlock = AskedUnlock { instance, reason: self.reason.clone(), hold: self.hold };
        let outside_window = self.outside_window.clone();
        Ok(Asked { target, unlock: Some(unlock), outside_window, ..Asked::default() })
    }
}

/// The one declared instance of that address or name.
fn find(text: &str, desired: &Desired) -> Result<Address, Failure> {
    let instances: Vec<&Address> = desired.ibm.values().flat_map(|conn| conn.instances.keys()).collect();
    let hits: Vec<&Address> = instances
        .iter()
        .copied()
        .filter(|address| address.to_string() == text || address.name() == text)
        .collect();
    match hits.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let told = |at: &&Address| if text.contains('.') { at.to_string() } else { at.name().to_owned() };
            let names: Vec<String> = instances.iter().map(told).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let help =
                nearest::suggestion(text, &names).unwrap_or_else(|| "It declares none at all.".to_owned());
            Err(Failure::usage(format!("the spec declares no instance `{text}`"), help))
        }
        several => {
            let list: Vec<_> = several.iter().map(ToString::to_string).collect();
            let message = format!("several instances have the name `{text}`: {}", list.join(", "));
            Err(Failure::usage(message, "Give the address of one."))
        }
    }
}

/// Nothing that is not declared is touched: the mode must be the spec's matter at all.
fn managed(instance: &Address, desired: &Desired) -> Result<(), Failure> {
    let wanted = desired.ibm.values().find_map(|conn| conn.instances.get(instance));
    if wanted.is_some_and(|wanted| wanted.external_api_auth.is_some()) {
        return Ok(());
    }
    let message = "the spec does not manage external_api_auth of this instance, so it is left alone";
    let help = "Declare what the mode should be, and run it again.";
    Err(Failure::usage(format!("{instance}: {message}"), help))
}

/// Whether the ledger has a hold on an instance of this name: then it is looked at more closely.
fn may_be_held(command: &Unlock, global: &Global) -> bool {
    let folder = session::state_folder(global, &command.path);
    let history = folder.exists().then(|| StateDir::open(&folder).ok()?.history().ok()).flatten();
    let named = |at: &Address| at.to_string() == command.instance || at.name() == command.instance;
    history
        .is_some_and(|(history, _)| history.objects.iter().any(|(at, past)| past.hold.is_some() && named(at)))
}

/// Writes into the ledger that a hold lasts longer. `None`: there is none to extend, so the instance has to
/// be unlocked.
fn extend_hold(
    command: &Unlock,
    hold: Period,
    global: &Global,
    env: &Env,
    output: &Output,
) -> Result<Option<Exit>, Failure> {
    let mut session = Session::open(global, &command.path, env.clone(), output)?;
    let instance = find(&command.instance, &session.desired)?;
    let now = session.env.clock.now();
    let held = |session: &Session| {
        let past = session.history.objects.get(&instance);
        past.and_then(|past| past.hold.clone()).filter(|hold| hold.until > now)
    };
    if held(&session).is_none() {
        return Ok(None);
    }
    let lock = session.state.lock(&Holder::this(&session.env, &line::this_run()))?;
    state::fold(&session.state)?;
    session.refresh()?;
    let Some(earlier) = held(&session) else { return Ok(None) };
    let until = hold.after(now);
    may_extend(command, &session, earlier.until, until)?;
    let entry = Entry::HoldExtended { address: instance.clone(), until };
    ledger::add(&session.state, &lock, now, Some(command.reason.clone()), entry)?;
    let at = safe::shown(&instance);
    let told =
        format!("The hold on {at} lasts until {until} (before: {}). Nothing was sent.\n", earlier.until);
    output.data(told.as_bytes());
    Ok(Some(Exit::Done))
}

/// A longer hold is a line of the ledger, not a plan: where plans need somebody's word, it can't have that.
fn may_extend(
    command: &Unlock,
    session: &Session,
    earlier: Timestamp,
    until: Timestamp,
) -> Result<(), Failure> {
    if until <= earlier {
        let message = format!("the hold lasts until {earlier} already, which is later");
        return Err(Failure::usage(message, "Give a longer time with --for, or end the hold with --end."));
    }
    if !session.desired.approvals.asks_nothing() || !command.policies.is_empty() {
        let message = "the instance is held open already; a longer hold has no plan that could be approved";
        let help =
            "End the hold with --end, let the instance be locked, and unlock it again by a reviewed plan.";
        return Err(Failure::new(Exit::Refused, Finding::new(code::REVIEW_APPROVALS, message).help(help)));
    }
    if command.out.is_some() {
        let message = "the instance is held open already: a longer hold is no plan that could be saved";
        return Err(Failure::usage(
            message,
            "Leave -o out: the hold is extended at once, and nothing is sent.",
        ));
    }
    Ok(())
}

/// Writes into the ledger that the hold is over.
fn end_hold(command: &Unlock, global: &Global, env: Env, output: &Output) -> Result<Exit, Failure> {
    let mut session = Session::open(global, &command.path, env, output)?;
    let instance = find(&command.instance, &session.desired)?;
    let held = session.state.lock(&Holder::this(&session.env, &line::this_run()))?;
    state::fold(&session.state)?;
    session.refresh()?;
    let past = session.history.objects.remove(&instance);
    let Some(hold) = past.and_then(|past| past.hold) else {
        let told = format!("No hold is on {}: nothing was changed.\n", safe::shown(&instance));
        output.data(told.as_bytes());
        return Ok(Exit::Done);
    };
    let entry = Entry::HoldEnded { address: instance.clone() };
    let at = session.env.clock.now();
    ledger::add(&session.state, &held, at, Some(command.reason.clone()), entry)?;
    let apply = line::command("apply", global, &command.path);
    let told =
        format!("The hold on {} (until {}) is ended.\nNext: {apply}\n", safe::shown(&instance), hold.until);
    output.data(told.as_bytes());
    Ok(Exit::Done)
}
