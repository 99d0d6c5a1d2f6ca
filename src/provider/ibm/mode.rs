//! Steps on `external_api_auth`: lock an instance to IAM, or open it again.
//!
//! One PATCH of the full `parameters` with one value changed. Whether it happened is read from
//! resource controller; whether it took effect, from what the instance accepts (contract ibm 4.3).

use std::time::Duration;

use jiff::Timestamp;

use super::client::{Token, Told};
use super::coverage::{check_covered, covered};
use super::instance::check_writable;
use super::parameters;
use super::site::{Site, malformed, param};
use super::state::{AuthMode, Service};
use super::team_token::dead;
use super::wire::Row;
use crate::http::{HttpError, Sent, Writer};
use crate::model::code::{
    Code, IBM_MODE_UNCONFIRMED, IBM_PARAMETERS_CHANGED, IBM_RESET_UNCONFIRMED, IBM_UNKNOWN_AUTH_MODE,
};
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::Step;
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::provider::steps::{Answer, Check, Context, Failure, Hold, Look, Prepared};

/// Reads the instance and its teams again; before a lock, every team must be covered.
pub async fn prepare(site: &Site<'_>, cx: &Context<'_>) -> Told<Prepared> {
    target(site.step)?;
    let row = site.row().await.map_err(|error| error.finding)?;
    check_writable(&row, &site.instance, site.guid, site.declared.service)?;
    let teams = site.teams().await.map_err(|error| error.finding)?;
    let probe = match site.step.verb {
        Verb::Lock => check_covered(site, cx, &teams).await?,
        _ => None,
    };
    let hold = Hold::Lock {
        probe,
        parameters: row.parameters().map(str::to_owned),
        updated_at: row.updated_at.clone().unwrap_or_default(),
    };
    let facts = Facts {
        setting: Some(target(site.step)?.as_str().to_owned()),
        earlier_setting: Some(earlier_setting(row.parameters())),
        hold_until: hold_until(site.step, cx)?,
        ..Facts::default()
    };
    Ok(Prepared { live: vec![site.expect(&row, &teams)], facts, hold, deferred: None })
}

/// When the hold ends that a break-glass unlock sets: counted from right before the unlock.
fn hold_until(step: &Step, cx: &Context<'_>) -> Told<Option<Timestamp>> {
    let Some(hold) = step.params.get("hold") else { return Ok(None) };
    let period: Period = hold.parse().map_err(|_| malformed(step, format!("`hold` is `{hold}`")))?;
    Ok(Some(period.after(cx.env.clock.now())))
}

/// The mode that the step sets: the draft's parameter must agree with the verb.
fn target(step: &Step) -> Told<AuthMode> {
    match (step.verb, param(step, "setting")?) {
        (Verb::Lock, "IAM_ONLY") => Ok(AuthMode::IamOnly),
        (Verb::Unlock, "ANY") => Ok(AuthMode::Any),
        (verb, setting) => Err(malformed(step, format!("`{verb}` with setting `{setting}`"))),
    }
}

/// Sends the PATCH, once.
pub async fn set(
    writer: &Writer,
    site: &Site<'_>,
    cx: &Context<'_>,
    prepared: &Prepared,
) -> Result<(), Failure> {
    let refused = |finding: Box<Finding>| Failure::Refused(*finding);
    let target = target(site.step).map_err(refused)?;
    let before = parameters_before(site, prepared).map_err(refused)?;
    let Some(body) = parameters::with_setting(before, target.as_str()) else {
        return Err(refused(no_object(site)));
    };
    send(writer, site, cx, &body).await
}

