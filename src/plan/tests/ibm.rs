//! Instances: locking, unlocking, and what stops it.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::ibm::state::*;

#[test]
fn a_lock_comes_after_the_reset_of_every_visible_team_declared_or_not() {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    tells!(
        ibm(want, is(Any, &["Ops", "Web"])),
        str![[r#"
invalidate mon.team["Ops"]: reset before the instance is locked
invalidate mon.team["Web"]: visible team, not listed: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Ops"] invalidate
2 reset mon.team["Web"] invalidate
3 lock mon after 1 reset-before-lock, 2 reset-before-lock

"#]]
    );
}

#[test]
fn other_teams_refuse_stops_at_a_visible_team_that_is_not_listed() {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let want = Instance { other_teams: OtherTeams::Refuse, ..want };
    let mut live = is(Any, &["Ops", "Web"]);
    // as it is read: nothing is asked of a team that is neither listed nor reset
    live.teams[1].fingerprint = None;
    tells!(
        ibm(want, live),
        str![[r#"
invalidate mon.team["Ops"]: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Ops"] invalidate
2 lock mon after 1 reset-before-lock
error plan::other_teams mon.team["Web"]: team Web (id 2) is visible but not listed
refused I1: lock 2 of mon has no ordered reset of mon.team["Web"] (lock-covers-all)

"#]]
    );
}

#[test]
fn other_teams_ignore_says_which_token_is_not_covered() {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let want = Instance { other_teams: OtherTeams::Ignore, ..want };
    let mut live = is(Any, &["Ops", "Web"]);
    live.teams[1].fingerprint = None;
    tells!(
        ibm(want, live),
        str![[r#"
invalidate mon.team["Ops"]: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Ops"] invalidate
2 lock mon after 1 reset-before-lock
warning plan::not_covered mon.team["Web"]: NOT covered: the token in Web (id 2) is not reset

"#]]
    );
}

#[test]
fn an_unlock_comes_before_resets_that_deliver_or_drop() {
    let want = with_team(wants(Some(Any)), "SRE", rotated_team("SRE"));
    tells!(
        ibm(want, is(IamOnly, &["SRE", "Web"])),
        str![[r#"
unlock mon: the spec wants API tokens accepted
rotate mon.team["SRE"]: earlier tokens may work again after the unlock
invalidate mon.team["Web"]: earlier tokens may work again after the unlock
1 unlock mon
2 reset mon.team["SRE"] single-slot > ops-env#SRE after 1 unlock-before-reset
3 reset mon.team["Web"] invalidate after 1 unlock-before-reset

"#]]
    );
}

#[test]
fn an_unlock_resets_unlisted_teams_even_where_other_teams_are_ignored() {
    let want = Instance { other_teams: OtherTeams::Ignore, ..wants(Some(Any)) };
    tells!(
        ibm(want, is(IamOnly, &["Web"])),
        str![[r#"
unlock mon: the spec wants API tokens accepted
invalidate mon.team["Web"]: earlier tokens may work again after the unlock
1 unlock mon
2 reset mon.team["Web"] invalidate after 1 unlock-before-reset

"#]]
    );
}

#[test]
fn locked_as_wanted_is_a_no_op_whatever_the_ledger_says() {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let world = ibm(want, is(IamOnly, &["Ops", "Web"]));
    tells!(
        world,
        str![[r#"
info plan::token_history_unknown mon: locked already; the ledger does not say whether earlier tokens were reset in Ops, Web

"#]]
    );
    let world = world.past(&team("Ops"), Past::default()).past(&team("Web"), Past::default());
    tells!(
        world,
        str![[r#"
nothing

"#]]
    );
}

#[test]
fn an_instance_that_refuses_updates_is_not_switched() {
    type Spoil = fn(&mut LiveInstance);
    let cases: [(Spoil, &str); 4] = [
        (|i| i.state = "inactive".into(), "`inactive`"),
        (|i| i.locked = true, "service-instance-unlock"),
        (|i| i.busy = true, "in progress"),
        (|i| i.controlled_by = Some("crn:x".into()), "controlled by crn:x"),
    ];
    for (spoil, says) in cases {
        let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops"]));
        spoil(live_mon(&mut world));
        let story = world.story();
        assert!(story.contains("error plan::not_writable") && story.contains(says), "{story}");
    }
}

#[test]
fn a_stored_mode_that_is_not_in_force_stops_the_instance() {
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops"]));
    live_mon(&mut world).setting = Some("IAM_ONLY".into());
    tells!(
        world,
        str![[r#"
error ibm::mode_conflict mon: the instance's parameters say external_api_auth is IAM_ONLY, but a token read shows that ANY is in force

"#]]
    );
    live_mon(&mut world).setting = Some("API_ONLY".into());
    tells!(
        world,
        str![[r#"
error ibm::unknown_auth_mode mon: external_api_auth is `API_ONLY`, which is neither ANY nor IAM_ONLY

"#]]
    );
    live_mon(&mut world).setting = None;
    assert!(world.story().contains("lock mon"), "the probe decides where nothing is stored");
    live_mon(&mut world).probed = Probe::Unknown;
    tells!(
        world,
        str![[r#"
error plan::unreadable mon: external_api_auth is not in the parameters, and the token probe told nothing

"#]]
    );
    live_mon(&mut world).probed = Probe::Refused;
    assert!(world.story().contains("a permission may be missing"), "{}", world.story());
    live_mon(&mut world).setting = Some("IAM_ONLY".into());
    assert!(!world.story().contains("error"), "the setting and the refusal agree: {}", world.story());
    live_mon(&mut world).setting = Some("ANY".into());
    assert!(world.story().contains("mode_conflict"), "{}", world.story());
}

#[test]
fn workload_protection_is_switched_only_where_the_spec_accepts_that() {
    let want = Instance { service: Service::WorkloadProtection, ..wants(Some(IamOnly)) };
    let mut world = ibm(want, is(Any, &["Secure Operations"]));
    live_mon(&mut world).service = Service::WorkloadProtection;
    tells!(
        world,
        str![[r#"
invalidate mon.team["Secure Operations"]: visible team, not listed: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Secure Operations"] invalidate
2 lock mon after 1 reset-before-lock
error ibm::accept_unverified mon: nothing documents that Workload Protection takes external_api_auth

"#]]
    );
    want_mon(&mut world).accept_unverified = true;
    assert_eq!(world.admitted().steps.len(), 2);
}

#[test]
fn a_wish_about_a_token_of_an_unmanaged_locked_instance_is_an_error() {
    let want = with_team(wants(None), "SRE", rotated_team("SRE"));
    tells!(
        ibm(want, is(IamOnly, &["SRE"])),
        str![[r#"
error ibm::locked_out mon.team["SRE"]: the instance is IAM_ONLY, so the team's token can neither be read nor used

"#]]
    );
}

#[test]
fn an_instance_that_was_not_read_gets_no_step() {
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops"]));
    let failed = Box::new(unreadable(&mon()));
    world.snapshot.instances.insert(mon(), crate::model::observed::Observed::Unreadable(failed));
    tells!(
        world,
        str![[r#"
error plan::unreadable mon: HTTP 500

"#]]
    );
    world.snapshot.instances.insert(mon(), crate::model::observed::Observed::Absent);
    tells!(
        world,
        str![[r#"
error plan::name_not_found mon: there is no `mon` on the vendor's side

"#]]
    );
    world.snapshot.instances.clear();
    tells!(
        world,
        str![[r#"
error plan::unreadable mon: it was not read

"#]]
    );
}

#[test]
fn a_declared_team_that_is_not_visible_stops_the_plan() {
    let want = with_team(wants(Some(Any)), "SRE", rotated_team("SRE"));
    tells!(
        ibm(want.clone(), is(Any, &["sre"])),
        str![[r#"
error plan::name_not_found mon.team["SRE"]: me@example.com sees no team `SRE`; visible teams: sre (id 1)

"#]]
    );
    let locked = Instance { external_api_auth: Some(IamOnly), ..want };
    assert!(ibm(locked.clone(), is(Any, &["Ops"])).story().contains("error plan::name_not_found"));
    assert!(!ibm(locked, is(IamOnly, &["Ops"])).story().contains("error"), "a no-op stays one");
}

#[test]
fn two_visible_teams_for_one_declared_name_stop_the_plan() {
    let pinned = Team { id: Some(1), ..plain_team() };
    let want = with_team(wants(Some(IamOnly)), "Ops", pinned);
    tells!(
        ibm(want, is(Any, &["Renamed", "Ops"])),
        str![[r#"
invalidate mon.team["Ops"]: reset before the instance is locked
invalidate mon.team["Ops"]: visible team, not listed: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
1 reset mon.team["Ops"] invalidate
2 reset mon.team["Ops"] invalidate
3 lock mon after 2 reset-before-lock, 2 reset-before-lock
error plan::ambiguous mon.team["Ops"]: several visible teams stand for it: id 1, id 2
refused I1: two steps have one id; two changes have `reset mon.team["Ops"]`; the way back from lock 3 does not reset every visible team; step 2 does again what an earlier step does

"#]]
    );
}

#[test]
fn an_instance_without_a_visible_team_is_not_switched() {
    tells!(
        ibm(wants(Some(IamOnly)), is(Any, &[])),
        str![[r#"
lock mon: the spec wants IAM tokens alone
1 lock mon
error plan::unreadable mon: no team is visible to me@example.com, so no token could be reset
refused I1: lock 1 of mon covers no visible team

"#]]
    );
    assert!(ibm(wants(Some(Any)), is(IamOnly, &[])).story().contains("error plan::unreadable"));
}

#[test]
fn a_lock_tells_the_way_back_and_what_no_way_leads_back_to() {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let want = Instance { other_teams: OtherTeams::Ignore, ..want };
    let plan = ibm(want, is(Any, &["Ops", "Web"])).admitted();
    let [way] = plan.reverse.as_slice() else { panic!("{:?}", plan.reverse) };
    let steps: Vec<_> = way.steps.iter().map(|step| format!("{} {}", step.verb, step.address)).collect();
    // a team that the lock leaves out is reset by the unlock all the same
    assert_eq!(
        steps,
        ["unlock ibm.prod.mon", "reset ibm.prod.mon.team[\"Ops\"]", "reset ibm.prod.mon.team[\"Web\"]"]
    );
    assert_eq!(way.steps[0].undoes.as_ref(), Some(&plan.steps[1].id));
    let lost: Vec<_> = way.lost.iter().map(|lost| &lost.step).collect();
    assert_eq!(lost, [&plan.steps[0].id]);
    let unlock = ibm(wants(Some(Any)), is(IamOnly, &["Ops"])).admitted();
    assert!(unlock.reverse.is_empty());
}
