//! Enabling, disabling and deleting one token. All are repeatable; what counts is what the lists show.

use super::client::{Client, Target};
use super::note;
use super::state::{ENABLED, LiveToken, TokenKind};
use super::steps::{Task, failure, one, refuse};
use crate::http::{HttpError, Writer};
use crate::model::code::PLAN_NAME_NOT_FOUND;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::provider::steps::{Answer, Failure, Look};

/// Sets the status; where the step has a mark, the same request writes it into the note.
pub async fn set_status(
    writer: &Writer,
    task: &Task<'_>,
    status: i64,
    facts: &Facts,
) -> Result<Answer, Failure> {
    let id = task.token().map_err(refuse)?;
    let mark = task.mark(facts).map_err(refuse)?;
    let note = mark.map(|(mark, before, at)| note::marked(before, mark, at));
    let client = task.client(writer.reader());
    match change(&client, writer, task, id, Change::Status(status, note.as_deref())).await? {
        Outcome::Done => Ok(answer(id, Some(status == ENABLED))),
        Outcome::Absent(finding) => Err(Failure::Refused(finding)),
    }
}

/// A token that is not there any more counts as deleted.
pub async fn delete(writer: &Writer, task: &Task<'_>, id: u64) -> Result<Answer, Failure> {
    let client = task.client(writer.reader());
    change(&client, writer, task, id, Change::Delete).await.map(|_| answer(id, None))
}

/// It happened where the status is the wished one and the note carries this very attempt's mark:
/// somebody else may have set the status.
pub fn look_status(
    tokens: &[LiveToken],
    task: &Task<'_>,
    status: i64,
    facts: &Facts,
) -> Result<Look, Box<Finding>> {
    let id = task.token()?;
    let mark = task.mark(facts)?;
    let marked = |token: &LiveToken| mark.is_none_or(|(mark, _, at)| note::carries(&token.note, mark, at));
    match one(tokens, id, task)? {
        Some(token) if token.status == status && marked(token) => {
            Ok(Look::Happened(answer(id, Some(status == ENABLED))))
        }
        Some(_) => Ok(Look::NotHappened),
        None => Err(task.finding(PLAN_NAME_NOT_FOUND, format!("token {id} is not there any more")).into()),
    }
}

pub fn look_gone(tokens: &[LiveToken], task: &Task<'_>) -> Result<Look, Box<Finding>> {
    let id = task.token()?;
    if tokens.iter().any(|token| token.id == id) {
        return Ok(Look::NotHappened);
    }
    Ok(Look::Happened(answer(id, None)))
}

fn answer(id: u64, enabled: Option<bool>) -> Answer {
    Answer { facts: Facts { remote_id: Some(id), enabled, ..Facts::default() }, value: None }
}

#[derive(Clone, Copy)]
enum Change<'a> {
    /// A status, and a note.
    Status(i64, Option<&'a str>),
    Delete,
}

enum Outcome {
    Done,
    /// The portal knows no such token, and its lists agree.
    Absent(Finding),
}

/// Makes the change. On a 404 the lists decide: gone; or a bearer token whose id the portal knows
/// only with `type=bearer` (contract logicmonitor 12), tried once more with it.
async fn change(
    client: &Client<'_>,
    writer: &Writer,
    task: &Task<'_>,
    id: u64,
    change: Change<'_>,
) -> Result<Outcome, Failure> {
    let target = task.target(id);
    let error = match send(client, writer, &target, change).await {
        Ok(()) => return Ok(Outcome::Done),
        Err(error) if error.effective_status() == Some(404) => error,
        Err(error) => return Err(failure(error)),
    };
    let tokens = task.tokens(writer.reader()).await.map_err(|finding| Failure::Doubt(*finding))?;
    match tokens.iter().find(|token| token.id == id) {
        None => Ok(Outcome::Absent(*error.finding)),
        Some(token) if token.kind == TokenKind::BearerToken => {
            let typed = Target { typed: true, ..target };
            send(client, writer, &typed, change).await.map(|()| Outcome::Done).map_err(failure)
        }
        Some(_) => Err(failure(error)),
    }
}

async fn send(
    client: &Client<'_>,
    writer: &Writer,
    target: &Target<'_>,
    change: Change<'_>,
) -> Result<(), HttpError> {
    match change {
        Change::Status(status, note) => client.set_status(writer, target, status, note).await,
        Change::Delete => client.delete(writer, target).await,
    }
}
