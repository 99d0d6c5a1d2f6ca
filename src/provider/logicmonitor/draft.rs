//! Pure: what a user's tokens should be + what they are → changes and steps.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{
    Connection, DISABLED, ENABLED, LiveToken, LiveUser, Token, TokenKind, User, marker, note, tokens_digest,
};
use crate::model::address::Address;
use crate::model::change::{Action, Change};
use crate::model::code;
use crate::model::evidence::EnabledCount;
use crate::model::finding::Finding;
use crate::model::step::{Call, Expect, Recovery, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::TokenStatus;
use crate::provider::draft::{Context, Draft, change, due, field, host, next_due};
use crate::provider::state::Rotate;

/// The prefix of the API (contract logicmonitor 1).
pub const BASE: &str = "/santaba/rest";

/// One token's wish and everything live that has its name.
#[derive(Clone, Copy)]
struct Scene<'a> {
    cx: Context<'a>,
    connection: &'a Connection,
    user: &'a LiveUser,
    /// Ids of tokens of this portal that connections of the spec use.
    callers: &'a BTreeSet<u64>,
    address: &'a Address,
    want: &'a Token,
}

/// The live tokens of one name, told apart.
#[derive(Default)]
struct Lineage<'a> {
    /// The one in use.
    current: Option<&'a LiveToken>,
    /// Those that it replaced and that are still there, newest first.
    predecessors: Vec<&'a LiveToken>,
}

/// What a declared user amounts to.
pub fn user(
    cx: Context<'_>,
    address: &Address,
    connection: &Connection,
    want: &User,
    live: &LiveUser,
    callers: &BTreeSet<u64>,
) -> Draft {
    let mut draft = Draft::default();
    let mut taken = BTreeMap::new();
    for (token, want) in &want.tokens {
        let scene = Scene { cx, connection, user: live, callers, address: token, want };
        match scene.lineage().and_then(|lineage| scene.alone(lineage, &mut taken)) {
            Ok(lineage) => scene.compare(&lineage, &mut draft),
            Err(finding) => draft.findings.push(finding),
        }
    }
    if !draft.changes.is_empty() {
        draft.live.push(Expect { address: address.clone(), digest: live.digest(cx.key) });
    }
    draft
}

/// How many declared tokens have a live one.
pub fn seen(want: &User, live: &LiveUser) -> usize {
    let names: BTreeSet<_> = live.tokens.iter().map(|t| (t.kind, t.name())).collect();
    let ids: BTreeSet<u64> = live.tokens.iter().map(|t| t.id).collect();
    let there = |(at, token): &(&Address, &Token)| {
        names.contains(&(token.kind, at.name())) || token.id.is_some_and(|id| ids.contains(&id))
    };
    want.tokens.iter().filter(there).count()
}

