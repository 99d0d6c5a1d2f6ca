//! Checks of destinations and of the deliveries into them, over the whole spec.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Checker, list, words};
use crate::destination::is_name;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::{Given, Items};
use crate::model::source::Span;
use crate::model::step::Delivery;
use crate::provider::spec::Deliver;
use crate::provider::state::{CommandDestination, Destination, FileDestination, FileFormat};
use crate::spec::decode::shown;
use crate::spec::language::{Command, Destination as DestinationSpec, File, Spec};
use crate::spec::nearest::suggestion;
use crate::spec::node::Entry;

/// It becomes the name of a file and of a lock.
const NAMES: &str = "a name is at most 100 of A-Z, a-z, 0-9, `.`, `_` and `-`, and does not begin with `.`";

/// Reads all destinations, before any delivery.
pub fn destinations(checker: &mut Checker<'_>, root: &Entry, spec: &Spec) {
    let Some(place) = root.get("destinations") else { return };
    let specs = spec.destinations.get();
    let mut files = BTreeMap::new();
    for entry in place.node.entries() {
        checker.declared.insert(entry.key.clone(), entry.key_at);
        if !is_name(&entry.key) {
            let message = format!("a destination can't be named {:?}: {NAMES}", shown(&entry.key));
            refuse(checker, entry.key_at, code::SPEC_BAD_NAME, &message);
        }
        let spec = specs.and_then(|specs| specs.get(&entry.key)?.get());
        let read = spec.and_then(|spec| destination(checker, entry, spec, &mut files));
        if let Some(destination) = read {
            checker.destinations.insert(entry.key.clone(), destination);
        }
    }
}

fn destination(
    checker: &mut Checker<'_>,
    entry: &Entry,
    spec: &DestinationSpec,
    files: &mut BTreeMap<PathBuf, Span>,
) -> Option<Destination> {
    match spec {
        DestinationSpec::File(spec) => {
            file(checker, entry.get("file")?, spec.get()?, files).map(Destination::File)
        }
        DestinationSpec::Command(spec) => {
            command(checker, entry.get("command")?, spec.get()?).map(Destination::Command)
        }
    }
}

fn file(
    checker: &mut Checker<'_>,
    entry: &Entry,
    spec: &File,
    files: &mut BTreeMap<PathBuf, Span>,
) -> Option<FileDestination> {
    need(checker, entry, "path", &spec.path);
    need(checker, entry, "format", &spec.format);
    let place = entry.place(&["path"]);
    let written = spec.path.get()?;
    if written.is_empty() || written.ends_with('/') || written.contains('\0') {
        refuse(checker, place, code::SPEC_BAD_VALUE, "`path` must name a file");
        return None;
    }
    let path = words::plain(Path::new(written));
    let file = words::flat(&words::beside(checker.around.folder, &path));
    if let Some(&first) = files.get(&file) {
        let finding = Finding::new(code::SPEC_SAME_FILE, "two destinations write to the same file");
        checker.tell(finding.label(place, "again here").label(first, "first here"));
    }
    files.entry(file).or_insert(place);
    Some(FileDestination { path, format: spec.format.cloned()? })
}

fn command(checker: &mut Checker<'_>, entry: &Entry, spec: &Command) -> Option<CommandDestination> {
    need(checker, entry, "run", &spec.run);
    let timeout = spec.timeout.get().map(|timeout| timeout.0);
    if timeout.is_some_and(|timeout| timeout.as_secs() == 0) {
        let message = "`timeout` must be longer than nothing";
        refuse(checker, entry.place(&["timeout"]), code::SPEC_BAD_VALUE, message);
    }
    let run = program(checker, entry, "run", &spec.run);
    let probe = program(checker, entry, "probe", &spec.probe);
    Some(CommandDestination { run: run?, probe, timeout })
}

fn program(
    checker: &mut Checker<'_>,
    entry: &Entry,
    key: &str,
    items: &Items<String>,
) -> Option<Vec<String>> {
    let words = list(items)?;
    let place = entry.place(&[key]);
    if words.first().is_none_or(|program| program.is_empty()) {
        refuse(checker, place, code::SPEC_BAD_VALUE, &format!("`{key}` must name a program"));
    }
    Some(words)
}

fn need<T>(checker: &mut Checker<'_>, entry: &Entry, key: &str, given: &Given<T>) {
    if given.is_missing() && checker.around.whole {
        refuse(checker, entry.key_at, code::SPEC_MISSING_KEY, &format!("`{key}` is missing"));
    }
}

fn refuse(checker: &mut Checker<'_>, place: Span, code: code::Code, message: &str) {
    checker.tell(Finding::new(code, message).label(place, "here"));
}

/// The deliveries under `token.deliver`. `has_id` says whether the token has an id beside its value.
pub fn deliveries(
    checker: &mut Checker<'_>,
    at: &Address,
    token: &Entry,
    items: &Items<Deliver>,
    has_id: bool,
) -> Vec<Delivery> {
    let Some(place) = token.get("deliver") else { return Vec::new() };
    let nodes = place.node.items();
    let entry =
        |at: usize| Entry { key: "deliver".to_owned(), key_at: place.key_at, node: nodes[at].clone() };
    items.items().filter_map(|(index, spec)| delivery(checker, at, &entry(index), spec, has_id)).collect()
}

