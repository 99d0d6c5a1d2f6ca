//! Requests to one portal: whole lists, one user, one token's create, patch and delete.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::audit_log::LogRow;
use super::state::{Connection, Credential, LiveUser, TokenKind};
use super::wire::{
    CompanySetting, NewToken, Page, Row, TOKEN_FIELDS, TOKEN_FIELDS_AND_KEY, TokenRow, USER_FIELDS, UserRow,
};
use crate::http::{Auth, HttpError, Identity, Reader, Request, Writer};
use crate::model::address::Address;
use crate::model::code::{HTTP_CALL, PLAN_USER_MISSING};
use crate::model::finding::Finding;

/// The most rows a page may have (contract logicmonitor 4.1).
const PAGE: usize = 1_000;

/// More pages than any portal has: a guard against a list without an end.
const MOST_PAGES: usize = 2_000;

/// Pages of one list that are read at the same time.
const AT_ONCE: usize = 8;

/// How often a list that changes while it is read is read again.
const SWEEPS: usize = 3;

/// One portal as one connection reaches it.
pub struct Client<'a> {
    pub reader: &'a Reader,
    pub identity: Identity,
    /// A bearer token that a connection of the spec uses is to be found among those of the portal.
    pub seeks_bearer: bool,
    origin: String,
}

/// Who a connection is.
pub fn identity(connection: &Connection) -> Identity {
    match &connection.credential {
        Credential::Lmv1(lmv1) => {
            Identity::Lmv1 { access_id: lmv1.access_id.clone(), access_key: lmv1.access_key.clone() }
        }
        Credential::Bearer(token) => Identity::Bearer(token.clone()),
    }
}

/// A list: what it is of, and how it is asked for.
#[derive(Clone, Copy)]
struct List<'a> {
    object: &'a Address,
    purpose: &'static str,
    path: &'a str,
    fields: &'static str,
    bearer: bool,
}

/// One page of a list, and how many rows the whole has, where that is told.
struct Head<T> {
    total: Option<usize>,
    rows: Vec<T>,
}

impl Head<TokenRow> {
    /// Whether both are the beginning of one list.
    fn is_same(&self, other: &Self) -> bool {
        let ids = |head: &Self| -> BTreeSet<_> {
            head.rows.iter().map(|row| (row.id, row.access_id.clone())).collect()
        };
        !self.rows.is_empty() && self.total == other.total && ids(self) == ids(other)
    }
}

fn tokens_path(owner: Option<u64>) -> String {
    match owner {
        Some(owner) => format!("/setting/admins/{owner}/apitokens"),
        None => "/setting/admins/apitokens".to_owned(),
    }
}

impl<'a> Client<'a> {
    pub fn new(reader: &'a Reader, connection: &Connection) -> Self {
        let seeks_bearer = connection.credential.kind() == TokenKind::BearerToken;
        Self { reader, identity: identity(connection), seeks_bearer, origin: connection.origin() }
    }

    /// All users of the portal.
    pub async fn users(&self, object: &Address) -> Result<Vec<UserRow>, Box<Finding>> {
        let path = "/setting/admins";
        let list = List { object, purpose: "read the users", path, fields: USER_FIELDS, bearer: false };
        self.list(list, None).await
    }

    /// After how many unused days the portal disables a token; 0 is never. `None` where the setting
    /// can't be read: it is undocumented, and needs a right of its own (contract logicmonitor 5.3).
    pub async fn disables_after_days(&self, object: &Address) -> Option<u64> {
        let request =
            self.request(object, "read the inactivity rule", "GET", "/setting/companySetting", Vec::new());
        self.reader.get::<CompanySetting>(request).await.ok()?.body.token_disabled_days
    }

    /// All tokens of one kind, of everyone or of one user.
    pub async fn tokens(
        &self,
        object: &Address,
        owner: Option<u64>,
        kind: TokenKind,
    ) -> Result<Vec<TokenRow>, Box<Finding>> {
        let path = tokens_path(owner);
        self.list(self.tokens_list(object, owner, kind, &path), None).await
    }