/// Puts the earlier setting back after a lock whose effect could not be proved. Only for Workload
/// Protection, where `external_api_auth` is undocumented (contract ibm 4.4); `false`: nothing to do.
/// `facts` are those of the `Began` record: after a crash they are all that is known of before.
pub async fn restore(
    writer: &Writer,
    site: &Site<'_>,
    cx: &Context<'_>,
    prepared: &Prepared,
    facts: &Facts,
) -> Result<bool, Failure> {
    if site.declared.service != Service::WorkloadProtection || site.step.verb != Verb::Lock {
        return Ok(false);
    }
    let refused = |finding: Box<Finding>| Failure::Refused(*finding);
    let body = match &prepared.hold {
        Hold::Lock { parameters, .. } => {
            let before = parameters.as_deref();
            parameters::with_setting(before, &earlier_setting(before))
        }
        Hold::Nothing | Hold::OldValue(_) => {
            let earlier = journaled_setting(site, facts).map_err(refused)?;
            let row = site.row().await.map_err(|error| refused(error.finding))?;
            still_ours(site, &row).map_err(refused)?;
            parameters::with_setting(row.parameters(), earlier)
        }
    };
    let body = body.ok_or_else(|| refused(no_object(site)))?;
    send(writer, site, cx, &body).await.map(|()| true)
}

/// What the journal says of the setting before the step.
fn journaled_setting<'f>(site: &Site<'_>, facts: &'f Facts) -> Told<&'f str> {
    facts.earlier_setting.as_deref().ok_or_else(|| unconfirmed(site, "the earlier setting is not known"))
}

/// What somebody else has set since is not written over.
fn still_ours(site: &Site<'_>, row: &Row) -> Told<()> {
    let (is, ours) = (parameters::setting(row.parameters()), target(site.step)?);
    match is.as_deref() == Some(ours.as_str()) && !row.busy() {
        true => Ok(()),
        false => Err(unconfirmed(site, "somebody else changes the instance")),
    }
}

/// A missing setting is said outright: leaving it out may leave it as it is (contract ibm 2.5).
fn earlier_setting(before: Option<&str>) -> String {
    parameters::setting(before).unwrap_or_else(|| AuthMode::Any.as_str().to_owned())
}

/// Do the earlier parameters read back after [`restore`]?
pub async fn restored(site: &Site<'_>, prepared: &Prepared, facts: &Facts) -> Check {
    let known = match &prepared.hold {
        Hold::Lock { parameters, .. } => Ok((earlier_setting(parameters.as_deref()), parameters.as_deref())),
        // of the other parameters nothing is known after a crash, and they were sent as they were read
        Hold::Nothing | Hold::OldValue(_) => {
            journaled_setting(site, facts).map(|earlier| (earlier.to_owned(), None))
        }
    };
    let (earlier, before) = match known {
        Ok(known) => known,
        Err(finding) => return Check::Never(*finding),
    };
    let row = match site.row().await {
        Ok(row) => row,
        Err(error) => return Check::NotYet(*error.finding),
    };
    let setting = parameters::setting(row.parameters());
    if row.busy() || setting.as_deref() != Some(earlier.as_str()) {
        let is = setting.as_deref().unwrap_or("missing");
        return Check::NotYet(*unconfirmed(site, &format!("`external_api_auth` is {is} still")));
    }
    match parameters::changes(before, row.parameters()) {
        changes if changes.is_empty() => Check::Holds(Facts::default()),
        changes => {
            let told = format!("other parameters moved: {}", changes.join(", "));
            Check::Never(Finding::new(IBM_PARAMETERS_CHANGED, told).at(&site.instance))
        }
    }
}

fn parameters_before<'p>(site: &Site<'_>, prepared: &'p Prepared) -> Told<Option<&'p str>> {
    match &prepared.hold {
        Hold::Lock { parameters, .. } => Ok(parameters.as_deref()),
        Hold::Nothing | Hold::OldValue(_) => {
            let told = "the instance's parameters were not read right before the change";
            Err(Box::new(Finding::new(IBM_MODE_UNCONFIRMED, told).at(&site.instance)))
        }
    }
}

fn no_object(site: &Site<'_>) -> Box<Finding> {
    let told = "the instance's `parameters` are no JSON object, so they can't be sent back";
    Box::new(Finding::new(IBM_UNKNOWN_AUTH_MODE, told).at(&site.instance))
}

async fn send(writer: &Writer, site: &Site<'_>, cx: &Context<'_>, parameters: &str) -> Result<(), Failure> {
    let transaction = cx.env.dice.uuid();
    let sent = site.account.patch(writer, &site.instance, site.guid, parameters, transaction).await;
    match sent {
        Ok(()) => Ok(()),
        Err(error) => judge_patch(error).map_or(Ok(()), Err),
    }
}

