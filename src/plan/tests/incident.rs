//! `--issued-before`: what is rotated, in which order, and what is told to stay.

use snapbox::str;

use crate::model::exposure::{Cause, Incident};
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::{Absent, Enabled};
use crate::plan::sample::*;
use crate::provider::ibm::state as ibm_state;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::logicmonitor::state::{LiveToken, Token};

/// Tokens of up to five days ago are exposed.
fn incident(mut world: World, scope: &[&str]) -> World {
    let scope = scope.iter().map(|s| s.parse().unwrap()).collect();
    world.asked.incident = Some(Incident { issued_before: days_ago(5), scope, reason: Some("INC-7".into()) });
    world
}

/// Whatever may be exposed at a portal.
pub(super) fn everything() -> World {
    incident(messy(), &[])
}

/// The admitted plan: its steps, and what stays with the cause.
fn told(world: &World) -> String {
    let plan = world.admitted();
    assert!(!plan.complete);
    let changes = plan.changes.iter().map(|c| format!("{} {}: {}\n", c.action.as_str(), c.address, c.why()));
    let steps = plan.steps.iter().map(|s| format!("  {}\n", s.id));
    let left = plan.extent.not_rotated.iter().map(|row| {
        let ids = if row.token_ids.is_empty() { String::new() } else { format!(" {:?}", row.token_ids) };
        format!("left {}{ids}: {}: {}\n", row.address, row.cause.as_str(), row.why)
    });
    let text: String = changes.chain(steps).chain(left).collect();
    text.replace("logicmonitor.acme.", "").replace("ibm.prod.", "")
}

fn used(id: u64, note: &str, days: Option<i64>) -> LiveToken {
    LiveToken { last_used_on: days.map(days_ago), ..live(id, note) }
}

/// A portal with everything that can be wrong.
fn messy() -> World {
    let kept = Token { deliver: vec![], ..wanted(Some(Enabled)) };
    let fenced = Token { protect: true, ..wanted(None) };
    let wants = vec![
        ("never", wanted(None)),
        ("yesterday", rotated(Some(Enabled))),
        ("now", wanted(Some(Enabled))),
        ("fresh", wanted(None)),
        ("kept", kept),
        ("fenced", fenced),
        ("gone", wanted(Some(Absent))),
        ("off", wanted(None)),
        ("twice", wanted(None)),
        ("new", wanted(None)),
    ];
    let tokens = vec![
        live(1, "the caller"),
        used(10, "never", None),
        used(11, "yesterday", Some(1)),
        used(12, "now", Some(0)),
        LiveToken { created_on: Some(days_ago(4)), ..live(13, "fresh") },
        live(14, "kept"),
        live(15, "fenced"),
        live(16, "gone"),
        disabled(live(17, "off")),
        live(18, "twice"),
        live(19, "twice"),
        live(20, "by hand"),
        LiveToken { created_on: None, ..live(21, "by hand, too") },
        disabled(live(22, "by hand, off")),
    ];
    lm(wants, tokens)
}

