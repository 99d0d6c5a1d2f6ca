//! The Sysdig API of the instances: teams, tokens, who am I (contract ibm 3, 4, 5).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::estate::{Account, Instance, Team};
use super::{Desk, Place, find, iam};
use crate::sandbox::wire::{Call, Reply};
use crate::sandbox::world::World;

/// Who asks, of which instance, in which team.
pub struct Session {
    pub connection: String,
    pub(super) place: Place,
    pub username: String,
    pub admin: bool,
    pub team: u64,
    /// The IAM token's id; `None` for an API token, which is bound to its team.
    pub jti: Option<String>,
}

/// Answers a request below `/api`.
pub fn answer(world: &World, desk: &mut Desk, call: &Call, now: Timestamp) -> Reply {
    let session = match open(world, call, now) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    let mut reply = route(world, desk, &session, call, now);
    session.sign(world, &mut reply);
    reply
}

fn route(world: &World, desk: &mut Desk, session: &Session, call: &Call, now: Timestamp) -> Reply {
    let segments = call.segments("/api");
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(instance) = session.place.instance(world) else { return denied(403) };
    if call.method != "GET" {
        return error(405, "Method not allowed", "The sandbox knows no such call");
    }
    match parts.as_slice() {
        ["token"] => own_token(world, desk, session, instance, now),
        ["token", username, team] => token_of(world, session, instance, (username, team), now),
        ["teams"] | ["team"] => teams(world, session, instance, call.param("product")),
        ["teams", id] | ["team", id] => one_team(world, session, instance, id),
        ["team", id, "users"] => members(world, session, instance, id),
        ["v2", "teams", "light", "name", name] => light(session, world, instance, name),
        ["users", "me"] | ["user", "me"] => me(world, session, instance),
        ["users"] => users(world, session, instance),
        _ => error(404, "Not found", "The sandbox knows no such path"),
    }
}

/// The session of a credential, or the vendor's refusal of it.
pub fn open(world: &World, call: &Call, now: Timestamp) -> Result<Session, Reply> {
    let token = call.bearer().ok_or_else(unauthorized)?;
    if iam::is_access_token(token) { by_iam(world, call, token, now) } else { by_token(world, token, now) }
}

fn by_iam(world: &World, call: &Call, token: &str, now: Timestamp) -> Result<Session, Reply> {
    let caller = iam::verify(world, token, now).ok_or_else(unauthorized)?;
    let own = world.ibm.get(&caller.connection).ok_or_else(unauthorized)?;
    let guid = call.header("ibminstanceid").ok_or_else(unauthorized)?;
    let place = find(world, own.id(), guid).ok_or_else(login_page)?;
    let (account, instance) = place.account(world).zip(place.instance(world)).ok_or_else(|| denied(403))?;
    let username = own.username().to_owned();
    let team = match team_header(account, call)? {
        Some(id) => id,
        None => default_team(account, instance, &username).ok_or_else(|| denied(403))?,
    };
    let visible = instance.team(team).is_some_and(|(_, team)| sees(account, team, &username));
    if !visible {
        return Err(denied(403));
    }
    let (connection, admin) = (caller.connection, !own.identity.not_admin);
    Ok(Session { connection, place, username, admin, team, jti: Some(caller.jti) })
}

/// The team that an honoured header names. An ignored header is as good as none.
fn team_header(account: &Account, call: &Call) -> Result<Option<u64>, Reply> {
    let mut sent = account.sysdig.team_headers.iter().filter_map(|name| call.header(name));
    let bad = || error(400, "Bad request", "The team header is not a number");
    sent.next().map(|text| text.trim().parse().map_err(|_| bad())).transpose()
}

fn by_token(world: &World, token: &str, now: Timestamp) -> Result<Session, Reply> {
    for (connection, account) in &world.ibm {
        for (key, instance) in &account.instances {
            let owner =
                instance.teams.values().find_map(|team| Some((team.id?, owner(account, team, token)?)));
            let Some((team, username)) = owner else { continue };
            if instance.refuses_tokens(now) {
                return Err(denied(account.sysdig.refusal));
            }
            let place = Place { connection: connection.clone(), key: key.clone() };
            let (connection, admin) = (connection.clone(), false);
            return Ok(Session { connection, place, username, admin, team, jti: None });
        }
    }
    Err(unauthorized())
}

