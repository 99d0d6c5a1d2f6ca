//! Findings as reports with labelled source lines: code, severity, places in one or more files, cure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use super::style::Style;
use super::{safe, wrap};
use crate::model::finding::{Finding, Label, Severity};
use crate::model::source::{Sources, Span};

/// Columns of a message or help: a report's 100 without its indent. We wrap at spaces alone, where
/// miette would break addresses and URLs at their hyphens.
const WIDTH: usize = 92;

/// A line longer than this is shown only around its label.
const LONGEST_LINE: usize = 240;

/// What of a long line is shown before and behind its label.
const AROUND: usize = 40;

/// So many objects are named where one thing is told of several.
const NAMED: usize = 3;

/// All findings, one below the other, with a count at the end where there are several. What is the same of
/// several objects (a portal that can't be read) is told once, with how many they are.
pub fn render(findings: &[Finding], sources: &Sources, style: &Style) -> String {
    let files = Files::of(sources, findings);
    let handler = handler(style);
    let mut text = String::new();
    for finding in &gathered(findings) {
        let finding = finding.as_ref();
        let report = Report { finding, sources, files: &files };
        // No place outside a file is handed over; were one unreadable, the finding is still told.
        if handler.render_report(&mut text, &report).is_err() {
            text.push_str(&format!("{report}\n"));
        }
        text.push('\n');
    }
    if findings.len() > 1 {
        text.push_str(&count(findings));
    }
    text
}

/// Findings without a place that say the same, as one: at the first object, with the others in its message.
fn gathered(findings: &[Finding]) -> Vec<Cow<'_, Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    let mut places = BTreeMap::new();
    for finding in findings {
        let Finding { code, message, help, labels, .. } = finding;
        let new = groups.len();
        let place = match labels.is_empty() {
            true => *places.entry((code.id(), message, help)).or_insert(new),
            false => new,
        };
        if place == new {
            groups.push(Vec::new());
        }
        groups[place].push(finding);
    }
    groups.into_iter().map(|group| one_of(&group)).collect()
}

fn one_of<'f>(group: &[&'f Finding]) -> Cow<'f, Finding> {
    let (first, others) = (group[0], &group[1..]);
    if others.is_empty() {
        return Cow::Borrowed(first);
    }
    let named = others.iter().filter_map(|other| other.address.as_ref()).take(NAMED);
    let mut named: Vec<String> = named.map(ToString::to_string).collect();
    let more = others.len() - named.len().min(others.len());
    named.extend((more > 0).then(|| format!("{more} more")));
    let message = format!("{} (the same of {})", first.message, named.join(", "));
    Cow::Owned(Finding { message, ..first.clone() })
}

/// `2 errors, 1 warning.`
fn count(findings: &[Finding]) -> String {
    let of = |severity| findings.iter().filter(|f| f.code.severity() == severity).count();
    let said = |n: usize, one: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {one}s")),
    };
    let parts = [
        said(of(Severity::Error), "error"),
        said(of(Severity::Warning), "warning"),
        said(of(Severity::Info), "note"),
    ];
    format!("{}.\n", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn handler(style: &Style) -> GraphicalReportHandler {
    let characters = if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() };
    let styles = if style.color { ThemeStyles::ansi() } else { ThemeStyles::none() };
    GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_wrap_lines(false)
        .with_urls(false)
        .without_syntax_highlighting()
}

/// One finding as miette wants it.
struct Report<'a> {
    finding: &'a Finding,
    sources: &'a Sources,
    files: &'a Files,
}

impl Report<'_> {
    /// The label's place, cut to its first line and moved onto a character that is shown.
    fn place(&self, label: &Label) -> Option<LabeledSpan> {
        let (file, range) = self.sources.locate(label.span)?;
        let start = match range.start < file.text.len() {
            true => floor(&file.text, range.start),
            false => last_character(&file.text),
        };
        let rest = &file.text[start..];
        let line_end = start + rest.find(['\r', '\n']).unwrap_or(rest.len());
        let end = range.end.clamp(start, line_end.max(start)).min(start + LONGEST_LINE);
        let end = floor(&file.text, end);
        let text = safe::line(&label.text).into_owned();
        Some(LabeledSpan::new(Some(text), file.base + start, end - start))
    }
}

