//! Who asks: LMv1 signatures and bearer tokens, verified for real (contract logicmonitor 2, 3, 7.2).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::estate::{Access, Kind, Portal, Status, Token, User, UserStatus};
use super::{ROOT, Runtime, audit, failed};
use crate::model::secret::{Secret, hex};
use crate::model::vocabulary::Period;
use crate::sandbox::wire::{Call, Reply};

/// How far a signature's time may be from the server's.
const SKEW: SignedDuration = SignedDuration::from_mins(30);

/// An accepted credential.
pub struct Caller {
    pub portal: String,
    pub username: String,
    pub access: Access,
}

/// Bad signatures by access id, and until when an id is locked.
#[derive(Default)]
pub struct Failures {
    by_id: BTreeMap<String, Failure>,
}

#[derive(Default)]
struct Failure {
    count: u32,
    locked_until: Option<Timestamp>,
}

/// Accepts or refuses a request's credential; an accepted token's last use is noted.
pub fn authenticate(
    portals: &mut BTreeMap<String, Portal>,
    runtimes: &mut BTreeMap<String, Runtime>,
    call: &Call,
    version: u8,
    now: Timestamp,
) -> Result<Caller, Reply> {
    let header = call.header("authorization").unwrap_or_default();
    if let Some(value) = header.strip_prefix("Bearer ") {
        // Version 3 only (contract logicmonitor 1).
        return if version >= 3 { by_bearer(portals, value, call, now) } else { Err(failed(401)) };
    }
    let parts = header.strip_prefix("LMv1 ").and_then(|rest| Some((rest, rest.split_once(':')?)));
    let Some((_, (access_id, rest))) = parts else { return Err(failed(401)) };
    let Some((signature, epoch)) = rest.rsplit_once(':') else { return Err(failed(401)) };
    let claim = Claim { access_id, signature, epoch };
    by_signature(portals, runtimes, &claim, call, now)
}

/// What an `LMv1` header claims.
struct Claim<'a> {
    access_id: &'a str,
    signature: &'a str,
    epoch: &'a str,
}

fn by_signature(
    portals: &mut BTreeMap<String, Portal>,
    runtimes: &mut BTreeMap<String, Runtime>,
    claim: &Claim<'_>,
    call: &Call,
    now: Timestamp,
) -> Result<Caller, Reply> {
    for (name, portal) in portals {
        let failures = &mut runtimes.entry(name.clone()).or_default().failures;
        match check(portal, failures, claim, call, now) {
            Verdict::Unknown => {}
            Verdict::Accepted(username) => return Ok(caller(name, portal, &username)),
            Verdict::Refused => return Err(failed(401)),
            Verdict::Dead => {
                audit::failed_request(portal, claim.access_id, call, now);
                return Err(failed(401));
            }
        }
    }
    Err(failed(401))
}

/// What a portal says to a signature.
enum Verdict {
    /// The access id is none of this portal's.
    Unknown,
    Accepted(String),
    Refused,
    /// Rightly signed or not, the token is disabled, deleted or its user's suspended.
    Dead,
}

fn check(
    portal: &mut Portal,
    failures: &mut Failures,
    claim: &Claim<'_>,
    call: &Call,
    now: Timestamp,
) -> Verdict {
    let grace = portal.new_tokens_work_after;
    let own = |token: &Token| token.access_id.as_deref() == Some(claim.access_id);
    let Some((username, user)) = portal.users.iter_mut().find(|(_, user)| user.api_tokens.iter().any(own))
    else {
        let deleted = portal.deleted_access_ids.contains(claim.access_id);
        return if deleted { Verdict::Dead } else { Verdict::Unknown };
    };
    let (alive, username) = (user.status == UserStatus::Active, username.clone());
    let Some(token) = user.api_tokens.iter_mut().find(|token| own(token)) else { return Verdict::Unknown };
    let failure = failures.by_id.entry(claim.access_id.to_owned()).or_default();
    if failure.locked_until.is_some_and(|until| now < until) {
        return Verdict::Refused;
    }
    if !signature_holds(token, claim, call) || !in_time(claim.epoch, now) {
        failure.count += 1;
        if portal.lock_after > 0 && failure.count >= portal.lock_after {
            *failure = Failure { count: 0, locked_until: Some(portal.lock_for.after(now)) };
            audit::locked(portal, claim.access_id, call, now);
        }
        return Verdict::Refused;
    }
    *failure = Failure::default();
    if !alive || token.status == Status::Disabled {
        return Verdict::Dead;
    }
    if used(token, grace, call, now) { Verdict::Accepted(username) } else { Verdict::Refused }
}

