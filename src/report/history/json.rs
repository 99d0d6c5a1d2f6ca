//! The story as JSON: one object with a version.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{FORMAT_VERSION, Life, Story};
use crate::model::address::Address;
use crate::model::approval::Approval;
use crate::model::history::{Facts, Receipt};
use crate::model::secret::Fingerprint;
use crate::model::step::StepId;
use crate::model::who::Who;
use crate::state::ledger::{Entry, Row};

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    ledger: &'a str,
    /// The hash of the ledger's last line.
    head: Option<&'a str>,
    lines: Vec<LineJson<'a>>,
    /// One per value that a line above issued.
    generations: Vec<LifeJson<'a>>,
}

#[derive(Serialize)]
struct LineJson<'a> {
    number: usize,
    hash: &'a str,
    at: Timestamp,
    what: &'static str,
    address: Option<&'a Address>,
    by: &'a Who,
    reason: Option<&'a str>,
    rationale: Option<&'a str>,
    apply: Option<&'a str>,
    plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals: Option<&'a [Approval]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outside_window: Option<&'a str>,
    step: Option<&'a StepId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Facts>,
    delivered: Vec<ReceiptJson<'a>>,
    /// Of the value that this line ended: from its issue to its end.
    lived_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_doubt: Option<&'a BTreeMap<StepId, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_begun: Option<&'a [StepId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_since: Option<Timestamp>,
}

#[derive(Serialize)]
struct ReceiptJson<'a> {
    slot: &'a str,
    fingerprint: &'a Fingerprint,
    at: Option<Timestamp>,
}

#[derive(Serialize)]
struct LifeJson<'a> {
    address: &'a Address,
    fingerprint: Option<&'a Fingerprint>,
    remote_id: Option<u64>,
    issued_at: Timestamp,
    issued_by_line: usize,
    revoked_at: Option<Timestamp>,
    ended_by_line: Option<usize>,
    lived_seconds: Option<u64>,
}

/// The story as one JSON object, ended by a line feed.
pub fn json(story: &Story<'_>, ledger: &str, head: Option<&str>) -> Vec<u8> {
    let shown: BTreeSet<usize> = story.rows.iter().map(|row| row.number).collect();
    let told = |life: &&Life| {
        shown.contains(&life.issued_by) || life.ended_by.is_some_and(|line| shown.contains(&line))
    };
    let document = Document {
        format_version: FORMAT_VERSION,
        ledger,
        head,
        lines: story.rows.iter().map(|row| line(story, row)).collect(),
        generations: story.lives.iter().filter(told).map(life).collect(),
    };
    super::document(&document)
}

fn line<'a>(story: &Story<'a>, row: &'a Row) -> LineJson<'a> {
    let entry = &row.line.entry;
    let step = entry.step();
    let receipts = step.into_iter().flat_map(|step| &step.delivered).map(receipt);
    let (in_doubt, not_begun) = match entry {
        Entry::Abandoned { in_doubt, not_begun, .. } => (Some(in_doubt), Some(not_begun.as_slice())),
        _ => (None, None),
    };
    let (held_by, held_since) = match entry {
        Entry::LockBroken { held_by, since } => (Some(held_by.as_str()), *since),
        _ => (None, None),
    };
    LineJson {
        number: row.number,
        hash: &row.hash,
        at: row.line.at,
        what: entry.word(),
        address: entry.address(),
        by: &row.line.by,
        reason: row.line.reason.as_deref(),
        rationale: step.and_then(|step| step.rationale.as_deref()),
        apply: entry.apply(),
        plan: step.and_then(|step| step.plan.as_deref()),
        approvals: step.map(|step| step.approvals.as_slice()).filter(|approvals| !approvals.is_empty()),
        outside_window: step.and_then(|step| step.outside_window.as_deref()),
        step: step.map(|step| &step.step),
        facts: step.map(|step| &step.facts),
        delivered: receipts.collect(),
        lived_seconds: story.ended_by(row).and_then(Life::lived).map(|lived| lived.as_secs()),
        in_doubt,
        not_begun,
        hold_until: match entry {
            Entry::HoldExtended { until, .. } => Some(*until),
            _ => None,
        },
        held_by,
        held_since,
    }
}

fn receipt<'a>((slot, receipt): (&'a String, &'a Receipt)) -> ReceiptJson<'a> {
    ReceiptJson { slot, fingerprint: &receipt.fingerprint, at: receipt.at }
}

fn life(life: &Life) -> LifeJson<'_> {
    let Life { address, fingerprint, remote_id, issued_at, issued_by, revoked_at, ended_by } = life;
    LifeJson {
        address,
        fingerprint: fingerprint.as_ref(),
        remote_id: *remote_id,
        issued_at: *issued_at,
        issued_by_line: *issued_by,
        revoked_at: *revoked_at,
        ended_by_line: *ended_by,
        lived_seconds: life.lived().map(|lived| lived.as_secs()),
    }
}
