//! Break-glass: an unlock by hand with its resets, and the hold that it leaves.

use snapbox::str;

use super::tells;
use crate::model::asked::AskedUnlock;
use crate::model::change::Action;
use crate::model::history::{Hold, Past};
use crate::model::prefix::Prefix;
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::model::who::Who;
use crate::plan::check::{admit, judge};
use crate::plan::document::Plan;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};

/// Somebody asks that `mon` is opened, which the spec wants locked.
fn asked(mut world: World, hold: Option<Period>) -> World {
    world.asked.target = vec![Prefix::from(mon())];
    world.asked.unlock = Some(AskedUnlock { instance: mon(), reason: "INC-7".into(), hold });
    world
}

/// An unlock by hand that is held open.
pub(super) fn break_glass() -> World {
    asked(locked(), Some(Period::hours(4)))
}

fn locked() -> World {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    let mut world = ibm(want, is(IamOnly, &["Ops", "Web"]));
    // another instance, on which something else is due
    add_instance(&mut world, "dev", wants(Some(IamOnly)), is(Any, &["SRE"]));
    world
}

fn open() -> World {
    let want = with_team(wants(Some(IamOnly)), "Ops", plain_team());
    ibm(want, is(Any, &["Ops", "Web"]))
}

/// The ledger of an unlock by hand, an hour ago, whose hold ends then. The resets were made.
fn held(world: World, until: &str) -> World {
    let by = Who { user: Some("ada".into()), ..Who::default() };
    let hold = Hold { until: at(until), reason: "INC-7".into(), by };
    let unlocked_at = at("2026-11-22T09:00:00Z");
    let setting = Some(("ANY".to_owned(), unlocked_at));
    let unlocked = Past { unlocked_at: Some(unlocked_at), hold: Some(hold), setting, ..Past::default() };
    let reset = Past { issued_at: Some(at("2026-11-22T09:00:05Z")), ..Past::default() };
    world.past(&mon(), unlocked).past(&team("Ops"), reset.clone()).past(&team("Web"), reset)
}

#[test]
fn it_is_a_plan_of_its_own_with_the_reset_of_every_team() {
    let world = asked(locked(), Some(Period::hours(4)));
    tells!(
        world,
        str![[r#"
unlock mon: break-glass; INC-7
invalidate mon.team["Ops"]: earlier tokens may work again after the unlock; INC-7
invalidate mon.team["Web"]: earlier tokens may work again after the unlock; INC-7
1 unlock mon
2 reset mon.team["Ops"] invalidate after 1 unlock-before-reset
3 reset mon.team["Web"] invalidate after 1 unlock-before-reset

"#]]
    );
    let plan = world.admitted();
    let unlock = plan.changes.iter().find(|change| change.action == Action::Unlock).unwrap();
    let notes = unlock.notes.join("\n");
    assert!(notes.contains("from step 1 to 3, earlier tokens may work again"), "{notes}");
    assert!(notes.contains("held open for 4h") && notes.contains("locks again"), "{notes}");
    assert_eq!(plan.steps[0].params["hold"], "4h");
    let unheld = asked(locked(), None).admitted();
    assert!(!unheld.steps[0].params.contains_key("hold"));
}

#[test]
fn an_instance_that_is_held_open_waits_and_is_not_locked_until_the_hold_ends() {
    let world = held(open(), "2026-11-22T13:00:00Z");
    tells!(
        world.clone(),
        str![[r#"
waiting mon: held open by hand (INC-7, by ada); then the full reset and lock until 2026-11-22T13:00:00Z

"#]]
    );
    tells!(
        World { later: 3 * 3600, ..world },
        str![[r#"
invalidate mon.team["Ops"]: reset before the instance is locked
invalidate mon.team["Web"]: visible team, not listed: reset before the instance is locked
lock mon: the hold ended at 2026-11-22T13:00:00Z; the spec wants IAM tokens alone
1 reset mon.team["Ops"] invalidate
2 reset mon.team["Web"] invalidate
3 lock mon after 1 reset-before-lock, 2 reset-before-lock

"#]]
    );
}

#[test]
fn a_hold_tells_which_resets_are_still_owed() {
    let mut world = held(open(), "2026-11-22T13:00:00Z");
    world.history.objects.remove(&team("Web"));
    let story = world.story();
    assert!(story.contains("warning plan::resets_owed mon.team[\"Web\"]"), "{story}");
    assert!(!story.contains("resets_owed mon.team[\"Ops\"]"), "{story}");
}

#[test]
fn what_is_open_already_needs_no_unlock() {
    tells!(
        asked(open(), None),
        str![[r#"
waiting mon: accepts API tokens; the spec says IAM_ONLY: the next apply resets the token of every team and locks again

"#]]
    );
    let held = asked(held(open(), "2026-11-22T13:00:00Z"), None).story();
    assert!(held.contains("held open by hand (INC-7, by ada)"), "{held}");
}

#[test]
fn an_unlock_of_a_protected_instance_is_refused() {
    let mut world = asked(locked(), None);
    want_mon(&mut world).protect = true;
    assert!(world.story().contains("refused I7"), "{}", world.story());
}

type Break = fn(&mut Plan);

/// What the checker must refuse of a break-glass plan that was changed by hand.
const BREAKS: &[(&str, Break)] = &[
    ("drop a reset that must follow", |plan| {
        let id = StepId::new(Verb::Reset, &team("Web"), 1);
        plan.steps.retain(|step| step.id != id);
        plan.changes.retain(|change| !change.steps.contains(&id));
    }),
    ("let a reset come before the unlock", |plan| plan.steps[1].needs.clear()),
    ("hold it open for longer than it says", |plan| {
        plan.steps[0].params.insert("hold".into(), "9h".into());
    }),
    ("hold it open where nobody said so", |plan| plan.asked.unlock.as_mut().unwrap().hold = None),
    ("hold it open for ever", |plan| {
        plan.asked.unlock.as_mut().unwrap().hold = Some(Period::days(31));
        plan.steps[0].params.insert("hold".into(), "31d".into());
    }),
    ("hold it open under an ordinary plan", |plan| plan.asked.unlock = None),
    ("give no reason", |plan| plan.asked.unlock.as_mut().unwrap().reason = " ".into()),
    ("open another instance", |plan| {
        plan.asked.unlock.as_mut().unwrap().instance = prod().owner("dev");
    }),
];

#[test]
fn a_broken_one_is_refused() {
    let whole = asked(locked(), Some(Period::hours(4))).admitted();
    for (what, change) in BREAKS {
        let mut plan = whole.clone();
        change(&mut plan);
        assert!(judge(&plan).iter().any(|i| i.id == "I1" && !i.holds), "{what}");
        assert!(admit(plan).is_err(), "{what}");
    }
}

#[test]
fn nothing_else_is_done_under_its_name() {
    let mut plan = held(open(), "2026-11-22T09:59:00Z").admitted();
    plan.asked.unlock = Some(AskedUnlock { instance: mon(), reason: "INC-7".into(), hold: None });
    assert!(broken(&plan).concat().contains("is not part of the unlock"), "{:?}", broken(&plan));
}
