//! Text broken into lines at spaces alone, so that an address or a URL can be copied whole.

/// Lines of at most so many columns where words allow it. Line breaks, a line's indent and runs of
/// spaces stay: `"a  b"` is another name than `"a b"`.
pub fn lines(text: &str, columns: usize) -> String {
    text.lines().map(|line| one(line, columns)).collect::<Vec<_>>().join("\n")
}

fn one(line: &str, columns: usize) -> String {
    let words = line.trim_start_matches(' ');
    let indent = &line[..line.len() - words.len()];
    let mut text = indent.to_owned();
    let mut used = indent.chars().count();
    for (i, word) in words.split(' ').enumerate() {
        let width = word.chars().count();
        if i > 0 && used + 1 + width > columns {
            text.push('\n');
            text.push_str(indent);
            used = indent.chars().count();
        } else if i > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += width;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn words_are_never_broken_and_indents_stay() {
        assert_eq!(lines("aa bb cc\n  dd-dd-dd ee", 5), "aa bb\ncc\n  dd-dd-dd\n  ee");
        assert_eq!(lines("\"a  b\" c", 9), "\"a  b\" c");
        assert_eq!(lines("", 5), "");
        assert_eq!(lines("a\n\nb", 5), "a\n\nb");
    }
}
