//! The sandbox's own reset call. IBM publishes none: without `token_reset` in the world there is
//! none here either (contract ibm 5.4).

use jiff::Timestamp;
use serde_json::json;

use super::behaviour::TokenReset;
use super::sysdig::{Session, denied, error, open, sees};
use crate::sandbox::mint::Mint;
use crate::sandbox::wire::{Call, Effect, Reply};
use crate::sandbox::world::World;

/// What a path says besides being the reset call's.
#[derive(Default, PartialEq, Debug)]
struct Names {
    team: Option<String>,
    username: Option<String>,
}

/// Answers a request to the reset path of any connection; `None` for every other path.
pub fn answer(world: &mut World, call: &Call, now: Timestamp) -> Option<Reply> {
    // `GET` only reads, whatever call shares its path.
    if call.method == "GET" {
        return None;
    }
    let segments = call.segments("");
    let known = world.ibm.values().filter_map(|account| account.token_reset.as_ref());
    if !known.clone().any(|reset| names(reset, &segments).is_some()) {
        return None;
    }
    let session = match open(world, call, now) {
        Ok(session) => session,
        Err(refusal) => return Some(refusal),
    };
    // A connection without `token_reset` has no such call, whatever the path of its neighbour.
    let reset = session.place.account(world)?.token_reset.clone()?;
    let names = names(&reset, &segments)?;
    if !reset.method.eq_ignore_ascii_case(&call.method) {
        return Some(error(405, "Method not allowed", "The reset call has another method"));
    }
    let mut reply = perform(world, &session, &reset, &names, now);
    session.sign(world, &mut reply);
    Some(reply)
}

/// Whether a path fits the template, and what stands in its holes.
fn names(reset: &TokenReset, segments: &[String]) -> Option<Names> {
    let template: Vec<&str> = reset.path.split('/').filter(|part| !part.is_empty()).collect();
    if template.len() != segments.len() {
        return None;
    }
    let mut names = Names::default();
    for (part, segment) in template.into_iter().zip(segments) {
        match part {
            "{team_id}" => names.team = Some(segment.clone()),
            "{username}" => names.username = Some(segment.clone()),
            literal if literal == segment => {}
            _ => return None,
        }
    }
    Some(names)
}

fn perform(world: &mut World, session: &Session, reset: &TokenReset, names: &Names, now: Timestamp) -> Reply {
    let Some((account, instance)) = session.place.account(world).zip(session.place.instance(world)) else {
        return denied(403);
    };
    let locked = instance.refuses_tokens(now) && !account.sysdig.reset_while_locked;
    if session.jti.is_none() || locked {
        return denied(account.sysdig.refusal);
    }
    let id = match &names.team {
        Some(text) => text.parse().unwrap_or(0),
        None => session.team,
    };
    let username = names.username.as_ref().unwrap_or(&session.username).clone();
    let Some((_, team)) = instance.team(id) else { return error(404, "Not found", "team") };
    let own = username == session.username;
    if !sees(account, team, &username) || (!own && !session.admin) {
        return denied(403);
    }
    let identity = account.username().to_owned();
    let whom = if reset.whole_team { None } else { Some(username.as_str()) };
    let mut mint = world.mint.clone();
    let key = new_keys(world, session, id, &identity, whom, &mut mint, &username);
    world.mint = mint;
    let mut reply = match (reset.shows_key, key) {
        (true, Some(key)) => Reply::json(200, &json!({ "token": { "key": key } })),
        _ => Reply::empty(204),
    };
    reply.about.team = Some(id);
    reply.effect(Effect::Reset)
}

/// Mints new keys for one member, or for all of them; gives back that of `username`.
fn new_keys(
    world: &mut World,
    session: &Session,
    id: u64,
    identity: &str,
    whom: Option<&str>,
    mint: &mut Mint,
    username: &str,
) -> Option<String> {
    let team = session.place.instance_mut(world)?.team_mut(id)?;
    let hit = |name: &str| whom.is_none_or(|whom| whom == name);
    if hit(identity) {
        team.key = Some(mint.sysdig_key());
    }
    for (_, key) in team.members.iter_mut().filter(|(name, _)| hit(name)) {
        *key = Some(mint.sysdig_key());
    }
    let of_identity = (username == identity).then(|| team.key.clone());
    of_identity.unwrap_or_else(|| team.members.get(username).cloned().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fit_whole_paths() {
        let path = "/api/token/{username}/{team_id}/reset".to_owned();
        let reset = TokenReset { path, ..TokenReset::default() };
        let split = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let found = names(&reset, &split("api/token/a@b/7/reset")).unwrap();
        assert_eq!(found, Names { team: Some("7".into()), username: Some("a@b".into()) });
        assert!(names(&reset, &split("api/token/a@b/7")).is_none());
        assert!(names(&reset, &split("api/token/a@b/7/rese")).is_none());
    }
}
