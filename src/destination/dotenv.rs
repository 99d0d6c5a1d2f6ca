//! `KEY='value'` lines. Other lines, comments, order and line ends are kept byte for byte.
//!
//! # Which readers agree
//! A value is quoted so that `sh` always reads it back, and python-dotenv and node's dotenv too
//! wherever one text can serve all three:
//!
//! | value | written as | read alike by |
//! | --- | --- | --- |
//! | no `'`, no `\\`, no `\` at its end | `'…'` | all |
//! | with `'`, but none of `"` `$` `` ` `` `\` | `"…"` | all |
//! | any other | `"…"`, with `\` before `"` `$` `` ` `` `\` | `sh`; python-dotenv without `$` and `` ` `` |
//!
//! Inside `'…'` python-dotenv takes `\\` for one backslash and a `\` at the end for an escaped quote,
//! hence the first row. It also expands `${NAME}` however it is quoted, unless told not to.
//! `docker run --env-file` knows no quotes at all and reads them as part of the value.

use std::ops::Range;

use zeroize::Zeroizing;

use super::Entry;
use crate::model::secret::Secret;

/// Whether a key can be a shell variable.
pub(super) fn is_key(key: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !key.is_empty() && key.bytes().all(name) && !key.as_bytes()[0].is_ascii_digit()
}

/// The file with each entry in place of every assignment of its key, else behind the last line.
pub(super) fn set(old: &[u8], entries: &[Entry<'_>]) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut text = Zeroizing::new(old.to_vec());
    assignments(&text)?;
    for entry in entries {
        text = set_one(&text, entry)?;
    }
    Ok(text)
}

/// The value of the last assignment of a key, as [`set`] writes one; other quoting is read roughly.
pub(super) fn get(text: &[u8], key: &str) -> Result<Option<Secret>, String> {
    let places = assignments(text)?;
    let last = places.iter().rfind(|place| place.key == key.as_bytes());
    Ok(last.map(|place| unquoted(&text[place.value.clone()])))
}

/// What stands in the quotes that [`quoted`] has put.
fn unquoted(word: &[u8]) -> Secret {
    let inner = |quote: &[u8]| word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let Some(escaped) = inner(b"\"") else {
        return Secret::new(inner(b"'").unwrap_or(word).to_vec());
    };
    let mut value = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        let next = if *byte == b'\\' { bytes.next() } else { Some(byte) };
        value.extend(next);
    }
    Secret::new(value)
}

fn set_one(old: &[u8], entry: &Entry<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
    let value = quoted(entry);
    let mut new = Zeroizing::new(Vec::with_capacity(old.len() + entry.key.len() + value.len() + 8));
    let mut from = 0;
    let mut found = false;
    for place in assignments(old)?.into_iter().filter(|place| place.key == entry.key.as_bytes()) {
        new.extend_from_slice(&old[from..place.value.start]);
        new.extend_from_slice(&value);
        from = place.value.end;
        found = true;
    }
    new.extend_from_slice(&old[from..]);
    if !found {
        append(&mut new, entry.key, &value);
    }
    Ok(new)
}

fn append(text: &mut Vec<u8>, key: &str, value: &[u8]) {
    let first_end = text.iter().position(|b| *b == b'\n');
    let crlf = first_end.is_some_and(|at| text[..at].ends_with(b"\r"));
    let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.extend_from_slice(end);
    }
    for part in [key.as_bytes(), b"=", value, end] {
        text.extend_from_slice(part);
    }
}

/// The value in quotes; see the table above.
#[expect(clippy::disallowed_methods, reason = "a destination takes the value")]
fn quoted(entry: &Entry<'_>) -> Zeroizing<Vec<u8>> {
    entry.value.expose(|value| {
        let has = |set: &[u8]| value.iter().any(|b| set.contains(b));
        let doubled = value.windows(2).any(|pair| pair == br"\\");
        let mut text = Zeroizing::new(Vec::with_capacity(value.len() * 2 + 2));
        if !has(b"'") && !doubled && !value.ends_with(b"\\") {
            text.push(b'\'');
            text.extend_from_slice(value);
            text.push(b'\'');
            return text;
        }
        text.push(b'"');
        for byte in value {
            if br#""$`\"#.contains(byte) {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.push(b'"');
        text
    })
}

/// One `KEY=value`.
struct Assignment<'a> {
    key: &'a [u8],
    /// Where the value stands, quotes included, a comment behind it not.
    value: Range<usize>,
}

