//! The state that a case ends in, in a form that two cases share if they came to the same: ids,
//! secrets, nonces and instants are replaced by what they stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tokenform::env::Env;
use tokenform::model::secret::{DigestKey, Secret};
use tokenform::state::StateDir;

use crate::place::Place;

/// What counts of a state.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// Instances, teams and tokens, a line each.
    pub vendor: Vec<String>,
    /// What destinations hold, a line for each key.
    pub held: Vec<String>,
    /// What the ledger knows of each object in the end.
    pub known: BTreeMap<String, String>,
    /// Every finished step: verb, object, where its value went.
    pub finished: BTreeSet<String>,
}

impl End {
    pub fn of(place: &Place) -> Self {
        let (before, world) = (&place.before, place.world());
        let live = Live::of(before, &world);
        let lines = ledger(place);
        Self {
            vendor: instances(before, &world).chain(tokens(before, &world)).collect(),
            held: held(place)
                .into_iter()
                .map(|(key, value)| format!("{key} = {}", live.name(&value)))
                .collect(),
            known: known(&lines, &live.fingerprints(place)),
            finished: lines.iter().map(finished).collect(),
        }
    }

    /// How this end differs from that of an undisturbed run. How often a step was finished, and by
    /// which steps, counts only where `steps` says so.
    pub fn differs(&self, wanted: &Self, steps: bool) -> Vec<String> {
        let mut told = Vec::new();
        compare(&mut told, "vendor", &wanted.vendor, &self.vendor);
        compare(&mut told, "destination", &wanted.held, &self.held);
        let rows = |known: &BTreeMap<String, String>| -> Vec<String> {
            known.iter().map(|(address, what)| format!("{address}: {what}")).collect()
        };
        compare(&mut told, "ledger", &rows(&wanted.known), &rows(&self.known));
        if steps {
            let rows = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
            compare(&mut told, "finished", &rows(&wanted.finished), &rows(&self.finished));
        }
        told
    }
}

fn compare(told: &mut Vec<String>, what: &str, wanted: &[String], got: &[String]) {
    let count = |rows: &[String], row: &String| rows.iter().filter(|other| *other == row).count();
    let all: BTreeSet<&String> = wanted.iter().chain(got).collect();
    for row in all {
        let (want, have) = (count(wanted, row), count(got, row));
        if want != have {
            told.push(format!("{what}: {row} (wanted {want} times, is there {have} times)"));
        }
    }
}

/// Values that work now, and what each is called.
pub struct Live {
    names: BTreeMap<String, String>,
}

impl Live {
    pub fn of(before: &Value, world: &Value) -> Self {
        let mut names = BTreeMap::new();
        for (instance, team, row) in teams(world) {
            names.insert(text(row, "key").to_owned(), format!("<{instance} {team}>"));
        }
        for token in all_tokens(world).filter(|token| text(token.row, "status") == "enabled") {
            let age = if is_new(before, &token) { "new" } else { "old" };
            let name = format!("{} {}", age, token.name());
            names.insert(text(token.row, "key").to_owned(), format!("<{name}>"));
            if let Some(id) = token.row["access_id"].as_str() {
                names.insert(id.to_owned(), format!("<id of {name}>"));
            }
        }
        Self { names }
    }

    /// What a value at a destination is.
    pub fn name(&self, value: &str) -> String {
        let known = self.names.get(value);
        known.cloned().unwrap_or_else(|| "a value that does not work".to_owned())
    }

    pub fn works(&self, value: &str) -> bool {
        self.names.contains_key(value)
    }

    /// The fingerprints of live values under the state's key.
    fn fingerprints(&self, place: &Place) -> BTreeMap<String, String> {
        let Some(key) = key(place) else { return BTreeMap::new() };
        let print = |value: &String| key.fingerprint(&Secret::new(value.as_bytes().to_vec()));
        let json = |value: &String| serde_json::to_value(print(value)).expect("a fingerprint is a text");
        self.names
            .iter()
            .map(|(value, name)| (json(value).as_str().unwrap_or("").to_owned(), name.clone()))
            .collect()
    }
}

