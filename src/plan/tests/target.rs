//! `--target`: what stays, what is pulled in, what is no longer said.

use std::collections::BTreeSet;

use proptest::prelude::*;
use snapbox::str;

use super::tells;
use super::worlds::world;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::finding::Finding;
use crate::model::vocabulary::TokenStatus::{Disabled, Enabled};
use crate::plan::check::admit;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::state::Caller;

fn targeted(mut world: World, targets: &[&str]) -> World {
    world.asked.target = targets.iter().map(|t| t.parse().unwrap()).collect();
    world
}

fn pulled_in(world: &World) -> Vec<String> {
    let plan = world.admitted();
    assert!(!plan.complete);
    plan.extent.pulled_in.iter().map(|p| format!("{}: {}", p.address, p.why)).collect()
}

/// An instance that is to be locked, and another one whose team is due.
fn two_instances() -> World {
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops", "SRE"]));
    let want = with_team(wants(Some(Any)), "Dev", rotated_team("DEV"));
    let at = prod().owner("dev").item("team", "Dev");
    let teams = want.teams.into_values().map(|team| (at.clone(), team)).collect();
    let want = crate::provider::ibm::state::Instance { teams, ..want };
    add_instance(&mut world, "dev", want, is(Any, &["Dev"]));
    world
}

#[test]
fn one_team_of_an_instance_that_is_locked_brings_the_whole_lock() {
    let world = targeted(two_instances(), &["ibm.prod.mon.team[\"SRE\"]"]);
    tells!(
        world,
        str![[r#"
invalidate mon.team["Ops"]: visible team, not listed: reset before the instance is locked
invalidate mon.team["SRE"]: visible team, not listed: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Ops"] invalidate
2 reset mon.team["SRE"] invalidate
3 lock mon after 1 reset-before-lock, 2 reset-before-lock

"#]]
    );
    assert_eq!(
        pulled_in(&world),
        [
            "ibm.prod.mon: reset-before-lock: it comes after `reset ibm.prod.mon.team[\"SRE\"]`",
            "ibm.prod.mon.team[\"Ops\"]: reset-before-lock: it comes before `lock ibm.prod.mon`"
        ]
    );
}

#[test]
fn what_no_rule_ties_to_the_target_is_left_out_with_all_that_rests_on_it() {
    let world = targeted(two_instances(), &["ibm.prod.dev"]);
    let plan = world.admitted();
    assert_eq!(plan.steps.len(), 1);
    let relied: BTreeSet<&Address> = plan.live.iter().map(|expect| &expect.address).collect();
    assert!(relied.iter().all(|address| prod().owner("dev").covers(address)), "{relied:?}");
    assert!(pulled_in(&world).is_empty());
    let whole = targeted(two_instances(), &["ibm"]).admitted();
    assert_eq!(whole.steps.len(), two_instances().admitted().steps.len());
}

#[test]
fn the_credential_in_use_brings_all_of_its_connection() {
    let wants =
        vec![("mine", rotated(None)), ("off", wanted(Some(Disabled))), ("new", wanted(Some(Enabled)))];
    let mut world = lm(wants, vec![old(live(7, "mine")), live(5, "off")]);
    world
        .snapshot
        .callers
        .insert(acme(), Caller { access_id: Some("a7".into()), token_ids: vec![7], untold: None });
    let world = targeted(world, &["logicmonitor.acme.svc.api_token[\"off\"]"]);
    assert_eq!(world.admitted().steps.len(), 3);
    assert!(pulled_in(&world)[0].contains("caller-last: it comes after `disable"), "{:?}", pulled_in(&world));
}

#[test]
fn findings_and_waits_elsewhere_are_not_told() {
    let wants = vec![("old", rotated(None)), ("twice", wanted(None))];
    let tokens = vec![live(5, "old"), live(6, "twice"), live(7, "twice")];
    let world = lm(wants, tokens);
    assert!(world.story().contains("plan::ambiguous"));
    let narrow = targeted(world.clone(), &["logicmonitor.acme.svc.api_token[\"old\"]"]);
    tells!(
        narrow,
        str![[r#"
waiting svc.api_token["old"]: ops-env#KEY is not known to have this token; fed at the next rotation; now: `plan --rotate 'svc.api_token["old"]'` until 2027-02-10T10:00:00Z

"#]]
    );
    let other = targeted(world, &["logicmonitor.acme.svc.api_token[\"twice\"]"]);
    assert!(other.story().contains("plan::ambiguous") && !other.story().contains("waiting"));
}

#[test]
fn a_target_that_means_nothing_is_an_error() {
    let world = targeted(two_instances(), &["ibm.prod.dev", "ibm.prod.mon.team[\"Opps\"]"]);
    assert!(world.story().contains("error plan::target the spec declares no `mon.team[\"Opps\"]`"));
    assert!(admit(world.plan().plan).is_err());
}

#[test]
fn a_connection_that_was_left_out_is_no_finding() {
    let mut world = targeted(two_instances(), &["ibm.prod.dev"]);
    world.desired.logicmonitor = lm(vec![("x", wanted(None))], vec![]).desired.logicmonitor;
    assert!(targeted(world.clone(), &[]).story().contains("it was not read"));
    world.snapshot.left_out.insert(acme());
    let planned = world.plan();
    assert!(planned.findings.is_empty(), "{}", story(&planned));
    assert_eq!(planned.plan.extent.not_contacted, [acme()]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the target: every change of the narrow plan is one of the whole plan, a need never
    /// leads out of it, and nothing is broken that the whole plan holds.
    #[test]
    fn a_narrow_plan_is_a_closed_part_of_the_whole_one(world in world(), pick in 0..8_usize) {
        let whole = world.plan();
        prop_assume!(!whole.plan.changes.is_empty());
        let seed = whole.plan.changes[pick % whole.plan.changes.len()].address.clone();
        let mut narrow = world.clone();
        narrow.asked.target = vec![seed.clone().into()];
        let planned = narrow.plan();
        let text = story(&planned);
        prop_assert!(planned.plan.changes.iter().any(|c| c.address == seed), "{text}");
        for change in &planned.plan.changes {
            // what an outage lasts is told in numbers of steps, which are the plan's own
            let plain = |change: &Change| Change { notes: Vec::new(), ..change.clone() };
            let is_it = |other: &Change| plain(other) == plain(change);
            prop_assert!(whole.plan.changes.iter().any(is_it), "{text}");
        }
        let inside: BTreeSet<_> = planned.plan.steps.iter().map(|s| &s.id).collect();
        for step in &whole.plan.steps {
            let tied = step.needs.iter().any(|need| inside.contains(&need.step));
            prop_assert!(!tied || inside.contains(&step.id), "{} is tied:\n{text}", step.id);
        }
        if !whole.findings.iter().any(Finding::is_error) && admit(whole.plan.clone()).is_ok() {
            prop_assert!(admit(planned.plan).is_ok(), "{text}");
        }
    }
}