/// All assignments; lines that are none (comments, commands) are passed over. A quote that is never
/// closed is an error: what a key is behind it, readers would not agree on.
fn assignments(text: &[u8]) -> Result<Vec<Assignment<'_>>, String> {
    let mut all = Vec::new();
    // a byte order mark is no part of the first key
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < text.len() {
        let Some((key, start)) = key_at(text, at) else {
            at = line_end(text, at) + 1;
            continue;
        };
        let end = value_end(text, start).ok_or_else(|| {
            let line = text[..start].iter().filter(|b| **b == b'\n').count() + 1;
            format!("line {line}: the quote is never closed")
        })?;
        all.push(Assignment { key, value: start..end });
        at = line_end(text, end) + 1;
    }
    Ok(all)
}

/// The key of an assignment that begins at `at`, and where its value begins.
fn key_at(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let mut start = at + blanks(&text[at..]);
    if let Some(rest) = text[start..].strip_prefix(b"export") {
        let gap = blanks(rest);
        start += if gap > 0 { b"export".len() + gap } else { 0 };
    }
    let name = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
    let length = text[start..].iter().take_while(|b| name(b)).count();
    let equals = start + length + blanks(&text[start + length..]);
    if length == 0 || text.get(equals) != Some(&b'=') {
        return None;
    }
    let value = equals + 1;
    Some((&text[start..start + length], value + blanks(&text[value..])))
}

/// Where a value ends that begins at `start`: behind its quotes, else at the line's end or before a
/// comment. `None` if a quote is never closed.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start) {
        Some(b'\'' | b'"' | b'`') => quoted_end(text, start),
        _ => Some(bare_end(text, start)),
    }
}

/// A word that begins with a quote; as in `sh`, more quoted parts may follow without a blank.
fn quoted_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'\'' => at + 2 + text[at + 1..].iter().position(|b| *b == b'\'')?,
            quote @ (b'"' | b'`') => at + 1 + escaped_length(&text[at + 1..], *quote)?,
            b'\\' if !matches!(text.get(at + 1), Some(b'\r' | b'\n')) => at + 2,
            b' ' | b'\t' | b'\r' | b'\n' => break,
            _ => at + 1,
        };
    }
    let at = at.min(text.len());
    // what stands behind the word and is no comment would be read as part of the value by some
    let end = line_end(text, at);
    let rest = text[at..end].trim_ascii();
    Some(if rest.is_empty() || rest.starts_with(b"#") { at } else { bare_end(text, at) })
}

/// How many bytes to behind the closing quote.
fn escaped_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn bare_end(text: &[u8], start: usize) -> usize {
    let line = &text[start..line_end(text, start)];
    let comment = line.windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#');
    start + line[..comment.unwrap_or(line.len())].trim_ascii_end().len()
}

