//! `second_owner`: at a portal that allows one bearer token for each user, two users hold the tokens of one
//! name in turn.

use std::collections::BTreeMap;

use snapbox::str;

use super::tells;
use crate::model::address::Address;
use crate::model::exposure::Incident;
use crate::model::history::Past;
use crate::model::observed::Observed;
use crate::model::vocabulary::TokenStatus::{Absent, Disabled, Enabled};
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::{
    Lent, LiveToken, LiveUser, Token, TokenKind, Unlisted, UnlistedAction, User,
};
use crate::provider::state::{Rotate, Strategy};

fn name() -> Address {
    svc().item("bearer_token", "otel")
}

fn second() -> Address {
    acme().owner("svc-b")
}

fn bearer(id: u64, owner: u64, note: &str) -> LiveToken {
    LiveToken { owner, kind: TokenKind::BearerToken, access_id: None, ..live(id, note) }
}

fn wish() -> Token {
    Token { kind: TokenKind::BearerToken, second_owner: Some(second()), ..rotated(Some(Enabled)) }
}

/// What `svc` (32) and its second owner `svc-b` (33) hold.
fn world(want: Token, first: Vec<LiveToken>, other: Vec<LiveToken>) -> World {
    let id = want.id;
    let mut world = lm(vec![("otel", want)], first);
    let lent =
        User { id: None, protect: false, tokens: BTreeMap::new(), lends: Some(Lent { token: name(), id }) };
    world.desired.logicmonitor.get_mut(&acme()).unwrap().users.insert(second(), lent);
    let user = LiveUser { id: 33, username: "svc-b".into(), tokens: other, ..live_svc(&mut world).clone() };
    world.snapshot.users.insert(second(), Observed::Present(user));
    world
}

fn live_second(world: &mut World) -> &mut LiveUser {
    match world.snapshot.users.get_mut(&second()) {
        Some(Observed::Present(user)) => user,
        _ => panic!("no live user"),
    }
}

/// One that is too old.
pub(super) fn due() -> World {
    world(wish(), vec![old(bearer(5, 32, "otel"))], vec![])
}

/// The second owner holds the token, known by the portal alone; what it replaced is to be disabled.
pub(super) fn replaced() -> World {
    let new = LiveToken { last_auth_ip: Some("203.0.113.9".into()), ..bearer(6, 33, "otel ;tf1 g=n p=5") };
    let old = LiveToken { last_used_on: Some(days_ago(5)), ..old(bearer(5, 32, "otel")) };
    world(wish(), vec![old], vec![new])
}

