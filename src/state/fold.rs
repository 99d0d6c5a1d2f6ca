//! From journal to ledger: the one writer of the ledger. Killed anywhere, run again, it ends the same.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;

use super::journal::{GivenUp, Record};
use super::ledger::{self, Entry, Finished, Line};
use super::replay::{self, Ended, Stage, StepLog, Unfinished};
use super::{StateDir, StateError, atomic};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::sha256_hex;

/// What a fold did.
#[derive(Debug, Default)]
pub struct Folded {
    /// Steps that were new to the ledger.
    pub appended: usize,
    /// Where the journal went, if nothing is left to settle.
    pub archived: Option<PathBuf>,
    /// Torn last lines.
    pub findings: Vec<Finding>,
}

/// Brings finished steps of the current journal into the ledger, in plan order, then archives the
/// journal if it is over ([`Unfinished::is_over`]). Call it under the state's lock.
pub fn fold(dir: &StateDir) -> Result<Folded, StateError> {
    let read = replay::read(dir)?;
    let Some(journal) = read.journal else {
        return if read.exists { drop_stillborn(dir) } else { Ok(Folded::default()) };
    };
    let ledger = ledger::read(dir)?;
    let known = ledger.known();
    let plan = Approved { digest: sha256_hex(&journal.plan), outside_window: journal.outside_window() };
    let logs = journal.in_plan_order().into_iter();
    let new = logs.filter(|log| !known.contains(&(journal.apply_id.as_str(), &log.step)));
    let mut batch: Vec<Line> = new.filter_map(|log| line(&journal, &plan, log)).collect();
    batch.extend(abandoned(&journal).filter(|_| !ledger.abandons(&journal.apply_id)));
    let appended = batch.len();
    if appended > 0 {
        ledger.append(dir, batch)?;
        dir.kept("the ledger")?;
    }
    let archived = if journal.is_over() { Some(archive(dir, &journal)?) } else { None };
    if archived.is_some() {
        dir.kept("the archived journal")?;
    }
    let findings = journal.findings.into_iter().chain(ledger.findings).collect();
    Ok(Folded { appended, archived, findings })
}

/// What every line says of the plan. It is read once: a plan can be as long as its journal.
struct Approved {
    digest: String,
    outside_window: Option<String>,
}

/// The ledger's line of a step that happened; none for one that did not, or that nobody knows of.
fn line(journal: &Unfinished, plan: &Approved, log: &StepLog) -> Option<Line> {
    match log.stage {
        Stage::Done | Stage::Failed => {}
        Stage::Began | Stage::Answered | Stage::Delivered | Stage::Refused | Stage::InDoubt => return None,
    }
    let (reason, rationale) = match &log.reason {
        Some(reason) => (Some(reason.clone()), log.rationale.clone()),
        // a journal of version 1
        None => (log.rationale.clone(), None),
    };
    let finished = Finished {
        apply: journal.apply_id.clone(),
        plan: Some(plan.digest.clone()),
        approvals: journal.approvals.clone(),
        outside_window: plan.outside_window.clone(),
        step: log.step.clone(),
        address: log.address.clone(),
        verb: log.verb,
        rationale,
        facts: log.facts.clone(),
        delivered: log.delivered.clone(),
    };
    let entry = Entry::Step(Box::new(finished));
    Some(Line { at: finished_at(log), by: journal.by.clone(), reason, entry })
}

/// The ledger's line of an apply that a person gave up.
fn abandoned(journal: &Unfinished) -> Option<Line> {
    let Some(Ended::GivenUp(given_up)) = &journal.ended else { return None };
    let GivenUp { at, by, reason, in_doubt, not_begun } = (**given_up).clone();
    let entry = Entry::Abandoned { apply: journal.apply_id.clone(), in_doubt, not_begun };
    reason.map(|reason| Line { at, by, reason: Some(reason), entry })
}

fn finished_at(log: &StepLog) -> Timestamp {
    match &log.last {
        Record::Done { at, .. } | Record::Failed { at, .. } => *at,
        _ => log.began_at,
    }
}

fn archive(dir: &StateDir, journal: &Unfinished) -> Result<PathBuf, StateError> {
    let from = dir.journal_path();
    let to = from.with_file_name(format!("{}.jsonl", journal.apply_id));
    let moved = fs::rename(&from, &to).and_then(|()| atomic::sync_folder(atomic::folder(&to)));
    moved.map_err(StateError::io("archive", &from))?;
    Ok(to)
}

/// A journal without its first line: `Began` waits for that line, so nothing had begun.
fn drop_stillborn(dir: &StateDir) -> Result<Folded, StateError> {
    let path = dir.journal_path();
    let removed = fs::remove_file(&path).and_then(|()| atomic::sync_folder(atomic::folder(&path)));
    removed.map_err(StateError::io("remove", &path))?;
    let told = format!("{} had no whole first line; no step had begun, so it was removed", path.display());
    Ok(Folded { findings: vec![Finding::new(code::STATE_TORN, told)], ..Folded::default() })
}

#[cfg(test)]
mod tests;