/// What a failed PATCH means (contract ibm 2.8). A broker's failure, even one wrapped in a 400, says
/// nothing of whether it was done. `None`: it was taken, though the reply could not be read.
fn judge_patch(error: HttpError) -> Option<Failure> {
    let broker = is_from_broker(&error);
    let wait = error.retry_after.unwrap_or(Duration::from_secs(1)).max(Duration::from_secs(1));
    let finding = *error.finding;
    match (error.sent, error.status) {
        (Sent::No, _) => Some(Failure::Refused(finding)),
        (_, Some(200..=299)) => None,
        (_, Some(429)) => Some(Failure::Throttled(finding, wait)),
        (_, Some(400)) if broker => Some(Failure::Doubt(finding)),
        (_, Some(408)) => Some(Failure::Doubt(finding)),
        (_, Some(400..=499)) => Some(Failure::Refused(finding)),
        _ => Some(Failure::Doubt(finding)),
    }
}

/// By the code, by the words, or because a Sysdig body (the only one with a `reason`) was inside.
fn is_from_broker(error: &HttpError) -> bool {
    let says = |text: &Option<String>, word: &str| text.as_deref().is_some_and(|text| text.contains(word));
    error.reason.is_some()
        || says(&error.code, "Broker")
        || says(&error.message, "broker")
        || says(&error.message, "[50")
}

/// Has the PATCH happened?
pub async fn look(site: &Site<'_>, prepared: &Prepared, began: &Facts) -> Look {
    let target = match target(site.step) {
        Ok(target) => target,
        Err(finding) => return Look::CannotTell(*finding),
    };
    let row = match site.row().await {
        Ok(row) => row,
        Err(error) => return Look::CannotTell(*error.finding),
    };
    let before = match &prepared.hold {
        Hold::Lock { parameters, updated_at, .. } => {
            Some(Before { parameters: parameters.as_deref(), updated_at })
        }
        Hold::Nothing | Hold::OldValue(_) => None,
    };
    match judge(&row, target, before.as_ref()) {
        Seen::Done => {
            let facts = Facts { setting: Some(target.as_str().to_owned()), ..began.clone() };
            Look::Happened(Answer { facts, value: None })
        }
        Seen::NotDone => Look::NotHappened,
        Seen::Unclear(code, told) => Look::CannotTell(Finding::new(code, told).at(&site.instance)),
    }
}

/// The instance right before the PATCH; unknown after a crash.
struct Before<'a> {
    parameters: Option<&'a str>,
    updated_at: &'a str,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Done,
    NotDone,
    Unclear(Code, String),
}

/// Contract ibm 2.7. Without `before`, the setting alone tells: it was another one when the step began.
fn judge(row: &Row, target: AuthMode, before: Option<&Before<'_>>) -> Seen {
    let moved = before.is_none_or(|before| is_later(before.updated_at, row.updated_at.as_deref()));
    if row.busy() {
        let told = "an operation on the instance is still in progress";
        return Seen::Unclear(IBM_MODE_UNCONFIRMED, told.to_owned());
    }
    if !moved {
        return Seen::NotDone;
    }
    let op = row.last_operation.clone().unwrap_or_default();
    let kind = op.kind.as_deref().unwrap_or("update");
    if kind == "update" && op.state.as_deref() == Some("failed") {
        let why = [op.description, op.reason_code].into_iter().flatten().collect::<Vec<_>>().join("; ");
        return Seen::Unclear(IBM_MODE_UNCONFIRMED, format!("the vendor says that the update failed: {why}"));
    }
    let setting = parameters::setting(row.parameters());
    let reads_back = setting.as_deref() == Some(target.as_str());
    match (reads_back, before) {
        (false, None) => return Seen::NotDone,
        (false, Some(_)) => {
            let is = setting.as_deref().unwrap_or("missing");
            let told = format!("the instance was changed, but `external_api_auth` is {is}: another writer?");
            return Seen::Unclear(IBM_MODE_UNCONFIRMED, told);
        }
        (true, _) if row.state.as_deref() != Some("active") => return Seen::NotDone,
        (true, _) if kind != "update" => {
            let told = format!("the last operation on the instance is `{kind}`, which is not ours");
            return Seen::Unclear(IBM_MODE_UNCONFIRMED, told);
        }
        (true, _) => {}
    }
    match before.map(|before| parameters::changes(before.parameters, row.parameters())).unwrap_or_default() {
        changes if changes.is_empty() => Seen::Done,
        changes => Seen::Unclear(
            IBM_PARAMETERS_CHANGED,
            format!("`external_api_auth` is set, but other parameters moved: {}", changes.join(", ")),
        ),
    }
}

