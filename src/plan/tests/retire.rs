//! What becomes of replaced tokens: waited for, disabled, watched, deleted, or brought back.

use jiff::Timestamp;
use snapbox::str;

use super::tells;
use crate::model::guard::{Guard, KnownBy};
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::{Disabled, Enabled};
use crate::plan::sample::*;
use crate::provider::logicmonitor::audit_log::{Tries, Watch};
use crate::provider::logicmonitor::note::{Mark, marked};
use crate::provider::logicmonitor::state::*;

/// Token 6 replaced token 5, so many days ago; both enabled, the old one last used 3 days ago.
fn replaced(days: i64) -> World {
    let new = LiveToken { created_on: Some(days_ago(days)), ..live(6, "ci ;tf1 g=aa p=5") };
    let old = LiveToken { last_used_on: Some(days_ago(3)), ..old(live(5, "ci")) };
    lm(vec![("ci", fed(rotated(None)))], vec![old, new])
}

/// Without a destination, so that none waits.
fn fed(want: Token) -> Token {
    Token { deliver: Vec::new(), ..want }
}

pub(super) fn due_to_disable() -> World {
    replaced(10)
}

pub(super) fn due_to_delete() -> World {
    off(replaced(10), 7)
}

fn token_5(world: &mut World) -> &mut LiveToken {
    &mut live_svc(world).tokens[0]
}

fn token_6(world: &mut World) -> &mut LiveToken {
    &mut live_svc(world).tokens[1]
}

/// Token 5 was disabled by tokenform so many days ago.
fn off(mut world: World, days: i64) -> World {
    let old = token_5(&mut world);
    (old.status, old.note) = (DISABLED, marked(&old.note, Mark::Off, days_ago(days)));
    old.last_used_on = Some(days_ago(days + 5));
    world
}

fn tried(world: &mut World, days: i64) {
    let tries = Tries { count: 3, last: days_ago(days), ip: "203.0.113.50".into() };
    watch(world, Watch::Read([("a5".to_owned(), tries)].into()));
}

fn watch(world: &mut World, watch: Watch) {
    world.snapshot.portals.insert(acme(), PortalRead { watch });
}

fn moved(world: &mut World, at: Timestamp) {
    want_token(world, "ci").rotate.as_mut().unwrap().consumers_moved = Some(at);
}

#[test]
fn both_work_for_the_overlap_and_the_old_one_until_it_is_idle() {
    let mut world = replaced(0);
    token_6(&mut world).created_on = Some(at("2026-11-21T22:00:00Z"));
    moved(&mut world, days_ago(0));
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: to be disabled, when both have worked for 1d and it was unused for 1d (id 5 was last used 3d ago from 203.0.113.9 (2026-11-19T10:00:00Z)) until 2026-11-22T22:00:00Z

"#]]
    );
    let mut world = replaced(10);
    token_5(&mut world).last_used_on = Some(at("2026-11-22T07:00:00Z"));
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: to be disabled, when both have worked for 1d and it was unused for 1d (id 5 was last used 3h ago from 203.0.113.9 (2026-11-22T07:00:00Z)) until 2026-11-23T07:00:00Z

