//! What becomes of the tokens that the present one replaced (PRODUCT section 2, `overlap`): each is
//! disabled, watched and deleted, or brought back where somebody still uses it.

use jiff::{SignedDuration, Timestamp};

use super::evidence::in_use;
use super::{Scene, used};
use crate::model::change::Action;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::guard::Guard;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::model::vocabulary::{Period, TokenStatus};
use crate::provider::draft::{Draft, change, field};
use crate::provider::logicmonitor::audit_log::{Tries, Watch};
use crate::provider::logicmonitor::draft::lineage::Lineage;
use crate::provider::logicmonitor::note::Mark;
use crate::provider::logicmonitor::state::{LiveToken, TokenKind};
use crate::provider::state::Rotate;

/// A use may be told this much late (contract logicmonitor 12: "treat as minutes-late").
const LATE: SignedDuration = SignedDuration::from_mins(15);

/// A replaced token, with what it is judged by.
#[derive(Clone, Copy)]
struct Old<'a> {
    token: &'a LiveToken,
    /// The one in use.
    new: &'a LiveToken,
    /// When that one was issued.
    issued_at: Timestamp,
    rotate: &'a Rotate,
    /// An older one is still there, which is known by this one alone.
    holding: bool,
}

/// What is next for a replaced token.
enum Next {
    Wait(String, Option<Timestamp>),
    /// A change of status or a deletion: why, under which conditions, and what else to say.
    Step(Verb, String, Vec<Guard>, Vec<String>),
}

/// A replaced token and the step that is due for it.
struct Due<'a> {
    verb: Verb,
    token: &'a LiveToken,
    new: &'a LiveToken,
    reason: String,
    guards: Vec<Guard>,
    notes: Vec<String>,
}

impl<'a> Scene<'a> {
    /// Drafts what is due for each replaced token, and says what the others wait for. While a new
    /// token is drafted, nothing is retired; what is still in use is brought back all the same.
    pub(super) fn retire(
        self,
        current: &'a LiveToken,
        lineage: &Lineage<'a>,
        rotates: bool,
        draft: &mut Draft,
    ) {
        if rotates && self.replaces() {
            // all of them are deleted
            return;
        }
        let mut due = Vec::new();
        for token in &lineage.predecessors {
            match self.next(current, token, lineage.holding.contains(&token.id), draft) {
                Next::Wait(what, until) => {
                    draft.wait(self.address, format!("predecessor id {}: {what}", token.id), until);
                }
                Next::Step(verb, ..) if rotates && verb != Verb::Enable => {}
                Next::Step(verb, reason, guards, notes) => {
                    due.push(Due { verb, token, new: current, reason, guards, notes });
                }
            }
        }
        for action in [Action::Enable, Action::Disable, Action::Delete] {
            let (now, later) = due.into_iter().partition(|due| due.action() == action);
            due = later;
            self.draft_due(action, now, draft);
        }
    }

    /// One change for all replaced tokens of the name to which the same happens.
    fn draft_due(self, action: Action, due: Vec<Due<'a>>, draft: &mut Draft) {
        let Some(first) = due.first() else { return };
        let ordinal = draft.ordinal(first.verb, self.address);
        let reasons: Vec<_> = due.iter().map(|due| due.reason.as_str()).collect();
        let mut change = change(self.address, self.kind(), action, reasons.join("; "));
        let holder = self.owners.holder(first.token);
        let mut steps = Vec::new();
        for (due, ordinal) in due.into_iter().zip(ordinal..) {
            let name = format!("status of id {}", due.token.id);
            change.fields.push(field(&name, Some(&due.token.status_word()), due.status()));
            steps.push(self.retire_step(&due, ordinal));
            change.notes.extend(due.notes);
        }
        if holder.has_email && action != Action::Delete {
            change.notes.push(format!("LogicMonitor mails {} about the change", holder.username));
        }
        draft.push(change, steps);
    }

