//! The world: the sandbox's fake estate, read from and kept as readable YAML.
//!
//! Every field has a default, so that a small world is a short file. A world that people write
//! holds no secret: what is missing is minted at the start and is part of the *kept* world only,
//! which belongs in a file of mode 0600.
//!
//! ```yaml
//! version: 1
//! clock: 2026-11-22T10:00:00Z
//! ibm:
//!   prod:
//!     instances:
//!       mon-prod: { region: us-south, parameters: { external_api_auth: ANY }, teams: { SRE: {} } }
//! logicmonitor:
//!   acme:
//!     users:
//!       svc-ci: { api_tokens: [ { note: ci-deploy, created_on: 2026-08-01T00:00:00Z } ] }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::faults::Fault;
use super::ibm::estate::{Account, Instance};
use super::logicmonitor::estate::Portal;
use super::mint::Mint;
use crate::model::vocabulary::Period;

const VERSION: u32 = 1;

/// Everything the sandbox knows. No `Debug`: a kept world holds secrets.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The format: 1.
    pub version: u32,
    /// Where the clock stands at the start; left out, it runs with the machine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Timestamp>,
    /// How far the clock has been moved since.
    #[serde(default = "no_time")]
    pub ahead: Period,
    /// How many seconds the vendors' clocks are off: their `Date`, their view of signatures.
    #[serde(default)]
    pub skew_seconds: i64,
    /// The seed and counter of all minted values.
    #[serde(default)]
    pub mint: Mint,
    /// IBM Cloud accounts by the spec's connection names.
    #[serde(default)]
    pub ibm: BTreeMap<String, Account>,
    /// LogicMonitor portals by the spec's connection names.
    #[serde(default)]
    pub logicmonitor: BTreeMap<String, Portal>,
    /// What goes wrong, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

fn no_time() -> Period {
    Period::seconds(0)
}

impl Default for World {
    fn default() -> Self {
        Self {
            version: VERSION,
            clock: None,
            ahead: no_time(),
            skew_seconds: 0,
            mint: Mint::default(),
            ibm: BTreeMap::new(),
            logicmonitor: BTreeMap::new(),
            faults: Vec::new(),
        }
    }
}

impl World {
    /// Reads a world file.
    pub fn from_yaml(text: &str) -> Result<Self, SandboxError> {
        // Nodes cost bytes, so the file's size bounds them: only aliases could make more.
        let nodes = text.len().max(10_000);
        let mut options = serde_yaml::Options::default();
        options.budget = serde_yaml::budget! { max_nodes: nodes, max_events: 2 * nodes, max_depth: 64 };
        // A kept world holds secrets: no source lines in messages.
        options.with_snippet = false;
        options.strict_booleans = true;
        let world: Self = serde_yaml::from_str_with_options(text, options)
            .map_err(|error| SandboxError::World(error.to_string()))?;
        if world.version != VERSION {
            return Err(SandboxError::Version { found: world.version, known: VERSION });
        }
        Ok(world)
    }

    /// The world as YAML: the kept form, secrets included.
    pub fn to_yaml(&self) -> Result<String, SandboxError> {
        serde_yaml::to_string(self).map_err(|error| SandboxError::World(error.to_string()))
    }

