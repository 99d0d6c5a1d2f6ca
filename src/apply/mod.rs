//! Runs an admitted plan and says what became of each step.
//!
//! Every mutation is journaled before it leaves and after it is answered, so that an apply that is
//! killed at any instant leaves a record of what may have happened.
//!
//! Steps run in [`lanes`], beside each other. A step that fails or stays in doubt keeps these from
//! beginning, and no others: steps that need it, and later steps of the same object. Whatever the
//! timing, the outcome tells the steps in plan order.

mod act;
mod begin;
mod deliver;
mod finish;
mod lanes;
mod settle;
mod step;
mod stop;

pub use self::begin::may_begin;
pub use self::settle::{resume, settle};
pub use self::stop::Stop;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use self::lanes::Lanes;

use crate::destination::DestinationError;
use crate::env::Env;
use crate::http::{Reader, Writer};
use crate::model::address::Address;
use crate::model::approval::Approval;
use crate::model::change::Change;
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::outcome::{Line, Outcome};
use crate::model::secret::DigestKey;
use crate::model::step::{Need, Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::plan::check::Admitted;
use crate::plan::document::Plan;
use crate::provider::registry;
use crate::provider::state::Desired;
use crate::provider::steps::Context;
use crate::state::journal::Journal;
use crate::state::{StateDir, StateError};

/// How many lanes run at once unless told otherwise: Terraform's number. Each lane waits for answers
/// most of its time, so ten are most of the gain; and a burst of ten is far below every limit that
/// the vendors state (contract logicmonitor 7.3), which `http` keeps to in any case.
pub const PARALLELISM: NonZeroUsize = NonZeroUsize::new(10).expect("ten is not zero");

/// What an apply stands on. The state lock is held by the caller.
pub struct Ground<'a> {
    pub desired: &'a Desired,
    pub key: &'a DigestKey,
    pub env: &'a Env,
    pub state: &'a StateDir,
    pub reader: Reader,
    pub events: &'a dyn Fn(Event),
    /// Signatures over the plan that counted, for the ledger.
    pub approvals: &'a [Approval],
    /// Raised by interrupts.
    pub stop: &'a Stop,
    /// How many lanes run at once.
    pub parallelism: NonZeroUsize,
}

/// Why an apply ended before its first mutation.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("a destination can't take its value, so nothing was changed")]
    Destination(#[from] DestinationError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{}", .0.message)]
    Closed(Box<Finding>),
}

/// How a step ended.
enum End {
    Done {
        facts: Box<Facts>,
        detail: String,
    },
    /// Nothing happened, or what happened is known and recorded.
    Failed(Finding),
    /// The object moved since the plan; nothing was sent.
    Stale(Finding),
    InDoubt(Finding),
    /// A guard no longer holds; nothing was sent.
    Deferred(String),
}

/// An issue whose predecessor is deleted by then.
fn replaces(step: &Step) -> bool {
    step.verb == Verb::Issue && step.shape == Some(Shape::Replace)
}

impl End {
    /// Whoever reads of an issue that did not come about must know that the old token is gone.
    fn told_of_outage(self, step: &Step) -> Self {
        let old = step.params.get("predecessor").map_or("?", String::as_str);
        let told = |finding: Finding| {
            // some have the new one
            if finding.code == code::PARTLY_DELIVERED {
                return finding;
            }
            let message = format!(
                "{}. Id {old} is deleted already, so no token of this name works until the next one is issued",
                finding.message
            );
            Finding { message, ..finding }
        };
        match self {
            Self::Failed(finding) => Self::Failed(told(finding)),
            Self::Stale(finding) => Self::Stale(told(finding)),
            Self::InDoubt(finding) => Self::InDoubt(told(finding)),
            done => done,
        }
    }
}

/// What an apply came to.
#[derive(Default)]
pub struct Applied {
    pub outcome: Outcome,
    /// The first step found its object moved, so nothing at all was changed.
    pub stale: bool,
    pub interrupted: bool,
    /// Findings of steps that did not succeed, for the report.
    pub findings: Vec<Finding>,
}

/// The one place that makes a [`Writer`]: the power to change comes from an admitted plan.
#[expect(clippy::disallowed_methods, reason = "the one place that makes a Writer")]
fn power(_plan: &Admitted, reader: &Reader) -> Writer {
    Writer::new(reader.clone())
}

