//! Wishes and observations for the tests of this room, and a plan as a few readable lines.

mod ibm;
mod logicmonitor;

use jiff::Timestamp;

pub use self::ibm::*;
pub use self::logicmonitor::*;
use super::check;
use super::document::{Plan, Source};
use super::{EXPIRES, Inputs, Planned, plan};
use crate::model::address::Address;
use crate::model::asked::Asked;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::history::{History, Past};
use crate::model::observed::Observed;
use crate::model::secret::{DigestKey, Fingerprint, Secret};
use crate::model::step::Delivery;
use crate::model::vocabulary::{Period, Target};
use crate::provider::state::{Desired, Rotate, Snapshot};

/// Everything that a plan is made from, open to a test's changes.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub desired: Desired,
    pub snapshot: Snapshot,
    pub history: History,
    pub asked: Asked,
    pub unattended: bool,
    /// Seconds after [`NOW`].
    pub later: u64,
}

pub const NOW: &str = "2026-11-22T10:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// `2026-11-22T10:00:00Z` minus some days.
pub fn days_ago(days: i64) -> Timestamp {
    at(NOW) - jiff::SignedDuration::from_hours(24 * days)
}

pub fn key() -> DigestKey {
    DigestKey::new(Secret::new(vec![7; 32]))
}

/// The fingerprint of a value that nobody has to know.
pub fn fp(value: &str) -> Fingerprint {
    key().fingerprint(&Secret::new(value.as_bytes().to_vec()))
}

impl World {
    pub fn now(&self) -> Timestamp {
        Period::seconds(self.later).after(at(NOW))
    }

    pub fn plan(&self) -> Planned {
        let key = key();
        plan(&Inputs {
            desired: &self.desired,
            snapshot: &self.snapshot,
            history: &self.history,
            now: self.now(),
            by: None,
            expires: EXPIRES,
            target: Target::Live,
            source: Source::Live,
            spec_path: "tokens.yaml".into(),
            ledger: ".tokenform/ledger.jsonl".into(),
            spec_digest: key.digest("spec", b""),
            key: &key,
            asked: &self.asked,
            unattended: self.unattended,
            kept: true,
        })
    }

    pub fn story(&self) -> String {
        story(&self.plan())
    }

    /// A plan that must be admitted.
    pub fn admitted(&self) -> Plan {
        let planned = self.plan();
        let text = story(&planned);
        match check::admit(planned.plan) {
            Ok(admitted) => admitted.plan().clone(),
            Err(_) => panic!("not admitted:\n{text}"),
        }
    }

    /// The ledger has a head and remembers this of an object.
    pub fn past(mut self, address: &Address, past: Past) -> Self {
        self.history.head.get_or_insert_with(|| "00".into());
        self.history.objects.insert(address.clone(), past);
        self
    }
}

pub fn to(key: &str) -> Delivery {
    Delivery { to: "ops-env".into(), key: Some(key.into()), id_key: None }
}

/// At most 90 days old.
pub fn rotate() -> Rotate {
    Rotate {
        max_age: Some(Period::days(90)),
        issued_after: None,
        assume_issued: None,
        rationale: None,
        strategy: crate::provider::state::Strategy::Overlap,
        overlap: Period::hours(24),
        idle: Period::hours(24),
        soak: Period::days(7),
        consumers_moved: None,
    }
}

pub fn unreadable(address: &Address) -> Finding {
    Finding::new(code::PLAN_UNREADABLE, "HTTP 500").at(address)
}

/// A plan in a few lines: changes, numbered steps with their needs, what waits, findings, and
/// every invariant that does not hold.
pub fn story(planned: &Planned) -> String {
    let plan = &planned.plan;
    let mut lines: Vec<String> =
        plan.changes.iter().map(|c| format!("{} {}: {}", c.action.as_str(), c.address, c.why())).collect();
    lines.extend(steps(plan));
    lines.extend(plan.waiting.iter().map(|w| {
        let until = w.until.map_or(String::new(), |at| format!(" until {at}"));
        format!("waiting {}: {}{until}", w.address, w.what)
    }));
    lines.extend(planned.findings.iter().map(|f| {
        let code = f.code.id().trim_start_matches("tokenform::");
        format!("{} {code} {f}", f.code.severity().as_str())
    }));
    lines.extend(broken(plan));
    if lines.is_empty() {
        lines.push("nothing".into());
    }
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    text.replace("ibm.prod.", "").replace("logicmonitor.acme.", "")
}

fn steps(plan: &Plan) -> Vec<String> {
    let numbers = super::document::numbers(plan);
    let step = |(s, n): (&crate::model::step::Step, usize)| {
        let shape = s.shape.map_or(String::new(), |shape| format!(" {}", shape.as_str()));
        let number = |id| numbers.get(id).map_or("an earlier run".to_owned(), ToString::to_string);
        let after = s.needs.iter().map(|need| format!("{} {}", number(&need.step), need.rule.as_str()));
        let after = after.collect::<Vec<_>>().join(", ");
        let after = if after.is_empty() { after } else { format!(" after {after}") };
        let to = s.destinations.iter().map(|d| format!(" > {}", d.slot())).collect::<String>();
        let id = s.params.get("token_id").map_or(String::new(), |id| format!(" id {id}"));
        format!("{n} {} {}{id}{shape}{to}{after}", s.verb, s.address)
    };
    plan.steps.iter().zip(1..).map(step).collect()
}

/// What the checker holds against a plan.
pub fn broken(plan: &Plan) -> Vec<String> {
    let broken = check::judge(plan).into_iter().filter(|i| !i.holds);
    broken.map(|i| format!("refused {}: {}", i.id, i.proof)).collect()
}
