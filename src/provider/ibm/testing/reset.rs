//! Resets and deliveries, against the stand-in.

use super::*;
use crate::model::code::{IBM_RESET_PATH, IBM_TEAM_HEADER_UNPROVEN, SEAL_MALFORMED, STALE};
use crate::model::history::Proof;
use crate::model::step::Expect;
use crate::provider::ibm::state::LiveTeam;
use crate::provider::ibm::steps::{guide, patience, ready};
use crate::provider::steps::{Hold, NewValue, Phase};

fn calls(bench: &mut Bench, path: &str, expect: &[u16]) {
    let (method, path) = ("POST".to_owned(), path.to_owned());
    bench.conn().token_reset = TokenReset::Call { method, path, expect: expect.to_vec() };
}

fn sre(bench: &Bench, shape: Shape) -> Step {
    bench.team_step(Verb::Reset, "SRE", 10002, shape)
}

fn value(answer: Answer) -> String {
    let Some(NewValue { secret, id: None }) = answer.value else { panic!("no value") };
    #[expect(clippy::disallowed_methods, reason = "a test looks whether the right value came")]
    secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_reset_by_call_is_judged_by_read_back_and_the_old_key_is_refused() {
    let mut bench = Bench::new(World { reset: (204, true), ..World::default() }).await;
    calls(&mut bench, "/reset/{team_id}/{username}", &[200, 204]);
    let step = sre(&bench, Shape::SingleSlot);
    let prepared = prepared(&bench, &step).await;
    assert_eq!(bench.fake.tape(), ["GET /api/token team 10002"]);
    assert!(mutated(&bench, &step, &prepared).await.is_ok_and(|answer| answer.is_none()));
    let tape = bench.fake.tape();
    assert_eq!(tape.len(), 1, "sent once: {tape:?}");
    assert!(tape[0].starts_with("POST /reset/10002/ops") && tape[0].ends_with("example.com team 10002"));
    let answer = happened(&bench, &step, &prepared).await;
    assert_eq!(answer.facts.fingerprint, Some(print(&bench, &format!("{CANARY}-10002-1"))));
    assert_eq!(answer.facts.old_fingerprint, Some(print(&bench, &format!("{CANARY}-10002-0"))));
    assert_eq!(answer.facts.issued_at, Some(bench.env.clock.now()));
    assert_eq!(
        (answer.facts.remote_id, answer.facts.identity.as_deref()),
        (Some(10002), Some("ops@example.com"))
    );
    holds(ready(&bench.reader, &bench.cx(), &step, &answer).await);
    let facts = holds(confirmed(&bench, &step, &prepared, &answer).await);
    assert_eq!(facts, Facts { proof: Some(Proof::Refused), ..answer.facts.clone() });
    assert_eq!(value(answer), format!("{CANARY}-10002-1"));
}

#[tokio::test]
async fn an_old_key_that_still_works_is_not_yet_proved() {
    let bench = Bench::new(World { accept_dead: true, ..World::default() }).await;
    let step = sre(&bench, Shape::Invalidate);
    let prepared = prepared(&bench, &step).await;
    bench.fake.world().press(10002);
    let answer = happened(&bench, &step, &prepared).await;
    assert!(answer.value.is_none(), "nobody is to have a value of an invalidated team");
    assert!(matches!(confirmed(&bench, &step, &prepared, &answer).await, Check::NotYet(_)));
    bench.fake.world().accept_dead = false;
    holds(confirmed(&bench, &step, &prepared, &answer).await);
}

#[tokio::test]
async fn a_network_failure_or_a_login_page_is_never_a_refused_key() {
    let mut bench = Bench::new(World::default()).await;
    let mut step = sre(&bench, Shape::Invalidate);
    let prepared = prepared(&bench, &step).await;
    let answer = Answer { facts: prepared.facts.clone(), value: None };
    bench.fake.world().login_page = true;
    assert!(matches!(confirmed(&bench, &step, &prepared, &answer).await, Check::NotYet(_)));
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    step.params.insert("origin".into(), format!("http://{free}"));
    bench.conn().token_reset = TokenReset::Guided { timeout: Period::seconds(60) };
    assert!(matches!(confirmed(&bench, &step, &prepared, &answer).await, Check::NotYet(_)));
    assert!(matches!(looked(&bench, &step, &prepared).await, Look::CannotTell(_)));
}

#[tokio::test]
async fn a_guided_reset_sends_nothing_and_waits_for_the_key_to_change() {
    let bench = Bench::new(World::default()).await;
    let step = sre(&bench, Shape::SingleSlot);
    let prepared = prepared(&bench, &step).await;
    bench.fake.tape();
    assert!(mutated(&bench, &step, &prepared).await.is_ok_and(|answer| answer.is_none()));
    assert!(bench.fake.tape().is_empty());
    assert!(matches!(looked(&bench, &step, &prepared).await, Look::NotHappened));
    // Another team's button does not count.
    bench.fake.world().press(10001);
    assert!(matches!(looked(&bench, &step, &prepared).await, Look::NotHappened));
    bench.fake.world().press(10002);
    happened(&bench, &step, &prepared).await;
}

#[tokio::test]
async fn after_a_crash_the_fingerprint_alone_proves_the_change() {
    let bench = Bench::new(World::default()).await;
    let step = sre(&bench, Shape::SingleSlot);
    let began = prepared(&bench, &step).await.facts;
    bench.fake.world().press(10002);
    let settled = Prepared { live: Vec::new(), facts: began, hold: Hold::Nothing, deferred: None };
    let answer = happened(&bench, &step, &settled).await;
    let facts = holds(confirmed(&bench, &step, &settled, &answer).await);
    assert_eq!(facts.proof, Some(Proof::Changed));
    let lost = Prepared { live: Vec::new(), facts: Facts::default(), hold: Hold::Nothing, deferred: None };
    assert!(matches!(looked(&bench, &step, &lost).await, Look::CannotTell(_)));
}

#[tokio::test]
async fn a_wrong_reset_path_is_a_config_error_and_a_lost_answer_is_doubt() {
    let mut bench = Bench::new(World { reset: (405, false), ..World::default() }).await;
    calls(&mut bench, "/reset", &[200]);
    let step = sre(&bench, Shape::Invalidate);
    let prepared = prepared(&bench, &step).await;
    let failure = |result: Result<Option<Answer>, Box<Failure>>| match result {
        Err(failure) => *failure,
        Ok(_) => panic!("taken"),
    };
    let told = failure(mutated(&bench, &step, &prepared).await);
    assert!(matches!(told, Failure::Refused(finding) if finding.code == IBM_RESET_PATH));
    for status in [500, 302, 204] {
        bench.fake.world().reset = (status, true);
        bench.fake.tape();
        assert!(matches!(failure(mutated(&bench, &step, &prepared).await), Failure::Doubt(_)), "{status}");
        assert_eq!(bench.fake.tape(), ["POST /reset team 10002"], "never sent twice");
    }
    bench.fake.world().reset = (429, false);
    assert!(matches!(failure(mutated(&bench, &step, &prepared).await), Failure::Throttled(..)));
}

#[tokio::test]
async fn live_digests_are_those_of_the_plan() {
    let bench = Bench::new(World::default()).await;
    let mut step = sre(&bench, Shape::Invalidate);
    let fingerprint = Some(print(&bench, &format!("{CANARY}-10002-0")));
    let team = LiveTeam { id: 10002, name: "SRE".into(), fingerprint, user_count: Some(3) };
    let digest = team.digest(GUID, &bench.key);
    let expect = Expect { address: team_address("SRE"), digest: digest.clone() };
    assert_eq!(prepared(&bench, &step).await.live, std::slice::from_ref(&expect));
    step.expects.push(Expect { address: step.address.lane(), digest });
    let live = prepared(&bench, &step).await.live;
    let lock = prepared(&bench, &bench.mode_step(Verb::Unlock, "ANY")).await.live;
    assert_eq!(live, [expect, lock[0].clone()]);
}

#[tokio::test]
async fn after_an_unlock_the_team_header_is_proved_before_the_reset() {
    let bench = Bench::new(World { header_works: false, ..World::default() }).await;
    let mut step = sre(&bench, Shape::Invalidate);
    prepared(&bench, &step).await;
    step.needs.push(need(&bench.mode_step(Verb::Unlock, "ANY"), Rule::UnlockBeforeReset));
    assert_eq!(refused(&bench, &step).await.code, IBM_TEAM_HEADER_UNPROVEN);
    bench.fake.world().header_works = true;
    prepared(&bench, &step).await;
}

#[tokio::test]
async fn a_delivery_hands_over_the_key_as_it_is_if_it_has_not_moved() {
    let bench = Bench::new(World::default()).await;
    let step = bench.team_step(Verb::Deliver, "SRE", 10002, Shape::SingleSlot);
    let prepared = prepared(&bench, &step).await;
    let Ok(Some(answer)) = mutated(&bench, &step, &prepared).await else { panic!("no answer") };
    holds(confirmed(&bench, &step, &prepared, &answer).await);
    assert_eq!(value(answer), format!("{CANARY}-10002-0"));
    assert_eq!(value(happened(&bench, &step, &prepared).await), format!("{CANARY}-10002-0"));
    bench.fake.world().press(10002);
    let Err(failure) = mutated(&bench, &step, &prepared).await else { panic!("delivered") };
    assert!(matches!(*failure, Failure::Refused(finding) if finding.code == STALE));
}

#[tokio::test]
async fn a_step_that_no_draft_of_ours_wrote_is_refused_without_a_request() {
    let mut bench = Bench::new(World::default()).await;
    let step = bench.mode_step(Verb::Lock, "ANY");
    assert_eq!(refused(&bench, &step).await.code, SEAL_MALFORMED);
    let mut step = sre(&bench, Shape::Invalidate);
    step.params.remove("team_id");
    assert_eq!(refused(&bench, &step).await.code, SEAL_MALFORMED);
    let step = bench.team_step(Verb::Lock, "SRE", 10002, Shape::Invalidate);
    assert_eq!(refused(&bench, &step).await.code, SEAL_MALFORMED);
    bench.conn().instances.clear();
    assert_eq!(refused(&bench, &step).await.code, STALE);
    assert!(bench.fake.tape().is_empty());
}

#[tokio::test]
async fn patience_follows_the_strategy() {
    let mut bench = Bench::new(World::default()).await;
    let (reset, lock) = (sre(&bench, Shape::Invalidate), bench.mode_step(Verb::Lock, "IAM_ONLY"));
    let limit = |bench: &Bench, step: &Step, phase| patience(&bench.cx(), step, phase).limit.as_secs();
    assert_eq!(limit(&bench, &reset, Phase::Effect), 1800);
    assert_eq!(limit(&bench, &reset, Phase::Proof), 60);
    assert_eq!(limit(&bench, &lock, Phase::Effect), 600);
    assert_eq!(limit(&bench, &lock, Phase::Ready), 0);
    calls(&mut bench, "/reset", &[200]);
    assert_eq!(limit(&bench, &reset, Phase::Effect), 30);
    for phase in [Phase::Effect, Phase::Ready, Phase::Proof] {
        assert!(!patience(&bench.cx(), &reset, phase).pauses.is_empty());
    }
}

#[tokio::test]
async fn a_guide_names_team_instance_dashboard_and_identity() {
    let mut bench = Bench::new(World::default()).await;
    let mut step = sre(&bench, Shape::Invalidate);
    let lines = guide(&bench.cx(), &step).unwrap().join("\n");
    for part in
        ["ops@example.com", "mon-prod", GUID, "`SRE`", "10002", "embedded-view/monitoring", "Reset Token"]
    {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    step.params.insert("owner".into(), "bot@example.com".into());
    bench.instance().service = Service::WorkloadProtection;
    let lines = guide(&bench.cx(), &step).unwrap().join("\n");
    assert!(
        lines.contains("as bot@example.com")
            && lines.contains("Sysdig Secure")
            && lines.contains(&bench.fake.origin)
    );
    assert!(guide(&bench.cx(), &bench.mode_step(Verb::Lock, "IAM_ONLY")).is_none());
    calls(&mut bench, "/reset", &[200]);
    assert!(guide(&bench.cx(), &step).is_none());
}

#[tokio::test]
async fn a_reset_whose_answer_is_lost_is_doubt_and_is_found_done() {
    let mut bench = Bench::new(World { drop_answers: true, ..World::default() }).await;
    calls(&mut bench, "/reset", &[200]);
    let step = sre(&bench, Shape::SingleSlot);
    let prepared = prepared(&bench, &step).await;
    bench.fake.tape();
    let Err(failure) = mutated(&bench, &step, &prepared).await else { panic!("answered") };
    assert!(matches!(*failure, Failure::Doubt(_)));
    assert_eq!(bench.fake.tape(), ["POST /reset team 10002"], "never sent twice");
    assert_eq!(value(happened(&bench, &step, &prepared).await), format!("{CANARY}-10002-1"));
}

#[tokio::test]
async fn a_path_that_would_be_sent_otherwise_than_written_is_not_sent() {
    let mut bench = Bench::new(World::default()).await;
    let step = sre(&bench, Shape::Invalidate);
    let prepared = prepared(&bench, &step).await;
    bench.fake.tape();
    for path in ["/reset?x=1", "/re%20set", "reset", "/reset#x"] {
        calls(&mut bench, path, &[200]);
        let Err(failure) = mutated(&bench, &step, &prepared).await else { panic!("{path}") };
        assert!(matches!(*failure, Failure::Refused(finding) if finding.code == IBM_RESET_PATH));
    }
    assert!(bench.fake.tape().is_empty());
}
