//! The power to look.

use std::num::NonZeroUsize;
use std::rc::Rc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::transport::{Sort, Transport};
use super::{Call, HttpError, Identity, Reply, Request, RequestCounts, Wait, retry};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::event::Traffic;
use crate::model::finding::Finding;
use crate::model::secret::Secret;

/// The power to look.
#[derive(Clone)]
pub struct Reader {
    pub(super) transport: Rc<Transport>,
}

impl Reader {
    pub fn new(env: Env) -> Self {
        Self { transport: Rc::new(Transport::new(env)) }
    }

    /// Reads JSON. Repeats on network errors, 429 and 5xx as the contracts allow for reads, and once
    /// with a new IAM token after a 401.
    pub async fn get<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<Reply<T>, HttpError> {
        self.read(&request, Sort::Read).await
    }

    /// Reads JSON that holds a secret: through a capped, wiped buffer; errors say category, line and
    /// column only.
    pub async fn get_sealed<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<Reply<T>, HttpError> {
        self.read(&request, Sort::Sealed).await
    }

    /// The time that requests are signed by.
    pub fn now(&self) -> Timestamp {
        self.transport.env.clock.now()
    }

    /// How many requests left so far, by what they were for.
    pub fn stats(&self) -> RequestCounts {
        self.transport.counts()
    }

    /// Lets so many requests be under way at once, from now on. A login waits with the request that
    /// asked for it and counts as a part of it.
    pub fn at_most(&self, requests: NonZeroUsize) {
        self.transport.at_most(requests);
    }

    /// Tells of every wait from now on, as it begins.
    pub fn on_wait(&self, watcher: Box<dyn Fn(Wait)>) {
        self.transport.watch(watcher);
    }

    /// Tells of every request from now on, when it came back or got no reply.
    pub fn on_call(&self, logger: Box<dyn Fn(&Call<'_>)>) {
        self.transport.log(logger);
    }

    /// Tells of every reply from now on.
    pub fn on_reply(&self, listener: Box<dyn Fn(Traffic)>) {
        self.transport.listen(listener);
    }

    /// So many more requests are to come: for those who are told how far they are.
    pub fn expects(&self, requests: usize) {
        self.transport.expects(requests);
    }

    /// The LMv1 access id of an identity, which is no secret; `None` for other identities.
    pub async fn caller_access_id(
        &self,
        about: &Address,
        identity: &Identity,
    ) -> Result<Option<String>, Box<Finding>> {
        let Identity::Lmv1 { access_id, .. } = identity else {
            return Ok(None);
        };
        self.transport.credentials.access_id(access_id, about, &self.transport.env).await.map(Some)
    }

    /// Whether the masked row of a list may be the bearer token of an identity: its first characters
    /// are the same. The value never leaves; `false` for other identities.
    pub async fn matches_identity_prefix(
        &self,
        about: &Address,
        identity: &Identity,
        masked: &Secret,
    ) -> Result<bool, Box<Finding>> {
        let Identity::Bearer(token) = identity else {
            return Ok(false);
        };
        self.transport.credentials.is_prefix(token, masked, about, &self.transport.env).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        sort: Sort<'_>,
    ) -> Result<Reply<T>, HttpError> {
        let mut renewed = false;
        let mut tries = 1;
        loop {
            let failed = match self.transport.attempt(request, sort).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            if failed.renewable && !renewed {
                renewed = true;
                continue;
            }
            match retry::read(failed.seen, tries, self.transport.draw()) {
                Some(wait) => self.transport.wait(request, &failed, wait).await,
                None => return Err(failed.after(tries)),
            }
            tries += 1;
        }
    }
}