/// Whether an instance's `updated_at` is later than before; texts that are no instants must differ.
fn is_later(before: &str, now: Option<&str>) -> bool {
    let now = now.unwrap_or_default();
    match (before.parse::<Timestamp>(), now.parse::<Timestamp>()) {
        (Ok(before), Ok(now)) => now > before,
        _ => now != before,
    }
}

/// Does the instance behave as set? After a lock: IAM can't read tokens while it can do the rest, and
/// a token that worked is refused. After an unlock: tokens can be read.
pub async fn confirm(site: &Site<'_>, cx: &Context<'_>, prepared: &Prepared, answer: &Answer) -> Check {
    let proved = match site.step.verb {
        Verb::Lock => locked(site, cx, prepared).await,
        _ => unlocked(site).await,
    };
    match proved {
        Ok(()) => Check::Holds(answer.facts.clone()),
        Err(finding) => Check::NotYet(*finding),
    }
}

async fn locked(site: &Site<'_>, cx: &Context<'_>, prepared: &Prepared) -> Told<()> {
    let api = site.api();
    let team = covered(cx, site.step).keys().next().copied();
    if let Token::Key(_) = api.token(team, None).await? {
        return Err(unconfirmed(site, "tokens can still be read"));
    }
    // Refused as well: it is a permission that is missing, not the lock that works.
    api.me(None).await.map_err(|error| error.finding)?;
    if let Hold::Lock { probe: Some(probe), .. } = &prepared.hold {
        dead(&api, probe).await.map_err(|finding| match finding.code {
            IBM_RESET_UNCONFIRMED => unconfirmed(site, "API tokens are still accepted"),
            _ => Box::new(finding),
        })?;
    }
    Ok(())
}

async fn unlocked(site: &Site<'_>) -> Told<()> {
    let teams = site.teams().await.map_err(|error| error.finding)?;
    match site.api().token(teams.first().map(|team| team.id), None).await? {
        Token::Key(_) => Ok(()),
        Token::Refused(_) => Err(unconfirmed(site, "tokens can't be read yet")),
    }
}

