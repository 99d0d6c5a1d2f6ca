use std::fs;

use super::*;
use crate::env::Env;
use crate::model::address::Address;
use crate::model::history::{Facts, Receipt};
use crate::model::secret::{DigestKey, Secret};
use crate::model::verb::Verb;
use crate::model::who::Who;
use crate::state::Holder;

fn line(n: usize) -> Line {
    let address = Address::connection("ibm", "prod").owner("m").item("team", &format!("t{n}"));
    let at = "2026-11-22T10:00:00Z".parse().unwrap();
    let key = DigestKey::new(Secret::new(vec![1; 32]));
    let fingerprint = key.fingerprint(&Secret::new(b"v".to_vec()));
    let step = Finished {
        apply: "a1".into(),
        plan: Some("d1".into()),
        approvals: vec![],
        outside_window: None,
        step: StepId::new(Verb::Reset, &address, 1),
        address,
        verb: Verb::Reset,
        rationale: Some("TRA-12".into()),
        facts: Facts::default(),
        delivered: [("env#K".into(), Receipt { fingerprint, at: Some(at) })].into(),
    };
    let by = Who { user: Some("ada".into()), ..Who::default() };
    Line { at, by, reason: Some("91d old".into()), entry: Entry::Step(Box::new(step)) }
}

fn empty() -> (tempfile::TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    (dir, state)
}

fn three() -> (tempfile::TempDir, StateDir) {
    let (dir, state) = empty();
    Ledger::default().append(&state, vec![line(1), line(2)]).unwrap();
    read(&state).unwrap().append(&state, vec![line(3)]).unwrap();
    (dir, state)
}

fn chained(bytes: &str) -> String {
    format!("{},\"hash\":\"{}\"}}\n", &bytes[..bytes.len() - 1], hex(&Sha256::digest(bytes)))
}

#[test]
fn lines_read_back_chained_and_their_bytes_are_pinned() {
    let (_dir, state) = three();
    assert_eq!(read(&state).unwrap().lines, [line(1), line(2), line(3)]);
    let text = fs::read_to_string(state.ledger_path()).unwrap();
    let (first, hash) = text.lines().next().unwrap().split_once(",\"hash\":").unwrap();
    let print = DigestKey::new(Secret::new(vec![1; 32])).fingerprint(&Secret::new(b"v".to_vec()));
    let print = serde_json::to_string(&print).unwrap();
    let expected = r#"{"version":2,"at":"2026-11-22T10:00:00Z","by":{"user":"ada"},"reason":"91d old","entry":{"step":{"apply":"a1","plan":"d1","step":"reset ibm.prod.m.team[\"t1\"]","address":"ibm.prod.m.team[\"t1\"]","verb":"reset","rationale":"TRA-12","facts":{},"delivered":{"env#K":{"fingerprint":PRINT,"at":"2026-11-22T10:00:00Z"}}}},"prev":null"#;
    assert_eq!(first, expected.replace("PRINT", &print));
    assert_eq!(hash, format!("\"{}\"}}", hex(&Sha256::digest(format!("{first}}}")))));
}

#[test]
fn a_ledger_of_version_1_is_read_and_gone_on_with() {
    let (_dir, state) = empty();
    let old = chained(
        r#"{"version":1,"apply":"a0","step":"reset ibm.prod.m.team[\"t1\"]","at":"2025-11-22T10:00:00Z","address":"ibm.prod.m.team[\"t1\"]","verb":"reset","facts":{},"delivered":{"env#K":"hmac:x"},"rationale":"91d old; TRA-12","by":"ada@ci-1","prev":null}"#,
    );
    fs::write(state.ledger_path(), &old).unwrap();
    let ledger = read(&state).unwrap();
    let first = &ledger.lines[0];
    assert_eq!(
        (first.by.to_string().as_str(), first.reason.as_deref()),
        ("ada@ci-1", Some("91d old; TRA-12"))
    );
    let step = first.entry.step().unwrap();
    assert_eq!((step.apply.as_str(), &step.plan, step.delivered["env#K"].at), ("a0", &None, None));
    ledger.append(&state, vec![line(2)]).unwrap();
    assert_eq!(read(&state).unwrap().lines[1], line(2));
    assert!(fs::read_to_string(state.ledger_path()).unwrap().starts_with(&old));
}

