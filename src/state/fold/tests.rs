//! Folding after every prefix of a journal, torn anywhere, and after every instant of a kill.

use super::*;
use crate::env::Env;
use crate::model::address::Address;
use crate::model::history::{Facts, Receipt};
use crate::model::secret::{DigestKey, Fingerprint, Secret};
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::who::Who;
use crate::state::Holder;
use crate::state::journal::{Journal, give_up};
use crate::state::lines::{to_line, to_summed_line};

fn at() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn print(text: &str) -> Fingerprint {
    DigestKey::new(Secret::new(vec![1; 32])).fingerprint(&Secret::new(text.into()))
}

fn team(name: &str) -> Address {
    Address::connection("ibm", "prod").owner("m").item("team", name)
}

fn id(name: &str) -> StepId {
    StepId::new(Verb::Reset, &team(name), 1)
}

fn ada() -> Who {
    Who { user: Some("ada".into()), host: Some("ci-1".into()), ci: None }
}

fn began(name: &str) -> Record {
    let facts = Facts { old_fingerprint: Some(print("old")), ..Facts::default() };
    Record::Began {
        step: id(name),
        address: team(name),
        verb: Verb::Reset,
        at: at(),
        attempt: 1,
        facts,
        reason: Some("91d old".into()),
        rationale: Some("TRA-12".into()),
    }
}

fn answered(name: &str) -> Record {
    let facts = Facts { fingerprint: Some(print("new")), ..Facts::default() };
    Record::Answered { step: id(name), at: at(), facts }
}

fn delivered(name: &str) -> Record {
    Record::Delivered { step: id(name), at: at(), slot: format!("env#{name}"), fingerprint: print("new") }
}

fn done(name: &str) -> Record {
    Record::Done { step: id(name), at: at(), facts: Facts { remote_id: Some(7), ..Facts::default() } }
}

/// A plan file that has these steps.
fn plan(names: &[&str]) -> String {
    let steps: Vec<_> = names.iter().map(|name| serde_json::json!({ "id": id(name) })).collect();
    serde_json::json!({ "steps": steps }).to_string()
}

fn opened(names: &[&str]) -> Record {
    Record::Opened {
        version: 2,
        apply_id: "a1".into(),
        at: at(),
        by: ada(),
        plan: plan(names),
        approvals: vec![],
    }
}

fn failed(name: &str) -> Record {
    let facts = Facts { remote_id: Some(9), ..Facts::default() };
    Record::Failed { step: id(name), at: at(), reason: "disk full".into(), facts }
}

fn refused(name: &str) -> Record {
    Record::Refused { step: id(name), at: at(), reason: "403".into() }
}

fn in_doubt(name: &str) -> Record {
    Record::InDoubt { step: id(name), at: at(), reason: "no answer".into() }
}

fn state() -> (tempfile::TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    (dir, state)
}

