//! Which of a name's live tokens is in use, and which ones it replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::Scene;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::vocabulary::{Period, TokenStatus};
use crate::provider::logicmonitor::state::{DISABLED, ENABLED, LiveToken, TokenKind};

/// The live tokens of one name, told apart.
#[derive(Default)]
pub(super) struct Lineage<'a> {
    /// The one in use.
    pub(super) current: Option<&'a LiveToken>,
    /// Those that it replaced and that are still there, newest first.
    pub(super) predecessors: Vec<&'a LiveToken>,
    /// Ids of tokens that hold an older live one in the lineage: without them it would belong to nobody.
    pub(super) holding: BTreeSet<u64>,
}

impl Lineage<'_> {
    /// Of the token in use and of those that it replaced.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.current.iter().chain(&self.predecessors).map(|token| token.id).collect()
    }
}

impl<'a> Scene<'a> {
    /// Tells the token in use from its predecessors. A token is a predecessor only if a live
    /// token's marker names it and we created that one, or the ledger says so: never by name or age.
    /// A pin stands for the token that took its place, too.
    pub(super) fn lineage(self) -> Result<Lineage<'a>, Finding> {
        let bound = self.bound();
        if let Some(held) = self.held_elsewhere(&bound) {
            return Err(held);
        }
        let links = self.links(&bound);
        let head = |t: &&&LiveToken| !links.iter().any(|(_, old)| *old == t.id);
        let heads: Vec<&LiveToken> = bound.iter().filter(head).copied().collect();
        let current = match (self.want.id, heads.as_slice()) {
            (Some(id), _) if self.gone(id, &bound, &links) => return Ok(Lineage::default()),
            (Some(id), _) => self.successor(id, &bound, &links)?,
            (None, []) if bound.is_empty() => return self.missing(),
            (None, [one]) => *one,
            (None, _) => return Err(self.ambiguous(&bound)),
        };
        let chain = ancestors(current.id, &links);
        if self.want.id.is_none() && bound.iter().any(|t| t.id != current.id && !chain.contains(&t.id)) {
            return Err(self.ambiguous(&bound));
        }
        let live = |id: &u64| bound.iter().any(|t| t.id == *id);
        let holding = links.iter().filter(|(_, old)| live(old)).map(|(new, _)| *new).collect();
        let mut lineage: Vec<_> = bound.into_iter().filter(|t| chain.contains(&t.id)).collect();
        lineage.sort_by_key(|t| std::cmp::Reverse(t.id));
        let known = |t: &&&LiveToken| matches!(t.status, ENABLED | DISABLED);
        let odd = lineage.iter().chain([&current]).find(|t| !known(t)).copied();
        match odd {
            Some(odd) => Err(self.unknown_status(odd)),
            None => Ok(Lineage { current: Some(current), predecessors: lineage, holding }),
        }
    }

    /// Which live token replaced which id: by our own markers, and by the ledger; also by way of tokens
    /// that are not there any more.
    pub(super) fn links(self, bound: &[&LiveToken]) -> BTreeSet<(u64, u64)> {
        let ours = |t: &&&LiveToken| self.robots.contains(&t.created_by);
        let marked = bound.iter().filter(ours).filter_map(|t| Some((t.id, t.marker().predecessor?)));
        let known: BTreeSet<_> = marked.chain(self.cx.past(self.address).replaced.iter().copied()).collect();
        let live: BTreeSet<u64> = bound.iter().map(|token| token.id).collect();
        let mut links = BTreeSet::new();
        for token in bound {
            let mut through = vec![token.id];
            while let Some(by) = through.pop() {
                let olds = known.range((by, 0)..=(by, u64::MAX)).map(|(_, old)| *old);
                for old in olds.filter(|old| *old != token.id) {
                    if links.insert((token.id, old)) && !live.contains(&old) {
                        through.push(old);
                    }
                }
            }
        }
        links
    }

    /// The token that stands for a pin: the pinned one, or the last of those that replaced it.
    pub(super) fn successor(
        self,
        pin: u64,
        bound: &[&'a LiveToken],
        links: &BTreeSet<(u64, u64)>,
    ) -> Result<&'a LiveToken, Finding> {
        // one token can be known to have replaced several, of which one replaced the other
        let mut line = BTreeSet::from([pin]);
        while let Some((new, _)) = links.iter().find(|(new, old)| line.contains(old) && !line.contains(new)) {
            line.insert(*new);
        }
        let heads = line.iter().filter(|id| !links.iter().any(|(_, old)| old == *id));
        match heads.collect::<Vec<_>>().as_slice() {
            [head] => bound.iter().find(|t| t.id == **head).copied().ok_or_else(|| self.unpinned(pin)),
            _ => Err(self.ambiguous(bound)),
        }
    }

    /// Whether a pinned token is gone as it should be: it shall be absent, or was deleted to be replaced;
    /// and neither it nor a successor is live.
    pub(super) fn gone(self, pin: u64, bound: &[&LiveToken], links: &BTreeSet<(u64, u64)>) -> bool {
        let live = bound.iter().any(|t| t.id == pin) || links.iter().any(|(_, old)| *old == pin);
        let meant = self.want.status == Some(TokenStatus::Absent) || self.was_removed(pin);
        meant && !live
    }

    pub(super) fn unpinned(self, id: u64) -> Finding {
        let user = &self.owners.first.username;
        let message = format!("{user} has no {} with the pinned id {id}", self.kind_words());
        Finding::new(code::PLAN_NAME_NOT_FOUND, message).at(self.address)
    }

    /// No token has the name. One that the ledger remembers may have another name now.
    pub(super) fn missing(self) -> Result<Lineage<'a>, Finding> {
        let past = self.cx.past(self.address);
        let hit = |t: &&LiveToken| t.kind == self.want.kind && Some(t.id) == past.remote_id;
        let Some(renamed) = self.owners.tokens().find(hit) else {
            return Ok(Lineage::default());
        };
        let (id, name) = (renamed.id, renamed.name());
        let message = format!("id {id}, which the ledger knows as `{}`, is named `{name}` now", self.name());
        let help = format!("write `{name}` in the spec, or pin it with `id: {id}`");
        Err(Finding::new(code::PLAN_RENAMED, message).at(self.address).help(help))
    }

    /// A live token stands for one declared name: what one wish deletes another could need.
    pub(super) fn alone(
        self,
        lineage: Lineage<'a>,
        taken: &mut BTreeMap<u64, &'a Address>,
    ) -> Result<Lineage<'a>, Finding> {
        for token in lineage.current.iter().chain(&lineage.predecessors) {
            if let Some(other) = taken.insert(token.id, self.address) {
                let message = format!("id {} stands for {other}, too", token.id);
                return Err(Finding::new(code::PLAN_SHARED, message).at(self.address));
            }
        }
        Ok(lineage)
    }

    /// A token that belongs to this name, by the ledger or by a mark of ours, is there, and a user holds it
    /// that the spec does not name beside it (any more).
    fn held_elsewhere(self, bound: &[&LiveToken]) -> Option<Finding> {
        if self.want.kind != TokenKind::BearerToken {
            return None;
        }
        let past = self.cx.past(self.address);
        let ours = bound.iter().filter(|token| self.robots.contains(&token.created_by));
        let marked = ours.filter_map(|token| token.marker().predecessor);
        let known = past.replaced.iter().flat_map(|(new, old)| [*new, *old]);
        let mut known = past.remote_id.into_iter().chain(known).chain(marked);
        let elsewhere = |id: u64| {
            let holder = self.holders.of(id).filter(|_| bound.iter().all(|token| token.id != id))?;
            self.owners.each().all(|user| user.username != holder).then_some((id, holder))
        };
        let (id, holder) = known.find_map(elsewhere)?;
        let message = format!("id {id}, which belongs to this name, is a token of `{holder}`");
        let help = format!("write `second_owner: {holder}` beside `rotate`, or `forget` this address");
        Some(Finding::new(code::PLAN_RENAMED, message).at(self.address).help(help))
    }

    pub(super) fn unknown_status(self, token: &LiveToken) -> Finding {
        let message = format!("the status of id {} is {}", token.id, token.status_word());
        Finding::new(code::LM_UNKNOWN_STATUS, message).at(self.address)
    }

    /// What a person tells tokens of one name apart by.
    fn candidate(self, token: &LiveToken) -> String {
        let LiveToken { id, note, created_by, last_auth_ip, .. } = token;
        let ago = |at| Period::between(at, self.cx.now).rough();
        let made =
            token.created_on.map_or("made nobody knows when".into(), |at| format!("made {} ago", ago(at)));
        let by = if created_by.is_empty() { String::new() } else { format!(" by {created_by}") };
        let from = last_auth_ip.as_ref().map(|ip| format!(" from {ip}")).unwrap_or_default();
        let used =
            token.last_used_on.map_or("never used".into(), |at| format!("last used {} ago{from}", ago(at)));
        format!("id {id} ({}, note \"{note}\", {made}{by}, {used})", token.status_word())
    }

    pub(super) fn ambiguous(self, several: &[&LiveToken]) -> Finding {
        let list: Vec<_> = several.iter().map(|token| self.candidate(token)).collect();
        let message = format!("{} live tokens have this name: {}", several.len(), list.join(", "));
        Finding::new(code::PLAN_AMBIGUOUS, message).at(self.address)
    }
}

/// Everything that a token replaced, by the links from it.
fn ancestors(id: u64, links: &BTreeSet<(u64, u64)>) -> BTreeSet<u64> {
    let mut chain = BTreeSet::new();
    let mut next = vec![id];
    while let Some(id) = next.pop() {
        let olds = links.iter().filter(|(new, _)| *new == id).map(|(_, old)| *old);
        next.extend(olds.filter(|old| chain.insert(*old)).collect::<Vec<_>>());
    }
    chain.remove(&id);
    chain
}
