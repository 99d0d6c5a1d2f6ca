//! Runs one step on a LogicMonitor token: issue, enable, disable or delete (contract logicmonitor 9).
//!
//! A step on `…api_token["NAME"]` or `…bearer_token["NAME"]` has the parameters `user_id` and, for an
//! issue, `predecessor` (0: none), for the others `token_id`; where the name has a second owner,
//! `second_owner` and, which of the two the step is on, `token_owner`; one that also writes a mark into the note
//! has `mark` and `note`, the note as it was; one on a replaced token has `successor`.

use std::time::Duration;

use jiff::Timestamp;

use super::client::{Client, Target};
use super::note::Mark;
use super::owners::Owners;
use super::state::{Connection, DISABLED, ENABLED, LiveToken, LiveUser, TokenKind, tokens_digest};
use super::wire::TokenRow;
use super::{callers, guards, issue, retire};
use crate::http::{HttpError, Reader, Sent, Writer};
use crate::model::address::Address;
use crate::model::code::{
    Code, HTTP_CALL, LM_NOT_PROVED, LM_UNKNOWN_STATUS, PLAN_NAME_NOT_FOUND, PLAN_OWNER_REFUSED,
    SEAL_MALFORMED,
};
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::step::{Expect, Shape, Step};
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::provider::steps::{Answer, Check, Context, Failure, Hold, Look, Patience, Phase, Prepared};

/// Reads the owner and its tokens of both kinds again. Gives the digests of the user and of the
/// tokens of the step's name; refuses a token that can't be told apart or has an unknown status.
pub async fn prepare(reader: &Reader, cx: &Context<'_>, step: &Step) -> Result<Prepared, Finding> {
    read_again(reader, cx, step).await.map_err(|finding| *finding)
}

async fn read_again(reader: &Reader, cx: &Context<'_>, step: &Step) -> Result<Prepared, Box<Finding>> {
    let task = Task::of(cx, step)?;
    let client = task.client(reader);
    let user = client.owner(&step.address, task.user).await?;
    let other = match task.other {
        Some((_, id)) => Some(client.owner(&step.address, id).await?),
        None => None,
    };
    let mut facts = Facts::default();
    match step.verb {
        Verb::Issue => {
            check_owner(&user, step)?;
            facts.predecessor = task.predecessor()?;
        }
        verb => {
            let id = task.token()?;
            let token = one(&user.tokens, id, &task)?;
            if token.is_none() && verb != Verb::Delete {
                return Err(task.gone(id).into());
            }
            if let (Verb::Disable | Verb::Delete, Some(token)) = (verb, token) {
                callers::refuse_in_use(reader, &task, token).await?;
            }
            facts.remote_id = Some(id);
            facts.access_id = token.and_then(|token| token.access_id.clone());
            facts.enabled = token.map(LiveToken::enabled);
            facts.successor = task.successor()?;
            if step.shape == Some(Shape::Replace) {
                // nothing is deleted for a token that could not be made
                check_next_owner(&task, Owners { first: &user, second: other.as_ref() })?;
                facts.predecessor = facts.successor.is_none().then_some(id);
            }
            if step.params.contains_key("mark") {
                facts.marked_at = Timestamp::from_second(cx.env.clock.now().as_second()).ok();
            }
        }
    }
    let pin = step.params.get("pin").and_then(|pin| pin.parse().ok());
    let owners = Owners { first: &user, second: other.as_ref() };
    let bound = owners.bound(task.kind, task.name, pin);
    let mut live = vec![
        Expect { address: task.owner.clone(), digest: user.digest(cx.key) },
        Expect { address: step.address.clone(), digest: tokens_digest(&bound, cx.key) },
    ];
    if let (Some((address, _)), Some(user)) = (&task.other, &other) {
        live.push(Expect { address: address.clone(), digest: user.digest(cx.key) });
    }
    let deferred = guards::broken(reader, &task, owners).await;
    Ok(Prepared { live, facts, hold: Hold::Nothing, deferred })
}

/// Makes the step's one request. An issue answers with the new value; one that can't be used is
/// deleted again and counts as refused.
pub async fn mutate(
    writer: &Writer,
    cx: &Context<'_>,
    step: &Step,
    _prepared: &Prepared,
    facts: &Facts,
) -> Result<Option<Answer>, Failure> {
    let task = Task::of(cx, step).map_err(refuse)?;
    match step.verb {
        Verb::Issue => issue::mutate(writer, &task, facts).await.map(Some),
        Verb::Enable => retire::set_status(writer, &task, ENABLED, facts).await.map(Some),
        Verb::Disable => retire::set_status(writer, &task, DISABLED, facts).await.map(Some),
        Verb::Delete => retire::delete(writer, &task, task.token().map_err(refuse)?).await.map(Some),
        _ => Err(Failure::Refused(task.not_ours())),
    }
}

