//! IAM: grants of access tokens, and their verification (contract ibm 1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::estate::Account;
use crate::model::secret::Secret;
use crate::sandbox::mint::MARKER;
use crate::sandbox::wire::{Call, Reply};
use crate::sandbox::world::World;

const GRANT: &str = "urn:ibm:params:oauth:grant-type:";

/// Whom an access token stands for.
pub struct Caller {
    pub connection: String,
    /// One per grant: tells two runs of a tool apart.
    pub jti: String,
}

/// What a token says. Clients decode `iat` and `exp` as numbers (contract clients 2.2).
#[derive(Serialize, Deserialize)]
struct Claims {
    iam_id: String,
    id: String,
    sub: String,
    sub_type: String,
    identifier: String,
    account: ClaimAccount,
    iat: i64,
    exp: i64,
    iss: String,
    grant_type: String,
    scope: String,
    jti: String,
    /// The sandbox's own: the connection it was granted to.
    sandbox_connection: String,
}

#[derive(Serialize, Deserialize)]
struct ClaimAccount {
    bss: String,
}

/// `POST /identity/token`, and the older `/oidc/token`.
pub fn grant(world: &mut World, call: &Call, now: Timestamp) -> Reply {
    if call.method != "POST" {
        return refusal(405, "BXNIM0400E", "Method not allowed");
    }
    let form = call.form();
    let field = |name: &str| {
        let found = form.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let Some(kind) = field("grant_type") else {
        return refusal(400, "BXNIM0106E", "Property missing or empty: grant_type");
    };
    let kind = kind.strip_prefix(GRANT).unwrap_or(kind);
    let found = match (kind, field("apikey"), field("cr_token")) {
        ("apikey", Some(key), _) => by_api_key(world, key),
        ("apikey", None, _) => return refusal(400, "BXNIM0106E", "Property missing or empty: apikey"),
        ("cr-token", _, Some(token)) => {
            by_profile(world, token, field("profile_id").or(field("profile_name")))
        }
        ("refresh_token", ..) => return refusal(400, "BXNIM0408E", "Provided refresh token has expired"),
        _ => return refusal(400, "BXNIM0400E", "The grant type is not supported"),
    };
    match found {
        Some(connection) => granted(world, &connection, kind, now),
        None if kind == "cr-token" => {
            refusal(400, "BXNIM0439E", "Compute resource token or profile not valid")
        }
        None => refusal(400, "BXNIM0415E", "Provided API key could not be found"),
    }
}

fn by_api_key(world: &World, key: &str) -> Option<String> {
    let mut accounts = world.ibm.iter();
    accounts.find(|(_, account)| account.api_key.as_deref() == Some(key)).map(|(name, _)| name.clone())
}

fn by_profile(world: &World, token: &str, profile: Option<&str>) -> Option<String> {
    let fits = |account: &Account| {
        account.iam.trusted_profile.as_ref().is_some_and(|own| {
            own.cr_token.as_deref() == Some(token) && profile.is_some_and(|p| p == own.id || p == own.name)
        })
    };
    world.ibm.iter().find(|(_, account)| fits(account)).map(|(name, _)| name.clone())
}

fn granted(world: &mut World, connection: &str, kind: &str, now: Timestamp) -> Reply {
    let jti = world.mint.uuid();
    let Some(account) = world.ibm.get(connection) else {
        return refusal(500, "BXNIM0500E", "The account is gone");
    };
    let lifetime = account.iam.lifetime.as_secs();
    let (iat, exp) = (now.as_second(), now.as_second().saturating_add_unsigned(lifetime));
    let service_id = account.identity.service_id;
    let iam_id = if service_id { account.username().to_owned() } else { format!("IBMid-{}", &jti[..8]) };
    let claims = Claims {
        id: iam_id.clone(),
        iam_id,
        sub: account.username().to_owned(),
        sub_type: if service_id { "ServiceId" } else { "User" }.to_owned(),
        identifier: account.username().to_owned(),
        account: ClaimAccount { bss: account.id().to_owned() },
        iat,
        exp,
        iss: "https://iam.cloud.ibm.com/identity".to_owned(),
        grant_type: format!("{GRANT}{kind}"),
        scope: "ibm openid".to_owned(),
        jti,
        sandbox_connection: connection.to_owned(),
    };
    let body = json!({
        "access_token": sign(world, connection, &claims), "refresh_token": "not_supported",
        "token_type": "Bearer", "expires_in": lifetime, "expiration": exp, "scope": "ibm openid"
    });
    let mut reply = Reply::json(200, &body).header("Transaction-Id", &claims.jti);
    reply.about.actor = format!("ibm.{connection}");
    reply
}

fn sign(world: &World, connection: &str, claims: &Claims) -> String {
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT","kid":"sandbox"}"#);
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).unwrap_or_default());
    let signed = format!("{head}.{payload}");
    let signature = signature(world, connection, &signed);
    format!("{signed}.{signature}")
}

/// The marker and the HMAC: base64url as a whole, so that clients can decode it.
fn signature(world: &World, connection: &str, signed: &str) -> String {
    let key = Secret::new(format!("sandbox iam {} {connection}", world.mint.seed).into_bytes());
    format!("{MARKER}{}", URL_SAFE_NO_PAD.encode(key.hmac_sha256(signed.as_bytes())))
}

/// Whether a bearer value looks like an access token rather than an API token.
pub fn is_access_token(token: &str) -> bool {
    token.split('.').count() == 3
}

/// The caller of an access token that is genuine and has not expired.
pub fn verify(world: &World, token: &str, now: Timestamp) -> Option<Caller> {
    let (signed, signature_sent) = token.rsplit_once('.')?;
    let (_, payload) = signed.split_once('.')?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let connection = claims.sandbox_connection;
    let genuine = signature(world, &connection, signed) == signature_sent;
    let known = world.ibm.contains_key(&connection);
    (genuine && known && now.as_second() < claims.exp).then_some(Caller { connection, jti: claims.jti })
}

/// An IAM error (contract ibm 1.5).
fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({
        "context": {
            "requestId": "c2FuZGJveA", "requestType": "incoming.Identity_Token",
            "url": "https://iam.cloud.ibm.com", "instanceId": "sandbox", "locale": "en_US"
        },
        "errorCode": code, "errorMessage": message
    });
    Reply::json(status, &body).header("Transaction-Id", "c2FuZGJveA")
}
