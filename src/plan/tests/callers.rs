//! Two connections of one portal, and the credentials that they use.

use snapbox::str;

use super::tells;
use crate::model::address::Address;
use crate::model::vocabulary::TokenStatus::{Absent, Enabled};
use crate::plan::sample::*;
use crate::provider::logicmonitor::state::{Credential, Lmv1};
use crate::provider::state::Caller;

/// `acme` manages the token of id 1; `twin` is another connection that authenticates with a token.
fn portal(account: &str, wants: Vec<(&str, crate::provider::logicmonitor::state::Token)>) -> World {
    let mut world = lm(wants, vec![old(live(1, "theirs")), live(5, "gone")]);
    world
        .snapshot
        .callers
        .insert(acme(), Caller { access_id: Some("elsewhere".into()), token_ids: vec![9], untold: None });
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
refused I3: step 1 takes token id 1, which logicmonitor.twin uses

"#]]
    );
    let twin = Address::connection("logicmonitor", "twin");
    world.snapshot.callers.insert(twin, Caller { access_id: None, token_ids: vec![2], untold: None });
    assert!(world.admitted().steps.len() == 1, "nobody uses it");
}

#[test]
fn a_connection_does_not_delete_the_bearer_token_that_another_one_uses() {
    let bearer = Caller { access_id: None, token_ids: vec![1], untold: None };
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

fn twin() -> Address {
    Address::connection("logicmonitor", "twin")
}

/// `twin` is not contacted, as `--target logicmonitor.acme` has it.
fn left_out(mut world: World, caller: Caller) -> World {
    world.snapshot.left_out.insert(twin());
    world.snapshot.users.retain(|at, _| !twin().covers(at));
    world.snapshot.callers.insert(twin(), caller);
    world.asked.target = vec!["logicmonitor.acme".parse().unwrap()];
    world
}

#[test]
fn a_connection_that_is_left_out_keeps_its_credential() {
    let gone = || portal("acme", vec![("gone", wanted(Some(Absent)))]);
    let caller = Caller { access_id: Some("a5".into()), token_ids: vec![5], untold: None };
    tells!(
        left_out(gone(), caller),
        str![[r#"
delete svc.api_token["gone"]: the spec wants it absent
1 delete svc.api_token["gone"] id 5
refused I3: step 1 takes token id 5, which logicmonitor.twin uses

"#]]
    );
    let another = Caller { access_id: None, token_ids: vec![2], untold: None };
    assert_eq!(left_out(gone(), another).admitted().steps.len(), 1);
}

#[test]
fn what_may_be_a_credential_that_nobody_can_tell_is_not_taken() {
    let untold = Caller { untold: Some("$LM is not set".into()), ..Caller::default() };
    let mut world = left_out(portal("acme", vec![("gone", wanted(Some(Absent)))]), untold);
    let twin_uses = |world: &mut World, credential| {
        world.desired.logicmonitor.get_mut(&twin()).unwrap().credential = credential;
    };
    let var = || crate::model::vocabulary::SecretRef::Env("LM".into());
    assert_eq!(world.admitted().steps.len(), 1, "a bearer token is no API token");
    twin_uses(&mut world, Credential::Lmv1(Lmv1 { access_id: var(), access_key: var() }));
    tells!(
        world,
        str![[r#"
delete svc.api_token["gone"]: the spec wants it absent
1 delete svc.api_token["gone"] id 5
refused I3: step 1 takes token id 5, which may be the credential of logicmonitor.twin: $LM is not set

"#]]
    );
}

#[test]
fn a_plan_that_does_not_tell_what_is_in_use_takes_nothing() {
    let mut plan = portal("acme", vec![("gone", wanted(Some(Absent)))]).admitted();
    plan.evidence.callers.clear();
    let broken = broken(&plan);
    assert!(broken[0].contains("refused I3") && broken[0].contains("nothing tells"), "{broken:?}");
}

/// A token is due that `twin` uses, at which another one is missing.
pub(super) fn rotated_elsewhere() -> World {
    let mut world = portal("acme", vec![("theirs", rotated(None))]);
    let user = twin().owner("svc");
    let fresh = user.item("api_token", "fresh");
    let tokens =
        &mut world.desired.logicmonitor.get_mut(&twin()).unwrap().users.get_mut(&user).unwrap().tokens;
    tokens.insert(fresh, wanted(Some(Enabled)));
    world
}

#[test]
fn a_credential_is_rotated_after_everything_of_each_connection_that_uses_it() {
    let world = rotated_elsewhere();
    tells!(
        world,
        str![[r#"
rotate svc.api_token["theirs"]: 91d old, max_age 90d, 1d late
create logicmonitor.twin.svc.api_token["fresh"]: does not exist
1 issue logicmonitor.twin.svc.api_token["fresh"] > ops-env#KEY
2 issue svc.api_token["theirs"] overlap > ops-env#KEY after 1 caller-last

"#]]
    );
    let mut plan = world.admitted();
    plan.steps[1].needs.clear();
    assert!(broken(&plan)[0].contains("step 2 does not need step 1 (caller-last)"), "{:?}", broken(&plan));
}
