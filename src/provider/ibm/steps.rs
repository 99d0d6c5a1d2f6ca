//! Runs one step of an IBM connection, one request or one look at a time (see [`super::super::steps`]).
//!
//! Team addresses take `reset` and `deliver`; instance addresses take `lock` and `unlock`.

use std::time::Duration;

use super::client::Told;
use super::site::{Site, declared, malformed, param};
use super::state::{Service, TokenReset};
use super::{mode, team_token};
use crate::http::{Reader, Writer};
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::Step;
use crate::model::verb::Verb;
use crate::provider::steps::{Answer, Check, Context, Failure, Look, Patience, Phase, Prepared};

/// Reads again what the step touches, right before it.
pub async fn prepare(reader: &Reader, cx: &Context<'_>, step: &Step) -> Result<Prepared, Finding> {
    prepared(reader, cx, step).await.map_err(|finding| *finding)
}

async fn prepared(reader: &Reader, cx: &Context<'_>, step: &Step) -> Told<Prepared> {
    let site = Site::of(reader, cx, step)?;
    match task(step)? {
        Task::Reset => team_token::prepare_reset(&site).await,
        Task::Deliver => team_token::prepare_deliver(&site).await,
        Task::SetMode => mode::prepare(&site, cx).await,
    }
}

/// Sends the step's one mutation, once. `Ok(None)`: it was taken, and [`look`] tells what it did.
pub async fn mutate(
    writer: &Writer,
    cx: &Context<'_>,
    step: &Step,
    prepared: &Prepared,
    _facts: &Facts,
) -> Result<Option<Answer>, Failure> {
    let refused = |finding: Box<Finding>| Failure::Refused(*finding);
    let site = Site::of(writer.reader(), cx, step).map_err(refused)?;
    match task(step).map_err(refused)? {
        Task::Reset => team_token::reset(writer, &site).await,
        Task::Deliver => team_token::deliver(&site, prepared).await,
        Task::SetMode => mode::set(writer, &site, cx, prepared).await.map(|()| None),
    }
}