fn key(place: &Place) -> Option<DigestKey> {
    StateDir::existing_key(&place.path("spec/.tokenform"), &Env::system()).ok().flatten()
}

/// Each instance with its settings, and which of its keys have changed.
fn instances<'a>(before: &'a Value, world: &'a Value) -> impl Iterator<Item = String> + 'a {
    let old: BTreeSet<&str> =
        teams(before).map(|(_, _, row)| text(row, "key")).chain(members(before)).collect();
    let changed = move |key: &str| if old.contains(key) { "as before" } else { "changed" };
    let rows = teams(world).map(move |(instance, team, row)| {
        let of_members = row["members"].as_object().into_iter().flatten();
        let of_members: Vec<_> = of_members
            .map(|(name, key)| format!(", of {name} {}", changed(key.as_str().unwrap_or(""))))
            .collect();
        format!("{instance} team {team}: key {}{}", changed(text(row, "key")), of_members.concat())
    });
    let settings = each(&world["ibm"]["prod"]["instances"]).map(|(name, row)| {
        let (state, locked, parameters) = (&row["state"], &row["locked"], &row["parameters"]);
        format!("{name}: {state}, locked {locked}, {parameters}, pending {}", row["pending"])
    });
    settings.chain(rows)
}

fn members(world: &Value) -> impl Iterator<Item = &str> {
    teams(world).flat_map(|(_, _, row)| each(&row["members"])).filter_map(|(_, key)| key.as_str())
}

/// Each token: whose, its name, of which age, what it replaces, its status. New ones that were replaced
/// in turn wait to be retired, with the old one.
fn tokens<'a>(before: &'a Value, world: &'a Value) -> impl Iterator<Item = String> + 'a {
    let standing = all_tokens(world).filter(move |token| !is_superseded(before, world, token));
    standing.map(move |token| {
        let age = if is_new(before, &token) { "new".to_owned() } else { format!("id {}", token.row["id"]) };
        let replaces =
            replaced(before, world, &token).map_or(String::new(), |old| format!(", replaces {old}"));
        let by = text(token.row, "created_by");
        format!("{}: {age}, {}{replaces}, by {by}", token.name(), text(token.row, "status"))
    })
}

/// A LogicMonitor token.
pub struct Token<'a> {
    pub user: &'a str,
    pub kind: &'static str,
    pub row: &'a Value,
}

impl Token<'_> {
    /// The note without its marker.
    pub fn note(&self) -> &str {
        let note = text(self.row, "note");
        note.split(" ;tf1 ").next().unwrap_or(note)
    }

    pub fn name(&self) -> String {
        format!("{} {} {}", self.user, self.kind, self.note())
    }

    /// The id of the token that this one took the place of.
    fn predecessor(&self) -> Option<&str> {
        let (_, marker) = text(self.row, "note").split_once(" ;tf1 ")?;
        marker.split(' ').find_map(|word| word.strip_prefix("p=")).filter(|id| *id != "0")
    }
}

/// The id of the old token at the beginning of a line of replacements.
fn replaced(before: &Value, world: &Value, token: &Token<'_>) -> Option<String> {
    let id = token.predecessor()?;
    let of_id = all_tokens(world).find(|other| other.row["id"].as_u64() == id.parse().ok());
    match of_id.filter(|other| is_new(before, other)) {
        Some(newer) => replaced(before, world, &newer),
        None if all_tokens(before).any(|old| old.row["id"].as_u64() == id.parse().ok()) => {
            Some(id.to_owned())
        }
        // a new one that was deleted to be replaced once more: it stood for the old one of its name
        None => all_tokens(before)
            .find(|old| old.name() == token.name())
            .map(|old| old.row["id"].to_string())
            .or(Some(id.to_owned())),
    }
}

/// A new token that a newer one took the place of: not all of its destinations could take its value.
pub fn is_superseded(before: &Value, world: &Value, token: &Token<'_>) -> bool {
    let id = token.row["id"].to_string();
    is_new(before, token) && all_tokens(world).any(|newer| newer.predecessor() == Some(id.as_str()))
}

pub fn is_new(before: &Value, token: &Token<'_>) -> bool {
    !all_tokens(before).any(|old| old.row["id"] == token.row["id"])
}

