//! What all readers and writers share: clients, limiter, credentials, counts; and one attempt to send.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::auth::{self, Credentials};
use super::clients::{Clients, Incoming, LIST_CAP, Outgoing, SEALED_CAP};
use super::error::{About, Dialect, Failed};
use super::headers::Told;
use super::iam::{Asker, Token, Tokens};
use super::limit::{Pacer, Place};
use super::said;
use super::sealed::Form;
use super::target::Target;
use super::{Auth, Call, Grant, Identity, Reply, Request, RequestCounts, Wait, Why};
use crate::env::Env;
use crate::model::event::Traffic;

/// The base of LogicMonitor's API behind the origin; it tells its requests from the others.
const LOGICMONITOR: &str = "/santaba/rest";

/// A ready token can't be had anew by us.
const READY_TOKEN_REFUSED: &str = "The ready IAM token has expired, was revoked, or its identity has no policy here. It is never \
     renewed: put a new one where `iam_token` points, or use an API key.";

/// How many requests are under way at once unless told otherwise. Over 50 ms of latency that is 640
/// requests a second, more than the vendors' limits let through for long (contract logicmonitor 7.3), and
/// a third of the streams that HTTP/2 servers commonly take on a connection. More would gain little: the
/// requests that can only follow each other (login, lists by page) take the same time.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(32).expect("it is not zero");

type Watcher = Rc<dyn Fn(Wait)>;
type Listener = Rc<dyn Fn(Traffic)>;
type Logger = Rc<dyn Fn(&Call<'_>)>;

/// The clients, the limiter and the credential cache.
pub struct Transport {
    pub env: Env,
    pub credentials: Credentials,
    pub tokens: Tokens,
    clients: Clients,
    pacer: RefCell<Pacer>,
    /// Places for requests under way.
    places: RefCell<Arc<Semaphore>>,
    /// Told whenever a request came back.
    landed: Notify,
    counts: RefCell<RequestCounts>,
    watcher: RefCell<Option<Watcher>>,
    traffic: Cell<Traffic>,
    listener: RefCell<Option<Listener>>,
    logger: RefCell<Option<Logger>>,
}

/// What sort of request it is.
#[derive(Clone, Copy)]
pub enum Sort<'a> {
    Read,
    /// A read whose reply holds a secret.
    Sealed,
    Mutation,
    /// A login, which carries its credential in a form.
    Login(&'a Form),
}

/// A request under way. Given up or answered, its place is free again.
struct Flight<'a> {
    transport: &'a Transport,
    endpoint: String,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.transport.pacer.borrow_mut().landed(&self.endpoint);
        self.transport.landed.notify_waiters();
    }
}

/// The proof that goes with one attempt.
#[derive(Default)]
struct Ticket {
    header: Option<HeaderValue>,
    iam: Option<Rc<Token>>,
}

impl Transport {
    pub fn new(env: Env) -> Self {
        Self {
            env,
            credentials: Credentials::default(),
            tokens: Tokens::default(),
            clients: Clients::default(),
            pacer: RefCell::default(),
            places: RefCell::new(places(AT_ONCE)),
            landed: Notify::new(),
            counts: RefCell::default(),
            watcher: RefCell::default(),
            traffic: Cell::default(),
            listener: RefCell::default(),
            logger: RefCell::default(),
        }
    }

    pub fn listen(&self, listener: Box<dyn Fn(Traffic)>) {
        *self.listener.borrow_mut() = Some(Rc::from(listener));
    }

    pub fn log(&self, logger: Box<dyn Fn(&Call<'_>)>) {
        *self.logger.borrow_mut() = Some(Rc::from(logger));
    }

    fn called(&self, about: &About<'_>, status: Option<u16>, begun: Timestamp) {
        let logger = self.logger.borrow().clone();
        let Some(logger) = logger else { return };
        let About { object, purpose, method, place, dialect: _ } = *about;
        let took = self.env.clock.now().duration_since(begun).unsigned_abs();
        logger(&Call { object, purpose, method, place, status, took });
    }

    pub fn expects(&self, requests: usize) {
        let traffic = self.traffic.get();
        self.traffic.set(Traffic { expected: traffic.expected + requests as u64, ..traffic });
    }

    fn arrived(&self, told: &Told) {
        let Traffic { answered, expected, .. } = self.traffic.get();
        let traffic = Traffic { answered: answered + 1, expected, left: told.remaining.zip(told.limit) };
        self.traffic.set(traffic);
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            listener(traffic);
        }
    }

    pub fn counts(&self) -> RequestCounts {
        self.counts.borrow().clone()
    }

    pub fn watch(&self, watcher: Box<dyn Fn(Wait)>) {
        *self.watcher.borrow_mut() = Some(Rc::from(watcher));
    }

    /// A random number for jitter.
    pub fn draw(&self) -> u64 {
        self.env.dice.below(u64::MAX)
    }