fn put(state: &StateDir, bytes: &[u8]) {
    let path = state.journal_path();
    fs::create_dir_all(atomic::folder(&path)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn put_records(state: &StateDir, records: &[Record]) {
    put(state, &records.iter().flat_map(to_line).collect::<Vec<u8>>());
}

fn story() -> Vec<Record> {
    vec![
        opened(&["a", "b", "c"]),
        began("a"),
        began("b"),
        answered("a"),
        delivered("a"),
        done("a"),
        in_doubt("b"),
        answered("b"),
        failed("b"),
        began("c"),
        refused("c"),
        Record::Closed { at: at() },
    ]
}

#[test]
fn killed_after_any_byte_and_gone_on_with_the_end_is_the_same() {
    let bytes: Vec<u8> = story().iter().flat_map(to_line).collect();
    let (_whole, expected) = state();
    put(&expected, &bytes);
    fold(&expected).unwrap();
    let expected = fs::read(expected.ledger_path()).unwrap();
    let start = to_line(&story()[0]).len();
    for cut in (start..bytes.len()).step_by(7).chain([bytes.len()]) {
        let (_dir, state) = state();
        put(&state, &bytes[..cut]);
        fold(&state).unwrap();
        fold(&state).unwrap();
        // a run after the crash finds the journal, unless all was settled before, and ends it
        if state.journal_path().exists() {
            put(&state, &bytes);
        }
        let last = fold(&state).unwrap();
        assert!(last.archived.is_some() || cut >= bytes.len() - to_line(&story()[11]).len(), "{cut}");
        assert_eq!(fs::read(state.ledger_path()).unwrap(), expected, "cut at {cut}");
        assert!(state.unfinished().unwrap().is_none());
    }
}

#[test]
fn a_fold_killed_while_appending_is_completed_by_the_next() {
    let (_dir, state) = state();
    put_records(&state, &story());
    let journal = fs::read(state.journal_path()).unwrap();
    fold(&state).unwrap();
    let ledger = fs::read(state.ledger_path()).unwrap();
    for cut in 0..ledger.len() {
        put(&state, &journal);
        fs::write(state.ledger_path(), &ledger[..cut]).unwrap();
        let folded = fold(&state).unwrap();
        assert_eq!(fs::read(state.ledger_path()).unwrap(), ledger, "cut at {cut}");
        assert!(folded.archived.is_some());
    }
}

#[test]
fn a_fold_killed_before_archiving_adds_nothing_twice() {
    let (_dir, state) = state();
    put_records(&state, &story());
    let journal = fs::read(state.journal_path()).unwrap();
    assert_eq!(fold(&state).unwrap().appended, 2);
    put(&state, &journal);
    let again = fold(&state).unwrap();
    assert_eq!((again.appended, again.archived.is_some()), (0, true));
    assert_eq!(ledger::read(&state).unwrap().lines.len(), 2);
}

#[test]
fn done_and_failed_are_remembered_with_all_their_facts_and_refused_is_not() {
    let (_dir, state) = state();
    put_records(&state, &story());
    let archived = fold(&state).unwrap().archived.unwrap();
    assert!(archived.ends_with("journal/a1.jsonl") && archived.exists());
    let lines = ledger::read(&state).unwrap().lines;
    let a = &lines[0];
    assert_eq!((&a.by, a.reason.as_deref()), (&ada(), Some("91d old")));
    let a = a.entry.step().unwrap();
    assert_eq!(a.facts.old_fingerprint, Some(print("old")));
    assert_eq!((a.facts.fingerprint.clone(), a.facts.remote_id), (Some(print("new")), Some(7)));
    assert_eq!(a.delivered["env#a"], Receipt { fingerprint: print("new"), at: Some(at()) });
    assert_eq!(a.rationale.as_deref(), Some("TRA-12"));
    assert_eq!(a.plan, Some(sha256_hex(plan(&["a", "b", "c"]).as_bytes())));
    let b = lines[1].entry.step().unwrap();
    assert_eq!((&b.step, b.facts.remote_id), (&id("b"), Some(9)));
    let (history, _) = state.history().unwrap();
    assert!(history.objects.contains_key(&team("b")) && !history.objects.contains_key(&team("c")));
}

/// `a` and `b` are of two lanes: which was faster says nothing.
#[test]
fn lines_stand_in_plan_order_whatever_the_timing_was() {
    let folded = |records: Vec<Record>| {
        let (_dir, state) = state();
        put_records(&state, &[&[opened(&["a", "b"])][..], &records].concat());
        fold(&state).unwrap();
        let steps = ledger::read(&state).unwrap().lines.into_iter();
        let steps: Vec<_> = steps.map(|line| line.entry.step().unwrap().step.clone()).collect();
        (steps, fs::read(state.ledger_path()).unwrap())
    };
    let in_turn = folded(vec![began("a"), done("a"), began("b"), done("b")]);
    assert_eq!(in_turn.0, [id("a"), id("b")]);
    assert_eq!(folded(vec![began("b"), began("a"), done("b"), done("a")]), in_turn);
}

/// Folds a journal and says what is left of it.
fn left(records: &[Record]) -> (Option<Unfinished>, usize) {
    let (_dir, state) = state();
    put_records(&state, records);
    let folded = fold(&state).unwrap();
    let left = state.unfinished().unwrap();
    assert_eq!(folded.archived.is_none(), left.is_some());
    (left, ledger::read(&state).unwrap().lines.len())
}

#[test]
fn a_journal_stays_while_something_is_to_be_settled() {
    let closed = Record::Closed { at: at() };
    let doubt = [opened(&["a"]), began("a"), in_doubt("a"), closed.clone()];
    let (journal, lines) = left(&doubt);
    let journal = journal.unwrap();
    let log = journal.step(&id("a")).unwrap();
    assert_eq!(
        (log.stage, log.facts.old_fingerprint.clone(), lines),
        (Stage::InDoubt, Some(print("old")), 0)
    );
    assert_eq!(journal.plan, plan(&["a"]).into_bytes());

    // killed between two steps: the second was not given up
    let (journal, lines) = left(&[opened(&["a", "b"]), began("a"), done("a")]);
    assert!(journal.is_some() && lines == 1);
    // given up
    assert!(left(&[opened(&["a", "b"]), began("a"), done("a"), closed.clone()]).0.is_none());
    // all begun and finished, killed before the end was written
    assert!(left(&[opened(&["a"]), began("a"), done("a")]).0.is_none());
    // closed once, then resumed and killed
    assert!(left(&[opened(&["a", "b"]), began("a"), in_doubt("a"), closed, done("a")]).0.is_some());
    // refused, then tried again
    let (journal, _) = left(&[opened(&["a"]), began("a"), refused("a"), began("a")]);
    assert_eq!(journal.unwrap().steps[0].stage, Stage::Began);
}

#[test]
fn a_paused_journal_stays_and_may_wait_unless_something_is_in_doubt() {
    let paused = Record::Paused { at: at() };
    let refused_one = [opened(&["a", "b"]), began("a"), done("a"), began("b"), refused("b"), paused.clone()];
    let (journal, lines) = left(&refused_one);
    assert!(journal.unwrap().may_wait() && lines == 1);
    // what surely did not happen is still to be done
    assert!(left(&refused_one[..5]).0.is_some_and(|journal| !journal.may_wait()));
    let doubt = [opened(&["a", "b"]), began("a"), in_doubt("a"), paused.clone()];
    assert!(left(&doubt).0.is_some_and(|journal| !journal.may_wait()));
    // nothing is left of it
    assert!(left(&[opened(&["a"]), began("a"), done("a"), paused]).0.is_none());
}

fn given_up(reason: Option<&str>) -> GivenUp {
    GivenUp {
        at: at(),
        by: ada(),
        reason: reason.map(str::to_owned),
        in_doubt: [(id("a"), "read the key".to_owned())].into(),
        not_begun: vec![id("b")],
    }
}

#[test]
fn what_a_person_gave_up_is_archived_and_in_the_ledger_once() {
    let (_dir, state) = state();
    put_records(&state, &[opened(&["c", "a", "b"]), began("c"), done("c"), began("a"), in_doubt("a")]);
    give_up(&state, given_up(Some("the team is gone"))).unwrap();
    let journal = fs::read(state.journal_path()).unwrap();
    let archived = fold(&state).unwrap().archived.unwrap();
    // killed before archiving
    put(&state, &journal);
    fs::remove_file(&archived).unwrap();
    fold(&state).unwrap();
    assert_eq!(fs::read(archived).unwrap(), journal, "nothing is lost");
    assert!(state.unfinished().unwrap().is_none());
    let lines = ledger::read(&state).unwrap().lines;
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[1].reason.as_deref(), &lines[1].by), (Some("the team is gone"), &ada()));
    let Entry::Abandoned { apply, in_doubt, not_begun } = &lines[1].entry else { panic!("{lines:?}") };
    assert_eq!(
        (apply.as_str(), in_doubt[&id("a")].as_str(), &not_begun[..]),
        ("a1", "read the key", &[id("b")][..])
    );
    let (history, _) = state.history().unwrap();
    assert!(history.objects.contains_key(&team("c")) && !history.objects.contains_key(&team("a")));
}

