//! A line diff of JSON settings, shown under the change that alters them.

use similar::{ChangeTag, TextDiff};

use super::safe;
use super::style::{Style, Tone};

/// How many unchanged lines stand around a changed one.
const CONTEXT: usize = 3;

/// The changed lines of two JSON objects, pretty-printed with sorted keys, each behind `indent`.
/// `None` where either is not a JSON object, or where the two show no difference.
pub fn settings(before: &str, after: &str, indent: &str, style: &Style) -> Option<String> {
    let (before, after) = (pretty(before)?, pretty(after)?);
    let diff = TextDiff::from_lines(&before, &after);
    let mut text = String::new();
    for (i, hunk) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if i > 0 {
            text.push_str(&format!("{indent}  ...\n"));
        }
        for change in hunk.iter().flat_map(|op| diff.iter_changes(op)) {
            text.push_str(&row(change.tag(), change.value(), indent, style));
        }
    }
    (!text.is_empty()).then_some(text)
}

fn row(tag: ChangeTag, line: &str, indent: &str, style: &Style) -> String {
    let line = safe::line(line.trim_end_matches('\n'));
    match tag {
        ChangeTag::Equal => format!("{indent}  {line}\n"),
        ChangeTag::Delete => format!("{indent}{} {line}\n", style.paint(Tone::Bad, "-")),
        ChangeTag::Insert => format!("{indent}{} {line}\n", style.paint(Tone::Good, "+")),
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
        let text = settings(before, after, "  ", &Style::PLAIN).unwrap();
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
        assert_eq!(settings("ANY", "{}", "", &Style::PLAIN), None);
        assert_eq!(settings("1", "2", "", &Style::PLAIN), None);
        assert_eq!(settings("{\"a\": 1}", "{\"a\":1}", "", &Style::PLAIN), None);
    }

    #[test]
    fn hidden_characters_in_settings_are_escaped() {
        let text = settings("{}", "{\"a\":\"\u{202e}x\"}", "", &Style::PLAIN).unwrap();
        assert!(text.contains("\\u{202e}x"), "{text}");
    }
}