impl Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let code = self.finding.code;
        Some(Box::new(format!("{}[{}]", code.severity().as_str(), code.id())))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.code.severity() {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Info => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.finding.help.as_deref().unwrap_or(self.finding.code.cure());
        Some(Box::new(wrap::lines(&safe::lines(help), WIDTH)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.files)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels: Vec<_> = self.finding.labels.iter().filter_map(|label| self.place(label)).collect();
        (!labels.is_empty()).then(|| Box::new(labels.into_iter()) as Box<_>)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wrap::lines(&safe::lines(&self.finding.to_string()), WIDTH))
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.finding.code.id())
    }
}

impl std::error::Error for Report<'_> {}

/// The files that findings point into, safe to show, on the number line of [`Sources`].
struct Files(Vec<File>);

struct File {
    name: String,
    /// Of the same length as the file's own text.
    text: String,
    base: usize,
    /// Where each line starts in `text`.
    lines: Vec<usize>,
}

impl Files {
    /// Only files with a label are taken: a spec can be large.
    fn of(sources: &Sources, findings: &[Finding]) -> Self {
        let spans: Vec<Span> = findings.iter().flat_map(|f| &f.labels).map(|label| label.span).collect();
        let labelled = |base| spans.iter().any(|s| sources.locate(*s).is_some_and(|(f, _)| f.base == base));
        let files = sources.files().iter().filter(|file| labelled(file.base));
        let files = files.map(|file| {
            let text = safe::masked(&file.text).into_owned();
            let starts = text.match_indices('\n').map(|(at, _)| at + 1);
            let lines = std::iter::once(0).chain(starts).collect();
            File { name: safe::shown(file.path.display()), text, base: file.base, lines }
        });
        Self(files.collect())
    }
}

impl SourceCode for Files {
    /// The span's lines and the context asked for. A span over two files is out of bounds, so that
    /// each file gets a snippet of its own.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let at = self.0.partition_point(|file| file.base <= span.offset());
        let file = at.checked_sub(1).and_then(|at| self.0.get(at)).ok_or(MietteError::OutOfBounds)?;
        file.read(span.offset() - file.base, span.len(), before, after).ok_or(MietteError::OutOfBounds)
    }
}

impl File {
    fn read(
        &self,
        start: usize,
        length: usize,
        before: usize,
        after: usize,
    ) -> Option<Box<dyn SpanContents<'_> + '_>> {
        let end = start + length;
        let line = self.line_of(start);
        let first = line.saturating_sub(before);
        let last = self.line_of(end.saturating_sub(1).max(start)) + after;
        if before > 0 && self.any_is_long(first, last) {
            return self.around(start, end);
        }
        // Without context the contents begin with the span itself, and the column says where.
        let from = if before == 0 { start } else { self.lines[first] };
        let to = self.lines.get(last + 1).copied().unwrap_or(self.text.len()).max(end);
        let column = self.text.get(self.lines[first]..from)?.chars().count();
        let data = self.text.get(from..to)?.as_bytes();
        let span = SourceSpan::from((self.base + from, to - from));
        let count = last + 1 - first;
        Some(Box::new(MietteSpanContents::new_named(self.name.clone(), data, span, first, column, count)))
    }

    fn any_is_long(&self, first: usize, last: usize) -> bool {
        let end = |line: usize| self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        let shown = first..=last.min(self.lines.len() - 1);
        shown.into_iter().any(|line| end(line) - self.lines[line] > LONGEST_LINE)
    }

