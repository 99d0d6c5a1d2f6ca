//! Issuing a token: create it marked, refuse an unusable answer, try the value, find it by its marker.

use super::note::{self, Marker};
use super::retire;
use super::state::{ENABLED, LiveToken, TokenKind};
use super::steps::{Task, failure, refuse};
use super::wire::{NewToken, instant};
use crate::http::{Auth, Reader, Writer};
use crate::model::code::{LM_NOT_PROVED, LM_UNUSABLE_ANSWER, SEAL_MALFORMED};
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::Shape;
use crate::provider::steps::{Answer, Check, Failure, Look, NewValue};

/// What a bearer token begins with (contract logicmonitor 3).
const BEARER_PREFIX: &str = "lmb_";

pub async fn mutate(writer: &Writer, task: &Task<'_>, facts: &Facts) -> Result<Answer, Failure> {
    let nonce = nonce(task, facts).map_err(refuse)?;
    let predecessor = task.predecessor().map_err(refuse)?;
    let client = task.client(writer.reader());
    let text = note::issued(task.name, nonce, predecessor);
    let created = client.create(writer, &task.step.address, task.user, task.kind, &text).await;
    let created = created.map_err(|error| refused(failure(error), task))?.unwrap_or_default();
    let id = created.id;
    match usable(created, task) {
        Ok(new) => Ok(answer(new, task, nonce, predecessor)),
        Err(why) => Err(take_back(writer, task, id, why).await),
    }
}

fn nonce<'f>(task: &Task<'_>, facts: &'f Facts) -> Result<&'f str, Box<Finding>> {
    let nonce = facts.nonce.as_deref();
    nonce.ok_or_else(|| task.finding(SEAL_MALFORMED, "the step was begun without a nonce").into())
}

/// A created token whose answer has all that is needed.
struct Usable {
    id: u64,
    value: NewValue,
    status: Option<i64>,
    created_on: Option<i64>,
}