    fn next(self, new: &'a LiveToken, token: &'a LiveToken, holding: bool, draft: &mut Draft) -> Next {
        let wait = |what: &str| Next::Wait(what.to_owned(), None);
        let Some(rotate) = &self.want.rotate else {
            return wait("it stays, since no `rotate` is declared any more; `rotate: {}` retires it");
        };
        let Some(issued_at) = self.issued(new).at() else {
            return wait(&format!("it is not known when id {}, which replaced it, was issued", new.id));
        };
        let old = Old { token, new, issued_at, rotate, holding };
        if let Some(why) = self.used_by_us(token) {
            return wait(&why);
        }
        if !self.can_be_used(new) {
            let holder = self.owners.holder(new);
            let why = format!(
                "id {}, which replaced it, is of {}, who is {}",
                new.id, holder.username, holder.status
            );
            draft.findings.push(Finding::new(code::LM_OWNER_SUSPENDED, &*why).at(self.address));
            return wait(&why);
        }
        if self.protected {
            return wait("it is protected");
        }
        if self.want.status == Some(TokenStatus::Disabled) {
            return wait("it stays as long as the spec wants the token disabled");
        }
        match (token.enabled(), self.off(old)) {
            (true, _) => self.while_enabled(old, draft),
            (false, Some(off)) => self.while_disabled(old, off, draft),
            (false, None) if old.moved(issued_at) => self.disable(old),
            (false, None) => wait(
                "somebody else disabled it, and tokenform deletes only what it has disabled: delete it in the \
                 portal, or state `consumers_moved`",
            ),
        }
    }

    /// Why it must stay: it is, or may be, what a connection of the spec logs in with.
    pub(super) fn used_by_us(self, token: &LiveToken) -> Option<String> {
        let callers = self.callers?;
        if callers.uses(token.id) {
            return Some("a connection of the spec uses it: give that one the new value first".to_owned());
        }
        let untold = callers.untold(token.kind.as_str())?;
        Some(format!("it may be the credential of {}, which can't be told: {}", untold.by, untold.why))
    }

    /// When tokenform disabled it as replaced: by its note, else by the ledger.
    fn off(self, old: Old<'_>) -> Option<Timestamp> {
        let known = self.cx.past(self.address).retired.get(&old.token.id).copied();
        old.token.marker().off.or(known)
    }

    fn while_enabled(self, old: Old<'a>, draft: &mut Draft) -> Next {
        let marker = old.token.marker();
        let later = |at: &Timestamp| *at > old.issued_at && !old.moved(*at);
        let id = old.token.id;
        let held = match (marker.back.filter(later), self.off(old).filter(later)) {
            (Some(back), _) => format!("id {id} was still in use and was brought back at {back}"),
            (None, Some(off)) => {
                format!("id {id} was disabled at {off}, and somebody else has enabled it again")
            }
            (None, None) => return self.disable(old),
        };
        self.still_used(format!("{held}; {}", used(old.token, self.cx.now)), draft);
        Next::Wait("it stays until the spec states `consumers_moved` for a later instant".into(), None)
    }

