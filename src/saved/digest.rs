//! What a plan is bound to: digests over the JSON of the spec and of the live digests.

use serde::Serialize;

use crate::model::secret::{Digest, DigestKey};
use crate::model::step::Expect;
use crate::provider::state::Desired;

/// The digest of a validated spec: layout and comments of its files don't count, secret values are
/// never in it.
pub fn spec_digest(desired: &Desired, key: &DigestKey) -> Digest {
    key.digest("spec", &bytes(desired))
}

/// The digest of all live digests of a plan, in the plan's order.
pub fn live_digest(live: &[Expect], key: &DigestKey) -> Digest {
    key.digest("live", &bytes(&live))
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, integers, lists and maps with text keys")
}
