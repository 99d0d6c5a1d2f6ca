//! Whether the resets of a plan cover every visible team of an instance that is to be locked (rule
//! `lock-covers-all`): judged again right before the lock, from what is there now.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::client::Told;
use super::read::TOKENS;
use super::site::{Site, malformed};
use super::wire::Team;
use crate::model::code::LOCK_NOT_COVERED;
use crate::model::finding::Finding;
use crate::model::secret::{Fingerprint, Secret};
use crate::model::step::{Rule, Step};
use crate::model::vocabulary::Period;
use crate::provider::steps::Context;

/// How long a reset of an interrupted run covers its team (PRODUCT section 3).
pub const COVERED_FOR: Period = Period::hours(24);

/// Reads the key of every team that a lock must cover and compares it with its reset. Gives one of
/// them back: it must be refused afterwards.
pub async fn check_covered(site: &Site<'_>, cx: &Context<'_>, teams: &[Team]) -> Told<Option<Secret>> {
    let (ignored, covered) = (ignored(site.step)?, covered(cx, site.step));
    let visible = teams.iter().filter(|team| !ignored.contains(&team.id));
    let uncovered: Vec<&Team> = visible.clone().filter(|team| !covered.contains_key(&team.id)).collect();
    if !uncovered.is_empty() {
        return Err(not_covered(site, "no proved reset of this plan covers", &uncovered));
    }
    let check = |team| check_key(site, &covered, team);
    let mut keys: Vec<Secret> = stream::iter(visible).map(check).buffered(TOKENS).try_collect().await?;
    Ok(keys.pop())
}

async fn check_key(site: &Site<'_>, covered: &BTreeMap<u64, &Fingerprint>, team: &Team) -> Told<Secret> {
    let key = site.api().key(team.id, owner(site, team)).await?;
    match covered.get(&team.id) {
        Some(fingerprint) if **fingerprint == site.key.fingerprint(&key) => Ok(key),
        _ => Err(not_covered(site, "the token has moved since its reset:", &[team])),
    }
}

/// Whose token was reset in a team, where the spec names someone.
fn owner<'s>(site: &'s Site<'_>, team: &Team) -> Option<&'s str> {
    let is_meant = |name: &str, id: Option<u64>| id.map_or(name == team.name, |id| id == team.id);
    let mut declared = site.declared.teams.iter();
    declared.find(|(address, d)| is_meant(address.name(), d.id)).and_then(|(_, d)| d.owner.as_deref())
}

fn not_covered(site: &Site<'_>, what: &str, teams: &[&Team]) -> Box<Finding> {
    let teams: Vec<String> = teams.iter().map(|team| format!("`{}` ({})", team.name, team.id)).collect();
    let told = format!("not locked: {what} {}", teams.join(", "));
    Box::new(Finding::new(LOCK_NOT_COVERED, told).at(&site.instance))
}

/// The fingerprint that each team's done reset left, by team id. Only resets that the lock needs
/// count, proved ones, at most 24 h old.
pub fn covered<'c>(cx: &Context<'c>, step: &Step) -> BTreeMap<u64, &'c Fingerprint> {
    let now = cx.env.clock.now();
    let rules = [Rule::ResetBeforeLock, Rule::LockCoversAll];
    let needed = step.needs.iter().filter(|need| rules.contains(&need.rule));
    let done = needed.filter_map(|need| cx.done.get(&need.step));
    done.filter(|facts| facts.proof.is_some())
        .filter(|facts| facts.issued_at.is_some_and(|at| COVERED_FOR.after(at) >= now))
        .filter_map(|facts| Some((facts.remote_id?, facts.fingerprint.as_ref()?)))
        .collect()
}

/// Ids of the teams that the spec leaves alone.
fn ignored(step: &Step) -> Told<BTreeSet<u64>> {
    let text = step.params.get("ignored_teams").map(String::as_str).unwrap_or_default();
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::parse);
    let ids: Result<_, _> = ids.collect();
    ids.map_err(|_| malformed(step, format!("`ignored_teams` is `{text}`, which are no ids")))
}
