//! How old tokens are, and when their rotation is due.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::age::Age;
use crate::plan::document::Plan;
use crate::report::safe;
use crate::report::style::Tone;

/// The age of a token that has a rotation.
#[derive(Debug)]
pub struct AgeRow {
    pub address: String,
    /// `due in 12d`, `3d late`, `age unknown: …`
    pub says: String,
    pub tone: Tone,
    pub issued: Option<String>,
    /// Where both are known: from its issue to when it is due.
    pub life: Option<(Timestamp, Timestamp)>,
    /// When the plan was made.
    pub now: Timestamp,
}

/// What is late, soon due or of unknown age and is not changed by this plan, late first; and how many
/// are due later.
pub fn near(plan: &Plan) -> (Vec<AgeRow>, usize) {
    let now = plan.created_at;
    let changed: BTreeSet<&Address> = plan.changes.iter().map(|change| &change.address).collect();
    let (near, later): (Vec<&Age>, Vec<&Age>) = plan.ages.iter().partition(|age| age.is_near(now));
    let near = near.into_iter().filter(|age| !changed.contains(&age.address)).collect();
    (rows(plan, near), later.len())
}

pub fn all(plan: &Plan) -> Vec<AgeRow> {
    rows(plan, plan.ages.iter().collect())
}

fn rows(plan: &Plan, mut ages: Vec<&Age>) -> Vec<AgeRow> {
    ages.sort_by_key(|age| (age.due_at, &age.address));
    ages.into_iter().map(|age| row(plan, age)).collect()
}

fn row(plan: &Plan, age: &Age) -> AgeRow {
    let Age { address, issued_at, due_at, says } = age;
    AgeRow {
        address: safe::shown(address),
        says: safe::line(says).into_owned(),
        tone: if age.is_late(plan.created_at) { Tone::Warn } else { Tone::Dim },
        issued: issued_at.map(|at| at.to_string()),
        life: issued_at.zip(*due_at),
        now: plan.created_at,
    }
}
