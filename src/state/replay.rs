//! What a journal says: the plan, and how far each step came.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::{GivenUp, Record, VERSION};
use super::lines::{self, Whole};
use super::{StateDir, StateError};
use crate::model::address::Address;
use crate::model::approval::Approval;
use crate::model::asked::Asked;
use crate::model::finding::Finding;
use crate::model::history::{Facts, Receipt};
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::who::Who;

/// An apply as its journal tells it.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub apply_id: String,
    /// When the apply began.
    pub at: Timestamp,
    pub by: Who,
    /// The sealed plan file's bytes.
    pub plan: Vec<u8>,
    /// Signatures over it that counted.
    pub approvals: Vec<Approval>,
    /// Steps that began, in the order in which they first did.
    pub steps: Vec<StepLog>,
    /// How the last run ended, if it ended in order.
    pub ended: Option<Ended>,
    /// A torn last line, if there was one.
    pub findings: Vec<Finding>,
    /// Where each step stands in `steps`.
    index: BTreeMap<StepId, usize>,
}

/// How a run ended that was not interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is to go on.
    Closed,
    /// What is left can go on.
    Paused,
    GivenUp(Box<GivenUp>),
}

/// How far one step came.
#[derive(Clone, Debug)]
pub struct StepLog {
    pub step: StepId,
    pub address: Address,
    pub verb: Verb,
    /// When its last attempt began.
    pub began_at: Timestamp,
    pub attempt: u32,
    pub reason: Option<String>,
    pub rationale: Option<String>,
    /// All facts recorded so far; later ones replace earlier ones.
    pub facts: Facts,
    /// Slot → the value that it was given, and when.
    pub delivered: BTreeMap<String, Receipt>,
    pub stage: Stage,
    pub last: Record,
}

/// Where a step stands after its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its request may have left.
    Began,
    Answered,
    /// At least one destination has its value.
    Delivered,
    Done,
    Refused,
    Failed,
    InDoubt,
}

impl Stage {
    /// Whether nothing is left to settle.
    pub fn finished(self) -> bool {
        match self {
            Self::Done | Self::Refused | Self::Failed => true,
            Self::Began | Self::Answered | Self::Delivered | Self::InDoubt => false,
        }
    }
}

impl Unfinished {
    /// The log of one step, if it began.
    pub fn step(&self, id: &StepId) -> Option<&StepLog> {
        self.index.get(id).map(|at| &self.steps[*at])
    }

    /// Whether nothing is left: it was given up, or every begun step is finished, and the others
    /// were left for good or there are none.
    pub fn is_over(&self) -> bool {
        match self.ended {
            Some(Ended::GivenUp(_)) => true,
            Some(Ended::Closed) => !self.is_in_doubt(),
            Some(Ended::Paused) | None => !self.is_in_doubt() && self.all_happened(),
        }
    }

    /// Steps that began, in the order in which the plan has them: which of two lanes was faster says
    /// nothing.
    pub(super) fn in_plan_order(&self) -> Vec<&StepLog> {
        let planned = self.planned().unwrap_or_default();
        let places: BTreeMap<&StepId, usize> = planned.iter().zip(0..).collect();
        let mut logs: Vec<_> = self.steps.iter().collect();
        // those of a plan that can't be read stay as they began: the sort is stable
        logs.sort_by_key(|log| places.get(&log.step).copied().unwrap_or(usize::MAX));
        logs
    }

    /// Whether a step of it may have happened and is not settled.
    pub fn is_in_doubt(&self) -> bool {
        self.steps.iter().any(|log| !log.stage.finished())
    }

    /// Whether it ended in order with nothing in doubt, so that another apply may take its place.
    pub fn may_wait(&self) -> bool {
        self.ended.is_some() && !self.is_in_doubt()
    }

    /// Steps of its plan that surely did not happen: never begun, or refused.
    pub fn not_done(&self) -> Vec<StepId> {
        let happened = |id: &StepId| self.step(id).is_some_and(|log| log.stage != Stage::Refused);
        self.planned().unwrap_or_default().into_iter().filter(|id| !happened(id)).collect()
    }

