//! The checker: a plan of the planner is admitted, and broken by hand it is refused.

use proptest::prelude::*;

use crate::model::change::Action;
use crate::model::step::{Guard, Need, Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::TokenStatus::{Absent, Disabled, Enabled};
use crate::plan::check::{admit, judge};
use crate::plan::document::{Plan, Summary, VisibleTeam};
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::logicmonitor::note::{Mark, marked};
use crate::provider::logicmonitor::state::LiveToken;

/// An admitted plan with every sort of step: a lock, an unlock, single-slot and delivery, and for
/// LogicMonitor create, enable, disable, delete and the rotation of the credential in use.
pub(super) fn rich() -> World {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let mut world = ibm(want, is(Any, &["Ops", "Web", "DB"]));
    let mut dev = wants(None);
    dev.teams.insert(prod().owner("dev").item("team", "SRE"), rotated_team("SRE"));
    let delivered = crate::provider::ibm::state::Team { deliver: vec![to("D")], ..plain_team() };
    dev.teams.insert(prod().owner("dev").item("team", "Dev"), delivered);
    add_instance(&mut world, "dev", dev, is(Any, &["SRE", "Dev", "Other"]));
    add_instance(&mut world, "old", wants(Some(Any)), is(IamOnly, &["Ops"]));
    let tokens = vec![
        ("caller", rotated(None)),
        ("gone", wanted(Some(Absent))),
        ("new", wanted(Some(Enabled))),
        ("off", wanted(Some(Disabled))),
        ("on", wanted(Some(Enabled))),
        ("soaked", rotated(None)),
        ("worn", rotated(None)),
    ];
    let there = vec![
        old(live(1, "caller")),
        live(5, "gone"),
        live(6, "gone ;tf1 g=aa p=5"),
        live(7, "off"),
        disabled(live(8, "on")),
        LiveToken { last_used_on: None, ..disabled(live(20, &marked("soaked", Mark::Off, days_ago(9)))) },
        live(21, "soaked ;tf1 g=cc p=20"),
        live(30, "worn"),
        live(31, "worn ;tf1 g=dd p=30"),
    ];
    add_portal(&mut world, "acme", "acme", tokens, there);
    world
}

#[test]
fn the_rich_plan_is_admitted_and_has_every_verb() {
    let plan = rich().admitted();
    let verbs: std::collections::BTreeSet<_> = plan.steps.iter().map(|s| s.verb).collect();
    assert_eq!(verbs.len(), 8, "{verbs:?}");
    let proofs: Vec<_> = plan.invariants.iter().map(|i| format!("{} {}", i.id, i.proof)).collect();
    snapbox::assert_data_eq!(
        proofs.join("\n"),
        snapbox::IntoData::raw(snapbox::str![[r#"
I1 lock 6 of ibm.prod.mon after resets 3, 4, 5; unlock 7 of ibm.prod.old before resets 8
I2 no step of an instance after its lock (6)
I3 5 steps disable or delete a token, none a credential in use
I4 7 managed names judged
I5 8 steps yield a secret
I6 16 steps within 12 declared objects
I7 rotate 2/20, enable 1/20, disable 1/10, delete 1/5, lock 2/2
"#]])
    );
}

/// A way to break a plan. `pick` chooses among several places; what must be refused, and why.
type Break = fn(&mut Plan, usize);

const BREAKS: &[(&str, &str, Break)] = &[
    ("drop a reset's edge to its lock", "I1", |p, pick| {
        let needs = &mut of(p, Verb::Lock, 0).needs;
        let at = pick % needs.len();
        needs.remove(at);
    }),
    ("give an edge to the lock another rule's name", "I1", |p, pick| {
        let needs = &mut of(p, Verb::Lock, 0).needs;
        let at = pick % needs.len();
        needs[at].rule = Rule::LockLast;
    }),
    ("move a lock before a reset", "I2", |p, _| {
        let at = place(p, Verb::Lock);
        let lock = p.steps.remove(at);
        let first = p.steps.iter().position(|s| s.address.lane() == lock.address).unwrap();
        p.steps.insert(first, lock);
    }),
    ("move a reset before the unlock", "I1", |p, _| {
        let at = place(p, Verb::Unlock);
        let unlock = p.steps.remove(at);
        p.steps.push(unlock);
    }),
    ("forget the way back from a lock", "I1", |p, _| p.reverse.clear()),
    ("forget a reset on the way back", "I1", |p, pick| {
        let steps = &mut p.reverse[0].steps;
        let at = 1 + pick % (steps.len() - 1);
        steps.remove(at);
    }),
    ("forget the unlock on the way back", "I1", |p, _| drop(p.reverse[0].steps.remove(0))),
    ("hide what can't be undone", "I1", |p, pick| {
        let lost = &mut p.reverse[0].lost;
        let at = pick % lost.len();
        lost.remove(at);
    }),
    ("tell a way back of what is not locked", "I1", |p, _| {
        let mut way = p.reverse[0].clone();
        way.instance = prod().owner("old");
        p.reverse.push(way);
    }),
    ("drop a team's reset altogether", "I1", |p, pick| {
        let id = invalidate(p, pick).id.clone();
        remove(p, &id);
    }),
    ("drop a step that was reviewed", "I1", |p, pick| {
        let at = pick % p.steps.len();
        let id = p.steps.remove(at).id;
        p.steps.iter_mut().for_each(|s| s.needs.retain(|n| n.step != id));
    }),
    ("reset another team than the visible one", "I1", |p, pick| {
        let step = invalidate(p, pick);
        step.params.insert("team_id".into(), "99".into());
    }),
    ("forget which teams are visible", "I1", |p, _| p.evidence.visible_teams.clear()),
    ("see one more team", "I1", |p, pick| {
        let at = pick % p.evidence.visible_teams.len();
        let seen = &mut p.evidence.visible_teams[at];
        let address = seen.instance.item("team", "New");
        seen.teams.push(VisibleTeam { address, id: 77, ignored: false });
    }),
    ("see no team at all", "I1", |p, pick| {
        let at = pick % p.evidence.visible_teams.len();
        p.evidence.visible_teams[at].teams.clear();
    }),
    ("add a step that nobody reviewed", "I1", |p, pick| {
        let mut step = p.steps[pick % p.steps.len()].clone();
        step.id = StepId::new(step.verb, &step.address, 9);
        p.steps.push(step);
    }),
    ("put a delete under a reviewed creation", "I1", |p, _| {
        let mut step = of(p, Verb::Delete, 0).clone();
        let change = p.changes.iter_mut().find(|c| c.action == Action::Create).unwrap();
        step.address = change.address.clone();
        step.id = StepId::new(Verb::Delete, &step.address, 1);
        change.steps.push(step.id.clone());
        p.steps.push(step);
    }),
    ("drop a reviewed change", "I1", |p, pick| {
        let at = pick % p.changes.len();
        p.changes.remove(at);
    }),
    ("give two steps one id", "I1", |p, pick| {
        let step = p.steps[pick % p.steps.len()].clone();
        p.steps.push(step);
    }),
    ("wait for what no rule puts first", "I1", |p, pick| {
        let before = p.steps[pick % (p.steps.len() - 1)].id.clone();
        p.steps.last_mut().unwrap().needs.push(Need { step: before, rule: Rule::UnlockBeforeReset });
    }),
    ("wait for another object by a rule of one object", "I1", |p, _| {
        let before = of(p, Verb::Disable, 0).id.clone();
        let at = p.steps.iter().rposition(|s| s.verb == Verb::Delete).unwrap();
        let delete = p.steps.remove(at);
        p.steps.push(delete);
        p.steps.last_mut().unwrap().needs.push(Need { step: before, rule: Rule::DisableBeforeDelete });
    }),
    ("call a step what it is not", "I1", |p, pick| {
        let at = pick % p.steps.len();
        let was = p.steps[at].id.clone();
        let id = StepId::new(p.steps[at].verb, &prod().owner("elsewhere"), 1);
        p.steps[at].id = id.clone();
        let needs = p.steps.iter_mut().flat_map(|s| &mut s.needs).map(|need| &mut need.step);
        let changes = p.changes.iter_mut().flat_map(|c| &mut c.steps);
        needs.chain(changes).filter(|name| **name == was).for_each(|name| name.clone_from(&id));
    }),
    ("do a step again under another number", "I1", |p, pick| {
        let mut again = p.steps[pick % p.steps.len()].clone();
        let change = p.changes.iter_mut().find(|c| c.steps.contains(&again.id)).unwrap();
        again.id = StepId::new(again.verb, &again.address, 9);
        change.steps.push(again.id.clone());
        p.steps.push(again);
    }),
    ("call what can't be undone undoable", "I1", |p, pick| {
        let at = pick % p.steps.len();
        p.steps[at].irreversible ^= true;
        p.summary = Summary::of(&p.changes, &p.steps);
    }),
    ("miscount the changes", "I1", |p, _| p.summary.delete = 0),
    ("miscount what can't be undone", "I1", |p, _| p.summary.irreversible = 0),
    ("reset a team beside an unlock that was left out", "I1", |p, _| {
        let id = of(p, Verb::Unlock, 0).id.clone();
        remove(p, &id);
        let reset = nth(p, |s| s.address.lane() == prod().owner("old"), 0);
        (reset.shape, reset.destinations) = (Some(Shape::SingleSlot), vec![to("X")]);
        let id = reset.id.clone();
        p.changes.iter_mut().filter(|c| c.steps.contains(&id)).for_each(|c| c.action = Action::Rotate);
        p.summary = Summary::of(&p.changes, &p.steps);
    }),
    ("replace a token where nothing tells what is in use", "I1", |p, _| p.evidence.callers.clear()),
    ("bring a replaced token back without saying so", "I1", |p, _| {
        let step = of(p, Verb::Enable, 0);
        let (address, id) = (step.address.clone(), step.params["token_id"].parse().unwrap());
        let count = p.evidence.enabled_counts.iter_mut().find(|count| count.address == address).unwrap();
        count.predecessors.push(id);
    }),
    ("give a destination to what yields no secret", "I5", |p, _| {
        of(p, Verb::Disable, 0).destinations.push(to("X"));
    }),
    ("need a step that is not there", "I1", |p, pick| {
        let at = pick % p.steps.len();
        let step = StepId::new(Verb::Reset, &team("Nobody"), 1);
        p.steps[at].needs.push(Need { step, rule: Rule::LockLast });
    }),
    ("invalidate without a switch", "I1", |p, _| {
        let id = of(p, Verb::Lock, 0).id.clone();
        remove(p, &id);
    }),
    ("invalidate at an instance that stays open", "I1", |p, _| {
        let step = shaped(p, Shape::SingleSlot, 0);
        (step.shape, step.destinations) = (Some(Shape::Invalidate), vec![]);
    }),
    ("strip a shape, so that no limit counts it", "I1", |p, pick| {
        let steps: Vec<_> = p.steps.iter_mut().filter(|s| s.shape.is_some()).collect();
        let count = steps.len();
        steps.into_iter().nth(pick % count).unwrap().shape = None;
    }),
    ("retire on no evidence that the successor is in place", "I1", |p, pick| {
        let guards = &mut shaped_retirement(p, pick).guards;
        guards.retain(|guard| !matches!(guard, Guard::SuccessorInPlace { .. }));
    }),
    ("retire before its time", "I1", |p, pick| {
        let guards = &mut shaped_retirement(p, pick).guards;
        guards.retain(|guard| !matches!(guard, Guard::OldIdle { .. } | Guard::DisabledFor { .. }));
    }),
    ("delete without a word on who still tries it", "I1", |p, _| {
        let delete = nth(p, |s| s.verb == Verb::Delete && s.shape.is_some(), 0);
        delete.guards.retain(|guard| !matches!(guard, Guard::NotTried { .. } | Guard::Unwatched { .. }));
    }),
    ("retire by numbers that do not hold", "I1", |p, pick| {
        for guard in &mut shaped_retirement(p, pick).guards {
            match guard {
                Guard::OldIdle { at_least, .. } | Guard::DisabledFor { at_least, .. } => {
                    *at_least = "900d".parse().unwrap();
                }
                _ => {}
            }
        }
    }),
    ("retire during the overlap", "I1", |p, pick| {
        for guard in &mut shaped_retirement(p, pick).guards {
            if let Guard::SuccessorInPlace { overlap, .. } = guard {
                *overlap = "900d".parse().unwrap();
            }
        }
    }),
    ("retire on the evidence of another token", "I1", |p, pick| {
        for guard in &mut shaped_retirement(p, pick).guards {
            match guard {
                Guard::OldIdle { token_id, .. } | Guard::DisabledFor { token_id, .. } => *token_id = 99,
                _ => {}
            }
        }
    }),
    ("retire with itself for a successor", "I1", |p, pick| {
        let step = shaped_retirement(p, pick);
        let id: u64 = step.params["token_id"].parse().unwrap();
        for guard in &mut step.guards {
            if let Guard::SuccessorInPlace { token_id, .. } = guard {
                *token_id = id;
            }
        }
    }),
    ("retire the token in use", "I1", |p, pick| {
        let step = shaped_retirement(p, pick);
        let id: u64 = step.params["token_id"].parse().unwrap();
        step.params.insert("token_id".into(), (id + 1).to_string());
    }),
    ("retire what nothing replaced", "I1", |p, _| {
        p.evidence.enabled_counts.iter_mut().for_each(|count| count.predecessors.clear());
    }),
    ("bring back a token that is none of the name", "I1", |p, _| {
        let step = of(p, Verb::Enable, 0);
        step.shape = Some(Shape::Overlap);
    }),
    ("call a retirement an ordinary change", "I1", |p, pick| {
        let step = shaped_retirement(p, pick);
        (step.shape, step.guards) = (None, Vec::new());
    }),
    ("put a guard on a step that retires nothing", "I1", |p, pick| {
        let steps = p.steps.iter().filter(|s| s.shape != Some(Shape::Overlap) || s.verb == Verb::Issue);
        let id = steps.clone().nth(pick % steps.count()).unwrap().id.clone();
        let at = p.steps.iter().position(|s| s.id == id).unwrap();
        let at_least = "24h".parse().unwrap();
        p.steps[at].guards.push(Guard::OldIdle { token_id: 1, at_least, last_used_on: None });
    }),
    ("rotate the credential in use too early", "I1", |p, pick| {
        let needs = &mut rotation(p).needs;
        let at = pick % needs.len();
        needs.remove(at);
    }),
    ("delete the credential in use", "I3", |p, pick| {
        of(p, Verb::Delete, pick).params.insert("token_id".into(), "1".into());
    }),
    ("disable the credential in use", "I3", |p, _| {
        of(p, Verb::Disable, 0).params.insert("token_id".into(), "1".into());
    }),
    ("retire a token without saying which", "I3", |p, pick| {
        of(p, Verb::Delete, pick).params.remove("token_id");
    }),
    ("leave a name without an enabled token", "I4", |p, _| {
        p.evidence.enabled_counts.iter_mut().for_each(|c| c.may_be_zero = false);
    }),
    ("retire where nobody counted", "I4", |p, _| p.evidence.enabled_counts.clear()),
    ("send a new secret nowhere", "I5", |p, pick| {
        let steps: Vec<_> = p.steps.iter_mut().filter(|s| !s.destinations.is_empty()).collect();
        let count = steps.len();
        steps.into_iter().nth(pick % count).unwrap().destinations.clear();
    }),
    ("deliver what shall be dropped", "I5", |p, pick| invalidate(p, pick).destinations.push(to("X"))),
    ("leave the declared scope", "I6", |p, pick| {
        let address = p.steps[pick % p.steps.len()].address.clone();
        p.evidence.scope.retain(|declared| !declared.covers(&address));
    }),
    ("touch an undeclared team of an instance that stays open", "I6", |p, _| {
        let step = of(p, Verb::Deliver, 0);
        let (from, to) = (step.address.clone(), step.address.lane().item("team", "Other"));
        step.address = to.clone();
        p.changes.iter_mut().filter(|c| c.address == from).for_each(|c| c.address = to.clone());
    }),
    ("exceed the limit of rotations", "I7", |p, _| p.limits.rotate = 1),
    ("exceed the limit of enabling", "I7", |p, _| p.limits.enable = 0),
    ("exceed the limit of disabling", "I7", |p, _| p.limits.disable = 0),
    ("exceed the limit of deletions", "I7", |p, _| p.limits.delete = 0),
    ("exceed the limit of locks and unlocks", "I7", |p, _| p.limits.lock = 1),
    ("take from a protected object", "I7", |p, pick| {
        let takes = [Verb::Reset, Verb::Disable, Verb::Delete, Verb::Lock, Verb::Unlock];
        let address = of(p, takes[pick % takes.len()], pick).address.clone();
        p.evidence.protected.push(if pick % 2 == 0 { address } else { address.lane() });
    }),
    ("lift a protection beside other changes", "I7", |p, pick| {
        let mut step = of(p, Verb::Delete, pick).clone();
        step.address = step.address.lane().item("api_token", "fenced");
        (step.id, step.verb) = (StepId::new(Verb::Unprotect, &step.address, 1), Verb::Unprotect);
        step.needs.clear();
        p.evidence.unprotect.push(step.address.clone());
        p.evidence.protected.push(step.address.clone());
        p.steps.insert(0, step);
    }),
    ("rotate a protected token", "I7", |p, _| {
        let address = rotation(p).address.clone();
        p.evidence.protected.push(address);
    }),
];

fn place(plan: &Plan, verb: Verb) -> usize {
    plan.steps.iter().position(|s| s.verb == verb).unwrap()
}

fn nth(plan: &mut Plan, hit: impl Fn(&Step) -> bool, pick: usize) -> &mut Step {
    let mut steps: Vec<_> = plan.steps.iter_mut().filter(|s| hit(s)).collect();
    let at = pick % steps.len();
    steps.swap_remove(at)
}

fn of(plan: &mut Plan, verb: Verb, pick: usize) -> &mut Step {
    nth(plan, |s| s.verb == verb, pick)
}

fn shaped(plan: &mut Plan, shape: Shape, pick: usize) -> &mut Step {
    nth(plan, |s| s.shape == Some(shape), pick)
}

/// A step that disables or deletes a token that was replaced.
fn shaped_retirement(plan: &mut Plan, pick: usize) -> &mut Step {
    nth(plan, |s| s.shape == Some(Shape::Overlap) && s.verb != Verb::Issue, pick)
}

/// The rotation of the credential in use.
fn rotation(plan: &mut Plan) -> &mut Step {
    nth(plan, |s| s.shape == Some(Shape::Overlap) && s.verb == Verb::Issue, 0)
}

fn invalidate(plan: &mut Plan, pick: usize) -> &mut Step {
    shaped(plan, Shape::Invalidate, pick)
}

/// Takes a step away with everything that names it, as a careful forger would.
fn remove(plan: &mut Plan, id: &StepId) {
    plan.steps.retain(|s| s.id != *id);
    plan.steps.iter_mut().for_each(|s| s.needs.retain(|n| n.step != *id));
    plan.changes.iter_mut().for_each(|c| c.steps.retain(|s| s != id));
    plan.changes.retain(|c| !c.steps.is_empty());
    plan.summary = Summary::of(&plan.changes, &plan.steps);
}

#[test]
fn each_way_to_break_a_plan_is_refused_by_its_invariant() {
    let plan = rich().admitted();
    for (what, invariant, break_it) in BREAKS {
        let mut broken = plan.clone();
        break_it(&mut broken, 0);
        let refused: Vec<_> = judge(&broken).into_iter().filter(|i| !i.holds).map(|i| i.id).collect();
        assert!(refused.iter().any(|id| id == invariant), "{what}: {refused:?}");
        assert!(admit(broken).is_err(), "{what}");
    }
}

#[test]
fn an_error_among_the_findings_refuses_a_plan_whose_invariants_hold() {
    for (severity, admitted) in [("info", true), ("warning", true), ("error", false)] {
        let mut plan = rich().admitted();
        plan.findings.push(crate::plan::document::PlanFinding {
            code: "tokenform::plan::unreadable".into(),
            severity: severity.into(),
            address: None,
            message: "it was not read".into(),
        });
        assert_eq!(admit(plan).is_ok(), admitted, "{severity}");
    }
}

#[test]
fn a_reset_of_an_open_team_is_no_part_of_a_lock_and_may_be_dropped_only_with_its_review() {
    let mut plan = rich().admitted();
    let id = shaped(&mut plan, Shape::SingleSlot, 0).id.clone();
    remove(&mut plan, &id);
    assert!(admit(plan).is_ok());
}

#[test]
fn a_name_may_be_switched_to_another_token_only_new_before_old() {
    let mut plan = rich().admitted();
    let mut enable = of(&mut plan, Verb::Enable, 0).clone();
    enable.params.insert("token_id".into(), "70".into());
    let off = of(&mut plan, Verb::Disable, 0).address.clone();
    (enable.address, enable.id) = (off.clone(), StepId::new(Verb::Enable, &off, 1));
    plan.evidence.enabled_counts.iter_mut().filter(|c| c.address == off).for_each(|c| c.may_be_zero = false);
    let held = |steps: Vec<Step>| {
        let plan = Plan { steps, ..plan.clone() };
        judge(&plan).iter().any(|i| i.id == "I4" && i.holds)
    };
    let at = place(&plan, Verb::Disable);
    let (mut before, mut after) = (plan.steps.clone(), plan.steps.clone());
    before.insert(at, enable.clone());
    after.insert(at + 1, enable);
    assert!(held(before) && !held(after));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_single_break_is_ever_admitted(which in 0..BREAKS.len(), pick in 0..32_usize) {
        let (what, _, break_it) = BREAKS[which];
        let mut plan = rich().admitted();
        break_it(&mut plan, pick);
        prop_assert!(admit(plan).is_err(), "{what} ({pick})");
    }
}
