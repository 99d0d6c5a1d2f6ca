//! Steps on a team's token: reset it, or deliver it as it is.
//!
//! A reset is judged by reading the key back, never by its reply (contract ibm 5.4).

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::{Api, ResetCall, Told, is_refusal, segment};
use super::header::{Seen, prove};
use super::site::Site;
use super::state::{HeaderProof, LiveTeam, TokenReset};
use crate::http::{HttpError, Sent, Writer};
use crate::model::code::{
    IBM_RESET_PATH, IBM_RESET_UNCONFIRMED, IBM_TEAM_HEADER_UNPROVEN, PLAN_NAME_NOT_FOUND, STALE,
};
use crate::model::finding::Finding;
use crate::model::history::{Facts, Proof};
use crate::model::secret::{Fingerprint, Secret};
use crate::model::step::{Expect, Rule, Shape};
use crate::provider::steps::{Answer, Check, Context, Failure, Hold, Look, NewValue, Prepared};

/// Reads the key that is about to die; after an unlock, proves the team header first.
pub async fn prepare_reset(site: &Site<'_>) -> Told<Prepared> {
    let (old, fingerprint, mut live) = read(site).await?;
    if site.step.needs.iter().any(|need| need.rule == Rule::UnlockBeforeReset) {
        prove_header(site, &fingerprint).await?;
    }
    if site.expects_instance() {
        live.push(instance(site).await?);
    }
    let facts = Facts { old_fingerprint: Some(fingerprint), ..facts(site)? };
    Ok(Prepared { live, facts, hold: Hold::OldValue(old), deferred: None })
}

/// Reads the key that is to be delivered. The value is read again when it is handed over.
pub async fn prepare_deliver(site: &Site<'_>) -> Told<Prepared> {
    let (_, fingerprint, mut live) = read(site).await?;
    if site.expects_instance() {
        live.push(instance(site).await?);
    }
    let facts = Facts { fingerprint: Some(fingerprint), ..facts(site)? };
    Ok(Prepared { live, facts, hold: Hold::Nothing, deferred: None })
}

/// The key, its fingerprint and the digest of the team's token.
async fn read(site: &Site<'_>) -> Told<(Secret, Fingerprint, Vec<Expect>)> {
    let id = site.team()?;
    let key = site.api().key(id, site.owner()).await?;
    let fingerprint = site.key.fingerprint(&key);
    let team = LiveTeam { id, name: String::new(), fingerprint: Some(fingerprint.clone()), user_count: None };
    let digest = team.digest(site.guid, site.key);
    Ok((key, fingerprint, vec![Expect { address: site.step.address.clone(), digest }]))
}

async fn instance(site: &Site<'_>) -> Told<Expect> {
    let row = site.row().await.map_err(|error| error.finding)?;
    let teams = site.teams().await.map_err(|error| error.finding)?;
    Ok(site.expect(&row, &teams))
}

/// What is known of the token before anything has happened.
fn facts(site: &Site<'_>) -> Told<Facts> {
    let identity = Some(site.holder().to_owned());
    Ok(Facts { remote_id: Some(site.team()?), identity, ..Facts::default() })
}

/// While the instance was `IAM_ONLY` no token could be read, so the proof is made here. It compares
/// keys of two visible teams: after an unlock, all of them are in scope.
async fn prove_header(site: &Site<'_>, key: &Fingerprint) -> Told<()> {
    let (api, id) = (site.api(), site.team()?);
    let me = api.me(None).await.map_err(|error| error.finding)?;
    let teams = site.teams().await.map_err(|error| error.finding)?;
    let visible: Vec<u64> = teams.iter().map(|team| team.id).collect();
    if !visible.contains(&id) {
        let told = format!("team {id} is not visible any more");
        return Err(Box::new(Finding::new(PLAN_NAME_NOT_FOUND, told).at(&site.step.address)));
    }
    let mut own = BTreeMap::new();
    if site.owner().is_none() {
        own.insert(id, key.clone());
        if let Some(other) = visible.iter().copied().find(|other| *other != id) {
            own.insert(other, site.key.fingerprint(&api.key(other, None).await?));
        }
    }
    match prove(&api, &Seen { me: &me, visible: &visible, own: &own }).await? {
        HeaderProof::Proven => Ok(()),
        HeaderProof::Unproven(why) => Err(unproven(site, &why)),
        HeaderProof::AfterUnlock => Err(unproven(site, "tokens can't be read yet")),
    }
}