/// Whose token of the team this is.
fn owner(account: &Account, team: &Team, token: &str) -> Option<String> {
    if team.key.as_deref() == Some(token) {
        return Some(account.username().to_owned());
    }
    let mut members = team.members.iter();
    members.find(|(_, key)| key.as_deref() == Some(token)).map(|(name, _)| name.clone())
}

impl Session {
    /// Puts who asked, and of what, into a reply.
    pub fn sign(&self, world: &World, reply: &mut Reply) {
        reply.about.actor = format!("ibm.{}", self.connection);
        reply.about.instance = self.place.instance(world).map(|instance| instance.guid().to_owned());
        reply.about.team.get_or_insert(self.team);
    }

    fn account<'a>(&self, world: &'a World) -> Option<&'a Account> {
        self.place.account(world)
    }
}

/// Whether a user is a member of a team. The connection's identity is, unless the team is hidden.
pub fn sees(account: &Account, team: &Team, username: &str) -> bool {
    let own = username == account.username() && !team.hidden;
    own || team.members.contains_key(username)
}

/// A user's key in a team.
fn key<'a>(account: &Account, team: &'a Team, username: &str) -> Option<&'a str> {
    let own = (username == account.username() && !team.hidden).then_some(&team.key);
    own.or_else(|| team.members.get(username))?.as_deref()
}

fn default_team(account: &Account, instance: &Instance, username: &str) -> Option<u64> {
    if username == account.username() {
        return instance.default_team();
    }
    instance.teams.values().find(|team| sees(account, team, username)).and_then(|team| team.id)
}

/// `GET /api/token`
fn own_token(
    world: &World,
    desk: &mut Desk,
    session: &Session,
    instance: &Instance,
    now: Timestamp,
) -> Reply {
    let Some(account) = session.account(world) else { return denied(403) };
    if instance.refuses_tokens(now) {
        return denied(account.sysdig.refusal);
    }
    let team = instance.team(session.team);
    let Some(key) = team.and_then(|(_, team)| key(account, team, &session.username)) else {
        return denied(403);
    };
    if let Some(jti) = &session.jti {
        desk.noticed(world, jti, instance.guid(), session.team, now);
    }
    Reply::json(200, &json!({ "token": { "key": key } }))
}

/// `GET /api/token/{username}/{teamId}`: for admins, and for oneself.
fn token_of(
    world: &World,
    session: &Session,
    instance: &Instance,
    who: (&str, &str),
    now: Timestamp,
) -> Reply {
    let Some(account) = session.account(world) else { return denied(403) };
    if instance.refuses_tokens(now) {
        return denied(account.sysdig.refusal);
    }
    if !session.admin && who.0 != session.username {
        return denied(403);
    }
    let team = who.1.parse().ok().and_then(|id| instance.team(id));
    let mut reply = match team.and_then(|(_, team)| key(account, team, who.0)) {
        Some(key) => Reply::json(200, &json!({ "token": { "key": key } })),
        None => not_found("token"),
    };
    reply.about.team = team.and_then(|(_, team)| team.id);
    reply
}

fn teams(world: &World, session: &Session, instance: &Instance, product: Option<&str>) -> Reply {
    let Some(account) = session.account(world) else { return denied(403) };
    let fits = |team: &&Team| product.is_none_or(|product| team.products.iter().any(|own| own == product));
    let seen = instance.teams.iter().filter(|(_, team)| fits(team) && sees(account, team, &session.username));
    let mut rows: Vec<_> = seen.collect();
    rows.sort_by_key(|(_, team)| team.id);
    let rows: Vec<Value> = rows.into_iter().map(|(name, team)| team_body(name, team)).collect();
    Reply::json(200, &json!({ "teams": rows }))
}

fn team_body(name: &str, team: &Team) -> Value {
    json!({
        "id": team.id, "version": 1, "name": name, "description": "", "products": team.products,
        "origin": "SYSDIG", "immutable": team.immutable, "default": team.default, "show": "host",
        "theme": "#7BB0B2", "customerId": 20001, "dateCreated": 1_700_000_000_000_i64,
        "lastUpdated": 1_760_000_000_000_i64,
        "userCount": team.members.len() + usize::from(!team.hidden),
        "defaultTeamRole": "ROLE_TEAM_EDIT", "entryPoint": { "module": "Dashboards" }, "properties": {},
        "namespaceFilters": { "ibmPlatformMetrics": null, "prometheusRemoteWrite": null },
        "canUseSysdigCapture": true, "canUseCustomEvents": true, "canUseAwsMetrics": true,
        "canUseBeaconMetrics": true
    })
}

