//! `unlisted_tokens`: what becomes of each token that the spec does not declare.

use snapbox::str;

use super::tells;
use crate::model::guard::Guard;
use crate::model::history::Past;
use crate::model::unlisted::Fate;
use crate::model::vocabulary::{Period, TokenStatus::Absent, TokenStatus::Enabled};
use crate::plan::check::judge;
use crate::plan::document::Plan;
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::{
    LiveToken, LiveUser, TokenPattern, Unlisted, UnlistedAction, UnlistedAction::*,
};
use crate::provider::state::Caller;

/// Made 200 days ago and unused for 120.
fn stale(id: u64, note: &str) -> LiveToken {
    LiveToken { created_on: Some(days_ago(200)), last_used_on: Some(days_ago(120)), ..live(id, note) }
}

fn never(id: u64, note: &str) -> LiveToken {
    LiveToken { last_used_on: None, last_auth_ip: None, never_used: true, ..stale(id, note) }
}

fn world(action: UnlistedAction, tokens: Vec<LiveToken>) -> World {
    let mut all = vec![stale(1, "mine"), stale(9, "kept")];
    all.extend(tokens);
    let mut world = lm(vec![("kept", wanted(Some(Enabled)))], all);
    wish(&mut world).action = action;
    world
}

/// The wish: 90 days, with two exceptions.
fn wish(world: &mut World) -> &mut Unlisted {
    let connection = world.desired.logicmonitor.get_mut(&acme()).unwrap();
    connection.unlisted.get_or_insert_with(|| Unlisted {
        action: Report,
        unused_for: Some(Period::days(90)),
        except: vec![TokenPattern::Id(18), TokenPattern::Note("break-*".into())],
        all_users: false,
    })
}

fn disabled_by_us(world: World, id: u64, days: i64) -> World {
    let past = Past { disabled_at: Some(days_ago(days)), ..Past::default() };
    world.past(&token(&format!("#{id}")), past)
}

fn fates(plan: &Plan) -> String {
    let row = |row: &crate::model::unlisted::UnlistedToken| {
        format!("{} {}: {}\n", row.token_id, row.fate.as_str(), row.why)
    };
    plan.unlisted.iter().map(row).collect()
}

pub(super) fn disabled_and_deleted() -> World {
    one_of_each(Delete)
}

fn one_of_each(action: UnlistedAction) -> World {
    let tokens = vec![
        stale(10, "quick test"),
        never(11, "quick test"),
        LiveToken { never_used: false, ..never(12, "nobody knows") },
        LiveToken { created_on: Some(days_ago(30)), ..never(13, "young") },
        LiveToken { last_used_on: Some(days_ago(2)), ..stale(14, "in use") },
        stale(15, "other ;tf1 g=aa p=16"),
        stale(16, "other"),
        stale(17, "break-glass"),
        stale(18, "ours"),
        disabled(stale(19, "off")),
        disabled(stale(20, "off")),
        disabled(stale(21, "off")),
        stale(22, "on again"),
        LiveToken { status: 7, ..stale(23, "odd") },
    ];
    let world = world(action, tokens);
    disabled_by_us(disabled_by_us(disabled_by_us(world, 20, 8), 21, 3), 22, 3)
}