/// Looks once whether the mutation happened. `facts` are those of the `Began` record; after a crash
/// `prepared` holds nothing else.
pub async fn look(
    reader: &Reader,
    cx: &Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Look {
    let site = match Site::of(reader, cx, step) {
        Ok(site) => site,
        Err(finding) => return Look::CannotTell(*finding),
    };
    match task(step) {
        Ok(Task::Reset) => team_token::look_reset(&site, cx, facts).await,
        Ok(Task::Deliver) => team_token::look_deliver(&site, facts).await,
        Ok(Task::SetMode) => mode::look(&site, prepared, facts).await,
        Err(finding) => Look::CannotTell(*finding),
    }
}

/// A new key may be delivered at once.
pub async fn ready(_reader: &Reader, _cx: &Context<'_>, _step: &Step, answer: &Answer) -> Check {
    Check::Holds(answer.facts.clone())
}

/// Proves that the step did what it is for: the old key is refused, the mode is in effect. The facts
/// of [`Check::Holds`] are all of the step's facts, not only the new ones.
pub async fn confirm(
    reader: &Reader,
    cx: &Context<'_>,
    step: &Step,
    prepared: &Prepared,
    answer: &Answer,
) -> Check {
    let site = match Site::of(reader, cx, step) {
        Ok(site) => site,
        Err(finding) => return Check::Never(*finding),
    };
    match task(step) {
        Ok(Task::Reset) => team_token::confirm_reset(&site, prepared, answer).await,
        Ok(Task::Deliver) => Check::Holds(answer.facts.clone()),
        Ok(Task::SetMode) => mode::confirm(&site, cx, prepared, answer).await,
        Err(finding) => Check::Never(*finding),
    }
}

/// Puts the earlier `parameters` back after a lock of a Workload Protection instance whose effect
/// could not be proved in time (contract ibm 4.4). `Ok(false)`: nothing is to be put back.
pub async fn restore(
    writer: &Writer,
    cx: &Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Result<bool, Failure> {
    let site = Site::of(writer.reader(), cx, step).map_err(|finding| Failure::Refused(*finding))?;
    mode::restore(writer, &site, cx, prepared, facts).await
}

/// Looks once whether the earlier `parameters` are back after [`restore`].
pub async fn restored(
    reader: &Reader,
    cx: &Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Check {
    match Site::of(reader, cx, step) {
        Ok(site) => mode::restored(&site, prepared, facts).await,
        Err(finding) => Check::Never(*finding),
    }
}

enum Task {
    Reset,
    Deliver,
    SetMode,
}

fn task(step: &Step) -> Told<Task> {
    let is_team = matches!(step.address.item_parts(), Some((super::TEAM, _)));
    match (is_team, step.verb) {
        (true, Verb::Reset) => Ok(Task::Reset),
        (true, Verb::Deliver) => Ok(Task::Deliver),
        (false, Verb::Lock | Verb::Unlock) if step.address.item_parts().is_none() => Ok(Task::SetMode),
        _ => Err(malformed(step, format!("`{}` is nothing that IBM objects take", step.verb))),
    }
}

/// How long each phase is asked.
pub fn patience(cx: &Context<'_>, step: &Step, phase: Phase) -> Patience {
    match (phase, step.verb) {
        (Phase::Effect, Verb::Reset) => reset_patience(cx, step),
        (Phase::Effect, Verb::Lock | Verb::Unlock) => seconds(&[1, 10], 600),
        (Phase::Settle, Verb::Reset) => match guide(cx, step) {
            // who was to press the button may have gone home
            Some(_) => seconds(&[0, 2], 2),
            None => seconds(&[0, 1, 2, 5], 30),
        },
        (Phase::Settle, Verb::Lock | Verb::Unlock) => seconds(&[0, 2, 5], 30),
        (Phase::Proof, Verb::Reset | Verb::Lock | Verb::Unlock) => seconds(&[0, 2], 60),
        _ => seconds(&[0], 0),
    }
}

fn reset_patience(cx: &Context<'_>, step: &Step) -> Patience {
    match declared(cx, step) {
        Ok((conn, _)) => match &conn.token_reset {
            TokenReset::Guided { timeout } => seconds(&[2], timeout.as_secs()),
            TokenReset::Call { .. } => seconds(&[1, 1, 1, 2, 5], 30),
        },
        Err(_) => seconds(&[1], 5),
    }
}

fn seconds(pauses: &[u64], limit: u64) -> Patience {
    let pauses = pauses.iter().map(|s| Duration::from_secs(*s)).collect();
    Patience { pauses, limit: Duration::from_secs(limit) }
}

/// What a person has to do for a guided reset, in order; `None` where nobody has to.
pub fn guide(cx: &Context<'_>, step: &Step) -> Option<Vec<String>> {
    let (conn, instance) = declared(cx, step).ok()?;
    if step.verb != Verb::Reset || !matches!(conn.token_reset, TokenReset::Guided { .. }) {
        return None;
    }
    let param = |name: &str| param(step, name).unwrap_or_default();
    let holder = Some(param("owner")).filter(|owner| !owner.is_empty()).unwrap_or(param("identity"));
    let (name, guid, origin) = (step.address.lane(), param("guid"), param("origin"));
    let (product, page) = match instance.service {
        Service::Monitoring => {
            let page = format!("https://cloud.ibm.com/observe/embedded-view/monitoring/{guid}");
            ("Sysdig Monitor API", format!("{page} (its API is {origin})"))
        }
        Service::WorkloadProtection => ("Sysdig Secure API", format!("the dashboard of {origin}")),
    };
    Some(vec![
        format!(
            "Log in to the console as {holder}: each identity has its own token, and only this one counts."
        ),
        format!("Open instance `{}` ({guid}): {page}.", name.owner_name().unwrap_or_default()),
        format!("Switch to team `{}` (id {}) in the team menu.", step.address.name(), param("team_id")),
        format!("Open Settings, User Profile, and there the section {product}."),
        "Press Reset Token and confirm. The old token dies at once; tokenform sees the new one by itself."
            .to_owned(),
    ])
}
