//! Tells a pasted placeholder from a value: `<API_KEY>`, `{key}`, `"..."`, `changeme`, `your-key`.

/// Whether a value is one that people forget to replace. Keys of LogicMonitor may begin with `{`
/// or `<` (contract logicmonitor 2.6), so brackets count only around something that reads as words.
pub fn looks_like_one(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let text = text.trim();
    quoted(text) || bracketed(text) || known_word(text)
}

fn quoted(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('"') && text.ends_with('"')
}

fn bracketed(text: &str) -> bool {
    let text = text.strip_prefix('$').unwrap_or(text);
    let inner = [('<', '>'), ('{', '}')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close));
    let wordy = |c: char| c.is_alphanumeric() || " ._-{}<>".contains(c);
    inner.is_some_and(|inner| inner.chars().all(wordy))
}

fn known_word(text: &str) -> bool {
    let starts =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    text.eq_ignore_ascii_case("changeme")
        || text.eq_ignore_ascii_case("change-me")
        || text.eq_ignore_ascii_case("change_me")
        || (text.len() >= 3 && text.bytes().all(|b| b.eq_ignore_ascii_case(&b'x')))
        || starts("your-")
        || starts("your_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_seen_and_real_keys_are_not() {
        for text in [
            "<API_KEY>",
            "<your key>",
            "{api_key}",
            "{{ key }}",
            "${KEY}",
            "\"abc\"",
            "changeme",
            "CHANGEME",
            "xxx",
            "XXXXXXXX",
            "your-api-key",
            "YOUR_KEY",
        ] {
            assert!(looks_like_one(text.as_bytes()), "{text}");
        }
        for text in
            ["{](%~+k2^V[3c+R)8b%yN5hG1u}", "=T(9x]f4$Lq!w7_{eZ}", "lmb_abc=", "xx", "yours", "ünïcode"]
        {
            assert!(!looks_like_one(text.as_bytes()), "{text}");
        }
        assert!(!looks_like_one(&[0xff, b'<']));
    }
}
