//! Places in the files of a spec: byte ranges on one number line over all files.

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

    /// Overwrites a span with `*`, so that what stood there can't be rendered. Line breaks stay.
    pub fn mask(&mut self, span: Span) {
        let Some((file, range)) = self.locate(span) else {
            return;
        };
        let base = file.base;
        let Some(file) = self.files.iter_mut().find(|f| f.base == base) else {
            return;
        };
        let masked: Vec<u8> = file.text.as_bytes()[range.clone()]
            .iter()
            .map(|b| if *b == b'\n' { b'\n' } else { b'*' })
            .collect();
        let mut bytes = std::mem::take(&mut file.text).into_bytes();
        bytes[range].copy_from_slice(&masked);
        file.text = String::from_utf8_lossy(&bytes).into_owned();
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
        sources.mask(span);
        assert_eq!(sources.files()[1].text, "pass: *******\n");
        assert_eq!(sources.files()[0].text, "key: 1\n");
    }
}
