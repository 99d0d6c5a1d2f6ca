//! Stories of a few lines, as people and programs read them.

use snapbox::{IntoData, assert_data_eq, str};

use super::*;
use crate::model::address::Address;
use crate::model::history::{Facts, Receipt};
use crate::model::secret::{DigestKey, Secret};
use crate::model::step::StepId;
use crate::model::who::{Ci, Who};
use crate::report::style::Style;
use crate::state::ledger::{Finished, Line};

fn print(text: &str) -> Fingerprint {
    DigestKey::new(Secret::new(vec![1; 32])).fingerprint(&Secret::new(text.into()))
}

fn instance() -> Address {
    Address::connection("ibm", "prod").owner("mon")
}

fn token() -> Address {
    Address::connection("logicmonitor", "acme").owner("ci").item("api_token", "deploy")
}

/// A line of a day at ten o'clock.
fn row(number: usize, day: u8, entry: Entry) -> Row {
    let at = format!("2026-11-{day:02}T10:00:00.5Z").parse().unwrap();
    let by = Who { user: Some("ada".into()), host: Some("ci-1".into()), ci: None };
    let line = Line { at, by, reason: Some("91d old".into()), entry };
    Row { number, hash: "f00d".into(), line }
}

fn step(number: usize, day: u8, address: Address, verb: Verb, facts: Facts) -> Row {
    let finished = Finished {
        apply: "a1".into(),
        plan: Some("d1".into()),
        approvals: vec![],
        outside_window: None,
        step: StepId::new(verb, &address, 1),
        address,
        verb,
        rationale: None,
        facts,
        delivered: [].into(),
    };
    row(number, day, Entry::Step(Box::new(finished)))
}

fn reset(number: usize, day: u8, old: &str, new: &str) -> Row {
    let facts =
        Facts { old_fingerprint: Some(print(old)), fingerprint: Some(print(new)), ..Facts::default() };
    step(number, day, instance().item("team", "SRE"), Verb::Reset, facts)
}

fn on(number: usize, day: u8, verb: Verb, id: u64) -> Row {
    step(number, day, token(), verb, Facts { remote_id: Some(id), ..Facts::default() })
}

/// For each line, how many days the value that it ended had lived.
fn days(rows: &[Row]) -> Vec<(usize, u64)> {
    let lives = lives(rows);
    let ended = lives.iter().filter_map(|life| Some((life.ended_by?, life.lived()?.as_secs() / 86_400)));
    ended.collect()
}

#[test]
fn a_reset_ends_the_value_that_it_replaces_if_it_is_the_known_one() {
    assert_eq!(
        days(&[reset(1, 1, "a", "b"), reset(2, 4, "b", "c"), reset(3, 9, "c", "d")]),
        [(2, 3), (3, 5)]
    );
    // somebody had replaced "b" with "x", and when is not known
    let outside = [reset(1, 1, "a", "b"), reset(2, 4, "x", "c"), reset(3, 9, "c", "d")];
    assert_eq!(days(&outside), [(3, 5)]);
    assert!(lives(&outside)[0].revoked_at.is_none());
}

#[test]
fn a_token_ends_when_it_is_disabled_and_lives_on_when_it_is_enabled_again() {
    let rotated = [on(1, 1, Verb::Issue, 7), on(2, 5, Verb::Issue, 8), on(3, 6, Verb::Disable, 7)];
    assert_eq!(days(&rotated), [(3, 5)]);
    let mut longer: Vec<Row> = rotated.into();
    longer.push(on(4, 9, Verb::Delete, 7));
    assert_eq!(days(&longer), [(3, 5)]);
    longer[3] = on(4, 7, Verb::Enable, 7);
    assert_eq!(days(&longer), []);
    longer.push(on(5, 9, Verb::Delete, 7));
    assert_eq!(days(&longer), [(5, 8)]);
    // of a token that the ledger did not see begin, nothing is claimed
    assert_eq!(days(&[on(1, 1, Verb::Delete, 9)]), []);
}

fn every_sort() -> Vec<Row> {
    let facts = |setting: &str| Facts { setting: Some(setting.into()), ..Facts::default() };
    let until = "2026-11-05T14:00:00Z".parse().unwrap();
    let unlocked = Facts {
        earlier_setting: Some("IAM_ONLY".into()),
        hold_until: Some(until),
        identity: Some("ada@example.com".into()),
        ..facts("ANY")
    };
    let mut rows = vec![
        reset(1, 1, "a", "b"),
        reset(2, 4, "b", "c"),
        step(3, 5, instance(), Verb::Unlock, unlocked),
        row(4, 5, Entry::HoldEnded { address: instance() }),
        row(5, 6, Entry::Forgotten { address: token() }),
        row(
            6,
            7,
            Entry::Abandoned {
                apply: "a2".into(),
                in_doubt: [(StepId::new(Verb::Lock, &instance(), 1), "look at it".into())].into(),
                not_begun: vec![StepId::new(Verb::Reset, &token(), 1)],
            },
        ),
        row(7, 8, Entry::LockBroken { held_by: "bob\u{1b}[2J".into(), since: Some(until) }),
    ];
    let Entry::Step(first) = &mut rows[1].line.entry else { panic!() };
    first.rationale = Some("TRA-12".into());
    first.delivered.insert("env#K".into(), Receipt { fingerprint: print("c"), at: Some(until) });
    rows[6].line.by = Who {
        ci: Some(Ci { system: "jenkins".into(), job: Some("https://j/7/".into()), ..Ci::default() }),
        ..Who::default()
    };
    rows
}

