//! One way to talk HTTP: who may send what, how a request is made, how a failure is told.
//!
//! [`Reader`] can look, [`Writer`] can change; no one holds a `Writer` without an admitted plan.

mod auth;
mod clients;
mod error;
mod headers;
mod iam;
mod limit;
pub mod lmv1;
mod reader;
mod retry;
mod said;
mod sealed;
mod target;
pub use target::on_this_machine;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod writer;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::address::Address;
use crate::model::finding::Finding;
use crate::model::secret::Secret;
use crate::model::vocabulary::SecretRef;

pub use reader::Reader;
pub use writer::Writer;

/// Who a connection is. Its values are resolved when first needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// An IAM token, granted by `origin` (contract ibm 1).
    Iam { origin: String, grant: Grant },
    /// Each request is signed (contract logicmonitor 2).
    Lmv1 { access_id: SecretRef, access_key: SecretRef },
    /// A bearer token as it is.
    Bearer(SecretRef),
}

/// How an IAM token is had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    ApiKey(SecretRef),
    /// A ready token, used until its own expiry and never refreshed.
    Token(SecretRef),
    TrustedProfile {
        cr_token: SecretRef,
        id: Option<String>,
        name: Option<String>,
    },
}

/// What a request authenticates with.
pub enum Auth<'a> {
    Identity(&'a Identity),
    /// A value just read or issued, tried once: `Authorization: Bearer VALUE`.
    Value(&'a Secret),
    /// An id and key just issued, tried once with an LMv1 signature.
    Signed {
        access_id: &'a str,
        access_key: &'a Secret,
    },
}

/// A request. `path` is decoded; the client encodes what it sends and LMv1 signs the decoded
/// path behind `prefix` (contract logicmonitor 2.3).
pub struct Request<'a> {
    /// The object it is about, for errors.
    pub object: &'a Address,
    /// What it is for, for errors: "read the team's token".
    pub purpose: &'static str,
    pub auth: Auth<'a>,
    pub method: &'a str,
    /// Scheme, host and port.
    pub origin: &'a str,
    /// The part of the path that is not signed: `/santaba/rest`, or nothing.
    pub prefix: &'static str,
    pub path: &'a str,
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
    /// The exact bytes to send, and to sign. Never holds a secret.
    pub body: Option<String>,
}

/// A reply whose body was read whole and is JSON of type `T`.
#[derive(Debug)]
pub struct Reply<T> {
    pub status: u16,
    pub body: T,
}

/// Whether a failed request may have reached the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Surely not: the connection was refused.
    No,
    Maybe,
    /// The vendor answered.
    Yes,
}

/// A request that brought no usable reply. Says what, where, which status, the vendor's own code
/// and the correlation id; never a body that was not recognised, never a URL with a secret.
#[derive(Clone, Debug)]
pub struct HttpError {
    pub sent: Sent,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The vendor's own code: `BXNIM0415E`, `1401`, `RC-ServiceBrokerErrorResponse`.
    pub code: Option<String>,
    /// The vendor's own words, unwrapped from broker envelopes and capped.
    pub message: Option<String>,
    /// `errors[0].reason` of a Sysdig body, where there is one.
    pub reason: Option<String>,
    /// How long the vendor asked to wait, after a 429 or 503.
    pub retry_after: Option<Duration>,
    /// The whole story for the user.
    pub finding: Box<Finding>,
}

/// How many requests left, by what they were for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts(pub BTreeMap<&'static str, u64>);

impl RequestCounts {
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// A request that came back, or that got no reply.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub object: &'a Address,
    pub purpose: &'a str,
    pub method: &'a str,
    /// Host and path, without the query.
    pub place: &'a str,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    pub took: Duration,
}

/// A wait that was chosen, told as it begins.
#[derive(Clone, Debug)]
pub struct Wait {
    pub object: Address,
    pub purpose: &'static str,
    pub time: Duration,
    pub why: Why,
}

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The vendor answered that there were too many requests.
    Throttled,
    /// No reply, or one that tells of an outage.
    Outage,
    /// So that the rate limit is not reached.
    Pacing,
}
