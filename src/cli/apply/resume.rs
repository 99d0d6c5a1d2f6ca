//! `tokenform resume`: settles what an interrupted apply left in doubt, and finishes its plan; or gives
//! the rest of it up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;

use super::reviewed::moved;
use super::{Apply, Guided, Job, approve, settle};
use crate::apply::{self, Applied};
use crate::cli::approvals::Approvals;
use crate::cli::exit::{Exit, Failure};
use crate::cli::format::ListFormat;
use crate::cli::levers::Levers;
use crate::cli::output::Output;
use crate::cli::parallelism::Parallelism;
use crate::cli::plan::usable;
use crate::cli::policies::Policies;
use crate::cli::session::Session;
use crate::cli::{Global, line};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::Interrupted;
use crate::model::step::{Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::plan::EXPIRES;
use crate::plan::check::Admitted;
use crate::plan::document::Plan;
use crate::report::safe;
use crate::state::{self, GivenUp, Stage, Unfinished, give_up};
use crate::{report, saved};

/// Settle what an interrupted apply left in doubt, and finish its plan
///
/// The plan is the one in the journal: it was approved, so its steps run without another question. Where live
/// state has moved so that more is needed (a team that appeared before a lock), the amended plan is
/// shown and asked about. `--abandon` gives the rest up instead: nothing is sent, and what is in doubt is named
/// for a person to look at.
#[derive(Args)]
pub struct Resume {
    /// The spec that the interrupted apply was made from: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Don't ask, should the plan have to be amended
    #[arg(long)]
    auto_approve: bool,

    /// Give up what is left instead, and keep in the ledger what that was and why
    #[arg(long, requires = "reason")]
    abandon: bool,

    /// Why it is given up
    #[arg(long, value_name = "TEXT", requires = "abandon")]
    reason: Option<String>,

    /// What a guided reset does without a terminal: refuse, or wait for the person all the same
    #[arg(long, value_enum, default_value = "refuse", value_name = "HOW")]
    guided: Guided,

    /// How standard output tells what happens: for people, or as events, like `apply --format json`
    #[arg(long, value_enum, default_value = "text")]
    pub format: ListFormat,

    #[command(flatten)]
    policies: Policies,

    #[command(flatten)]
    parallelism: Parallelism,
}

/// How long after its begin an interrupted apply may go on although its plan has expired.
const GOES_ON_FOR: Period = Period::hours(24);

pub fn run(command: Resume, global: &Global, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    let Resume { path, auto_approve, abandon, reason, guided, format, policies, parallelism } = command;
    let apply = Apply {
        path,
        auto_approve,
        new_state: true,
        spec: None,
        guided,
        format,
        approvals: Approvals::default(),
        policies,
        levers: Levers::default(),
        parallelism,
    };
    let path = apply.path.clone();
    super::locked(&apply, &path, global, env, output, |session, job| {
        let Some(left) = settle::left_behind(session, job)? else {
            output.data(b"Nothing to resume: no apply is unfinished.\n");
            return Ok(Exit::Done);
        };
        match abandon {
            true => abandoned(session, job, &left, reason.unwrap_or_default().trim()),
            false => {
                job.command.policies.judge(&left.plan, output)?;
                job.resume(session, &left, false)
            }
        }
    })
}

impl Job<'_> {
    /// Settles, then finishes the plan of the journal, or an amended one. `ask`: its steps are approved
    /// once more before they run.
    pub(super) fn resume(
        &self,
        session: &mut Session,
        left: &Unfinished,
        ask: bool,
    ) -> Result<Exit, Failure> {
        let plan = settle::own_plan(session, left)?;
        self.output.say(&format!("Going on with apply {}, begun {}.", left.apply_id, left.at));
        if left.is_in_doubt() {
            settle::settled(session, left, self)?;
        }
        session.refresh()?;
        session.asked = plan.plan().asked.clone();
        let Some(left) = session.state.unfinished()? else {
            return self.concluded(Applied::default(), plan.plan(), session);
        };
        in_time(session, &left, plan.plan())?;
        session.history.interrupted = Some(interrupted(&left));
        let snapshot = self.read(session)?;
        let fresh = usable(session.plan(&snapshot, EXPIRES, false))?;
        let untouched = |address: &Address| !left.steps.iter().any(|log| log.address.covers(address));
        let moved = moved(session, plan.plan(), &snapshot, untouched);
        match (unapproved(fresh.plan(), plan.plan()).as_slice(), moved.as_slice()) {
            ([], []) => self.go_on(session, &left, &plan, ask),
            ([], moved) => {
                let moved: Vec<_> = moved.iter().map(ToString::to_string).collect();
                self.amend(session, &left, &fresh, &moved.join("; "))
            }
            (new, _) => {
                let new: Vec<_> = new.iter().map(|step| safe::shown(&step.id)).collect();
                let why = format!("not in the plan that was approved: {}", new.join(", "));
                self.amend(session, &left, &fresh, &why)
            }
        }
    }

    /// The same plan, under its own approval.
    fn go_on(
        &self,
        session: &mut Session,
        left: &Unfinished,
        plan: &Admitted,
        ask: bool,
    ) -> Result<Exit, Failure> {
        let lines: String = left.not_done().iter().map(|id| format!("  {}\n", safe::shown(id))).collect();
        self.output
            .data(format!("Approved with apply {}, and not done:\n{lines}\n", left.apply_id).as_bytes());
        apply::may_begin(plan.plan(), Some(left), &session.desired, session.env.clock.now())?;
        if ask {
            self.command.policies.judge(&left.plan, self.output)?;
            session.block_on(self.interrupts.end(approve::asked(
                self.command,
                plan.plan(),
                self.output,
            )))??;
        }
        approve::guided(self.command, self.global, session, plan.plan())?;
        let ran =
            self.on_ground(session, plan.plan(), async |ground| apply::resume(left, plan, ground).await);
        self.concluded(ran?, plan.plan(), session)
    }

    /// Live state has moved, or more is needed than was approved: the new plan is asked about, and takes
    /// the place of the earlier one.
    fn amend(
        &self,
        session: &mut Session,
        left: &Unfinished,
        fresh: &Admitted,
        why: &str,
    ) -> Result<Exit, Failure> {
        self.output.plan(fresh.plan(), "");
        self.output.say(&format!("This takes the place of the plan that was approved: {why}."));
        apply::may_begin(fresh.plan(), None, &session.desired, session.env.clock.now())?;
        let sealed = saved::seal(fresh.plan(), &session.key);
        self.command.policies.judge(&sealed, self.output)?;
        self.command.approvals.refuse_fresh(&session.desired.approvals, fresh.plan())?;
        approve::possible(self.command, self.global, false)?;
        session.block_on(self.interrupts.end(approve::asked(self.command, fresh.plan(), self.output)))??;
        approve::guided(self.command, self.global, session, fresh.plan())?;
        settle::replaced(session, left)?;
        self.carry_out(fresh, &sealed, session)
    }
}

