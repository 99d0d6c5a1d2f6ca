//! Text made safe for a terminal: characters that steer it or can't be seen are shown as escapes.
//!
//! A name with an escape sequence could recolour or overwrite a plan, and one with a direction mark
//! could make it read otherwise than it is. Names are compared byte for byte, so an invisible
//! character matters to a reviewer as well.

use std::borrow::Cow;
use std::fmt::Display;
use std::fmt::Write;

/// One line: line breaks and tabs are escaped too (`\n`, `\t`), all else as `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_unsafe(c) || matches!(c, '\n' | '\t'))
}

/// Several lines: line breaks and tabs stay as they are.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe)
}

/// Anything that can be shown (an address, a path), as one safe line.
pub fn shown(thing: impl Display) -> String {
    line(&thing.to_string()).into_owned()
}

/// The text with every unsafe character replaced by a visible one *of the same length in bytes*, so
/// that places in the text stay where they are. Line breaks (`\r\n` included) and tabs stay.
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' if rest.peek() == Some(&'\n') => safe.push(c),
            c if is_unsafe(c) => safe.push_str(stand_in(c.len_utf8())),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// A visible text of so many bytes.
fn stand_in(bytes: usize) -> &'static str {
    match bytes {
        1 => "?",
        2 => "\u{bf}",
        3 => "\u{fffd}",
        _ => "\u{bf}\u{bf}",
    }
}

fn escape(text: &str, unsafe_here: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if !text.contains(unsafe_here) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' if unsafe_here(c) => safe.push_str("\\n"),
            '\t' if unsafe_here(c) => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            c if unsafe_here(c) => {
                let _ = write!(safe, "{}", c.escape_unicode());
            }
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Controls but for line feed and tab, direction marks, and characters without a picture.
fn is_unsafe(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        // soft hyphen, Arabic letter mark, Hangul fillers, Mongolian vowel separator
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' => true,
        // zero-width characters, direction marks, line and paragraph separators, embeddings
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        // word joiner, invisible operators, isolates, deprecated formats; byte order mark
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        // tag characters
        '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_direction_marks_are_escaped() {
        assert_eq!(line("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(line("x\u{202e}y\u{2066}z\u{9b}\u{7f}"), "x\\u{202e}y\\u{2066}z\\u{9b}\\u{7f}");
        assert_eq!(line("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(lines("a\nb\tc\r\x07"), "a\nb\tc\\r\\u{7}");
    }

    #[test]
    fn plain_text_of_any_script_is_left_alone() {
        for text in ["SRE", "Überwachung", "監視", "צוות", "a\\u{1b}"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn masking_keeps_every_place() {
        let text = "a\x1b[2Jb\r\nc\rd\u{85}\u{202e}\u{e0041}é\n";
        let safe = masked(text);
        assert_eq!(safe, "a?[2Jb\r\nc?d\u{bf}\u{fffd}\u{bf}\u{bf}é\n");
        assert_eq!(safe.len(), text.len());
        assert_eq!(safe.find('é'), text.find('é'));
    }
}