"#]]
    );
    token_5(&mut world).last_used_on = None;
    tells!(
        world,
        str![[r#"
disable svc.api_token["ci"]: id 6 replaced id 5 at 2026-11-12T10:00:00Z: used from 203.0.113.9 at 2026-11-21T10:00:00Z
1 disable svc.api_token["ci"] id 5 overlap

"#]]
    );
}

#[test]
fn a_disable_carries_its_evidence_and_its_numbers() {
    let step = replaced(10).admitted().steps.remove(0);
    let successor = Guard::SuccessorInPlace {
        token_id: 6,
        issued_at: days_ago(10),
        overlap: "24h".parse().unwrap(),
        known_by: KnownBy::Live { used_on: days_ago(1), ip: "203.0.113.9".into() },
    };
    let idle =
        Guard::OldIdle { token_id: 5, at_least: "24h".parse().unwrap(), last_used_on: Some(days_ago(3)) };
    assert_eq!(step.guards, [successor, idle]);
    let param = |name: &str| step.params[name].as_str();
    assert_eq!(
        (param("token_id"), param("successor"), param("mark"), param("note")),
        ("5", "6", "off", "ci")
    );
}

#[test]
fn without_a_ledger_a_use_tells_that_consumers_have_the_new_one_and_the_probe_does_not() {
    let mut world = replaced(10);
    token_6(&mut world).last_used_on = Some("2026-11-12T10:10:00Z".parse().unwrap());
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it stays until consumers use id 6: the ledger does not know that it was delivered, and it was not used later than 10m after its creation, which can be tokenform's own probe

"#]]
    );
    token_6(&mut world).last_used_on = Some("2026-11-12T10:10:01Z".parse().unwrap());
    assert!(world.story().starts_with("disable"), "{}", world.story());
    token_6(&mut world).last_auth_ip = Some("198.51.100.7".into());
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it stays until consumers use id 6: id 6 was used at 2026-11-12T10:10:01Z, but from 198.51.100.7, which is tokenform's own address

"#]]
    );
    token_6(&mut world).last_auth_ip = None;
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it stays until consumers use id 6: id 6 was used at 2026-11-12T10:10:01Z, but the portal does not tell from where

"#]]
    );
    token_6(&mut world).last_auth_ip = Some("203.0.113.9".into());
    live_svc(&mut world).our_ips.clear();
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it stays until consumers use id 6: id 6 was used at 2026-11-12T10:10:01Z, but the portal does not show tokenform's own address to tell its probe by

"#]]
    );
}

