//! `limits` and `protect`.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::{Absent, Disabled, Enabled};
use crate::plan::check::admit;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::logicmonitor::state::Token;

/// A portal that has `all` declared tokens, of which the first `some` have another wish.
fn portal(all: u64, some: u64, wish: &Token) -> World {
    let names: Vec<String> = (0..all).map(|n| format!("t{n:02}")).collect();
    let want = |n: u64| if n < some { wish.clone() } else { wanted(None) };
    let wants = names.iter().zip(0..).map(|(name, n)| (name.as_str(), want(n))).collect();
    lm(wants, names.iter().zip(100..).map(|(name, id)| live(id, name)).collect())
}

fn refusals(world: &World) -> Vec<String> {
    broken(&world.plan().plan)
}

#[test]
fn each_limit_holds_at_its_number_and_refuses_one_more() {
    let mut world = portal(9, 3, &wanted(Some(Disabled)));
    world.desired.limits.disable = 3;
    assert!(refusals(&world).is_empty());
    world.desired.limits.disable = 2;
    assert_eq!(
        refusals(&world),
        [
            "refused I7: 3 to disable, but limits.disable is 2 (`plan --limit disable=3` raises it for one plan)"
        ]
    );
    let mut world = portal(9, 6, &wanted(Some(Absent)));
    assert_eq!(
        refusals(&world),
        ["refused I7: 6 to delete, but limits.delete is 5 (`plan --limit delete=6` raises it for one plan)"]
    );
    world.desired.limits.delete = 6;
    assert!(admit(world.plan().plan).is_ok());
}

#[test]
fn a_name_that_is_deleted_with_its_predecessor_counts_once() {
    let tokens = vec![live(5, "ci"), live(6, "ci ;tf1 g=a p=5")];
    let mut world = lm(vec![("ci", wanted(Some(Absent)))], tokens);
    world.desired.limits.delete = 1;
    assert_eq!(world.admitted().steps.len(), 2);
}

#[test]
fn a_share_is_judged_from_ten_live_objects_up() {
    assert!(refusals(&portal(9, 5, &wanted(Some(Disabled)))).is_empty());
    assert!(refusals(&portal(10, 3, &wanted(Some(Disabled)))).is_empty());
    let refused = refusals(&portal(10, 4, &wanted(Some(Disabled))));
    assert_eq!(
        refused,
        ["refused I7: 4 to disable at logicmonitor.acme, 40 % of the 10 declared tokens that are live, but \
          limits.percent is 30 (`plan --limit percent=40` raises it for one plan)"]
    );
}

#[test]
fn creations_are_unlimited() {
    let names: Vec<String> = (0..30).map(|n| format!("t{n}")).collect();
    let wants = names.iter().map(|name| (name.as_str(), wanted(Some(Enabled)))).collect();
    assert_eq!(lm(wants, vec![]).admitted().steps.len(), 30);
}

#[test]
fn a_switched_instance_counts_once_with_all_its_resets() {
    let teams: Vec<String> = (0..25).map(|n| format!("Team {n}")).collect();
    let teams: Vec<&str> = teams.iter().map(String::as_str).collect();
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &teams));
    assert_eq!(world.admitted().steps.len(), 26);
    world.desired.limits.lock = 0;
    assert_eq!(
        refusals(&world),
        ["refused I7: 1 to lock, but limits.lock is 0 (`plan --limit lock=1` raises it for one plan)"]
    );
}

#[test]
fn resets_of_an_open_instance_count_as_rotations() {
    let want = with_team(wants(Some(Any)), "SRE", rotated_team("SRE"));
    let mut world = ibm(want, is(Any, &["SRE"]));
    world.desired.limits.rotate = 0;
    assert_eq!(
        refusals(&world),
        ["refused I7: 1 to rotate, but limits.rotate is 0 (`plan --limit rotate=1` raises it for one plan)"]
    );
}

#[test]
fn a_protected_team_keeps_its_instance_from_being_locked() {
    let protected = crate::provider::ibm::state::Team { protect: true, ..plain_team() };
    tells!(
        ibm(with_team(wants(Some(IamOnly)), "Ops", protected), is(Any, &["Ops"])),
        str![[r#"
invalidate mon.team["Ops"]: reset before the instance is locked
lock mon: the spec wants IAM tokens alone
protect mon.team["Ops"]: the spec protects it
1 reset mon.team["Ops"] invalidate
2 protect mon.team["Ops"]
3 lock mon after 1 reset-before-lock, 2 lock-last
refused I7: step 1 touches mon.team["Ops"], which is protected

"#]]
    );
    let mut world = ibm(wants(Some(IamOnly)), is(Any, &["Ops"]));
    want_mon(&mut world).protect = true;
    assert!(refusals(&world)[0].contains("touches ibm.prod.mon, which is protected"));
}

#[test]
fn protection_forbids_taking_away_and_nothing_else() {
    let protected = |status| Token { protect: true, ..wanted(Some(status)) };
    for status in [Disabled, Absent] {
        let world = lm(vec![("ci", protected(status))], vec![live(5, "ci")]);
        assert!(refusals(&world)[0].contains("is protected"));
    }
    lm(vec![("ci", protected(Enabled))], vec![disabled(live(5, "ci"))]).admitted();
    lm(vec![("ci", protected(Enabled))], vec![]).admitted();
    let rotated = Token { protect: true, ..rotated(None) };
    let world = lm(vec![("ci", rotated)], vec![old(live(5, "ci"))]);
    assert!(refusals(&world)[0].contains("is protected"));
    let team = crate::provider::ibm::state::Team { deliver: vec![to("A")], protect: true, ..plain_team() };
    let world = ibm(with_team(wants(None), "SRE", team), is(Any, &["SRE"]));
    assert_eq!(
        world.past(&self::team("SRE"), Past::default()).admitted().steps.len(),
        2,
        "it is protected, and fed"
    );
}