    fn all_happened(&self) -> bool {
        let happened =
            |id: &StepId| self.step(id).is_some_and(|log| matches!(log.stage, Stage::Done | Stage::Failed));
        self.planned().is_some_and(|steps| steps.iter().all(happened))
    }

    /// Why its plan could be applied outside of change windows, if it could.
    pub(super) fn outside_window(&self) -> Option<String> {
        serde_json::from_slice::<PlanSteps>(&self.plan).ok()?.asked.outside_window
    }

    /// The steps of the plan, if it can be read.
    fn planned(&self) -> Option<Vec<StepId>> {
        let plan: PlanSteps = serde_json::from_slice(&self.plan).ok()?;
        Some(plan.steps.into_iter().map(|step| step.id).collect())
    }
}

/// The part of a plan file that tells which steps there are, and what was asked for.
#[derive(Deserialize)]
struct PlanSteps {
    #[serde(default)]
    steps: Vec<PlanStep>,
    #[serde(default)]
    asked: Asked,
}

#[derive(Deserialize)]
struct PlanStep {
    id: StepId,
}

/// The current journal, if there is one.
pub(super) struct Read {
    pub journal: Option<Unfinished>,
    /// How many bytes of the file are whole lines.
    pub length: usize,
    /// The file exists. Without a journal in it, it was torn at its first line: nothing had begun.
    pub exists: bool,
}

pub(super) fn read(dir: &StateDir) -> Result<Read, StateError> {
    let path = dir.journal_path();
    let Some(whole) = Whole::read(&path)? else {
        return Ok(Read { journal: None, length: 0, exists: false });
    };
    let length = whole.bytes.len();
    Ok(Read { journal: replayed(&path, whole)?, length, exists: true })
}

/// A journal that was archived; `None` if the file holds none.
pub(super) fn read_file(path: &Path) -> Result<Option<Unfinished>, StateError> {
    Whole::read(path)?.map_or(Ok(None), |whole| replayed(path, whole))
}

fn replayed(path: &Path, whole: Whole) -> Result<Option<Unfinished>, StateError> {
    let mut journal = None;
    for (number, line) in whole.lines() {
        take(&mut journal, path, number, line)?;
    }
    if let Some(journal) = &mut journal {
        journal.findings.extend(whole.torn);
    }
    Ok(journal)
}

/// An apply id is a file name: nothing that leads out of the folder, and not the current journal's.
pub(super) fn is_apply_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !id.is_empty() && id.len() <= 100 && id != "current" && id.bytes().all(plain)
}

fn take(journal: &mut Option<Unfinished>, path: &Path, number: usize, line: &[u8]) -> Result<(), StateError> {
    let damaged = |reason: String| StateError::damaged(path, number, reason);
    match journal {
        None => *journal = Some(opened(path, line)?),
        Some(journal) => {
            let line = lines::unsummed(line).ok_or_else(|| damaged(CHANGED.into()))?;
            let record =
                serde_json::from_slice(&line).map_err(|e| damaged(format!("is not a record: {e}")))?;
            journal.add(record).map_err(|reason| damaged(reason.into()))?;
        }
    }
    Ok(())
}

const CHANGED: &str = "does not match its checksum: the line was changed";

/// The version alone, whatever else a newer first line holds.
#[derive(Deserialize)]
struct Versioned {
    opened: OpenedVersion,
}

#[derive(Deserialize)]
struct OpenedVersion {
    version: u32,
}

