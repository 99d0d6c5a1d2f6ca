//! Amended plans: resets of an interrupted apply that cover their teams for a lock, and only those.

use std::collections::BTreeMap;

use super::tells;
use crate::model::history::{Facts, Interrupted, Past, Proof};
use crate::model::step::{Need, Rule, StepId};
use crate::model::verb::Verb;
use crate::plan::check::{admit, judge};
use crate::plan::document::Plan;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};

fn reset_of(name: &str) -> StepId {
    StepId::new(Verb::Reset, &team(name), 1)
}

/// What a reset of team `id` left two hours ago.
fn made(name: &str, id: u64) -> (StepId, Facts) {
    let facts = Facts {
        fingerprint: Some(fp(&format!("key of {name}"))),
        issued_at: Some(at("2026-11-22T08:00:00Z")),
        remote_id: Some(id),
        proof: Some(Proof::Refused),
        ..Facts::default()
    };
    (reset_of(name), facts)
}

/// An apply was stopped before its lock, because team Late appeared: Ops and Web are reset.
pub(super) fn stopped() -> World {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let mut world = ibm(want, is(Any, &["Ops", "Web", "Late"]));
    let resets: BTreeMap<_, _> = [made("Ops", 1), made("Web", 2)].into();
    world.history.interrupted = Some(Interrupted { apply_id: "a1".into(), resets, unlocked: [].into() });
    world
}

fn facts<'w>(world: &'w mut World, name: &str) -> &'w mut Facts {
    world.history.interrupted.as_mut().unwrap().resets.get_mut(&reset_of(name)).unwrap()
}

/// The teams that a plan takes over, and those that it resets.
fn split(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let taken = plan.amends.iter().flat_map(|amends| &amends.covered).map(|row| row.address.name().into());
    let resets = plan.steps.iter().filter(|s| s.verb == Verb::Reset).map(|s| s.address.name().into());
    (taken.collect(), resets.collect())
}

