//! Pure: what a user's tokens should be + what they are → changes and steps.

mod drift;
mod effects;
mod evidence;
mod lacking;
mod lineage;
mod replace;
mod retire;
mod steps;
mod turns;
pub mod unlisted;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use self::lineage::Lineage;
use self::turns::{Taken, second_owner};
use crate::model::address::Address;
use crate::model::change::{Action, Change};
use crate::model::code;
use crate::model::evidence::{CallerEvidence, EnabledCount};
use crate::model::finding::Finding;
use crate::model::secret::Digest;
use crate::model::step::{Expect, Step};
use crate::model::verb::Verb;
use crate::model::vocabulary::TokenStatus;
use crate::provider::age::{Due, Issued, age, next_due};
use crate::provider::draft::{Context, Draft, change, field};
use crate::provider::logicmonitor::disuse::{disabled_by, disabled_soon};
use crate::provider::logicmonitor::note::{self, Mark};
use crate::provider::logicmonitor::owners::{Holders, Owners};
use crate::provider::logicmonitor::state::{Connection, LiveToken, LiveUser, PortalRead, Token, User};
use crate::provider::state::Snapshot;

/// The prefix of the API (contract logicmonitor 1).
pub const BASE: &str = "/santaba/rest";

/// One token's wish and everything live that has its name.
#[derive(Clone, Copy)]
struct Scene<'a> {
    cx: Context<'a>,
    connection: &'a Connection,
    /// Whose tokens the name stands for.
    owners: Owners<'a>,
    /// Which tokens of this portal connections of the spec use.
    callers: Option<&'a CallerEvidence>,
    portal: &'a PortalRead,
    robots: &'a BTreeSet<String>,
    holders: &'a Holders<'a>,
    address: &'a Address,
    want: &'a Token,
    /// The token, or its user, is protected.
    protected: bool,
    digests: Digests<'a>,
}

/// What binds steps to live state, each computed when first needed.
#[derive(Clone, Copy)]
struct Digests<'a> {
    /// Of the name's own user: the same for all its tokens.
    first: &'a OnceCell<Digest>,
    /// Of everything live of the name.
    tokens: &'a OnceCell<Digest>,
}

/// What the users of one portal are drafted with.
#[derive(Clone, Copy)]
pub struct Portal<'a> {
    pub connection: &'a Connection,
    /// Which of its tokens connections of the spec use.
    pub callers: Option<&'a CallerEvidence>,
    pub read: &'a PortalRead,
    /// Who `createdBy` of tokenform's own tokens may name.
    pub robots: &'a BTreeSet<String>,
    pub holders: &'a Holders<'a>,
    pub snapshot: &'a Snapshot,
}

/// What a declared user amounts to.
pub fn user(cx: Context<'_>, address: &Address, portal: Portal<'_>, want: &User, live: &LiveUser) -> Draft {
    let above = want.protect;
    let mut draft = Draft::default();
    let first = &OnceCell::new();
    let cells: Vec<_> = want.tokens.iter().map(|_| OnceCell::new()).collect();
    let mut taken = BTreeMap::new();
    let mut lenders = BTreeMap::new();
    for ((token, want), tokens) in want.tokens.iter().zip(&cells) {
        let second = match second_owner(token, want, live, portal) {
            Ok(second) => second,
            Err(finding) => {
                draft.findings.push(finding);
                continue;
            }
        };
        let owners = Owners { first: live, second };
        lenders.extend(second.map(|user| (user.id, user)));
        let digests = Digests { first, tokens };
        let scene = portal.scene(cx, owners, token, want, digests);
        if let Some(finding) = scene.protected_elsewhere() {
            draft.findings.push(finding);
            continue;
        }
        let protected = above || want.protect || scene.second_protected();
        let scene = Scene { protected, ..scene };
        match scene.lineage().and_then(|lineage| scene.alone(lineage, &mut taken)) {
            Ok(lineage) => scene.compare(&lineage, &mut draft),
            Err(finding) => draft.findings.push(finding),
        }
    }
    draft.findings.extend(drift::made_outside(cx, address, want, live, portal.callers));
    unlisted::unlisted(cx, address, portal, Some(want), live, &mut draft);
    effects::of_user(cx, live, &lenders, &mut draft);
    let bound = draft.live.iter().any(|expect| expect.address == *address);
    if !bound && !draft.changes.is_empty() {
        draft.live.push(Expect { address: address.clone(), digest: live.digest(cx.key) });
    }
    draft
}