/// Applies a plan. `sealed` is the plan file's bytes: the journal's first record.
pub async fn apply(admitted: &Admitted, sealed: &[u8], ground: &Ground<'_>) -> Result<Applied, ApplyError> {
    deliver::probe(admitted.plan().steps.iter(), ground).await?;
    may_begin(admitted.plan(), None, ground.desired, ground.env.clock.now())?;
    let now = ground.env.clock.now();
    let journal =
        Journal::create_approved(ground.state, &apply_id(ground.env), now, sealed, ground.approvals)?;
    let run = Run::new(admitted, ground, &journal);
    tokio::select! {
        () = run.all() => {}
        () = ground.stop.now() => {}
    }
    Ok(run.close().await)
}

/// What the interrupted apply has done that an amended plan goes on with.
fn taken_over(plan: &Plan) -> BTreeMap<StepId, Facts> {
    let rows = plan.amends.iter().flat_map(|amends| &amends.covered);
    rows.map(|row| {
        let facts = Facts {
            fingerprint: Some(row.fingerprint.clone()),
            issued_at: Some(row.at),
            remote_id: Some(row.team_id),
            proof: Some(row.proof),
            ..Facts::default()
        };
        (row.step.clone(), facts)
    })
    .collect()
}

/// `20261122T101500Z-1f3a9c20`: sorts by time, never collides.
fn apply_id(env: &Env) -> String {
    let at = env.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    format!("{at}-{}", &env.dice.nonce()[..8])
}

/// The steps of one plan on their way. What they share is in cells that nobody borrows over a wait.
struct Run<'a> {
    steps: &'a [Step],
    ground: &'a Ground<'a>,
    journal: &'a Journal,
    writer: Writer,
    /// Objects that this run has changed: their planned digests no longer hold.
    changed: RefCell<BTreeSet<Address>>,
    /// Facts of done steps.
    done: RefCell<BTreeMap<StepId, Facts>>,
    /// Why each step is in the plan: its change.
    changes: BTreeMap<&'a StepId, &'a Change>,
    /// What became of each step, by its place in the plan.
    fates: RefCell<Vec<Fate>>,
    /// Objects that a step failed on or left in doubt, with that step: no other touches them.
    broken: RefCell<BTreeMap<Address, StepId>>,
    /// The journal can't be written any more: nothing else may be sent.
    halted: Cell<bool>,
}

/// What became of a step so far.
enum Fate {
    Waiting,
    /// It runs; its request may have left once its intent is on disk.
    Running {
        begun: bool,
    },
    Ended(End),
    NotStarted(String),
    /// Begun by an earlier run, and not looked at by this one.
    InDoubt(String),
    /// Done or ended by an earlier run: nothing to tell.
    Earlier,
}

/// One step on its way, and what only it knows.
struct Way<'a> {
    step: &'a Step,
    place: usize,
    /// Facts of the steps that it needs, as they were done.
    needed: BTreeMap<StepId, Facts>,
}

impl<'a> Run<'a> {
    fn new(admitted: &'a Admitted, ground: &'a Ground<'a>, journal: &'a Journal) -> Self {
        let plan = admitted.plan();
        let changes = plan.changes.iter().flat_map(|c| c.steps.iter().map(move |id| (id, c)));
        Self {
            steps: &plan.steps,
            ground,
            journal,
            writer: power(admitted, &ground.reader),
            changed: RefCell::default(),
            done: taken_over(plan).into(),
            changes: changes.collect(),
            fates: plan.steps.iter().map(|_| Fate::Waiting).collect::<Vec<_>>().into(),
            broken: RefCell::default(),
            halted: Cell::new(false),
        }
    }

    /// Brings every step to an end, or says why it did not begin.
    async fn all(&self) {
        let is_guided = |step: &Step| registry::is_guided(self.ground.desired, step);
        let mut lanes = Lanes::new(self.steps, self.ground.parallelism, is_guided);
        let mut running = FuturesUnordered::new();
        loop {
            while let Some(place) = lanes.take() {
                if !matches!(self.fates.borrow()[place], Fate::Waiting) {
                    lanes.ended(place);
                    continue;
                }
                match self.obstacle(&self.steps[place]) {
                    None => running.push(self.one(place)),
                    Some(why) => {
                        match self.waits(&self.steps[place]) {
                            true => self.set(place, Fate::Ended(End::Deferred(why))),
                            false => self.skip(place, why),
                        }
                        lanes.ended(place);
                    }
                }
            }
            match running.next().await {
                Some(place) => lanes.ended(place),
                None => return,
            }
        }
    }

