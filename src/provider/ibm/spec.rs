//! IBM connections, instances and teams as YAML writes them. Validated by `spec::ibm`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::state::{AuthMode, OtherTeams, Service};
use crate::model::given::{Duration, Entries, Given, Items};
use crate::model::vocabulary::SecretRef;
use crate::provider::spec::{Deliver, Rotate};

/// One IBM Cloud account reached with one credential.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "IbmConnection")]
pub struct Connection {
    /// How the connection proves who it is.
    pub credential: Given<Credential>,
    /// The account id that the credential must belong to; checked before anything else.
    pub account: Given<String>,
    /// Origins that replace the vendor's own: private networks, tests, the sandbox.
    pub endpoints: Given<Endpoints>,
    /// Narrows instance names: a resource group's id.
    pub resource_group: Given<String>,
    /// How a team's token is reset. Default guided.
    pub token_reset: Given<TokenReset>,
    /// Instances by name.
    pub instances: Entries<Instance>,
}

/// An IBM credential: one of its forms.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "IbmCredential")]
pub enum Credential {
    /// An IBM Cloud API key, exchanged for IAM tokens.
    ApiKey(Given<SecretRef>),
    /// A ready IAM access token: used until it expires, never refreshed.
    IamToken(Given<SecretRef>),
    /// A trusted profile, reached with a compute resource's token.
    TrustedProfile(Given<TrustedProfile>),
}

/// A trusted profile named by id or by name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrustedProfile {
    /// Where the compute resource's token is found.
    pub cr_token: Given<SecretRef>,
    pub id: Given<String>,
    pub name: Given<String>,
}

/// Origins: scheme, host and port, no path. Plain `http://` only for loopback.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoints {
    pub iam: Given<String>,
    pub resource_controller: Given<String>,
    pub monitoring: Given<String>,
    pub workload_protection: Given<String>,
}

/// How a team's token is reset: `guided`, `{ guided: { timeout: 30m } }`, or the call that a console
/// was seen to make, `{ method: POST, path: /api/token/reset }`.
#[derive(Clone, Debug)]
pub enum TokenReset {
    /// A person presses the button.
    Guided,
    /// What was written as a map; exactly one of the two forms is right.
    Written(TokenResetMap),
}

/// Both map forms of a reset together.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TokenResetMap {
    pub guided: Given<Guided>,
    pub method: Given<String>,
    pub path: Given<String>,
    pub expect: Items<u16>,
}

/// A guided reset's settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guided {
    /// How long to wait for the person, at least 10s. Default 30m.
    pub timeout: Given<Duration>,
}

const RESET_KEYS: &[&str] = &["guided", "method", "path", "expect"];

impl<'de> Deserialize<'de> for TokenReset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = TokenReset;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`guided`, or a map with `method` and `path`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TokenReset, E> {
                match text {
                    "guided" => Ok(TokenReset::Guided),
                    _ => {
                        Err(E::unknown_variant(text, &["guided", "{ guided: … }", "{ method: …, path: … }"]))
                    }
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TokenReset, A::Error> {
                TokenResetMap::deserialize(MapAccessDeserializer::new(map)).map(TokenReset::Written)
            }
        }
        deserializer.deserialize_struct("TokenReset", RESET_KEYS, TextOrMap)
    }
}

impl JsonSchema for TokenReset {
    fn schema_name() -> Cow<'static, str> {
        "TokenReset".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let guided = generator.subschema_for::<Guided>();
        schemars::json_schema!({
            "description": "How a team's token is reset; IBM publishes no call for it.",
            "oneOf": [
                { "const": "guided", "description": "A person presses the button in the console; tokenform waits until the key has changed." },
                {
                    "type": "object",
                    "properties": { "guided": guided },
                    "required": ["guided"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "description": "The call that the console was seen to make.",
                    "properties": {
                        "method": { "enum": ["POST", "PUT", "PATCH", "DELETE"] },
                        "path": {
                            "type": "string",
                            "pattern": "^/[^?#]*$",
                            "description": "May hold `{team_id}` and `{username}`."
                        },
                        "expect": {
                            "type": "array",
                            "items": { "type": "integer", "minimum": 200, "maximum": 399 },
                            "minItems": 1,
                            "description": "Statuses that mean it was taken. Default 200, 201, 204."
                        }
                    },
                    "required": ["method", "path"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// An instance of one of the two services.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    pub service: Given<Service>,
    /// For example us-south. Left out: the live instance's own region.
    pub region: Given<String>,
    /// Pins the instance by id; its name is then only a name in the spec.
    pub guid: Given<String>,
    /// Which credentials the instance accepts. Left out: not managed.
    pub external_api_auth: Given<AuthMode>,
    /// Accepts that `external_api_auth` is undocumented on Workload Protection.
    pub accept_unverified: Given<bool>,
    /// What happens to visible teams that are not listed, when the instance is locked. Default reset.
    pub other_teams: Given<OtherTeams>,
    /// Forbids every change that takes something from it and all below it. Remembered in the ledger: only `protect: false`,
    /// applied in a plan of its own, lifts it.
    pub protect: Given<bool>,
    /// Teams by name.
    pub teams: Entries<Team>,
}

/// A team of an instance. Listed with `{}`: its token is reset before a lock.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Team {
    /// Pins the team by id.
    pub id: Given<u64>,
    /// Forbids every change that takes something from its token. Remembered in the ledger: only `protect: false`,
    /// applied in a plan of its own, lifts it.
    pub protect: Given<bool>,
    /// The team's API token.
    pub token: Given<TeamToken>,
}

/// The API token of one identity in a team.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamToken {
    /// The username whose token it is. Left out: the credential's own identity.
    pub owner: Given<String>,
    pub rotate: Given<Rotate>,
    /// Where the value goes.
    pub deliver: Items<Deliver>,
    /// Forbids every change that takes something from it. Remembered in the ledger: only `protect: false`,
    /// applied in a plan of its own, lifts it.
    pub protect: Given<bool>,
}
