//! Plans of more than a person reads: like changes stand together with their counts, and only the first
//! of each sort in full. What is left out is counted, and where all of it is stands beside it.

use std::collections::BTreeMap;

use super::change;
use crate::model::address::Address;
use crate::model::change::Action;
use crate::plan::document::Plan;
use crate::report::rows::{ChangeRow, Rows, StepRow};
use crate::report::safe;
use crate::report::style::{Style, Tone};

/// Up to so many changes, steps, findings or waiting objects each one is shown.
pub const SHOWN: usize = 200;

/// How many of a sort are shown in full where there are more in all.
const FIRST: usize = 3;

/// The blocks of all changes, or of the first of each sort. Locks and unlocks are never left out.
pub fn changes(plan: &Plan, rows: &Rows<'_>, style: &Style) -> Vec<String> {
    if plan.changes.len() <= SHOWN {
        return rows.changes().map(|row| change::block(&row, style)).collect();
    }
    let mut sorts: BTreeMap<Sort<'_>, Group> = BTreeMap::new();
    for (place, change) in plan.changes.iter().enumerate() {
        let switches = matches!(change.action, Action::Lock | Action::Unlock);
        let sort = (change.action, change.address.of_connection(), change.kind.as_str());
        let group = sorts.entry(sort).or_default();
        if switches || group.first.len() < FIRST {
            group.first.extend(rows.change(place));
        }
        group.owners += usize::from(!group.last.as_ref().is_some_and(|last| last.same_lane(&change.address)));
        group.last = Some(change.address.clone());
        group.count += 1;
    }
    let count = plan.changes.len();
    let title = style.paint(Tone::Bold, format!("{count} changes: the first of each sort."));
    let opening = format!("{title} `--format json` has every one, and so has the file that `-o` writes.\n");
    std::iter::once(opening).chain(sorts.iter().flat_map(|(sort, group)| group.text(sort, style))).collect()
}

type Sort<'a> = (Action, Address, &'a str);

/// Changes of one sort.
#[derive(Default)]
struct Group {
    count: usize,
    /// Changes of one owner stand together.
    owners: usize,
    last: Option<Address>,
    first: Vec<ChangeRow>,
}

impl Group {
    fn text(&self, (action, connection, kind): &Sort<'_>, style: &Style) -> Vec<String> {
        let Self { count, owners, first, .. } = self;
        let sentence = first.first().map_or("will be changed", |row| row.sentence);
        let owners = match owners {
            1 => "1 owner".to_owned(),
            n => format!("{n} owners"),
        };
        let (connection, kind) = (safe::shown(connection), safe::line(kind));
        let head = format!("{count} of {connection} {sentence} ({kind}, {owners})");
        let head = format!("{} {}\n", style.mark(*action), style.paint(Tone::Bold, head));
        let mut parts = vec![head];
        parts.extend(first.iter().map(|row| change::block(row, style)));
        let left = count - first.len();
        parts.extend((left > 0).then(|| format!("  ... and {left} more\n")));
        parts
    }
}

/// Steps in their order: of those that follow each other and are of one sort the first, and of all no more
/// than people read.
pub fn steps(rows: &Rows<'_>, one: impl Fn(&StepRow) -> String, digits: usize) -> String {
    let all = rows.steps().len();
    let mut text = String::new();
    let mut shown = 0;
    let mut run: Vec<StepRow> = Vec::new();
    let mut same = 0;
    for row in rows.steps() {
        if run.first().is_some_and(|first| !is_like(first, &row)) {
            shown += flush(&mut text, &mut run, &mut same, digits, &one);
        }
        if shown >= SHOWN {
            let left = all + 1 - row.number;
            text.push_str(&format!("  {:digits$}  ... and {left} more steps; `--format json` has all\n", ""));
            return text;
        }
        same += 1;
        if run.len() < FIRST {
            run.push(row);
        }
    }
    flush(&mut text, &mut run, &mut same, digits, &one);
    text
}

