//! Requests to the two services behind an IBM connection: resource controller ([`Account`]) and the
//! Sysdig API of one instance ([`Api`]). One call is one request (a list is one per page).

use std::collections::BTreeSet;

use serde::de::IgnoredAny;

use super::state::{Connection, Credential, Instance, Service};
use super::wire::{Me, MeBody, Page, Row, Team, TeamsBody, TokenBody, start_of};
use crate::http::{Auth, Grant, HttpError, Identity, Reader, Request, Writer};
use crate::model::address::Address;
use crate::model::code::{HTTP_CALL, IBM_USERNAME};
use crate::model::finding::Finding;
use crate::model::secret::Secret;

/// Contract ibm 1.1.
const IAM: &str = "https://iam.cloud.ibm.com";
/// Contract ibm 2.1.
const RESOURCE_CONTROLLER: &str = "https://resource-controller.cloud.ibm.com";
/// Who the caller is; older servers know only the second (contract ibm 5.6).
const ME: &str = "/api/users/me";
const OLD_ME: &str = "/api/user/me";
const INSTANCES: &str = "/v2/resource_instances";

/// A result whose failure is told to the user as it is.
pub type Told<T> = Result<T, Box<Finding>>;

/// One connection: who it is, and the service that holds its instances.
pub struct Account<'a> {
    pub reader: &'a Reader,
    identity: Identity,
    controller: &'a str,
}

impl<'a> Account<'a> {
    pub fn of(reader: &'a Reader, conn: &'a Connection) -> Self {
        let controller = conn.endpoints.resource_controller.as_deref().unwrap_or(RESOURCE_CONTROLLER);
        Self { reader, identity: identity(conn), controller: trimmed(controller) }
    }

    /// All instances of the account, or of a resource group, or of one name, that are active or being
    /// made. What the vendor takes for the same name is for the caller to check.
    pub async fn list(&self, object: &Address, group: Option<&str>, name: Option<&str>) -> Told<Vec<Row>> {
        let mut rows = Vec::new();
        let mut start: Option<String> = None;
        let mut seen = BTreeSet::new();
        loop {
            let page = self.page(object, group, name, start.as_deref()).await.map_err(|e| e.finding)?;
            rows.extend(page.resources);
            start = page.next_url.as_deref().and_then(start_of);
            match &start {
                None => return Ok(rows),
                Some(next) if !seen.insert(next.clone()) => return Err(endless(object)),
                Some(_) => {}
            }
        }
    }

    async fn page(
        &self,
        object: &Address,
        group: Option<&str>,
        name: Option<&str>,
        start: Option<&str>,
    ) -> Result<Page, HttpError> {
        let mut query = vec![("type", "service_instance".to_owned()), ("limit", "100".to_owned())];
        query.extend(group.map(|group| ("resource_group_id", group.to_owned())));
        query.extend(name.map(|name| ("name", name.to_owned())));
        query.extend(start.map(|start| ("start", start.to_owned())));
        let request = Request { query, ..self.request(object, "list instances", INSTANCES) };
        Ok(self.reader.get(request).await?.body)
    }

    /// One instance by its GUID.
    pub async fn get(&self, object: &Address, guid: &str) -> Result<Row, HttpError> {
        let path = format!("{INSTANCES}/{guid}");
        Ok(self.reader.get(self.request(object, "read the instance", &path)).await?.body)
    }

    /// Sends the full `parameters` of an instance, once (contract ibm 2.5). `transaction` is a UUID
    /// that the vendor's support can look for.
    pub async fn patch(
        &self,
        writer: &Writer,
        object: &Address,
        guid: &str,
        parameters: &str,
        transaction: String,
    ) -> Result<(), HttpError> {
        let path = format!("{INSTANCES}/{guid}");
        let request = Request {
            method: "PATCH",
            headers: vec![("Transaction-ID", transaction)],
            body: Some(format!("{{\"parameters\":{parameters}}}")),
            ..self.request(object, "change the instance's parameters", &path)
        };
        writer.mutate::<IgnoredAny>(request).await.map(drop)
    }

