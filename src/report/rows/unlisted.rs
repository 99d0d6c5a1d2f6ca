//! Live tokens that the spec does not declare, by what becomes of them.

use std::collections::BTreeMap;

use super::exposure::LeftRow;
use crate::model::unlisted::{Fate, UnlistedToken};
use crate::plan::document::Plan;
use crate::report::safe;
use crate::report::style::Tone;

/// How many are named for one fate; of those that are left alone fewer.
const NAMED: usize = 20;
const LEFT_ALONE: usize = 5;

pub fn unlisted(plan: &Plan) -> Vec<LeftRow> {
    let mut by_fate: BTreeMap<Fate, Vec<&UnlistedToken>> = BTreeMap::new();
    for token in &plan.unlisted {
        by_fate.entry(token.fate).or_default().push(token);
    }
    by_fate.into_iter().map(|(fate, tokens)| of_fate(plan, fate, &tokens)).collect()
}

fn of_fate(plan: &Plan, fate: Fate, tokens: &[&UnlistedToken]) -> LeftRow {
    let (named, tone) = match fate {
        Fate::Disable | Fate::Delete => (NAMED, Tone::Change),
        Fate::Waits | Fate::Reported => (NAMED, Tone::Warn),
        Fate::Stays => (LEFT_ALONE, Tone::Dim),
    };
    let mut lines: Vec<String> = tokens.iter().take(named).map(|token| line(plan, token)).collect();
    if tokens.len() > named {
        lines.push(format!("and {} more; --format json has all", tokens.len() - named));
    }
    LeftRow { title: format!("{} ({})", fate.as_str(), tokens.len()), tone, lines }
}

/// `logicmonitor.acme.svc.api_token["#252"]: "quick test" of svc, made … by alice, never used: why`
fn line(plan: &Plan, token: &UnlistedToken) -> String {
    let UnlistedToken { address, owner, note, enabled, why, .. } = token;
    let status = if *enabled { "" } else { ", disabled" };
    format!(
        "{}: \"{}\" of {}, {}{status}, {}: {}",
        safe::shown(address),
        safe::line(note),
        safe::line(owner),
        safe::line(&token.origin()),
        safe::line(&token.last_use(plan.created_at)),
        safe::line(why)
    )
}
