//! Mutation test of the checker: every small change of many plans, and what it finds of them by itself,
//! without the seal. `cargo test --lib mutation -- --nocapture` prints the score.

use std::io::Write;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::mutants::Score;
use super::{
    amended, callers, check, incident, protect, replace, retire, second_owner, unlisted, unlock, worlds,
};
use crate::model::finding::Finding;
use crate::plan::check::admit;
use crate::plan::document::Plan;

/// Random worlds whose plans are mutated beside those by hand.
const RANDOM: usize = 200;

#[test]
fn the_checker_alone_finds_every_harmful_mutant() {
    let mut score = Score::default();
    let worlds = [
        ("every verb", check::rich()),
        ("amended lock", amended::stopped()),
        ("amended unlock", amended::unlocked()),
        ("break-glass", unlock::break_glass()),
        ("a predecessor is disabled", retire::due_to_disable()),
        ("a predecessor is deleted", retire::due_to_delete()),
        ("a token is replaced", replace::world()),
        ("a token whose second owner is next", second_owner::due()),
        ("a token of a second owner is retired", second_owner::replaced()),
        ("a protection is lifted", protect::lifting()),
        ("the credential of another connection", callers::rotated_elsewhere()),
        ("tokens that nobody declares", unlisted::disabled_and_deleted()),
        ("an incident", incident::everything()),
    ];
    for (name, world) in &worlds {
        score.judge(name, &world.admitted());
    }
    random(&mut score);
    let _ = std::io::stdout().write_all(score.table().as_bytes());
    let missed = score.missed();
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed[..missed.len().min(60)].join("\n"));
    assert_eq!(score.idle(), [""; 0], "operators without a harmful mutant");
}

/// Plans of random worlds, each with at least two steps; the same ones in every run.
fn random(score: &mut Score) {
    let mut runner = TestRunner::deterministic();
    let mut plans = 0;
    while plans < RANDOM {
        let world = worlds::world().new_tree(&mut runner).expect("a world").current();
        let planned = world.plan();
        if planned.findings.iter().any(Finding::is_error) || planned.plan.steps.len() < 2 {
            continue;
        }
        if let Ok(admitted) = admit(planned.plan) {
            plans += 1;
            let plan: &Plan = admitted.plan();
            score.judge(&format!("random {plans}"), plan);
        }
    }
}
