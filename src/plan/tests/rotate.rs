//! `--rotate`: a rotation that was asked for, due or not.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::Enabled;
use crate::plan::check::admit;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::Any;
use crate::provider::logicmonitor::state::Token;
use crate::provider::state::Rotate;

fn asked(mut world: World, address: &str) -> World {
    world.asked.rotate = vec![address.parse().unwrap()];
    world
}

#[test]
fn a_young_token_is_rotated_and_the_reason_says_who_wants_it() {
    let fed = Past {
        issued_at: Some(days_ago(1)),
        fingerprint: Some(fp("key of SRE")),
        delivered: [(to("SRE").slot(), fp("key of SRE"))].into(),
        ..Past::default()
    };
    let want = with_team(wants(Some(Any)), "SRE", rotated_team("SRE"));
    let world = ibm(want, is(Any, &["SRE"])).past(&team("SRE"), fed);
    assert_eq!(world.story(), "nothing\n");
    let world = asked(world, "ibm.prod.mon");
    tells!(
        world,
        str![[r#"
rotate mon.team["SRE"]: asked for with --rotate
1 reset mon.team["SRE"] single-slot > ops-env#SRE

"#]]
    );
    assert_eq!(world.admitted().asked.rotate.len(), 1, "the plan does not record it");
}

#[test]
fn a_team_needs_no_rotation_to_be_rotated_and_counts_under_the_limit() {
    let team = crate::provider::ibm::state::Team { rotate: None, ..rotated_team("SRE") };
    let mut world =
        asked(ibm(with_team(wants(Some(Any)), "SRE", team), is(Any, &["SRE"])), "ibm.prod.mon.team[\"SRE\"]");
    assert_eq!(world.admitted().steps.len(), 1);
    world.desired.limits.rotate = 0;
    assert_eq!(
        broken(&world.plan().plan),
        ["refused I7: 1 to rotate, but limits.rotate is 0 (`plan --limit rotate=1` raises it for one plan)"]
    );
}

#[test]
fn what_is_asked_for_is_not_due_to_an_unknown_age_alone() {
    let want = with_team(wants(Some(Any)), "SRE", rotated_team("SRE"));
    let mut world = ibm(want, is(Any, &["SRE"]));
    world.history.head = None;
    assert_eq!(world.plan().plan.evidence.new_state.len(), 1);
    let world = asked(world, "ibm");
    assert!(world.plan().plan.evidence.new_state.is_empty());
    assert!(world.story().contains("asked for with --rotate; age unknown"), "{}", world.story());
}

#[test]
fn an_overlap_is_asked_for_with_its_rationale() {
    let rule = Rotate { rationale: Some("TRA-12".into()), ..rotate() };
    let want = Token { rotate: Some(rule), ..wanted(Some(Enabled)) };
    let world = asked(lm(vec![("ci", want)], vec![live(5, "ci")]), "logicmonitor.acme.svc.api_token[\"ci\"]");
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: asked for with --rotate; TRA-12
1 issue svc.api_token["ci"] overlap > ops-env#KEY

"#]]
    );
}

#[test]
fn a_token_that_cannot_be_rotated_now_is_refused_and_not_only_waited_for() {
    let tokens = vec![disabled(live(5, "ci"))];
    let off = asked(lm(vec![("ci", rotated(None))], tokens), "logicmonitor");
    assert!(off.story().contains("error plan::cant_rotate svc.api_token[\"ci\"]: it is disabled"));
    let tokens = vec![live(5, "ci"), live(6, "ci ;tf1 g=a p=5")];
    let twice = asked(lm(vec![("ci", rotated(None))], tokens), "logicmonitor");
    assert!(twice.story().contains("its predecessor is not retired yet"), "{}", twice.story());
    assert!(admit(twice.plan().plan).is_err());
}
