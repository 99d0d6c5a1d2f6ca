//! Locks and unlocks, against the stand-in.

use std::time::Duration;

use super::*;
use crate::model::code::{IBM_PARAMETERS_CHANGED, LOCK_NOT_COVERED, PLAN_NOT_WRITABLE};
use crate::model::history::Proof;
use crate::provider::ibm::read::read_connection;
use crate::provider::ibm::steps::{restore, restored};
use crate::provider::steps::Hold;

const TEAMS: [(&str, u64); 2] = [("Monitor Operations", 10001), ("SRE", 10002)];

/// A lock step with the done resets of all teams behind it.
fn covered_lock(bench: &mut Bench) -> Step {
    let mut lock = bench.mode_step(Verb::Lock, "IAM_ONLY");
    for (name, id) in TEAMS {
        let reset = bench.team_step(Verb::Reset, name, id, Shape::Invalidate);
        let facts = Facts {
            fingerprint: Some(print(bench, &format!("{CANARY}-{id}-0"))),
            issued_at: Some(bench.env.clock.now()),
            proof: Some(Proof::Refused),
            remote_id: Some(id),
            ..Facts::default()
        };
        bench.done.insert(reset.id.clone(), facts);
        lock.needs.push(need(&reset, Rule::ResetBeforeLock));
    }
    lock
}

#[tokio::test]
async fn a_lock_sends_the_full_parameters_and_is_proved_by_what_is_refused() {
    for refusal in [(401, DENIED), (403, DENIED), (401, "unauthorized")] {
        let mut bench = Bench::new(World { refusal, ..World::default() }).await;
        let before = bench.fake.world().parameters.clone().unwrap();
        let lock = covered_lock(&mut bench);
        let prepared = prepared(&bench, &lock).await;
        assert!(matches!(looked(&bench, &lock, &prepared).await, Look::NotHappened));
        assert!(mutated(&bench, &lock, &prepared).await.is_ok_and(|answer| answer.is_none()));
        let patch = bench.fake.world().bodies.last().cloned().unwrap();
        let after = before.replace("\"ANY\"", "\"IAM_ONLY\"");
        assert_eq!(patch, format!("{{\"parameters\":{after}}}"), "every other byte as it was read");
        let answer = happened(&bench, &lock, &prepared).await;
        assert_eq!(answer.facts.setting.as_deref(), Some("IAM_ONLY"));
        holds(confirmed(&bench, &lock, &prepared, &answer).await);
    }
}

#[tokio::test]
async fn a_lock_that_is_not_enforced_yet_is_not_proved() {
    let mut bench = Bench::new(World::default()).await;
    let lock = covered_lock(&mut bench);
    let prepared = prepared(&bench, &lock).await;
    let answer = Answer { facts: prepared.facts.clone(), value: None };
    assert!(mutated(&bench, &lock, &prepared).await.is_ok());
    bench.fake.world().iam_only = false;
    assert!(matches!(confirmed(&bench, &lock, &prepared, &answer).await, Check::NotYet(_)));
}

#[tokio::test]
async fn an_asynchronous_lock_is_looked_at_until_it_ended() {
    let mut bench = Bench::new(World { patch: Patch::Async, ..World::default() }).await;
    let lock = covered_lock(&mut bench);
    let prepared = prepared(&bench, &lock).await;
    assert!(mutated(&bench, &lock, &prepared).await.is_ok());
    assert!(matches!(looked(&bench, &lock, &prepared).await, Look::CannotTell(_)));
    assert!(matches!(looked(&bench, &lock, &prepared).await, Look::CannotTell(_)));
    happened(&bench, &lock, &prepared).await;
}

#[tokio::test]
async fn a_broker_failure_after_applying_is_doubt_that_a_look_settles() {
    let mut bench = Bench::new(World { patch: Patch::BrokerAfterApplying, ..World::default() }).await;
    let lock = covered_lock(&mut bench);
    let prepared = prepared(&bench, &lock).await;
    bench.fake.tape();
    let Err(failure) = mutated(&bench, &lock, &prepared).await else { panic!("taken") };
    assert!(matches!(*failure, Failure::Doubt(_)));
    assert_eq!(bench.fake.tape().len(), 1, "never sent twice");
    happened(&bench, &lock, &prepared).await;
    let settled = Prepared { live: Vec::new(), facts: prepared.facts, hold: Hold::Nothing, deferred: None };
    happened(&bench, &lock, &settled).await;
}