    fn tokens_list<'l>(
        &self,
        object: &'l Address,
        owner: Option<u64>,
        kind: TokenKind,
        path: &'l str,
    ) -> List<'l> {
        let bearer = kind == TokenKind::BearerToken;
        let purpose = if bearer { "read the bearer tokens" } else { "read the API tokens" };
        // The key is asked for only to find a bearer token in use by its unmasked beginning.
        let wanted = bearer && owner.is_none() && self.seeks_bearer;
        let fields = if wanted { TOKEN_FIELDS_AND_KEY } else { TOKEN_FIELDS };
        List { object, purpose, path, fields, bearer }
    }

    /// A user's bearer tokens with what the portal shows of their keys.
    pub async fn bearer_tokens_shown(
        &self,
        object: &Address,
        owner: u64,
    ) -> Result<Vec<TokenRow>, Box<Finding>> {
        let path = tokens_path(Some(owner));
        let (purpose, fields) = ("read the bearer tokens", TOKEN_FIELDS_AND_KEY);
        self.list(List { object, purpose, path: &path, fields, bearer: true }, None).await
    }

    /// API tokens and bearer tokens, of everyone or of one user. A server without bearer tokens may
    /// ignore `type` and give its one list twice (contract logicmonitor 5.1 guards a create against it):
    /// then all are API tokens. The first pages tell, since an id stands for one token.
    pub async fn both(
        &self,
        object: &Address,
        owner: Option<u64>,
    ) -> Result<(Vec<TokenRow>, Vec<TokenRow>), Box<Finding>> {
        let path = tokens_path(owner);
        let [api, bearer] = TokenKind::ALL.map(|kind| self.tokens_list(object, owner, kind, &path));
        let (first, second) = tokio::try_join!(self.page(api, 0), self.page(bearer, 0))?;
        if first.is_same(&second) {
            return Ok((self.list(api, Some(first)).await?, Vec::new()));
        }
        tokio::try_join!(self.list(api, Some(first)), self.list(bearer, Some(second)))
    }

    /// One user with all tokens of both kinds.
    pub async fn owner(&self, object: &Address, id: u64) -> Result<LiveUser, Box<Finding>> {
        let (user, tokens) = tokio::join!(self.user(object, id), self.both(object, Some(id)));
        let (mut user, (api, bearer)) = (user?, tokens?);
        for (rows, kind) in [(api, TokenKind::ApiToken), (bearer, TokenKind::BearerToken)] {
            user.tokens.extend(rows.into_iter().filter_map(|row| row.live(kind, Some(id))));
        }
        user.tokens.retain(|token| token.owner == id);
        user.tokens.sort_unstable_by_key(|token| token.id);
        Ok(user)
    }

    async fn user(&self, object: &Address, id: u64) -> Result<LiveUser, Box<Finding>> {
        let path = format!("/setting/admins/{id}");
        let query = vec![("fields", USER_FIELDS.to_owned())];
        let request = self.request(object, "read the user", "GET", &path, query);
        let row = match self.reader.get::<UserRow>(request).await {
            Ok(reply) => reply.body,
            Err(error) if error.effective_status() == Some(404) => self.listed(object, id).await?,
            Err(error) => return Err(error.finding),
        };
        let user = row.live().filter(|user| user.id == id);
        user.ok_or_else(|| malformed(object, &format!("user {id} has another id or no name")))
    }

    /// A 404 alone does not say that a user is gone: the complete list does.
    async fn listed(&self, object: &Address, id: u64) -> Result<UserRow, Box<Finding>> {
        let rows = self.users(object).await?;
        rows.into_iter().find(|row| row.id == Some(id)).ok_or_else(|| {
            let message = format!("there is no user with id {id} any more");
            Box::new(Finding::new(PLAN_USER_MISSING, message).at(object))
        })
    }

    /// A page of the audit log, newest rows first: of the time from `since` to `until`. `None` if the
    /// answer has no `items`.
    pub async fn log(
        &self,
        object: &Address,
        since: Timestamp,
        until: Option<Timestamp>,
        offset: usize,
    ) -> Result<Option<Vec<LogRow>>, HttpError> {
        // only these two operators are allowed on it (contract logicmonitor 8)
        let mut filter = format!("happenedOn>:{}", since.as_second());
        if let Some(until) = until {
            filter.push_str(&format!(",happenedOn<:{}", until.as_second()));
        }
        let mut query = vec![("size", PAGE.to_string()), ("filter", filter)];
        if offset > 0 {
            query.push(("offset", offset.to_string()));
        }
        let request = self.request(object, "read the audit log", "GET", "/setting/accesslogs", query);
        self.reader.get::<Page<LogRow>>(request).await.map(|reply| reply.body.items)
    }

    /// Creates a token. The answer alone holds its key.
    pub async fn create(
        &self,
        writer: &Writer,
        object: &Address,
        owner: u64,
        kind: TokenKind,
        note: &str,
    ) -> Result<Option<NewToken>, HttpError> {
        #[derive(serde::Serialize)]
        struct Wish<'a> {
            note: &'a str,
            status: i64,
        }
        let wish = Wish { note, status: super::state::ENABLED };
        let path = format!("/setting/admins/{owner}/apitokens");
        let query = if kind == TokenKind::BearerToken { bearer_query() } else { Vec::new() };
        let mut request = self.request(object, "create the token", "POST", &path, query);
        request.body = Some(serde_json::to_string(&wish).expect("a text and a number are JSON"));
        writer.mutate(request).await.map(|reply| reply.body)
    }

    /// Sets a token's status, and its note where one is given, in one request. Never PUT: it resets
    /// what it does not name (contract logicmonitor 4.4).
    pub async fn set_status(
        &self,
        writer: &Writer,
        token: &Target<'_>,
        status: i64,
        note: Option<&str>,
    ) -> Result<(), HttpError> {
        #[derive(serde::Serialize)]
        struct Wish<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            note: Option<&'a str>,
            status: i64,
        }
        let body = serde_json::to_string(&Wish { note, status }).expect("a text and a number are JSON");
        self.change(writer, token, "PATCH", Some(body)).await
    }

    pub async fn delete(&self, writer: &Writer, token: &Target<'_>) -> Result<(), HttpError> {
        self.change(writer, token, "DELETE", None).await
    }

    async fn change(
        &self,
        writer: &Writer,
        token: &Target<'_>,
        method: &'static str,
        body: Option<String>,
    ) -> Result<(), HttpError> {
        let Target { object, owner, id, typed } = token;
        let purpose = if method == "DELETE" { "delete the token" } else { "set the token's status" };
        let path = format!("/setting/admins/{owner}/apitokens/{id}");
        let query = if *typed { bearer_query() } else { Vec::new() };
        let mut request = self.request(object, purpose, method, &path, query);
        request.body = body;
        writer.mutate::<IgnoredAny>(request).await.map(|_| ())
    }

    /// One cheap read with a value that was just issued.
    pub async fn probe(&self, object: &Address, owner: u64, auth: Auth<'_>) -> Result<(), HttpError> {
        let path = format!("/setting/admins/{owner}/apitokens");
        let query = vec![("fields", "id".to_owned()), ("size", "1".to_owned())];
        let request = Request { auth, ..self.request(object, "try the new token", "GET", &path, query) };
        self.reader.get::<IgnoredAny>(request).await.map(|_| ())
    }

    fn request<'r>(
        &'r self,
        object: &'r Address,
        purpose: &'static str,
        method: &'r str,
        path: &'r str,
        query: Vec<(&'static str, String)>,
    ) -> Request<'r> {
        Request {
            object,
            purpose,
            auth: Auth::Identity(&self.identity),
            method,
            origin: &self.origin,
            prefix: "/santaba/rest",
            path,
            query,
            headers: vec![("X-Version", "3".to_owned())],
            body: None,
        }
    }

    /// A whole list, or an error: never a part of it. `first` is its first page, if that was just read.
    async fn list<T: Row + DeserializeOwned>(
        &self,
        list: List<'_>,
        mut first: Option<Head<T>>,
    ) -> Result<Vec<T>, Box<Finding>> {
        for _ in 0..SWEEPS {
            let first = match first.take() {
                Some(first) => first,
                None => self.page(list, 0).await?,
            };
            if let Some(rows) = self.sweep(list, first).await? {
                return Ok(rows);
            }
        }
        Err(malformed(list.object, "the list kept changing while it was read"))
    }

    /// All pages behind the first: those that it announces, some at a time. `None` if rows were added or
    /// removed meanwhile, so that one may have been missed.
    async fn sweep<T: Row + DeserializeOwned>(
        &self,
        list: List<'_>,
        Head { total, rows: first }: Head<T>,
    ) -> Result<Option<Vec<T>>, Box<Finding>> {
        let step = first.len();
        let mut rows = BTreeMap::new();
        take(&mut rows, first, list)?;
        let Some(expected) = total else {
            return self.walk(list, rows).await.map(Some);
        };
        if step > 0 && expected / step > MOST_PAGES {
            return Err(malformed(list.object, "the list says that it has more pages than are believable"));
        }
        let offsets = (step..expected).step_by(step.max(1)).filter(|_| step > 0);
        self.reader.expects(offsets.clone().count());
        let mut pages =
            stream::iter(offsets).map(|offset| self.page::<T>(list, offset)).buffer_unordered(AT_ONCE);
        while let Some(page) = pages.try_next().await? {
            take(&mut rows, page.rows, list)?;
            if page.total != total {
                return Ok(None);
            }
        }
        drop(pages);
        match rows.len() {
            seen if seen < expected => Ok(None),
            seen if seen > expected => self.walk(list, rows).await.map(Some),
            _ => Ok(Some(rows.into_values().collect())),
        }
    }

    /// Page by page until one brings nothing new: for a portal that does not count, or miscounts.
    async fn walk<T: Row + DeserializeOwned>(
        &self,
        list: List<'_>,
        mut rows: BTreeMap<u64, T>,
    ) -> Result<Vec<T>, Box<Finding>> {
        for _ in 0..MOST_PAGES {
            let before = rows.len();
            let page = self.page::<T>(list, before).await?;
            take(&mut rows, page.rows, list)?;
            if rows.len() == before {
                return Ok(rows.into_values().collect());
            }
        }
        Err(malformed(list.object, "the list has no end"))
    }

    async fn page<T: DeserializeOwned>(
        &self,
        list: List<'_>,
        offset: usize,
    ) -> Result<Head<T>, Box<Finding>> {
        let mut query = vec![("fields", list.fields.to_owned()), ("size", PAGE.to_string())];
        if list.bearer {
            query.extend(bearer_query());
        }
        if offset > 0 {
            query.push(("offset", offset.to_string()));
        }
        let request = self.request(list.object, list.purpose, "GET", list.path, query);
        let page = self.reader.get::<Page<T>>(request).await.map_err(|error| error.finding)?.body;
        let total = page.total.and_then(|total| usize::try_from(total).ok());
        let rows = page.items.ok_or_else(|| malformed(list.object, "the list has no `items`"))?;
        Ok(Head { total, rows })
    }
}

/// A token to change.
pub struct Target<'a> {
    pub object: &'a Address,
    pub owner: u64,
    pub id: u64,
    /// Say `type=bearer`: only after the portal denied knowing an id that its bearer list shows.
    pub typed: bool,
}

fn bearer_query() -> Vec<(&'static str, String)> {
    vec![("type", "bearer".to_owned())]
}

/// Adds rows by id.
fn take<T: Row>(rows: &mut BTreeMap<u64, T>, page: Vec<T>, list: List<'_>) -> Result<(), Box<Finding>> {
    for row in page {
        let id = row.id().ok_or_else(|| malformed(list.object, "a row of the list has no `id`"))?;
        rows.insert(id, row);
    }
    Ok(())
}

fn malformed(object: &Address, what: &str) -> Box<Finding> {
    let finding = Finding::new(HTTP_CALL, format!("the portal's answer can't be used: {what}")).at(object);
    Box::new(finding.help("Run the command again; if it stays, the portal's API has changed: report it."))
}
