//! What tokens of all vendors are written with in YAML: rotation and delivery.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::given::{Duration, Given, Instant};

/// How old a token may be and how it is replaced. Both conditions are on the time it was issued.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    /// The token is no older than this. Must exceed `overlap` and `soak` together.
    pub max_age: Given<Duration>,
    /// The token was issued after this instant: the lever after an incident. Not later than now.
    pub issued_after: Given<Instant>,
    /// Shown with the change's reason and kept in the ledger.
    pub rationale: Given<String>,
    /// How long the old and the new token both work (LogicMonitor). Default 24h.
    pub overlap: Given<Duration>,
    /// How long the old token must have been unused before it is disabled (LogicMonitor). Default 24h.
    pub idle: Given<Duration>,
    /// How long a disabled old token is kept before it is deleted (LogicMonitor). Default 7d.
    pub soak: Given<Duration>,
    /// How the old and the new token meet (LogicMonitor). Default overlap. `replace` is an outage: the old
    /// token is deleted before the new one is made.
    pub strategy: Given<Strategy>,
    /// States that every consumer used the new token by this instant (LogicMonitor). The way on when an
    /// old token was brought back because it was still in use. Not later than now.
    pub consumers_moved: Given<Instant>,
    /// States when a token of unknown age was issued.
    pub assume_issued: Given<Instant>,
}

/// How an old and a new token meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The new one is created beside the old one, which is retired later.
    Overlap,
    /// The old one is deleted first: an outage.
    Replace,
}

/// One place that takes a new value.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["to"]))]
pub struct Deliver {
    /// The destination's name under `destinations`.
    pub to: Given<String>,
    /// The key that takes the secret value: needed for dotenv and json, never for raw.
    pub key: Given<String>,
    /// The key that takes the id of an LMv1 token, written in the same atomic write.
    pub id_key: Given<String>,
}
