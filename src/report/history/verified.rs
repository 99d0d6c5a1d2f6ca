//! The verdict on the ledger, for people and for programs.

use serde::Serialize;

use super::FORMAT_VERSION;
use crate::report::safe;
use crate::report::style::{Style, Tone};
use crate::state::Verified;

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    ledger: &'a str,
    whole: bool,
    lines: usize,
    head: Option<&'a str>,
    /// Applies whose journals were held against the ledger.
    journals: usize,
    problems: Vec<&'a str>,
    notes: Vec<&'a str>,
}

/// The verdict as one JSON object, ended by a line feed.
pub fn verified_json(verified: &Verified, ledger: &str) -> Vec<u8> {
    let Verified { survey, journals, problems, notes } = verified;
    super::document(&Document {
        format_version: FORMAT_VERSION,
        ledger,
        whole: problems.is_empty(),
        lines: survey.rows.len(),
        head: survey.head.as_deref(),
        journals: *journals,
        problems: problems.iter().map(|finding| finding.message.as_str()).collect(),
        notes: notes.iter().map(|finding| finding.message.as_str()).collect(),
    })
}

/// The verdict in words; what is wrong is told as findings, behind it.
pub fn verified_text(verified: &Verified, ledger: &str, style: &Style) -> String {
    let Verified { survey, journals, problems, notes: _ } = verified;
    let (lines, ledger) = (survey.rows.len(), safe::line(ledger));
    if !problems.is_empty() {
        let told = format!("The ledger {ledger} is NOT whole. Problems: {}.", problems.len());
        return format!("{}\n", style.paint(Tone::Bad, told));
    }
    let told = format!("The ledger {ledger} is whole. Lines: {lines}, each follows the one before.");
    let mut text = format!("{}\n", style.paint(Tone::Good, told));
    if *journals > 0 {
        text.push_str(&format!("Journals of applies that agree with it: {journals}.\n"));
    }
    if let Some(head) = &survey.head {
        text.push_str(&format!(
            "Head: {head}\nKept elsewhere, it shows a tail that was cut off: tokenform history --verify --head HASH\n"
        ));
    }
    text
}