    /// Waits before another try, and says so.
    pub async fn wait(&self, request: &Request<'_>, failed: &Failed, time: Duration) {
        let why = if failed.seen.status == Some(429) { Why::Throttled } else { Why::Outage };
        self.sleep(request, why, time).await;
    }

    async fn sleep(&self, request: &Request<'_>, why: Why, time: Duration) {
        if time.is_zero() {
            return;
        }
        let watcher = self.watcher.borrow().clone();
        if let Some(watcher) = watcher {
            watcher(Wait { object: request.object.clone(), purpose: request.purpose, time, why });
        }
        self.env.clock.sleep(time).await;
    }

    /// Sends once and decodes the reply.
    pub async fn attempt<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        sort: Sort<'_>,
    ) -> Result<Reply<T>, Failed> {
        let incoming = self.send(request, sort).await?;
        match incoming.body.decode() {
            Ok(body) => Ok(Reply { status: incoming.status, body }),
            Err(malformed) => {
                let place = place(request);
                Err(about(request, sort, &place).malformed(incoming.status, &incoming.told, &malformed))
            }
        }
    }

    /// Sends once; a reply comes back only if it says yes.
    async fn send(&self, request: &Request<'_>, sort: Sort<'_>) -> Result<Incoming, Failed> {
        let place = place(request);
        let about = about(request, sort, &place);
        let target = Target::of(request).map_err(|why| about.not_sent(&why, None))?;
        let _first = match &request.auth {
            Auth::Identity(identity @ (Identity::Lmv1 { .. } | Identity::Bearer(_))) => {
                self.credentials.in_line(identity).await
            }
            _ => None,
        };
        let _flight = self.pace(request, sort, &target).await;
        self.send_now(request, sort, target, &about).await
    }

    async fn send_now(
        &self,
        request: &Request<'_>,
        sort: Sort<'_>,
        target: Target,
        about: &About<'_>,
    ) -> Result<Incoming, Failed> {
        let ticket = self.ticket(request, sort, about).await?;
        self.count(request.purpose);
        let endpoint = target.endpoint.clone();
        let out = outgoing(request, sort, target, ticket.header.clone());
        let begun = self.env.clock.now();
        let came = self.clients.exchange(out, &self.env).await;
        self.called(about, came.as_ref().ok().map(|incoming| incoming.status), begun);
        let failed = match came {
            Ok(incoming) => match self.judge(&incoming, about, &endpoint) {
                None => {
                    self.let_in(request);
                    return Ok(incoming);
                }
                Some(failed) => failed,
            },
            Err(cause) => about.no_reply(&cause),
        };
        if failed.seen.status == Some(403) {
            self.let_in(request);
        }
        Err(self.aftermath(failed, request, &ticket).await)
    }

    fn let_in(&self, request: &Request<'_>) {
        if let Auth::Identity(identity) = &request.auth {
            self.credentials.let_in(identity);
        }
    }

    /// Waits for a place: IBM's mutations are spread by instance (contract ibm 5.8), and what is left of
    /// a rate limit over its window.
    async fn pace(&self, request: &Request<'_>, sort: Sort<'_>, target: &Target) -> Flight<'_> {
        let now = self.env.clock.now();
        if matches!(sort, Sort::Mutation) && request.prefix != LOGICMONITOR {
            let wait = self.pacer.borrow_mut().mutation(&request.object.lane().to_string(), now);
            self.sleep(request, Why::Pacing, wait).await;
        }
        loop {
            let place = self.pacer.borrow_mut().endpoint(&target.endpoint, self.env.clock.now());
            match place {
                Place::Now => return self.takeoff(sort, target).await,
                Place::Later(wait) => self.sleep(request, Why::Pacing, wait).await,
                Place::Landing => self.landed.notified().await,
            }
        }
    }

    /// A login is a part of the request that needs it: that one has the place.
    async fn takeoff(&self, sort: Sort<'_>, target: &Target) -> Flight<'_> {
        let mut flight = Flight { transport: self, endpoint: target.endpoint.clone(), _place: None };
        if !matches!(sort, Sort::Login(_)) {
            let places = Arc::clone(&self.places.borrow());
            // it is never closed
            flight._place = places.acquire_owned().await.ok();
        }
        flight
    }

    pub fn at_most(&self, requests: NonZeroUsize) {
        *self.places.borrow_mut() = places(requests);
    }

    fn count(&self, purpose: &'static str) {
        *self.counts.borrow_mut().0.entry(purpose).or_default() += 1;
    }

    async fn ticket(
        &self,
        request: &Request<'_>,
        sort: Sort<'_>,
        about: &About<'_>,
    ) -> Result<Ticket, Failed> {
        if matches!(sort, Sort::Login(_)) {
            return Ok(Ticket::default());
        }
        let plain = |header| Ticket { header: Some(header), iam: None };
        let header = match &request.auth {
            Auth::Value(value) => auth::bearer(value),
            Auth::Signed { access_id, access_key } => {
                auth::signature(access_id, access_key, request, &self.env)
            }
            Auth::Identity(identity @ Identity::Iam { origin, grant }) => {
                let mutating = matches!(sort, Sort::Mutation);
                let asker = Asker { identity, origin, grant, object: request.object, mutating };
                let token = self.iam_token(&asker).await?;
                let header = auth::bearer(&token.value).map_err(|f| about.no_credential(&f))?;
                return Ok(Ticket { header: Some(header), iam: Some(token) });
            }
            Auth::Identity(identity) => {
                if let Some(story) = self.credentials.refusal(identity) {
                    return Err(about.not_sent(&format!("the credential was refused before: {story}"), None));
                }
                self.credentials.header(identity, request, &self.env).await
            }
        };
        header.map(plain).map_err(|finding| about.no_credential(&finding))
    }

    /// Learns from a reply, and says why it is a no if it is one.
    fn judge(&self, incoming: &Incoming, about: &About<'_>, endpoint: &str) -> Option<Failed> {
        let now = self.env.clock.now();
        let Incoming { status, told, body } = incoming;
        self.pacer.borrow_mut().heard(endpoint, told, *status != 429, now);
        self.arrived(told);
        let success = (200..300).contains(status);
        if success && (about.dialect != Dialect::LogicMonitor || !said::may_be_error(body.as_slice())) {
            return None;
        }
        let said = said::read(body.as_slice());
        if success && !said.api_v1 && !said.error_code {
            return None;
        }
        let failed = about.answered(*status, told, said, now);
        if let (Some(429), Some(wait)) = (failed.seen.status, failed.seen.asked) {
            self.pacer.borrow_mut().hold(endpoint, wait, now);
        }
        Some(failed)
    }

    /// What follows a failure: refused credentials are stopped or renewed, values leave the texts.
    async fn aftermath(&self, failed: Failed, request: &Request<'_>, ticket: &Ticket) -> Failed {
        let mut failed = failed.scrubbed(|text| self.scrub(request, ticket, text));
        if failed.seen.status != Some(401) {
            return failed;
        }
        match (&request.auth, &ticket.iam) {
            (Auth::Identity(identity), Some(token)) => {
                failed.renewable = self.tokens.forget(identity, token).await;
                if let Identity::Iam { grant: Grant::Token(_), .. } = identity {
                    failed.error.finding.help = Some(READY_TOKEN_REFUSED.into());
                }
            }
            (Auth::Identity(identity @ (Identity::Lmv1 { .. } | Identity::Bearer(_))), None) => {
                self.credentials.refuse(identity, &failed.error.finding.message);
            }
            _ => {}
        }
        failed
    }

    fn scrub(&self, request: &Request<'_>, ticket: &Ticket, text: &str) -> String {
        let text = ticket.iam.as_ref().map_or(text.to_owned(), |token| auth::scrub(&token.value, text));
        match &request.auth {
            Auth::Identity(identity) => self.credentials.scrub(identity, &text),
            Auth::Value(value) | Auth::Signed { access_key: value, .. } => auth::scrub(value, &text),
        }
    }
}

