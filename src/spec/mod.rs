//! The spec reader: files become trees, one tree, decoded types, and at last the wished state.
//!
//! ```text
//! files ─tree─▶ Node ─secrets─▶ masked ─merge─▶ Node ─decode─▶ Spec ─validate─▶ Desired
//! ```
//! Every stage tells what it finds and goes on, so one run shows all findings of all files.

pub mod decode;
mod events;
mod files;
pub mod language;
pub mod merge;
pub mod nearest;
pub mod node;
mod placed;
pub mod secrets;
pub mod tree;
pub mod validate;
mod version;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::Given;
use crate::model::source::{SourceFile, Sources, Span};
use crate::provider::state::Desired;
use language::Spec;
use node::{Entry, Node, Value};
use secrets::Masked;

/// A spec that can be planned.
#[derive(Debug)]
pub struct Loaded {
    /// Its paths are from where the tool runs.
    pub desired: Desired,
    /// The JSON of the same wish with its paths as written: the same wherever the spec lies, and
    /// however its path was typed. What `spec_digest` is taken over.
    pub written: Vec<u8>,
    pub sources: Sources,
    /// Warnings alone.
    pub findings: Vec<Finding>,
    /// What was loaded, as given.
    pub path: PathBuf,
}

/// A spec that can't be planned: every finding of every file, at least one of them an error.
#[derive(Debug)]
pub struct Rejected {
    pub findings: Vec<Finding>,
    /// Pasted secrets are masked in them.
    pub sources: Sources,
}

/// Loads a spec from a file or a folder. `now` decides whether an `issued_after` lies in the future.
pub fn load(path: &Path, now: Timestamp) -> Result<Loaded, Box<Rejected>> {
    let mut reading = Reading::default();
    reading.files(path);
    let folder = placed::folder(path);
    let desired = reading.desired(folder, now);
    let Reading { mut findings, mut sources, masked, .. } = reading;
    findings.extend(masked.findings);
    findings.sort_by_key(|finding| finding.labels.first().map(|label| label.span));
    match desired {
        Some(mut desired) if !findings.iter().any(Finding::is_error) => {
            let written = serde_json::to_vec(&desired).expect("texts of a file, and maps with text keys");
            placed::place(&mut desired, folder);
            Ok(Loaded { desired, written, sources, findings, path: path.to_owned() })
        }
        _ => {
            mask(&mut sources, &masked.spans);
            Err(Box::new(Rejected { findings, sources }))
        }
    }
}

/// Where the spec declares an object: `tokens.yaml:14`. Reads the files again, for what is seldom asked.
pub fn place_of(path: &Path, address: &Address) -> Option<String> {
    let mut reading = Reading::default();
    reading.files(path);
    let key = reading.roots.iter().find_map(|root| declared(root, address))?.key_at;
    let (file, range) = reading.sources.locate(key)?;
    let line = file.text[..range.start].matches('\n').count() + 1;
    Some(format!("{}:{line}", file.path.display()))
}

/// The entry of an object in one file's tree.
fn declared<'n>(root: &'n Node, address: &Address) -> Option<&'n Entry> {
    let connection = root.get(address.vendor())?.get(address.connection_name())?;
    let Some(name) = address.owner_name() else { return Some(connection) };
    let owner = ["instances", "users"].iter().find_map(|key| connection.get(key)?.get(name))?;
    match address.item_parts() {
        None => Some(owner),
        Some((kind, name)) => owner.get(&format!("{kind}s"))?.get(name),
    }
}

/// Masks what was found to be a secret, and by line what looks like one: a slip elsewhere in a file
/// can hide a secret from its tree, and reports show the lines around a place too.
fn mask(sources: &mut Sources, known: &BTreeSet<Span>) {
    let from = |start| Span { start, end: start };
    let suspects = |file: &SourceFile| secrets::suspects(&file.text, file.base);
    let mut spans: Vec<Span> = sources.files().iter().flat_map(suspects).collect();
    // Where the tree knows the secret itself, the rest of the line may be shown.
    spans.retain(|line| known.range(from(line.start)..from(line.end)).next().is_none());
    spans.extend(known);
    sources.mask_all(&spans);
}

/// The JSON Schema of the spec language.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Spec).to_value()
}

/// What reading has gathered so far.
#[derive(Default)]
struct Reading {
    sources: Sources,
    findings: Vec<Finding>,
    masked: Masked,
    /// The root map of each file that could be read.
    roots: Vec<Node>,
    /// A file could not be read: what it holds is unknown, so nothing is called missing.
    torn: bool,
}

impl Reading {
    fn files(&mut self, path: &Path) {
        match files::list(path) {
            Ok(files) => files.iter().for_each(|file| self.file(file)),
            Err(finding) => self.fail(*finding),
        }
    }

    fn file(&mut self, path: &Path) {
        match self.parse(path) {
            Ok(root) => {
                self.masked.scan(&root);
                self.roots.push(root);
            }
            Err(finding) => self.fail(*finding),
        }
    }

    fn parse(&mut self, path: &Path) -> Result<Node, Box<Finding>> {
        let (index, base) = files::read(path, &mut self.sources)?;
        let root = tree::parse(&self.sources.files()[index].text, base)?;
        let place = root.at;
        match root.value {
            Value::Map(_) => Ok(root),
            Value::Null => {
                let message = format!("{}: the file holds nothing", path.display());
                Err(Finding::new(code::SPEC_EMPTY, message).help(code::SPEC_EMPTY.cure()).into())
            }
            _ => {
                let message = format!("{}: a spec is a map, and this is {}", path.display(), root.kind());
                Err(Finding::new(code::SPEC_WRONG_TYPE, message)
                    .label(place, "expected `version: 1` and more")
                    .into())
            }
        }
    }

    fn fail(&mut self, finding: Finding) {
        self.torn = true;
        self.findings.push(finding);
    }

    /// The wished state, its paths as written. Whole only if nothing found is an error.
    fn desired(&mut self, folder: &Path, now: Timestamp) -> Option<Desired> {
        let roots = std::mem::take(&mut self.roots);
        if roots.is_empty() || !version::check(&roots, &self.sources, &mut self.findings) {
            return None;
        }
        let node = merge::merge(roots, &mut self.findings);
        let root = Entry { key: "the spec".to_owned(), key_at: node.at, node };
        let (spec, told) = decode::decode::<Spec>(&root.node, &self.masked.spans);
        self.findings.extend(told);
        let Given::Is(spec) = spec else { return None };
        let around = validate::Around { folder, now, whole: !self.torn };
        let (desired, told) = validate::validate(&root, &spec, &around);
        self.findings.extend(told);
        Some(desired)
    }
}