#[test]
fn the_next_token_is_made_for_the_user_that_does_not_hold_the_present_one() {
    tells!(
        due(),
        str![[r#"
rotate svc.bearer_token["otel"]: 91d old, max_age 90d, 1d late
1 issue svc.bearer_token["otel"] overlap > ops-env#KEY

"#]]
    );
    let plan = due().admitted();
    let step = &plan.steps[0];
    assert_eq!(step.call.path, "/santaba/rest/setting/admins/33/apitokens?type=bearer");
    let told = |name: &str| step.params[name].as_str();
    assert_eq!((told("user_id"), told("second_owner"), told("token_owner")), ("32", "33", "33"));
    let expects: Vec<_> = step.expects.iter().map(|expect| expect.address.clone()).collect();
    assert_eq!(expects, [svc(), second(), name()], "both users bind it");
    let owner = plan.changes[0].fields.iter().find(|field| field.name == "owner").unwrap();
    assert_eq!((owner.before.as_deref(), owner.after.as_deref()), (Some("svc"), Some("svc-b")));
    // … and back
    let back = world(wish(), vec![], vec![old(bearer(6, 33, "otel"))]).admitted();
    assert_eq!(back.steps[0].call.path, "/santaba/rest/setting/admins/32/apitokens?type=bearer");
    assert_eq!(back.steps[0].params["predecessor"], "6");
}

#[test]
fn the_first_token_is_made_for_the_first_user_that_is_free() {
    let path = |world: World| world.admitted().steps[0].call.path.clone();
    let plain = path(world(wish(), vec![], vec![]));
    assert_eq!(plain, "/santaba/rest/setting/admins/32/apitokens?type=bearer");
    let taken = path(world(wish(), vec![bearer(9, 32, "by hand")], vec![]));
    assert_eq!(taken, "/santaba/rest/setting/admins/33/apitokens?type=bearer");
    // an API token takes no place
    let other = path(world(wish(), vec![live(9, "by hand")], vec![]));
    assert_eq!(other, "/santaba/rest/setting/admins/32/apitokens?type=bearer");
    tells!(
        world(wish(), vec![bearer(9, 32, "by hand")], vec![bearer(8, 33, "too")]),
        str![[r#"
error plan::owner_refused svc.bearer_token["otel"]: svc holds another bearer token, id 9 ("by hand"), and can hold one at a time

"#]]
    );
}

#[test]
fn both_users_tokens_are_one_lineage_and_the_old_one_is_retired_at_its_own_user() {
    tells!(
        replaced(),
        str![[r#"
disable svc.bearer_token["otel"]: id 6 replaced id 5 at 2026-11-12T10:00:00Z: used from 203.0.113.9 at 2026-11-21T10:00:00Z
1 disable svc.bearer_token["otel"] id 5 overlap
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z

"#]]
    );
    let plan = replaced().admitted();
    assert_eq!(plan.steps[0].call.path, "/santaba/rest/setting/admins/32/apitokens/5");
    let count = &plan.evidence.enabled_counts[0];
    assert_eq!((&count.enabled[..], &count.predecessors[..]), (&[5, 6][..], &[5][..]));
    let absent = Token { status: Some(Absent), rotate: None, deliver: vec![], ..wish() };
    let gone = World { desired: world(absent, vec![], vec![]).desired, ..replaced() };
    tells!(
        gone,
        str![[r#"
delete svc.bearer_token["otel"]: the spec wants it absent
1 delete svc.bearer_token["otel"] id 6
2 delete svc.bearer_token["otel"] id 5

"#]]
    );
    let paths: Vec<_> = gone.admitted().steps.iter().map(|step| step.call.path.clone()).collect();
    assert_eq!(
        paths,
        ["/santaba/rest/setting/admins/33/apitokens/6", "/santaba/rest/setting/admins/32/apitokens/5"]
    );
    let off = Token { status: Some(Disabled), ..wish() };
    tells!(
        World { desired: world(off, vec![], vec![]).desired, ..replaced() },
        str![[r#"
disable svc.bearer_token["otel"]: the spec wants it disabled
1 disable svc.bearer_token["otel"] id 6
2 disable svc.bearer_token["otel"] id 5
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z
waiting svc.bearer_token["otel"]: predecessor id 5: it stays as long as the spec wants the token disabled

"#]]
    );
}

#[test]
fn while_the_other_user_still_has_the_token_before_a_rotation_waits() {
    let mut world = replaced();
    let after = Rotate { issued_after: Some(days_ago(1)), ..rotate() };
    let users = &mut world.desired.logicmonitor.get_mut(&acme()).unwrap().users;
    users.get_mut(&svc()).unwrap().tokens.get_mut(&name()).unwrap().rotate = Some(after);
    live_svc(&mut world).tokens[0].last_used_on = Some(days_ago(0));
    tells!(
        world,
        str![[r#"
waiting svc.bearer_token["otel"]: due for rotation (issued 2026-11-12T10:00:00Z, before issued_after 2026-11-21T10:00:00Z), but its other owner still has id 5, which it replaced
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z
waiting svc.bearer_token["otel"]: predecessor id 5: to be disabled, when both have worked for 1d and it was unused for 1d (id 5 was last used 0s ago from 203.0.113.9 (2026-11-22T10:00:00Z)) until 2026-11-23T10:00:00Z

"#]]
    );
    let mut incident = replaced();
    live_svc(&mut incident).tokens[0].last_used_on = Some(days_ago(0));
    incident.asked.incident = Some(Incident { issued_before: days_ago(1), scope: vec![], reason: None });
    let plan = incident.plan().plan;
    assert_eq!(plan.steps.len(), 0);
    let told: Vec<_> = plan.extent.not_rotated.iter().map(|row| (row.token_ids.clone(), &row.why)).collect();
    assert_eq!(told[0].0, [5, 6], "{told:?}");
    assert!(told[0].1.contains("gone from its other owner"), "{told:?}");
}

#[test]
fn what_not_all_destinations_took_names_the_ways_out() {
    let past = Past {
        remote_id: Some(6),
        fingerprint: Some(fp("new")),
        lacking: [to("KEY").slot()].into(),
        ..Past::default()
    };
    tells!(
        replaced().past(&name(), past),
        str![[r#"
waiting svc.bearer_token["otel"]: ops-env#KEY never got the value of id 6, which can't be had again; another can be made when id 5, which it replaced, is gone from its owner: mend the destination, then write `strategy: replace` for one apply, or delete id 6 in the portal, so that id 5 takes its place again
waiting svc.bearer_token["otel"]: predecessor id 5: it stays until consumers use id 6: ops-env#KEY does not have it

"#]]
    );
}

#[test]
fn replace_takes_all_of_both_users() {
    let strategy = Rotate { strategy: Strategy::Replace, issued_after: Some(days_ago(1)), ..rotate() };
    let want = Token { rotate: Some(strategy), ..wish() };
    let replace = World { desired: world(want, vec![], vec![]).desired, ..replaced() };
    tells!(
        replace,
        str![[r#"
rotate svc.bearer_token["otel"]: issued 2026-11-12T10:00:00Z, before issued_after 2026-11-21T10:00:00Z
1 delete svc.bearer_token["otel"] id 5 replace
2 delete svc.bearer_token["otel"] id 6 replace
3 issue svc.bearer_token["otel"] replace > ops-env#KEY after 1 delete-before-issue, 2 delete-before-issue

"#]]
    );
    let paths: Vec<_> = replace.admitted().steps.iter().map(|step| step.call.path.clone()).collect();
    assert_eq!(
        paths,
        [
            "/santaba/rest/setting/admins/32/apitokens/5",
            "/santaba/rest/setting/admins/33/apitokens/6",
            "/santaba/rest/setting/admins/32/apitokens?type=bearer"
        ]
    );
}

#[test]
fn a_second_owner_that_cant_do_it_is_told() {
    let mut roles = due();
    live_second(&mut roles).roles = vec!["admin-ish".into()];
    tells!(
        roles,
        str![[r#"
rotate svc.bearer_token["otel"]: 91d old, max_age 90d, 1d late
1 issue svc.bearer_token["otel"] overlap > ops-env#KEY
error plan::owner_refused svc.bearer_token["otel"]: svc has ci, and svc-b has admin-ish: a token has its owner's roles

"#]]
    );
    let mut suspended = due();
    live_second(&mut suspended).status = "suspended".into();
    tells!(
        suspended,
        str![[r#"
rotate svc.bearer_token["otel"]: 91d old, max_age 90d, 1d late
1 issue svc.bearer_token["otel"] overlap > ops-env#KEY
error plan::owner_refused svc.bearer_token["otel"]: svc-b is suspended: a new token would not work

"#]]
    );
    let mut absent = due();
    absent.snapshot.users.insert(second(), Observed::Absent);
    tells!(
        absent,
        str![[r#"
error plan::user_missing svc.bearer_token["otel"]: its second owner, `svc-b`, is not there; users are never created
error plan::user_missing svc-b: there is no `svc-b` on the vendor's side

"#]]
    );
    let mut same = due();
    live_second(&mut same).id = 32;
    tells!(
        same,
        str![[r#"
error plan::owner_refused svc.bearer_token["otel"]: `svc-b` is its own second owner: both have id 32

"#]]
    );
    // a protection of the second owner that only the ledger remembers
    let kept = Past { protected: true, ..Past::default() };
    tells!(
        replaced().past(&second(), kept.clone()),
        str![[r#"
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z
waiting svc.bearer_token["otel"]: predecessor id 5: it is protected

"#]]
    );
    tells!(
        due().past(&second(), kept),
        str![[r#"
waiting svc.bearer_token["otel"]: due for rotation (91d old, max_age 90d, 1d late), but its second owner is protected
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation; now: `plan --rotate 'svc.bearer_token["otel"]'`

"#]]
    );
}

#[test]
fn what_is_lent_is_neither_unlisted_nor_made_by_hand_nor_exposed_twice() {
    let mut world = world(wish(), vec![], vec![bearer(6, 33, "otel"), bearer(7, 33, "stray")]);
    let connection = world.desired.logicmonitor.get_mut(&acme()).unwrap();
    connection.unlisted =
        Some(Unlisted { action: UnlistedAction::Report, unused_for: None, except: vec![], all_users: false });
    world.history.looked_at.insert(acme(), days_ago(30));
    tells!(
        world,
        str![[r#"
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation; now: `plan --rotate 'svc.bearer_token["otel"]'` until 2027-02-10T10:00:00Z
warning plan::made_outside svc-b: 1 token was made outside tokenform since 2026-10-23T10:00:00Z: id 7 (bearer token "stray", created by robot at 2026-11-12T10:00:00Z)

"#]]
    );
    let listed: Vec<_> = world.plan().plan.unlisted.iter().map(|row| row.token_id).collect();
    assert_eq!(listed, [7]);
}

#[test]
fn what_the_connection_makes_as_either_user_is_its_own() {
    // tokenform logs in with this very token: as `svc` when it made the other one, as `svc-b` now
    let mut world = replaced();
    for at in [svc(), second()] {
        if let Some(Observed::Present(user)) = world.snapshot.users.get_mut(&at) {
            user.caller = Some("svc-b".into());
        }
    }
    live_second(&mut world).tokens[0].created_by = "svc".into();
    assert!(!world.story().contains("ambiguous"), "{}", world.story());
    live_second(&mut world).tokens[0].created_by = "somebody".into();
    assert!(world.story().contains("ambiguous"), "{}", world.story());
}

#[test]
fn a_protected_second_owner_loses_nothing() {
    for status in [Absent, Disabled] {
        let taken = Token { status: Some(status), rotate: None, deliver: vec![], ..wish() };
        let protect = |world: &mut World| {
            let users = &mut world.desired.logicmonitor.get_mut(&acme()).unwrap().users;
            users.get_mut(&second()).unwrap().protect = true;
        };
        let mut by_spec = World { desired: world(taken.clone(), vec![], vec![]).desired, ..replaced() };
        protect(&mut by_spec);
        assert!(by_spec.story().contains("touches svc-b, which is protected"), "{}", by_spec.story());
        let remembered = Past { protected: true, ..Past::default() };
        let by_ledger = World { desired: world(taken, vec![], vec![]).desired, ..replaced() };
        let by_ledger = by_ledger.past(&second(), remembered);
        assert!(by_ledger.story().contains("touches svc-b, which is protected"), "{}", by_ledger.story());
    }
    // swapped in the spec, the name was protected at its other address
    let swapped =
        replaced().past(&second().item("bearer_token", "otel"), Past { protected: true, ..Past::default() });
    tells!(
        swapped,
        str![[r#"
error plan::protected svc.bearer_token["otel"]: the ledger knows this name as svc-b.bearer_token["otel"], which is protected

"#]]
    );
}

#[test]
fn replace_deletes_nothing_while_another_token_is_in_the_way() {
    let strategy = Rotate { strategy: Strategy::Replace, ..rotate() };
    let want = Token { rotate: Some(strategy), id: Some(5), ..wish() };
    // one by hand of the same note at each user: neither is what the pin stands for
    let blocked = world(
        want.clone(),
        vec![bearer(9, 32, "otel")],
        vec![old(bearer(5, 33, "otel")), bearer(8, 33, "otel")],
    );
    tells!(
        blocked,
        str![[r#"
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation; now: `plan --rotate 'svc.bearer_token["otel"]'`
error plan::owner_refused svc.bearer_token["otel"]: svc holds another bearer token, id 9 ("otel"), and can hold one at a time

"#]]
    );
    let free = world(want, vec![bearer(9, 32, "otel")], vec![old(bearer(5, 33, "otel"))]);
    let plan = free.admitted();
    assert_eq!(plan.steps[0].params["next_owner"], "33", "{plan:?}");
    assert_eq!(plan.steps[1].call.path, "/santaba/rest/setting/admins/33/apitokens?type=bearer");
}

#[test]
fn the_old_token_is_kept_while_the_user_of_the_new_one_is_suspended() {
    let mut world = replaced();
    live_second(&mut world).status = "suspended".into();
    tells!(
        world,
        str![[r#"
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z
waiting svc.bearer_token["otel"]: predecessor id 5: id 6, which replaced it, is of svc-b, who is suspended
warning logicmonitor::owner_suspended svc.bearer_token["otel"]: id 6, which replaced it, is of svc-b, who is suspended

"#]]
    );
}

#[test]
fn an_incident_at_the_second_owner_names_the_address_to_take() {
    let mut world = due();
    world.asked.incident = Some(Incident {
        issued_before: days_ago(0),
        scope: vec![second().to_string().parse().unwrap()],
        reason: None,
    });
    assert_eq!(world.plan().plan.extent.not_rotated.len(), 0, "it holds none");
    let mut world = replaced();
    world.asked.incident = Some(Incident {
        issued_before: days_ago(0),
        scope: vec![second().to_string().parse().unwrap()],
        reason: None,
    });
    let left = world.plan().plan.extent.not_rotated;
    assert!(
        left[0].token_ids == [6] && left[0].why.contains("bearer_token[\"otel\"] into the scope"),
        "{left:?}"
    );
}

#[test]
fn what_a_name_left_at_a_former_second_owner_is_not_forgotten() {
    // the present one is at `svc` again, and what it replaced is at `svc-b`, whom the spec does not name any more
    let back = |want: Token| {
        let mut world = world(want, vec![bearer(7, 32, "otel ;tf1 g=n p=6")], vec![bearer(6, 33, "otel")]);
        world.desired.logicmonitor.get_mut(&acme()).unwrap().users.remove(&second());
        let other = world.snapshot.users.remove(&second()).unwrap().present().unwrap().clone();
        world.snapshot.others.insert(second(), other);
        world
    };
    for status in [Enabled, Absent] {
        let want = Token { second_owner: None, status: Some(status), ..wish() };
        let story = back(want).story();
        assert!(story.contains("id 6, which belongs to this name, is a token of `svc-b`"), "{story}");
        assert!(!story.contains("delete"), "{story}");
    }
    let mut unlisted = back(Token { second_owner: None, ..wish() });
    let connection = unlisted.desired.logicmonitor.get_mut(&acme()).unwrap();
    connection.unlisted = Some(Unlisted {
        action: UnlistedAction::Disable,
        unused_for: Some(crate::model::vocabulary::Period::hours(1)),
        except: vec![],
        all_users: true,
    });
    let rows = unlisted.plan().plan.unlisted;
    assert!(
        rows.iter().any(|row| row.token_id == 6 && row.why == "another token has replaced it"),
        "{rows:?}"
    );
}

#[test]
fn a_protection_of_the_second_owner_can_be_lifted_while_a_rotation_is_due() {
    let mut world = due().past(&second(), Past { protected: true, ..Past::default() });
    world.desired.unprotect.insert(second());
    tells!(
        world,
        str![[r#"
unprotect svc-b: the spec says `protect: false`
1 unprotect svc-b
waiting svc.bearer_token["otel"]: due for rotation (91d old, max_age 90d, 1d late), but its second owner is protected
waiting svc.bearer_token["otel"]: ops-env#KEY is not known to have this token; fed at the next rotation; now: `plan --rotate 'svc.bearer_token["otel"]'`

"#]]
    );
}

#[test]
fn disuse_takes_no_last_token_of_a_user_whose_other_one_goes_by_its_name() {
    let off = Token { status: Some(Disabled), ..wish() };
    let idle = LiveToken { owner: 33, last_used_on: Some(days_ago(9)), ..live(20, "idle") };
    let mut world = world(off, vec![], vec![bearer(6, 33, "otel"), idle]);
    let connection = world.desired.logicmonitor.get_mut(&acme()).unwrap();
    connection.unlisted = Some(Unlisted {
        action: UnlistedAction::Disable,
        unused_for: Some(crate::model::vocabulary::Period::days(2)),
        except: vec![],
        all_users: false,
    });
    assert!(world.story().contains("leaves svc-b without an enabled token"), "{}", world.story());
}