    /// Why a step can't begin: an interrupt, or something before it that went wrong.
    fn obstacle(&self, step: &Step) -> Option<String> {
        if self.halted.get() {
            return Some("the journal can't be written, so nothing more is sent".into());
        }
        if self.ground.stop.is_asked() && !self.is_owed(step) {
            return Some("interrupted before it began".into());
        }
        if let Some(broken) = self.broken.borrow().get(&step.address) {
            return Some(format!("`{broken}` of the same object did not succeed"));
        }
        let done = self.done.borrow();
        let missing = step.needs.iter().find(|need| !done.contains_key(&need.step))?;
        Some(format!("needs `{}` ({}), which is not done", missing.step, missing.rule.as_str()))
    }

    /// Whether what it takes the place of is deleted already: an interrupt must not leave nothing behind.
    fn is_owed(&self, step: &Step) -> bool {
        let done = self.done.borrow();
        let deletes = |need: &&Need| need.rule == Rule::DeleteBeforeIssue && done.contains_key(&need.step);
        step.needs.iter().any(|need| deletes(&need))
    }

    /// Whether nothing but deferred steps keeps a step from beginning: it waits with them.
    fn waits(&self, step: &Step) -> bool {
        let stopped = self.halted.get() || self.ground.stop.is_asked();
        let (done, fates) = (self.done.borrow(), self.fates.borrow());
        let deferred = |id: &StepId| {
            let place = self.steps.iter().position(|step| step.id == *id);
            place.is_some_and(|place| matches!(fates[place], Fate::Ended(End::Deferred(_))))
        };
        let broken = self.broken.borrow().contains_key(&step.address);
        !stopped && !broken && step.needs.iter().all(|n| done.contains_key(&n.step) || deferred(&n.step))
    }

    async fn one(&self, place: usize) -> usize {
        let way = self.begin(place);
        let end = step::run(self, &way).await;
        self.ended(&way, end);
        place
    }