/// A team that the session's user sees.
fn visible<'a>(
    world: &World,
    session: &Session,
    instance: &'a Instance,
    id: &str,
) -> Option<(&'a str, &'a Team)> {
    let account = session.account(world)?;
    let found = instance.team(id.parse().ok()?)?;
    (session.admin || sees(account, found.1, &session.username)).then_some(found)
}

fn one_team(world: &World, session: &Session, instance: &Instance, id: &str) -> Reply {
    let Some((name, team)) = visible(world, session, instance, id) else { return not_found("team") };
    let mut body = team_body(name, team);
    let roles = usernames(world, session, team).into_iter().enumerate().map(|(at, name)| {
        json!({ "userId": at + 1, "userName": name, "role": "ROLE_TEAM_EDIT", "admin": false, "teamId": team.id })
    });
    body["userRoles"] = roles.collect();
    Reply::json(200, &json!({ "team": body }))
}

fn usernames(world: &World, session: &Session, team: &Team) -> Vec<String> {
    let own = session.account(world).filter(|_| !team.hidden).map(|account| account.username().to_owned());
    own.into_iter().chain(team.members.keys().cloned()).collect()
}

fn members(world: &World, session: &Session, instance: &Instance, id: &str) -> Reply {
    let Some((_, team)) = visible(world, session, instance, id) else { return not_found("team") };
    let names = usernames(world, session, team).into_iter().enumerate();
    let rows: Vec<Value> = names.map(|(at, name)| json!({ "id": at + 1, "username": name })).collect();
    Reply::json(200, &json!({ "offset": 0, "total": rows.len(), "users": rows }))
}

/// `GET /api/v2/teams/light/name/{name}`
fn light(session: &Session, world: &World, instance: &Instance, name: &str) -> Reply {
    let found = instance.teams.get(name).and_then(|team| team.id);
    let seen = found.and_then(|id| visible(world, session, instance, &id.to_string()));
    match seen {
        Some((name, team)) => Reply::json(200, &json!({ "team": { "id": team.id, "name": name } })),
        None => not_found("team"),
    }
}

/// Who am I. Real agent access keys stand in three places (contract ibm 5.6).
fn me(world: &World, session: &Session, instance: &Instance) -> Reply {
    let Some(account) = session.account(world) else { return denied(403) };
    let roles = instance.teams.values().filter(|team| sees(account, team, &session.username));
    let roles: Vec<Value> =
        roles.map(|team| json!({ "teamId": team.id, "teamRole": "ROLE_TEAM_EDIT" })).collect();
    let key = instance.agent_key.as_deref();
    let body = json!({ "user": {
        "id": 1, "username": session.username, "currentTeam": session.team,
        "systemRole": if session.admin { "ROLE_ADMIN" } else { "ROLE_USER" }, "teamRoles": roles,
        "customer": { "id": 20001, "name": "sandbox", "accessKey": key, "externalId": instance.guid() },
        "accessKey": key, "agentInstallParams": { "accessKey": key }, "properties": {},
        "products": [instance.service.product()], "enabled": true
    }});
    Reply::json(200, &body)
}

fn users(world: &World, session: &Session, instance: &Instance) -> Reply {
    if !session.admin {
        return denied(403);
    }
    let all = instance.teams.values().flat_map(|team| usernames(world, session, team));
    let names: std::collections::BTreeSet<String> = all.collect();
    let rows: Vec<Value> =
        names.iter().enumerate().map(|(at, name)| json!({ "id": at + 1, "username": name })).collect();
    Reply::json(200, &json!({ "users": rows }))
}

/// The documented body of a refusal, for missing permissions and for `IAM_ONLY` alike.
pub fn denied(status: u16) -> Reply {
    error(status, "Not enough privileges to complete the action", "Access is denied")
}

/// An expired or unknown token: plain text that begins with `u` (contract ibm 5.8).
pub fn unauthorized() -> Reply {
    Reply::text(401, "unauthorized: the token is not valid")
}

/// A wrong instance leads to a login page (contract ibm 5.8).
fn login_page() -> Reply {
    Reply::empty(302).header("Location", "/sandbox-login")
}

fn not_found(what: &str) -> Reply {
    error(404, "Not found", what)
}

pub fn error(status: u16, reason: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "errors": [{ "reason": reason, "message": message }] }))
}
