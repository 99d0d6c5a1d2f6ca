//! `strategy: replace`: the old token goes before the new one is made, only where the spec asks for it.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::model::prefix::Prefix;
use crate::model::step::{Need, Rule, Shape, Step};
use crate::model::verb::Verb;
use crate::model::vocabulary::TokenStatus::Enabled;
use crate::plan::check::{admit, judge};
use crate::plan::document::Plan;
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::{LiveToken, Token};
use crate::provider::state::{Rotate, Strategy};

fn replaced() -> Token {
    Token { rotate: Some(Rotate { strategy: Strategy::Replace, ..rotate() }), ..wanted(Some(Enabled)) }
}

/// One that is too old.
pub(super) fn world() -> World {
    lm(vec![("ci", replaced())], vec![old(live(5, "ci"))])
}

#[test]
fn the_old_token_goes_then_the_new_one_is_made_and_the_outage_is_stated() {
    tells!(
        world(),
        str![[r#"
rotate svc.api_token["ci"]: 91d old, max_age 90d, 1d late
1 delete svc.api_token["ci"] id 5 replace
2 issue svc.api_token["ci"] replace > ops-env#KEY after 1 delete-before-issue

"#]]
    );
    let plan = world().admitted();
    assert_eq!(plan.steps[1].params["predecessor"], "5");
    let notes = plan.changes[0].notes.join("\n");
    assert!(
        notes.contains("outage until the new token is delivered to ops-env#KEY: id 5 stops working"),
        "{notes}"
    );
    assert!(notes.contains("from step 1 until step 2 is done, no token of this name works"), "{notes}");
    let rotated = plan.invariants.iter().find(|i| i.id == "I7").unwrap();
    assert!(
        rotated.proof.starts_with("rotate 1/20") && rotated.proof.contains("delete 0/5"),
        "{}",
        rotated.proof
    );
}

#[test]
fn an_interrupted_replacement_is_owed_its_issue_also_under_a_pin() {
    let past = || Past { removed: Some(5), ..Past::default() };
    for pin in [None, Some(5)] {
        let owed = lm(vec![("ci", Token { id: pin, ..replaced() })], vec![]).past(&token("ci"), past());
        tells!(
            owed,
            str![[r#"
rotate svc.api_token["ci"]: id 5 was deleted to be replaced, and its successor was not made
1 issue svc.api_token["ci"] replace > ops-env#KEY

"#]]
        );
        assert_eq!(owed.admitted().steps[0].params["predecessor"], "5");
    }
    // … of what the removed one had replaced in turn
    let line = Past { replaced: [(5, 4)].into(), ..past() };
    let owed = lm(vec![("ci", Token { id: Some(4), ..replaced() })], vec![]).past(&token("ci"), line);
    assert!(owed.story().starts_with("rotate svc"), "{}", owed.story());
    // the very step that was approved
    let approved = world().admitted().steps.remove(1);
    let owed = lm(vec![("ci", replaced())], vec![]).past(&token("ci"), past()).admitted().steps.remove(0);
    assert_eq!((owed.id, owed.params, owed.shape), (approved.id, approved.params, approved.shape));
    // an ordinary creation, when the spec does not ask for `replace` any more
    let other = lm(vec![("ci", rotated(None))], vec![]).past(&token("ci"), past());
    assert!(other.story().starts_with("create"), "{}", other.story());
}

#[test]
fn the_credential_in_use_is_never_deleted_for_it() {
    let mut world = lm(vec![("ci", replaced())], vec![old(live(1, "ci"))]);
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: due for rotation (91d old, max_age 90d, 1d late), but `strategy: replace` would delete id 1, which is or may be what tokenform logs in with; `strategy: overlap` rotates it
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation

"#]]
    );
    world.asked.rotate = vec![Prefix::from(token("ci"))];
    assert!(world.story().contains("error plan::cant_rotate"), "{}", world.story());
}

#[test]
fn an_incident_takes_what_it_replaced_too_and_else_that_goes_first() {
    let there = || vec![live(5, "ci"), old(live(6, "ci ;tf1 g=aa p=5"))];
    let mut world = lm(vec![("ci", replaced())], there());
    assert!(world.story().contains("when its predecessor is retired"), "{}", world.story());
    let rotate = want_token(&mut world, "ci").rotate.as_mut().unwrap();
    rotate.issued_after = Some(days_ago(1));
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: issued 2026-08-23T10:00:00Z, before issued_after 2026-11-21T10:00:00Z
1 delete svc.api_token["ci"] id 5 replace
2 delete svc.api_token["ci"] id 6 replace
3 issue svc.api_token["ci"] replace > ops-env#KEY after 1 delete-before-issue, 2 delete-before-issue

"#]]
    );
    assert!(admit(world.plan().plan).is_ok());
}

#[test]
fn what_holds_a_dead_value_gets_a_living_one_by_another_replacement() {
    let past = Past {
        remote_id: Some(5),
        fingerprint: Some(fp("v")),
        lacking: [to("KEY").slot()].into(),
        ..Past::default()
    };
    let world = lm(vec![("ci", replaced())], vec![live(5, "ci")]).past(&token("ci"), past);
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: ops-env#KEY never got the value of id 5, which can't be had again
1 delete svc.api_token["ci"] id 5 replace
2 issue svc.api_token["ci"] replace > ops-env#KEY after 1 delete-before-issue

"#]]
    );
    world.admitted();
}

type Break = fn(&mut Plan);

const BREAKS: &[(&str, &str, Break)] = &[
    ("delete first, unasked", "I1", |p| p.evidence.enabled_counts[0].replaces = false),
    ("leave the name empty, unasked", "I4", |p| p.evidence.enabled_counts[0].replaces = false),
    ("forget the issue", "I1", |p| drop(issue(p))),
    ("forget the issue, seen by what is left", "I4", |p| drop(issue(p))),
    ("forget the deletion", "I1", |p| drop(delete(p))),
    ("drop the edge", "I1", |p| p.steps[1].needs.clear()),
    ("give the edge another name", "I1", |p| p.steps[1].needs[0].rule = Rule::DisableBeforeDelete),
    ("issue first", "I1", |p| {
        p.steps.swap(0, 1);
        let step = p.steps[0].id.clone();
        p.steps[0].needs.clear();
        p.steps[1].needs = vec![Need { step, rule: Rule::IssueBeforeRetire }];
    }),
    ("take the place of another one", "I1", |p| {
        p.steps[1].params.insert("predecessor".into(), "6".into());
    }),
    ("take the place of none", "I1", |p| {
        p.steps[1].params.insert("predecessor".into(), "0".into());
    }),
    ("call the deletion an ordinary one", "I1", |p| p.steps[0].shape = None),
    ("call the issue an overlap", "I1", |p| p.steps[1].shape = Some(Shape::Overlap)),
    ("disable instead", "I1", |p| p.steps[0].verb = Verb::Disable),
    ("defer the issue", "I1", |p| {
        p.steps[1].guards.push(crate::model::guard::Guard::Unwatched { token_id: 5, why: String::new() });
    }),
    ("send the new secret nowhere", "I5", |p| p.steps[1].destinations.clear()),
    ("delete the credential in use", "I3", |p| {
        p.steps[0].params.insert("token_id".into(), "1".into());
    }),
    ("go beyond the limit", "I7", |p| p.limits.rotate = 0),
    ("take from a protected name", "I7", |p| p.evidence.protected.push(token("ci"))),
];

fn without(plan: &mut Plan, at: usize) -> Step {
    let step = plan.steps.remove(at);
    plan.steps.iter_mut().for_each(|s| s.needs.retain(|n| n.step != step.id));
    plan.changes.iter_mut().for_each(|c| c.steps.retain(|s| *s != step.id));
    step
}

fn delete(plan: &mut Plan) -> Step {
    without(plan, 0)
}

fn issue(plan: &mut Plan) -> Step {
    without(plan, 1)
}

#[test]
fn each_way_to_break_a_replacement_is_refused_by_its_invariant() {
    let plan = world().admitted();
    for (what, invariant, break_it) in BREAKS {
        let mut broken = plan.clone();
        break_it(&mut broken);
        let refused: Vec<_> = judge(&broken).into_iter().filter(|i| !i.holds).map(|i| i.id).collect();
        assert!(refused.iter().any(|id| id == invariant), "{what}: {refused:?}");
        assert!(admit(broken).is_err(), "{what}");
    }
}

#[test]
fn what_an_earlier_run_deleted_is_judged_by_the_evidence() {
    let past = Past { removed: Some(5), ..Past::default() };
    let plan = lm(vec![("ci", replaced())], vec![]).past(&token("ci"), past).admitted();
    for break_it in [
        (|p| p.evidence.enabled_counts[0].removed = None) as Break,
        |p| p.evidence.enabled_counts[0].removed = Some(6),
        |p| p.evidence.enabled_counts[0].enabled = vec![7],
    ] {
        let mut broken = plan.clone();
        break_it(&mut broken);
        assert!(admit(broken).is_err());
    }
}

#[test]
fn a_disabled_token_that_is_wanted_is_replaced_as_well() {
    let token = LiveToken { ..disabled(old(live(5, "ci"))) };
    let world = lm(vec![("ci", replaced())], vec![token]);
    assert!(world.story().contains("1 delete svc.api_token[\"ci\"] id 5 replace"), "{}", world.story());
    assert!(admit(world.plan().plan).is_ok());
}

#[test]
fn what_is_deleted_to_be_replaced_is_not_brought_back_as_well() {
    let used = LiveToken { last_used_on: Some(days_ago(0)), ..disabled(live(4, "ci ;tf1 off=1795082400")) };
    let rotate = Rotate { strategy: Strategy::Replace, issued_after: Some(days_ago(1)), ..rotate() };
    let want = Token { rotate: Some(rotate), ..replaced() };
    let world = lm(vec![("ci", want)], vec![used, live(5, "ci ;tf1 g=n p=4")]);
    let verbs: Vec<_> = world.admitted().steps.iter().map(|step| step.verb).collect();
    assert_eq!(verbs, [Verb::Delete, Verb::Delete, Verb::Issue], "{}", world.story());
}