fn unconfirmed(site: &Site<'_>, told: &str) -> Box<Finding> {
    Box::new(Finding::new(IBM_MODE_UNCONFIRMED, told).at(&site.instance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::code::HTTP_CALL;

    const BEFORE: Before<'_> = Before {
        parameters: Some(r#"{"default_receiver":false,"external_api_auth":"ANY"}"#),
        updated_at: "2026-11-01T10:00:00.1Z",
    };

    fn seen(parameters: &str, operation: &str, updated_at: &str, before: Option<&Before<'_>>) -> Seen {
        let json = format!(
            r#"{{"state":"active","parameters":{parameters},"last_operation":{operation},"updated_at":"{updated_at}"}}"#
        );
        judge(&serde_json::from_str(&json).unwrap(), AuthMode::IamOnly, before)
    }

    const LOCKED: &str = r#"{"default_receiver":false,"external_api_auth":"IAM_ONLY"}"#;
    const DONE: &str = r#"{"type":"update","state":"succeeded"}"#;
    const LATER: &str = "2026-11-01T10:00:01Z";

    fn is_unclear(seen: &Seen, words: &str) -> bool {
        matches!(seen, Seen::Unclear(_, told) if told.contains(words))
    }

    #[test]
    fn an_update_is_done_when_it_ended_moved_and_reads_back() {
        assert_eq!(seen(LOCKED, DONE, LATER, Some(&BEFORE)), Seen::Done);
        assert_eq!(seen(LOCKED, DONE, BEFORE.updated_at, Some(&BEFORE)), Seen::NotDone);
        let busy = r#"{"type":"update","state":"in progress"}"#;
        assert!(is_unclear(&seen(LOCKED, busy, LATER, Some(&BEFORE)), "still in progress"));
        assert!(is_unclear(&seen(LOCKED, busy, BEFORE.updated_at, None), "still in progress"));
    }

    #[test]
    fn after_a_crash_the_setting_alone_tells() {
        assert_eq!(seen(LOCKED, DONE, LATER, None), Seen::Done);
        assert_eq!(seen(r#"{"external_api_auth":"ANY"}"#, DONE, LATER, None), Seen::NotDone);
    }

    #[test]
    fn what_is_not_ours_is_never_taken_for_done() {
        let failed = r#"{"type":"update","state":"failed","description":"no quota","reason_code":"Q1"}"#;
        assert!(is_unclear(&seen(LOCKED, failed, LATER, Some(&BEFORE)), "no quota; Q1"));
        assert!(is_unclear(&seen(r#"{"a":1}"#, DONE, LATER, Some(&BEFORE)), "missing"));
        let lock = r#"{"type":"lock","state":"succeeded"}"#;
        assert!(is_unclear(&seen(LOCKED, lock, LATER, Some(&BEFORE)), "`lock`"));
        let vanished = r#"{"external_api_auth":"IAM_ONLY"}"#;
        assert!(is_unclear(
            &seen(vanished, DONE, LATER, Some(&BEFORE)),
            "`default_receiver` has vanished (it was false)"
        ));
    }

    #[test]
    fn instants_are_compared_as_instants() {
        assert!(is_later("2026-11-01T10:00:00.9Z", Some("2026-11-01T10:00:00.95Z")));
        assert!(!is_later("2026-11-01T10:00:00.10Z", Some("2026-11-01T10:00:00.1Z")));
        assert!(is_later("", Some("2026-11-01T10:00:00Z")) && !is_later("", None));
    }

    fn judged(status: Option<u16>, code: Option<&str>, message: Option<&str>) -> &'static str {
        verdict(HttpError { reason: None, ..error(status, code, message) })
    }

    fn error(status: Option<u16>, code: Option<&str>, message: Option<&str>) -> HttpError {
        HttpError {
            sent: if status.is_some() { Sent::Yes } else { Sent::Maybe },
            status,
            code: code.map(str::to_owned),
            message: message.map(str::to_owned),
            reason: Some("Exception".into()),
            retry_after: None,
            finding: Box::new(Finding::new(HTTP_CALL, "x")),
        }
    }

    fn verdict(error: HttpError) -> &'static str {
        match judge_patch(error) {
            None => "taken",
            Some(Failure::Refused(_)) => "refused",
            Some(Failure::Throttled(..)) => "throttled",
            Some(Failure::Doubt(_)) => "doubt",
        }
    }

    #[test]
    fn a_broker_failure_is_doubt_and_a_plain_no_is_a_refusal() {
        assert_eq!(judged(Some(422), None, Some("instance is locked")), "refused");
        assert_eq!(judged(Some(400), None, Some("bad body")), "refused");
        assert_eq!(judged(Some(400), Some("RC-ServiceBrokerErrorResponse"), None), "doubt");
        assert_eq!(judged(Some(400), None, Some("[500, Internal Server Error] x")), "doubt");
        // The client unwraps the body that a broker quotes: its `reason` is what is left of it.
        assert_eq!(verdict(error(Some(400), None, Some("Cannot update"))), "doubt");
        assert_eq!(verdict(error(Some(422), None, Some("Cannot update"))), "refused");
        for status in [502, 500, 503] {
            assert_eq!(judged(Some(status), None, None), "doubt");
        }
        assert_eq!(judged(None, None, None), "doubt");
        assert_eq!(judged(Some(429), None, None), "throttled");
        assert_eq!(judged(Some(202), None, None), "taken");
    }
}
