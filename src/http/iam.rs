//! IAM tokens: granted once for everyone who waits, renewed in time, never used on their last seconds
//! (contract ibm 1).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::error::{About, Dialect, Failed};
use super::sealed::Form;
use super::transport::{Sort, Transport};
use super::{Grant, HttpError, Identity, Request, auth};
use crate::model::address::Address;
use crate::model::code::CREDENTIAL;
use crate::model::finding::Finding;
use crate::model::secret::Secret;

const PATH: &str = "/identity/token";

/// Some services reject a token with a few seconds left (contract ibm 1.4).
const LAST_SECONDS: SignedDuration = SignedDuration::from_secs(10);

/// A mutation never leaves with less left than this.
const MUTATION_SECONDS: SignedDuration = SignedDuration::from_secs(60);

/// How long after a login was given up its failure is everyone's.
const SHARED_FAILURE: SignedDuration = SignedDuration::from_secs(1);

/// An IAM token in use.
pub struct Token {
    pub value: Rc<Secret>,
    /// `None`: a ready token that does not tell.
    expires: Option<Timestamp>,
}

/// The tokens of all identities.
#[derive(Default)]
pub struct Tokens(RefCell<BTreeMap<Identity, Rc<Mutex<Slot>>>>);

/// One identity's token. Locked while it is granted, so that one login serves all who wait.
#[derive(Default)]
struct Slot {
    token: Option<Rc<Token>>,
    /// When to get the next one, while this one still works.
    renew: Option<Timestamp>,
    /// IAM has refused the credential: asking again would change nothing.
    refused: Option<HttpError>,
    /// When and why a login was given up: who waited for it gets the same answer.
    given_up: Option<(Timestamp, HttpError)>,
}

/// Who asks for a token, and for what.
pub struct Asker<'a> {
    pub identity: &'a Identity,
    pub origin: &'a str,
    pub grant: &'a Grant,
    pub object: &'a Address,
    pub mutating: bool,
}

impl Tokens {
    fn slot(&self, identity: &Identity) -> Rc<Mutex<Slot>> {
        Rc::clone(self.0.borrow_mut().entry(identity.clone()).or_default())
    }

    /// After a 401 of a service: the next request gets a new token, if this one is still the last.
    /// Says whether there can be a new one.
    pub async fn forget(&self, identity: &Identity, used: &Rc<Token>) -> bool {
        if matches!(identity, Identity::Iam { grant: Grant::Token(_), .. }) {
            return false;
        }
        let slot = self.slot(identity);
        let mut slot = slot.lock().await;
        if slot.token.as_ref().is_some_and(|token| Rc::ptr_eq(token, used)) {
            slot.token = None;
        }
        true
    }
}

impl Transport {
    /// A token with enough life left for what it is for.
    pub async fn iam_token(&self, asker: &Asker<'_>) -> Result<Rc<Token>, Failed> {
        let slot = self.tokens.slot(asker.identity);
        let mut slot = slot.lock().await;
        if let Some(error) = &slot.refused {
            return Err(again(error, asker.object));
        }
        let now = self.env.clock.now();
        if let Some((_, error)) =
            slot.given_up.as_ref().filter(|(at, _)| now.duration_since(*at) < SHARED_FAILURE)
        {
            return Err(again(error, asker.object));
        }
        let usable = slot.token.clone().filter(|token| token.lasts(now, asker.mutating));
        let due = slot.renew.is_some_and(|at| now >= at);
        match usable {
            Some(token) if !due => Ok(token),
            Some(token) => {
                // Renewing early may fail quietly while the present one works; ask again in a minute.
                match self.grant(asker, 1).await {
                    Ok(granted) => Ok(slot.keep(granted, self.env.clock.now())),
                    Err(_) => {
                        slot.renew = now.checked_add(SignedDuration::from_secs(60)).ok();
                        Ok(token)
                    }
                }
            }
            None => {
                let granted = self.grant(asker, super::retry::READ_TRIES).await;
                let granted = granted.map_err(|failed| slot.give_up(failed, self.env.clock.now()))?;
                let token = slot.keep(granted, self.env.clock.now());
                if token.lasts(self.env.clock.now(), asker.mutating) {
                    Ok(token)
                } else {
                    Err(expired(asker, &token))
                }
            }
        }
    }