/// Looks whether the step happened. An issue is found by its nonce; without a value it is an orphan
/// whose secret is lost.
pub async fn look(
    reader: &Reader,
    cx: &Context<'_>,
    step: &Step,
    _prepared: &Prepared,
    facts: &Facts,
) -> Look {
    let task = match Task::of(cx, step) {
        Ok(task) => task,
        Err(finding) => return Look::CannotTell(*finding),
    };
    let tokens = match task.tokens(reader).await {
        Ok(tokens) => tokens,
        Err(finding) => return Look::CannotTell(*finding),
    };
    let looked = match step.verb {
        Verb::Issue => issue::look(&tokens, &task, facts),
        Verb::Enable => retire::look_status(&tokens, &task, ENABLED, facts),
        Verb::Disable => retire::look_status(&tokens, &task, DISABLED, facts),
        Verb::Delete => retire::look_gone(&tokens, &task),
        _ => Err(task.not_ours().into()),
    };
    looked.unwrap_or_else(|finding| Look::CannotTell(*finding))
}

/// Tries a new value once: 200 and 403 both prove it (contract logicmonitor 9.2).
pub async fn ready(reader: &Reader, cx: &Context<'_>, step: &Step, answer: &Answer) -> Check {
    match (Task::of(cx, step), step.verb) {
        (Err(finding), _) => Check::Never(*finding),
        (Ok(task), Verb::Issue) => issue::ready(reader, &task, answer).await,
        (Ok(_), _) => Check::Holds(Facts::default()),
    }
}

/// Looks at the lists whether the step's result stands.
pub async fn confirm(
    reader: &Reader,
    cx: &Context<'_>,
    step: &Step,
    _prepared: &Prepared,
    answer: &Answer,
) -> Check {
    let task = match Task::of(cx, step) {
        Ok(task) => task,
        Err(finding) => return Check::Never(*finding),
    };
    // Right before the request both lists were held against each other: for a status its own one is enough.
    let tokens = match step.verb {
        Verb::Enable | Verb::Disable => task.tokens_of_its_kind(reader).await,
        _ => task.tokens(reader).await,
    };
    let tokens = match tokens {
        Ok(tokens) => tokens,
        Err(finding) => return Check::NotYet(*finding),
    };
    if step.verb == Verb::Issue {
        return issue::confirm(&tokens, &task, answer);
    }
    let looked = match step.verb {
        Verb::Enable => retire::look_status(&tokens, &task, ENABLED, &answer.facts),
        Verb::Disable => retire::look_status(&tokens, &task, DISABLED, &answer.facts),
        Verb::Delete => retire::look_gone(&tokens, &task),
        _ => Err(task.not_ours().into()),
    };
    match looked {
        Ok(Look::Happened(answer)) => Check::Holds(answer.facts),
        Ok(Look::NotHappened) => Check::NotYet(task.not_shown()),
        Ok(Look::CannotTell(finding)) => Check::Never(finding),
        Err(finding) => Check::Never(*finding),
    }
}

/// Deletes the orphan of an issue step.
pub async fn revoke(writer: &Writer, cx: &Context<'_>, step: &Step, id: u64) -> Result<(), Failure> {
    let task = Task::of(cx, step).map_err(refuse)?;
    retire::delete(writer, &task, id).await.map(|_| ())
}

/// At most three tries of a new value: failed ones count towards a lock of unknown threshold
/// (contract logicmonitor 7.2). Two spaced lists settle a doubt (9.3).
pub fn patience(_step: &Step, phase: Phase) -> Patience {
    let (pauses, limit): (&[u64], u64) = match phase {
        Phase::Ready => (&[2, 5, 15], 22),
        Phase::Effect => (&[2, 10], 12),
        Phase::Settle => (&[0, 2, 10], 12),
        Phase::Proof => (&[0, 2, 5, 10], 27),
    };
    Patience {
        pauses: pauses.iter().map(|seconds| Duration::from_secs(*seconds)).collect(),
        limit: Duration::from_secs(limit),
    }
}

/// A step with its parameters read.
pub(super) struct Task<'a> {
    pub cx: &'a Context<'a>,
    pub step: &'a Step,
    /// Whose token the step is on.
    pub user: u64,
    owner: Address,
    /// The other user of a name with two.
    other: Option<(Address, u64)>,
    pub kind: TokenKind,
    pub name: &'a str,
    pub connection: &'a Connection,
}