    /// A step is on its way.
    fn begin(&self, place: usize) -> Way<'a> {
        let step = &self.steps[place];
        self.set(place, Fate::Running { begun: false });
        let (total, address) = (self.steps.len(), step.address.clone());
        self.tell(Event::StepBegan { number: place + 1, total, address, verb: step.verb });
        let done = self.done.borrow();
        let needed = step.needs.iter().filter_map(|need| done.get_key_value(&need.step));
        Way { step, place, needed: needed.map(|(id, facts)| (id.clone(), facts.clone())).collect() }
    }

    /// Tells and files how a step ended.
    fn ended(&self, way: &Way<'a>, end: Result<End, StateError>) {
        let Way { step, place, .. } = way;
        let end = end.unwrap_or_else(|error| self.halt(*place, &error));
        let end = if replaces(step) { end.told_of_outage(step) } else { end };
        let (number, total) = (place + 1, self.steps.len());
        let (address, verb) = (step.address.clone(), step.verb);
        match &end {
            End::Done { facts, detail } => {
                self.done.borrow_mut().insert(step.id.clone(), (**facts).clone());
                self.tell(Event::StepDone { number, total, address, verb, detail: detail.clone() });
            }
            End::Deferred(why) => {
                self.tell(Event::StepDeferred { number, total, address, verb, why: why.clone() });
            }
            End::Failed(finding) | End::Stale(finding) | End::InDoubt(finding) => {
                self.broken.borrow_mut().insert(step.address.clone(), step.id.clone());
                self.tell(Event::StepFailed { number, total, address, verb, finding: finding.clone() });
            }
        }
        self.set(*place, Fate::Ended(end));
    }

    /// The journal failed. What was begun may have happened; what was not surely did not.
    fn halt(&self, place: usize, error: &StateError) -> End {
        self.halted.set(true);
        let told = |what: &str| {
            let finding = error.finding();
            let message = format!("{what}: {}", finding.message);
            Finding { message, ..finding }.at(&self.steps[place].address)
        };
        match self.has_begun(place) {
            true => End::InDoubt(told("it may have happened, and what became of it can't be recorded")),
            false => End::Failed(told("nothing was sent, since it can't be recorded")),
        }
    }

    /// The step's intent is on disk, so its request may leave.
    fn intent_is_kept(&self, place: usize) {
        self.set(place, Fate::Running { begun: true });
    }

    fn has_begun(&self, place: usize) -> bool {
        matches!(self.fates.borrow()[place], Fate::Running { begun: true })
    }

    fn skip(&self, place: usize, why: String) {
        self.set(place, Fate::NotStarted(why));
    }

    fn set(&self, place: usize, fate: Fate) {
        self.fates.borrow_mut()[place] = fate;
    }

    /// An earlier run has done the step.
    fn remember(&self, place: usize, facts: Facts) {
        self.set(place, Fate::Earlier);
        self.changed.borrow_mut().insert(self.steps[place].address.clone());
        self.done.borrow_mut().insert(self.steps[place].id.clone(), facts);
    }

    fn has_changed(&self, address: &Address) -> bool {
        self.changed.borrow().contains(address)
    }

    /// Why a step is in the plan: its change's reason, and what people gave as theirs.
    fn why(&self, step: &Step) -> (Option<String>, Option<String>) {
        let change = self.changes.get(&step.id);
        (change.map(|change| change.reason.clone()), change.and_then(|change| change.rationale.clone()))
    }

    fn context<'w>(&'w self, way: &'w Way<'_>) -> Context<'w> {
        let Ground { desired, key, env, .. } = self.ground;
        Context { desired, key, env, done: &way.needed }
    }

    fn tell(&self, event: Event) {
        (self.ground.events)(event);
    }

    /// Ends the journal in order: for good, or so that a later run can go on with what is left. A journal
    /// that can't be ended is told, and changes nothing of what became of the steps. A run that was ended
    /// where it stood leaves its journal as it is, like one that was killed.
    async fn close(self) -> Applied {
        let stop = self.ground.stop;
        let mut applied = Applied {
            interrupted: stop.is_asked(),
            stale: false,
            outcome: Outcome::default(),
            findings: Vec::new(),
        };
        for (step, fate) in self.steps.iter().zip(self.fates.take()) {
            applied.file(step, fate);
        }
        applied.stale &= self.changed.borrow().is_empty() && applied.outcome.in_doubt.is_empty();
        let now = self.ground.env.clock.now();
        let ended = match (stop.is_now(), applied.outcome.is_complete()) {
            (true, _) => Ok(()),
            (false, true) => self.journal.close(now).await.map(drop),
            (false, false) => self.journal.pause(now).await,
        };
        applied.findings.extend(ended.err().map(|error| error.finding()));
        applied
    }
}

impl Applied {
    fn file(&mut self, step: &Step, fate: Fate) {
        let Outcome { done, failed, in_doubt, not_started, deferred, .. } = &mut self.outcome;
        let row = |detail: String| Line { step: step.id.clone(), address: step.address.clone(), detail };
        let cut = || "interrupted before it began".to_owned();
        match fate {
            Fate::Earlier => {}
            Fate::NotStarted(why) => not_started.push(row(why)),
            Fate::InDoubt(why) => in_doubt.push(row(why)),
            Fate::Waiting | Fate::Running { begun: false } => not_started.push(row(cut())),
            Fate::Running { begun: true } => {
                in_doubt.push(row("stopped while it ran: it may have happened".into()));
            }
            Fate::Ended(End::Done { detail, .. }) => done.push(row(detail)),
            Fate::Ended(End::Deferred(why)) => deferred.push(row(why)),
            Fate::Ended(End::Failed(finding)) => {
                failed.push(row(finding.message.clone()));
                self.findings.push(finding);
            }
            Fate::Ended(End::Stale(finding)) => {
                self.stale = true;
                failed.push(row(finding.message.clone()));
                self.findings.push(finding);
            }
            Fate::Ended(End::InDoubt(finding)) => {
                in_doubt.push(row(finding.message.clone()));
                self.findings.push(finding);
            }
        }
    }
}