    /// Reads a world from a file.
    pub fn load(path: &Path) -> Result<Self, SandboxError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SandboxError::File { path: path.to_owned(), source })?;
        Self::from_yaml(&text)
    }

    /// Keeps the world in a file that only its owner reads, in one step: a crash leaves the old one.
    pub fn keep(&self, path: &Path) -> Result<(), SandboxError> {
        let yaml = self.to_yaml()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |source| SandboxError::File { path: path.to_owned(), source };
        // A temporary file has mode 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(yaml.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map(drop).map_err(|error| failed(error.error))
    }

    /// Adds an empty account or portal where a spec names a connection that the world doesn't, so
    /// that there is a credential for it.
    pub fn ensure(&mut self, vendor: &str, connection: &str) {
        match vendor {
            "ibm" => drop(self.ibm.entry(connection.to_owned()).or_default()),
            "logicmonitor" => drop(self.logicmonitor.entry(connection.to_owned()).or_default()),
            _ => {}
        }
    }

    /// Gives every object that lacks one an id, a key and a place, so that the rest can rely on it.
    pub fn complete(&mut self, now: Timestamp) -> Result<(), SandboxError> {
        let mint = &mut self.mint;
        for (name, account) in &mut self.ibm {
            account.complete(name, mint)?;
        }
        for (name, portal) in &mut self.logicmonitor {
            portal.complete(name, mint, now)?;
        }
        self.guids_are_unique()
    }

    fn guids_are_unique(&self) -> Result<(), SandboxError> {
        let instances = self.ibm.values().flat_map(|account| account.instances.values());
        let mut seen = BTreeSet::new();
        match instances.map(Instance::guid).find(|guid| !seen.insert(*guid)) {
            Some(guid) => Err(SandboxError::World(format!("two instances have the guid {guid}"))),
            None => Ok(()),
        }
    }

    /// The same world with no secret value in it.
    pub fn without_secrets(&self) -> Self {
        let mut world = self.clone();
        world.ibm.values_mut().for_each(Account::forget_secrets);
        world.logicmonitor.values_mut().for_each(Portal::forget_secrets);
        world
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::mint::MARKER;

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    const SMALL: &str = r#"
version: 1
clock: 2026-11-22T10:00:00Z
ibm:
  prod:
    instances:
      mon-prod: { parameters: { zeta: [1, "1"], external_api_auth: ANY }, teams: { SRE: {}, Ops: { id: 7 } } }
      same-name: { name: mon-prod, service: workload-protection }
logicmonitor:
  acme:
    users:
      svc-ci: { api_tokens: [ { note: ci-deploy, status: disabled, created_on: 2026-08-01T00:00:00Z } ] }
"#;

    #[test]
    fn a_small_world_is_completed_and_reads_back() {
        let mut world = World::from_yaml(SMALL).unwrap();
        world.complete(now()).unwrap();
        let yaml = world.to_yaml().unwrap();
        assert!(yaml.contains(MARKER));
        let mut again = World::from_yaml(&yaml).unwrap();
        again.complete(now()).unwrap();
        assert_eq!(again.to_yaml().unwrap(), yaml);
        let json = serde_json::to_string(&world.without_secrets()).unwrap();
        assert!(!json.contains(MARKER), "{json}");
        assert!(json.contains(r#""zeta":[1,"1"],"external_api_auth":"ANY""#));
    }

    #[test]
    fn unknown_keys_and_newer_versions_are_errors() {
        let Err(error) = World::from_yaml("version: 1\nibn: {}\n") else { panic!("accepted") };
        assert!(error.to_string().contains("ibn"), "{error}");
        let Err(error) = World::from_yaml("version: 2\n") else { panic!("accepted") };
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        let twice = "version: 1\nibm: { a: { instances: { m: { guid: g }, n: { guid: g } } } }\n";
        let status = "version: 1\nibm: { a: { sysdig: { refusal: 200 } } }\n";
        let teams =
            "version: 1\nibm: { a: { instances: { m: { teams: { x: { id: 1 }, y: { id: 1 } } } } } }\n";
        let ids = "version: 1\nlogicmonitor: { a: { users: { x: { id: 1 }, y: { id: 1 } } } }\n";
        for (yaml, word) in [(twice, "guid g"), (status, "401 or 403"), (teams, "two teams"), (ids, "twice")]
        {
            let Err(error) = World::from_yaml(yaml).unwrap().complete(now()) else {
                panic!("accepted {yaml}")
            };
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_kept_world_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.world.yaml");
        let mut world = World::from_yaml(SMALL).unwrap();
        world.complete(now()).unwrap();
        world.keep(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(World::load(&path).unwrap().to_yaml().unwrap(), world.to_yaml().unwrap());
        assert!(World::load(&folder.path().join("none")).is_err());
    }

    #[test]
    fn ten_thousand_tokens_read_back() {
        let token = "        - { note: n, created_on: 2026-08-01T00:00:00Z }\n";
        let users: String =
            (0..10).map(|n| format!("      u{n}:\n        api_tokens:\n{}", token.repeat(1000))).collect();
        let mut world =
            World::from_yaml(&format!("version: 1\nlogicmonitor:\n  acme:\n    users:\n{users}")).unwrap();
        world.complete(now()).unwrap();
        let again = World::from_yaml(&world.to_yaml().unwrap()).unwrap();
        assert_eq!(again.logicmonitor["acme"].tokens().count(), 10_002);
    }

    #[test]
    fn two_worlds_of_one_seed_are_equal() {
        let make = || {
            let mut world = World::from_yaml(SMALL).unwrap();
            world.complete(now()).unwrap();
            world.to_yaml().unwrap()
        };
        assert_eq!(make(), make());
    }
}