fn by_bearer(
    portals: &mut BTreeMap<String, Portal>,
    value: &str,
    call: &Call,
    now: Timestamp,
) -> Result<Caller, Reply> {
    for (name, portal) in portals {
        let grace = portal.new_tokens_work_after;
        for (username, user) in &mut portal.users {
            let alive = user.status == UserStatus::Active;
            let own = |token: &&mut Token| token.key.as_deref() == Some(value);
            let Some(token) = user.list_mut(Kind::Bearer).iter_mut().find(own) else { continue };
            let good = alive && token.status == Status::Enabled && used(token, grace, call, now);
            let username = username.clone();
            return if good { Ok(caller(name, portal, &username)) } else { Err(failed(401)) };
        }
    }
    Err(failed(401))
}

/// Notes a use of a live token; false while it is too new to be known everywhere.
fn used(token: &mut Token, grace: Period, call: &Call, now: Timestamp) -> bool {
    if token.created_on.is_some_and(|created| now < grace.after(created)) {
        return false;
    }
    token.last_used_on = Some(now);
    token.last_auth_ip.clone_from(&call.ip);
    true
}

fn caller(name: &str, portal: &Portal, username: &str) -> Caller {
    let roles = portal.users.get(username).map_or(&[][..], |user| &user.roles);
    let all = portal.caller.as_deref() == Some(username) || roles.iter().any(|role| role == "administrator");
    let given = roles.iter().filter_map(|role| portal.roles.get(role)).max().copied();
    let access = if all { Access::Manage } else { given.unwrap_or_default() };
    Caller { portal: name.to_owned(), username: username.to_owned(), access }
}

fn signature_holds(token: &Token, claim: &Claim<'_>, call: &Call) -> bool {
    let Some(key) = &token.key else { return false };
    let path = call.path.strip_prefix(ROOT).unwrap_or(&call.path);
    signature(key, &call.method, claim.epoch, &call.body, path) == claim.signature
}

/// `base64(lower-case hex(HMAC-SHA256(key, VERB + epoch + body + path)))`, over the raw bytes
/// received and the decoded path without its query (contract logicmonitor 2.1).
fn signature(key: &str, method: &str, epoch: &str, body: &[u8], path: &str) -> String {
    let key = Secret::new(key.as_bytes().to_vec());
    let message = [method.to_ascii_uppercase().as_bytes(), epoch.as_bytes(), body, path.as_bytes()].concat();
    STANDARD.encode(hex(&key.hmac_sha256(&message)))
}

fn in_time(epoch_ms: &str, now: Timestamp) -> bool {
    let sent = epoch_ms.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    sent.is_some_and(|sent| sent.duration_since(now).abs() <= SKEW)
}

