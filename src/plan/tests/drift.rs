//! What somebody else has changed: told as drift, never as a new wish.

use snapbox::str;

use super::tells;
use crate::model::history::Past;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{self, Any, IamOnly};
use crate::provider::ibm::state::OtherTeams;
use crate::provider::logicmonitor::state::LiveToken;

fn set(mode: AuthMode) -> Past {
    Past { setting: Some((mode.as_str().into(), days_ago(3))), ..Past::default() }
}

fn reset_of(id: u64) -> Past {
    Past { remote_id: Some(id), ..Past::default() }
}

#[test]
fn a_mode_that_was_flipped_in_the_console_is_drift() {
    let world = ibm(wants(Some(IamOnly)), is(Any, &["SRE"]));
    let flipped = world.clone().past(&mon(), set(IamOnly));
    tells!(
        flipped,
        str![[r#"
invalidate mon.team["SRE"]: visible team, not listed: reset before the instance is locked
lock mon: drift: changed outside since tokenform set it; the spec wants IAM tokens alone
1 reset mon.team["SRE"] invalidate
2 lock mon after 1 reset-before-lock
warning plan::mode_changed_outside mon: external_api_auth was set to IAM_ONLY by tokenform at 2026-11-19T10:00:00Z and is ANY now: changed in the console or by another tool; the instance was last updated at 2026-01-01T00:00:00Z

"#]]
    );
    let story = world.past(&mon(), set(Any)).story();
    assert!(!story.contains("drift") && !story.contains("changed_outside"), "a new wish:\n{story}");
    let opened = ibm(wants(Some(Any)), is(IamOnly, &["SRE"])).past(&mon(), set(Any)).story();
    assert!(opened.contains("unlock mon: drift: changed outside since tokenform set it"), "{opened}");
}

#[test]
fn a_team_that_appeared_after_the_lock_is_told_and_a_renamed_one_is_not_new() {
    let world = ibm(wants(Some(IamOnly)), is(IamOnly, &["SRE", "Renamed", "New"]));
    let mut world = world.past(&mon(), set(IamOnly)).past(&team("SRE"), reset_of(1));
    world = world.past(&team("Old name"), reset_of(2));
    tells!(
        world.clone(),
        str![[r#"
info plan::team_after_lock mon.team["New"]: team New (id 3) appeared after the lock at 2026-11-19T10:00:00Z: its token was not reset, and can't be read while IAM_ONLY; an unlock resets it

"#]]
    );
    want_mon(&mut world).other_teams = OtherTeams::Ignore;
    assert!(world.story().contains("or was left out of it"));
}

#[test]
fn without_a_lock_of_ours_nothing_is_said_to_be_new() {
    let world = ibm(wants(Some(IamOnly)), is(IamOnly, &["SRE"])).past(&mon(), set(Any));
    tells!(
        world,
        str![[r#"
info plan::token_history_unknown mon: locked already; the ledger does not say whether earlier tokens were reset in SRE

"#]]
    );
}

#[test]
fn tokens_made_by_hand_since_the_last_change_are_told() {
    let made = |id, days| LiveToken {
        created_on: Some(days_ago(days)),
        created_by: "alice".into(),
        ..live(id, "quick test")
    };
    let tokens = vec![
        live(4, "ci"),
        made(5, 2),
        made(6, 4),
        LiveToken { note: "x ;tf1 g=a p=0".into(), ..made(7, 1) },
        LiveToken { note: "ci2".into(), ..made(8, 1) },
        LiveToken { created_on: None, ..made(9, 1) },
        made(1, 1),
    ];
    let mut world = lm(vec![("ci", wanted(None)), ("ci2", wanted(None))], tokens);
    let told = |world: &World| {
        let findings = world.plan().findings;
        let hit = |f: &&crate::model::finding::Finding| f.code == crate::model::code::PLAN_MADE_OUTSIDE;
        findings.iter().find(hit).map(|f| f.message.clone())
    };
    assert_eq!(told(&world), None, "no last look is known");
    world.history.looked_at.insert(acme(), days_ago(3));
    assert_eq!(
        told(&world).unwrap(),
        "1 token was made outside tokenform since 2026-11-19T10:00:00Z: id 5 (API token \"quick test\", created by alice at 2026-11-20T10:00:00Z)"
    );
    live_svc(&mut world).tokens.extend((20..27).map(|id| made(id, 1)));
    let many = told(&world).unwrap();
    assert!(many.starts_with("8 tokens were") && many.ends_with("and 3 more"), "{many}");
}
