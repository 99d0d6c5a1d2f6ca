//! One change: the sentence, its symbol and reason, the fields `old -> new`, the notes.

use super::View;
use crate::model::change::{Action, Change, Field};
use crate::report::style::Tone;
use crate::report::{diff, safe};

/// Longer values don't push the arrows of their neighbours to the right.
const WIDEST: usize = 40;

/// The block of one change, as Terraform shows a resource.
pub fn block(view: &View<'_>, change: &Change) -> String {
    let Change { address, kind, action, reason, fields, notes, steps } = change;
    let style = view.style;
    let title = format!("  # {} {}", safe::shown(address), sentence(*action));
    let symbol = style.paint(Tone::of(*action), style.symbol(*action));
    let mut text = format!("{}\n", style.paint(Tone::Bold, title));
    text.push_str(&format!("  {symbol} {}: {}\n", safe::line(kind), safe::line(reason)));
    text.push_str(&self::fields(view, fields));
    for note in notes {
        text.push_str(&format!("      {} {}\n", style.paint(Tone::Change, "note:"), safe::line(note)));
    }
    match steps.as_slice() {
        [] => {}
        [_] => text.push_str(&format!("      step {}\n", view.numbered(steps))),
        _ => text.push_str(&format!("      steps {}\n", view.numbered(steps))),
    }
    text
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

fn fields(view: &View<'_>, fields: &[Field]) -> String {
    let names = fields.iter().map(|field| width(&field.name)).max().unwrap_or(0);
    let befores = fields.iter().filter(|field| field.after.is_some());
    let befores = befores.filter_map(|field| field.before.as_deref()).map(width);
    let befores = befores.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    fields.iter().map(|field| self::field(view, field, names, befores)).collect()
}

fn field(view: &View<'_>, field: &Field, names: usize, befores: usize) -> String {
    let Field { name, before, after } = field;
    let sign = |tone, sign: &str| view.style.paint(tone, sign);
    let padded = pad(name, names);
    match (before.as_deref(), after.as_deref()) {
        (Some(before), Some(after)) if before != after => {
            if let Some(diff) = parameters(view, field) {
                return format!("      {} {}\n{diff}", sign(Tone::Change, "~"), safe::line(name));
            }
            let (before, after) = (pad(before, befores), safe::line(after));
            format!("      {} {padded} = {before} -> {after}\n", sign(Tone::Change, "~"))
        }
        (Some(same), Some(_)) => format!("        {padded} = {}\n", safe::line(same)),
        (None, Some(after)) => format!("      {} {padded} = {}\n", sign(Tone::Good, "+"), safe::line(after)),
        (Some(before), None) => format!("      {} {padded} = {}\n", sign(Tone::Bad, "-"), safe::line(before)),
        (None, None) => format!("        {padded}\n"),
    }
}

/// The raw settings of an instance are long: only what changes in them is shown.
fn parameters(view: &View<'_>, field: &Field) -> Option<String> {
    let (before, after) = (field.before.as_deref()?, field.after.as_deref()?);
    let settings = || diff::settings(before, after, "          ", view.style);
    (field.name == "parameters").then(settings).flatten()
}

/// The safe text, filled up with spaces to so many columns.
fn pad(text: &str, columns: usize) -> String {
    format!("{:columns$}", safe::line(text))
}

fn width(text: &str) -> usize {
    safe::line(text).chars().count()
}