#[test]
fn what_was_used_last_goes_first_and_everything_else_is_told() {
    snapbox::assert_data_eq!(
        told(&incident(messy(), &[])),
        snapbox::IntoData::raw(str![[r#"
rotate svc.api_token["now"]: issued 2026-11-12T10:00:00Z, before issued_after 2026-11-17T10:00:00Z; incident: INC-7
rotate svc.api_token["yesterday"]: issued 2026-11-12T10:00:00Z, before issued_after 2026-11-17T10:00:00Z; incident: INC-7
rotate svc.api_token["never"]: issued 2026-11-12T10:00:00Z, before issued_after 2026-11-17T10:00:00Z; incident: INC-7
  issue svc.api_token["now"]
  issue svc.api_token["yesterday"]
  issue svc.api_token["never"]
left svc.api_token["kept"]: no destination: the new token has no `deliver`: its secret is shown once and would be lost
left svc.api_token["fenced"]: protected: it is under `protect: true`
left svc.api_token["twice"]: unreadable: 2 live tokens have this name: id 18 (enabled, note "twice", made 10d ago by robot, last used 1d ago from 203.0.113.9), id 19 (enabled, note "twice", made 10d ago by robot, last used 1d ago from 203.0.113.9)
left svc.api_token["gone"]: left to the ordinary plan: the ordinary plan is to delete it: the spec wants it absent
left svc [20, 21]: not managed: 2 tokens of svc that the spec does not declare
left logicmonitor.acme [1]: credential of tokenform: the connection's own credential is under no declared name: replace it by hand
left svc.api_token["off"] [17]: disabled: it does not work now; enabled again, it would

"#]])
    );
}

#[test]
fn the_limits_cut_the_list_and_the_rest_is_told() {
    let mut world = incident(messy(), &[]);
    world.desired.limits.rotate = 1;
    let plan = world.admitted();
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.changes[0].address, token("now"));
    let over: Vec<_> = plan.extent.not_rotated.iter().filter(|r| r.cause == Cause::OverLimit).collect();
    assert_eq!(over.len(), 2);
    assert!(over[0].why.contains("--limit rotate="), "{}", over[0].why);
}

#[test]
fn the_share_of_a_connection_counts_too() {
    let names: Vec<String> = (0..12).map(|n| format!("t{n:02}")).collect();
    let wants = names.iter().map(|name| (name.as_str(), wanted(None))).collect();
    let tokens = names.iter().zip(30..).map(|(name, id)| live(id, name)).collect();
    let mut world = incident(lm(wants, tokens), &[]);
    assert_eq!(world.admitted().changes.len(), 3, "30 percent of 12");
    world.desired.limits.percent = 100;
    assert_eq!(world.admitted().changes.len(), 12);
}

#[test]
fn a_scope_leaves_everything_else_untold() {
    let world = incident(messy(), &["logicmonitor.acme.svc.api_token[\"now\"]"]);
    let plan = world.admitted();
    assert_eq!(plan.changes.len(), 1);
    assert!(plan.extent.not_rotated.is_empty(), "{:?}", plan.extent.not_rotated);
}

#[test]
fn what_was_rotated_is_not_exposed_and_its_predecessor_is_until_it_is_retired() {
    let marked = LiveToken { created_on: Some(days_ago(1)), ..live(30, "now ;tf1 g=a p=12") };
    let world = incident(
        lm(vec![("now", rotated(None))], vec![live(1, "me"), live(12, "now"), marked]),
        &["logicmonitor.acme.svc"],
    );
    let plan = world.admitted();
    assert!(plan.changes.is_empty(), "{:?}", plan.changes);
    let retiring: Vec<_> = plan.extent.not_rotated.iter().filter(|r| r.cause == Cause::Retiring).collect();
    assert_eq!(retiring[0].token_ids, [12]);
}

#[test]
fn an_incident_rotates_although_a_predecessor_is_not_retired() {
    let marked = LiveToken { created_on: Some(days_ago(6)), ..live(30, "now ;tf1 g=a p=12") };
    let world =
        incident(lm(vec![("now", rotated(None))], vec![live(12, "now"), marked]), &["logicmonitor.acme.svc"]);
    assert_eq!(world.admitted().changes.len(), 1);
}

#[test]
fn tokens_of_open_instances_are_reset_and_delivered_and_the_others_told() {
    let mut world = ibm(
        with_team(with_team(wants(Some(Any)), "SRE", rotated_team("A")), "Dev", rotated_team("B")),
        is(Any, &["SRE", "Dev", "Guests"]),
    );
    let plain = ibm_state::Team { rotate: Some(rotate()), ..plain_team() };
    want_mon(&mut world).teams.insert(team("Guests"), plain);
    add_instance(&mut world, "locked", wants(Some(IamOnly)), is(IamOnly, &["Ops"]));
    add_instance(&mut world, "soon", wants(Some(IamOnly)), is(Any, &["Ops"]));
    add_instance(&mut world, "opened", wants(Some(Any)), is(IamOnly, &["Ops"]));
    add_instance(&mut world, "away", wants(Some(Any)), is(Any, &[]));
    let lost = prod().owner("away");
    let failure = crate::model::observed::Observed::Unreadable(Box::new(unreadable(&lost)));
    world.snapshot.instances.insert(lost, failure);
    let past = |name: &str, days| Past {
        issued_at: Some(days_ago(days)),
        fingerprint: Some(fp(&format!("key of {name}"))),
        ..Past::default()
    };
    let mut world = world.past(&team("SRE"), past("SRE", 9)).past(&team("Dev"), past("Dev", 2));
    world.asked.partial = true;
    snapbox::assert_data_eq!(
        told(&incident(world, &[])),
        snapbox::IntoData::raw(str![[r#"
rotate mon.team["SRE"]: issued 2026-11-13T10:00:00Z, before issued_after 2026-11-17T10:00:00Z; incident: INC-7
  reset mon.team["SRE"]
left mon.team["Guests"]: no destination: the token is due for rotation, but has no `deliver`: the new value would be lost
left away: unreadable: HTTP 500
left opened.team["Ops"]: left to the ordinary plan: the ordinary plan is to invalidate it: earlier tokens may work again after the unlock
left soon.team["Ops"]: left to the ordinary plan: the ordinary plan is to invalidate it: visible team, not listed: reset before the instance is locked
left soon: not managed: tokens of visible teams that are not managed here: Ops
left ibm.prod: credential of tokenform: the connection's own credential is no token of a team: replace it by hand
left locked: instance is IAM_ONLY: the tokens of 1 visible teams work only after an unlock, which resets them
left opened: instance is IAM_ONLY: the tokens of 1 visible teams work only after an unlock, which resets them

"#]])
    );
}