/// Why an answer can't be used (contract logicmonitor 4.3, 5.1).
fn usable(created: NewToken, task: &Task<'_>) -> Result<Usable, &'static str> {
    let NewToken { id, access_id, access_key, status, created_on, kind } = created;
    let id = id.ok_or("it has no id")?;
    let secret = access_key.filter(|key| !key.is_empty()).ok_or("it has no key")?;
    if secret.looks_masked() {
        return Err("its key is masked");
    }
    let says_bearer = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let is_bearer = secret.starts_with(BEARER_PREFIX) || says_bearer;
    let access_id = access_id.filter(|id| !id.is_empty());
    let value = match task.kind {
        TokenKind::ApiToken if is_bearer => {
            return Err("it is a bearer token and an API token was asked for");
        }
        TokenKind::ApiToken if access_id.is_none() => return Err("it has no access id"),
        TokenKind::ApiToken => NewValue { secret, id: access_id },
        TokenKind::BearerToken if is_bearer => NewValue { secret, id: None },
        TokenKind::BearerToken => return Err("it is an API token and a bearer token was asked for"),
    };
    Ok(Usable { id, value, status, created_on })
}

fn answer(new: Usable, task: &Task<'_>, nonce: &str, predecessor: Option<u64>) -> Answer {
    let cx = task.cx;
    let facts = Facts {
        fingerprint: Some(cx.key.fingerprint(&new.value.secret)),
        remote_id: Some(new.id),
        access_id: new.value.id.clone(),
        predecessor,
        nonce: Some(nonce.to_owned()),
        enabled: new.status.map(|status| status == ENABLED).or(Some(true)),
        issued_at: Some(new.created_on.and_then(instant).unwrap_or_else(|| cx.env.clock.now())),
        ..Facts::default()
    };
    Answer { facts, value: Some(new.value) }
}

/// Deletes a token that was created and can't be used. If that fails too, the marker finds it later.
async fn take_back(writer: &Writer, task: &Task<'_>, id: Option<u64>, why: &str) -> Failure {
    let unusable = |more: &str| {
        task.finding(
            LM_UNUSABLE_ANSWER,
            format!("the portal's answer to the create can't be used: {why}{more}"),
        )
    };
    let Some(id) = id else {
        return Failure::Doubt(unusable(""));
    };
    match retire::delete(writer, task, id).await {
        Ok(_) => Failure::Refused(unusable(&format!("; token {id} was deleted again"))),
        Err(Failure::Refused(f) | Failure::Throttled(f, _) | Failure::Doubt(f)) => {
            Failure::Doubt(unusable(&format!("; token {id} could not be deleted again: {}", f.message)))
        }
    }
}

/// Says what a refusal of a bearer token may mean (contract logicmonitor 5.2). Nothing is chosen for
/// whoever reads it: each way out is a line of the spec.
fn refused(failure: Failure, task: &Task<'_>) -> Failure {
    match failure {
        Failure::Refused(finding)
            if task.kind == TokenKind::BearerToken && finding.code != crate::model::code::CREDENTIAL =>
        {
            let max_age = task.max_age().map_or(String::new(), |age| format!("max_age: {age}, "));
            let help = match task.step.shape {
                _ if task.step.params.contains_key("second_owner") => {
                    "The user may hold a bearer token already, or may not hold any: look in the portal, or name \
                     another `second_owner` with the same roles."
                        .to_owned()
                }
                Some(Shape::Overlap) => format!(
                    "If the portal allows one bearer token for each user, there are two ways for {}: `second_owner: \
                     USER` beside `rotate` names another user with the same roles, and both hold the token in turn; \
                     `rotate: {{ {max_age}strategy: replace }}` deletes the old token first and accepts the outage. If \
                     bearer tokens are not available on this portal, use an API token.",
                    task.step.address
                ),
                _ => "Bearer tokens may not be available on this portal, or its user may have one at a time."
                    .to_owned(),
            };
            Failure::Refused(finding.help(help))
        }
        other => other,
    }
}

/// The token with the nonce. Its value is lost: it was shown in the answer that never came.
pub fn look(tokens: &[LiveToken], task: &Task<'_>, facts: &Facts) -> Result<Look, Box<Finding>> {
    let wanted = nonce(task, facts)?;
    let marked = |token: &&LiveToken| token.marker().nonce == Some(wanted);
    let hits: Vec<_> = tokens.iter().filter(marked).collect();
    match hits.as_slice() {
        [] => Ok(Look::NotHappened),
        [token] => Ok(Look::Happened(Answer { facts: seen(token), value: None })),
        several => {
            let ids: Vec<_> = several.iter().map(|token| token.id.to_string()).collect();
            let message = format!("tokens {} carry the marker of one create", ids.join(", "));
            Err(task
                .finding(LM_NOT_PROVED, message)
                .help("Someone copied a note; correct it in the portal.")
                .into())
        }
    }
}

/// What a list shows of a token that we issued.
fn seen(token: &LiveToken) -> Facts {
    let Marker { nonce, predecessor, .. } = token.marker();
    Facts {
        remote_id: Some(token.id),
        access_id: token.access_id.clone(),
        predecessor,
        nonce: nonce.map(str::to_owned),
        enabled: Some(token.enabled()),
        issued_at: token.created_on,
        ..Facts::default()
    }
}

pub async fn ready(reader: &Reader, task: &Task<'_>, answer: &Answer) -> Check {
    let Some(value) = &answer.value else {
        return Check::Never(task.finding(LM_NOT_PROVED, "the new token's value is lost"));
    };
    let auth = match (&value.id, task.kind) {
        (Some(access_id), TokenKind::ApiToken) => Auth::Signed { access_id, access_key: &value.secret },
        _ => Auth::Value(&value.secret),
    };
    let client = task.client(reader);
    match client.probe(&task.step.address, task.user, auth).await {
        Ok(()) => Check::Holds(Facts::default()),
        // Who may do too little was let in first.
        Err(error) if error.effective_status() == Some(403) => Check::Holds(Facts::default()),
        Err(error) => Check::NotYet(*error.finding),
    }
}

pub fn confirm(tokens: &[LiveToken], task: &Task<'_>, answer: &Answer) -> Check {
    let Some(id) = answer.facts.remote_id else {
        return Check::Never(task.finding(LM_NOT_PROVED, "the new token's id is not known"));
    };
    let token = match super::steps::one(tokens, id, task) {
        Ok(Some(token)) => token,
        Ok(None) => return Check::NotYet(task.not_shown()),
        Err(finding) => return Check::Never(*finding),
    };
    let facts = seen(token);
    if facts.nonce != answer.facts.nonce {
        return Check::Never(task.finding(LM_NOT_PROVED, format!("token {id} does not carry our marker")));
    }
    if !token.enabled() {
        return Check::Never(task.finding(LM_NOT_PROVED, format!("the new token {id} is disabled")));
    }
    Check::Holds(facts)
}