#[test]
fn a_plan_whose_place_another_took_leaves_no_line_and_nothing_behind_it_counts() {
    let (_dir, state) = state();
    put_records(&state, &[opened(&["a"]), began("a"), refused("a"), Record::Paused { at: at() }]);
    give_up(&state, given_up(None)).unwrap();
    assert!(fold(&state).unwrap().archived.is_some());
    assert!(ledger::read(&state).unwrap().lines.is_empty());
    put_records(&state, &[opened(&["a"]), Record::GivenUp(given_up(None)), began("a")]);
    assert!(fold(&state).unwrap_err().to_string().contains("line 3"));
}

#[test]
fn damage_before_the_last_line_stops_and_names_the_line() {
    let cases: [(&str, Vec<Record>); 4] = [
        ("line 2", vec![opened(&["a"]), opened(&["a"])]),
        ("line 2", vec![opened(&["a"]), done("a")]),
        ("line 4", vec![opened(&["a"]), began("a"), done("a"), began("a")]),
        ("line 1", vec![began("a")]),
    ];
    for (place, records) in cases {
        let (_dir, state) = state();
        put_records(&state, &records);
        let error = fold(&state).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
        assert!(state.journal_path().exists());
    }
    let (_dir, state) = state();
    put(&state, &[to_line(&opened(&[])), b"{\"done\n".to_vec(), to_line(&began("a"))].concat());
    assert!(fold(&state).unwrap_err().to_string().contains("line 2"));
}