/// Where the line ends that `at` stands in: at its `\n`, or at the end of the text.
fn line_end(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |length| at + length)
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| **b == b' ' || **b == b'\t').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn put(old: &str, key: &str, value: &str) -> String {
        let value = Secret::new(value.into());
        let new = set(old.as_bytes(), &[Entry { key, value: &value }]).unwrap();
        String::from_utf8(new.to_vec()).unwrap()
    }

    #[test]
    fn a_key_is_replaced_where_it_stands_and_all_else_is_kept() {
        for (old, new) in [
            ("", "K='v'\n"),
            ("A=1", "A=1\nK='v'\n"),
            ("# top\n\nA=1 # one\nK=old\nB=2\n", "# top\n\nA=1 # one\nK='v'\nB=2\n"),
            ("export K=\"o\\\"ld\" # why\nA=1\n", "export K='v' # why\nA=1\n"),
            ("  export\tK = old\n", "  export\tK = 'v'\n"),
            ("A=1\r\nK=old\r\nB=2\r\n", "A=1\r\nK='v'\r\nB=2\r\n"),
            ("A=1\r\nB=2", "A=1\r\nB=2\r\nK='v'\r\n"),
            ("K=1\nA=1\nK=2\n", "K='v'\nA=1\nK='v'\n"),
            ("K='two\nlines'\nA=1\n", "K='v'\nA=1\n"),
            ("A='x\nK=inside\n'\nK=old\n", "A='x\nK=inside\n'\nK='v'\n"),
            ("K='it'\\''s' # c\n", "K='v' # c\n"),
            ("K=hello world # c\n", "K='v' # c\n"),
            ("K='a' b\nA=1\n", "K='v'\nA=1\n"),
            ("K=\nA=1\n", "K='v'\nA=1\n"),
            ("K=", "K='v'"),
            ("#K=old\nKK=1\nexportK=1\nK\n", "#K=old\nKK=1\nexportK=1\nK\nK='v'\n"),
            ("export=1\n", "export=1\nK='v'\n"),
            ("\u{feff}K=old\n", "\u{feff}K='v'\n"),
        ] {
            assert_eq!(put(old, "K", "v"), new, "{old:?}");
        }
    }

    #[test]
    fn setting_twice_is_setting_once_whatever_the_value() {
        for value in VALUES {
            let old = "# c\nA='1'\nK=old # why\nB=\"2\"\n";
            let once = put(old, "K", value);
            assert_eq!(put(&once, "K", value), once);
            assert_eq!(put(&once, "K", "v"), put(old, "K", "v"));
            assert_eq!(put(&put("", "K", value), "L", "x"), format!("{}L='x'\n", put("", "K", value)));
        }
    }

    #[test]
    fn what_was_set_is_read_back() {
        for value in VALUES {
            let text = put("K=old\nA='1'\n", "K", value);
            let read = get(text.as_bytes(), "K").unwrap().unwrap();
            assert!(read.same_as(&Secret::new(value.into())), "{value}");
        }
        assert!(get(b"K=bare # c\n", "K").unwrap().unwrap().same_as(&Secret::new(b"bare".to_vec())));
        assert!(get(b"K=1\n", "L").unwrap().is_none() && get(b"K='1\n", "K").is_err());
    }

    #[test]
    fn an_open_quote_is_an_error_that_names_the_line() {
        for text in ["A=1\nK='x\n", "A=1\nK=\"x\\\"\n", "A=1\nK=\"x\\"] {
            assert_eq!(set(text.as_bytes(), &[]).unwrap_err(), "line 2: the quote is never closed");
        }
    }

    #[test]
    fn rubbish_never_panics() {
        let parts = ["K", "=", "'", "\"", "`", "\\", "\n", "\r\n", " ", "#", "export", "\u{e9}"];
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(parts[(seed >> 33) as usize % parts.len()]);
            }
            let value = Secret::new(b"v".to_vec());
            if let Ok(once) = set(text.as_bytes(), &[Entry { key: "K", value: &value }]) {
                let twice = set(&once, &[Entry { key: "K", value: &value }]);
                assert!(twice.is_ok_and(|twice| *twice == *once), "{text:?}");
            }
        }
    }

    const VALUES: [&str; 16] = [
        "",
        "plain-1234",
        "a=b==",
        "$HOME and ${HOME} and $(id) and `id`",
        "say \"hi\"",
        "it's",
        "it's \"$5\" `x` \\ done",
        "# no comment",
        "a # b",
        " spaces ",
        "back\\slash",
        "two\\\\slashes",
        "ends in \\",
        "new\nline",
        "tab\tand!bang",
        "^(k)[e]{y}~*?;&|<>%é",
    ];

    /// Runs a program on a text and returns what it prints.
    fn run(program: &str, args: &[&str], input: &str) -> Option<Vec<u8>> {
        let mut child =
            Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        child.stdin.take()?.write_all(input.as_bytes()).ok()?;
        Some(child.wait_with_output().ok()?.stdout)
    }

    #[test]
    fn sh_reads_every_value_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.env");
        for value in VALUES {
            std::fs::write(&file, put("A=1\nB='2'\n", "K", value)).unwrap();
            let script = format!(". '{}'; printf %s \"$K\"", file.display());
            let read = run("sh", &["-c", &script], "").unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), value);
        }
    }

    #[test]
    fn shlex_of_python_reads_what_the_table_says_it_does() {
        let script = "import shlex,sys; sys.stdout.write(shlex.split(sys.stdin.read())[0][2:])";
        if run("python3", &["-c", ""], "").is_none() {
            return;
        }
        // inside double quotes shlex, like python-dotenv, knows no `\$` and no `` \` ``
        for value in VALUES.iter().filter(|v| !(v.contains('\'') && v.contains(['$', '`']))) {
            let read = run("python3", &["-c", script], &put("", "K", value)).unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), *value);
        }
    }
}
