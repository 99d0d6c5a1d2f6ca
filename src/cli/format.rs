//! The forms in which a plan is printed, by `plan` and by `show`.

use std::path::Path;

use clap::ValueEnum;

use super::Global;
use super::output::Output;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::plan::document::Plan;
use crate::report::annotations;
use crate::report::rows::Rows;
use crate::report::style::Style;
use crate::report::{graph, html, json, markdown, text};

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// The plan file's own format
    Json,
    /// A comment on a pull request, with a hidden first line to find and update it by
    Markdown,
    /// One page, without scripts and without anything that is fetched
    Html,
    /// The step graph, for Graphviz
    Dot,
    /// The step graph, as GitHub and GitLab draw it inside Markdown
    Mermaid,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// For people
    Text,
    /// SARIF 2.1.0, for annotations of a code review
    Sarif,
    /// JUnit XML, for test reports
    Junit,
}

impl FindingFormat {
    /// The findings as a document; none for people, who are told each as it comes. `subject` stands for the
    /// place of those that have none.
    pub fn document(self, findings: &[Finding], sources: &Sources, subject: &Path) -> Option<String> {
        let subject = subject.to_string_lossy();
        match self {
            Self::Text => None,
            Self::Sarif => Some(annotations::sarif(findings, sources, &subject)),
            Self::Junit => Some(annotations::junit(findings, sources, &subject)),
        }
    }
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints plans in one form.
pub struct Printer<'a> {
    format: Format,
    style: &'a Style,
    verbose: bool,
}

impl<'a> Printer<'a> {
    pub fn new(format: Format, global: &Global, output: &'a Output) -> Self {
        Self { format, style: &output.style, verbose: global.verbose > 0 }
    }

    /// `seal` is what is known of the plan's file, empty for a plan that is in none; `bytes` are those
    /// of the file.
    pub fn render(&self, plan: &Plan, seal: &str, bytes: &[u8]) -> Vec<u8> {
        let subject = plan.spec_path.to_string_lossy();
        let rows = || Rows::of(plan, seal);
        match self.format {
            Format::Json => json::plan(bytes),
            Format::Text => self.text(plan, seal).into_bytes(),
            Format::Markdown => markdown::plan(&rows(), &subject).into_bytes(),
            Format::Html => html::plan(&rows(), &Rows::all_ages(plan), &subject).into_bytes(),
            Format::Dot => graph::dot(&rows()).into_bytes(),
            Format::Mermaid => graph::mermaid(&rows()).into_bytes(),
        }
    }

    fn text(&self, plan: &Plan, seal: &str) -> String {
        let ages = if self.verbose { text::ages(plan, self.style) } else { String::new() };
        text::plan(plan, seal, self.style) + &ages
    }
}