    /// To be disabled, when both have worked for `overlap`, it was unused for `idle`, and somebody is
    /// known to have the new one.
    fn disable(self, old: Old<'a>) -> Next {
        let Old { token, new, rotate, issued_at, .. } = old;
        let overlap = rotate.overlap.after(issued_at);
        let idle = token.last_used_on.map(|at| rotate.idle.after(at));
        let until = idle.map_or(overlap, |idle| idle.max(overlap));
        if !new.enabled() {
            return Next::Wait(format!("id {}, which replaced it, is disabled", new.id), None);
        }
        let known_by = match in_use(self, old.new, issued_at) {
            Ok(known_by) => known_by,
            Err(why) => {
                return Next::Wait(format!("it stays until consumers use id {}: {why}", new.id), None);
            }
        };
        if self.cx.now < until {
            let what = format!(
                "to be disabled, when both have worked for {} and it was unused for {} ({})",
                rotate.overlap,
                rotate.idle,
                used(token, self.cx.now)
            );
            return Next::Wait(what, Some(until));
        }
        let guards = vec![
            Guard::SuccessorInPlace {
                token_id: new.id,
                issued_at,
                overlap: rotate.overlap,
                known_by: known_by.clone(),
            },
            Guard::OldIdle { token_id: token.id, at_least: rotate.idle, last_used_on: token.last_used_on },
        ];
        let reason = format!("id {} replaced id {} at {issued_at}: {known_by}", new.id, token.id);
        let mut notes = vec![used(token, self.cx.now)];
        if new.last_used_on.is_none_or(|at| at <= super::evidence::probed_until(issued_at)) {
            notes.push(format!("id {} was not used since tokenform tried it", new.id));
        }
        notes.push(format!("id {} is deleted {} later, if nobody tries it meanwhile", token.id, rotate.soak));
        notes.extend(
            self.unwatched(token).map(|why| format!("whether somebody tries it can't be seen: {why}")),
        );
        Next::Step(Verb::Disable, reason, guards, notes)
    }

    /// Watched until its soak is over, then deleted.
    fn while_disabled(self, old: Old<'a>, off: Timestamp, draft: &mut Draft) -> Next {
        let Old { token, new, rotate, issued_at, holding } = old;
        let id = token.id;
        if let Some(sign) = self.sign_of_use(old, off) {
            let said = format!("id {id}, disabled at {off}, is still in use: {sign}");
            self.still_used(said.clone(), draft);
            if old.suspect() {
                let what = "it was issued before `issued_after`, so it is not brought back by itself; it is kept \
                            until the spec states `consumers_moved` for a later instant";
                return Next::Wait(what.into(), None);
            }
            return Next::Step(Verb::Enable, said, Vec::new(), Vec::new());
        }
        if !new.enabled() {
            return Next::Wait(format!("id {}, which replaced it, is disabled", new.id), None);
        }
        let until = rotate.soak.after(off).max(rotate.overlap.after(issued_at));
        let unwatched = self.unwatched(token);
        if self.cx.now < until {
            let seen = match &unwatched {
                None => "no failed request by its access id so far".to_owned(),
                Some(why) => format!("whether somebody tries it can't be seen: {why}"),
            };
            return Next::Wait(
                format!("disabled at {off}, to be deleted after {}; {seen}", rotate.soak),
                Some(until),
            );
        }
        if holding {
            return Next::Wait("to be deleted after the older one that it replaced".into(), None);
        }
        if let Watch::Unread { why, lasting: false } = &self.portal.watch {
            return Next::Wait(
                format!("to be deleted when it can be seen that nobody tries it: {why}"),
                None,
            );
        }
        let known_by = match in_use(self, new, issued_at) {
            Ok(known_by) => known_by,
            Err(why) => {
                return Next::Wait(format!("it stays until consumers use id {}: {why}", new.id), None);
            }
        };
        let watched = match (&unwatched, &token.access_id) {
            (None, Some(access_id)) => Guard::NotTried { access_id: access_id.clone(), since: off },
            (why, _) => Guard::Unwatched { token_id: id, why: why.clone().unwrap_or_default() },
        };
        let disabled = Guard::DisabledFor { token_id: id, at_least: rotate.soak, since: off };
        let in_place =
            Guard::SuccessorInPlace { token_id: new.id, issued_at, overlap: rotate.overlap, known_by };
        let age = Period::between(off, self.cx.now).rough();
        let reason = format!("id {} replaced id {id}, which was disabled {age} ago", new.id);
        let mut notes = vec![used(token, self.cx.now)];
        if let Some(why) = unwatched {
            notes.push(format!("whether somebody tried it since can't be seen: {why}"));
            if token.kind == TokenKind::ApiToken {
                let message = format!("id {id} is deleted unwatched: {why}");
                draft.findings.push(Finding::new(code::LM_UNWATCHED, message).at(self.address));
            }
        }
        Next::Step(Verb::Delete, reason, vec![in_place, disabled, watched], notes)
    }

