//! The write-ahead log of one apply. Intent is durable before its request leaves, so a run that is
//! killed at any instant leaves behind what settling it needs. Never a secret value.
//!
//! One thread takes all waiting records, writes them, syncs once and answers each sender.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{StateDir, StateError, atomic, lines, lock, make_folder, replay};
use crate::env::{Point, Points};
use crate::model::address::Address;
use crate::model::approval::Approval;
use crate::model::history::Facts;
use crate::model::secret::Fingerprint;
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::who::Who;

/// The journal's format version; a newer one is refused, older ones are read.
pub const VERSION: u32 = 2;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The first line: the sealed plan's bytes, so that nothing else is needed to resume.
    Opened {
        version: u32,
        apply_id: String,
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Who::is_unknown")]
        by: Who,
        plan: String,
        /// Signatures over the plan that counted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<Approval>,
    },
    /// Written and synced before the step's request leaves.
    Began {
        step: StepId,
        address: Address,
        verb: Verb,
        at: Timestamp,
        /// From 1.
        attempt: u32,
        facts: Facts,
        /// Why the step is in the plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What the spec says of it; in version 1, the reason.
        rationale: Option<String>,
    },
    /// The vendor's answer, or a look, said that it happened.
    Answered {
        step: StepId,
        at: Timestamp,
        facts: Facts,
    },
    /// One destination has the new value.
    Delivered {
        step: StepId,
        at: Timestamp,
        slot: String,
        fingerprint: Fingerprint,
    },
    Done {
        step: StepId,
        at: Timestamp,
        facts: Facts,
    },
    /// Nothing happened: the vendor said no, or the request surely was not sent.
    Refused {
        step: StepId,
        at: Timestamp,
        reason: String,
    },
    /// It happened, and a later part (a delivery, a proof) did not: the ledger takes it like a done
    /// one with what was delivered, so that the next plan goes on from there.
    Failed {
        step: StepId,
        at: Timestamp,
        reason: String,
        facts: Facts,
    },
    InDoubt {
        step: StepId,
        at: Timestamp,
        reason: String,
    },
    /// The run ended in order, and nothing of the plan is to go on.
    Closed {
        at: Timestamp,
    },
    /// The run ended in order, and a later one can go on with what is left. Not the last line once one does.
    Paused {
        at: Timestamp,
    },
    /// The rest of the plan was given up.
    GivenUp(GivenUp),
}

/// The end of an apply whose rest does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenUp {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Who::is_unknown")]
    pub by: Who,
    /// Why a person gave it up; absent where another plan took its place and nothing was in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Steps that may have happened, each with what a person must look at.
    pub in_doubt: BTreeMap<StepId, String>,
    /// Steps that were never begun, or that surely did not happen.
    pub not_begun: Vec<StepId>,
}

/// An open journal.
pub struct Journal {
    path: PathBuf,
    asks: Option<Sender<Ask>>,
    thread: Option<JoinHandle<()>>,
    points: Points,
}

/// A line to write, and who waits for it.
struct Ask {
    line: Vec<u8>,
    answer: oneshot::Sender<Result<(), StateError>>,
}

impl Journal {
    /// Starts the journal of an apply. `plan` is the sealed plan file's bytes; `apply_id` becomes a
    /// file name (letters, digits, `-` and `_`). An unsettled journal in its place is an error.
    pub fn create(dir: &StateDir, apply_id: &str, at: Timestamp, plan: &[u8]) -> Result<Self, StateError> {
        Self::create_approved(dir, apply_id, at, plan, &[])
    }