#[test]
fn every_kind_reads_back() {
    let (_dir, state) = empty();
    let held = state.lock(&Holder { by: line(1).by, ..Holder::this(&Env::system(), "x") }).unwrap();
    let address = Address::connection("ibm", "prod").owner("m");
    let entries = [
        Entry::HoldEnded { address: address.clone() },
        Entry::HoldExtended { address: address.clone(), until: "2026-11-23T10:00:00Z".parse().unwrap() },
        Entry::Forgotten { address: address.clone() },
        Entry::Abandoned {
            apply: "a1".into(),
            in_doubt: [(StepId::new(Verb::Lock, &address, 1), "look at its mode".into())].into(),
            not_begun: Vec::new(),
        },
        Entry::LockBroken { held_by: "bob".into(), since: Some(line(1).at) },
    ];
    for entry in &entries {
        add(&state, &held, line(1).at, Some("why".into()), entry.clone()).unwrap();
    }
    let read: Vec<Line> = read(&state).unwrap().lines;
    assert_eq!(read.iter().map(|line| &line.entry).collect::<Vec<_>>(), entries.iter().collect::<Vec<_>>());
    assert!(read.iter().all(|line| line.by == self::line(1).by && line.reason.as_deref() == Some("why")));
}

fn damage_of(change: impl Fn(&str) -> String) -> StateError {
    let (_dir, state) = three();
    let text = fs::read_to_string(state.ledger_path()).unwrap();
    fs::write(state.ledger_path(), change(&text)).unwrap();
    read(&state).unwrap_err()
}

#[test]
fn tampering_is_found_and_the_line_named() {
    type Change<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(usize, Change<'_>); 4] = [
        (1, &|text| text.replacen("TRA-12", "TRA-13", 1)),
        (2, &|text| {
            text.lines().enumerate().filter(|(i, _)| *i != 1).map(|(_, l)| format!("{l}\n")).collect()
        }),
        (2, &|text| format!("{}\nrubbish\n", text.lines().next().unwrap())),
        (1, &|text| text.split_inclusive('\n').skip(1).collect()),
    ];
    for (expected, change) in cases {
        let error = damage_of(change);
        assert!(matches!(error, StateError::Damaged { line, .. } if line == expected), "{error}");
    }
}

#[test]
fn a_survey_has_every_line_that_can_be_believed_and_all_the_damage() {
    let (_dir, state) = three();
    let text = fs::read_to_string(state.ledger_path()).unwrap();
    let of = |text: String| {
        fs::write(state.ledger_path(), text).unwrap();
        let survey = survey(&state).unwrap();
        let damage: Vec<_> = survey.damage.iter().map(ToString::to_string).collect();
        (survey.rows.iter().map(|row| row.number).collect::<Vec<_>>(), damage.len(), survey.head.is_some())
    };
    assert_eq!(of(text.clone()), (vec![1, 2, 3], 0, true));
    // a flipped byte: its line alone is named
    let flipped = |n: usize| {
        let mut lines: Vec<String> = text.lines().map(|l| format!("{l}\n")).collect();
        lines[n - 1] = lines[n - 1].replacen("TRA-12", "TRA-13", 1);
        lines.concat()
    };
    assert_eq!(of(flipped(2)), (vec![1, 3], 1, true));
    assert_eq!(of(flipped(3)), (vec![1, 2], 1, false));
    // two lines that changed places: both ends of the swap show
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.swap(0, 1);
    assert_eq!(of(lines.concat()), (vec![1, 2, 3], 3, true));
}

#[test]
fn a_newer_line_is_refused_as_newer_and_a_changed_one_as_changed() {
    let head = |text: &str| text.trim_end().rsplit('"').nth(1).unwrap().to_owned();
    let newer = |text: &str| chained(&format!(r#"{{"version":3,"what":1,"prev":"{}"}}"#, head(text)));
    let error = damage_of(|text| format!("{text}{}", newer(text)));
    assert!(matches!(error, StateError::Newer { found: 3, .. }), "{error}");
    let error = damage_of(|text| format!("{text}{}", newer(text).replace(":3,", ":4,")));
    assert!(matches!(error, StateError::Damaged { line: 4, .. }), "{error}");
}

#[test]
fn a_torn_last_line_is_dropped_and_cut_off_by_the_next_append() {
    let (_dir, state) = three();
    let text = fs::read_to_string(state.ledger_path()).unwrap();
    fs::write(state.ledger_path(), &text[..text.len() - 9]).unwrap();
    let ledger = read(&state).unwrap();
    assert_eq!((ledger.lines.len(), ledger.findings.len()), (2, 1));
    ledger.append(&state, vec![line(3)]).unwrap();
    assert_eq!(fs::read_to_string(state.ledger_path()).unwrap(), text);
}
