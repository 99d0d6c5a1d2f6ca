//! The ledger as a story: what was done, when, by whom and why, and how long each value lived.

mod json;
mod lives;
mod text;
mod verified;

pub use json::json;
pub use lives::{Life, lives};
pub use text::text;
pub use verified::{verified_json, verified_text};

use std::collections::BTreeMap;

use crate::model::secret::Fingerprint;
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::state::ledger::{Entry, Row};

/// The version of both JSON forms, `MAJOR.MINOR`. Members are only added inside a major version.
const FORMAT_VERSION: &str = "1.0";

/// Lines to show, each with the life that it ended.
pub struct Story<'a> {
    /// In the order in which they are shown.
    pub rows: Vec<&'a Row>,
    /// Of the whole ledger, in the order of their beginnings.
    lives: &'a [Life],
    /// By the number of the line that ended them.
    ended: BTreeMap<usize, &'a Life>,
}

impl<'a> Story<'a> {
    pub fn of(rows: Vec<&'a Row>, lives: &'a [Life]) -> Self {
        let ended = lives.iter().filter_map(|life| Some((life.ended_by?, life))).collect();
        Self { rows, lives, ended }
    }

    fn ended_by(&self, row: &Row) -> Option<&'a Life> {
        self.ended.get(&row.number).copied()
    }
}

/// What the line says of the value or the setting, in a few words.
fn value(entry: &Entry) -> String {
    match entry {
        Entry::Step(step) => {
            let facts = &step.facts;
            let print = |print: &Option<Fingerprint>| print.as_ref().map(|print| print.short().into_owned());
            let id = |id: Option<u64>| id.map(|id| format!("id {id}"));
            let (old, new) = match step.verb {
                Verb::Lock | Verb::Unlock => (facts.earlier_setting.clone(), facts.setting.clone()),
                Verb::Reset | Verb::Deliver => (print(&facts.old_fingerprint), print(&facts.fingerprint)),
                _ => (id(facts.predecessor), id(facts.remote_id)),
            };
            [old, new].into_iter().flatten().collect::<Vec<_>>().join(" -> ")
        }
        Entry::HoldEnded { .. } | Entry::HoldExtended { .. } | Entry::Forgotten { .. } => String::new(),
        Entry::Abandoned { in_doubt, .. } => count(in_doubt.len()),
        Entry::LockBroken { held_by, .. } => format!("held by {held_by}"),
    }
}

fn count(in_doubt: usize) -> String {
    match in_doubt {
        1 => "1 step in doubt".into(),
        n => format!("{n} steps in doubt"),
    }
}

/// A span of time in its largest unit and the one below: `91d 2h`, `100d`.
fn span(period: Period) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds = period.as_secs();
    let largest = units.iter().position(|(_, size)| seconds >= *size).unwrap_or(3);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, size) in units.iter().skip(largest).take(2) {
        if rest >= *size || parts.is_empty() {
            parts.push(format!("{}{unit}", rest / size));
        }
        rest %= size;
    }
    parts.join(" ")
}

/// A document as JSON that people can read too.
fn document(document: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("a document is strings, numbers and lists");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