/// An expired plan goes on for a day after it began; then it is too old to be what somebody meant.
fn in_time(session: &Session, left: &Unfinished, plan: &Plan) -> Result<(), Failure> {
    let until = GOES_ON_FOR.after(left.at).max(plan.expires_at);
    if session.env.clock.now() < until {
        return Ok(());
    }
    let message = format!("apply {} could go on until {until}; nothing new was sent", left.apply_id);
    let help = "What was in doubt is settled. Plan what is left anew: `tokenform apply` with the spec.";
    Err(Failure::new(Exit::Stale, Finding::new(code::STALE, message).help(help)))
}

/// What the interrupted apply has done that a plan must know which goes on with it.
fn interrupted(left: &Unfinished) -> Interrupted {
    let resets = left.steps.iter().filter(|log| log.verb == Verb::Reset && log.stage == Stage::Done);
    let resets = resets.map(|log| (log.step.clone(), log.facts.clone())).collect();
    let unlocks = left.steps.iter().filter(|log| log.verb == Verb::Unlock && log.stage == Stage::Done);
    let unlocked = unlocks.map(|log| log.address.clone()).collect();
    Interrupted { apply_id: left.apply_id.clone(), resets, unlocked }
}

/// Steps that live state asks for now and that nobody approved. A step is the same if all that it does
/// is: what it waits for and what it was compared with may have moved.
fn unapproved<'p>(fresh: &'p Plan, approved: &Plan) -> Vec<&'p Step> {
    let same = |a: &Step, b: &Step| {
        (&a.id, a.verb, a.shape, &a.destinations) == (&b.id, b.verb, b.shape, &b.destinations)
            && (&a.params, &a.call, a.irreversible) == (&b.params, &b.call, b.irreversible)
    };
    fresh.steps.iter().filter(|step| !approved.steps.iter().any(|other| same(step, other))).collect()
}

/// Gives the rest up: nothing is sent, nothing is guessed.
fn abandoned(session: &mut Session, job: &Job<'_>, left: &Unfinished, reason: &str) -> Result<Exit, Failure> {
    if reason.is_empty() {
        let help = "Write why what is left shall not run: it is kept in the ledger.";
        return Err(Failure::usage("--reason says nothing", help));
    }
    let open = left.steps.iter().filter(|log| !log.stage.finished());
    let in_doubt: BTreeMap<StepId, String> =
        open.map(|log| (log.step.clone(), report::status::to_check(log))).collect();
    let not_begun = left.not_done();
    let mut text = format!("Apply {} is given up.\n", safe::line(&left.apply_id));
    for (step, check) in &in_doubt {
        text.push_str(&format!("  in doubt: {}: {}\n", safe::shown(step), safe::line(check)));
    }
    for step in &not_begun {
        text.push_str(&format!("  not done: {}\n", safe::shown(step)));
    }
    let at = session.env.clock.now();
    let by = session.state.by();
    give_up(&session.state, GivenUp { at, by, reason: Some(reason.to_owned()), in_doubt, not_begun })?;
    state::fold(&session.state)?;
    let next = line::command("plan", job.global, &session.spec_path);
    job.output.data(format!("{text}What is live now: {next}\n").as_bytes());
    Ok(Exit::Done)
}