impl<'a> Task<'a> {
    fn of(cx: &'a Context<'a>, step: &'a Step) -> Result<Self, Box<Finding>> {
        let unfit = |what: &str| {
            Box::new(Finding::new(SEAL_MALFORMED, format!("step `{}` {what}", step.id)).at(&step.address))
        };
        let connection = cx.desired.logicmonitor.get(&step.address.of_connection());
        let connection = connection.ok_or_else(|| unfit("is of a connection that the spec does not have"))?;
        let (kind, name) = step.address.item_parts().ok_or_else(|| unfit("is about no token"))?;
        let kind = TokenKind::parse(kind).ok_or_else(|| unfit("is about no kind of token"))?;
        let first = (step.address.lane(), number(step, "user_id")?);
        let task = |(owner, user), other| Self { cx, step, user, owner, other, kind, name, connection };
        if !step.params.contains_key("second_owner") {
            return Ok(task(first, None));
        }
        let lender = connection.users.get(&first.0).and_then(|user| user.tokens.get(&step.address));
        let lender = lender.and_then(|token| token.second_owner.clone());
        let lender = lender.ok_or_else(|| unfit("has a second owner that the spec does not have"))?;
        let second = (lender, number(step, "second_owner")?);
        match number(step, "token_owner")? {
            id if id == first.1 => Ok(task(first, Some(second))),
            id if id == second.1 => Ok(task(second, Some(first))),
            _ => Err(unfit("is on a token of neither owner")),
        }
    }

    /// The declared `max_age` of the step's token.
    pub fn max_age(&self) -> Option<Period> {
        let user = self.connection.users.get(&self.step.address.lane())?;
        user.tokens.get(&self.step.address)?.rotate.as_ref()?.max_age
    }

    pub fn client<'r>(&self, reader: &'r Reader) -> Client<'r> {
        Client::new(reader, self.connection)
    }

    /// Both kinds of the owner's tokens.
    pub async fn tokens(&self, reader: &Reader) -> Result<Vec<LiveToken>, Box<Finding>> {
        let client = self.client(reader);
        let (api, bearer) = client.both(&self.step.address, Some(self.user)).await?;
        let live = |rows: Vec<TokenRow>, kind| {
            rows.into_iter().filter_map(move |row| row.live(kind, Some(self.user)))
        };
        Ok(live(api, TokenKind::ApiToken).chain(live(bearer, TokenKind::BearerToken)).collect())
    }

    /// The owner's tokens of the step's kind.
    async fn tokens_of_its_kind(&self, reader: &Reader) -> Result<Vec<LiveToken>, Box<Finding>> {
        let rows = self.client(reader).tokens(&self.step.address, Some(self.user), self.kind).await?;
        Ok(rows.into_iter().filter_map(|row| row.live(self.kind, Some(self.user))).collect())
    }

    pub fn token(&self) -> Result<u64, Box<Finding>> {
        number(self.step, "token_id")
    }

    pub fn predecessor(&self) -> Result<Option<u64>, Box<Finding>> {
        number(self.step, "predecessor").map(|id| (id != 0).then_some(id))
    }

    /// The token that replaced the one which the step is on.
    fn successor(&self) -> Result<Option<u64>, Box<Finding>> {
        match self.step.params.contains_key("successor") {
            true => number(self.step, "successor").map(Some),
            false => Ok(None),
        }
    }

    /// The mark that the step writes, the note as it was before, and the instant of this attempt.
    pub fn mark(&self, facts: &Facts) -> Result<Option<(Mark, &'a str, Timestamp)>, Box<Finding>> {
        let Some(word) = self.step.params.get("mark") else { return Ok(None) };
        let unfit =
            |what: &str| Box::new(self.finding(SEAL_MALFORMED, format!("step `{}` {what}", self.step.id)));
        let mark = Mark::parse(word).ok_or_else(|| unfit("has a mark of no kind"))?;
        let note = self.step.params.get("note").ok_or_else(|| unfit("has a mark and no note"))?;
        let at = facts.marked_at.ok_or_else(|| unfit("was begun without an instant for its mark"))?;
        Ok(Some((mark, note, at)))
    }

    pub fn target(&self, id: u64) -> Target<'a> {
        Target { object: &self.step.address, owner: self.user, id, typed: false }
    }

    pub fn finding(&self, code: Code, message: impl Into<String>) -> Finding {
        Finding::new(code, message).at(&self.step.address)
    }

    fn gone(&self, id: u64) -> Finding {
        self.finding(PLAN_NAME_NOT_FOUND, format!("token {id} of user {} is not there any more", self.user))
            .help("Make a new plan.")
    }

    pub fn not_shown(&self) -> Finding {
        let message = format!("the portal's lists do not show yet that `{}` has happened", self.step.id);
        self.finding(LM_NOT_PROVED, message)
    }

    fn not_ours(&self) -> Finding {
        let message = format!("`{}` is no step that a LogicMonitor token can take", self.step.id);
        self.finding(SEAL_MALFORMED, message)
    }
}