#[test]
fn what_is_only_reported_is_judged_all_the_same() {
    let plan = one_of_each(Report).admitted();
    assert!(plan.changes.is_empty());
    snapbox::assert_data_eq!(
        fates(&plan),
        snapbox::IntoData::raw(str![[r#"
1 left alone: logicmonitor.acme logs in with it
10 only reported: unused for 120d, unused_for 90d
11 only reported: never used since it was made 200d ago, unused_for 90d
12 only reported: nobody tells when it was last used
13 left alone: it is only 30d old
14 left alone: it is in use
15 left alone: a tokenform made it
16 left alone: another token has replaced it
17 left alone: it is excepted
18 left alone: it is excepted
19 only reported: unused for 120d, unused_for 90d
20 only reported: unused for 120d, unused_for 90d
21 only reported: unused for 120d, unused_for 90d
22 only reported: unused for 120d, unused_for 90d
23 left alone: its status is unknown (7)

"#]])
    );
}

#[test]
fn disuse_disables_and_nothing_else_does() {
    let plan = one_of_each(Disable).admitted();
    assert_eq!(plan.changes.len(), 2);
    snapbox::assert_data_eq!(
        fates(&plan),
        snapbox::IntoData::raw(str![[r#"
1 left alone: logicmonitor.acme logs in with it
10 to be disabled: unused for 120d, unused_for 90d
11 to be disabled: never used since it was made 200d ago, unused_for 90d
12 only reported: nobody tells when it was last used
13 left alone: it is only 30d old
14 left alone: it is in use
15 left alone: a tokenform made it
16 left alone: another token has replaced it
17 left alone: it is excepted
18 left alone: it is excepted
19 left alone: it is disabled; unused for 120d, unused_for 90d
20 left alone: it is disabled; unused for 120d, unused_for 90d
21 left alone: it is disabled; unused for 120d, unused_for 90d
22 only reported: tokenform disabled it at 2026-11-19T10:00:00Z and somebody has enabled it again: declare it, or `except` it
23 left alone: its status is unknown (7)

"#]])
    );
}

#[test]
fn what_tokenform_disabled_seven_days_ago_is_deleted_and_nothing_else() {
    tells!(
        one_of_each(Delete),
        str![[r##"
disable svc.api_token["#10"]: not declared; unused for 120d, unused_for 90d
disable svc.api_token["#11"]: not declared; never used since it was made 200d ago, unused_for 90d
delete svc.api_token["#20"]: not declared; disabled at 2026-11-14T10:00:00Z, to be deleted after 7d; unused for 120d, unused_for 90d
1 disable svc.api_token["#10"] id 10
2 disable svc.api_token["#11"] id 11
3 delete svc.api_token["#20"] id 20
waiting svc.api_token["kept"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["kept"]'`
waiting svc.api_token["#21"]: disabled at 2026-11-19T10:00:00Z, to be deleted after 7d; unused for 120d, unused_for 90d until 2026-11-26T10:00:00Z

"##]]
    );
}

#[test]
fn a_change_says_whose_it_is_and_when_it_was_last_used() {
    let plan = world(Disable, vec![stale(10, "quick test")]).admitted();
    let change = &plan.changes[0];
    assert_eq!(change.address, token("#10"));
    let notes = change.notes.join("\n");
    for words in ["\"quick test\" of svc", "by robot", "last used 120d ago from 203.0.113.9"] {
        assert!(notes.contains(words), "{words}\n{notes}");
    }
    assert!(!notes.contains("last enabled"), "others are enabled");
}

/// Nothing but these tokens, none of them declared.
fn only(tokens: &[u64]) -> World {
    let mut world = world(Disable, vec![stale(10, "quick test"), never(11, "never")]);
    live_svc(&mut world).tokens.retain(|token| tokens.contains(&token.id));
    world.desired.logicmonitor.get_mut(&acme()).unwrap().users.get_mut(&svc()).unwrap().tokens.clear();
    world
}

#[test]
fn disuse_takes_no_user_its_last_enabled_token() {
    let plan = only(&[10]).admitted();
    assert!(plan.steps.is_empty());
    let why = &plan.unlisted[0].why;
    assert!(why.contains("it is the last enabled token of svc: declare it"), "{why}");
    // the one that was used last stays
    let plan = only(&[10, 11]).admitted();
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.steps[0].params["token_id"], "11");
    assert!(plan.steps[0].guards.contains(&Guard::OwnerKeepsOne { token_id: 11 }));
    assert_eq!(plan.evidence.owners[0].enabled, [10, 11]);
    // one that the spec itself takes does not stay
    let mut world = world(Disable, vec![stale(10, "quick test")]);
    want_token(&mut world, "kept").status = Some(Absent);
    live_svc(&mut world).tokens.retain(|token| token.id != 1);
    let plan = world.admitted();
    assert!(plan.steps.iter().all(|step| step.params["token_id"] == "9"), "{}", world.story());
}

#[test]
fn a_plan_that_takes_a_user_its_last_enabled_token_is_refused() {
    let plan = only(&[10, 11]).admitted();
    let refused = |break_it: fn(&mut Plan)| {
        let mut broken = plan.clone();
        break_it(&mut broken);
        judge(&broken).into_iter().filter(|i| !i.holds).map(|i| i.id).collect::<Vec<_>>()
    };
    assert_eq!(refused(|plan| plan.evidence.owners[0].enabled = vec![11]), ["I4"]);
    assert_eq!(refused(|plan| plan.evidence.owners.clear()), ["I4"]);
    let unguarded = refused(|plan| {
        plan.steps[0].guards.retain(|guard| !matches!(guard, Guard::OwnerKeepsOne { .. }));
    });
    assert_eq!(unguarded, ["I1"]);
}

#[test]
fn other_users_are_covered_only_where_all_are() {
    let mut world = world(Disable, vec![]);
    let user = live_svc(&mut world).clone();
    let alice = LiveUser {
        id: 40,
        username: "alice".into(),
        tokens: vec![never(60, "laptop"), live(61, "desktop")],
        ..user
    };
    world.snapshot.others.insert(acme().owner("alice"), alice);
    assert!(world.admitted().unlisted.iter().all(|row| row.owner == "svc"));
    wish(&mut world).all_users = true;
    tells!(
        world,
        str![[r##"
disable alice.api_token["#60"]: not declared; never used since it was made 200d ago, unused_for 90d
1 disable alice.api_token["#60"] id 60
waiting svc.api_token["kept"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["kept"]'`

"##]]
    );
}

#[test]
fn a_credential_that_cannot_be_told_spares_every_token_of_its_kind() {
    let mut world = world(Disable, vec![stale(10, "quick test")]);
    add_portal(&mut world, "twin", "acme", vec![], vec![]);
    let twin = crate::model::address::Address::connection("logicmonitor", "twin");
    let credential =
        crate::provider::logicmonitor::state::Credential::Lmv1(crate::provider::logicmonitor::state::Lmv1 {
            access_id: crate::model::vocabulary::SecretRef::Env("X".into()),
            access_key: crate::model::vocabulary::SecretRef::Env("Y".into()),
        });
    world.desired.logicmonitor.get_mut(&twin).unwrap().credential = credential;
    world.snapshot.callers.insert(twin, Caller { untold: Some("$X is not set".into()), ..Caller::default() });
    let plan = world.admitted();
    assert!(plan.changes.is_empty());
    let row = plan.unlisted.iter().find(|row| row.token_id == 10).unwrap();
    assert_eq!(row.why, "it may be the credential of logicmonitor.twin: $X is not set");
}

#[test]
fn limits_and_their_share_count_unlisted_tokens_by_themselves() {
    let tokens = (0..12).map(|n| stale(100 + n, "x")).collect();
    let mut world = world(Disable, tokens);
    let refused = broken(&world.plan().plan).join("\n");
    assert!(refused.contains("12 to disable, but limits.disable is 10"), "{refused}");
    let share = "93 % of the 13 tokens that the spec does not declare, but limits.percent is 30 (`plan --limit percent=93`";
    assert!(refused.contains(share), "{refused}");
    world.desired.limits.disable = 12;
    world.desired.limits.percent = 93;
    assert_eq!(world.admitted().changes.len(), 12);
}

/// What the checker says of a plan that was changed by hand.
fn tampered(change: impl Fn(&mut Plan)) -> String {
    let world = disabled_by_us(world(Delete, vec![stale(10, "a"), disabled(stale(20, "b"))]), 20, 8);
    let mut plan = world.admitted();
    change(&mut plan);
    broken(&plan).join("\n")
}

#[test]
fn the_checker_judges_disuse_by_itself() {
    assert_eq!(tampered(|_| {}), "");
    let row = |plan: &mut Plan, at: usize, change: &dyn Fn(&mut crate::model::unlisted::UnlistedToken)| {
        let rows = plan.unlisted.iter_mut().filter(|row| row.fate < Fate::Waits);
        change(rows.collect::<Vec<_>>().remove(at));
    };
    let said = tampered(|plan| row(plan, 0, &|row| row.last_used_on = Some(days_ago(3))));
    assert!(said.contains("not known to be unused for long enough"), "{said}");
    let said = tampered(|plan| row(plan, 0, &|row| (row.last_used_on, row.never_used) = (None, false)));
    assert!(said.contains("not known to be unused for long enough"), "{said}");
    let said = tampered(|plan| drop(plan.steps[0].guards.remove(0)));
    assert!(said.contains("does not look at its last use again"), "{said}");
    let said = tampered(|plan| plan.steps[1].guards.truncate(1));
    assert!(said.contains("deletes what was not disabled for 7d"), "{said}");
    let said = tampered(|plan| row(plan, 1, &|row| row.enabled = true));
    assert!(said.contains("deletes what is enabled"), "{said}");
    let said = tampered(|plan| row(plan, 0, &|row| row.fate = Fate::Stays));
    assert!(said.contains("is not what the plan says of it"), "{said}");
    let said = tampered(|plan| plan.unlisted.clear());
    assert!(said.contains("which is not declared"), "{said}");
}
