//! A wish of any size, as `benches/generate` writes it, and the live state that fits it.

use std::collections::BTreeMap;
use std::io::{Error, Result, Write};
use std::process::Command;

use jiff::Timestamp;
use tempfile::NamedTempFile;
use tokenform::model::address::Address;
use tokenform::model::asked::Asked;
use tokenform::model::history::History;
use tokenform::model::observed::Observed;
use tokenform::model::secret::{Digest, DigestKey, Secret};
use tokenform::model::vocabulary::Target;
use tokenform::plan::document::Source;
use tokenform::plan::{EXPIRES, Inputs};
use tokenform::provider::logicmonitor::state::{DISABLED, ENABLED, LiveToken, LiveUser, PortalRead, User};
use tokenform::provider::state::{Caller, Desired, Snapshot};

/// Everything that a plan is made from.
pub struct World {
    desired: Desired,
    snapshot: Snapshot,
    history: History,
    asked: Asked,
    pub key: DigestKey,
    digest: Digest,
}

pub fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().expect("it is RFC 3339")
}

/// A spec of so many tokens.
pub fn spec_file(tokens: usize) -> Result<NamedTempFile> {
    let generate = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/generate");
    let made = Command::new("python3").args([generate, "spec", "lm", &tokens.to_string()]).output()?;
    if !made.status.success() {
        return Err(Error::other(String::from_utf8_lossy(&made.stderr)));
    }
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    file.write_all(&made.stdout)?;
    Ok(file)
}

impl World {
    /// A world in which everything is as it is wished: every token is there, and enabled.
    pub fn of(desired: Desired) -> Self {
        let key = DigestKey::new(Secret::new(vec![7; 32]));
        let mut snapshot = Snapshot::default();
        let mut next = 0;
        for (connection, wish) in &desired.logicmonitor {
            let caller = Caller { access_id: Some("caller".into()), token_ids: vec![], untold: None };
            snapshot.callers.insert(connection.clone(), caller);
            snapshot.led_to.insert(connection.clone(), wish.portal());
            snapshot.portals.insert(connection.clone(), PortalRead::default());
            for (at, user) in &wish.users {
                snapshot.users.insert(at.clone(), Observed::Present(live(at, user, &mut next)));
            }
        }
        let history = History { head: Some("00".into()), objects: BTreeMap::new(), ..History::default() };
        let digest = key.digest("spec", b"bench");
        Self { desired, snapshot, history, asked: Asked::default(), key, digest }
    }

    /// Now every token is to be enabled.
    pub fn disable_all(&mut self) {
        for user in self.snapshot.users.values_mut() {
            if let Observed::Present(user) = user {
                user.tokens.iter_mut().for_each(|token| token.status = DISABLED);
            }
        }
    }

    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            desired: &self.desired,
            snapshot: &self.snapshot,
            history: &self.history,
            key: &self.key,
            now: now(),
            by: None,
            expires: EXPIRES,
            target: Target::Live,
            source: Source::Live,
            spec_path: "tokens.yaml".into(),
            spec_digest: self.digest.clone(),
            ledger: "ledger.jsonl".into(),
            asked: &self.asked,
            unattended: false,
            kept: false,
        }
    }
}

fn live(at: &Address, user: &User, next: &mut u64) -> LiveUser {
    let id = *next + 1;
    let tokens = user.tokens.iter().map(|(at, wish)| {
        *next += 1;
        LiveToken {
            id: *next,
            owner: id,
            kind: wish.kind,
            access_id: Some(format!("AID{next:08}")),
            note: at.name().to_owned(),
            status: ENABLED,
            created_on: Some(now()),
            created_by: "bench".into(),
            last_used_on: None,
            never_used: true,
            last_auth_ip: None,
        }
    });
    LiveUser {
        tokens: tokens.collect(),
        id,
        username: at.name().to_owned(),
        status: "active".into(),
        roles: vec![],
        has_email: false,
        caller: None,
        disables_after_days: None,
        our_ips: vec![],
    }
}