    async fn grant(&self, asker: &Asker<'_>, tries: u32) -> Result<Token, Failed> {
        let about = about(asker);
        let value = |reference, what| self.credentials.value(reference, what, asker.object, &self.env);
        let form = match asker.grant {
            Grant::Token(reference) => {
                let ready = value(reference, "IAM token").await.map_err(|f| about.no_credential(&f))?;
                return Ok(ready_token(ready));
            }
            Grant::ApiKey(reference) => {
                let key = value(reference, "API key").await.map_err(|f| about.no_credential(&f))?;
                if auth::bad_api_key(&key) {
                    return Err(about.no_credential(&placeholder(asker.object)));
                }
                login("apikey").secret("apikey", &key).text("response_type", "cloud_iam")
            }
            Grant::TrustedProfile { cr_token, id, name } => {
                let token = value(cr_token, "compute resource token").await;
                let form =
                    login("cr-token").secret("cr_token", &*token.map_err(|f| about.no_credential(&f))?);
                let form = id.iter().fold(form, |form, id| form.text("profile_id", id));
                name.iter().fold(form, |form, name| form.text("profile_name", name))
            }
        };
        self.log_in(asker, &form, tries).await
    }

    /// Posts the form. A login has no effect worth a doubt, so it is repeated like a read.
    async fn log_in(&self, asker: &Asker<'_>, form: &Form, most: u32) -> Result<Token, Failed> {
        let asked = self.env.clock.now();
        let request = Request {
            object: asker.object,
            purpose: "log in to IAM",
            auth: super::Auth::Identity(asker.identity),
            method: "POST",
            origin: asker.origin.trim_end_matches('/').trim_end_matches(PATH),
            prefix: "",
            path: PATH,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        };
        let mut tries = 1;
        loop {
            match Box::pin(self.attempt::<Granted>(&request, Sort::Login(form))).await {
                Ok(reply) => return reply.body.token(asked).ok_or_else(|| no_expiry(asker)),
                Err(failed) => match super::retry::read(failed.seen, tries, self.draw()) {
                    Some(wait) if tries < most => self.wait(&request, &failed, wait).await,
                    _ => {
                        let failed = explained(asker, failed);
                        let seen = failed.seen;
                        return Err(Failed { error: failed.after(tries), seen, renewable: false });
                    }
                },
            }
            tries += 1;
        }
    }
}

impl Slot {
    fn keep(&mut self, token: Token, now: Timestamp) -> Rc<Token> {
        // At four fifths of its life, as the vendor's SDKs do.
        self.renew = token.expires.and_then(|end| now.checked_add(end.duration_since(now) * 4 / 5).ok());
        let token = Rc::new(token);
        self.token = Some(Rc::clone(&token));
        token
    }

    /// What failed is the login: the request that wanted a token was surely not sent, and sending it
    /// again would only log in again.
    fn give_up(&mut self, mut failed: Failed, now: Timestamp) -> Failed {
        self.remember(&failed);
        self.given_up = Some((now, failed.error.clone()));
        failed.error.sent = super::Sent::No;
        failed.seen.sent = super::Sent::No;
        failed.seen.permanent = true;
        failed
    }

    fn remember(&mut self, failed: &Failed) {
        let unsent = failed.seen.sent == super::Sent::No && failed.seen.permanent;
        if unsent || matches!(failed.seen.status, Some(400 | 401 | 403)) {
            self.refused = Some(failed.error.clone());
        }
    }
}

impl Token {
    fn lasts(&self, now: Timestamp, mutating: bool) -> bool {
        let least = if mutating { MUTATION_SECONDS } else { LAST_SECONDS };
        self.expires.is_none_or(|end| end.duration_since(now) > least)
    }
}

