//! The power to change.

use serde::de::DeserializeOwned;

use super::transport::Sort;
use super::{HttpError, Reader, Reply, Request, retry};

/// The power to change. Made only by `apply::power`, from an admitted plan.
pub struct Writer {
    reader: Reader,
}

impl Writer {
    pub fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// A writer without a plan.
    #[cfg(test)]
    pub(crate) fn for_test(reader: Reader) -> Self {
        Self { reader }
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Sends one mutation, once; again only where the connection was refused, so that surely nothing
    /// was sent. The reply's body is read sealed: it may hold a new secret. `T` must accept an empty
    /// body as `null` where the vendor may send none.
    pub async fn mutate<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<Reply<T>, HttpError> {
        let transport = &self.reader.transport;
        let mut tries = 1;
        loop {
            let failed = match transport.attempt(&request, Sort::Mutation).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            match retry::mutation(failed.seen, tries, transport.draw()) {
                Some(wait) => transport.wait(&request, &failed, wait).await,
                None => return Err(failed.after(tries)),
            }
            tries += 1;
        }
    }
}
