//! Tokens whose value did not reach every destination that was to have it.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::Disabled;
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::*;

/// Token 5, which was to go to `KEY` and `TWO` and reached only `KEY`.
fn half(mut tokens: Vec<LiveToken>) -> World {
    let want = Token { deliver: vec![to("KEY"), to("TWO")], ..wanted(None) };
    tokens.push(live(5, "ci"));
    let past = Past {
        remote_id: Some(5),
        fingerprint: Some(fp("new")),
        delivered: [("ops-env#KEY", "new"), ("ops-env#TWO", "old")]
            .map(|(slot, value)| (slot.to_owned(), fp(value)))
            .into(),
        lacking: ["ops-env#TWO".to_owned()].into(),
        ..Past::default()
    };
    lm(vec![("ci", want)], tokens).past(&token("ci"), past)
}

#[test]
fn what_can_t_be_had_again_is_issued_anew_beside_the_token_that_some_have() {
    tells!(
        half(vec![]),
        str![[r#"
rotate svc.api_token["ci"]: ops-env#TWO never got the value of id 5, which can't be had again
1 issue svc.api_token["ci"] overlap > ops-env#KEY > ops-env#TWO

"#]]
    );
}

#[test]
fn a_destination_that_is_declared_no_more_or_a_disabled_token_asks_for_none() {
    let mut world = half(vec![]);
    want_token(&mut world, "ci").deliver = vec![to("KEY")];
    assert_eq!(world.story(), "nothing\n");
    let mut world = half(vec![]);
    want_token(&mut world, "ci").status = Some(Disabled);
    assert!(!world.story().contains("issue"), "{}", world.story());
    let mut world = half(vec![]);
    live_svc(&mut world).tokens[0].status = DISABLED;
    assert!(!world.story().contains("issue"), "{}", world.story());
}

#[test]
fn a_destination_that_was_declared_later_waits_for_the_next_rotation() {
    let mut world = half(vec![]);
    want_token(&mut world, "ci").deliver = vec![to("KEY"), to("LATER")];
    assert!(world.story().contains("waiting svc.api_token[\"ci\"]: ops-env#LATER does not have this token"));
    assert!(!world.story().contains("issue"), "{}", world.story());
}

/// A destination that never takes a value does not gather tokens with every apply.
#[test]
fn after_two_more_tokens_it_is_for_a_person() {
    let chain = || vec![live(3, "ci"), live(4, "ci ;tf1 g=aa p=3")];
    let mut world = half(chain());
    live_svc(&mut world).tokens[2].note = "ci ;tf1 g=bb p=4".into();
    let story = world.story();
    assert!(!story.contains("1 issue") && story.contains("2 replaced tokens are still there"), "{story}");
    assert!(story.contains("plan with `--rotate svc.api_token[\"ci\"]`"), "{story}");
}
