//! Which live tokens a declared name stands for, and which of them are predecessors.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus::{Absent, Enabled};
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::*;

#[test]
fn a_predecessor_waits_for_its_overlap_and_soak() {
    let mut world = lm(vec![("ci", rotated(None))], vec![live(5, "ci"), live(6, "ci ;tf1 g=aa p=5")]);
    tells!(
        world,
        str![[r#"
disable svc.api_token["ci"]: id 6 replaced id 5 at 2026-11-12T10:00:00Z: used from 203.0.113.9 at 2026-11-21T10:00:00Z
1 disable svc.api_token["ci"] id 5 overlap
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z

"#]]
    );
    live_svc(&mut world).tokens[0].status = DISABLED;
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z
waiting svc.api_token["ci"]: predecessor id 5: somebody else disabled it, and tokenform deletes only what it has disabled: delete it in the portal, or state `consumers_moved`

"#]]
    );
}

#[test]
fn equal_names_are_no_lineage_and_stop_until_one_is_pinned() {
    let mut world = lm(vec![("ci", wanted(Some(Enabled)))], vec![live(5, "ci"), live(6, "ci")]);
    tells!(
        world,
        str![[r#"
error plan::ambiguous svc.api_token["ci"]: 2 live tokens have this name: id 5 (enabled, note "ci", made 10d ago by robot, last used 1d ago from 203.0.113.9), id 6 (enabled, note "ci", made 10d ago by robot, last used 1d ago from 203.0.113.9)

"#]]
    );
    want_token(&mut world, "ci").id = Some(6);
    tells!(
        world,
        str![[r#"
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again; declare `rotate: {}`, then: `plan --rotate 'svc.api_token["ci"]'`

"#]]
    );
    want_token(&mut world, "ci").id = Some(7);
    tells!(
        world,
        str![[r#"
error plan::name_not_found svc.api_token["ci"]: svc has no API token with the pinned id 7

"#]]
    );
}

#[test]
fn a_marker_counts_only_on_a_token_that_our_own_user_created() {
    let mut world = lm(vec![("ci", wanted(None))], vec![live(5, "ci"), live(6, "ci ;tf1 g=aa p=5")]);
    live_svc(&mut world).tokens[1].created_by = "mallory".into();
    tells!(
        world,
        str![[r#"
error plan::ambiguous svc.api_token["ci"]: 2 live tokens have this name: id 5 (enabled, note "ci", made 10d ago by robot, last used 1d ago from 203.0.113.9), id 6 (enabled, note "ci ;tf1 g=aa p=5", made 10d ago by mallory, last used 1d ago from 203.0.113.9)

"#]]
    );
    live_svc(&mut world).caller = None;
    assert!(world.story().contains("error plan::ambiguous"));
}

#[test]
fn the_ledger_tells_a_predecessor_too() {
    let world = lm(vec![("ci", wanted(None))], vec![live(5, "ci"), live(6, "ci")]);
    let past = Past { remote_id: Some(6), replaced: [(6, 5)].into(), ..Past::default() };
    tells!(
        world.past(&token("ci"), past),
        str![[r#"
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; no rotation declared: its secret can't be had again
waiting svc.api_token["ci"]: predecessor id 5: it stays, since no `rotate` is declared any more; `rotate: {}` retires it

"#]]
    );
}

#[test]
fn a_pin_stands_for_what_replaced_the_pinned_token() {
    let mut world = lm(vec![("ci", rotated(None))], vec![old(live(5, "before"))]);
    want_token(&mut world, "ci").id = Some(5);
    tells!(
        world,
        str![[r#"
rotate svc.api_token["ci"]: 91d old, max_age 90d, 1d late
1 issue svc.api_token["ci"] overlap > ops-env#KEY

"#]]
    );
    live_svc(&mut world).tokens.push(live(6, "ci ;tf1 g=aa p=5"));
    tells!(
        world,
        str![[r#"
disable svc.api_token["ci"]: id 6 replaced id 5 at 2026-11-12T10:00:00Z: used from 203.0.113.9 at 2026-11-21T10:00:00Z
1 disable svc.api_token["ci"] id 5 overlap
waiting svc.api_token["ci"]: ops-env#KEY is not known to have this token; fed at the next rotation until 2027-02-10T10:00:00Z

"#]]
    );
    live_svc(&mut world).tokens.remove(0);
    assert!(!world.story().contains("error"), "the marker still names the deleted one");
}

#[test]
fn a_pin_holds_over_generations_that_are_gone() {
    let mut world = lm(vec![("ci", rotated(None))], vec![live(8, "ci ;tf1 g=aa p=7")]);
    want_token(&mut world, "ci").id = Some(5);
    assert!(world.story().contains("no API token with the pinned id 5"), "nobody knows of 5");
    let past = Past { replaced: [(6, 5), (7, 6)].into(), ..Past::default() };
    world.history.objects.insert(token("ci"), past);
    assert!(!world.story().contains("error"), "{}", world.story());
    // 8 replaced 7, and is known to have replaced 6, which 7 replaced
    live_svc(&mut world).tokens.insert(0, disabled(live(6, "ci")));
    live_svc(&mut world).tokens.insert(1, disabled(live(7, "ci ;tf1 g=bb p=6")));
    world.history.objects.get_mut(&token("ci")).unwrap().replaced.insert((8, 6));
    assert!(!world.story().contains("error"), "{}", world.story());
    // a wrong new one that somebody deleted replaced nothing
    live_svc(&mut world).tokens.truncate(1);
    assert!(!world.story().contains("error"), "{}", world.story());
}

#[test]
fn deleting_a_pinned_token_leaves_another_lineage_of_the_name_alone() {
    let tokens = vec![live(5, "ci"), live(6, "ci"), live(7, "ci ;tf1 g=aa p=6")];
    let mut world = lm(vec![("ci", wanted(Some(Absent)))], tokens);
    want_token(&mut world, "ci").id = Some(5);
    tells!(
        world,
        str![[r#"
delete svc.api_token["ci"]: the spec wants it absent
1 delete svc.api_token["ci"] id 5

"#]]
    );
}

#[test]
fn markers_that_name_each_other_are_no_lineage() {
    let tokens = vec![live(5, "ci ;tf1 g=aa p=6"), live(6, "ci ;tf1 g=bb p=5")];
    tells!(
        lm(vec![("ci", wanted(Some(Enabled)))], tokens),
        str![[r#"
error plan::ambiguous svc.api_token["ci"]: 2 live tokens have this name: id 5 (enabled, note "ci ;tf1 g=aa p=6", made 10d ago by robot, last used 1d ago from 203.0.113.9), id 6 (enabled, note "ci ;tf1 g=bb p=5", made 10d ago by robot, last used 1d ago from 203.0.113.9)

"#]]
    );
}

#[test]
fn a_renamed_token_is_found_by_the_ledger_and_not_created_again() {
    let world = lm(vec![("ci", wanted(Some(Enabled)))], vec![live(5, "cd")]);
    tells!(
        world.past(&token("ci"), Past { remote_id: Some(5), ..Past::default() }),
        str![[r#"
error plan::renamed svc.api_token["ci"]: id 5, which the ledger knows as `ci`, is named `cd` now

"#]]
    );
}

#[test]
fn one_live_token_does_not_stand_for_two_names() {
    let pinned = Token { id: Some(5), ..wanted(Some(Absent)) };
    let world = lm(vec![("a", pinned), ("ci", wanted(Some(Enabled)))], vec![live(5, "ci")]);
    assert!(world.story().contains("error plan::shared"), "{}", world.story());
}

#[test]
fn a_pinned_token_that_is_gone_is_absent() {
    let mut world = lm(vec![("ci", wanted(Some(Absent)))], vec![]);
    want_token(&mut world, "ci").id = Some(5);
    assert_eq!(world.story(), "nothing\n");
    live_svc(&mut world).tokens.push(live(6, "ci"));
    assert_eq!(world.story(), "nothing\n", "another token of the name is not ours to take");
}