#[test]
fn the_ledgers_deliveries_are_evidence_if_every_slot_has_the_new_value() {
    let mut world = replaced(10);
    want_token(&mut world, "ci").deliver = vec![to("A"), to("B")];
    token_6(&mut world).last_used_on = None;
    let mut past = Past { remote_id: Some(6), fingerprint: Some(fp("new")), ..Past::default() };
    past.delivered = [("ops-env#A".to_owned(), fp("new")), ("ops-env#B".to_owned(), fp("old"))].into();
    tells!(
        world.clone().past(&token("ci"), past.clone()),
        str![[r#"
waiting svc.api_token["ci"]: ops-env#B does not have this token; fed at the next rotation; now: `plan --rotate 'svc.api_token["ci"]'` until 2027-02-10T10:00:00Z
waiting svc.api_token["ci"]: predecessor id 5: it stays until consumers use id 6: ops-env#B does not have it

"#]]
    );
    past.delivered.insert("ops-env#B".into(), fp("new"));
    tells!(
        world.past(&token("ci"), past),
        str![[r#"
disable svc.api_token["ci"]: id 6 replaced id 5 at 2026-11-12T10:00:00Z: delivered to ops-env#A, ops-env#B as the ledger says
1 disable svc.api_token["ci"] id 5 overlap

"#]]
    );
}

#[test]
fn a_disabled_predecessor_is_watched_for_its_soak_and_then_deleted() {
    tells!(
        off(replaced(10), 3),
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: disabled at 2026-11-19T10:00:00Z, to be deleted after 7d; no failed request by its access id so far until 2026-11-26T10:00:00Z

"#]]
    );
    let world = off(replaced(10), 7);
    tells!(
        world,
        str![[r#"
delete svc.api_token["ci"]: id 6 replaced id 5, which was disabled 7d ago
1 delete svc.api_token["ci"] id 5 overlap

"#]]
    );
    let guards = world.admitted().steps.remove(0).guards;
    let shown: Vec<_> = guards.iter().map(ToString::to_string).collect();
    let used = "used from 203.0.113.9 at 2026-11-21T10:00:00Z";
    assert_eq!(
        shown,
        [
            format!("successor_in_place (id 6, {used})").as_str(),
            "disabled_for >= 7d",
            "not_tried since 2026-11-15T10:00:00Z (a5)"
        ]
    );
}

#[test]
fn any_sign_of_use_brings_the_old_token_back_and_stops_its_retirement() {
    let mut world = off(replaced(10), 7);
    tried(&mut world, 2);
    tells!(
        world,
        str![[r#"
enable svc.api_token["ci"]: id 5, disabled at 2026-11-15T10:00:00Z, is still in use: it was tried 3 times since, last from 203.0.113.50 at 2026-11-20T10:00:00Z
1 enable svc.api_token["ci"] id 5 overlap
warning plan::old_in_use svc.api_token["ci"]: id 5, disabled at 2026-11-15T10:00:00Z, is still in use: it was tried 3 times since, last from 203.0.113.50 at 2026-11-20T10:00:00Z

"#]]
    );
    assert_eq!(world.admitted().steps[0].params["mark"], "back");
    let mut told = off(replaced(10), 7);
    token_5(&mut told).last_used_on = Some(days_ago(4));
    assert!(told.story().starts_with("enable"), "{}", told.story());
    // told late: it was used within minutes before it was disabled
    token_5(&mut told).last_used_on = Some("2026-11-15T09:50:00Z".parse().unwrap());
    assert!(told.story().starts_with("enable"), "{}", told.story());
    token_5(&mut told).last_used_on = Some("2026-11-15T09:40:00Z".parse().unwrap());
    assert!(told.story().starts_with("delete"), "{}", told.story());

    let note = marked("ci", Mark::Back, days_ago(2));
    let old = token_5(&mut world);
    (old.status, old.note) = (ENABLED, note);
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it stays until the spec states `consumers_moved` for a later instant
warning plan::old_in_use svc.api_token["ci"]: id 5 was still in use and was brought back at 2026-11-20T10:00:00Z; id 5 was last used 12d ago from 203.0.113.9 (2026-11-10T10:00:00Z)

"#]]
    );
    moved(&mut world, days_ago(3));
    assert!(!world.story().contains("disable svc"), "it was brought back later: {}", world.story());
    moved(&mut world, days_ago(1));
    assert!(world.story().starts_with("disable svc"), "{}", world.story());
}

#[test]
fn what_was_tried_before_consumers_moved_counts_no_more() {
    let mut world = off(replaced(10), 7);
    tried(&mut world, 2);
    moved(&mut world, days_ago(1));
    assert!(world.story().starts_with("delete"), "{}", world.story());
    tried(&mut world, 0);
    assert!(world.story().starts_with("enable"), "{}", world.story());
}

#[test]
fn a_person_who_enables_it_again_stops_its_retirement_too() {
    let mut world = off(replaced(10), 7);
    token_5(&mut world).status = ENABLED;
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it stays until the spec states `consumers_moved` for a later instant
warning plan::old_in_use svc.api_token["ci"]: id 5 was disabled at 2026-11-15T10:00:00Z, and somebody else has enabled it again; id 5 was last used 12d ago from 203.0.113.9 (2026-11-10T10:00:00Z)

"#]]
    );
}

#[test]
fn a_mark_of_an_earlier_life_does_not_hold_a_retirement_up() {
    let mut world = replaced(10);
    token_5(&mut world).note = marked("ci", Mark::Back, days_ago(30));
    assert!(world.story().starts_with("disable svc"), "{}", world.story());
}

#[test]
fn a_token_that_an_incident_made_suspect_is_not_brought_back_by_itself() {
    let mut world = off(replaced(10), 7);
    want_token(&mut world, "ci").rotate.as_mut().unwrap().issued_after = Some(days_ago(20));
    tried(&mut world, 2);
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: it was issued before `issued_after`, so it is not brought back by itself; it is kept until the spec states `consumers_moved` for a later instant
warning plan::old_in_use svc.api_token["ci"]: id 5, disabled at 2026-11-15T10:00:00Z, is still in use: it was tried 3 times since, last from 203.0.113.50 at 2026-11-20T10:00:00Z

"#]]
    );
    moved(&mut world, days_ago(1));
    assert!(world.story().starts_with("delete"), "{}", world.story());
}

#[test]
fn tokenform_deletes_only_what_it_has_disabled() {
    let mut world = replaced(10);
    token_5(&mut world).status = DISABLED;
    token_5(&mut world).last_used_on = Some(days_ago(9));
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: somebody else disabled it, and tokenform deletes only what it has disabled: delete it in the portal, or state `consumers_moved`

"#]]
    );
    let known = Past { retired: [(5, days_ago(8))].into(), ..Past::default() };
    let ledger = world.clone().past(&token("ci"), known);
    assert!(ledger.story().starts_with("delete"), "{}", ledger.story());
    moved(&mut world, days_ago(1));
    tells!(
        world,
        str![[r#"
disable svc.api_token["ci"]: id 6 replaced id 5 at 2026-11-12T10:00:00Z: consumers moved by 2026-11-21T10:00:00Z, says the spec
1 disable svc.api_token["ci"] id 5 overlap

"#]]
    );
}

#[test]
fn what_an_unreadable_log_costs_is_said() {
    let mut world = off(replaced(10), 3);
    let why = "the portal's audit log can't be read: HTTP 403".to_owned();
    watch(&mut world, Watch::Unread { why: why.clone(), lasting: true });
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: disabled at 2026-11-19T10:00:00Z, to be deleted after 7d; whether somebody tries it can't be seen: the portal's audit log can't be read: HTTP 403 until 2026-11-26T10:00:00Z

"#]]
    );
    let mut world = off(replaced(10), 7);
    watch(&mut world, Watch::Unread { why: why.clone(), lasting: false });
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: to be deleted when it can be seen that nobody tries it: the portal's audit log can't be read: HTTP 403

"#]]
    );
    watch(&mut world, Watch::Unread { why, lasting: true });
    tells!(
        world,
        str![[r#"
delete svc.api_token["ci"]: id 6 replaced id 5, which was disabled 7d ago
1 delete svc.api_token["ci"] id 5 overlap
warning logicmonitor::unwatched svc.api_token["ci"]: id 5 is deleted unwatched: the portal's audit log can't be read: HTTP 403

"#]]
    );
    world.admitted();
}

#[test]
fn nobody_can_watch_a_bearer_token() {
    let want = Token { kind: TokenKind::BearerToken, ..fed(rotated(None)) };
    let bearer = |token: LiveToken| LiveToken { kind: TokenKind::BearerToken, access_id: None, ..token };
    let note = marked("ci", Mark::Off, days_ago(8));
    let old = LiveToken { last_used_on: Some(days_ago(12)), ..disabled(old(live(5, &note))) };
    tells!(
        lm(vec![("ci", want)], vec![bearer(old), bearer(live(6, "ci ;tf1 g=aa p=5"))]),
        str![[r#"
delete svc.bearer_token["ci"]: id 6 replaced id 5, which was disabled 8d ago
1 delete svc.bearer_token["ci"] id 5 overlap

"#]]
    );
}

#[test]
fn the_credential_in_use_waits_until_tokenform_runs_with_the_new_one() {
    let mut world = replaced(10);
    world.snapshot.callers.insert(
        acme(),
        crate::provider::state::Caller { access_id: Some("a5".into()), token_ids: vec![5], untold: None },
    );
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: predecessor id 5: a connection of the spec uses it: give that one the new value first

"#]]
    );
}

#[test]
fn a_disabled_or_lost_successor_stops_everything() {
    for days in [0, 7] {
        let mut world = if days == 0 { replaced(10) } else { off(replaced(10), days) };
        token_6(&mut world).status = DISABLED;
        let story = world.story();
        assert!(
            story.contains("id 6, which replaced it, is disabled") && !story.contains("overlap"),
            "{story}"
        );
    }
    // the successor was deleted by hand: what it had replaced is the one in use again, and its mark goes
    let mut world = off(replaced(10), 7);
    want_token(&mut world, "ci").status = Some(Enabled);
    want_token(&mut world, "ci").rotate = None;
    live_svc(&mut world).tokens.remove(1);
    let step = world.admitted().steps.remove(0);
    assert_eq!((step.shape, step.params["mark"].as_str()), (None, "clear"));
}

#[test]
fn protected_and_unwanted_predecessors_wait() {
    let mut world = replaced(10);
    want_token(&mut world, "ci").protect = true;
    assert!(world.story().contains("predecessor id 5: it is protected"), "{}", world.story());
    let mut world = replaced(10);
    want_token(&mut world, "ci").status = Some(Disabled);
    tells!(
        world,
        str![[r#"
disable svc.api_token["ci"]: the spec wants it disabled
1 disable svc.api_token["ci"] id 6
2 disable svc.api_token["ci"] id 5
waiting svc.api_token["ci"]: predecessor id 5: it stays as long as the spec wants the token disabled

"#]]
    );
}

#[test]
fn generations_go_oldest_first() {
    // 7 replaced 6 before 5 was gone: a wrong delivery, found in time and rotated again
    let mut tokens = vec![
        LiveToken {
            last_used_on: Some(days_ago(20)),
            ..disabled(old(live(5, &marked("ci", Mark::Off, days_ago(9)))))
        },
        LiveToken { last_used_on: Some(days_ago(20)), ..old(live(6, "ci ;tf1 g=aa p=5")) },
        live(7, "ci ;tf1 g=bb p=6"),
    ];
    tells!(
        lm(vec![("ci", fed(rotated(None)))], tokens.clone()),
        str![[r#"
disable svc.api_token["ci"]: id 7 replaced id 6 at 2026-11-12T10:00:00Z: used from 203.0.113.9 at 2026-11-21T10:00:00Z
delete svc.api_token["ci"]: id 7 replaced id 5, which was disabled 9d ago
1 disable svc.api_token["ci"] id 6 overlap
2 delete svc.api_token["ci"] id 5 overlap after 1 disable-before-delete

"#]]
    );
    (tokens[1].status, tokens[1].note) = (DISABLED, marked(&tokens[1].note, Mark::Off, days_ago(8)));
    tells!(
        lm(vec![("ci", fed(rotated(None)))], tokens.clone()),
        str![[r#"
delete svc.api_token["ci"]: id 7 replaced id 5, which was disabled 9d ago
1 delete svc.api_token["ci"] id 5 overlap
waiting svc.api_token["ci"]: predecessor id 6: to be deleted after the older one that it replaced

"#]]
    );
    tokens.remove(0);
    tells!(
        lm(vec![("ci", fed(rotated(None)))], tokens),
        str![[r#"
delete svc.api_token["ci"]: id 7 replaced id 6, which was disabled 8d ago
1 delete svc.api_token["ci"] id 6 overlap

"#]]
    );
}

#[test]
fn a_new_token_is_drafted_alone_and_what_is_in_use_is_brought_back_all_the_same() {
    let mut world = off(replaced(10), 7);
    tried(&mut world, 2);
    let want = want_token(&mut world, "ci");
    want.deliver = vec![to("KEY")];
    want.rotate.as_mut().unwrap().issued_after = Some(days_ago(5));
    token_5(&mut world).created_on = Some(days_ago(4));
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: issued 2026-11-12T10:00:00Z, before issued_after 2026-11-17T10:00:00Z
enable svc.api_token["ci"]: id 5, disabled at 2026-11-15T10:00:00Z, is still in use: it was tried 3 times since, last from 203.0.113.50 at 2026-11-20T10:00:00Z
1 issue svc.api_token["ci"] overlap > ops-env#KEY
2 enable svc.api_token["ci"] id 5 overlap
warning plan::old_in_use svc.api_token["ci"]: id 5, disabled at 2026-11-15T10:00:00Z, is still in use: it was tried 3 times since, last from 203.0.113.50 at 2026-11-20T10:00:00Z

"#]]
    );
    watch(&mut world, Watch::Read([].into()));
    let story = world.story();
    assert!(story.contains("1 issue") && !story.contains("delete"), "{story}");
}

#[test]
fn retiring_counts_under_no_limit() {
    let mut world = replaced(10);
    let limits = &mut world.desired.limits;
    (limits.disable, limits.delete, limits.enable) = (0, 0, 0);
    world.admitted();
    let world = off(world, 7);
    world.admitted();
    let mut world = world;
    tried(&mut world, 2);
    world.admitted();
}