pub fn all_tokens(world: &Value) -> impl Iterator<Item = Token<'_>> {
    each(&world["logicmonitor"]["acme"]["users"]).flat_map(|(user, row)| {
        let rows = |kind: &'static str| {
            let rows = row[kind].as_array().into_iter().flatten();
            rows.map(move |row| Token { user, kind, row })
        };
        rows("api_tokens").chain(rows("bearer_tokens"))
    })
}

/// Every team with its instance.
pub fn teams(world: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    each(&world["ibm"]["prod"]["instances"])
        .flat_map(|(instance, row)| each(&row["teams"]).map(move |(team, row)| (instance, team, row)))
}

fn each(map: &Value) -> impl Iterator<Item = (&str, &Value)> {
    map.as_object().into_iter().flatten().map(|(name, row)| (name.as_str(), row))
}

pub fn text<'v>(row: &'v Value, member: &str) -> &'v str {
    row[member].as_str().unwrap_or("")
}

/// What destinations hold: file and key → value.
pub fn held(place: &Place) -> BTreeMap<String, String> {
    let mut held = BTreeMap::new();
    for entry in fs::read_dir(place.path("held")).expect("the folder of destinations") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content = fs::read_to_string(&path).unwrap_or_default();
        match path.extension().and_then(|e| e.to_str()) {
            Some("env") if !name.starts_with('.') => {
                held.extend(
                    dotenv(&content).into_iter().map(|(key, value)| (format!("{name} {key}"), value)),
                );
            }
            Some("json") if !name.starts_with('.') => {
                let json: Value = serde_json::from_str(&content).unwrap_or_default();
                let value = |value: &Value| value.as_str().unwrap_or("").to_owned();
                held.extend(each(&json).map(|(key, row)| (format!("{name} {key}"), value(row))));
            }
            _ => drop(held.insert(name, content)),
        }
    }
    held
}

/// `KEY='value'` or `KEY="value"` with escapes, as the destination writes them.
fn dotenv(content: &str) -> Vec<(String, String)> {
    let assignment = |line: &str| {
        let (key, quoted) = line.split_once('=')?;
        let value = match quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(plain) => plain.to_owned(),
            None => unescaped(quoted.strip_prefix('"')?.strip_suffix('"')?),
        };
        Some((key.to_owned(), value))
    };
    content.lines().filter_map(assignment).collect()
}

fn unescaped(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        value.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    value
}

/// The lines of the ledger.
pub fn ledger(place: &Place) -> Vec<Value> {
    lines(&place.path("spec/.tokenform/ledger.jsonl"))
}

/// The whole lines of a file of JSON lines; none if it is not there.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn finished(line: &Value) -> String {
    let facts = &line["facts"];
    let slots: Vec<&str> = each(&line["delivered"]).map(|(slot, _)| slot).collect();
    let setting = format!("{}{}", text(facts, "setting"), facts["enabled"]);
    format!("{} {setting} {}", text(line, "step"), slots.join(" "))
}

/// The last of each fact: the value an object has, who was given it, whether it is enabled.
fn known(lines: &[Value], live: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let name = |print: &Value| {
        let print = print.as_str().unwrap_or("");
        live.get(print).cloned().unwrap_or_else(|| "a value that does not work".to_owned())
    };
    let mut facts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in lines {
        let of = facts.entry(text(line, "address").to_owned()).or_default();
        for member in ["setting", "enabled", "predecessor"] {
            let value = &line["facts"][member];
            if !value.is_null() {
                of.insert(member.to_owned(), value.to_string());
            }
        }
        if !line["facts"]["fingerprint"].is_null() {
            of.insert("value".to_owned(), name(&line["facts"]["fingerprint"]));
        }
        of.extend(each(&line["delivered"]).map(|(slot, print)| (format!("in {slot}"), name(print))));
    }
    let told = |of: BTreeMap<String, String>| {
        let parts: Vec<String> = of.into_iter().map(|(what, value)| format!("{what} {value}")).collect();
        parts.join(", ")
    };
    facts.into_iter().map(|(address, of)| (address, told(of))).collect()
}
