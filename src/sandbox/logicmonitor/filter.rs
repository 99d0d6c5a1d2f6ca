//! `filter=` of API v3 (contract logicmonitor 4.1). A text that is not in double quotes matches nothing.

use serde_json::Value;

/// Whether a row passes a filter: `,` is AND, `||` is OR, and AND binds looser.
pub fn passes(filter: &str, row: &Value) -> bool {
    split(filter, ",").iter().filter(|part| !part.is_empty()).all(|part| {
        let mut any = split(part, "||").into_iter();
        any.any(|term| holds(&term, row))
    })
}

const OPERATORS: [&str; 8] = ["!:", "!~", ">:", "<:", ">", "<", "~", ":"];

fn holds(term: &str, row: &Value) -> bool {
    let Some(at) = term.find(['!', '>', '<', '~', ':']) else { return false };
    let (field, rest) = term.split_at(at);
    let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) else {
        return false;
    };
    let Some(value) = row.get(field.trim()) else { return false };
    let wanted = split(&rest[operator.len()..], "|");
    match operator {
        "!:" => wanted.iter().all(|wanted| compare(value, wanted).is_some_and(|equal| !equal)),
        "!~" => wanted.iter().all(|wanted| contains(value, wanted).is_some_and(|found| !found)),
        ":" => wanted.iter().any(|wanted| compare(value, wanted) == Some(true)),
        "~" => wanted.iter().any(|wanted| contains(value, wanted) == Some(true)),
        _ => wanted.iter().any(|wanted| ordered(value, operator, wanted)),
    }
}

/// Splits at a separator that stands outside of quotes and has no backslash before it.
fn split(text: &str, separator: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut rest) = (Vec::new(), String::new(), false, text);
    while let Some(next) = rest.chars().next() {
        let escaped = rest.strip_prefix('\\').and_then(|behind| behind.chars().next());
        if let Some(escaped) = escaped {
            part.push('\\');
            part.push(escaped);
            rest = &rest[1 + escaped.len_utf8()..];
        } else if !quoted && rest.starts_with(separator) {
            parts.push(std::mem::take(&mut part));
            rest = &rest[separator.len()..];
        } else {
            quoted ^= next == '"';
            part.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    parts.push(part);
    parts
}

/// The text between double quotes, escapes resolved. `None` if it is not quoted.
fn unquoted(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(next) = chars.next() {
        out.push(if next == '\\' { chars.next().unwrap_or('\\') } else { next });
    }
    Some(out)
}

/// Equality, with `*` globs in texts. `None` where the two can't be compared.
fn compare(value: &Value, wanted: &str) -> Option<bool> {
    match value {
        Value::String(text) => unquoted(wanted).map(|pattern| crate::sandbox::faults::glob(&pattern, text)),
        Value::Number(number) => {
            let plain = unquoted(wanted).unwrap_or_else(|| wanted.trim().to_owned());
            plain.parse::<i64>().ok().map(|wanted| number.as_i64() == Some(wanted))
        }
        Value::Bool(flag) => {
            wanted.trim().trim_matches('"').parse::<bool>().ok().map(|wanted| *flag == wanted)
        }
        _ => None,
    }
}

fn contains(value: &Value, wanted: &str) -> Option<bool> {
    let pattern = unquoted(wanted)?;
    value.as_str().map(|text| crate::sandbox::faults::glob(&format!("*{pattern}*"), text))
}

fn ordered(value: &Value, operator: &str, wanted: &str) -> bool {
    let (Some(value), Ok(wanted)) = (value.as_i64(), wanted.trim().parse::<i64>()) else { return false };
    match operator {
        ">:" => value >= wanted,
        "<:" => value <= wanted,
        ">" => value > wanted,
        _ => value < wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let row = serde_json::json!({ "id": 248, "note": "ci, \"x\"", "status": 2, "username": "svc-ci" });
        for filter in [
            "id:248",
            "id>:248,status:2",
            "id:1||id:248",
            r#"username:"svc-ci""#,
            r#"username:"a"|"svc-ci""#,
            r#"username~"vc-""#,
            r#"username:"svc-*""#,
            r#"note:"ci, \"x\"""#,
            r#"username!:"x""#,
            "",
        ] {
            assert!(passes(filter, &row), "{filter}");
        }
        for filter in [
            "username:svc-ci",
            "username~svc",
            "username!:x",
            "id:1",
            "id:248,status:1",
            "nope:1",
            "rubbish",
            r#"id>"x""#,
        ] {
            assert!(!passes(filter, &row), "{filter}");
        }
    }
}
