//! How the IBM side of a world behaves where the contract leaves it open, or where it hurts.

use serde::{Deserialize, Serialize};

use crate::model::vocabulary::Period;

/// The sandbox's own reset call.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenReset {
    pub method: String,
    /// May hold `{team_id}` and `{username}`.
    pub path: String,
    /// Whether the reply shows the new key; otherwise it is a 204.
    pub shows_key: bool,
    /// Whether the tokens of all members die, or only the identity's.
    pub whole_team: bool,
}

impl Default for TokenReset {
    fn default() -> Self {
        let (method, path) = ("POST".to_owned(), "/sandbox-invented/api/token/reset".to_owned());
        Self { method, path, shows_key: true, whole_team: false }
    }
}

/// The person at the console. Asked by `POST /__sandbox/operator/watch {instance, team}` or by
/// `Running::operator_watch`; each request resets one team's key once, `resets_after` later on
/// the sandbox's clock. A `plan` asks nobody, so it resets nothing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    pub resets_after: Period,
    /// Also start when one IAM token has read the key of one team this often. A plan reads a key
    /// once or twice; only a tool that polls comes this far. Left out: only on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_reads: Option<u32>,
}

/// How IAM behaves.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Iam {
    pub lifetime: Period,
    /// A trusted profile that a compute-resource token may take on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_profile: Option<TrustedProfile>,
}

impl Default for Iam {
    fn default() -> Self {
        Self { lifetime: Period::hours(1), trusted_profile: None }
    }
}

/// A trusted profile and the compute-resource token that is accepted for it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustedProfile {
    pub id: String,
    pub name: String,
    /// Minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cr_token: Option<String>,
}

/// What a PATCH of `parameters` does with keys that it leaves out (contract ibm 2.5: sources conflict).
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterRule {
    /// GET shows the last request only; the broker keeps what was set earlier.
    #[default]
    LastRequest,
    /// Keys left out go away, in GET and in effect.
    Replace,
    /// Keys left out stay.
    Merge,
}

/// How an update runs.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Update {
    /// How many GETs still show `in progress`; 0 answers 200 and is done at once.
    pub async_polls: u32,
    /// The operation ends as `failed`, and nothing has changed.
    pub fails: bool,
    /// Time from success to enforcement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_after: Option<Period>,
}

/// How the Sysdig API behaves.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sysdig {
    /// The names of the team header that are honoured; others are ignored, as the vendor does.
    pub team_headers: Vec<String>,
    /// The status of a refusal under `IAM_ONLY`: the documents give the body alone.
    pub refusal: u16,
    /// Whether the reset call works under `IAM_ONLY`.
    pub reset_while_locked: bool,
}

impl Default for Sysdig {
    fn default() -> Self {
        let team_headers = vec!["SysdigTeamID".to_owned(), "TeamID".to_owned()];
        Self { team_headers, refusal: 403, reset_while_locked: false }
    }
}
