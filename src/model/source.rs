//! Places in the files of a spec: byte ranges on one number line over all files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// A byte range over all files of a [`Sources`], in the order they were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// One file of a spec, as shown in reports.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
    /// Where its first byte stands on the number line.
    pub base: usize,
}

/// All files of a spec, laid end to end with one byte between them.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a file and returns the place of its first byte.
    pub fn add(&mut self, path: PathBuf, text: String) -> usize {
        let base = self.files.last().map_or(0, |f| f.base + f.text.len() + 1);
        self.files.push(SourceFile { path, text, base });
        base
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file that a span begins in, and the span's range inside it (clamped to the file).
    pub fn locate(&self, span: Span) -> Option<(&SourceFile, Range<usize>)> {
        let after = self.files.partition_point(|f| f.base <= span.start);
        let file = self.files.get(after.checked_sub(1)?)?;
        let start = (span.start - file.base).min(file.text.len());
        let end = (span.end.max(span.start) - file.base).min(file.text.len());
        Some((file, start..end))
    }

    /// Overwrites spans with `*`, so that what stood there can't be rendered. Line breaks stay. Each
    /// file is rewritten once, however many spans it has.
    pub fn mask_all(&mut self, spans: &[Span]) {
        let mut ranges: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
        for span in spans {
            if let Some((file, range)) = self.locate(*span) {
                ranges.entry(file.base).or_default().push(range);
            }
        }
        for file in &mut self.files {
            let Some(ranges) = ranges.get(&file.base) else { continue };
            let mut bytes = std::mem::take(&mut file.text).into_bytes();
            for range in ranges {
                bytes[range.clone()].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
            }
            file.text = match String::from_utf8(bytes) {
                Ok(text) => text,
                // a span that cuts a character
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_found_in_its_own_file_and_can_be_masked() {
        let mut sources = Sources::default();
        sources.add("a.yaml".into(), "key: 1\n".into());
        let base = sources.add("b.yaml".into(), "pass: hunter2\n".into());
        let span = Span { start: base + 6, end: base + 13 };
        let (file, range) = sources.locate(span).unwrap();
        assert_eq!(&file.text[range], "hunter2");
        sources.mask_all(&[span, Span { start: 5, end: 6 }, Span { start: base, end: base + 1 }]);
        assert_eq!(sources.files()[1].text, "*ass: *******\n");
        assert_eq!(sources.files()[0].text, "key: *\n");
    }

    /// Rewriting the file for each span would take minutes.
    #[test]
    fn many_spans_of_a_large_file_are_masked_at_once() {
        let mut sources = Sources::default();
        sources.add("a.yaml".into(), "k: secret\n".repeat(100_000));
        let spans: Vec<_> = (0..100_000).map(|at| Span { start: at * 10 + 3, end: at * 10 + 9 }).collect();
        sources.mask_all(&spans);
        assert_eq!(sources.files()[0].text, "k: ******\n".repeat(100_000));
    }
}