#[test]
fn the_table_has_a_line_per_line_and_nothing_steers_the_terminal() {
    let rows = every_sort();
    let lives = lives(&rows);
    let table = text(&Story::of(rows.iter().collect(), &lives), false, &Style::PLAIN);
    assert_data_eq!(table, str![[r#"
WHEN                  WHAT        OBJECT                                    VALUE                 LIVED  WHO       WHY
2026-11-01T10:00:00Z  reset       ibm.prod.mon.team["SRE"]                  ccc3119a -> 8053d937         ada@ci-1  91d old
2026-11-04T10:00:00Z  reset       ibm.prod.mon.team["SRE"]                  8053d937 -> d9418d41  3d     ada@ci-1  91d old; TRA-12
2026-11-05T10:00:00Z  unlock      ibm.prod.mon                              IAM_ONLY -> ANY              ada@ci-1  91d old
2026-11-05T10:00:00Z  end-hold    ibm.prod.mon                                                           ada@ci-1  91d old
2026-11-06T10:00:00Z  forget      logicmonitor.acme.ci.api_token["deploy"]                               ada@ci-1  91d old
2026-11-07T10:00:00Z  abandon                                               1 step in doubt              ada@ci-1  91d old
2026-11-08T10:00:00Z  break-lock                                            held by bob\u{1b}[2J         jenkins   91d old

"#]].raw());
}

#[test]
fn details_tell_where_a_line_stands_and_what_was_given_to_whom() {
    let rows = every_sort();
    let lives = lives(&rows);
    let picked = [1, 2, 5, 6].map(|at| &rows[at]).to_vec();
    assert_data_eq!(text(&Story::of(picked, &lives), true, &Style::PLAIN), str![[r#"
WHEN                  WHAT        OBJECT                    VALUE                 LIVED  WHO       WHY
2026-11-04T10:00:00Z  reset       ibm.prod.mon.team["SRE"]  8053d937 -> d9418d41  3d     ada@ci-1  91d old; TRA-12
    line 2, hash f00d
    apply a1, plan file d1
    env#K was given d9418d41 at 2026-11-05T14:00:00Z
2026-11-05T10:00:00Z  unlock      ibm.prod.mon              IAM_ONLY -> ANY              ada@ci-1  91d old
    line 3, hash f00d
    apply a1, plan file d1
    token of ada@example.com
    not locked again until 2026-11-05T14:00:00Z
2026-11-07T10:00:00Z  abandon                               1 step in doubt              ada@ci-1  91d old
    line 6, hash f00d
    apply a2
    in doubt: lock ibm.prod.mon: look at it
    did not happen: reset logicmonitor.acme.ci.api_token["deploy"]
2026-11-08T10:00:00Z  break-lock                            held by bob\u{1b}[2J         jenkins   91d old
    line 7, hash f00d
    in jenkins https://j/7/
    held since 2026-11-05T14:00:00Z

"#]].raw());
}

#[test]
fn json_has_every_line_and_the_lives_that_the_lines_tell_of() {
    let rows = every_sort();
    let lives = lives(&rows);
    let parsed = |rows: Vec<&Row>| -> serde_json::Value {
        serde_json::from_slice(&json(&Story::of(rows, &lives), "l.jsonl", Some("f00d"))).unwrap()
    };
    let all = parsed(rows.iter().collect());
    assert_eq!((&all["format_version"], &all["head"]), (&"1.0".into(), &"f00d".into()));
    assert_eq!(all["lines"].as_array().unwrap().len(), 7);
    let second = &all["lines"][1];
    assert_eq!((&second["lived_seconds"], &second["rationale"]), (&259_200.into(), &"TRA-12".into()));
    assert_eq!(second["delivered"][0]["slot"], "env#K");
    assert_eq!(second["facts"]["old_fingerprint"], print("b").as_str());
    assert_eq!(all["lines"][5]["in_doubt"]["lock ibm.prod.mon"], "look at it");
    let lives = |all: &serde_json::Value| all["generations"].as_array().unwrap().len();
    assert_eq!(lives(&all), 2);
    assert_eq!(all["generations"][0]["ended_by_line"], 2);
    assert_eq!(lives(&parsed(vec![&rows[6]])), 0);
}

#[test]
fn spans_have_their_two_largest_units() {
    for (seconds, text) in [
        (0, "0s"),
        (59, "59s"),
        (3_600, "1h"),
        (91 * 86_400 + 7_260, "91d 2h"),
        (86_460, "1d"),
        (3_661, "1h 1m"),
    ] {
        assert_eq!(span(Period::seconds(seconds)), text);
    }
}

#[test]
fn every_kind_has_a_word_that_can_be_asked_for() {
    for row in every_sort() {
        assert!(Entry::WORDS.contains(&row.line.entry.word()));
    }
}
