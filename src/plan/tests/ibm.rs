//! Instances and their teams.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::ibm::state::*;

/// A team's token in the ledger: issued some days ago, delivered to a slot.
fn issued(days: i64, name: &str, slot: Option<&str>) -> Past {
    let fingerprint = fp(&format!("key of {name}"));
    Past {
        issued_at: Some(days_ago(days)),
        delivered: slot.map(|s| (s.to_owned(), fingerprint.clone())).into_iter().collect(),
        fingerprint: Some(fingerprint),
        ..Past::default()
    }
}

fn sre(want: Team) -> World {
    ibm(with_team(wants(Some(Any)), "SRE", want), is(Any, &["SRE"]))
}

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
    tells!(
        ibm(want, is(Any, &["Ops", "Web"])),
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
    tells!(
        ibm(want, is(Any, &["Ops", "Web"])),
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
fn a_token_is_due_at_its_max_age() {
    let world = sre(rotated_team("SRE"));
    tells!(
        world.clone().past(&team("SRE"), issued(89, "SRE", Some("ops-env#SRE"))),
        str![[r#"
nothing

"#]]
    );
    tells!(
        world.past(&team("SRE"), issued(90, "SRE", Some("ops-env#SRE"))),
        str![[r#"
rotate mon.team["SRE"]: 90d old, max_age 90d
1 reset mon.team["SRE"] single-slot > ops-env#SRE

"#]]
    );
}

#[test]
fn an_incident_makes_an_earlier_token_due_with_its_rationale() {
    let mut want = rotated_team("SRE");
    let rotate = want.rotate.as_mut().unwrap();
    rotate.issued_after = Some(at("2026-11-20T00:00:00Z"));
    rotate.rationale = Some("TRA-12".into());
    let world = sre(want);
    tells!(
        world.clone().past(&team("SRE"), issued(3, "SRE", Some("ops-env#SRE"))),
        str![[r#"
rotate mon.team["SRE"]: issued 2026-11-19T10:00:00Z, before issued_after 2026-11-20T00:00:00Z; TRA-12
1 reset mon.team["SRE"] single-slot > ops-env#SRE

"#]]
    );
    tells!(
        world.past(&team("SRE"), issued(1, "SRE", Some("ops-env#SRE"))),
        str![[r#"
nothing

"#]]
    );
}

#[test]
fn a_key_that_the_ledger_does_not_know_has_an_unknown_age() {
    let world = sre(rotated_team("SRE"));
    tells!(
        world.past(&team("SRE"), issued(1, "another key", None)),
        str![[r#"
rotate mon.team["SRE"]: age unknown: not in the ledger
1 reset mon.team["SRE"] single-slot > ops-env#SRE

"#]]
    );
}

#[test]
fn in_a_new_state_a_reset_due_to_unknown_age_alone_is_marked() {
    let mut world = sre(rotated_team("SRE"));
    assert!(world.admitted().evidence.new_state.is_empty(), "the ledger has a head");
    world.history.head = None;
    let plan = world.admitted();
    assert_eq!(plan.evidence.new_state, [plan.steps[0].id.clone()]);
}

#[test]
fn a_token_goes_as_it_is_to_a_destination_that_lacks_it() {
    let want = Team { deliver: vec![to("A"), to("B")], ..plain_team() };
    let world = sre(want);
    tells!(
        world.clone().past(&team("SRE"), issued(1, "SRE", Some("ops-env#A"))),
        str![[r#"
deliver mon.team["SRE"]: never delivered to ops-env#B
1 deliver mon.team["SRE"] > ops-env#B

"#]]
    );
    let mut other = issued(1, "SRE", Some("ops-env#A"));
    other.delivered.insert("ops-env#B".into(), fp("an earlier key"));
    tells!(
        world.past(&team("SRE"), other),
        str![[r#"
deliver mon.team["SRE"]: ops-env#B does not hold the present value
1 deliver mon.team["SRE"] > ops-env#B

"#]]
    );
}

#[test]
fn a_rotation_without_a_destination_is_refused() {
    let want = Team { deliver: Vec::new(), ..rotated_team("SRE") };
    tells!(
        sre(want),
        str![[r#"
error plan::no_destination mon.team["SRE"]: the token is due for rotation, but has no `deliver`: the new value would be lost

"#]]
    );
}

#[test]
fn nothing_is_reset_while_the_team_header_is_unproven() {
    let mut world = sre(rotated_team("SRE"));
    live_mon(&mut world).header = HeaderProof::Unproven("two teams gave one key".into());
    tells!(
        world,
        str![[r#"
rotate mon.team["SRE"]: age unknown: not in the ledger
1 reset mon.team["SRE"] single-slot > ops-env#SRE
error ibm::team_header_unproven mon: two teams gave one key

"#]]
    );
}

#[test]
fn a_guided_reset_needs_an_identity_that_can_log_in() {
    let mut world = sre(rotated_team("SRE"));
    let guided = TokenReset::Guided { timeout: crate::model::vocabulary::Period::hours(1) };
    world.desired.ibm.get_mut(&prod()).unwrap().token_reset = guided;
    assert_eq!(world.admitted().steps[0].call.method, "GUIDED");
    live_mon(&mut world).service_id = true;
    live_mon(&mut world).identity = "ServiceId-1".into();
    tells!(
        world,
        str![[r#"
rotate mon.team["SRE"]: age unknown: not in the ledger
1 reset mon.team["SRE"] single-slot > ops-env#SRE
error plan::guided_service_id mon.team["SRE"]: a guided reset needs a person logged in as ServiceId-1, which is a service ID

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
fn a_guided_reset_of_a_persons_token_may_run_as_a_service_id() {
    let owned = Team { owner: Some("me@example.com".into()), ..rotated_team("SRE") };
    let mut world = sre(owned);
    let guided = TokenReset::Guided { timeout: crate::model::vocabulary::Period::hours(1) };
    world.desired.ibm.get_mut(&prod()).unwrap().token_reset = guided;
    live_mon(&mut world).service_id = true;
    assert!(world.plan().findings.is_empty(), "{}", world.story());
}

#[test]
fn a_key_that_may_be_another_teams_is_not_delivered() {
    let mut world = sre(Team { deliver: vec![to("A")], ..plain_team() });
    live_mon(&mut world).header = HeaderProof::Unproven("two teams gave one key".into());
    tells!(
        world,
        str![[r#"
deliver mon.team["SRE"]: never delivered to ops-env#A
1 deliver mon.team["SRE"] > ops-env#A
error ibm::team_header_unproven mon: two teams gave one key

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
refused I1: two steps have one id; two changes have `reset mon.team["Ops"]`

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
fn a_token_that_was_not_read_is_neither_reset_nor_delivered() {
    let mut world = sre(Team { deliver: vec![to("A")], ..plain_team() });
    live_mon(&mut world).teams[0].fingerprint = None;
    tells!(
        world,
        str![[r#"
error plan::unreadable mon.team["SRE"]: the token in SRE (id 1) was not read

"#]]
    );
    want_mon(&mut world).external_api_auth = Some(IamOnly);
    assert!(world.story().contains("error plan::unreadable"));
}
