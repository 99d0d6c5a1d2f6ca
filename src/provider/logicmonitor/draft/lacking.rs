//! A token whose value did not reach every destination that was to have it. It was shown once, so the
//! others can only be given another: a new token is issued beside it, and both old ones stay until
//! that one is everywhere. With `strategy: replace` there is no old one: the token is replaced once more.

use super::lineage::Lineage;
use super::turns::Taken;
use super::{Scene, used};
use crate::model::vocabulary::TokenStatus;
use crate::provider::age::Due;
use crate::provider::draft::Draft;
use crate::provider::logicmonitor::state::LiveToken;

/// With so many replaced tokens still there no further one is issued by itself: a destination that
/// never takes a value would else gather tokens with every apply.
const UNRETIRED: usize = 2;

impl<'a> Scene<'a> {
    /// The declared slots that were to get this token's value and did not.
    pub(super) fn lacking(self, current: &LiveToken) -> Vec<String> {
        let past = self.cx.past(self.address);
        let ours = past.remote_id == Some(current.id);
        let slots = self.want.deliver.iter().map(|d| d.slot());
        slots.filter(|slot| ours && past.lacking.contains(slot)).collect()
    }

    /// Issues anew what not everybody has. Says whether a token is drafted.
    pub(super) fn issue_again(
        self,
        current: &'a LiveToken,
        lineage: &Lineage<'a>,
        draft: &mut Draft,
    ) -> bool {
        let slots = self.lacking(current).join(", ");
        if slots.is_empty() || self.want.status == Some(TokenStatus::Disabled) || !current.enabled() {
            return false;
        }
        let why = format!("{slots} never got the value of id {}, which can't be had again", current.id);
        if lineage.predecessors.len() >= UNRETIRED {
            let count = lineage.predecessors.len();
            let what = format!(
                "{why}; {count} replaced tokens are still there, so no other is issued by itself: mend the \
                 destination, then plan with `--rotate {}`",
                self.address
            );
            draft.wait(self.address, what, None);
            return false;
        }
        if self.replaces() {
            // what those destinations hold is dead, so the outage of the others ends theirs
            let due = Due { reason: why, only_unknown_age: false, incident: false, asked: false };
            return self.replace(current, lineage, due, draft);
        }
        if self.second_protected() {
            draft.wait(self.address, format!("{why}; its second owner is protected"), None);
            return false;
        }
        let owner = match self.next_owner(Some(current), lineage) {
            Ok(owner) => owner,
            Err(Taken::ByOurs(id)) => {
                let what = format!(
                    "{why}; another can be made when id {id}, which it replaced, is gone from its owner: mend the \
                     destination, then write `strategy: replace` for one apply, or delete id {} in the portal, so that \
                     id {id} takes its place again",
                    current.id
                );
                draft.wait(self.address, what, None);
                return false;
            }
            Err(taken) => {
                self.cant_issue(taken, draft);
                return false;
            }
        };
        let mut change = self.rotation(why, current);
        self.tell_turn(&mut change, Some(current), owner);
        change.notes.push(used(current, self.cx.now));
        change.notes.push(format!("id {} keeps working until it is retired", current.id));
        self.issue(change, Vec::new(), Some(current.id), owner, draft)
    }
}