/// Writes a run of like steps; says how many rows it took.
fn flush(
    text: &mut String,
    run: &mut Vec<StepRow>,
    same: &mut usize,
    digits: usize,
    one: &impl Fn(&StepRow) -> String,
) -> usize {
    let rows = run.len();
    run.iter().for_each(|row| text.push_str(&one(row)));
    if let (Some(last), true) = (run.last(), *same > rows) {
        let (verb, left) = (last.verb, *same - rows);
        let (from, to) = (last.number + 1, last.number + left);
        text.push_str(&format!(
            "  {:digits$}  ... {left} more like these: {verb}, steps {from} to {to}\n",
            ""
        ));
    }
    run.clear();
    *same = 0;
    rows
}

/// Whether a reviewer learns nothing new from the second.
fn is_like(a: &StepRow, b: &StepRow) -> bool {
    let bare = |row: &StepRow| row.needs.is_empty() && row.after.is_none() && row.only_if.is_none();
    a.verb == b.verb && a.shape == b.shape && a.connection == b.connection && bare(a) && bare(b)
}

/// The rows of a list, or the first of a long one.
pub fn first<T>(rows: &[T], one: impl Fn(&T) -> String) -> String {
    let shown = if rows.len() > SHOWN { SHOWN / 4 } else { rows.len() };
    let mut text: String = rows.iter().take(shown).map(one).collect();
    if shown < rows.len() {
        text.push_str(&format!("  ... and {} more; `--format json` has all\n", rows.len() - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Finding;
    use crate::model::step::StepId;
    use crate::model::verb::Verb;
    use crate::report::{sample, text};

    /// The sample with its one `enable` as often as this, each of a token of its own.
    fn big(count: usize) -> Plan {
        let mut plan = sample::everything();
        let change = plan.changes.iter().find(|change| change.action == Action::Enable).unwrap().clone();
        let step = plan.steps.iter().find(|step| step.id == change.steps[0]).unwrap().clone();
        for n in 0..count {
            let at = change.address.lane().item("api_token", &format!("more-{n}"));
            let id = StepId::new(Verb::Enable, &at, 1);
            plan.changes.push(crate::model::change::Change {
                address: at.clone(),
                steps: vec![id.clone()],
                ..change.clone()
            });
            plan.steps.push(crate::model::step::Step { id, address: at, needs: vec![], ..step.clone() });
        }
        plan
    }

    #[test]
    fn like_changes_and_steps_stand_together_with_their_counts_and_locks_are_all_shown() {
        let plan = big(10_000);
        let text = text::plan(&plan, "", &Style::PLAIN);
        assert!(text.lines().count() < 250, "{}", text.lines().count());
        assert!(text.contains("10009 changes: the first of each sort."), "{text}");
        assert!(text.contains("~ 10001 of logicmonitor.acme will be enabled (api_token, 1 owner)"), "{text}");
        assert!(text.contains("  ... and 9998 more\n"), "{text}");
        assert!(text.contains("... 9997 more like these: enable, steps 14 to 10010\n"), "{text}");
        assert!(
            text.contains("# ibm.prod.mon-prod will be locked") && text.contains("`--format json`"),
            "{text}"
        );
        // up to some hundred changes each has its block
        let few = text::plan(&big(SHOWN - 20), "", &Style::PLAIN);
        assert!(
            few.contains(&format!("more-{}\"] will be enabled", SHOWN - 21)) && !few.contains("..."),
            "{few}"
        );
    }

    #[test]
    fn an_error_is_never_behind_many_warnings() {
        let mut plan = sample::everything();
        let warning = Finding::new(crate::model::code::PLAN_DISABLED_OUTSIDE, "outside");
        let error = Finding::new(crate::model::code::PLAN_AMBIGUOUS, "two of them");
        let all = std::iter::repeat_n(&warning, 1_000).chain([&error]);
        plan.findings = all.map(crate::plan::document::PlanFinding::from).collect();
        let text = text::plan(&plan, "", &Style::PLAIN);
        assert!(text.contains("two of them") && text.contains("  ... and 951 more;"), "{text}");
    }
}
