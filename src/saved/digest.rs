//! What a plan is bound to: digests over the JSON of the spec and of the live digests.

use serde::Serialize;

use crate::model::secret::{Digest, DigestKey};
use crate::model::step::Expect;

/// The digest of a validated spec, from the JSON of its wish as written: layout and comments of its
/// files and where they lie don't count, secret values are never in it.
pub fn spec_digest(written: &[u8], key: &DigestKey) -> Digest {
    key.digest("spec", written)
}

/// The digest of all live digests of a plan, in the plan's order.
pub fn live_digest(live: &[Expect], key: &DigestKey) -> Digest {
    key.digest("live", &bytes(&live))
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, integers, lists and maps with text keys")
}
