//! `strategy: replace` (PRODUCT section 2): every live token of the name is deleted, then the new one is
//! made. Nothing works in between, and the plan says so.

use super::lineage::Lineage;
use super::{Scene, used};
use crate::model::change::Action;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::provider::age::Due;
use crate::provider::draft::{Draft, change, field};
use crate::provider::logicmonitor::state::LiveToken;
use crate::provider::state::{Rotate, Strategy};

impl<'a> Scene<'a> {
    /// Whether the spec asks for it.
    pub(super) fn replaces(self) -> bool {
        self.want.rotate.as_ref().is_some_and(Rotate::replaces)
    }

    /// The token that an interrupted replacement has deleted, and whose successor it did not issue.
    pub(super) fn removed(self) -> Option<u64> {
        self.cx.past(self.address).removed
    }

    /// Whether it is this one, or what took its place.
    pub(super) fn was_removed(self, id: u64) -> bool {
        let past = self.cx.past(self.address);
        let mut line = vec![id];
        let mut at = 0;
        while let Some(old) = line.get(at).copied() {
            let newer = past.replaced.iter().filter(|(_, other)| *other == old).map(|(new, _)| *new);
            let newer: Vec<_> = newer.filter(|new| !line.contains(new)).collect();
            line.extend(newer);
            at += 1;
        }
        past.removed.is_some_and(|removed| line.contains(&removed))
    }

    /// Drafts the deletions and the issue. What is deleted must not be what tokenform works with.
    pub(super) fn replace(
        self,
        current: &'a LiveToken,
        lineage: &Lineage<'a>,
        due: Due,
        draft: &mut Draft,
    ) -> bool {
        let all: Vec<&LiveToken> =
            std::iter::once(current).chain(lineage.predecessors.iter().copied()).collect();
        if let Some(token) = all.iter().find(|token| self.used_by_us(token).is_some()) {
            let why = format!(
                "`strategy: replace` would delete id {}, which is or may be what tokenform logs in with; \
                 `strategy: overlap` rotates it",
                token.id
            );
            self.cant_rotate(&due, &why, draft);
            draft.wait(self.address, format!("due for rotation ({}), but {why}", due.reason), None);
            return false;
        }
        let owner = match self.owner_of_all(lineage) {
            Ok(owner) => owner,
            Err(taken) => {
                self.cant_issue(taken, draft);
                return false;
            }
        };
        let mut change = self.rotation(due.reason, current);
        self.tell_turn(&mut change, Some(current), owner);
        let mut deletes = Vec::new();
        // the one in use last: as long as it is there, the others are known by it
        for (at, token) in all.iter().enumerate().rev() {
            change.notes.push(used(token, self.cx.now));
            let mut step = self.token_step(Verb::Delete, token, at + 1);
            if self.owners.second.is_some() {
                step.params.insert("next_owner".into(), owner.id.to_string());
            }
            if token.id != current.id {
                step.params.insert("successor".into(), current.id.to_string());
            }
            deletes.push(Step { shape: Some(Shape::Replace), ..step });
        }
        let ids: Vec<_> = all.iter().map(|token| format!("id {}", token.id)).collect();
        let what = format!("{} stops working at once, and can't be had back", ids.join(", "));
        change.notes.push(self.outage(&what));
        self.issue(change, deletes, Some(current.id), owner, draft)
    }

    /// The half that an interrupted apply owes: the old token is gone, the new one was not made. Says
    /// whether it is drafted.
    pub(super) fn issue_what_is_owed(self, lineage: &Lineage<'a>, draft: &mut Draft) -> bool {
        let Some(id) = self.removed().filter(|_| self.replaces()) else { return false };
        let reason = format!("id {id} was deleted to be replaced, and its successor was not made");
        let owner = match self.owner_of_all(lineage) {
            Ok(owner) => owner,
            Err(taken) => {
                self.cant_issue(taken, draft);
                return true;
            }
        };
        let mut change = change(self.address, self.kind(), Action::Rotate, reason);
        self.tell_turn(&mut change, None, owner);
        change.fields.push(field("token", None, Some("(known after apply)")));
        let what = format!("id {id} is deleted already, and nothing of this name works");
        change.notes.push(self.outage(&what));
        self.issue(change, Vec::new(), Some(id), owner, draft)
    }

    fn outage(self, what: &str) -> String {
        let slots: Vec<_> = self.want.deliver.iter().map(|delivery| delivery.slot()).collect();
        format!("outage until the new token is delivered to {}: {what}", slots.join(", "))
    }
}

impl Rotate {
    pub fn replaces(&self) -> bool {
        self.strategy == Strategy::Replace
    }
}
