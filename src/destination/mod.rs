//! Where new secrets go: [`probe`] before the first mutation, [`deliver`] after it.
//!
//! A probe never writes to the key that consumers read. A delivery happens whole or not at all, and
//! neither its receipt nor its error holds the value.

mod command;
mod dotenv;
mod file;
mod json;
mod trouble;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::trouble::DestinationError;
use self::trouble::Trouble;
use crate::env::{Env, Point};
use crate::model::address::Address;
use crate::model::secret::{DigestKey, Fingerprint, Secret};
use crate::model::step::Delivery;
use crate::model::vocabulary::Period;
use crate::state::StateDir;

/// Where new secrets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// A file, replaced as a whole. A new one has mode 0600; one that is there keeps its owner, its
    /// group and its mode, except that others lose access.
    File(FileDestination),
    /// A program that takes the value on standard input.
    Command(CommandDestination),
}

/// A file that takes values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDestination {
    /// Relative to the file that names it. Missing folders are not created.
    pub path: PathBuf,
    pub format: FileFormat,
}

/// How a file holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// The value alone, no line end added.
    Raw,
    /// `KEY='value'` lines; other lines are kept as they are.
    Dotenv,
    /// One JSON object; other keys are kept as they are.
    Json,
}

/// A program that takes values: each on its standard input, the names in its environment as
/// `TOKENFORM_DELIVER_ADDRESS`, `TOKENFORM_DELIVER_KEY` and, for an id, `TOKENFORM_DELIVER_ID_KEY`
/// and `TOKENFORM_DELIVER_ID`. Never in its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandDestination {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// A program that exits with 0 when the destination can take a value. Without it the program
    /// of `run` is only looked up, and the destination counts as not probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Vec<String>>,
    /// How long either may run. Default 60s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
}

/// A new value on its way to one destination.
pub struct Handover<'a> {
    /// Whose value it is.
    pub address: &'a Address,
    /// The key that takes the value.
    pub key: Option<&'a str>,
    pub value: &'a Secret,
    /// The key that takes the id, written in the same atomic write.
    pub id_key: Option<&'a str>,
    /// The id of an id-and-key pair; no secret.
    pub id: Option<&'a str>,
}

/// One key and the value that it takes.
struct Entry<'a> {
    key: &'a str,
    value: &'a Secret,
}

/// Where a value went, for people: `written to secrets/ops.env`. Secret-free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub text: String,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    Writable,
    /// Nobody could tell without delivering; why.
    NotProbed(String),
}

/// Whether a destination may have this name. It becomes the name of a file, so that it must never
/// lead to another folder.
pub fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=100).contains(&name.len()) && name.bytes().all(good) && !name.starts_with('.')
}

/// Whether a delivery's keys are ones that the destination can hold; the reason if not. Pure: for
/// `validate` and `plan`, so that nothing is issued that could not be written.
pub fn fits(destination: &Destination, delivery: &Delivery) -> Result<(), String> {
    match destination {
        Destination::File(file) => file::fits(file, delivery.key.as_deref(), delivery.id_key.as_deref()),
        Destination::Command(_) => Ok(()),
    }
}

/// Whether the destination can take a value now, as far as that shows without delivering one.
pub async fn probe(name: &str, destination: &Destination, env: &Env) -> Result<Probed, DestinationError> {
    let probed = match destination {
        Destination::File(file) => file::probe(file).map(|()| Probed::Writable),
        Destination::Command(command) => command::probe(command, env).await,
    };
    probed.map_err(|trouble| trouble.named(name))
}

/// Brings a value to the destination, under its lock in this process and on disk.
pub async fn deliver(
    name: &str,
    destination: &Destination,
    what: &Handover<'_>,
    state: &StateDir,
    env: &Env,
) -> Result<Receipt, DestinationError> {
    let stopped = |error: std::io::Error| Trouble::new(error.to_string()).named(name);
    env.points.pass(Point::HandingOver(name)).map_err(stopped)?;
    let receipt = match destination {
        Destination::File(file) => file::deliver(file, what, state, env).await,
        Destination::Command(command) => command::deliver(name, command, what, state, env).await,
    };
    let receipt = receipt.map_err(|trouble| trouble.named(name))?;
    env.points.pass(Point::HandedOver(name)).map_err(stopped)?;
    Ok(receipt)
}

/// Whether a destination can be asked what it holds.
pub fn reads_back(destination: &Destination) -> bool {
    match destination {
        Destination::File(_) => true,
        Destination::Command(_) => false,
    }
}

/// Whether the slot of a delivery holds the value with this fingerprint now. `None`: the destination
/// can't be read back. Who was killed between a write and its record is told apart by it.
pub fn holds(
    destination: &Destination,
    delivery: &Delivery,
    fingerprint: &Fingerprint,
    key: &DigestKey,
) -> Option<bool> {
    match destination {
        Destination::File(file) => {
            let value = file::value(file, delivery.key.as_deref())?;
            Some(value.is_some_and(|value| key.fingerprint(&value) == *fingerprint))
        }
        Destination::Command(_) => None,
    }
}

/// The name of a lock file, from what the lock is of.
fn lock_name(kind: &str, of: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(of);
    format!("{kind}-{}", crate::model::secret::hex(&digest[..8]))
}
