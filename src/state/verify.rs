//! Whether the ledger is whole: its chain, and what else in the state folder tells of it.
//!
//! A chain proves that nothing inside it was changed. It can't prove that nothing was cut off its
//! end: only something else that names a later line can. Every journal does: its plan names the line
//! that was the last when it was made, and its finished steps were brought into the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ledger::{self, Finished, Survey};
use super::replay::{self, Stage, Unfinished};
use super::{StateDir, StateError};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::sha256_hex;

/// What verifying found.
#[derive(Debug)]
pub struct Verified {
    pub survey: Survey,
    /// Journals of applies that have ended, which were held against the ledger.
    pub journals: usize,
    /// What is wrong, the ledger's own damage first. Empty: it is whole.
    pub problems: Vec<Finding>,
    /// What is to be known and is not damage.
    pub notes: Vec<Finding>,
}

/// Verifies the ledger against itself, against the journals beside it, and against heads that
/// somebody kept elsewhere. Reads only, takes no lock, needs no key.
pub fn verify(dir: &StateDir, heads: &[String]) -> Result<Verified, StateError> {
    // journals first: one that is archived meanwhile has its steps in the ledger already
    let in_flight = dir.journal_path().exists();
    let archives = archives(dir)?;
    let survey = ledger::survey(dir)?;
    let view = View::of(dir, &survey);
    let mut problems: Vec<Finding> = survey.damage.iter().map(StateError::finding).collect();
    for head in heads.iter().filter(|head| !view.hashes.contains(head.as_str())) {
        let told = format!("no line of {} has the hash {head}: lines were cut off or changed", view.name());
        problems.push(Finding::new(code::STATE_DAMAGED, told));
    }
    for path in &archives {
        view.hold_against(path, &mut problems);
    }
    let mut notes = Vec::new();
    match &survey.torn {
        Some(torn) if in_flight => notes.push(torn.clone()),
        Some(torn) => problems.push(Finding::new(code::STATE_DAMAGED, torn.message.clone())),
        None => {}
    }
    Ok(Verified { journals: archives.len(), problems, notes, survey })
}

/// Journals of applies that have ended, in the order of their names, which is that of time.
fn archives(dir: &StateDir) -> Result<Vec<PathBuf>, StateError> {
    let current = dir.journal_path();
    let folder = super::atomic::folder(&current);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StateError::io("read the folder", folder)(error)),
    };
    let mut archives = Vec::new();
    for entry in entries {
        let path = entry.map_err(StateError::io("read the folder", folder))?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|e| e == "jsonl") && replay::is_apply_id(name) {
            archives.push(path);
        }
    }
    archives.sort();
    Ok(archives)
}

/// The ledger by hash and by step.
struct View<'a> {
    ledger: PathBuf,
    hashes: BTreeSet<&'a str>,
    steps: BTreeMap<(&'a str, &'a str), &'a Finished>,
}

/// The part of a plan file that names a line of the ledger.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    ledger_head: Option<String>,
}

impl<'a> View<'a> {
    fn of(dir: &StateDir, survey: &'a Survey) -> Self {
        let steps = survey.rows.iter().filter_map(|row| row.line.entry.step());
        Self {
            ledger: dir.ledger_path(),
            hashes: survey.rows.iter().map(|row| row.hash.as_str()).collect(),
            steps: steps.map(|step| ((step.apply.as_str(), step.step.as_str()), step)).collect(),
        }
    }

    fn name(&self) -> String {
        self.ledger.display().to_string()
    }

    fn hold_against(&self, path: &Path, problems: &mut Vec<Finding>) {
        let mut tell = |told: String| problems.push(Finding::new(code::STATE_DAMAGED, told));
        let journal = match replay::read_file(path) {
            Ok(Some(journal)) => journal,
            Ok(None) => return tell(format!("{} holds no journal", path.display())),
            Err(error) => return problems.push(error.finding()),
        };
        if path.file_stem().is_none_or(|name| name != journal.apply_id.as_str()) {
            tell(format!("{} is the journal of apply {}", path.display(), journal.apply_id));
        }
        let head = serde_json::from_slice::<Head>(&journal.plan).ok().and_then(|plan| plan.ledger_head);
        if let Some(head) = head.filter(|head| !self.hashes.contains(head.as_str())) {
            tell(format!(
                "the plan of apply {} names line {head}, which {} does not have: lines were cut off or changed",
                journal.apply_id,
                self.name()
            ));
        }
        let (missing, other) = self.compare(&journal);
        if !missing.is_empty() {
            let (id, steps) = (&journal.apply_id, missing.join(", "));
            tell(format!("{} lacks what apply {id} has done: {steps}", self.name()));
        }
        if !other.is_empty() {
            let (id, steps) = (&journal.apply_id, other.join(", "));
            tell(format!("{} tells otherwise than the journal of apply {id}: {steps}", self.name()));
        }
    }

