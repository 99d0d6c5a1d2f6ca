//! The table of ordering rules (PRODUCT section 3): which step comes before which, and why.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::step::{Rule, Shape, Step};
use crate::model::verb::Verb;

/// One ordering rule. An edge stands between every two steps that it matches within its scope.
pub struct Row {
    pub rule: Rule,
    pub form: &'static str,
    pub scope: Scope,
    pub why: &'static str,
    before: fn(&Step) -> bool,
    after: fn(&Step) -> bool,
}

/// Which steps a rule compares with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Instance,
    Object,
    Connection,
}

impl Scope {
    /// Steps with equal keys are compared.
    pub fn key(self, step: &Step) -> Address {
        match self {
            Self::Instance => step.address.lane(),
            Self::Object => step.address.clone(),
            Self::Connection => step.address.of_connection(),
        }
    }

    /// The keys of the steps that come before this one: a credential belongs to its own connection, and
    /// to each that logs in with it.
    pub fn keys_before(self, step: &Step) -> BTreeSet<Address> {
        let users = step.params.get("caller_of").filter(|_| self == Self::Connection);
        let users: Option<Vec<Address>> = users.and_then(|list| serde_json::from_str(list).ok());
        users.into_iter().flatten().chain([self.key(step)]).collect()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Object => "object",
            Self::Connection => "connection",
        }
    }
}

/// Rows in the order in which they name an edge: a pair that two rules ask for has the first's name.
pub const TABLE: &[Row] = &[
    Row {
        rule: Rule::ResetBeforeLock,
        form: "reset → lock",
        scope: Scope::Instance,
        why: "a locked instance refuses to read a token, so a reset could be neither made nor verified",
        before: |step| step.verb == Verb::Reset,
        after: |step| step.verb == Verb::Lock,
    },
    Row {
        rule: Rule::LockLast,
        form: "everything else of the instance → lock",
        scope: Scope::Instance,
        why: "nothing that needs an API token works after the lock",
        before: |step| step.verb != Verb::Lock,
        after: |step| step.verb == Verb::Lock,
    },
    Row {
        rule: Rule::UnlockBeforeReset,
        form: "unlock → reset",
        scope: Scope::Instance,
        why: "a locked instance refuses to read a token",
        before: |step| step.verb == Verb::Unlock,
        after: |step| step.verb == Verb::Reset,
    },
    Row {
        rule: Rule::IssueBeforeRetire,
        form: "issue with its delivery → disable or delete of the predecessor",
        scope: Scope::Object,
        why: "consumers must have the new value before the old one stops",
        before: |step| step.verb == Verb::Issue,
        after: |step| matches!(step.verb, Verb::Disable | Verb::Delete) && !replaces(step),
    },
    Row {
        rule: Rule::DeleteBeforeIssue,
        form: "delete → issue, for `strategy: replace`",
        scope: Scope::Object,
        why: "where the spec asks for it, the portal allows no second token beside the old one",
        before: |step| step.verb == Verb::Delete && replaces(step),
        after: |step| step.verb == Verb::Issue && replaces(step),
    },
    Row {
        rule: Rule::DisableBeforeDelete,
        form: "disable → delete",
        scope: Scope::Object,
        why: "a disabled token can be enabled again, a deleted one can't be had back",
        before: |step| step.verb == Verb::Disable,
        after: |step| step.verb == Verb::Delete,
    },
    Row {
        rule: Rule::CallerLast,
        form: "everything else of the connections that use it → rotation of the credential in use",
        scope: Scope::Connection,
        why: "a run that stops halfway must still be able to authenticate",
        before: |step| !rotates_caller(step),
        after: rotates_caller,
    },
];

/// Whether a rule lets two steps of its scope be in any order: what the credential in use replaced is
/// retired after its own rotation (issue-before-retire), not before it.
fn spares(row: &Row, before: &Step, after: &Step) -> bool {
    row.rule == Rule::CallerLast && before.address == after.address
}

impl Row {
    pub fn is_before(&self, step: &Step) -> bool {
        (self.before)(step)
    }

    pub fn is_after(&self, step: &Step) -> bool {
        (self.after)(step)
    }

    /// Whether an edge stands between two steps that match within the scope.
    pub fn orders(&self, before: &Step, after: &Step) -> bool {
        !spares(self, before, after)
    }
}

fn replaces(step: &Step) -> bool {
    step.shape == Some(Shape::Replace)
}

/// Whether a step replaces a credential that a connection of the spec uses.
fn rotates_caller(step: &Step) -> bool {
    step.shape == Some(Shape::Overlap) && step.params.get("caller").is_some_and(|v| v == "true")
}