/// One changed bit is another valid fingerprint or time: only the checksum shows it.
#[test]
fn a_changed_byte_stops_and_the_line_is_named() {
    let lines: Vec<Vec<u8>> = story().iter().map(to_summed_line).collect();
    for (number, line) in (1..).zip(&lines) {
        for at in (0..line.len()).step_by(17).chain([line.len() - 1]) {
            let (_dir, state) = state();
            let mut bytes = lines.concat();
            bytes[lines[..number - 1].concat().len() + at] ^= 1;
            put(&state, &bytes);
            match fold(&state) {
                Err(StateError::Damaged { line, .. }) => assert_eq!(line, number),
                // a changed version is told as such
                Err(StateError::Newer { .. }) if number == 1 => {}
                other => panic!("byte {at} of line {number}: {other:?}"),
            }
            assert!(state.journal_path().exists() && !state.ledger_path().exists());
        }
    }
}

#[test]
fn a_newer_journal_is_refused_whatever_it_holds() {
    let (_dir, state) = state();
    put(&state, b"{\"opened\":{\"version\":3,\"other\":[]}}\n{\"odd\":1}\n");
    assert!(matches!(fold(&state), Err(StateError::Newer { found: 3, ours: 2, .. })));
}

#[test]
fn a_journal_torn_in_its_first_line_never_was() {
    let (_dir, state) = state();
    put(&state, b"{\"opened\":{\"ver");
    assert!(state.unfinished().unwrap().is_none());
    assert_eq!(fold(&state).unwrap().findings.len(), 1);
    Journal::create(&state, "a2", at(), b"{}").unwrap();
}

#[tokio::test]
async fn the_holder_of_the_lock_is_in_the_ledger() {
    let (_dir, state) = state();
    let env = Env { vars: crate::env::Vars::only(Default::default()), ..Env::system() };
    let holder = Holder { by: ada(), ..Holder::this(&env, "tokenform apply") };
    let _lock = state.lock(&holder).unwrap();
    let journal = Journal::create(&state, "a1", at(), plan(&["a"]).as_bytes()).unwrap();
    journal.record(began("a")).await.unwrap();
    journal.record(done("a")).await.unwrap();
    journal.close(at()).await.unwrap();
    fold(&state).unwrap();
    assert_eq!(ledger::read(&state).unwrap().lines[0].by, ada());
}

#[test]
fn a_journal_of_version_1_is_folded_too() {
    let (_dir, state) = state();
    let text = [opened(&["a"]), began("a"), done("a")].iter().flat_map(to_line).collect::<Vec<u8>>();
    let text = String::from_utf8(text).unwrap();
    let by = r#""by":{"user":"ada","host":"ci-1"}"#;
    let text = text.replace(by, r#""by":"ada@ci-1""#).replace(r#""version":2"#, r#""version":1"#);
    put(&state, text.replace(r#""reason":"91d old","#, "").as_bytes());
    fold(&state).unwrap();
    let line = &ledger::read(&state).unwrap().lines[0];
    let rationale = &line.entry.step().unwrap().rationale;
    assert_eq!((&line.by, line.reason.as_deref(), rationale), (&ada(), Some("TRA-12"), &None));
}
