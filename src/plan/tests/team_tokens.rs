//! Tokens of teams whose instance stays open.

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
rotate mon.team["SRE"]: age unknown: it was issued outside tokenform
1 reset mon.team["SRE"] single-slot > ops-env#SRE
warning plan::key_changed_outside mon.team["SRE"]: the token in SRE was reset outside tokenform: its fingerprint is b7b5de65, the ledger's last one b95b47d9

"#]]
    );
}

#[test]
fn a_key_that_somebody_else_has_reset_is_drift_and_is_brought_where_a_dead_one_is() {
    let seen =
        |days, old: &str| Past { seen_at: Some(days_ago(days)), ..issued(days, old, Some("ops-env#SRE")) };
    let world = sre(rotated_team("SRE")).past(&team("SRE"), seen(30, "SRE"));
    assert_eq!(world.plan().plan.ages[0].says, "due in 60d");
    let world = world.past(&team("SRE"), seen(30, "an earlier key"));
    tells!(
        world.clone(),
        str![[r#"
deliver mon.team["SRE"]: ops-env#SRE does not hold the present value
1 deliver mon.team["SRE"] > ops-env#SRE
warning plan::key_changed_outside mon.team["SRE"]: the token in SRE was reset outside tokenform after 2026-10-23T10:00:00Z: its fingerprint is b7b5de65, the ledger's last one 91ddde3f; ops-env#SRE may hold a dead value

"#]]
    );
    let ages = world.plan().plan.ages;
    assert_eq!(ages[0].issued_at, None);
    assert_eq!(ages[0].says, "age unknown: issued outside tokenform after 2026-10-23T10:00:00Z, due in 60d");
    tells!(
        world.past(&team("SRE"), seen(90, "an earlier key")),
        str![[r#"
rotate mon.team["SRE"]: age unknown: issued outside tokenform after 2026-08-24T10:00:00Z, max_age 90d
1 reset mon.team["SRE"] single-slot > ops-env#SRE
warning plan::key_changed_outside mon.team["SRE"]: the token in SRE was reset outside tokenform after 2026-08-24T10:00:00Z: its fingerprint is b7b5de65, the ledger's last one 91ddde3f; ops-env#SRE may hold a dead value

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

#[test]
fn resets_that_an_unlock_owes_are_not_forgotten() {
    let unlocked = |days| Past { unlocked_at: Some(days_ago(days)), ..Past::default() };
    let mut want = rotated_team("SRE");
    want.rotate = None;
    let world = ibm(with_team(wants(Some(Any)), "SRE", want), is(Any, &["SRE", "Guests"]));
    let world = world.past(&team("SRE"), issued(5, "SRE", Some("ops-env#SRE")));
    let owing = world.clone().past(&mon(), unlocked(2));
    tells!(
        owing.clone(),
        str![[r#"
rotate mon.team["SRE"]: owed since the unlock: earlier tokens may work again
1 reset mon.team["SRE"] single-slot > ops-env#SRE
warning plan::resets_owed mon.team["Guests"]: the token in Guests was not reset since the unlock: earlier ones may work

"#]]
    );
    tells!(
        world.past(&mon(), unlocked(9)).past(&team("Guests"), issued(8, "Guests", None)),
        str![[r#"
nothing

"#]]
    );
}

#[test]
fn a_change_says_whose_token_it_is_and_how_many_others_may_hold_one() {
    let note = |users| {
        let mut world = sre(rotated_team("SRE"));
        let live = world.snapshot.instances.get_mut(&mon()).unwrap();
        let crate::model::observed::Observed::Present(live) = live else { panic!("not there") };
        live.teams[0].user_count = users;
        world.plan().plan.changes[0].notes[0].clone()
    };
    assert!(
        note(Some(4)).ends_with(" in SRE; 3 other members may hold tokens of their own"),
        "{}",
        note(Some(4))
    );
    for alone in [Some(1), Some(0), None] {
        assert!(note(alone).ends_with(" in SRE"), "{}", note(alone));
    }
}