fn delivery(
    checker: &mut Checker<'_>,
    at: &Address,
    entry: &Entry,
    spec: &Deliver,
    has_id: bool,
) -> Option<Delivery> {
    if spec.to.is_missing() {
        let message = "a delivery must say `to` which destination";
        checker.error(code::SPEC_MISSING_KEY, at, message, entry.node.at, "needs `to`");
    }
    let to = spec.to.get()?;
    checker.used.insert(to.clone());
    if !checker.declared.contains_key(to) {
        dangling(checker, at, to, entry.place(&["to"]));
        return None;
    }
    if !has_id && !spec.id_key.is_missing() {
        let message = "`id_key` is for LMv1 tokens alone: this token has no id to deliver";
        checker.error(code::SPEC_DELIVERY, at, message, entry.place(&["id_key"]), "remove this key");
    }
    let delivery = Delivery { to: to.clone(), key: spec.key.cloned(), id_key: spec.id_key.cloned() };
    let refused = spec.key == Given::Refused || spec.id_key == Given::Refused;
    if let Some(destination) = checker.destinations.get(to).cloned().filter(|_| !refused) {
        keys(checker, at, entry, &delivery, &destination);
        slots(checker, at, entry, &delivery);
    }
    Some(delivery)
}

fn dangling(checker: &mut Checker<'_>, at: &Address, to: &str, place: Span) {
    if !checker.around.whole {
        return;
    }
    let message = format!("there is no destination `{to}`");
    let finding = Finding::new(code::SPEC_UNKNOWN_DESTINATION, message).at(at).label(place, "not declared");
    let known: Vec<_> = checker.declared.keys().map(String::as_str).collect();
    let help = suggestion(to, &known).unwrap_or_else(|| code::SPEC_UNKNOWN_DESTINATION.cure().to_owned());
    checker.tell(finding.help(help));
}

/// Whether the keys fit what the destination holds.
fn keys(checker: &mut Checker<'_>, at: &Address, entry: &Entry, delivery: &Delivery, to: &Destination) {
    let wrong = |checker: &mut Checker<'_>, key: &str, message: &str| {
        checker.error(code::SPEC_DELIVERY, at, message, entry.place(&[key]), "does not fit");
    };
    let (check, needed): (words::Check, bool) = match to {
        Destination::File(FileDestination { format: FileFormat::Raw, .. }) => {
            let message = "a raw file holds one value alone: it has no keys";
            let written = [("key", &delivery.key), ("id_key", &delivery.id_key)];
            written.iter().filter(|(_, key)| key.is_some()).for_each(|(key, _)| wrong(checker, key, message));
            return;
        }
        Destination::File(FileDestination { format: FileFormat::Dotenv, .. }) => (words::dotenv_key, true),
        Destination::File(FileDestination { format: FileFormat::Json, .. }) => (words::plain_key, true),
        Destination::Command(_) => (words::plain_key, false),
    };
    if needed && delivery.key.is_none() {
        let message = format!("`key` is missing: `{}` holds values by key", delivery.to);
        checker.error(code::SPEC_DELIVERY, at, message, entry.node.at, "needs `key`");
    }
    for (key, text) in [("key", &delivery.key), ("id_key", &delivery.id_key)] {
        if let Some(message) = text.as_deref().and_then(check) {
            wrong(checker, key, message);
        }
    }
}

/// Each key of a destination is written by one delivery of the whole spec.
fn slots(checker: &mut Checker<'_>, at: &Address, entry: &Entry, delivery: &Delivery) {
    let mut taken = vec![(delivery.key.clone(), "key")];
    taken.extend(delivery.id_key.clone().map(|id_key| (Some(id_key), "id_key")));
    for (key, field) in taken {
        let place = if key.is_some() { entry.place(&[field]) } else { entry.place(&["to"]) };
        let slot = (delivery.to.clone(), key);
        let Some(&first) = checker.slots.get(&slot) else {
            checker.slots.insert(slot, place);
            continue;
        };
        let message = match &slot.1 {
            Some(key) => format!("two deliveries write to `{key}` of `{}`", slot.0),
            None => format!("two deliveries without a key write to `{}`", slot.0),
        };
        let finding = Finding::new(code::SPEC_SAME_SLOT, message).at(at);
        checker.tell(finding.label(place, "again here").label(first, "first here"));
    }
}

/// Destinations that nothing is delivered to.
pub fn unused(checker: &mut Checker<'_>) {
    if !checker.around.whole {
        return;
    }
    let unused: Vec<_> = checker.declared.iter().filter(|(name, _)| !checker.used.contains(*name)).collect();
    let warnings: Vec<_> = unused
        .into_iter()
        .map(|(name, place)| {
            let message = format!("nothing is delivered to `{name}`");
            Finding::new(code::SPEC_UNUSED_DESTINATION, message).label(*place, "unused")
        })
        .collect();
    checker.findings.extend(warnings);
}
