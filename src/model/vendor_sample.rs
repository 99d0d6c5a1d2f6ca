//! Requests and replies of the vendors' documentation, for tests: `tests/vendor/NAME.json`. The client
//! and the sandbox are both held to them, and know nothing else of each other.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One call. Ids, keys and names are invented.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorSample {
    /// The section of the contract that it was written from.
    pub contract: String,
    pub request: SampleRequest,
    pub reply: SampleReply,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleRequest {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Without `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleReply {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl VendorSample {
    pub fn load(name: &str) -> Self {
        let path = format!("{}/tests/vendor/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The names of all samples.
    pub fn names() -> Vec<String> {
        let folder = format!("{}/tests/vendor", env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let names = entries.filter_map(|name| name.to_str()?.strip_suffix(".json").map(str::to_owned));
        let mut names: Vec<_> = names.filter(|name| name != "lmv1_third_party").collect();
        names.sort();
        names
    }

    pub fn path(&self) -> &str {
        self.request.target.split('?').next().unwrap_or_default()
    }

    /// The query's pairs as sent, in any order.
    pub fn query(&self) -> Vec<&str> {
        pairs(&self.request.target)
    }
}

/// The pairs of a target's query, sorted.
pub fn pairs(target: &str) -> Vec<&str> {
    let mut pairs: Vec<_> = target.split_once('?').map(|(_, q)| q.split('&').collect()).unwrap_or_default();
    pairs.sort_unstable();
    pairs
}