fn opened(path: &Path, line: &[u8]) -> Result<Unfinished, StateError> {
    let damaged = |reason: String| StateError::damaged(path, 1, reason);
    let head: Versioned =
        serde_json::from_slice(line).map_err(|e| damaged(format!("is not the start of a journal: {e}")))?;
    if head.opened.version > VERSION {
        return Err(StateError::Newer { path: path.to_owned(), found: head.opened.version, ours: VERSION });
    }
    let line = lines::unsummed(line).ok_or_else(|| damaged(CHANGED.into()))?;
    match serde_json::from_slice(&line) {
        Ok(Record::Opened { version: _, apply_id, at, by, plan, approvals }) if is_apply_id(&apply_id) => {
            Ok(Unfinished {
                apply_id,
                at,
                by,
                plan: plan.into_bytes(),
                approvals,
                steps: Vec::new(),
                ended: None,
                findings: Vec::new(),
                index: BTreeMap::new(),
            })
        }
        Ok(_) => Err(damaged("does not open a journal".into())),
        Err(error) => Err(damaged(format!("is not the start of a journal: {error}"))),
    }
}

impl Unfinished {
    fn add(&mut self, record: Record) -> Result<(), &'static str> {
        if matches!(self.ended, Some(Ended::GivenUp(_))) {
            return Err("stands behind the end of an apply that was given up");
        }
        self.ended = match &record {
            Record::Closed { .. } => Some(Ended::Closed),
            Record::Paused { .. } => Some(Ended::Paused),
            Record::GivenUp(given_up) => Some(Ended::GivenUp(Box::new(given_up.clone()))),
            _ => None,
        };
        match &record {
            Record::Opened { .. } => Err("opens the journal a second time"),
            Record::Closed { .. } | Record::Paused { .. } | Record::GivenUp(_) => Ok(()),
            Record::Began { .. } => self.begin(record),
            Record::Answered { step, facts, .. } => self.advance(step, Stage::Answered, Some(facts), &record),
            Record::Delivered { step, at, slot, fingerprint } => {
                let log = self.advance(step, Stage::Delivered, None, &record);
                let receipt = Receipt { fingerprint: fingerprint.clone(), at: Some(*at) };
                log.map(|()| self.deliver(step, slot, receipt))
            }
            Record::Done { step, facts, .. } => self.advance(step, Stage::Done, Some(facts), &record),
            Record::Refused { step, .. } => self.advance(step, Stage::Refused, None, &record),
            Record::Failed { step, facts, .. } => self.advance(step, Stage::Failed, Some(facts), &record),
            Record::InDoubt { step, .. } => self.advance(step, Stage::InDoubt, None, &record),
        }
    }

    /// A first attempt, or another one after a refusal or a look that said "did not happen".
    fn begin(&mut self, record: Record) -> Result<(), &'static str> {
        let Record::Began { step, address, verb, at, attempt, facts, reason, rationale } = record.clone()
        else {
            return Err("is not a begin");
        };
        let known = self.index.get(&step).copied();
        if known.is_some_and(|i| matches!(self.steps[i].stage, Stage::Done | Stage::Failed)) {
            return Err("begins a finished step again");
        }
        let delivered = BTreeMap::new();
        let stage = Stage::Began;
        let log = StepLog {
            step,
            address,
            verb,
            began_at: at,
            attempt,
            reason,
            rationale,
            facts,
            delivered,
            stage,
            last: record,
        };
        match known {
            Some(i) => self.steps[i] = log,
            None => {
                self.index.insert(log.step.clone(), self.steps.len());
                self.steps.push(log);
            }
        }
        Ok(())
    }

    fn advance(
        &mut self,
        step: &StepId,
        stage: Stage,
        facts: Option<&Facts>,
        record: &Record,
    ) -> Result<(), &'static str> {
        let log = self.log(step).ok_or("is about a step that never began")?;
        if log.stage.finished() {
            return Err("is about a finished step");
        }
        log.stage = stage;
        log.last = record.clone();
        if let Some(facts) = facts {
            log.facts = facts.clone().over(std::mem::take(&mut log.facts));
        }
        Ok(())
    }

    fn log(&mut self, step: &StepId) -> Option<&mut StepLog> {
        self.index.get(step).map(|at| &mut self.steps[*at])
    }

    fn deliver(&mut self, step: &StepId, slot: &str, receipt: Receipt) {
        if let Some(log) = self.log(step) {
            log.delivered.insert(slot.to_owned(), receipt);
        }
    }
}