fn places(requests: NonZeroUsize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(requests.get().min(Semaphore::MAX_PERMITS)))
}

fn place(request: &Request<'_>) -> String {
    let host = request.origin.split_once("://").map_or(request.origin, |(_, host)| host);
    let host = host.rsplit('@').next().unwrap_or(host).trim_end_matches('/');
    format!("{host}{}{}", request.prefix, request.path)
}

fn about<'a>(request: &'a Request<'_>, sort: Sort<'_>, place: &'a str) -> About<'a> {
    let dialect = match sort {
        Sort::Login(_) => Dialect::Iam,
        _ if request.prefix == LOGICMONITOR => Dialect::LogicMonitor,
        _ => Dialect::Ibm,
    };
    About { object: request.object, purpose: request.purpose, method: request.method, place, dialect }
}

fn outgoing<'a>(
    request: &'a Request<'_>,
    sort: Sort<'_>,
    target: Target,
    authorization: Option<HeaderValue>,
) -> Outgoing<'a> {
    let (content_type, body) = match sort {
        Sort::Login(form) => ("application/x-www-form-urlencoded", Some(form.as_slice().to_vec())),
        _ => ("application/json", request.body.as_ref().map(|body| body.clone().into_bytes())),
    };
    Outgoing {
        method: request.method,
        url: target.url,
        loopback: target.loopback,
        authorization,
        headers: &request.headers,
        content_type,
        body,
        // a read that a stale connection loses is read again
        fresh: matches!(sort, Sort::Mutation | Sort::Login(_)),
        cap: if matches!(sort, Sort::Read) { LIST_CAP } else { SEALED_CAP },
    }
}
