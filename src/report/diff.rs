//! A line diff of JSON settings, shown under the change that alters them.

use similar::{ChangeTag, TextDiff};

use super::safe;
use super::style::{Style, Tone};

/// How many unchanged lines stand around a changed one.
const CONTEXT: usize = 3;

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Same(String),
    Gone(String),
    New(String),
    /// Unchanged lines are left out here.
    Skipped,
}

/// The changed lines of two JSON objects, pretty-printed with sorted keys. `None` where either is
/// not a JSON object, or where the two show no difference.
pub fn settings(before: &str, after: &str) -> Option<Vec<Row>> {
    let (before, after) = (pretty(before)?, pretty(after)?);
    let diff = TextDiff::from_lines(&before, &after);
    let mut rows = Vec::new();
    for (i, hunk) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if i > 0 {
            rows.push(Row::Skipped);
        }
        rows.extend(hunk.iter().flat_map(|op| diff.iter_changes(op)).map(|c| row(c.tag(), c.value())));
    }
    (!rows.is_empty()).then_some(rows)
}

/// The rows as lines of text, each behind `indent`.
pub fn text(rows: &[Row], indent: &str, style: &Style) -> String {
    let line = |row: &Row| match row {
        Row::Same(line) => format!("{indent}  {line}\n"),
        Row::Gone(line) => format!("{indent}{} {line}\n", style.paint(Tone::Bad, "-")),
        Row::New(line) => format!("{indent}{} {line}\n", style.paint(Tone::Good, "+")),
        Row::Skipped => format!("{indent}  ...\n"),
    };
    rows.iter().map(line).collect()
}

fn row(tag: ChangeTag, line: &str) -> Row {
    let line = safe::line(line.trim_end_matches('\n')).into_owned();
    match tag {
        ChangeTag::Equal => Row::Same(line),
        ChangeTag::Delete => Row::Gone(line),
        ChangeTag::Insert => Row::New(line),
    }
}

fn pretty(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let text = value.is_object().then(|| format!("{value:#}"))?;
    Some(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_and_its_surroundings_are_shown() {
        let before = r#"{"k":1,"a":1,"b":2,"c":3,"d":4,"external_api_auth":"ANY"}"#;
        let after = r#"{"k":1,"a":1,"b":2,"c":3,"d":4,"external_api_auth":"IAM_ONLY"}"#;
        let text = text(&settings(before, after).unwrap(), "  ", &Style::PLAIN);
        assert_eq!(
            text,
            concat!(
                "      \"b\": 2,\n",
                "      \"c\": 3,\n",
                "      \"d\": 4,\n",
                "  -   \"external_api_auth\": \"ANY\",\n",
                "  +   \"external_api_auth\": \"IAM_ONLY\",\n",
                "      \"k\": 1\n",
                "    }\n",
            )
        );
    }

    #[test]
    fn what_is_no_json_object_or_equal_has_no_diff() {
        assert_eq!(settings("ANY", "{}"), None);
        assert_eq!(settings("1", "2"), None);
        assert_eq!(settings("{\"a\": 1}", "{\"a\":1}"), None);
    }

    #[test]
    fn hidden_characters_in_settings_are_escaped() {
        let text = text(&settings("{}", "{\"a\":\"\u{202e}x\"}").unwrap(), "", &Style::PLAIN);
        assert!(text.contains("\\u{202e}x"), "{text}");
    }
}