    /// The finished steps of a journal that the ledger lacks, and those of which it tells otherwise.
    fn compare(&self, journal: &Unfinished) -> (Vec<String>, Vec<String>) {
        let plan = sha256_hex(&journal.plan);
        let (mut missing, mut other) = (Vec::new(), Vec::new());
        for log in journal.steps.iter().filter(|log| matches!(log.stage, Stage::Done | Stage::Failed)) {
            let step = self.steps.get(&(journal.apply_id.as_str(), log.step.as_str()));
            let Some(step) = step else {
                missing.push(log.step.to_string());
                continue;
            };
            let same_plan = step.plan.as_ref().is_none_or(|of| *of == plan);
            let delivered = step.delivered.iter().map(|(slot, receipt)| (slot, &receipt.fingerprint));
            let journaled = log.delivered.iter().map(|(slot, receipt)| (slot, &receipt.fingerprint));
            if !same_plan || step.facts != log.facts || !delivered.eq(journaled) {
                other.push(log.step.to_string());
            }
        }
        (missing, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::history::Facts;
    use crate::model::step::StepId;
    use crate::model::verb::Verb;
    use crate::model::who::Who;
    use crate::state::journal::{Record, VERSION};
    use crate::state::lines::to_line;
    use crate::state::{atomic, fold};

    fn at() -> jiff::Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn team(name: &str) -> Address {
        Address::connection("ibm", "prod").owner("m").item("team", name)
    }

    /// Applies a plan that resets one team, as far as the state folder shows it.
    fn applied(dir: &StateDir, id: &str, name: &str) {
        let step = StepId::new(Verb::Reset, &team(name), 1);
        let head = ledger::read(dir).unwrap().head;
        let plan = serde_json::json!({ "ledger_head": head, "steps": [{ "id": step }] }).to_string();
        let records = [
            Record::Opened {
                version: VERSION,
                apply_id: id.into(),
                at: at(),
                by: Who::default(),
                plan,
                approvals: vec![],
            },
            Record::Began {
                step: step.clone(),
                address: team(name),
                verb: Verb::Reset,
                at: at(),
                attempt: 1,
                facts: Facts { remote_id: Some(1), ..Facts::default() },
                reason: None,
                rationale: None,
            },
            Record::Done { step, at: at(), facts: Facts::default() },
        ];
        let path = dir.journal_path();
        fs::create_dir_all(atomic::folder(&path)).unwrap();
        fs::write(path, records.iter().flat_map(to_line).collect::<Vec<u8>>()).unwrap();
        assert!(fold(dir).unwrap().archived.is_some());
    }

    fn three() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        for n in 1..=3 {
            applied(&dir, &format!("a{n}"), &format!("t{n}"));
        }
        (folder, dir)
    }

    fn problems(dir: &StateDir) -> Vec<String> {
        verify(dir, &[]).unwrap().problems.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_ledger_that_its_journals_agree_with_is_whole() {
        let (_folder, dir) = three();
        let head = ledger::read(&dir).unwrap().head.unwrap();
        let verified = verify(&dir, &[head]).unwrap();
        assert_eq!((verified.problems.len(), verified.journals, verified.survey.rows.len()), (0, 3, 3));
        let empty = tempfile::tempdir().unwrap();
        assert!(problems(&StateDir::open(empty.path()).unwrap()).is_empty());
    }

    #[test]
    fn a_tail_that_was_cut_off_is_missed_by_journals_plans_and_kept_heads() {
        let (_folder, dir) = three();
        let head = ledger::read(&dir).unwrap().head.unwrap();
        let text = fs::read_to_string(dir.ledger_path()).unwrap();
        let first = text.split_inclusive('\n').next().unwrap();
        fs::write(dir.ledger_path(), first).unwrap();
        let told = problems(&dir);
        assert!(told[0].contains("lacks what apply a2 has done"), "{told:?}");
        assert!(told[1].contains("the plan of apply a3 names line"), "{told:?}");
        // the thief took the journals along: a head that was kept elsewhere still tells
        for n in 2..=3 {
            fs::remove_file(dir.journal_path().with_file_name(format!("a{n}.jsonl"))).unwrap();
        }
        assert!(problems(&dir).is_empty());
        assert!(verify(&dir, &[head]).unwrap().problems[0].message.contains("no line of"));
        fs::remove_file(dir.ledger_path()).unwrap();
        assert!(problems(&dir)[0].contains("lacks what apply a1 has done"));
    }

    /// A forger who chains everything anew.
    #[test]
    fn a_ledger_that_was_written_anew_tells_otherwise_than_its_journals() {
        let (_folder, dir) = three();
        let mut lines = ledger::read(&dir).unwrap().lines;
        let ledger::Entry::Step(step) = &mut lines[0].entry else { panic!() };
        step.facts.remote_id = Some(2);
        fs::remove_file(dir.ledger_path()).unwrap();
        ledger::Ledger::default().append(&dir, lines).unwrap();
        ledger::read(&dir).unwrap();
        let told = problems(&dir);
        assert!(told[0].contains("otherwise than the journal of apply a1"), "{told:?}");
        assert!(told[1].contains("the plan of apply a2 names line"), "{told:?}");
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let (_folder, dir) = three();
        let whole = fs::read(dir.ledger_path()).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(dir.ledger_path(), &bytes).unwrap();
            assert!(!problems(&dir).is_empty(), "byte {at}");
        }
    }

    #[test]
    fn half_a_line_is_damage_unless_an_apply_can_complete_it() {
        let (_folder, dir) = three();
        let text = fs::read_to_string(dir.ledger_path()).unwrap();
        fs::write(dir.ledger_path(), &text[..text.len() - 9]).unwrap();
        let archive = dir.journal_path().with_file_name("a3.jsonl");
        assert!(problems(&dir).iter().any(|told| told.contains("was not written whole")));
        fs::rename(&archive, dir.journal_path()).unwrap();
        let verified = verify(&dir, &[]).unwrap();
        assert_eq!((verified.problems.len(), verified.notes.len()), (0, 1));
    }

    #[test]
    fn a_journal_that_was_changed_is_told_too() {
        let (_folder, dir) = three();
        let path = |n| dir.journal_path().with_file_name(format!("a{n}.jsonl"));
        fs::write(path(1), b"rubbish\n").unwrap();
        fs::copy(path(3), path(2)).unwrap();
        let told = problems(&dir);
        assert!(
            told[0].contains("a1.jsonl line 1") && told[1].contains("is the journal of apply a3"),
            "{told:?}"
        );
    }
}
