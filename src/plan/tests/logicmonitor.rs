//! Users and their tokens.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::{Absent, Disabled, Enabled};
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::*;

#[test]
fn a_missing_token_is_created_and_delivered() {
    tells!(
        lm(vec![("ci", wanted(Some(Enabled))), ("cd", wanted(None))], vec![]),
        str![[r#"
create svc.api_token["cd"]: does not exist
create svc.api_token["ci"]: does not exist
1 issue svc.api_token["cd"] > ops-env#KEY
2 issue svc.api_token["ci"] > ops-env#KEY

"#]]
    );
}

#[test]
fn a_token_is_created_only_with_a_destination_and_for_an_owner_who_may_have_it() {
    let want = Token { deliver: vec![], ..wanted(Some(Enabled)) };
    let mut world = lm(vec![("ci", want)], vec![]);
    tells!(
        world,
        str![[r#"
create svc.api_token["ci"]: does not exist
1 issue svc.api_token["ci"]
error plan::no_destination svc.api_token["ci"]: the new token has no `deliver`: its secret is shown once and would be lost
refused I5: the secret of step 1 goes nowhere

"#]]
    );
    want_token(&mut world, "ci").deliver = vec![to("KEY")];
    live_svc(&mut world).roles = vec!["administrator".into()];
    tells!(
        world,
        str![[r#"
create svc.api_token["ci"]: does not exist
1 issue svc.api_token["ci"] > ops-env#KEY
error plan::owner_refused svc.api_token["ci"]: svc has the stock administrator role, which may not hold tokens

"#]]
    );
    live_svc(&mut world).roles.clear();
    live_svc(&mut world).status = "suspended".into();
    tells!(
        world,
        str![[r#"
create svc.api_token["ci"]: does not exist
1 issue svc.api_token["ci"] > ops-env#KEY
error plan::owner_refused svc.api_token["ci"]: svc is suspended: a new token would not work

"#]]
    );
    live_svc(&mut world).status = "active".into();
    live_svc(&mut world).username = "lmsupport".into();
    assert!(world.story().contains("error plan::owner_refused"));
}

#[test]
fn a_declared_status_is_set_and_an_unmanaged_one_is_left() {
    tells!(
        lm(vec![("ci", wanted(Some(Enabled)))], vec![disabled(live(5, "ci"))]),
        str![[r#"
enable svc.api_token["ci"]: the spec wants it enabled
1 enable svc.api_token["ci"] id 5
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["ci"]'`

"#]]
    );
    tells!(
        lm(vec![("ci", wanted(Some(Disabled)))], vec![live(5, "ci")]),
        str![[r#"
disable svc.api_token["ci"]: the spec wants it disabled
1 disable svc.api_token["ci"] id 5
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["ci"]'`

"#]]
    );
    let undelivered = Token { deliver: vec![], ..wanted(None) };
    tells!(
        lm(vec![("ci", undelivered)], vec![disabled(live(5, "ci"))]),
        str![[r#"
nothing

"#]]
    );
}

#[test]
fn a_missing_token_is_absent_already_and_can_not_be_disabled() {
    tells!(
        lm(vec![("ci", wanted(Some(Absent)))], vec![]),
        str![[r#"
nothing

"#]]
    );
    tells!(
        lm(vec![("ci", wanted(Some(Disabled)))], vec![]),
        str![[r#"
error plan::nothing_to_disable svc.api_token["ci"]: there is no such token, and a disabled one is not created

"#]]
    );
}

#[test]
fn absent_takes_the_token_and_what_it_replaced() {
    let tokens = vec![disabled(live(5, "ci")), live(6, "ci ;tf1 g=aa p=5")];
    tells!(
        lm(vec![("ci", wanted(Some(Absent)))], tokens),
        str![[r#"
delete svc.api_token["ci"]: the spec wants it absent
1 delete svc.api_token["ci"] id 6
2 delete svc.api_token["ci"] id 5

"#]]
    );
}

#[test]
fn an_old_token_gets_a_successor_beside_it() {
    let world = lm(vec![("ci", rotated(Some(Enabled)))], vec![old(live(5, "ci"))]);
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: 91d old, max_age 90d, 1d late
1 issue svc.api_token["ci"] overlap > ops-env#KEY

"#]]
    );
    assert_eq!(world.admitted().steps[0].params["predecessor"], "5");
}

#[test]
fn no_rotation_starts_while_a_predecessor_is_there_unless_an_incident_demands_it() {
    let tokens = vec![disabled(old(live(5, "ci"))), old(live(6, "ci ;tf1 g=aa p=5"))];
    let mut world = lm(vec![("ci", rotated(None))], tokens);
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: due for rotation (91d old, max_age 90d, 1d late), when its predecessor is retired
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation
waiting svc.api_token["ci"]: predecessor id 5: somebody else disabled it, and tokenform deletes only what it has disabled: delete it in the portal, or state `consumers_moved`

"#]]
    );
    want_token(&mut world, "ci").rotate.as_mut().unwrap().issued_after = Some(days_ago(2));
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: issued 2026-08-23T10:00:00Z, before issued_after 2026-11-20T10:00:00Z
1 issue svc.api_token["ci"] overlap > ops-env#KEY
waiting svc.api_token["ci"]: predecessor id 5: somebody else disabled it, and tokenform deletes only what it has disabled: delete it in the portal, or state `consumers_moved`

"#]]
    );
}

#[test]
fn a_due_token_that_is_or_shall_be_disabled_is_not_rotated() {
    tells!(
        lm(vec![("ci", rotated(None))], vec![disabled(old(live(5, "ci")))]),
        str![[r#"
waiting svc.api_token["ci"]: due for rotation (91d old, max_age 90d, 1d late), but disabled
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation, when it is enabled

"#]]
    );
    tells!(
        lm(vec![("ci", rotated(Some(Disabled)))], vec![old(live(5, "ci"))]),
        str![[r#"
disable svc.api_token["ci"]: the spec wants it disabled
1 disable svc.api_token["ci"] id 5
waiting svc.api_token["ci"]: due for rotation (91d old, max_age 90d, 1d late), but disabled
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation; now: `plan --rotate 'svc.api_token["ci"]'`

"#]]
    );
}

#[test]
fn a_token_disabled_outside_is_enabled_only_when_someone_looks() {
    let mut world = lm(vec![("ci", wanted(Some(Enabled)))], vec![disabled(live(5, "ci"))])
        .past(&token("ci"), Past { enabled: Some(true), ..Past::default() });
    tells!(
        world,
        str![[r#"
enable svc.api_token["ci"]: the spec wants it enabled
1 enable svc.api_token["ci"] id 5
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["ci"]'`
warning plan::disabled_outside svc.api_token["ci"]: it was enabled, and was disabled outside: by the portal's inactivity rule or by a person

"#]]
    );
    world.unattended = true;
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: disabled outside; enabling it needs a reviewed plan, or `reenable: always`
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["ci"]'`
warning plan::disabled_outside svc.api_token["ci"]: it was enabled, and was disabled outside: by the portal's inactivity rule or by a person

"#]]
    );
    want_token(&mut world, "ci").reenable = true;
    let plan = world.admitted();
    assert_eq!(plan.steps.len(), 1, "the spec says that nobody needs to look");
    assert_eq!(plan.findings[0].code, "tokenform::plan::disabled_outside");
}

#[test]
fn a_new_destination_waits_for_the_next_rotation() {
    let mut want = rotated(None);
    want.deliver.push(to("NEW"));
    let mut past = Past { remote_id: Some(5), fingerprint: Some(fp("x")), ..Past::default() };
    past.delivered.insert("ops-env#KEY".into(), fp("x"));
    let mut world = lm(vec![("ci", want)], vec![live(5, "ci")]).past(&token("ci"), past);
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: ops-env#NEW does not have this token; fed at the next rotation; now: `plan --rotate 'svc.api_token["ci"]'` until 2027-02-10T10:00:00Z

"#]]
    );
    want_token(&mut world, "ci").rotate = None;
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: ops-env#NEW does not have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["ci"]'`

"#]]
    );
}

#[test]
fn the_credential_in_use_is_rotated_after_everything_else() {
    let wants = vec![("caller", rotated(None)), ("gone", wanted(Some(Absent))), ("new", wanted(None))];
    tells!(
        lm(wants, vec![old(live(1, "caller")), live(5, "gone")]),
        str![[r#"
rotate svc.api_token["caller"]: 91d old, max_age 90d, 1d late
delete svc.api_token["gone"]: the spec wants it absent
create svc.api_token["new"]: does not exist
1 delete svc.api_token["gone"] id 5
2 issue svc.api_token["new"] > ops-env#KEY
3 issue svc.api_token["caller"] overlap > ops-env#KEY after 1 caller-last, 2 caller-last

"#]]
    );
}

#[test]
fn the_credential_in_use_is_never_deleted_or_disabled() {
    tells!(
        lm(vec![("caller", wanted(Some(Absent)))], vec![live(1, "caller")]),
        str![[r#"
delete svc.api_token["caller"]: the spec wants it absent
1 delete svc.api_token["caller"] id 1
refused I3: step 1 takes token id 1, which logicmonitor.acme uses

"#]]
    );
    tells!(
        lm(vec![("caller", wanted(Some(Disabled)))], vec![live(1, "caller")]),
        str![[r#"
disable svc.api_token["caller"]: the spec wants it disabled
1 disable svc.api_token["caller"] id 1
waiting svc.api_token["caller"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["caller"]'`
refused I3: step 1 takes token id 1, which logicmonitor.acme uses

"#]]
    );
}

#[test]
fn a_missing_user_is_an_error() {
    let mut world = lm(vec![("ci", wanted(None))], vec![]);
    world.snapshot.users.insert(svc(), crate::model::observed::Observed::Absent);
    tells!(
        world,
        str![[r#"
error plan::user_missing svc: there is no `svc` on the vendor's side

"#]]
    );
}

#[test]
fn a_token_of_unknown_status_is_not_acted_on() {
    let odd = LiveToken { status: 3, ..live(5, "ci") };
    for status in [Enabled, Disabled, Absent] {
        let story = lm(vec![("ci", wanted(Some(status)))], vec![odd.clone()]).story();
        assert_eq!(
            story,
            "error logicmonitor::unknown_status svc.api_token[\"ci\"]: the status of id 5 is unknown (3)\n"
        );
    }
}

#[test]
fn the_ledger_tells_an_age_that_the_portal_does_not() {
    let unknown = LiveToken { created_on: None, ..live(5, "ci") };
    let world = lm(vec![("ci", rotated(None))], vec![unknown]);
    assert!(world.story().starts_with("rotate"), "{}", world.story());
    let past = Past { remote_id: Some(5), issued_at: Some(days_ago(89)), ..Past::default() };
    assert!(!world.past(&token("ci"), past).story().contains("rotate svc"));
}
