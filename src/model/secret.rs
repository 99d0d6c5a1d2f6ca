//! A value that can be used but not shown, and the keyed digests that stand for it.
//!
//! [`Secret`] has no `Debug`, `Display`, `Clone`, `PartialEq` or `Serialize`, so no formatter,
//! log line, panic message or JSON document can hold its value. It is wiped on drop.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret value in memory.
///
/// ```compile_fail
/// let secret = tokenform::model::secret::Secret::new(b"x".to_vec());
/// println!("{secret:?}");
/// ```
///
/// ```compile_fail
/// let secret = tokenform::model::secret::Secret::new(b"x".to_vec());
/// let copy = secret.clone();
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(value: Vec<u8>) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Lends the bytes to a closure. Called only where the value must leave memory: a request's
    /// header or body, and a destination.
    pub fn expose<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R {
        with(&self.0)
    }

    /// HMAC-SHA256 of `message` with the secret as the key.
    pub fn hmac_sha256(&self, message: &[u8]) -> [u8; 32] {
        ended(keyed(&self.0), &[message])
    }

    /// Whether both hold the same value, for tests.
    #[cfg(test)]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(other.0.iter()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value begins with a public marker such as `lmb_`.
    pub fn starts_with(&self, marker: &str) -> bool {
        self.0.starts_with(marker.as_bytes())
    }

    /// Whether the value looks masked: vendors put runs of `*` where a secret was.
    pub fn looks_masked(&self) -> bool {
        self.0.windows(3).any(|w| w == b"***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret text")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
                Ok(Secret::new(value.as_bytes().to_vec()))
            }
            fn visit_string<E: de::Error>(self, value: String) -> Result<Secret, E> {
                Ok(Secret::new(value.into_bytes()))
            }
        }
        deserializer.deserialize_string(Visitor)
    }
}

/// The state's key: fingerprints, digests and seals are HMAC-SHA256 under it, so that a
/// low-entropy value can't be guessed from what is stored.
pub struct DigestKey {
    /// What has taken up the key and nothing else; wiped on drop, as each copy of it is.
    keyed: Hmac<Sha256>,
    id: String,
}

impl DigestKey {
    /// A key of 32 bytes. Its id is a public digest that tells two keys apart.
    pub fn new(key: Secret) -> Self {
        let keyed = keyed(&key.0);
        let id = hex(&ended(keyed.clone(), &[b"tokenform key id"])[..8]);
        Self { keyed, id }
    }

    /// Which key it is; safe to print and to store.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The keyed digest of some bytes. `purpose` keeps digests of different things apart.
    pub fn digest(&self, purpose: &str, bytes: &[u8]) -> Digest {
        self.of(purpose).and(bytes).end()
    }

    /// A digest whose bytes come in parts, and of which many can begin with the same ones.
    pub fn of(&self, purpose: &str) -> Digesting {
        Digesting(self.keyed.clone()).and(purpose.as_bytes()).and(b"\0")
    }

    /// The keyed fingerprint of a secret: equal values have equal fingerprints under one key.
    pub fn fingerprint(&self, secret: &Secret) -> Fingerprint {
        Fingerprint(self.digest("fingerprint", &secret.0).0)
    }
}

/// A digest that more bytes may be added to.
#[derive(Clone)]
pub struct Digesting(Hmac<Sha256>);

impl Digesting {
    #[must_use]
    pub fn and(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    pub fn end(self) -> Digest {
        Digest(hex(&ended(self.0, &[])))
    }
}

/// HMAC-SHA256 of some bytes under the state's key, in lower-case hex.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Digest(String);

/// HMAC-SHA256 of a secret under the state's key, in lower-case hex.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Fingerprint(String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Fingerprint {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits: enough for people to tell two values apart.
    pub fn short(&self) -> Cow<'_, str> {
        self.0.get(..8).unwrap_or(&self.0).into()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// HMAC-SHA256 over the parts laid end to end.
fn ended(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// SHA-256 of public bytes, in lower-case hex. Secrets are fingerprinted under a key instead.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_rfc_4231_case_2() {
        let key = Secret::new(b"Jefe".to_vec());
        assert_eq!(
            hex(&key.hmac_sha256(b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn digests_of_different_purposes_and_keys_differ() {
        let a = DigestKey::new(Secret::new(vec![1; 32]));
        let b = DigestKey::new(Secret::new(vec![2; 32]));
        assert_ne!(a.digest("x", b"y"), a.digest("z", b"y"));
        assert_ne!(a.digest("x", b"y"), b.digest("x", b"y"));
        assert_ne!(a.id(), b.id());
    }
}