    /// The same, with the signatures over the plan that counted.
    pub fn create_approved(
        dir: &StateDir,
        apply_id: &str,
        at: Timestamp,
        plan: &[u8],
        approvals: &[Approval],
    ) -> Result<Self, StateError> {
        let path = dir.journal_path();
        let plan = std::str::from_utf8(plan).ok().filter(|_| replay::is_apply_id(apply_id));
        let Some(plan) = plan else {
            return Err(StateError::damaged(
                &path,
                1,
                "the plan is not UTF-8, or the apply id is no file name",
            ));
        };
        make_folder(atomic::folder(&path))?;
        let opened = Record::Opened {
            version: VERSION,
            apply_id: apply_id.into(),
            at,
            by: dir.by(),
            plan: plan.into(),
            approvals: approvals.to_vec(),
        };
        let line = lines::to_summed_line(&opened);
        // whole or not at all, and never over another one
        atomic::create(&path, &line).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => StateError::Unsettled { path: path.clone() },
            _ => StateError::io("write", &path)(error),
        })?;
        let journal = Self::append_to(dir, path, line.len())?;
        journal.passed()?;
        Ok(journal)
    }

    /// Goes on with the journal of an interrupted apply; what a crash tore is cut off first.
    pub fn reopen(dir: &StateDir) -> Result<Self, StateError> {
        let path = dir.journal_path();
        let read = replay::read(dir)?;
        match read.journal {
            Some(_) => Self::append_to(dir, path, read.length),
            None => Err(StateError::io("reopen", &path)(ErrorKind::NotFound.into())),
        }
    }

    fn append_to(dir: &StateDir, path: PathBuf, length: usize) -> Result<Self, StateError> {
        let file = lines::append_after(&path, length).map_err(StateError::io("open", &path))?;
        Self::with_file(path, file, length, dir.points.clone())
    }

    fn with_file(path: PathBuf, file: File, length: usize, points: Points) -> Result<Self, StateError> {
        let (asks, inbox) = channel();
        let mut pen = Pen { path: path.clone(), file, length, stopped: false };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || pen.serve(&inbox));
        let thread = thread.map_err(StateError::io("start the writer of", &path))?;
        Ok(Self { path, asks: Some(asks), thread: Some(thread), points })
    }

    /// Writes a record; returns once it is on disk. A record that was refused by a full disk is not
    /// in the journal.
    pub async fn record(&self, record: Record) -> Result<(), StateError> {
        let stopped = || StateError::Stopped { path: self.path.clone() };
        let (answer, wait) = oneshot::channel();
        let ask = Ask { line: lines::to_summed_line(&record), answer };
        self.asks.as_ref().ok_or_else(stopped)?.send(ask).map_err(|_| stopped())?;
        wait.await.map_err(|_| stopped())??;
        self.passed()
    }

    fn passed(&self) -> Result<(), StateError> {
        self.points.pass(Point::Recorded).map_err(StateError::io("write", &self.path))
    }

    /// Writes [`Record::Closed`]: the run ended in order. Returns the journal's path; [`super::fold`] comes next.
    pub async fn close(&self, at: Timestamp) -> Result<PathBuf, StateError> {
        self.record(Record::Closed { at }).await?;
        Ok(self.path.clone())
    }

    /// Writes [`Record::Paused`]: the run ended in order, and what is left can go on.
    pub async fn pause(&self, at: Timestamp) -> Result<(), StateError> {
        self.record(Record::Paused { at }).await
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // a panicked writer has already failed every record
            let _ = thread.join();
        }
    }
}

/// Ends the journal of an apply whose rest is given up. [`super::fold`] comes next: it takes what a
/// person gave up into the ledger, and archives the journal.
pub fn give_up(dir: &StateDir, given_up: GivenUp) -> Result<(), StateError> {
    let path = dir.journal_path();
    let length = replay::read(dir)?.length;
    let file = lines::append_after(&path, length).map_err(StateError::io("open", &path))?;
    let line = lines::to_summed_line(&Record::GivenUp(given_up));
    lines::append(&file, &line).map_err(StateError::io("write", &path))?;
    dir.kept("the end of the journal")
}

/// The writing side.
struct Pen {
    path: PathBuf,
    file: File,
    /// Bytes that are known to be whole lines.
    length: usize,
    /// After an error that leaves the file's end unknown nothing is written any more.
    stopped: bool,
}

impl Pen {
    fn serve(&mut self, inbox: &Receiver<Ask>) {
        while let Ok(first) = inbox.recv() {
            let batch: Vec<Ask> = std::iter::once(first).chain(inbox.try_iter()).collect();
            let result = self.write(&batch);
            for ask in batch {
                // a sender that went away doesn't want the answer
                let _ = ask.answer.send(result.clone());
            }
        }
    }

