//! Runs an admitted plan, step by step, and says what became of each.
//!
//! Every mutation is journaled before it leaves and after it is answered, so that an apply that is
//! killed at any instant leaves a record of what may have happened.

mod act;
mod deliver;
mod finish;
mod settle;
mod step;

pub use self::settle::settle;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use crate::destination::DestinationError;
use crate::env::Env;
use crate::http::{Reader, Writer};
use crate::model::address::Address;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::outcome::{Line, Outcome};
use crate::model::secret::DigestKey;
use crate::model::step::{Step, StepId};
use crate::plan::check::Admitted;
use crate::provider::state::Desired;
use crate::provider::steps::Context;
use crate::state::journal::Journal;
use crate::state::{StateDir, StateError};

/// What an apply stands on. The state lock is held by the caller.
pub struct Ground<'a> {
    pub desired: &'a Desired,
    pub key: &'a DigestKey,
    pub env: &'a Env,
    pub state: &'a StateDir,
    pub reader: Reader,
    pub events: &'a dyn Fn(Event),
    /// Set by an interrupt: the step that runs is finished, no other is begun.
    pub stop: &'a Cell<bool>,
}

/// Why an apply ended before its first mutation.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("a destination can't take its value, so nothing was changed")]
    Destination(#[from] DestinationError),
    #[error(transparent)]
    State(#[from] StateError),
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
}

/// What an apply came to.
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
    deliver::probe(admitted, ground).await?;
    let now = ground.env.clock.now();
    let journal = Journal::create(ground.state, &apply_id(ground.env), now, sealed)?;
    let mut run = Run::new(admitted, ground, &journal);
    run.all().await;
    Ok(run.close().await)
}

/// `20261122T101500Z-1f3a9c20`: sorts by time, never collides.
fn apply_id(env: &Env) -> String {
    let at = env.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    format!("{at}-{}", &env.dice.nonce()[..8])
}

/// The steps of one plan on their way.
struct Run<'a> {
    steps: &'a [Step],
    ground: &'a Ground<'a>,
    journal: &'a Journal,
    writer: Writer,
    /// Objects that this run has changed: their planned digests no longer hold.
    changed: RefCell<BTreeSet<Address>>,
    /// Facts of done steps.
    done: BTreeMap<StepId, Facts>,
    /// Why each step is in the plan: the reason of its change.
    reasons: BTreeMap<&'a StepId, &'a str>,
    outcome: Outcome,
    findings: Vec<Finding>,
    stale: bool,
    /// The present step's intent is on disk, so its request may have left.
    begun: Cell<bool>,
    /// The journal can't be written any more: nothing else may be sent.
    halted: bool,
}

impl<'a> Run<'a> {
    fn new(admitted: &'a Admitted, ground: &'a Ground<'a>, journal: &'a Journal) -> Self {
        let plan = admitted.plan();
        let reasons = plan.changes.iter().flat_map(|c| c.steps.iter().map(|id| (id, c.reason.as_str())));
        Self {
            steps: &plan.steps,
            ground,
            journal,
            writer: power(admitted, &ground.reader),
            changed: RefCell::default(),
            done: BTreeMap::new(),
            reasons: reasons.collect(),
            outcome: Outcome::default(),
            findings: Vec::new(),
            stale: false,
            begun: Cell::new(false),
            halted: false,
        }
    }

    async fn all(&mut self) {
        for (step, number) in self.steps.iter().zip(1..) {
            match self.obstacle(step) {
                Some(why) => self.skip(step, why),
                None => self.one(step, number).await,
            }
        }
    }

    /// Why a step can't begin: an interrupt, or a step it needs that is not done.
    fn obstacle(&self, step: &Step) -> Option<String> {
        if self.halted {
            return Some("the journal can't be written, so nothing more is sent".into());
        }
        if self.ground.stop.get() {
            return Some("interrupted before it began".into());
        }
        let missing = step.needs.iter().find(|need| !self.done.contains_key(&need.step))?;
        Some(format!("needs `{}` ({}), which is not done", missing.step, missing.rule.as_str()))
    }

    async fn one(&mut self, step: &Step, number: usize) {
        self.began(step, number);
        self.begun.set(false);
        let end = step::run(self, step).await;
        self.ended(step, number, end);
    }

    fn began(&self, step: &Step, number: usize) {
        let (total, address) = (self.steps.len(), step.address.clone());
        self.tell(Event::StepBegan { number, total, address, verb: step.verb });
    }

    /// Tells and files how a step ended.
    fn ended(&mut self, step: &Step, number: usize, end: Result<End, StateError>) {
        let (total, address, verb) = (self.steps.len(), step.address.clone(), step.verb);
        let end = end.unwrap_or_else(|error| self.halt(&error));
        if let End::Done { detail, .. } = &end {
            self.tell(Event::StepDone { number, total, address, verb, detail: detail.clone() });
        } else if let End::Failed(finding) | End::Stale(finding) | End::InDoubt(finding) = &end {
            self.tell(Event::StepFailed { number, total, address, verb, finding: finding.clone() });
        }
        self.file(step, end);
    }

    /// The journal failed. What was begun may have happened; what was not surely did not.
    fn halt(&mut self, error: &StateError) -> End {
        self.halted = true;
        match self.begun.get() {
            true => End::InDoubt(error.finding()),
            false => End::Failed(error.finding()),
        }
    }

    fn file(&mut self, step: &Step, end: End) {
        let (list, finding) = match end {
            End::Done { facts, detail } => {
                self.remember(step, *facts);
                self.outcome.done.push(line(step, detail));
                return;
            }
            End::Failed(finding) => (&mut self.outcome.failed, finding),
            End::InDoubt(finding) => (&mut self.outcome.in_doubt, finding),
            End::Stale(finding) => {
                self.stale = true;
                (&mut self.outcome.failed, finding)
            }
        };
        list.push(line(step, finding.message.clone()));
        self.findings.push(finding);
    }

    fn remember(&mut self, step: &Step, facts: Facts) {
        self.done.insert(step.id.clone(), facts);
    }

    fn skip(&mut self, step: &Step, why: String) {
        self.outcome.not_started.push(line(step, why));
    }

    fn has_changed(&self, address: &Address) -> bool {
        self.changed.borrow().contains(address)
    }

    /// Why a step is in the plan: its change's reason.
    fn reason(&self, step: &Step) -> Option<String> {
        self.reasons.get(&step.id).map(|reason| (*reason).to_owned())
    }

    fn context(&self) -> Context<'_> {
        let Ground { desired, key, env, .. } = self.ground;
        Context { desired, key, env, done: &self.done }
    }

    fn tell(&self, event: Event) {
        (self.ground.events)(event);
    }

    /// Ends the journal in order: what was not begun is given up. A journal that can't be ended is
    /// told, and changes nothing of what became of the steps.
    async fn close(mut self) -> Applied {
        if let Err(error) = self.journal.close(self.ground.env.clock.now()).await {
            self.findings.push(error.finding());
        }
        let nothing_changed = self.outcome.done.is_empty() && self.outcome.in_doubt.is_empty();
        Applied {
            interrupted: self.ground.stop.get(),
            stale: self.stale && nothing_changed,
            outcome: self.outcome,
            findings: self.findings,
        }
    }
}

fn line(step: &Step, detail: String) -> Line {
    Line { step: step.id.clone(), address: step.address.clone(), detail }
}
