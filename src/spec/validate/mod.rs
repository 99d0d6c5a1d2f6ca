//! A decoded spec becomes the wished state: small checks that ask the tree for places.
//!
//! The tree and the decoded types are walked side by side, so that wide maps stay linear.

mod changes;
mod delivery;
mod ibm;
mod logicmonitor;
mod rotation;
mod second_owner;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use super::decode::shown;
use super::language::{Approvals as ApprovalsSpec, Limits as LimitsSpec, Spec};
use super::node::Entry;
use crate::model::address::Address;
use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::given::{Entries, Given, Items};
use crate::model::source::Span;
use crate::model::vocabulary::SecretRef;
use crate::provider::state::{Approvals, Desired, Destination, Limits};
pub use words::beside;

/// What the checks may look at besides the spec itself.
pub struct Around<'a> {
    /// The folder of the spec's files.
    pub folder: &'a Path,
    pub now: Timestamp,
    /// Whether all files were read. If not, nothing is called missing.
    pub whole: bool,
}

/// Checks a spec. What comes back is whole only if no finding is an error.
pub fn validate(root: &Entry, spec: &Spec, around: &Around<'_>) -> (Desired, Vec<Finding>) {
    let mut checker = Checker {
        around,
        findings: Vec::new(),
        destinations: BTreeMap::new(),
        declared: BTreeMap::new(),
        used: BTreeSet::new(),
        slots: BTreeMap::new(),
        unprotect: BTreeSet::new(),
    };
    delivery::destinations(&mut checker, root, spec);
    let ibm = pairs(root.get("ibm"), &spec.ibm)
        .filter_map(|(at, s)| ibm::connection(&mut checker, at, s))
        .collect();
    let logicmonitor = pairs(root.get("logicmonitor"), &spec.logicmonitor)
        .filter_map(|(at, s)| logicmonitor::connection(&mut checker, at, s))
        .collect();
    let limits = limits(spec.limits.get());
    let approvals = approvals(&mut checker, root, spec.approvals.get());
    let changes = changes::changes(&mut checker, root.get("changes"), spec.changes.get());
    delivery::unused(&mut checker);
    let Checker { findings, destinations, unprotect, .. } = checker;
    (Desired { ibm, logicmonitor, destinations, limits, approvals, unprotect, changes }, findings)
}

/// What the checks have gathered.
struct Checker<'a> {
    around: &'a Around<'a>,
    findings: Vec<Finding>,
    /// Destinations that can be used.
    destinations: BTreeMap<String, Destination>,
    /// All destinations with their places, unusable ones too.
    declared: BTreeMap<String, Span>,
    used: BTreeSet<String>,
    /// Which key of which destination is taken by which delivery.
    slots: BTreeMap<(String, Option<String>), Span>,
    /// Objects under `protect: false`.
    unprotect: BTreeSet<Address>,
}

