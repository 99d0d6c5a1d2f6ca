//! Makes ids and secret values: the same ones for the same world, so that runs are reproducible.
//!
//! Every secret value holds [`MARKER`]. Search the tool's outputs for it: it may be found at a
//! destination and nowhere else.

use serde::{Deserialize, Serialize};

use crate::env::Dice;

/// Stands in every secret value that the sandbox mints. Eight characters, so that it can be the
/// first group of a UUID-like team key.
pub const MARKER: &str = "tfcanary";

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// What published LMv1 keys are made of, and the quoting traps of shells, dotenv and YAML.
const KEY_CHARS: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789=^~(){}[]+_$!%*&-";
/// One of these runs stands in each LMv1 access key.
const TRAPS: [&str; 4] = ["$Lq!w7_{eZ}~^[+ =", "'#\"$(x) \\n`y`", "\" # ${A}'%s;|>", "=T(9x]f4$ !1 {](%"];
const BASE64_CHARS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The counter behind all minted values; part of the kept world.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mint {
    /// Two worlds of different seeds have different values.
    pub seed: u64,
    /// How many values were minted; none is minted twice.
    pub count: u64,
}

impl Mint {
    fn dice(&mut self) -> Dice {
        self.count += 1;
        Dice::seeded(self.seed.rotate_left(32) ^ self.count.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// A UUID that is not secret: GUIDs, transaction ids.
    pub fn uuid(&mut self) -> String {
        self.dice().uuid()
    }

    /// Lower-case hex, not secret.
    pub fn hex(&mut self, length: usize) -> String {
        let (a, b) = (self.dice().nonce(), self.dice().nonce());
        format!("{a}{b}").chars().take(length).collect()
    }

    /// A Sysdig API token or agent access key: UUID-like, the marker as its first group.
    pub fn sysdig_key(&mut self) -> String {
        let uuid = self.dice().uuid();
        format!("{MARKER}{}", &uuid[8..])
    }

    /// An IBM Cloud API key: 44 characters.
    pub fn api_key(&mut self) -> String {
        let dice = self.dice();
        format!("{}{MARKER}{}", draw(&dice, ALPHANUMERIC, 20), draw(&dice, ALPHANUMERIC, 16))
    }

    /// An LMv1 access id: 20 alphanumerics, not secret.
    pub fn access_id(&mut self) -> String {
        draw(&self.dice(), ALPHANUMERIC, 20)
    }

    /// An LMv1 access key: 40 characters of which many need quoting somewhere. The marker stands
    /// behind the 20 characters that a masked key still shows.
    pub fn access_key(&mut self) -> String {
        let trap = TRAPS[usize::try_from(self.count % 4).unwrap_or(0)];
        let dice = self.dice();
        let head = draw(&dice, KEY_CHARS, 19 - trap.len());
        format!("={head}{trap}{}{MARKER}{}", draw(&dice, KEY_CHARS, 10), draw(&dice, ALPHANUMERIC, 2))
    }

    /// A bearer token: `lmb_` and base64-like text, over 100 characters.
    pub fn bearer(&mut self) -> String {
        let dice = self.dice();
        let (head, tail) = (draw(&dice, BASE64_CHARS, 40), draw(&dice, BASE64_CHARS, 60));
        format!("lmb_{head}+/{MARKER}{tail}==")
    }
}

fn draw(dice: &Dice, alphabet: &[u8], length: usize) -> String {
    let len = alphabet.len() as u64;
    (0..length).map(|_| char::from(alphabet[usize::try_from(dice.below(len)).unwrap_or(0)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_marked_reproducible_and_never_twice_the_same() {
        let (mut a, mut b) = (Mint { seed: 7, count: 0 }, Mint { seed: 7, count: 0 });
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..50 {
            for (x, y) in [
                (a.sysdig_key(), b.sysdig_key()),
                (a.access_key(), b.access_key()),
                (a.bearer(), b.bearer()),
                (a.api_key(), b.api_key()),
            ] {
                assert_eq!(x, y);
                assert!(x.contains(MARKER));
                assert!(seen.insert(x));
            }
        }
        assert_ne!(Mint { seed: 8, count: 0 }.api_key(), Mint { seed: 7, count: 0 }.api_key());
    }

    #[test]
    fn shapes_are_the_vendors() {
        let mut mint = Mint::default();
        for _ in 0..8 {
            let key = mint.access_key();
            assert_eq!(key.len(), 40, "{key}");
            assert!(key.find(MARKER).unwrap() >= 20 && !key.ends_with(['{', '"', ' ']));
            assert!(mint.bearer().len() > 100);
            assert_eq!(mint.access_id().len(), 20);
            assert_eq!(mint.sysdig_key().len(), 36);
            assert_eq!(mint.api_key().len(), 44);
        }
    }
}
