//! Two connections of one portal, and the credentials that they use.

use snapbox::str;

use super::tells;
use crate::model::address::Address;
use crate::model::vocabulary::TokenStatus::{Absent, Enabled};
use crate::plan::sample::*;
use crate::provider::state::Caller;

/// `acme` manages the token of id 1; `twin` is another connection that authenticates with a token.
fn portal(account: &str, wants: Vec<(&str, crate::provider::logicmonitor::state::Token)>) -> World {
    let mut world = lm(wants, vec![old(live(1, "theirs")), live(5, "gone")]);
    world.snapshot.callers.insert(acme(), Caller { access_id: Some("elsewhere".into()), token_ids: vec![9] });
    add_portal(&mut world, "twin", account, vec![], vec![]);
    world
}

#[test]
fn a_connection_does_not_delete_the_key_pair_that_another_one_uses() {
    let mut world = portal("acme", vec![("theirs", wanted(Some(Absent)))]);
    tells!(
        world,
        str![[r#"
delete svc.api_token["theirs"]: the spec wants it absent
1 delete svc.api_token["theirs"] id 1
refused I3: step 1 takes token id 1, which a connection of the spec uses

"#]]
    );
    let twin = Address::connection("logicmonitor", "twin");
    world.snapshot.callers.insert(twin, Caller { access_id: None, token_ids: vec![2] });
    assert!(world.admitted().steps.len() == 1, "nobody uses it");
}

#[test]
fn a_connection_does_not_delete_the_bearer_token_that_another_one_uses() {
    let bearer = Caller { access_id: None, token_ids: vec![1] };
    let twin = Address::connection("logicmonitor", "twin");
    let mut same = portal("ACME", vec![("theirs", wanted(Some(Absent)))]);
    same.snapshot.callers.insert(twin.clone(), bearer.clone());
    assert!(same.story().contains("refused I3"), "{}", same.story());
    let mut other = portal("other", vec![("theirs", wanted(Some(Absent)))]);
    other.snapshot.callers.insert(twin, bearer);
    assert!(!other.story().contains("refused"), "an equal id in another portal is another token");
}

#[test]
fn planner_and_checker_agree_on_which_rotation_comes_last() {
    let wants =
        vec![("gone", wanted(Some(Absent))), ("new", wanted(Some(Enabled))), ("theirs", rotated(None))];
    tells!(
        portal("acme", wants),
        str![[r#"
delete svc.api_token["gone"]: the spec wants it absent
create svc.api_token["new"]: does not exist
rotate svc.api_token["theirs"]: 91d old, max_age 90d, 1d late
1 delete svc.api_token["gone"] id 5
2 issue svc.api_token["new"] > ops-env#KEY
3 issue svc.api_token["theirs"] overlap > ops-env#KEY after 1 caller-last, 2 caller-last

"#]]
    );
}