    fn request<'r>(&'r self, object: &'r Address, purpose: &'static str, path: &'r str) -> Request<'r> {
        Request {
            object,
            purpose,
            auth: Auth::Identity(&self.identity),
            method: "GET",
            origin: self.controller,
            prefix: "",
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// The Sysdig API of one instance.
    pub fn api<'b>(&'b self, object: &'b Address, origin: &'b str, guid: &'b str) -> Api<'b> {
        Api { reader: self.reader, identity: &self.identity, object, origin: trimmed(origin), guid }
    }
}

/// The Sysdig API of one instance (contract ibm 5).
#[derive(Clone, Copy)]
pub struct Api<'a> {
    reader: &'a Reader,
    identity: &'a Identity,
    /// The object that errors name: the instance or a team.
    pub object: &'a Address,
    pub origin: &'a str,
    pub guid: &'a str,
}

/// What a token read brought.
pub enum Token {
    Key(Secret),
    /// The vendor refused: `IAM_ONLY`, or a missing permission (contract ibm 4.3).
    Refused(HttpError),
}

/// The call that resets a token, with its placeholders filled in.
pub struct ResetCall<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub team: u64,
}

impl Api<'_> {
    /// Who the caller is; under a team header, with that team as its current one.
    pub async fn me(&self, team: Option<u64>) -> Result<Me, HttpError> {
        let ask = |path| self.reader.get_sealed::<MeBody>(self.request("ask who the caller is", path, team));
        let told = match ask(ME).await {
            Err(error) if error.status == Some(404) => ask(OLD_ME).await,
            told => told,
        };
        Ok(told?.body.user)
    }

    /// The visible teams of the service's product, in id order.
    pub async fn teams(&self, service: Service) -> Result<Vec<Team>, HttpError> {
        let request = self.request("list teams", "/api/teams", None);
        let mut teams = self.reader.get::<TeamsBody>(request).await?.body.teams;
        teams.retain(|team| team.is_of(service.product()));
        teams.sort_by_key(|team| team.id);
        Ok(teams)
    }

    /// The key of the caller, or of `owner`, in a team; without a team, in the current one.
    pub async fn token(&self, team: Option<u64>, owner: Option<&str>) -> Told<Token> {
        let path = match (owner, team) {
            (Some(owner), Some(team)) => format!("/api/token/{}/{team}", segment(self.object, owner)?),
            _ => "/api/token".to_owned(),
        };
        let request = self.request("read the team's token", &path, team);
        match self.reader.get_sealed::<TokenBody>(request).await {
            Ok(reply) => usable(self.object, reply.body.token.key).map(Token::Key),
            Err(error) if is_refusal(&error) => Ok(Token::Refused(error)),
            Err(error) => Err(error.finding),
        }
    }

    /// The key of a team, where a refusal is a failure like any other.
    pub async fn key(&self, team: u64, owner: Option<&str>) -> Told<Secret> {
        match self.token(Some(team), owner).await? {
            Token::Key(key) => Ok(key),
            Token::Refused(error) => Err(error.finding),
        }
    }

    /// Tries an API token on a harmless call.
    pub async fn try_key(&self, key: &Secret) -> Result<(), HttpError> {
        let ask = |path| {
            let request = Request { auth: Auth::Value(key), ..self.request("try an API token", path, None) };
            self.reader.get_sealed::<IgnoredAny>(request)
        };
        match ask(ME).await {
            Err(error) if error.status == Some(404) => ask(OLD_ME).await.map(drop),
            tried => tried.map(drop),
        }
    }

    /// Sends the reset, once. The reply says nothing that counts: the key is read afterwards.
    pub async fn reset(&self, writer: &Writer, call: &ResetCall<'_>) -> Result<u16, HttpError> {
        let request = self.request("reset the team's token", call.path, Some(call.team));
        let request = Request { method: call.method, ..request };
        Ok(writer.mutate::<IgnoredAny>(request).await?.status)
    }

    fn request<'r>(&'r self, purpose: &'static str, path: &'r str, team: Option<u64>) -> Request<'r> {
        let mut headers = vec![("IBMInstanceID", self.guid.to_owned())];
        if let Some(team) = team {
            // `TeamID` was the documented name for years (contract ibm 3.2).
            headers.extend([("SysdigTeamID", team.to_string()), ("TeamID", team.to_string())]);
        }
        Request {
            object: self.object,
            purpose,
            auth: Auth::Identity(self.identity),
            method: "GET",
            origin: self.origin,
            prefix: "",
            path,
            query: Vec::new(),
            headers,
            body: None,
        }
    }
}

/// Whether the vendor refused, as opposed to having failed. The status of the refusal under
/// `IAM_ONLY` is not documented, so the documented words count as well (contract ibm 4.3).
pub fn is_refusal(error: &HttpError) -> bool {
    match error.status {
        Some(401 | 403) => true,
        Some(400..=499) => is_denied(error),
        _ => false,
    }
}

