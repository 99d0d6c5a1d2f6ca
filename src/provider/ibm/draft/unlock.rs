//! Break-glass: an instance that is opened by hand, and one that is left open for a while.

use super::Scene;
use crate::model::history::Hold;
use crate::provider::draft::Draft;
use crate::provider::ibm::state::AuthMode;

impl<'a> Scene<'a> {
    /// The unlock that was asked for and what must follow it, and nothing else of the instance.
    pub(super) fn break_glass(self, mode: AuthMode, draft: &mut Draft) {
        match mode {
            AuthMode::IamOnly => self.unlock_because("break-glass", draft),
            AuthMode::Any => {
                self.owed_resets(draft);
                let (what, until) = match self.hold() {
                    Some(hold) => (held(hold), Some(hold.until)),
                    None => (format!("accepts API tokens{}", self.relock()), None),
                };
                draft.wait(self.address, what, until);
            }
        }
    }

    /// An instance that an unlock of ours left open: it waits, and is not locked.
    pub(super) fn held(self, hold: &Hold, draft: &mut Draft) {
        self.owed_resets(draft);
        draft.wait(self.address, held(hold), Some(hold.until));
    }

    /// The hold on the instance, if there is one that has not ended.
    pub(super) fn hold(self) -> Option<&'a Hold> {
        let wanted = self.want.external_api_auth == Some(AuthMode::IamOnly);
        self.cx.past(self.address).hold.as_ref().filter(|hold| wanted && hold.until > self.cx.now)
    }

    /// Why an instance is locked: the spec says so, and a hold that is over says so no more.
    pub(super) fn why_locked(self) -> String {
        let wish = "the spec wants IAM tokens alone";
        match &self.cx.past(self.address).hold {
            Some(hold) => format!("the hold ended at {}; {wish}", hold.until),
            None => wish.to_owned(),
        }
    }

    /// Whether this plan opens the instance against the spec.
    pub(super) fn unlocks(self) -> bool {
        self.cx.asked.unlocks(self.address).is_some()
    }

    /// What becomes of the instance after a break-glass unlock.
    pub(super) fn after_unlock(self) -> Option<String> {
        let asked = self.cx.asked.unlocks(self.address)?;
        Some(match asked.hold {
            Some(hold) => format!("held open for {hold} from the unlock on{}", self.relock()),
            None => format!("not held open{}", self.relock()),
        })
    }

    fn relock(self) -> &'static str {
        match self.want.external_api_auth {
            Some(AuthMode::IamOnly) => {
                "; the spec says IAM_ONLY: the next apply resets the token of every team and locks again"
            }
            _ => "",
        }
    }

    /// Teams whose token was not reset since the unlock.
    fn owed_resets(self, draft: &mut Draft) {
        let owed = self.live.teams.iter().filter(|team| self.owed(team));
        draft.findings.extend(owed.map(|team| self.resets_owed(team)));
    }
}

fn held(hold: &Hold) -> String {
    let Hold { until: _, reason, by } = hold;
    let by = if by.is_unknown() { String::new() } else { format!(", by {by}") };
    format!("held open by hand ({reason}{by}); then the full reset and lock")
}