    fn write(&mut self, batch: &[Ask]) -> Result<(), StateError> {
        if self.stopped {
            return Err(StateError::Stopped { path: self.path.clone() });
        }
        let bytes: Vec<u8> = batch.iter().flat_map(|ask| &ask.line).copied().collect();
        if let Err(error) = (&self.file).write_all(&bytes) {
            // full: there may be room again later
            self.stopped = self.take_back().is_err();
            return Err(StateError::io("write", &self.path)(error));
        }
        if let Err(error) = self.file.sync_data() {
            // what the disk has of it is unknown, and another sync would not tell
            self.stopped = true;
            let _ = self.take_back();
            return Err(StateError::io("write", &self.path)(error));
        }
        if !lock::is_in_place(&self.file, &self.path) {
            self.stopped = true;
            return Err(StateError::Gone { path: self.path.clone() });
        }
        self.length += bytes.len();
        Ok(())
    }

    /// Cuts a half-written batch off, so that the next one does not stand behind torn bytes.
    fn take_back(&self) -> std::io::Result<()> {
        self.file.set_len(u64::try_from(self.length).unwrap_or(u64::MAX))?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    fn at() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        (dir, state)
    }

    #[tokio::test]
    async fn records_are_on_disk_when_the_wait_ends() {
        let (_dir, state) = state();
        let journal = Journal::create(&state, "a1", at(), b"{}").unwrap();
        journal.record(Record::Closed { at: at() }).await.unwrap();
        let text = std::fs::read_to_string(journal.path()).unwrap();
        let sums = ["697f05bdaf681aac", "bc7cf9e869edef8a"];
        let expected = format!(
            "{{\"opened\":{{\"version\":2,\"apply_id\":\"a1\",\"at\":\"2026-11-22T10:00:00Z\",\"plan\":\"{{}}\"}},\"sum\":\"{}\"}}\n\
             {{\"closed\":{{\"at\":\"2026-11-22T10:00:00Z\"}},\"sum\":\"{}\"}}\n",
            sums[0], sums[1]
        );
        assert_eq!(text, expected);
    }

    #[tokio::test]
    async fn records_of_many_tasks_are_all_there_and_whole() {
        let (_dir, state) = state();
        let journal = Journal::create(&state, "a1", at(), b"{}").unwrap();
        let all = (0..200).map(|_| journal.record(Record::Closed { at: at() }));
        for result in futures_util::future::join_all(all).await {
            result.unwrap();
        }
        let path = journal.close(at()).await.unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 202);
    }

    #[test]
    fn a_second_journal_and_a_bad_id_are_refused() {
        let (_dir, state) = state();
        let _first = Journal::create(&state, "a1", at(), b"{}").unwrap();
        assert!(matches!(Journal::create(&state, "a2", at(), b"{}"), Err(StateError::Unsettled { .. })));
        for id in ["", "../x", "current", "a b"] {
            assert!(Journal::create(&state, id, at(), b"{}").is_err(), "{id}");
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told_to_every_sender() {
        let Ok(full) = OpenOptions::new().append(true).open("/dev/full") else { return };
        let journal = Journal::with_file("/dev/full".into(), full, 0, Points::default()).unwrap();
        let results =
            futures_util::future::join_all((0..3).map(|_| journal.record(Record::Closed { at: at() })));
        for result in results.await {
            assert!(result.is_err());
        }
        let text = journal.record(Record::Closed { at: at() }).await.unwrap_err().to_string();
        assert!(text.contains("/dev/full"), "{text}");
    }

    /// Nothing may be sent on the word of a file that no later run will find.
    #[tokio::test]
    async fn a_journal_that_was_removed_or_replaced_is_written_no_more() {
        for replaced in [false, true] {
            let (_dir, state) = state();
            let journal = Journal::create(&state, "a1", at(), b"{}").unwrap();
            std::fs::remove_file(journal.path()).unwrap();
            if replaced {
                std::fs::write(journal.path(), "").unwrap();
            }
            let error = journal.record(Record::Closed { at: at() }).await.unwrap_err();
            assert!(matches!(error, StateError::Gone { .. }), "{error}");
            let error = journal.record(Record::Closed { at: at() }).await.unwrap_err();
            assert!(matches!(error, StateError::Stopped { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn a_reopened_journal_cuts_off_what_a_crash_tore() {
        let (_dir, state) = state();
        drop(Journal::create(&state, "a1", at(), b"{}").unwrap());
        let path = state.journal_path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"clo");
        std::fs::write(&path, &bytes).unwrap();
        let journal = Journal::reopen(&state).unwrap();
        journal.close(at()).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().nth(1).unwrap().starts_with("{\"closed\""), "{text}");
    }
}