fn unproven(site: &Site<'_>, why: &str) -> Box<Finding> {
    let told = format!("it is not proved that the team header selects the team: {why}");
    Box::new(Finding::new(IBM_TEAM_HEADER_UNPROVEN, told).at(&site.step.address))
}

/// Sends the configured call once, or leaves it to a person. The effect is found by [`look_reset`].
pub async fn reset(writer: &Writer, site: &Site<'_>) -> Result<Option<Answer>, Failure> {
    let TokenReset::Call { method, path, expect } = &site.conn.token_reset else { return Ok(None) };
    let refused = |finding: Box<Finding>| Failure::Refused(*finding);
    let team = site.team().map_err(refused)?;
    let path = filled(site, path, team).map_err(refused)?;
    let call = ResetCall { method, path: &path, team };
    match site.api().reset(writer, &call).await {
        Ok(status) if expect.contains(&status) => Ok(None),
        Ok(status) => Err(Failure::Doubt(unexpected(site, status))),
        Err(error) => judge(error, expect).map_or(Ok(None), Err),
    }
}

/// The path with its placeholders filled in. The client encodes it.
fn filled(site: &Site<'_>, path: &str, team: u64) -> Told<String> {
    if !path.starts_with('/') || path.contains(['?', '#', '%']) {
        let told =
            format!("`token_reset.path` is `{path}`: write it decoded, from its first `/`, without a query");
        return Err(Box::new(Finding::new(IBM_RESET_PATH, told).at(&site.step.address)));
    }
    let path = path.replace("{team_id}", &team.to_string());
    if !path.contains("{username}") {
        return Ok(path);
    }
    Ok(path.replace("{username}", segment(&site.step.address, site.holder())?))
}

fn unexpected(site: &Site<'_>, status: u16) -> Finding {
    let told = format!("the reset was answered with {status}, which `token_reset.expect` does not list");
    Finding::new(IBM_RESET_UNCONFIRMED, told).at(&site.step.address)
}

/// What a failed reset means (contract ibm 5.4). It is never sent again from here. `None`: it was taken.
fn judge(error: HttpError, expect: &[u16]) -> Option<Failure> {
    let wait = error.retry_after.unwrap_or(Duration::from_secs(1)).max(Duration::from_secs(1));
    let finding = *error.finding;
    match (error.sent, error.status) {
        (Sent::No, _) => Some(Failure::Refused(finding)),
        // An answer whose body was not JSON, or a redirect that the user found to be the answer.
        (_, Some(status)) if expect.contains(&status) => None,
        (_, Some(404 | 405)) => {
            let told = Finding { code: IBM_RESET_PATH, ..finding };
            Some(Failure::Refused(told.help(IBM_RESET_PATH.cure())))
        }
        (_, Some(429)) => Some(Failure::Throttled(finding, wait)),
        (_, Some(408)) => Some(Failure::Doubt(finding)),
        (_, Some(400..=499)) => Some(Failure::Refused(finding)),
        _ => Some(Failure::Doubt(finding)),
    }
}

/// Hands over the key as it is, if it is still the one that was prepared.
pub async fn deliver(site: &Site<'_>, prepared: &Prepared) -> Result<Option<Answer>, Failure> {
    let refused = |finding: Box<Finding>| Failure::Refused(*finding);
    let (secret, fingerprint, _) = read(site).await.map_err(refused)?;
    if prepared.facts.fingerprint.as_ref() != Some(&fingerprint) {
        let told = "the key changed between two reads: someone else has reset it";
        return Err(Failure::Refused(Finding::new(STALE, told).at(&site.step.address)));
    }
    let value = Some(NewValue { secret, id: None });
    Ok(Some(Answer { facts: prepared.facts.clone(), value }))
}

