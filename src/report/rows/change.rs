//! One change as a row: the sentence, its reason, the fields before and after, the notes.

use super::View;
use crate::model::change::{Action, Change, Field};
use crate::report::{diff, safe};

/// One reviewed object.
#[derive(Debug)]
pub struct ChangeRow {
    pub address: String,
    pub kind: String,
    pub action: Action,
    /// `will be rotated`
    pub sentence: &'static str,
    pub reason: String,
    pub fields: Vec<FieldRow>,
    pub notes: Vec<String>,
    /// How many steps it has, and their numbers: `6, 7`.
    pub step_count: usize,
    pub steps: String,
}

/// One attribute.
#[derive(Debug)]
pub struct FieldRow {
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
    /// For long JSON settings: only the lines that change and those around them.
    pub diff: Option<Vec<diff::Row>>,
}

impl FieldRow {
    /// Whether it is the same before and after.
    pub fn is_kept(&self) -> bool {
        self.before.is_some() && self.before == self.after
    }
}

pub fn row(view: &View<'_>, change: &Change) -> ChangeRow {
    let Change { address, kind, action, reason: _, rationale: _, fields, notes, steps } = change;
    ChangeRow {
        address: safe::shown(address),
        kind: safe::line(kind).into_owned(),
        action: *action,
        sentence: sentence(*action),
        reason: safe::line(&change.why()).into_owned(),
        fields: fields.iter().map(field).collect(),
        notes: notes.iter().map(|note| safe::line(note).into_owned()).collect(),
        step_count: steps.len(),
        steps: view.numbered(steps),
    }
}

fn sentence(action: Action) -> &'static str {
    match action {
        Action::Create => "will be created",
        Action::Rotate => "will be rotated",
        Action::Invalidate => "will be invalidated",
        Action::Deliver => "will be delivered as it is",
        Action::Enable => "will be enabled",
        Action::Disable => "will be disabled",
        Action::Delete => "will be deleted",
        Action::Lock => "will be locked",
        Action::Unlock => "will be unlocked",
        Action::Protect => "will be protected",
        Action::Unprotect => "will no longer be protected",
    }
}

fn field(field: &Field) -> FieldRow {
    let Field { name, before, after } = field;
    let safe = |value: &Option<String>| value.as_deref().map(|value| safe::line(value).into_owned());
    FieldRow {
        name: safe::line(name).into_owned(),
        before: safe(before),
        after: safe(after),
        diff: parameters(field),
    }
}

/// The raw settings of an instance are long: only what changes in them is shown.
fn parameters(field: &Field) -> Option<Vec<diff::Row>> {
    let (before, after) = (field.before.as_deref()?, field.after.as_deref()?);
    (field.name == "parameters" && before != after).then(|| diff::settings(before, after)).flatten()
}