impl Checker<'_> {
    fn tell(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn error(&mut self, code: Code, at: &Address, message: impl Into<String>, place: Span, label: &str) {
        self.tell(Finding::new(code, message).at(at).label(place, label));
    }

    /// `protect: false` lifts what was protected before, unless it lies below what is protected.
    fn unprotect(&mut self, at: &Address, entry: &Entry, protect: &Given<bool>, above: Option<Span>) {
        if protect.get() != Some(&false) {
            return;
        }
        let Some(above) = above else {
            self.unprotect.insert(at.clone());
            return;
        };
        let message = "`protect: false` lifts nothing below what is protected";
        let finding = Finding::new(code::SPEC_PROTECTED, message).at(at);
        self.tell(finding.label(entry.place(&["protect"]), "lifts nothing").label(above, "protected here"));
    }

    /// Tells of a key that is needed and not there.
    fn need<T>(&mut self, at: &Address, entry: &Entry, key: &str, given: &Given<T>) {
        if given.is_missing() && self.around.whole {
            let message = format!("`{key}` is missing");
            self.error(code::SPEC_MISSING_KEY, at, message, entry.key_at, &format!("needs `{key}`"));
        }
    }

    /// A word that passed its check.
    fn word(
        &mut self,
        at: &Address,
        entry: &Entry,
        key: &str,
        given: &Given<String>,
        check: words::Check,
    ) -> Option<String> {
        let text = given.get()?;
        match check(text) {
            None => Some(text.clone()),
            Some(wrong) => {
                let message = format!("`{key}` can't be {:?}: {wrong}", shown(text));
                self.error(code::SPEC_BAD_VALUE, at, message, entry.place(&[key]), "can't be used");
                None
            }
        }
    }

    /// A name of something declared.
    fn name(&mut self, at: &Address, entry: &Entry, check: words::Check) {
        if let Some(wrong) = check(&entry.key) {
            self.error(code::SPEC_BAD_NAME, at, wrong, entry.key_at, "this name");
        }
    }

    fn origin(
        &mut self,
        at: &Address,
        entry: Option<&Entry>,
        key: &str,
        given: &Given<String>,
    ) -> Option<String> {
        match words::origin(given.get()?) {
            Ok(origin) => Some(origin),
            Err(wrong) => {
                let place = entry.map_or_else(Span::default, |entry| entry.place(&[key]));
                self.error(code::SPEC_BAD_ENDPOINT, at, wrong, place, "not an origin");
                None
            }
        }
    }

    /// A reference, its path as written.
    fn secret(
        &mut self,
        at: &Address,
        entry: Option<&Entry>,
        key: &str,
        given: &Given<SecretRef>,
    ) -> Option<SecretRef> {
        let entry = entry?;
        self.need(at, entry, key, given);
        let place = entry.place(&[key]);
        match given.get()? {
            SecretRef::Env(name) => Some(SecretRef::Env(name.clone())),
            SecretRef::File(path) if path.as_os_str().is_empty() => self.empty(at, "file", place),
            SecretRef::File(path) => Some(SecretRef::File(words::plain(path))),
            SecretRef::Command(words) if words.first().is_none_or(|program| program.is_empty()) => {
                self.empty(at, "command", place)
            }
            SecretRef::Command(words) => Some(SecretRef::Command(words.clone())),
        }
    }

    fn empty<T>(&mut self, at: &Address, key: &str, place: Span) -> Option<T> {
        let message = format!("`{key}` is empty");
        self.error(code::SPEC_BAD_VALUE, at, message, place, "names nothing");
        None
    }

    /// Two objects of one owner pinned to one id.
    fn pin<K: Ord>(
        &mut self,
        at: &Address,
        entry: &Entry,
        key: &str,
        pins: &mut BTreeMap<K, Span>,
        id: Option<K>,
    ) {
        let Some(id) = id else { return };
        let place = entry.place(&[key]);
        let message = "two objects are pinned to the same id";
        match pins.get(&id) {
            Some(&first) => {
                let finding = Finding::new(code::SPEC_SAME_PIN, message).at(at);
                self.tell(finding.label(place, "again here").label(first, "first pinned here"));
            }
            None => drop(pins.insert(id, place)),
        }
    }
}

/// The good entries of a map with their places, in the order of the file.
fn pairs<'n, T>(place: Option<&'n Entry>, map: &'n Entries<T>) -> impl Iterator<Item = (&'n Entry, &'n T)> {
    let entries = place.map_or(&[][..], |place| place.node.entries());
    entries.iter().filter_map(move |entry| Some((entry, map.get()?.get(&entry.key)?.get()?)))
}

/// A list of words; `None` if it was not given or one of them is bad.
fn list(items: &Items<String>) -> Option<Vec<String>> {
    items.get()?.iter().map(Given::cloned).collect()
}

fn approvals(checker: &mut Checker<'_>, root: &Entry, spec: Option<&ApprovalsSpec>) -> Approvals {
    let Some(spec) = spec else { return Approvals::default() };
    let required = spec.required.cloned().unwrap_or_default();
    let irreversible = spec.irreversible.cloned().unwrap_or(required);
    if irreversible < required {
        let message =
            "`irreversible` is less than `required`, and a step that can't be undone needs no fewer";
        let finding = Finding::new(code::SPEC_BAD_VALUE, message);
        checker.tell(finding.label(root.place(&["approvals", "irreversible"]), "at least as many"));
    }
    if spec.allowed_signers.get().is_some_and(|path| path.trim().is_empty()) {
        let finding = Finding::new(code::SPEC_BAD_VALUE, "`allowed_signers` must name a file");
        checker.tell(finding.label(root.place(&["approvals", "allowed_signers"]), "is empty"));
    }
    Approvals {
        required,
        irreversible,
        allowed_signers: spec.allowed_signers.get().map(|path| words::plain(Path::new(path))),
        differ: spec.differ.items().map(|(_, role)| *role).collect(),
    }
}

fn limits(spec: Option<&LimitsSpec>) -> Limits {
    let default = Limits::default();
    let Some(spec) = spec else { return default };
    Limits {
        rotate: spec.rotate.cloned().unwrap_or(default.rotate),
        enable: spec.enable.cloned().unwrap_or(default.enable),
        disable: spec.disable.cloned().unwrap_or(default.disable),
        delete: spec.delete.cloned().unwrap_or(default.delete),
        lock: spec.lock.cloned().unwrap_or(default.lock),
        percent: spec.percent.cloned().unwrap_or(default.percent),
    }
}