impl<'a> Portal<'a> {
    /// One of its tokens, which nothing protects.
    fn scene(
        self,
        cx: Context<'a>,
        owners: Owners<'a>,
        address: &'a Address,
        want: &'a Token,
        digests: Digests<'a>,
    ) -> Scene<'a> {
        let Portal { connection, callers, read: portal, robots, holders, snapshot: _ } = self;
        let protected = false;
        Scene { cx, connection, owners, callers, portal, robots, holders, address, want, protected, digests }
    }
}

/// How many declared tokens have a live one.
pub fn seen(want: &User, live: &LiveUser, snapshot: &Snapshot) -> usize {
    let names: BTreeSet<_> = live.tokens.iter().map(|t| (t.kind, t.name())).collect();
    let ids: BTreeSet<u64> = live.tokens.iter().map(|t| t.id).collect();
    let there = |(at, token): &(&Address, &Token)| {
        names.contains(&(token.kind, at.name()))
            || token.id.is_some_and(|id| ids.contains(&id))
            || token.second_owner.is_some()
                && !Owners::of(token, live, snapshot).bound(token.kind, at.name(), token.id).is_empty()
    };
    want.tokens.iter().filter(there).count()
}

impl<'a> Scene<'a> {
    fn name(self) -> &'a str {
        self.address.name()
    }

    fn compare(self, lineage: &Lineage<'a>, draft: &mut Draft) {
        let before = draft.changes.len();
        match (lineage.current, self.want.status) {
            (None, Some(TokenStatus::Absent)) => {}
            (None, Some(TokenStatus::Disabled)) => {
                let message = "there is no such token, and a disabled one is not created";
                draft.findings.push(Finding::new(code::PLAN_NOTHING_TO_DISABLE, message).at(self.address));
            }
            (None, Some(TokenStatus::Enabled) | None) => {
                if !self.issue_what_is_owed(lineage, draft) {
                    self.create(lineage, draft);
                }
            }
            (Some(_), Some(TokenStatus::Absent)) => self.delete(lineage, draft),
            (Some(current), _) => self.keep(current, lineage, draft),
        }
        if draft.changes.len() > before {
            self.rely(lineage, draft);
        }
    }

    fn create(self, lineage: &Lineage<'a>, draft: &mut Draft) {
        let mut change = change(self.address, self.kind(), Action::Create, "does not exist");
        change.fields.push(field("note", None, Some(&note::issued(self.name(), "(nonce)", None))));
        change.fields.push(field("status", None, Some("enabled")));
        match self.next_owner(None, lineage) {
            Ok(owner) => {
                self.tell_turn(&mut change, None, owner);
                self.issue(change, Vec::new(), None, owner, draft);
            }
            Err(taken) => self.cant_issue(taken, draft),
        }
    }

    /// A token that exists and stays: its age, its status, its destinations.
    fn keep(self, current: &'a LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) {
        let issued = self.issued(current);
        draft.ages.extend(
            self.want.rotate.as_ref().and_then(|rotate| age(self.address, rotate, issued, self.cx.now)),
        );
        let rotates =
            self.issue_again(current, lineage, draft) || self.rotate_if_due(current, lineage, draft);
        if !rotates {
            match (self.want.status, current.enabled()) {
                (Some(TokenStatus::Enabled), false) => self.enable(current, draft),
                (Some(TokenStatus::Disabled), _) => self.disable_all(current, lineage, draft),
                _ => {}
            }
            draft.findings.extend(self.inactive_soon(current));
            self.wait_for_destinations(current, lineage, draft);
        }
        self.retire(current, lineage, rotates, draft);
    }

    /// From the portal, else from the ledger.
    fn issued(self, current: &LiveToken) -> Issued {
        let past = self.cx.past(self.address);
        let known = past.issued_at.filter(|_| past.remote_id == Some(current.id));
        let unknown = Issued::Unknown("the portal does not tell it, and the ledger does not know it");
        current.created_on.or(known).map_or(unknown, Issued::At)
    }

    /// A new token beside the old one, or in its place. Says whether one is drafted.
    fn rotate_if_due(self, current: &'a LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) -> bool {
        let Some(rotate) = &self.want.rotate else { return false };
        let Some(due) = self.cx.due(self.address, Some(rotate), self.issued(current)) else { return false };
        let wanted = self.want.status == Some(TokenStatus::Enabled) || current.enabled();
        if !wanted || self.want.status == Some(TokenStatus::Disabled) {
            self.cant_rotate(&due, "it is disabled", draft);
            draft.wait(self.address, format!("due for rotation ({}), but disabled", due.reason), None);
            return false;
        }
        // what has not reached a destination is no generation that people live with
        let wanting = due.asked && self.knows(current) && self.unfed(current).next().is_some();
        if !lineage.predecessors.is_empty() && !due.incident && !wanting {
            let why = "its predecessor is not retired yet; `issued_after` demands a rotation all the same";
            self.cant_rotate(&due, why, draft);
            let what = format!("due for rotation ({}), when its predecessor is retired", due.reason);
            draft.wait(self.address, what, None);
            return false;
        }
        if self.second_protected() {
            let what = "its second owner is protected";
            self.cant_rotate(&due, what, draft);
            draft.wait(self.address, format!("due for rotation ({}), but {what}", due.reason), None);
            return false;
        }
        if rotate.replaces() {
            return self.replace(current, lineage, due, draft);
        }
        let owner = match self.next_owner(Some(current), lineage) {
            Ok(owner) => owner,
            Err(Taken::ByOurs(id)) => {
                let what = format!("its other owner still has id {id}, which it replaced");
                self.cant_rotate(&due, &format!("{what}, and which is retired first"), draft);
                draft.wait(self.address, format!("due for rotation ({}), but {what}", due.reason), None);
                return false;
            }
            Err(taken) => {
                self.cant_issue(taken, draft);
                return false;
            }
        };
        let mut change = self.rotation(due.reason, current);
        self.tell_turn(&mut change, Some(current), owner);
        change.notes.push(used(current, self.cx.now));
        change.notes.push(format!(
            "id {} keeps working until it is retired: disabled {} later and unused for {}, deleted {} after that",
            current.id, rotate.overlap, rotate.idle, rotate.soak
        ));
        self.issue(change, Vec::new(), Some(current.id), owner, draft)
    }

    fn rotation(self, reason: String, current: &LiveToken) -> Change {
        let mut change = change(self.address, self.kind(), Action::Rotate, reason);
        let old = format!("id {} ({})", current.id, current.status_word());
        change.fields.push(field("token", Some(&old), Some("(known after apply)")));
        change
    }

    /// Who asked for a rotation is told why it can't be.
    fn cant_rotate(self, due: &Due, why: &str, draft: &mut Draft) {
        if due.asked {
            draft.findings.push(Finding::new(code::PLAN_CANT_ROTATE, why).at(self.address));
        }
    }

    /// Drafts an issue, with what goes before it. Refused without a destination, or for an owner whose
    /// tokens can't work.
    fn issue(
        self,
        mut change: Change,
        before: Vec<Step>,
        replaces: Option<u64>,
        owner: &LiveUser,
        draft: &mut Draft,
    ) -> bool {
        if self.want.deliver.is_empty() {
            let message = "the new token has no `deliver`: its secret is shown once and would be lost";
            draft.findings.push(Finding::new(code::PLAN_NO_DESTINATION, message).at(self.address));
        }
        if let Some(why) = self.owner_refused(owner) {
            draft.findings.push(Finding::new(code::PLAN_OWNER_REFUSED, why).at(self.address));
        }
        if owner.has_email {
            change.notes.push(format!("LogicMonitor mails {} about the new token", owner.username));
        }
        let issue = self.issue_step(replaces, owner);
        draft.push(change, before.into_iter().chain([issue]).collect());
        true
    }

    /// Who may not own tokens (contract logicmonitor 5.4), or whose tokens are dead (section 6).
    fn owner_refused(self, user: &LiveUser) -> Option<String> {
        if user.status != "active" {
            return Some(format!("{} is {}: a new token would not work", user.username, user.status));
        }
        if user.username == "lmsupport" || user.roles.iter().any(|r| r == "administrator") {
            return Some(format!(
                "{} has the stock administrator role, which may not hold tokens",
                user.username
            ));
        }
        self.roles_differ()
    }

    fn enable(self, current: &LiveToken, draft: &mut Draft) {
        let outside = self.cx.past(self.address).enabled == Some(true);
        if outside {
            let by = disabled_by(self.owners.holder(current), current, self.cx.now);
            let message = format!("it was enabled, and was disabled outside: {by}");
            draft.findings.push(Finding::new(code::PLAN_DISABLED_OUTSIDE, message).at(self.address));
        }
        if outside && self.cx.unattended && !self.want.reenable {
            let what = "disabled outside; enabling it needs a reviewed plan, or `reenable: always`";
            draft.wait(self.address, what, None);
            return;
        }
        self.set_enabled(current, draft);
    }

    /// A token that the portal will disable unless it is used.
    fn inactive_soon(self, current: &LiveToken) -> Option<Finding> {
        let at = disabled_soon(self.owners.holder(current), current, self.cx.now)?;
        let message =
            format!("{}; the portal disables it at {at} unless it is used", used(current, self.cx.now));
        let wanted = self.want.status != Some(TokenStatus::Disabled);
        wanted.then(|| Finding::new(code::PLAN_INACTIVE_SOON, message).at(self.address))
    }

    /// `status: disabled` means the name: the token in use and what it replaced.
    fn disable_all(self, current: &LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) {
        let all = std::iter::once(current).chain(lineage.predecessors.iter().copied());
        let enabled: Vec<_> = all.filter(|token| token.enabled()).collect();
        if enabled.is_empty() {
            return;
        }
        let mut change = change(self.address, self.kind(), Action::Disable, "the spec wants it disabled");
        let mut steps = Vec::new();
        for (token, n) in enabled.into_iter().zip(1..) {
            change.fields.push(field("status", Some(&token.status_word()), Some("disabled")));
            change.notes.push(used(token, self.cx.now));
            steps.push(self.token_step(Verb::Disable, token, n));
        }
        draft.push(change, steps);
    }

    fn set_enabled(self, current: &LiveToken, draft: &mut Draft) {
        let mut change = change(self.address, self.kind(), Action::Enable, "the spec wants it enabled");
        change.fields.push(field("status", Some(&current.status_word()), Some("enabled")));
        change.notes.push(used(current, self.cx.now));
        let mut step = self.token_step(Verb::Enable, current, 1);
        let marker = current.marker();
        if marker.off.or(marker.back).is_some() {
            // it was replaced once, and is the one in use again
            step.params.insert("mark".into(), Mark::Clear.as_str().into());
            step.params.insert("note".into(), current.note.clone());
        }
        draft.push(change, vec![step]);
    }

    /// `status: absent` takes the token in use and what it replaced.
    fn delete(self, lineage: &Lineage<'a>, draft: &mut Draft) {
        let mut change = change(self.address, self.kind(), Action::Delete, "the spec wants it absent");
        let mut steps = Vec::new();
        for (token, n) in lineage.current.iter().chain(&lineage.predecessors).zip(1..) {
            change.fields.push(field("id", Some(&token.id.to_string()), None));
            change.notes.push(used(token, self.cx.now));
            steps.push(self.token_step(Verb::Delete, token, n));
        }
        draft.push(change, steps);
    }

    /// A secret that is shown once can't be brought to a new destination.
    fn wait_for_destinations(self, current: &LiveToken, lineage: &Lineage<'a>, draft: &mut Draft) {
        let told = self.lacking(current);
        let known = self.knows(current);
        let lacks = if known { "does not have this token" } else { "is not known to have this token" };
        // asked for, it is rotated if nothing is unretired, or if this one is known to be nowhere
        let kept = self.replaces() && self.used_by_us(current).is_some();
        let now = (known || lineage.predecessors.is_empty()) && !kept;
        for slot in self.unfed(current).filter(|slot| !told.contains(slot)) {
            let until = next_due(self.want.rotate.as_ref(), self.issued(current));
            let command = || format!("`plan --rotate '{}'`", self.address);
            let when = match self.want.rotate {
                Some(_) if !current.enabled() => "fed at the next rotation, when it is enabled".to_owned(),
                Some(_) if !now => "fed at the next rotation".to_owned(),
                Some(_) => format!("fed at the next rotation; now: {}", command()),
                None if !now => "no rotation declared: its secret can't be had again".to_owned(),
                None => format!(
                    "no rotation declared: its secret can't be had again; declare `rotate: {{}}`, then: {}",
                    command()
                ),
            };
            let later = until.filter(|at| *at > self.cx.now);
            draft.wait(self.address, format!("{slot} {lacks}; {when}"), later);
        }
    }

    /// Whether the ledger knows this token, and not only an earlier one or none.
    fn knows(self, current: &LiveToken) -> bool {
        let past = self.cx.past(self.address);
        past.remote_id == Some(current.id) && past.fingerprint.is_some()
    }

    /// The declared slots that do not have this token's value, as far as the ledger knows.
    fn unfed(self, current: &LiveToken) -> impl Iterator<Item = String> {
        let (past, ours) = (self.cx.past(self.address), self.knows(current));
        let slots = self.want.deliver.iter().map(|delivery| delivery.slot());
        slots.filter(move |slot| !ours || past.delivered.get(slot) != past.fingerprint.as_ref())
    }

    /// Binds the plan to what it rests on, and tells the checker what is enabled now.
    fn rely(self, lineage: &Lineage<'a>, draft: &mut Draft) {
        let bound = self.bound();
        draft.live.push(self.expect_tokens());
        draft.live.extend(self.expect_second());
        draft.enabled_counts.push(EnabledCount {
            address: self.address.clone(),
            enabled: bound.iter().filter(|t| t.enabled() && self.can_be_used(t)).map(|t| t.id).collect(),
            predecessors: lineage.predecessors.iter().map(|t| t.id).collect(),
            may_be_zero: matches!(self.want.status, Some(TokenStatus::Absent | TokenStatus::Disabled)),
            replaces: self.replaces(),
            removed: self.removed(),
        });
    }

    /// Of two owners one can be suspended, and its token with it (contract logicmonitor 6).
    fn can_be_used(self, token: &LiveToken) -> bool {
        self.owners.second.is_none() || self.owners.holder(token).status == "active"
    }

    /// What the address stands for: every token of the name, and a pinned one of another name.
    fn bound(self) -> Vec<&'a LiveToken> {
        self.owners.bound(self.want.kind, self.name(), self.want.id)
    }

    fn kind(self) -> &'static str {
        self.want.kind.as_str()
    }

    fn kind_words(self) -> &'static str {
        self.want.kind.words()
    }
}

/// When a token was last used, with its age, for people.
fn used(token: &LiveToken, now: jiff::Timestamp) -> String {
    match token.last_used_on {
        Some(at) => {
            let ago = crate::model::vocabulary::Period::between(at, now).rough();
            let from = token.last_auth_ip.as_ref().map(|ip| format!(" from {ip}")).unwrap_or_default();
            format!("id {} was last used {ago} ago{from} ({at})", token.id)
        }
        None => format!("id {} was never used, as far as the portal knows", token.id),
    }
}