#[tokio::test]
async fn vanished_parameters_are_told_and_not_taken_for_success() {
    let mut bench = Bench::new(World { patch: Patch::Forgets, ..World::default() }).await;
    let lock = covered_lock(&mut bench);
    let prepared = prepared(&bench, &lock).await;
    assert!(mutated(&bench, &lock, &prepared).await.is_ok());
    let Look::CannotTell(finding) = looked(&bench, &lock, &prepared).await else { panic!("told nothing") };
    assert_eq!(finding.code, IBM_PARAMETERS_CHANGED);
    assert!(finding.message.contains("`default_receiver`") && finding.message.contains("1.50"), "{finding}");
}

#[tokio::test]
async fn a_lock_covers_every_visible_team_with_the_key_that_its_reset_left() {
    let mut bench = Bench::new(World::default()).await;
    let mut lock = covered_lock(&mut bench);
    bench.fake.world().press(10002);
    let moved = refused(&bench, &lock).await;
    assert!(moved.code == LOCK_NOT_COVERED && moved.message.contains("`SRE` (10002)"), "{moved}");
    bench.fake.world().keys.insert(10002, format!("{CANARY}-10002-0"));
    bench.fake.world().teams.push((10004, "New", "SDC"));
    let new = refused(&bench, &lock).await;
    assert!(new.code == LOCK_NOT_COVERED && new.message.contains("`New` (10004)"), "{new}");
    lock.params.insert("ignored_teams".into(), "10004".into());
    prepared(&bench, &lock).await;
    // A reset of an interrupted run covers for a day.
    bench.env.clock.advance(Duration::from_secs(86_401));
    assert_eq!(refused(&bench, &lock).await.code, LOCK_NOT_COVERED);
}

#[tokio::test]
async fn a_locked_instance_is_not_patched() {
    let mut bench = Bench::new(World { locked: true, patch: Patch::Refused, ..World::default() }).await;
    let lock = covered_lock(&mut bench);
    assert_eq!(refused(&bench, &lock).await.code, PLAN_NOT_WRITABLE);
    bench.fake.world().locked = false;
    let prepared = prepared(&bench, &lock).await;
    let Err(failure) = mutated(&bench, &lock, &prepared).await else { panic!("taken") };
    assert!(matches!(*failure, Failure::Refused(_)));
}