#[test]
fn only_the_new_team_is_reset_and_the_lock_still_needs_every_team() {
    tells!(
        stopped(),
        snapbox::str![[r#"
invalidate mon.team["Late"]: visible team, not listed: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Late"] invalidate
2 lock mon after 1 reset-before-lock, an earlier run reset-before-lock, an earlier run reset-before-lock

"#]]
    );
    let plan = stopped().admitted();
    assert_eq!(plan.amends.as_ref().unwrap().apply, "a1");
    assert_eq!(plan.steps.last().unwrap().needs.len(), 3);
    let i1 = judge(&plan).into_iter().find(|i| i.id == "I1").unwrap();
    assert_eq!(
        i1.proof,
        "lock 2 of ibm.prod.mon after resets 1, and after those of the interrupted apply of \
         ibm.prod.mon.team[\"Ops\"], ibm.prod.mon.team[\"Web\"]"
    );
}

#[test]
fn a_reset_counts_only_proved_fresh_of_that_team_and_with_the_key_that_is_there_now() {
    type Change = fn(&mut Facts);
    let changes: [(&str, Change); 6] = [
        ("unproved", |f| f.proof = None),
        ("of another team", |f| f.remote_id = Some(9)),
        ("the key moved", |f| f.fingerprint = Some(fp("another key"))),
        ("too old", |f| f.issued_at = Some(at("2026-11-21T09:59:59Z"))),
        ("later than now", |f| f.issued_at = Some(at("2026-11-22T10:00:01Z"))),
        ("of unknown time", |f| f.issued_at = None),
    ];
    for (what, change) in changes {
        let mut world = stopped();
        change(facts(&mut world, "Web"));
        let (taken, resets) = split(&world.admitted());
        assert_eq!((taken, resets.len()), (vec!["Ops".to_owned()], 2), "{what}");
    }
    let mut world = stopped();
    facts(&mut world, "Web").issued_at = Some(at("2026-11-21T10:00:00Z"));
    assert_eq!(split(&world.admitted()).0.len(), 2, "a day old, to the second");
}

#[test]
fn a_team_that_is_ignored_or_an_unlock_takes_nothing_over() {
    let mut world = stopped();
    want_mon(&mut world).other_teams = crate::provider::ibm::state::OtherTeams::Ignore;
    assert_eq!(split(&world.admitted()), (vec!["Ops".to_owned()], vec![]));
    let mut world = ibm(wants(Some(Any)), is(IamOnly, &["Ops", "Web"]));
    world.history.interrupted = stopped().history.interrupted;
    let plan = world.admitted();
    assert!(plan.amends.is_none() && split(&plan).1.len() == 2);
}

/// An apply was stopped after it had unlocked, and reset the token in Ops.
pub(super) fn unlocked() -> World {
    let mut world = ibm(wants(Some(Any)), is(Any, &["Ops", "Web"]));
    let opened = Past { unlocked_at: Some(at("2026-11-22T07:00:00Z")), ..Past::default() };
    let reset = Past { issued_at: Some(at("2026-11-22T08:00:00Z")), ..Past::default() };
    world = world.past(&mon(), opened).past(&team("Ops"), reset);
    let apply = Interrupted { apply_id: "a1".into(), resets: [].into(), unlocked: [mon()].into() };
    world.history.interrupted = Some(apply);
    world
}

#[test]
fn resets_that_an_unlock_owes_are_made_by_the_plan_that_goes_on_with_it() {
    tells!(
        unlocked(),
        snapbox::str![[r#"
invalidate mon.team["Web"]: earlier tokens may work again after the unlock
1 reset mon.team["Web"] invalidate

"#]]
    );
    assert_eq!(unlocked().admitted().amends.unwrap().unlocked, [mon()]);
    let mut alone = unlocked().admitted();
    alone.amends = None;
    assert!(admit(alone).is_err(), "nothing says that it was unlocked");
    let mut nothing = unlocked().admitted();
    nothing.steps.clear();
    nothing.changes.clear();
    assert!(admit(nothing).is_err(), "nothing is owed");
}

/// Ways to forge an amended plan; each must be refused by I1.
#[test]
fn no_forged_cover_is_admitted() {
    type Break = fn(&mut Plan);
    let breaks: [(&str, Break); 11] = [
        ("cover a team that nobody saw", |p| {
            p.evidence.visible_teams[0].teams.retain(|seen| seen.address != team("Web"));
            let way = &mut p.reverse[0];
            way.steps.retain(|step| step.address != team("Web"));
        }),
        ("drop the cover", |p| drop(rows(p).pop())),
        ("drop all of them", |p| p.amends = None),
        ("drop the edge to it", |p| lock(p).needs.retain(|n| n.step != reset_of("Web"))),
        ("give the edge another rule", |p| {
            lock(p)
                .needs
                .iter_mut()
                .filter(|n| n.step == reset_of("Web"))
                .for_each(|n| n.rule = Rule::LockLast);
        }),
        ("cover another team of the same name", |p| rows(p)[1].team_id = 9),
        ("make it older than a day", |p| rows(p)[1].at = at("2026-11-21T09:59:59Z")),
        ("make it of tomorrow", |p| rows(p)[1].at = at("2026-11-23T10:00:00Z")),
        ("let one stand twice", |p| {
            let again = rows(p)[0].clone();
            rows(p).push(again);
        }),
        ("let one step cover two teams", |p| rows(p)[1].step = reset_of("Ops")),
        ("cover a team that the plan resets as well", |p| {
            let mut row = rows(p)[0].clone();
            (row.address, row.step, row.team_id) = (team("Late"), reset_of("Late"), 3);
            rows(p).push(row);
        }),
    ];
    for (what, break_it) in breaks {
        let mut plan = stopped().admitted();
        break_it(&mut plan);
        let refused: Vec<_> = judge(&plan).into_iter().filter(|i| !i.holds).map(|i| i.id).collect();
        assert!(refused.contains(&"I1".to_owned()), "{what}: {refused:?}");
        assert!(admit(plan).is_err(), "{what}");
    }
}

#[test]
fn a_cover_without_a_lock_is_refused() {
    let mut plan = stopped().admitted();
    let amends = plan.amends.clone();
    let mut open = ibm(with_team(wants(None), "Ops", rotated_team("K")), is(Any, &["Ops", "Web"])).admitted();
    assert_eq!(open.amends, None);
    open.amends.clone_from(&amends);
    assert!(admit(open).is_err());
    // An unlock is not covered by what was reset before it.
    let unlocking = ibm(wants(Some(Any)), is(IamOnly, &["Ops", "Web"])).admitted();
    plan.amends = None;
    plan.clone_from(&unlocking);
    let gone = plan.steps.pop().unwrap();
    plan.changes.retain(|c| !c.steps.contains(&gone.id));
    plan.amends = amends;
    let need = Need { step: gone.id.clone(), rule: Rule::ResetBeforeLock };
    plan.steps[0].needs.push(need);
    assert!(admit(plan).is_err());
}

fn rows(plan: &mut Plan) -> &mut Vec<crate::plan::document::Covered> {
    &mut plan.amends.as_mut().unwrap().covered
}

fn lock(plan: &mut Plan) -> &mut crate::model::step::Step {
    plan.steps.iter_mut().find(|s| s.verb == Verb::Lock).unwrap()
}