/// Whether a refusal has the words that are documented for `IAM_ONLY` (contract ibm 4.3).
pub fn is_denied(error: &HttpError) -> bool {
    let says = |text: &Option<String>, words: &str| text.as_deref().is_some_and(|text| text.contains(words));
    says(&error.message, "Access is denied") || says(&error.reason, "Not enough privileges")
}

/// Who a connection is.
pub fn identity(conn: &Connection) -> Identity {
    let origin = trimmed(conn.endpoints.iam.as_deref().unwrap_or(IAM));
    let origin = trimmed(origin.strip_suffix("/identity/token").unwrap_or(origin)).to_owned();
    let grant = match &conn.credential {
        Credential::ApiKey(key) => Grant::ApiKey(key.clone()),
        Credential::IamToken(token) => Grant::Token(token.clone()),
        Credential::TrustedProfile(profile) => Grant::TrustedProfile {
            cr_token: profile.cr_token.clone(),
            id: profile.id.clone(),
            name: profile.name.clone(),
        },
    };
    Identity::Iam { origin, grant }
}

/// The origin of an instance's Sysdig API.
pub fn origin(conn: &Connection, declared: &Instance, region: &str) -> String {
    let own = match declared.service {
        Service::Monitoring => &conn.endpoints.monitoring,
        Service::WorkloadProtection => &conn.endpoints.workload_protection,
    };
    let origin = own.clone().unwrap_or_else(|| declared.service.origin(region));
    trimmed(&origin).to_owned()
}

fn trimmed(origin: &str) -> &str {
    origin.trim_end_matches('/')
}

/// A username as one part of a path. The client encodes it; what would change the path's shape is
/// refused.
pub fn segment<'n>(object: &Address, name: &'n str) -> Told<&'n str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\']) {
        let finding = Finding::new(IBM_USERNAME, format!("the username `{name}` can't stand in a path"));
        return Err(Box::new(finding.at(object)));
    }
    Ok(name)
}

/// A key that is really there.
fn usable(object: &Address, key: Secret) -> Told<Secret> {
    if key.is_empty() || key.looks_masked() {
        let told = "the vendor answered the token read with an empty or masked key";
        return Err(Box::new(Finding::new(HTTP_CALL, told).at(object)));
    }
    Ok(key)
}

fn endless(object: &Address) -> Box<Finding> {
    let told = "the list of instances does not end: the same `start` came twice";
    Box::new(Finding::new(HTTP_CALL, told).at(object).help("Pin the instance with `guid:`."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Sent;
    use crate::model::vocabulary::SecretRef;
    use crate::provider::ibm::testing::connection;

    fn error(status: Option<u16>, message: Option<&str>, reason: Option<&str>) -> HttpError {
        HttpError {
            sent: Sent::Yes,
            status,
            code: None,
            message: message.map(str::to_owned),
            reason: reason.map(str::to_owned),
            retry_after: None,
            finding: Box::new(Finding::new(HTTP_CALL, "x")),
        }
    }

    #[test]
    fn a_refusal_is_told_by_status_or_by_the_documented_words() {
        assert!(is_refusal(&error(Some(401), None, None)) && is_refusal(&error(Some(403), None, None)));
        assert!(is_refusal(&error(Some(422), Some("Access is denied"), None)));
        let reason = "Not enough privileges to complete the action";
        assert!(is_refusal(&error(Some(400), None, Some(reason))));
        for status in [None, Some(302), Some(404), Some(500), Some(429)] {
            assert!(!is_refusal(&error(status, None, None)), "{status:?}");
        }
        assert!(!is_refusal(&error(Some(500), Some("Access is denied"), None)));
    }

    #[test]
    fn a_username_never_changes_the_shape_of_a_path() {
        let object = Address::connection("ibm", "prod");
        for name in ["", ".", "..", "a/b", "a\\b"] {
            assert!(segment(&object, name).is_err(), "{name}");
        }
        assert_eq!(segment(&object, "iam-ServiceId-1@x?y").unwrap(), "iam-ServiceId-1@x?y");
    }

    #[test]
    fn the_identity_is_granted_by_the_connections_iam() {
        let mut conn = connection("http://127.0.0.1:1");
        conn.endpoints.iam = Some("http://127.0.0.1:1/identity/token/".into());
        let Identity::Iam { origin, grant } = identity(&conn) else { panic!("not IAM") };
        assert_eq!(origin, "http://127.0.0.1:1");
        assert_eq!(grant, Grant::ApiKey(SecretRef::Env("KEY".into())));
        conn.endpoints.iam = None;
        assert!(matches!(identity(&conn), Identity::Iam { origin, .. } if origin == IAM));
    }
}