fn number(step: &Step, name: &str) -> Result<u64, Box<Finding>> {
    let unfit = |message: String| Box::new(Finding::new(SEAL_MALFORMED, message).at(&step.address));
    let text = step.param(name).map_err(|error| unfit(error.to_string()))?;
    text.parse().map_err(|_| unfit(format!("parameter `{name}` of step `{}` is no id", step.id)))
}

/// The token that a step changes: the only one with its id over both kinds, of the step's kind and of
/// a known status. `None`: it is not there.
pub(super) fn one<'t>(
    tokens: &'t [LiveToken],
    id: u64,
    task: &Task<'_>,
) -> Result<Option<&'t LiveToken>, Box<Finding>> {
    let hits: Vec<_> = tokens.iter().filter(|token| token.id == id).collect();
    let token = match hits.as_slice() {
        [] => return Ok(None),
        [token] => *token,
        _ => {
            let message = format!("token id {id} is in the list of API tokens and in that of bearer tokens");
            return Err(task
                .finding(HTTP_CALL, message)
                .help("Look at the portal; nothing was changed.")
                .into());
        }
    };
    if token.kind != task.kind {
        let message = format!(
            "token {id} is a {} and the plan took it for a {}",
            token.kind.as_str(),
            task.kind.as_str()
        );
        return Err(task.finding(PLAN_NAME_NOT_FOUND, message).help("Make a new plan.").into());
    }
    if ![DISABLED, ENABLED].contains(&token.status) {
        return Err(task
            .finding(LM_UNKNOWN_STATUS, format!("token {id} has status {}", token.status))
            .into());
    }
    Ok(Some(token))
}

/// Whether the user that a replacement is made for can hold it: of two owners the one that the plan says, and
/// only where nothing but what is deleted is in the way.
fn check_next_owner(task: &Task<'_>, owners: Owners<'_>) -> Result<(), Box<Finding>> {
    if owners.second.is_none() {
        return check_owner(owners.first, task.step);
    }
    let id = number(task.step, "next_owner")?;
    let next = owners.each().find(|user| user.id == id).unwrap_or(owners.first);
    check_owner(next, task.step)?;
    let pin = task.step.params.get("pin").and_then(|pin| pin.parse().ok());
    let own = |token: &&LiveToken| token.name() == task.name || Some(token.id) == pin;
    let mut others = next.tokens.iter().filter(|token| token.kind == TokenKind::BearerToken && !own(token));
    let Some(other) = others.next() else { return Ok(()) };
    let message = format!("{} holds another bearer token by now, id {}", next.username, other.id);
    Err(task.finding(PLAN_OWNER_REFUSED, message).into())
}

/// Who can't own a usable token (contract logicmonitor 5.4, 6).
fn check_owner(user: &LiveUser, step: &Step) -> Result<(), Box<Finding>> {
    let refused = |why: String| {
        let message = format!("user {} can't own a new token: {why}", user.username);
        Err(Box::new(Finding::new(PLAN_OWNER_REFUSED, message).at(&step.address)))
    };
    if user.status != "active" {
        return refused(format!("its status is `{}`", user.status));
    }
    if user.username == "lmsupport" {
        return refused("the portal refuses tokens for it".to_owned());
    }
    if user.roles.iter().any(|role| role.eq_ignore_ascii_case("administrator")) {
        return refused("it has the stock administrator role".to_owned());
    }
    Ok(())
}

/// What a failed mutation means. Only a clear no counts as one.
pub(super) fn failure(error: HttpError) -> Failure {
    let status = error.effective_status();
    let wait = error.retry_after.unwrap_or(Duration::from_secs(60));
    match (error.sent, status) {
        (Sent::No, _) => Failure::Refused(*error.finding),
        (Sent::Yes, Some(429)) => Failure::Throttled(*error.finding, wait),
        (Sent::Yes, Some(408)) => Failure::Doubt(*error.finding),
        (Sent::Yes, Some(400..=499)) => Failure::Refused(*error.finding),
        _ => Failure::Doubt(*error.finding),
    }
}

/// A step that can't even be asked for did not happen.
#[expect(clippy::boxed_local, reason = "the errors inside this provider are boxed")]
pub(super) fn refuse(finding: Box<Finding>) -> Failure {
    Failure::Refused(*finding)
}
