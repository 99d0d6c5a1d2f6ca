//! The block of one change: the sentence, its symbol and reason, the fields `old -> new`, the notes.

use crate::report::diff;
use crate::report::rows::{ChangeRow, FieldRow};
use crate::report::style::{Style, Tone};

/// Longer values don't push the arrows of their neighbours to the right.
const WIDEST: usize = 40;

/// The block of one change, as Terraform shows a resource.
pub fn block(row: &ChangeRow, style: &Style) -> String {
    let ChangeRow { address, kind, action, sentence, reason, fields, notes, step_count, steps } = row;
    let title = style.paint(Tone::Bold, format!("  # {address} {sentence}"));
    let mut text = format!("{title}\n  {} {kind}: {reason}\n", style.mark(*action));
    text.push_str(&self::fields(fields, style));
    for note in notes {
        text.push_str(&format!("      {} {note}\n", style.paint(Tone::Change, "note:")));
    }
    match step_count {
        0 => {}
        1 => text.push_str(&format!("      step {steps}\n")),
        _ => text.push_str(&format!("      steps {steps}\n")),
    }
    text
}

fn fields(fields: &[FieldRow], style: &Style) -> String {
    let names = fields.iter().map(|field| width(&field.name)).max().unwrap_or(0);
    let befores = fields.iter().filter(|field| field.after.is_some());
    let befores = befores.filter_map(|field| field.before.as_deref()).map(width);
    let befores = befores.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    fields.iter().map(|field| self::field(field, names, befores, style)).collect()
}

fn field(row: &FieldRow, names: usize, befores: usize, style: &Style) -> String {
    let FieldRow { name, before, after, diff } = row;
    let sign = |tone, sign: &str| style.paint(tone, sign);
    if let Some(diff) = diff {
        let lines = diff::text(diff, "          ", style);
        return format!("      {} {name}\n{lines}", sign(Tone::Change, "~"));
    }
    match (before, after) {
        (Some(same), Some(_)) if row.is_kept() => format!("        {name:names$} = {same}\n"),
        (Some(before), Some(after)) => {
            format!("      {} {name:names$} = {before:befores$} -> {after}\n", sign(Tone::Change, "~"))
        }
        (None, Some(after)) => format!("      {} {name:names$} = {after}\n", sign(Tone::Good, "+")),
        (Some(before), None) => format!("      {} {name:names$} = {before}\n", sign(Tone::Bad, "-")),
        (None, None) => format!("        {name:names$}\n"),
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}
