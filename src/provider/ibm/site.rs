//! Where a step works: its connection and instance in the spec, and the parameters that its draft
//! wrote.

use super::client::{Account, Api, Told};
use super::state::{Connection, Instance, LiveTeam};
use super::wire::Row;
use super::{instance, state};
use crate::http::{HttpError, Reader};
use crate::model::address::Address;
use crate::model::code::{SEAL_MALFORMED, STALE};
use crate::model::finding::Finding;
use crate::model::secret::DigestKey;
use crate::model::step::{Expect, Step};
use crate::provider::steps::Context;

/// A step's surroundings.
pub struct Site<'a> {
    pub conn: &'a Connection,
    pub declared: &'a Instance,
    pub account: Account<'a>,
    /// The instance's address.
    pub instance: Address,
    pub step: &'a Step,
    pub key: &'a DigestKey,
    pub guid: &'a str,
    origin: &'a str,
    /// The username of the caller.
    identity: &'a str,
}

impl<'a> Site<'a> {
    pub fn of(reader: &'a Reader, cx: &Context<'a>, step: &'a Step) -> Told<Self> {
        let (conn, declared) = declared(cx, step)?;
        Ok(Self {
            conn,
            declared,
            account: Account::of(reader, conn),
            instance: step.address.lane(),
            step,
            key: cx.key,
            guid: param(step, "guid")?,
            origin: conn.endpoint(declared.service).map_or_else(|| param(step, "origin"), Ok)?,
            identity: param(step, "identity")?,
        })
    }

    /// The instance's Sysdig API; errors name the step's object.
    pub fn api(&self) -> Api<'_> {
        self.account.api(&self.step.address, self.origin, self.guid)
    }

    pub fn origin(&self) -> &str {
        self.origin
    }

    /// The team that the step is about.
    pub fn team(&self) -> Told<u64> {
        let text = param(self.step, "team_id")?;
        text.parse().map_err(|_| malformed(self.step, format!("`team_id` is `{text}`, which is no number")))
    }

    /// Whose token it is, where it is not the caller's own.
    pub fn owner(&self) -> Option<&str> {
        self.step.params.get("owner").map(String::as_str).filter(|owner| !owner.is_empty())
    }

    /// Whose token it is.
    pub fn holder(&self) -> &str {
        self.owner().unwrap_or(self.identity)
    }

    pub async fn row(&self) -> Result<Row, HttpError> {
        self.account.get(&self.instance, self.guid).await
    }

    /// The digest of the instance with its teams as they are now.
    pub fn expect(&self, row: &Row, teams: &[super::wire::Team]) -> Expect {
        let teams: Vec<LiveTeam> = teams.iter().map(instance::team).collect();
        let live: state::LiveInstance =
            instance::live(row, self.declared.service, self.origin.to_owned(), teams);
        Expect { address: self.instance.clone(), digest: live.digest(self.key) }
    }

    /// Whether the step is bound to the instance itself.
    pub fn expects_instance(&self) -> bool {
        self.step.expects.iter().any(|expect| expect.address == self.instance)
    }

    pub async fn teams(&self) -> Result<Vec<super::wire::Team>, HttpError> {
        self.api().teams(self.declared.service).await
    }
}

/// The step's connection and instance as the spec has them.
pub fn declared<'a>(cx: &Context<'a>, step: &Step) -> Told<(&'a Connection, &'a Instance)> {
    let conn = cx.desired.ibm.get(&step.address.of_connection());
    let found = conn.and_then(|conn| Some((conn, conn.instances.get(&step.address.lane())?)));
    found.ok_or_else(|| {
        let told = "the step's instance is not in the spec any more";
        Box::new(Finding::new(STALE, told).at(&step.address))
    })
}

/// A parameter that the draft wrote.
pub fn param<'s>(step: &'s Step, name: &str) -> Told<&'s str> {
    step.param(name).map_err(|missing| malformed(step, missing.to_string()))
}

pub fn malformed(step: &Step, told: String) -> Box<Finding> {
    Box::new(Finding::new(SEAL_MALFORMED, told).at(&step.address))
}