#[tokio::test]
async fn an_unlock_is_proved_by_a_token_that_can_be_read() {
    let bench = Bench::new(World {
        iam_only: true,
        parameters: Some(r#"{"external_api_auth":"IAM_ONLY","a":[1]}"#.into()),
        ..World::default()
    });
    let bench = bench.await;
    let step = bench.mode_step(Verb::Unlock, "ANY");
    let prepared = prepared(&bench, &step).await;
    let answer = Answer { facts: prepared.facts.clone(), value: None };
    assert!(matches!(confirmed(&bench, &step, &prepared, &answer).await, Check::NotYet(_)));
    assert!(mutated(&bench, &step, &prepared).await.is_ok());
    let answer = happened(&bench, &step, &prepared).await;
    assert_eq!(holds(confirmed(&bench, &step, &prepared, &answer).await).setting.as_deref(), Some("ANY"));
}

#[tokio::test]
async fn only_workload_protection_is_restored() {
    let world = World { service: "sysdig-secure", current_team: 10003, ..World::default() };
    let mut bench = Bench::new(world).await;
    let mut lock = bench.mode_step(Verb::Lock, "IAM_ONLY");
    lock.params.insert("ignored_teams".into(), "10003".into());
    bench.instance().service = Service::WorkloadProtection;
    let before = bench.fake.world().parameters.clone();
    let prepared = prepared(&bench, &lock).await;
    assert!(mutated(&bench, &lock, &prepared).await.is_ok());
    assert_ne!(bench.fake.world().parameters, before);
    let writer = Writer::for_test(bench.reader.clone());
    assert!(restore(&writer, &bench.cx(), &lock, &prepared, &prepared.facts).await.is_ok_and(|done| done));
    assert_eq!(bench.fake.world().parameters, before);
    bench.instance().service = Service::Monitoring;
    assert!(restore(&writer, &bench.cx(), &lock, &prepared, &prepared.facts).await.is_ok_and(|done| !done));
}

/// What is left of a step's preparation after a crash: its `Began` record.
fn journaled(prepared: &Prepared) -> Prepared {
    Prepared { live: Vec::new(), facts: prepared.facts.clone(), hold: Hold::Nothing, deferred: None }
}

#[tokio::test]
async fn after_a_crash_the_journal_knows_the_setting_to_put_back() {
    let mut bench = Bench::new(World::default()).await;
    let lock = covered_lock(&mut bench);
    let before = bench.fake.world().parameters.clone();
    let prepared = prepared(&bench, &lock).await;
    let left = journaled(&prepared);
    bench.instance().service = Service::WorkloadProtection;
    assert_eq!(left.facts.earlier_setting.as_deref(), Some("ANY"));
    let writer = Writer::for_test(bench.reader.clone());
    // Nothing of ours to take back, or somebody else's setting: nothing is written over it.
    let refused = restore(&writer, &bench.cx(), &lock, &left, &left.facts).await;
    assert!(matches!(refused, Err(Failure::Refused(_))));
    assert!(mutated(&bench, &lock, &prepared).await.is_ok());
    assert!(!matches!(
        restored(&bench.reader, &bench.cx(), &lock, &left, &left.facts).await,
        Check::Holds(_)
    ));
    assert!(restore(&writer, &bench.cx(), &lock, &left, &left.facts).await.is_ok_and(|done| done));
    holds(restored(&bench.reader, &bench.cx(), &lock, &left, &left.facts).await);
    assert_eq!(bench.fake.world().parameters, before);
    // A journal of an earlier version does not know it.
    let unknown = Facts::default();
    assert!(matches!(restored(&bench.reader, &bench.cx(), &lock, &left, &unknown).await, Check::Never(_)));
}

#[tokio::test]
async fn a_lock_whose_answer_is_lost_is_doubt_and_is_found_done() {
    let mut bench = Bench::new(World { drop_answers: true, ..World::default() }).await;
    let lock = covered_lock(&mut bench);
    let prepared = prepared(&bench, &lock).await;
    bench.fake.tape();
    let Err(failure) = mutated(&bench, &lock, &prepared).await else { panic!("answered") };
    assert!(matches!(*failure, Failure::Doubt(_)));
    assert_eq!(bench.fake.tape().len(), 1, "never sent twice");
    let answer = happened(&bench, &lock, &prepared).await;
    holds(confirmed(&bench, &lock, &prepared, &answer).await);
}

#[tokio::test]
async fn the_digest_before_a_step_is_the_one_that_the_plan_was_made_from() {
    let bench = Bench::new(World::default()).await;
    let step = bench.mode_step(Verb::Unlock, "ANY");
    let conn = &bench.desired.ibm[&connection_address()];
    let all = read_connection(
        &bench.reader,
        &bench.key,
        &connection_address(),
        conn,
        &crate::model::history::History::default(),
    )
    .await;
    let planned = all[&instance_address()].present().unwrap().digest(&bench.key);
    assert_eq!(prepared(&bench, &step).await.live[0].digest, planned);
    // Another writer.
    bench.fake.world().version += 1;
    assert_ne!(prepared(&bench, &step).await.live[0].digest, planned);
}

#[tokio::test]
async fn a_refused_read_alone_does_not_prove_a_lock() {
    let mut bench = Bench::new(World::default()).await;
    let lock = covered_lock(&mut bench);
    let prepared = prepared(&bench, &lock).await;
    let answer = Answer { facts: prepared.facts.clone(), value: None };
    assert!(mutated(&bench, &lock, &prepared).await.is_ok());
    // IAM can't read tokens, but the token that was there before still works.
    bench.fake.world().gate_leaks = true;
    assert!(matches!(confirmed(&bench, &lock, &prepared, &answer).await, Check::NotYet(_)));
    // Everything is refused: a permission is missing.
    bench.fake.world().gate_leaks = false;
    bench.fake.world().stranger = true;
    assert!(matches!(confirmed(&bench, &lock, &prepared, &answer).await, Check::NotYet(_)));
    bench.fake.world().stranger = false;
    holds(confirmed(&bench, &lock, &prepared, &answer).await);
}

#[tokio::test]
async fn only_a_proved_reset_that_the_lock_needs_covers_a_team() {
    let mut bench = Bench::new(World::default()).await;
    let mut lock = covered_lock(&mut bench);
    let reset = lock.needs[1].step.clone();
    bench.done.get_mut(&reset).unwrap().proof = None;
    let finding = refused(&bench, &lock).await;
    assert!(finding.code == LOCK_NOT_COVERED && finding.message.contains("`SRE`"), "{finding}");
    bench.done.get_mut(&reset).unwrap().proof = Some(Proof::Changed);
    prepared(&bench, &lock).await;
    lock.needs[1].rule = Rule::LockLast;
    assert_eq!(refused(&bench, &lock).await.code, LOCK_NOT_COVERED);
}

#[tokio::test]
async fn an_owners_reset_is_compared_with_the_owners_key() {
    let mut bench = Bench::new(World::default()).await;
    let lock = covered_lock(&mut bench);
    let team = Team { owner: Some("bot".into()), ..declared_team() };
    bench.instance().teams.insert(team_address("SRE"), team);
    prepared(&bench, &lock).await;
    assert!(bench.fake.tape().contains(&"GET /api/token/bot/10002 team 10002".to_owned()));
}
