//! What a plan is bound to besides live state: the digest of its spec.

use crate::model::secret::{Digest, DigestKey};

/// The digest of a validated spec, from the JSON of its wish as written: layout and comments of its
/// files and where they lie don't count, secret values are never in it.
pub fn spec_digest(written: &[u8], key: &DigestKey) -> Digest {
    key.digest("spec", written)
}