/// IAM's answer to every grant (contract ibm 1.2).
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    expires_in: Option<i64>,
    expiration: Option<i64>,
}

impl Granted {
    /// Its life counts from when it was asked for, by our own clock: the two clocks may differ.
    fn token(self, asked: Timestamp) -> Option<Token> {
        let seconds = |n: i64| asked.checked_add(SignedDuration::from_secs(n)).ok();
        let told = self.expires_in.and_then(seconds);
        let absolute = || self.expiration.or_else(|| auth::jwt_expiry(&self.access_token));
        let expires = told.or_else(|| Timestamp::from_second(absolute()?).ok())?;
        Some(Token { value: Rc::new(self.access_token), expires: Some(expires) })
    }
}

fn ready_token(value: Rc<Secret>) -> Token {
    let expires = auth::jwt_expiry(&value).and_then(|second| Timestamp::from_second(second).ok());
    Token { value, expires }
}

fn login(grant: &str) -> Form {
    Form::new().text("grant_type", &format!("urn:ibm:params:oauth:grant-type:{grant}"))
}

fn about<'a>(asker: &'a Asker<'_>) -> About<'a> {
    About {
        object: asker.object,
        purpose: "log in to IAM",
        method: "POST",
        place: asker.origin,
        dialect: Dialect::Iam,
    }
}

fn placeholder(object: &Address) -> Finding {
    let connection = object.of_connection();
    let message = format!("the API key of {connection} begins or ends with a brace or a quote");
    Finding::new(CREDENTIAL, message)
        .help("Nearly always that is a pasted placeholder; put the real key there.")
}

fn expired(asker: &Asker<'_>, token: &Token) -> Failed {
    let least = if asker.mutating { MUTATION_SECONDS } else { LAST_SECONDS };
    let end = token.expires.map(|end| format!("; it ends at {end}")).unwrap_or_default();
    let message = format!("the IAM token has less than {} s left{end}", least.as_secs());
    let help = match asker.grant {
        Grant::Token(_) => {
            "Get a new one (`ibmcloud iam oauth-tokens`): a ready token is never renewed. An API key would be."
        }
        Grant::ApiKey(_) | Grant::TrustedProfile { .. } => {
            "IAM grants too short a life, or this machine's clock is far ahead: compare the clocks."
        }
    };
    about(asker).no_credential(&Finding::new(CREDENTIAL, message).help(help))
}

/// A refusal of IAM with what to do about this form of credential (contract ibm 1.5).
fn explained(asker: &Asker<'_>, mut failed: Failed) -> Failed {
    let refused = matches!(failed.seen.status, Some(400 | 401 | 403));
    let help = match (asker.grant, failed.error.code.as_deref()) {
        _ if !refused => return failed,
        (Grant::ApiKey(_), Some("BXNIM0415E")) => {
            "IAM knows no such API key: it was deleted, locked, cut when it was copied, or is of another cloud. \
             Make a new one and put it where `api_key` points."
                .to_owned()
        }
        (Grant::ApiKey(_), _) => "Check the value that `api_key` points to.".to_owned(),
        (Grant::TrustedProfile { id, name, .. }, _) => format!(
            "Check that the profile {} exists and trusts this compute resource, and that the token that \
             `cr_token` points to is this resource's own and still valid.",
            [id, name].into_iter().flatten().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" / ")
        ),
        (Grant::Token(_), _) => return failed,
    };
    failed.error.finding.help = Some(help);
    failed
}

fn no_expiry(asker: &Asker<'_>) -> Failed {
    about(asker).not_sent("IAM granted a token that does not say when it ends", None)
}

/// The same refusal, told about another object.
fn again(error: &HttpError, object: &Address) -> Failed {
    let mut error = error.clone();
    error.sent = super::Sent::No;
    error.finding.address = Some(object.clone());
    let seen = super::retry::Seen { sent: super::Sent::No, status: None, permanent: true, asked: None };
    Failed { error, seen, renewable: false }
}