    /// What shows that a disabled token is still used: the audit log, or a use that the portal tells of.
    fn sign_of_use(self, old: Old<'_>, off: Timestamp) -> Option<String> {
        let fresh = |at: &Timestamp| !old.moved(*at);
        let tries = match (&self.portal.watch, &old.token.access_id) {
            (Watch::Read(tries), Some(id)) => {
                tries.get(id).filter(|tries| tries.last >= off && fresh(&tries.last))
            }
            _ => None,
        };
        if let Some(Tries { count, last, ip }) = tries {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            let from = if ip.is_empty() { String::new() } else { format!(" from {ip}") };
            return Some(format!("it was tried {times} since, last{from} at {last}"));
        }
        // a use shortly before it was disabled can have been told only afterwards
        let late = LATE.min(SignedDuration::try_from(old.rotate.idle.as_duration()).unwrap_or(LATE));
        // what was before the new one says nothing of who needs the old one beside it
        let since = off.checked_sub(late).unwrap_or(off).max(old.issued_at);
        let last = old.token.last_used_on.filter(|at| *at > since && fresh(at))?;
        let from = old.token.last_auth_ip.as_ref().map(|ip| format!(" from {ip}")).unwrap_or_default();
        Some(format!("the portal tells of a use{from} at {last}"))
    }

    /// Why nobody can tell whether a disabled token is tried.
    fn unwatched(self, token: &LiveToken) -> Option<String> {
        if token.kind == TokenKind::BearerToken {
            return Some("the portal's audit log names bearer tokens by nothing that lists show".into());
        }
        match &self.portal.watch {
            Watch::Unread { why, .. } => Some(why.clone()),
            Watch::NotAsked if !token.enabled() => Some("its note does not say when it was disabled".into()),
            Watch::NotAsked | Watch::Read(_) => None,
        }
    }

    fn still_used(self, message: String, draft: &mut Draft) {
        draft.findings.push(Finding::new(code::PLAN_OLD_IN_USE, message).at(self.address));
    }

    fn retire_step(self, due: &Due<'_>, ordinal: usize) -> Step {
        let mut step = self.token_step(due.verb, due.token, ordinal);
        step.shape = Some(Shape::Overlap);
        step.guards.clone_from(&due.guards);
        step.params.insert("successor".into(), due.new.id.to_string());
        let mark = match due.verb {
            Verb::Enable => Mark::Back,
            Verb::Disable => Mark::Off,
            _ => return step,
        };
        step.params.insert("mark".into(), mark.as_str().into());
        step.params.insert("note".into(), due.token.note.clone());
        step
    }
}

impl Due<'_> {
    fn action(&self) -> Action {
        match self.verb {
            Verb::Enable => Action::Enable,
            Verb::Disable => Action::Disable,
            _ => Action::Delete,
        }
    }

    /// What the token's status will be; `None` if it goes away.
    fn status(&self) -> Option<&'static str> {
        match self.verb {
            Verb::Enable => Some("enabled"),
            Verb::Disable => Some("disabled"),
            _ => None,
        }
    }
}

impl Old<'_> {
    /// Whether the spec states that consumers had moved by an instant at or after this one.
    fn moved(self, at: Timestamp) -> bool {
        self.rotate.consumers_moved.is_some_and(|moved| moved >= at)
    }

    /// Whether an incident asked for a newer one: somebody who should not have it may be the one who
    /// uses it.
    fn suspect(self) -> bool {
        let after = self.rotate.issued_after;
        after.is_some_and(|after| self.token.created_on.is_none_or(|at| at <= after))
    }
}