impl<'a> Scene<'a> {
    fn name(self) -> &'a str {
        self.address.name()
    }

    /// Tells the token in use from its predecessors. A token is a predecessor only if a live
    /// token's marker names it and we created that one, or the ledger says so: never by name or age.
    /// A pin stands for the token that took its place, too.
    fn lineage(self) -> Result<Lineage<'a>, Finding> {
        let bound = self.bound();
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
        let mut lineage: Vec<_> = bound.into_iter().filter(|t| chain.contains(&t.id)).collect();
        lineage.sort_by_key(|t| std::cmp::Reverse(t.id));
        let known = |t: &&&LiveToken| matches!(t.status, ENABLED | DISABLED);
        let odd = lineage.iter().chain([&current]).find(|t| !known(t)).copied();
        match odd {
            Some(odd) => Err(self.unknown_status(odd)),
            None => Ok(Lineage { current: Some(current), predecessors: lineage }),
        }
    }

    /// Which live token replaced which id: by our own markers, and by the ledger.
    fn links(self, bound: &[&LiveToken]) -> BTreeSet<(u64, u64)> {
        let ours = |t: &&&LiveToken| self.user.caller.as_ref() == Some(&t.created_by);
        let marked = bound.iter().filter(ours).filter_map(|t| Some((t.id, marker(&t.note)?.1?)));
        let past = self.cx.past(self.address);
        let known = past.remote_id.zip(past.predecessor);
        let live = |(id, old): &(u64, u64)| id != old && bound.iter().any(|t| t.id == *id);
        marked.chain(known).filter(live).collect()
    }

    /// The token that stands for a pin: the pinned one, or the last of those that replaced it.
    fn successor(
        self,
        pin: u64,
        bound: &[&'a LiveToken],
        links: &BTreeSet<(u64, u64)>,
    ) -> Result<&'a LiveToken, Finding> {
        let mut id = pin;
        for _ in 0..=links.len() {
            let next: Vec<u64> = links.iter().filter(|(_, old)| *old == id).map(|(new, _)| *new).collect();
            match next.as_slice() {
                [] => return bound.iter().find(|t| t.id == id).copied().ok_or_else(|| self.unpinned(pin)),
                [one] => id = *one,
                _ => break,
            }
        }
        Err(self.ambiguous(bound))
    }

    /// Whether a pinned token that shall be absent is so: neither it nor a successor is live.
    fn gone(self, pin: u64, bound: &[&LiveToken], links: &BTreeSet<(u64, u64)>) -> bool {
        let live = bound.iter().any(|t| t.id == pin) || links.iter().any(|(_, old)| *old == pin);
        self.want.status == Some(TokenStatus::Absent) && !live
    }

    fn unpinned(self, id: u64) -> Finding {
        let message = format!("{} has no {} with the pinned id {id}", self.user.username, self.kind_words());
        Finding::new(code::PLAN_NAME_NOT_FOUND, message).at(self.address)
    }

    /// No token has the name. One that the ledger remembers may have another name now.
    fn missing(self) -> Result<Lineage<'a>, Finding> {
        let past = self.cx.past(self.address);
        let hit = |t: &&LiveToken| t.kind == self.want.kind && Some(t.id) == past.remote_id;
        let Some(renamed) = self.user.tokens.iter().find(hit) else {
            return Ok(Lineage::default());
        };
        let (id, name) = (renamed.id, renamed.name());
        let message = format!("id {id}, which the ledger knows as `{}`, is named `{name}` now", self.name());
        let help = format!("write `{name}` in the spec, or pin it with `id: {id}`");
        Err(Finding::new(code::PLAN_RENAMED, message).at(self.address).help(help))
    }

    /// A live token stands for one declared name: what one wish deletes another could need.
    fn alone(
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

    fn unknown_status(self, token: &LiveToken) -> Finding {
        let message = format!("the status of id {} is {}", token.id, token.status_word());
        Finding::new(code::LM_UNKNOWN_STATUS, message).at(self.address)
    }

    fn ambiguous(self, several: &[&LiveToken]) -> Finding {
        let list: Vec<_> = several
            .iter()
            .map(|t| format!("id {} ({}, note \"{}\")", t.id, t.status_word(), t.note))
            .collect();
        let message = format!("{} live tokens have this name: {}", several.len(), list.join(", "));
        Finding::new(code::PLAN_AMBIGUOUS, message).at(self.address)
    }

    fn compare(self, lineage: &Lineage<'a>, draft: &mut Draft) {
        let before = draft.changes.len();
        match (lineage.current, self.want.status) {
            (None, Some(TokenStatus::Absent)) => {}
            (None, Some(TokenStatus::Disabled)) => {
                let message = "there is no such token, and a disabled one is not created";
                draft.findings.push(Finding::new(code::PLAN_NOTHING_TO_DISABLE, message).at(self.address));
            }
            (None, Some(TokenStatus::Enabled) | None) => self.create(draft),
            (Some(_), Some(TokenStatus::Absent)) => self.delete(lineage, draft),
            (Some(current), _) => self.keep(current, lineage, draft),
        }
        if draft.changes.len() > before {
            self.rely(draft);
        }
    }

    fn create(self, draft: &mut Draft) {
        let mut change = change(self.address, self.want.kind.as_str(), Action::Create, "does not exist");
        change.fields.push(field("note", None, Some(&note(self.name(), "(nonce)", None))));
        change.fields.push(field("status", None, Some("enabled")));
        self.issue(change, None, draft);
    }

    /// A token that exists and stays: its age, its status, its destinations.
    fn keep(self, current: &'a LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) {
        if self.rotate_if_due(current, lineage, draft) {
            return;
        }
        match (self.want.status, current.enabled()) {
            (Some(TokenStatus::Enabled), false) => self.enable(current, draft),
            (Some(TokenStatus::Disabled), true) => self.disable(current, draft),
            _ => {}
        }
        self.wait_for_destinations(current, draft);
        self.wait_for_retirement(current, lineage, draft);
    }

    /// From the portal, else from the ledger.
    fn issued_at(self, current: &LiveToken) -> Option<jiff::Timestamp> {
        let past = self.cx.past(self.address);
        let known = past.issued_at.filter(|_| past.remote_id == Some(current.id));
        current.created_on.or(known)
    }

    /// `overlap`: a new token beside the old one. Says whether one is drafted.
    fn rotate_if_due(self, current: &'a LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) -> bool {
        let Some(rotate) = &self.want.rotate else { return false };
        let Some(due) = due(rotate, self.issued_at(current), self.cx.now) else { return false };
        let wanted = self.want.status == Some(TokenStatus::Enabled) || current.enabled();
        if !wanted || self.want.status == Some(TokenStatus::Disabled) {
            draft.wait(self.address, format!("due for rotation ({}), but disabled", due.reason), None);
            return false;
        }
        if !lineage.predecessors.is_empty() && !due.incident {
            let what = format!("due for rotation ({}), when its predecessor is retired", due.reason);
            draft.wait(self.address, what, None);
            return false;
        }
        let mut change = change(self.address, self.want.kind.as_str(), Action::Rotate, due.reason);
        let old = format!("id {} ({})", current.id, current.status_word());
        change.fields.push(field("token", Some(&old), Some("(known after apply)")));
        change.notes.push(used(current, self.cx.now));
        change.notes.push(format!(
            "id {} keeps working until it is retired: disabled {} later and unused for {}, deleted {} after that",
            current.id, rotate.overlap, rotate.idle, rotate.soak
        ));
        self.issue(change, Some(current), draft)
    }

    /// Drafts an issue. Refused without a destination, or for an owner whose tokens can't work.
    fn issue(self, mut change: Change, replaces: Option<&LiveToken>, draft: &mut Draft) -> bool {
        if self.want.deliver.is_empty() {
            let message = "the new token has no `deliver`: its secret is shown once and would be lost";
            draft.findings.push(Finding::new(code::PLAN_NO_DESTINATION, message).at(self.address));
        }
        if let Some(why) = self.owner_refused() {
            draft.findings.push(Finding::new(code::PLAN_OWNER_REFUSED, why).at(self.address));
        }
        if self.user.has_email {
            change.notes.push(format!("LogicMonitor mails {} about the new token", self.user.username));
        }
        let step = self.issue_step(replaces);
        draft.push(change, vec![step]);
        true
    }

    /// Who may not own tokens (contract logicmonitor 5.4), or whose tokens are dead (section 6).
    fn owner_refused(self) -> Option<String> {
        let user = self.user;
        if user.status != "active" {
            return Some(format!("{} is {}: a new token would not work", user.username, user.status));
        }
        if user.username == "lmsupport" || user.roles.iter().any(|r| r == "administrator") {
            return Some(format!(
                "{} has the stock administrator role, which may not hold tokens",
                user.username
            ));
        }
        None
    }

    fn enable(self, current: &LiveToken, draft: &mut Draft) {
        let outside = self.cx.past(self.address).enabled == Some(true);
        if outside {
            let message =
                "it was enabled, and was disabled outside: by the portal's inactivity rule or by a person";
            draft.findings.push(Finding::new(code::PLAN_DISABLED_OUTSIDE, message).at(self.address));
        }
        if outside && self.cx.unattended {
            draft.wait(self.address, "disabled outside; enabling it needs a reviewed plan", None);
            return;
        }
        self.set_status(current, Verb::Enable, Action::Enable, "the spec wants it enabled", draft);
    }

    fn disable(self, current: &LiveToken, draft: &mut Draft) {
        self.set_status(current, Verb::Disable, Action::Disable, "the spec wants it disabled", draft);
    }

    fn set_status(self, current: &LiveToken, verb: Verb, action: Action, reason: &str, draft: &mut Draft) {
        let after = match verb {
            Verb::Enable => "enabled",
            _ => "disabled",
        };
        let mut change = change(self.address, self.want.kind.as_str(), action, reason);
        change.fields.push(field("status", Some(&current.status_word()), Some(after)));
        change.notes.push(used(current, self.cx.now));
        let step = self.token_step(verb, current, 1);
        draft.push(change, vec![step]);
    }

    /// `status: absent` takes the token in use and what it replaced.
    fn delete(self, lineage: &Lineage<'a>, draft: &mut Draft) {
        let mut change =
            change(self.address, self.want.kind.as_str(), Action::Delete, "the spec wants it absent");
        let mut steps = Vec::new();
        for (token, n) in lineage.current.iter().chain(&lineage.predecessors).zip(1..) {
            change.fields.push(field("id", Some(&token.id.to_string()), None));
            change.notes.push(used(token, self.cx.now));
            steps.push(self.token_step(Verb::Delete, token, n));
        }
        draft.push(change, steps);
    }

    /// A secret that is shown once can't be brought to a new destination.
    fn wait_for_destinations(self, current: &LiveToken, draft: &mut Draft) {
        let past = self.cx.past(self.address);
        let ours = past.remote_id == Some(current.id);
        let held = |slot: &String| {
            past.fingerprint.is_some() && past.delivered.get(slot) == past.fingerprint.as_ref()
        };
        let fed = |slot: &String| ours && held(slot);
        for slot in self.want.deliver.iter().map(|d| d.slot()).filter(|slot| !fed(slot)) {
            let until = next_due(self.want.rotate.as_ref(), self.issued_at(current));
            let when = match until {
                Some(_) => "fed at the next rotation",
                None => "no rotation declared: its secret can't be had again",
            };
            draft.wait(self.address, format!("{slot} does not have this token; {when}"), until);
        }
    }

    fn wait_for_retirement(self, current: &LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) {
        for old in &lineage.predecessors {
            let (what, until) = retirement(current, old, self.want.rotate.as_ref());
            draft.wait(self.address, what, until);
        }
    }

    /// Binds the plan to what it rests on, and tells the checker what is enabled now.
    fn rely(self, draft: &mut Draft) {
        let bound = self.bound();
        draft.live.push(self.expect_tokens());
        draft.enabled_counts.push(EnabledCount {
            address: self.address.clone(),
            enabled: bound.iter().filter(|t| t.enabled()).map(|t| t.id).collect(),
            may_be_zero: matches!(self.want.status, Some(TokenStatus::Absent | TokenStatus::Disabled)),
        });
    }

    fn expect_tokens(self) -> Expect {
        Expect { address: self.address.clone(), digest: tokens_digest(&self.bound(), self.cx.key) }
    }

    /// What the address stands for: every token of the name, and a pinned one of another name.
    fn bound(self) -> Vec<&'a LiveToken> {
        self.user.bound(self.want.kind, self.name(), self.want.id)
    }

    fn issue_step(self, replaces: Option<&LiveToken>) -> Step {
        let query = match self.want.kind {
            TokenKind::ApiToken => "",
            TokenKind::BearerToken => "?type=bearer",
        };
        let path = format!("{BASE}/setting/admins/{}/apitokens{query}", self.user.id);
        let mut params = self.params();
        params.insert("predecessor".into(), replaces.map_or(0, |t| t.id).to_string());
        let is_caller = replaces.is_some_and(|t| self.callers.contains(&t.id));
        params.insert("caller".into(), is_caller.to_string());
        Step {
            shape: replaces.map(|_| Shape::Overlap),
            destinations: self.want.deliver.clone(),
            recovery: Recovery::Marker,
            ..self.step(Verb::Issue, 1, "POST", path, params)
        }
    }

    fn token_step(self, verb: Verb, token: &LiveToken, ordinal: usize) -> Step {
        let path = format!("{BASE}/setting/admins/{}/apitokens/{}", self.user.id, token.id);
        let method = match verb {
            Verb::Delete => "DELETE",
            _ => "PATCH",
        };
        let mut params = self.params();
        params.insert("token_id".into(), token.id.to_string());
        params.insert("access_id".into(), token.access_id.clone().unwrap_or_default());
        self.step(verb, ordinal, method, path, params)
    }

    fn step(
        self,
        verb: Verb,
        ordinal: usize,
        method: &str,
        path: String,
        params: BTreeMap<String, String>,
    ) -> Step {
        let owner = Expect { address: self.address.lane(), digest: self.user.digest(self.cx.key) };
        Step {
            id: StepId::new(verb, self.address, ordinal),
            address: self.address.clone(),
            verb,
            shape: None,
            call: Call { method: method.into(), host: host(&self.connection.origin()), path },
            needs: Vec::new(),
            irreversible: verb.properties().irreversible,
            destinations: Vec::new(),
            params,
            expects: vec![owner, self.expect_tokens()],
            guards: Vec::new(),
            recovery: Recovery::Repeat,
        }
    }

    fn params(self) -> BTreeMap<String, String> {
        let pin = self.want.id.map_or(String::new(), |id| id.to_string());
        BTreeMap::from([("user_id".into(), self.user.id.to_string()), ("pin".into(), pin)])
    }

    fn kind_words(self) -> &'static str {
        match self.want.kind {
            TokenKind::ApiToken => "API token",
            TokenKind::BearerToken => "bearer token",
        }
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

/// What a predecessor waits for, and until when (PRODUCT section 2, `overlap`).
fn retirement(
    current: &LiveToken,
    old: &LiveToken,
    rotate: Option<&Rotate>,
) -> (String, Option<jiff::Timestamp>) {
    match (old.enabled(), rotate) {
        (true, Some(rotate)) => (
            format!("predecessor id {}: disable, when it was unused for {}", old.id, rotate.idle),
            current.created_on.map(|at| rotate.overlap.after(at)),
        ),
        (true, None) => (format!("predecessor id {}: disable (no `rotate` declared any more)", old.id), None),
        (false, _) => (format!("predecessor id {}: disabled; delete after its soak", old.id), None),
    }
}

/// When a token was last used, with its age, for people.
fn used(token: &LiveToken, now: jiff::Timestamp) -> String {
    match token.last_used_on {
        Some(at) => {
            let ago = crate::model::vocabulary::Period::between(at, now).rough();
            format!("id {} was last used {ago} ago ({at})", token.id)
        }
        None => format!("id {} was never used, as far as the portal knows", token.id),
    }
}
