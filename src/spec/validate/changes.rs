//! Checks of `changes`: windows with their time zones, and freezes.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::Checker;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::{Given, Items};
use crate::model::source::Span;
use crate::model::window::{Changes, Day, Freeze, TimeOfDay, Window, Zone};
use crate::spec::decode::shown;
use crate::spec::language;
use crate::spec::nearest::suggestion;
use crate::spec::node::{Entry, Node, Value};

/// When changes may be made. What comes back is whole only if nothing was told.
pub fn changes(
    checker: &mut Checker<'_>,
    entry: Option<&Entry>,
    spec: Option<&language::Changes>,
) -> Changes {
    let (Some(entry), Some(spec)) = (entry, spec) else { return Changes::default() };
    let zone = zone(checker, &entry.node, &spec.timezone).unwrap_or_default();
    says_something(checker, entry, spec);
    let mut changes = Changes { zone: zone.clone(), ..Changes::default() };
    for (node, window) in items(entry.get("windows"), &spec.windows) {
        changes.windows.extend(self::window(checker, node, window, &zone));
    }
    for (node, freeze) in items(entry.get("freezes"), &spec.freezes) {
        changes.freezes.extend(self::freeze(checker, node, freeze));
    }
    changes
}

/// The good items of a list with their places.
fn items<'n, T>(entry: Option<&'n Entry>, items: &'n Items<T>) -> impl Iterator<Item = (&'n Node, &'n T)> {
    let nodes = entry.map_or(&[][..], |entry| entry.node.items());
    items.items().filter_map(|(at, item)| Some((nodes.get(at)?, item)))
}

/// A block or a list that is there and empty: never, or always? Nobody should have to guess.
fn says_something(checker: &mut Checker<'_>, entry: &Entry, spec: &language::Changes) {
    if spec.windows.get().is_some_and(Vec::is_empty) {
        let message = "`windows` is empty, so changes could never be made; leave it out to allow them always";
        let finding = Finding::new(code::SPEC_CHANGES, message);
        checker.tell(finding.label(entry.place(&["windows"]), "no window"));
    }
    if spec.windows.is_missing() && spec.freezes.is_missing() && checker.around.whole {
        let finding = Finding::new(code::SPEC_CHANGES, "`changes` has neither `windows` nor `freezes`");
        checker.tell(finding.label(entry.key_at, "says nothing"));
    }
}

fn window(checker: &mut Checker<'_>, node: &Node, spec: &language::Window, above: &Zone) -> Option<Window> {
    need(checker, node, "from", &spec.from);
    need(checker, node, "to", &spec.to);
    let zone = zone(checker, node, &spec.timezone).unwrap_or_else(|| above.clone());
    let days: BTreeSet<Day> = match &spec.days {
        Given::Missing => Day::ALL.into_iter().collect(),
        days => days.items().map(|(_, day)| *day).collect(),
    };
    if spec.days.get().is_some_and(Vec::is_empty) {
        let finding = Finding::new(code::SPEC_CHANGES, "`days` is empty, so the window never opens");
        checker.tell(finding.label(place(node, "days"), "no day"));
    }
    let (from, to) = (spec.from.get()?.0, spec.to.get()?.0);
    if from == TimeOfDay::END {
        let finding = Finding::new(code::SPEC_CHANGES, "a window can't begin at 24:00, where its day ends");
        checker.tell(finding.label(place(node, "from"), "write 00:00, and the next day"));
    } else if from == to {
        let message = format!("a window from {from} to {to} is either empty or a whole day");
        let finding = Finding::new(code::SPEC_CHANGES, message).help("Write a whole day as 00:00 to 24:00.");
        let finding = finding.label(place(node, "to"), "the same time");
        checker.tell(finding.label(place(node, "from"), "begins"));
    }
    Some(Window { days, from, to, zone })
}

fn freeze(checker: &mut Checker<'_>, node: &Node, spec: &language::Freeze) -> Option<Freeze> {
    need(checker, node, "from", &spec.from);
    need(checker, node, "to", &spec.to);
    let reason = spec.reason.cloned();
    if reason.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
        let finding = Finding::new(code::SPEC_CHANGES, "the `reason` of a freeze must not be empty");
        checker.tell(finding.label(place(node, "reason"), "says nothing"));
    }
    let (from, to) = (spec.from.get()?.0, spec.to.get()?.0);
    if to <= from {
        let finding = Finding::new(code::SPEC_CHANGES, "a freeze must end after it begins");
        let finding = finding.label(place(node, "to"), "ends");
        checker.tell(finding.label(place(node, "from"), "begins"));
    }
    Some(Freeze { from, to, reason })
}

/// A zone of the machine's database, or of the program's own.
fn zone(checker: &mut Checker<'_>, node: &Node, given: &Given<String>) -> Option<Zone> {
    let name = given.get()?;
    let known = TimeZone::get(name).ok().filter(|rules| !rules.is_unknown());
    if let Some(rules) = known {
        let name = rules.iana_name().unwrap_or(name).to_owned();
        return Some(Zone { name, rules });
    }
    let message = format!("there is no time zone `{}`", shown(name));
    let finding = Finding::new(code::SPEC_UNKNOWN_ZONE, message);
    let help = near(name).unwrap_or_else(|| code::SPEC_UNKNOWN_ZONE.cure().to_owned());
    checker.tell(finding.label(place(node, "timezone"), "not a zone of the IANA database").help(help));
    None
}

/// The zone that may be meant: of this city, or of a like name in this part of the world.
fn near(name: &str) -> Option<String> {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let city = |zone: &&String| {
        let city = zone.rsplit('/').next().unwrap_or(zone);
        city.eq_ignore_ascii_case(&name.replace(' ', "_"))
    };
    if let Some(zone) = names.iter().find(city) {
        return Some(format!("did you mean `{zone}`?"));
    }
    let (area, _) = name.split_once('/')?;
    let of_area = |zone: &&String| zone.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(area));
    let of_area: Vec<&str> = names.iter().filter(of_area).map(String::as_str).collect();
    suggestion(name, &of_area)
}

/// Where the value of a key of a list's item stands, else the item.
fn place(node: &Node, key: &str) -> Span {
    node.get(key).map_or(node.at, |entry| entry.place(&[]))
}

fn need<T>(checker: &mut Checker<'_>, node: &Node, key: &str, given: &Given<T>) {
    // what is no map was told
    if given.is_missing() && checker.around.whole && matches!(node.value, Value::Map(_)) {
        let finding = Finding::new(code::SPEC_MISSING_KEY, format!("`{key}` is missing"));
        checker.tell(finding.label(node.at, format!("needs `{key}`")));
    }
}

#[cfg(test)]
mod tests;
