//! The page: whole, self-contained, and nothing in it that a name could have put there.

use super::plan as rendered;
use crate::model::age::Age;
use crate::model::effect::{EffectSort, SideEffect};
use crate::model::verb::Verb;
use crate::plan::document::Plan;
use crate::report::rows::Rows;
use crate::report::sample;

fn page(plan: &Plan) -> String {
    let rows = Rows::of(plan, "seal: verified");
    rendered(&rows, &Rows::all_ages(plan), "infra/tokens.yaml")
}

#[test]
fn every_row_is_on_the_page() {
    let (plan, text) = (sample::everything(), page(&sample::everything()));
    for step in &plan.steps {
        assert!(text.contains(&step.call.path.replace('>', "&gt;")), "{}", step.id);
    }
    for change in &plan.changes {
        assert!(text.contains(&change.reason), "{}", change.address);
    }
    for words in
        ["NOT covered", "disabling its predecessor 41", "proof of I7", "seal: verified", "4</b> irreversible"]
    {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn the_picture_has_a_box_per_step_and_the_rules_names() {
    let text = page(&sample::everything());
    assert_eq!(text.matches("<circle").count(), 10);
    assert!(
        text.contains("1 before 8: reset-before-lock") && text.contains("6 before 7: disable-before-delete")
    );
}

#[test]
fn a_step_tells_when_what_it_takes_away_was_last_used() {
    let mut plan = sample::everything();
    let delete = plan.steps.iter_mut().find(|step| step.verb == Verb::Delete).unwrap();
    delete.params.insert("token_id".into(), "41".into());
    let at = vec![delete.address.clone()];
    let says = |id: &str, when: &str| format!("id {id} was last used {when} from 203.0.113.7");
    for (id, when) in [("40", "1d ago"), ("41", "2d ago")] {
        plan.side_effects.push(SideEffect::new(EffectSort::LastUse, "ci", says(id, when), at.clone()));
    }
    assert_eq!(page(&plan).matches("<td>2d ago from 203.0.113.7</td>").count(), 1);
    assert!(!page(&plan).contains("<td>1d ago"), "of another token");
}

#[test]
fn a_rules_name_stands_once_for_a_bundle_of_arrows() {
    let text = page(&sample::everything());
    let names = text.matches("class=\"rule-name\"").count();
    let arrows = text.matches("class=\"rule\"").count();
    assert!(names < arrows, "{names} names at {arrows} arrows");
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let text = page(&sample::everything());
    assert!(!text.contains("<script") && !text.contains("src=") && !text.contains("@import"));
    let links: Vec<_> = text.matches("http").collect();
    assert_eq!(links.len(), 2, "the SVG's namespace and the policy's http-equiv");
}

#[test]
fn names_cannot_open_tags() {
    let evil = "</title><script>alert(1)</script>\" onload=\"x";
    let mut hostile = sample::everything();
    for change in &mut hostile.changes {
        change.address = sample::team("mon-prod", evil);
        change.reason.push_str(evil);
        change.notes.push(evil.to_owned());
    }
    for step in &mut hostile.steps {
        step.address = sample::team(evil, evil);
        step.call.path.push_str(evil);
    }
    hostile.findings.iter_mut().for_each(|finding| finding.message.push_str(evil));
    let rows = Rows::of(&hostile, evil);
    let text = rendered(&rows, &Rows::all_ages(&hostile), evil);
    assert!(!text.contains("<script") && !text.contains("\" onload"), "{text}");
}

#[test]
fn too_many_steps_are_listed_and_not_drawn() {
    let mut long = sample::everything();
    for _ in 0..10 {
        long.steps.extend(sample::everything().steps);
    }
    let text = page(&long);
    assert!(text.contains("Not drawn: 110 steps") && !text.contains("<svg"));
}

#[test]
fn a_plan_without_changes_and_a_refused_one_say_so() {
    assert!(page(&sample::empty()).contains("No changes. Live state matches the spec."));
    let mut broken = sample::everything();
    broken.invariants[3].holds = false;
    assert!(page(&broken).contains("The checker refuses this plan."));
}

#[test]
fn ages_stand_against_their_limits_on_one_scale() {
    let age = |name: &str, issued: Option<&str>, due: Option<&str>, says: &str| Age {
        address: sample::token(name),
        issued_at: issued.map(|at| at.parse().unwrap()),
        due_at: due.map(|at| at.parse().unwrap()),
        says: says.to_owned(),
    };
    let mut plan = sample::empty();
    plan.ages = vec![
        age("fresh", Some("2026-11-01T00:00:00Z"), Some("2027-01-30T00:00:00Z"), "due in 68d"),
        age("late", Some("2026-08-01T00:00:00Z"), Some("2026-10-30T00:00:00Z"), "23d late"),
        age("whoever", None, None, "age unknown: not in the ledger"),
    ];
    let text = page(&plan);
    assert_eq!((text.matches("class=\"ontime\"").count(), text.matches("class=\"late\"").count()), (2, 1));
    assert!(text.contains("23d late") && text.contains("age unknown") && text.contains(">now<"), "{text}");
}
