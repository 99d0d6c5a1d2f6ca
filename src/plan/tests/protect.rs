//! Protections that the ledger remembers: what they forbid, and how they are lifted.

use snapbox::str;

use super::tells;
use crate::model::address::Address;
use crate::model::asked::Asked;
use crate::model::history::Past;
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::model::vocabulary::TokenStatus::{self, Absent, Disabled, Enabled};
use crate::plan::check::{admit, judge};
use crate::plan::document::Plan;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::logicmonitor::state::{LiveToken, Token, Unlisted, UnlistedAction};

fn remembered(world: World, at: &Address) -> World {
    world.past(at, Past { protected: true, ..Past::default() })
}

/// A wish that nothing waits for.
fn quiet(status: Option<TokenStatus>) -> Token {
    Token { deliver: vec![], ..wanted(status) }
}

fn protected() -> Token {
    Token { protect: true, ..quiet(Some(Enabled)) }
}

#[test]
fn a_protection_is_remembered_once_and_then_there_is_nothing_to_do() {
    let world = lm(vec![("ci", protected())], vec![live(5, "ci")]);
    tells!(
        world,
        str![[r#"
protect svc.api_token["ci"]: the spec protects it
1 protect svc.api_token["ci"]

"#]]
    );
    let plan = world.admitted();
    assert!(plan.live.is_empty(), "it rests on nothing live");
    let step = &plan.steps[0];
    assert_eq!(
        (step.call.method.as_str(), plan.summary.protect, plan.summary.irreversible),
        ("RECORD", 1, 0)
    );
    assert_eq!(remembered(world, &token("ci")).story(), "nothing\n");
}

#[test]
fn taking_the_words_out_of_the_spec_lifts_nothing() {
    for wish in [quiet(Some(Disabled)), quiet(Some(Absent)), rotated(None)] {
        let world = remembered(lm(vec![("ci", wish)], vec![old(live(5, "ci"))]), &token("ci"));
        let story = world.story();
        assert!(story.contains("api_token[\"ci\"], which is protected"), "{story}");
    }
    let world = ibm(wants(Some(IamOnly)), is(Any, &["Ops", "SRE"]));
    let world = remembered(world, &team("SRE"));
    let story = world.story();
    assert!(story.contains("touches mon.team[\"SRE\"], which is protected"), "it is not listed: {story}");
}

#[test]
fn a_token_that_is_declared_no_more_is_known_by_its_name_and_is_not_taken_by_disuse() {
    let stale = |id, note| LiveToken {
        created_on: Some(days_ago(200)),
        last_used_on: Some(days_ago(120)),
        ..live(id, note)
    };
    let mut world = lm(vec![], vec![stale(1, "mine"), stale(5, "ci"), stale(6, "other")]);
    world.desired.logicmonitor.get_mut(&acme()).unwrap().unlisted = Some(Unlisted {
        action: UnlistedAction::Disable,
        unused_for: Some(Period::days(90)),
        except: vec![],
        all_users: false,
    });
    let forged = world.admitted();
    assert_eq!(forged.steps.len(), 2, "both are taken where nothing is remembered");
    let world = remembered(world, &token("ci"));
    let plan = world.admitted();
    assert_eq!(plan.steps.len(), 1);
    let why = &plan.unlisted.iter().find(|row| row.token_id == 5).unwrap().why;
    assert!(why.contains("it was protected when the spec declared it"), "{why}");
    // the checker knows it, too
    let mut both = forged;
    both.evidence.protected = plan.evidence.protected;
    assert!(broken(&both)[0].contains("touches logicmonitor.acme.svc.api_token[\"ci\"], which is protected"));
}

/// A token that is to be deleted, and one whose protection is lifted.
pub(super) fn lifting() -> World {
    let wants = vec![("ci", quiet(Some(Absent))), ("fenced", quiet(Some(Disabled)))];
    let mut world = lm(wants, vec![live(5, "ci"), live(6, "fenced")]);
    world.desired.unprotect.insert(token("fenced"));
    remembered(world, &token("fenced"))
}

#[test]
fn it_is_lifted_by_a_plan_that_does_nothing_else_and_the_next_one_does_the_rest() {
    let mut world = lifting();
    tells!(
        world,
        str![[r#"
unprotect svc.api_token["fenced"]: the spec says `protect: false`
1 unprotect svc.api_token["fenced"]
waiting svc.api_token["ci"]: to delete it (the spec wants it absent) waits for the next plan: one that lifts a protection holds nothing else
waiting svc.api_token["fenced"]: to disable it (the spec wants it disabled) waits for the next plan: one that lifts a protection holds nothing else

"#]]
    );
    world.admitted();
    world.history.objects.remove(&token("fenced"));
    tells!(
        world,
        str![[r#"
delete svc.api_token["ci"]: the spec wants it absent
disable svc.api_token["fenced"]: the spec wants it disabled
1 delete svc.api_token["ci"] id 5
2 disable svc.api_token["fenced"] id 6

"#]]
    );
    world.admitted();
}

#[test]
fn a_part_of_the_spec_lifts_only_what_lies_in_it() {
    let mut world = lifting();
    world.asked = Asked { target: vec![token("ci").into()], ..Asked::default() };
    let plan = world.admitted();
    assert_eq!(plan.steps.iter().map(|step| step.verb).collect::<Vec<_>>(), [Verb::Delete]);
}

#[test]
fn what_nobody_remembers_has_nothing_to_be_lifted() {
    let mut world = lm(vec![("ci", quiet(None))], vec![live(5, "ci")]);
    world.desired.unprotect.insert(token("ci"));
    assert_eq!(world.story(), "nothing\n");
}

fn broken_i7(plan: &Plan) -> String {
    let i7 = judge(plan).into_iter().find(|invariant| invariant.id == "I7").unwrap();
    assert!(!i7.holds && admit(plan.clone()).is_err());
    i7.proof
}

#[test]
fn a_forged_plan_neither_lifts_what_the_spec_does_not_nor_touches_it_at_once() {
    let lifting = lifting().admitted();
    let forge = |work: &dyn Fn(&mut Plan)| {
        let mut plan = lifting.clone();
        work(&mut plan);
        broken_i7(&plan)
    };
    let other = |verb, at: &Address| {
        let mut step = lifting.steps[0].clone();
        (step.verb, step.address, step.id) = (verb, at.clone(), StepId::new(verb, at, 1));
        step.params.insert("token_id".into(), "6".into());
        step
    };
    let says = |proof: String, words: &str| assert!(proof.contains(words), "{proof}");
    says(forge(&|p| p.evidence.unprotect.clear()), "a protection that the spec does not lift");
    says(forge(&|p| p.evidence.protected.clear()), "from what is not protected");
    for (verb, at) in [(Verb::Disable, token("fenced")), (Verb::Enable, token("ci"))] {
        says(forge(&|p| p.steps.push(other(verb, &at))), "stands beside step 1");
        says(forge(&|p| p.steps.insert(0, other(verb, &at))), "stands beside step 2");
    }
    // to call the lift a protection hides nothing
    let disable = other(Verb::Disable, &token("fenced"));
    let hidden = forge(&|p| {
        p.steps[0].verb = Verb::Protect;
        p.steps.push(disable.clone());
    });
    says(hidden, "api_token[\"fenced\"], which is protected");
    says(forge(&|p| p.steps.push(other(Verb::Protect, &token("ci")))), "what the spec does not protect");
}

#[test]
fn an_incident_and_an_unlock_respect_it_and_change_nothing_about_it() {
    let mut world = lm(vec![("ci", rotated(None))], vec![old(live(5, "ci"))]);
    world.desired.unprotect.insert(token("ci"));
    let mut world = remembered(world, &token("ci"));
    world.asked.incident =
        Some(crate::model::exposure::Incident { issued_before: days_ago(1), scope: vec![], reason: None });
    let plan = world.admitted();
    assert!(plan.steps.is_empty());
    assert!(plan.extent.not_rotated.iter().any(|row| row.why.contains("protect: true")));
    let mut world = remembered(ibm(wants(Some(IamOnly)), is(IamOnly, &["Ops"])), &mon());
    world.desired.unprotect.insert(mon());
    let (instance, reason) = (mon(), "INC-7".to_owned());
    world.asked.unlock = Some(crate::model::asked::AskedUnlock { instance, reason, hold: None });
    let story = world.story();
    assert!(story.contains("touches mon, which is protected") && !story.contains("unprotect"), "{story}");
}