/// Has the key changed? The value that is nobody's to have is dropped here.
pub async fn look_reset(site: &Site<'_>, cx: &Context<'_>, began: &Facts) -> Look {
    let Some(old) = &began.old_fingerprint else {
        let told = "the journal does not hold the fingerprint of the earlier key";
        return Look::CannotTell(Finding::new(IBM_RESET_UNCONFIRMED, told).at(&site.step.address));
    };
    let (secret, fingerprint) = match read(site).await {
        Ok((_, fingerprint, _)) if fingerprint == *old => return Look::NotHappened,
        Ok((secret, fingerprint, _)) => (secret, fingerprint),
        Err(finding) => return Look::CannotTell(*finding),
    };
    let facts = Facts {
        fingerprint: Some(fingerprint),
        issued_at: Some(cx.env.clock.now()),
        remote_id: site.team().ok(),
        identity: Some(site.holder().to_owned()),
        ..began.clone()
    };
    let keep = site.step.shape != Some(Shape::Invalidate);
    Look::Happened(Answer { facts, value: keep.then_some(NewValue { secret, id: None }) })
}

/// A delivery has no effect at the vendor: the key as it is now is what is delivered.
pub async fn look_deliver(site: &Site<'_>, began: &Facts) -> Look {
    match read(site).await {
        Ok((secret, fingerprint, _)) => {
            let facts = Facts {
                fingerprint: Some(fingerprint),
                remote_id: site.team().ok(),
                identity: Some(site.holder().to_owned()),
                ..began.clone()
            };
            Look::Happened(Answer { facts, value: Some(NewValue { secret, id: None }) })
        }
        Err(finding) => Look::CannotTell(*finding),
    }
}

/// The old key must be refused. Where a crash lost it, the changed fingerprint is all there is.
pub async fn confirm_reset(site: &Site<'_>, prepared: &Prepared, answer: &Answer) -> Check {
    let proved = |proof| Check::Holds(Facts { proof: Some(proof), ..answer.facts.clone() });
    match &prepared.hold {
        Hold::OldValue(old) => match dead(&site.api(), old).await {
            Ok(()) => proved(Proof::Refused),
            Err(finding) => Check::NotYet(finding),
        },
        Hold::Nothing | Hold::Lock { .. } => proved(Proof::Changed),
    }
}

/// Whether the vendor refuses a key. A failure of the network is no refusal.
pub async fn dead(api: &Api<'_>, key: &Secret) -> Result<(), Finding> {
    match api.try_key(key).await {
        Err(error) if is_refusal(&error) => Ok(()),
        Err(error) => Err(*error.finding),
        Ok(()) => {
            let told = "the earlier token is still accepted";
            Err(Finding::new(IBM_RESET_UNCONFIRMED, told).at(api.object))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::code::HTTP_CALL;

    fn judged(sent: Sent, status: Option<u16>, expect: &[u16]) -> &'static str {
        let finding = Box::new(Finding::new(HTTP_CALL, "x").at(&Address::connection("ibm", "prod")));
        let retry_after = (status == Some(429)).then_some(Duration::ZERO);
        let error = HttpError { sent, status, code: None, message: None, reason: None, retry_after, finding };
        match judge(error, expect) {
            None => "taken",
            Some(Failure::Refused(finding)) if finding.code == IBM_RESET_PATH => "wrong path",
            Some(Failure::Refused(_)) => "refused",
            Some(Failure::Throttled(_, wait)) => {
                assert_eq!(wait, Duration::from_secs(1), "`Retry-After: 0` has a floor");
                "throttled"
            }
            Some(Failure::Doubt(_)) => "doubt",
        }
    }

    #[test]
    fn a_failed_reset_is_refused_only_where_it_surely_was_not_done() {
        assert_eq!(judged(Sent::No, None, &[200]), "refused");
        assert_eq!(judged(Sent::Maybe, None, &[200]), "doubt");
        for status in [404, 405] {
            assert_eq!(judged(Sent::Yes, Some(status), &[200]), "wrong path");
        }
        for status in [400, 401, 403, 409, 422] {
            assert_eq!(judged(Sent::Yes, Some(status), &[200]), "refused", "{status}");
        }
        for status in [302, 408, 500, 502, 503, 200] {
            assert_eq!(judged(Sent::Yes, Some(status), &[204]), "doubt", "{status}");
        }
        assert_eq!(judged(Sent::Yes, Some(429), &[200]), "throttled");
        // 200 with a body that is no JSON, and a redirect that the user expects.
        assert_eq!(judged(Sent::Yes, Some(200), &[200]), "taken");
        assert_eq!(judged(Sent::Yes, Some(302), &[302]), "taken");
    }
}