    /// A piece of one line. Labels too far apart for one piece are out of bounds together, so that
    /// each gets a piece of its own.
    fn around(&self, start: usize, end: usize) -> Option<Box<dyn SpanContents<'_> + '_>> {
        let line = self.line_of(start);
        let line_end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        if end > line_end.max(start) || end - start > LONGEST_LINE {
            return None;
        }
        let from = floor(&self.text, start.saturating_sub(AROUND)).max(self.lines[line]);
        let to = floor(&self.text, (end + AROUND).min(line_end)).max(end);
        let column = self.text.get(self.lines[line]..from)?.chars().count();
        let data = self.text.get(from..to)?.as_bytes();
        let span = SourceSpan::from((self.base + from, to - from));
        Some(Box::new(MietteSpanContents::new_named(self.name.clone(), data, span, line, column, 1)))
    }

    /// The index of the line that a place is on. The first line starts at 0, so there is one.
    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }
}

/// The nearest place at or before this one that begins a character.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Where the last character that is no line break begins: a label at the end of a file stands there.
fn last_character(text: &str) -> usize {
    let shown = text.trim_end_matches(['\r', '\n']);
    shown.char_indices().next_back().map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::code;

    const UNICODE: Style = Style { color: false, unicode: true };

    fn two_files() -> (Sources, Finding) {
        let mut sources = Sources::default();
        let a = sources.add("a.yaml".into(), "version: 1\nlimits:\n  lock: 2\n".to_owned());
        let b = sources.add("b.yaml".into(), "version: 1\nlimits:\n  lock: 3\n".to_owned());
        let at = |base: usize| Span { start: base + 21, end: base + 28 };
        let finding = Finding::new(code::SPEC_NOT_YET, "`lock` is set twice")
            .label(at(a), "first here")
            .label(at(b), "and again here");
        (sources, finding)
    }

    #[test]
    fn one_report_shows_two_files() {
        let (sources, finding) = two_files();
        snapbox::assert_data_eq!(
            render(&[finding], &sources, &UNICODE),
            snapbox::IntoData::raw(snapbox::str![[r#"
error[tokenform::spec::not_yet]

  × `lock` is set twice
   ╭─[a.yaml:3:3]
 2 │ limits:
 3 │   lock: 2
   ·   ───┬───
   ·      ╰── first here
   ╰────
   ╭─[b.yaml:3:3]
 2 │ limits:
 3 │   lock: 3
   ·   ───┬───
   ·      ╰── and again here
   ╰────
  help: Remove the key; nothing is silently ignored.


"#]])
        );
    }

    #[test]
    fn without_unicode_it_is_ascii_and_without_colour_it_has_no_codes() {
        let (sources, finding) = two_files();
        let text = render(&[finding.clone(), finding.clone()], &sources, &Style::PLAIN);
        assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text}");
        assert!(text.ends_with("\n2 errors.\n"), "{text}");
        let style = Style { color: true, unicode: false };
        assert!(render(&[finding], &sources, &style).contains("\u{1b}["));
    }

    #[test]
    fn control_characters_of_a_file_never_come_through() {
        let mut sources = Sources::default();
        let text = "a: \"\x1b]0;owned\x07\u{202e}\"\r\nb: \u{9b}31m\n".to_owned();
        sources.add("x\x1b.yaml".into(), text);
        let finding = Finding::new(code::SPEC_NOT_YET, "bad\x1b[1A name")
            .help("not \x07 this")
            .label(Span { start: 3, end: 17 }, "here\x1b[0m");
        let text = render(&[finding], &sources, &UNICODE);
        assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
        assert!(text.contains("?]0;owned?") && text.contains("here\\u{1b}[0m"), "{text}");
    }

    #[test]
    fn odd_places_are_still_shown() {
        let mut sources = Sources::default();
        let base = sources.add("a.yaml".into(), "é: 1\nkey:\n  sub: 2\n".to_owned());
        sources.add("empty.yaml".into(), String::new());
        let end = base + sources.files()[0].text.len();
        let spans =
            [(1, 2), (0, 18), (end, end), (end + 1, end + 1), (end + 9, end + 90), (6, 2), (3, end + 1)];
        for (start, end) in spans {
            let finding = Finding::new(code::SPEC_NOT_YET, "x").label(Span { start, end }, "here");
            let text = render(&[finding], &sources, &UNICODE);
            assert!(
                text.contains("tokenform::spec::not_yet") && !text.contains("Failed"),
                "{start}..{end}\n{text}"
            );
            assert!(text.contains("here") || text.contains("empty.yaml"), "{start}..{end}\n{text}");
        }
    }

    #[test]
    fn of_a_long_line_only_what_is_around_the_label_is_shown() {
        let mut sources = Sources::default();
        let text = format!("a: 1\nb: {}é{}\n", "x".repeat(5000), "y".repeat(5000));
        sources.add("a.yaml".into(), text);
        for (start, end, place) in
            [(5, 6, "2:1"), (5008, 5010, "2:5004"), (5010, 10_010, "2:5005"), (2, 3, "1:3")]
        {
            let finding = Finding::new(code::SPEC_NOT_YET, "x").label(Span { start, end }, "here");
            let text = render(&[finding], &sources, &UNICODE);
            assert!(text.contains(&format!("[a.yaml:{place}]")) && text.contains("here"), "{start}\n{text}");
            assert!(text.lines().all(|line| line.chars().count() < 400), "{start}\n{text}");
        }
        let both = Finding::new(code::SPEC_NOT_YET, "x");
        let both =
            both.label(Span { start: 5, end: 6 }, "first").label(Span { start: 9000, end: 9002 }, "second");
        let text = render(&[both], &sources, &UNICODE);
        assert!(text.contains("first") && text.contains("second") && text.len() < 3000, "{text}");
    }

    #[test]
    fn long_messages_wrap_at_spaces_and_names_stay_whole() {
        let url = "https://us-south.monitoring.cloud.ibm.com/api/token/reset";
        let message = format!("{} {url} {}", "word ".repeat(15), "word ".repeat(15));
        let text = render(&[Finding::new(code::HTTP_CALL, message)], &Sources::default(), &Style::PLAIN);
        assert!(text.contains(url) && text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.lines().filter(|line| line.starts_with("  | ")).count() >= 2, "{text}");
    }

    #[test]
    fn what_is_the_same_of_many_objects_is_told_once() {
        let portal = Address::connection("logicmonitor", "acme");
        let user = |n: usize| portal.owner(&format!("u{n}"));
        let down = |n| Finding::new(code::PLAN_UNREADABLE, "HTTP 503").at(&user(n));
        let mut findings: Vec<_> = (1..=9).map(down).collect();
        findings.insert(1, Finding::new(code::PLAN_UNREADABLE, "HTTP 500").at(&user(0)));
        let text = render(&findings, &Sources::default(), &UNICODE);
        let flat = text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        let told = "logicmonitor.acme.u1: HTTP 503 (the same of logicmonitor.acme.u2, logicmonitor.acme.u3, \
                    logicmonitor.acme.u4, 5 more)";
        assert!(flat.contains(told), "{text}");
        assert_eq!(text.matches("HTTP 503").count(), 1, "{text}");
        assert!(flat.contains("u0: HTTP 500") && text.ends_with("10 errors.\n"), "{text}");
    }

    #[test]
    fn a_finding_without_a_place_names_its_object_and_the_cure() {
        let address = Address::connection("ibm", "prod").owner("mon-prod");
        let finding = Finding::new(code::PLAN_OTHER_TEAMS, "team \"Web\" is not listed").at(&address);
        snapbox::assert_data_eq!(
            render(&[finding], &Sources::default(), &UNICODE),
            snapbox::IntoData::raw(snapbox::str![[r#"
error[tokenform::plan::other_teams]

  × ibm.prod.mon-prod: team "Web" is not listed
  help: List the team, or set `other_teams: reset`.


"#]])
        );
    }
}