/// Whether a user may own tokens at all (contract logicmonitor 5.4).
pub fn may_own_tokens(username: &str, user: &User) -> bool {
    username != "lmsupport" && !user.roles.iter().any(|role| role == "administrator")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::wire::decode;

    /// Contract logicmonitor 2.5.
    #[test]
    fn the_contracts_vectors_hold() {
        const KEY: &str = "=T(9x]f4$Lq!w7_{eZ}~k2^V[3c+R)8b%yN5hG1u";
        let create = r#"{"note":"rotated by reconciler","status":2}"#;
        let sdk_create = r#"{"note": "rotated by reconciler", "status": 2}"#;
        let rows = [
            (
                "GET",
                "",
                "/setting/admins/apitokens",
                "faab53ad971048d8e3e24dfeb779fc27e49faf2b2ece2fe1916aa5d3b04df664",
            ),
            (
                "POST",
                create,
                "/setting/admins/32/apitokens",
                "adb2c7923a1fbbbb932e5d92b4dcc630e0add14e1baa60a38737db502894beec",
            ),
            (
                "PATCH",
                r#"{"status":1}"#,
                "/setting/admins/32/apitokens/248",
                "e3243e259e646f49fce97291e526318292bb2cd2301fa3b21357f23f1588a211",
            ),
            (
                "DELETE",
                "",
                "/setting/admins/32/apitokens/248",
                "7cb420345fed11523a934dc0817e911a41db5d681df62b00b1922ba0163e0c5d",
            ),
            (
                "PATCH",
                r#"{"note":"Zürich ✓"}"#,
                "/setting/admins/32/apitokens/248",
                "5561694ed63d221849f22e781dff3fb32267ffbd68c92453af47a4ce7486232c",
            ),
            (
                "POST",
                sdk_create,
                "/setting/admins/32/apitokens",
                "f31b3c28f0a4621985ba74bf22d2285f6d2ea446efddcebdab1132ed48382365",
            ),
            (
                "PATCH",
                r#"{"status": 1}"#,
                "/setting/admins/32/apitokens/248",
                "a3a9f2b52b36eba6f117eee77338aa7c31e33989f054aa579365ca74c6909735",
            ),
            (
                "DELETE",
                "{}",
                "/setting/admins/32/apitokens/248",
                "8f362b0bed38f84b1cc9468fface782899d6f12eae14a00fa2967579f8b851f5",
            ),
            (
                "POST",
                "{}",
                "/setting/admins/32/apitokens",
                "e37c009a0f7071de5bd9cb3837d2eac24bdbfd5b22c2ca15548046150697687d",
            ),
            (
                "GET",
                "",
                "/setting/accesslogs/a b/ü",
                "7f8b95fd8e5c585c3ab5049be5a2c94607ca0d5f9e94363ad421e42ca9e9940c",
            ),
        ];
        for (method, body, path, digest) in rows {
            let want = STANDARD.encode(digest);
            assert_eq!(
                signature(KEY, method, "1735689600000", body.as_bytes(), path),
                want,
                "{method} {path}"
            );
        }
        assert_eq!(decode("/setting/accesslogs/a%20b%2F%C3%BC", false), "/setting/accesslogs/a b/ü");
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        method: String,
        target: String,
        signed_path: String,
        body: String,
        epoch_ms: String,
        access_id: String,
        access_key: String,
        authorization: String,
    }

    /// Requests as two real clients signed them, through the same door as any request.
    #[test]
    fn requests_of_real_clients_verify() {
        let text = include_str!("../../../tests/vendor/lmv1_third_party.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        assert_eq!(vectors.len(), 22);
        for vector in vectors {
            let token =
                Token { access_id: Some(vector.access_id), key: Some(vector.access_key), ..Token::default() };
            let user = User { api_tokens: vec![token], ..User::default() };
            let portal = Portal { users: [("stub".to_owned(), user)].into(), ..Portal::default() };
            let mut portals = BTreeMap::from([("stub".to_owned(), portal)]);
            let headers = vec![("Authorization".to_owned(), vector.authorization)];
            let mut call =
                Call::new(&vector.method, &vector.target, headers, vector.body.into_bytes(), String::new());
            assert_eq!(call.path.strip_prefix(ROOT), Some(vector.signed_path.as_str()));
            let now = Timestamp::from_millisecond(vector.epoch_ms.parse().unwrap()).unwrap();
            let mut runtimes = BTreeMap::new();
            assert!(authenticate(&mut portals, &mut runtimes, &call, 3, now).is_ok(), "{}", vector.target);
            call.body.push(b' ');
            assert!(authenticate(&mut portals, &mut runtimes, &call, 3, now).is_err());
        }
    }

    #[test]
    fn half_an_hour_is_the_limit() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let ms = now.as_millisecond();
        assert!(in_time(&(ms + 1_800_000).to_string(), now) && in_time(&(ms - 1_800_000).to_string(), now));
        assert!(!in_time(&(ms + 1_800_001).to_string(), now) && !in_time("x", now) && !in_time("", now));
    }
}
