//! Rules that no plan of today's planner needs, judged on plans made by hand.

use crate::model::step::{Need, Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::TokenStatus::{Absent, Disabled, Enabled};
use crate::plan::check::judge;
use crate::plan::document::{Plan, Summary};
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};

/// What I1 holds against a plan, besides missing reviews.
fn order(plan: &Plan) -> Vec<String> {
    let found = judge(plan).into_iter().find(|i| i.id == "I1" && !i.holds);
    let breaks = found.map_or(String::new(), |i| i.proof);
    breaks.split("; ").filter(|b| !b.is_empty() && !b.contains("reviewed")).map(str::to_owned).collect()
}

/// The same step for another object.
fn moved(step: &Step, to: &Step) -> Step {
    let id = StepId::new(step.verb, &to.address, 1);
    Step { id, address: to.address.clone(), ..step.clone() }
}

fn need(step: &Step, rule: Rule) -> Need {
    Need { step: step.id.clone(), rule }
}

#[test]
fn a_token_is_issued_before_its_predecessor_goes() {
    let wants = vec![("new", wanted(Some(Enabled))), ("off", wanted(Some(Disabled)))];
    let mut plan = lm(wants, vec![live(5, "off")]).admitted();
    let at = plan.steps.iter().position(|s| s.verb == Verb::Disable).unwrap();
    let issue = plan.steps.iter().find(|s| s.verb == Verb::Issue).unwrap();
    let issue = moved(issue, &plan.steps[at]);
    plan.steps.insert(at, issue.clone());
    assert_eq!(order(&plan), ["step 3 does not need step 2 (issue-before-retire)"]);
    plan.steps[at + 1].needs.push(need(&issue, Rule::IssueBeforeRetire));
    assert!(order(&plan).is_empty(), "{:?}", order(&plan));
}

#[test]
fn a_token_is_disabled_before_it_is_deleted() {
    let wants = vec![("gone", wanted(Some(Absent))), ("off", wanted(Some(Disabled)))];
    let mut plan = lm(wants, vec![live(5, "gone"), live(6, "off")]).admitted();
    let disable = plan.steps.iter().find(|s| s.verb == Verb::Disable).unwrap();
    let disable = moved(disable, &plan.steps[0]);
    plan.steps.insert(0, disable.clone());
    assert_eq!(order(&plan), ["step 2 does not need step 1 (disable-before-delete)"]);
    plan.steps[1].needs.push(need(&disable, Rule::DisableBeforeDelete));
    assert!(order(&plan).is_empty(), "{:?}", order(&plan));
}

#[test]
fn everything_of_an_instance_comes_before_its_lock() {
    let mut plan = ibm(wants(Some(IamOnly)), is(Any, &["Ops"])).admitted();
    let dev = with_team(
        wants(Some(Any)),
        "Ops",
        crate::provider::ibm::state::Team { deliver: vec![to("A")], ..plain_team() },
    );
    let deliver = ibm(dev, is(Any, &["Ops"])).admitted().steps.remove(0);
    plan.steps.insert(0, deliver.clone());
    assert_eq!(order(&plan), ["lock 3 does not need step 1 (lock-last)"]);
    plan.steps[2].needs.push(need(&deliver, Rule::LockLast));
    assert!(order(&plan).is_empty(), "{:?}", order(&plan));
}

#[test]
fn a_team_left_out_of_a_lock_is_not_left_out_of_an_unlock() {
    let mut plan = ibm(wants(Some(Any)), is(IamOnly, &["Ops", "Web"])).admitted();
    let ops = team("Ops");
    plan.evidence.visible_teams[0].teams[0].ignored = true;
    plan.steps.retain(|s| s.address != ops);
    plan.changes.retain(|c| c.address != ops);
    plan.summary = Summary::of(&plan.changes, &plan.steps);
    let says = format!("unlock 1 of {} has no ordered reset of {ops} (lock-covers-all)", mon());
    assert_eq!(order(&plan), [says]);
}

#[test]
fn the_planner_knows_every_rule_that_the_checker_asks_for() {
    let rules: Vec<_> = crate::plan::rules::TABLE.iter().map(|row| row.rule).collect();
    for rule in [
        Rule::ResetBeforeLock,
        Rule::LockLast,
        Rule::UnlockBeforeReset,
        Rule::IssueBeforeRetire,
        Rule::DisableBeforeDelete,
        Rule::CallerLast,
    ] {
        assert!(rules.contains(&rule), "{}", rule.as_str());
    }
}

#[test]
fn steps_in_a_ring_are_not_put_in_an_order() {
    let plan = ibm(wants(Some(Any)), is(IamOnly, &["Ops"])).admitted();
    let (mut unlock, reset) = (plan.steps[0].clone(), plan.steps[1].clone());
    unlock.shape = Some(Shape::Overlap);
    unlock.params.insert("caller".into(), "true".into());
    let names = [unlock.id.to_string(), reset.id.to_string()];
    let ring = crate::plan::graph::order(vec![unlock, reset]);
    let ring = ring.err().map(|cycle| cycle.0.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(
        ring.as_deref(),
        Some(&names[..]),
        "caller-last and unlock-before-reset contradict each other"
    );
}

#[test]
fn what_the_credential_in_use_replaced_goes_after_its_rotation_and_the_rest_of_its_connection_before() {
    let wants = vec![("caller", rotated(None)), ("off", wanted(Some(Disabled)))];
    let plan = lm(wants, vec![old(live(1, "caller")), live(5, "off")]).admitted();
    let (other, issue) = (&plan.steps[0], &plan.steps[1]);
    let disable = moved(other, issue);
    let ordered = crate::plan::graph::order(vec![disable.clone(), issue.clone(), other.clone()]).unwrap();
    let ids: Vec<_> = ordered.iter().map(|step| &step.id).collect();
    assert_eq!(ids, [&other.id, &issue.id, &disable.id]);
    assert_eq!(ordered[2].needs, [need(issue, Rule::IssueBeforeRetire)]);
    let mut plan = plan.clone();
    plan.steps = ordered;
    assert!(!order(&plan).iter().any(|said| said.contains("caller-last")), "{:?}", order(&plan));
}
