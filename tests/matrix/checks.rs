//! What must never be, whatever is disturbed: looked for in the vendors' tape, at destinations, in
//! the journals and in every other byte that runs have left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tokenform::sandbox::mint::MARKER;
use tokenform::sandbox::{Effect, TapeEntry};

use crate::end::{Live, Token, all_tokens, held, is_new, is_superseded, lines, teams, text};
use crate::place::{Place, Ran};

/// What must be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    /// A working value that is nowhere, or a destination whose value does not work.
    Lost,
    /// A reset of a team whose value had been delivered.
    Repeated,
    /// A lock before every team of its instance was reset and read back.
    EarlyLock,
    /// A secret in a place that is no destination.
    Leaked,
    /// Two enabled tokens where one was asked for.
    Doubled,
    /// A step that is done by the journal, and whose value was not brought to all its destinations.
    Undelivered,
    /// Another end than that of an undisturbed run, a panic, an exit code that lies, no end at all.
    Other,
}

impl Ill {
    pub const ZEROS: [(Self, &str); 6] = [
        (Self::Lost, "lost secrets"),
        (Self::Repeated, "repeated delivered resets"),
        (Self::EarlyLock, "locks before resets"),
        (Self::Leaked, "leaked canaries"),
        (Self::Doubled, "second live tokens"),
        (Self::Undelivered, "undelivered called done"),
    ];
}

/// What was found in a case, each thing once.
#[derive(Debug, Default)]
pub struct Ills(pub Vec<(Ill, String)>);

impl Ills {
    pub fn none(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, ill: Ill) -> bool {
        self.0.iter().any(|(other, _)| *other == ill)
    }

    pub fn push(&mut self, ill: Ill, text: impl Into<String>) {
        let found = (ill, text.into());
        if !self.0.contains(&found) {
            self.0.push(found);
        }
    }

    /// After every run, however it ended.
    pub fn look(&mut self, place: &Place, ran: &Ran) {
        self.tape(&place.tape(), place);
        self.journals(place);
        self.files(place.root());
        self.words(ran);
        if !ran.crashed() {
            self.orphans(place, ran);
        }
    }

    /// When a case is over: every value at a destination works.
    pub fn look_at_the_end(&mut self, place: &Place) {
        let live = Live::of(&place.before, &place.world());
        for (key, value) in held(place) {
            if !live.works(&value) {
                self.push(Ill::Lost, format!("{key} holds a value that does not work"));
            }
        }
    }

    fn words(&mut self, ran: &Ran) {
        let all = ran.all();
        if ran.hung {
            self.push(Ill::Other, "a run hung");
        }
        if all.contains("panicked") && !all.contains("the matrix unwinds") {
            self.push(Ill::Other, format!("a run panicked: {}", ran.stderr));
        }
    }

    /// Resets and locks, in the order in which the vendors carried them out.
    fn tape(&mut self, tape: &[TapeEntry], place: &Place) {
        let effects = || tape.iter().filter(|entry| entry.about.instance.is_some());
        let mut resets: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for entry in effects().filter(|entry| entry.effect == Effect::Reset) {
            let team = (entry.about.instance.clone().unwrap_or_default(), entry.about.team.unwrap_or(0));
            *resets.entry(team).or_default() += 1;
        }
        let places = Places::of(&place.world());
        for (instance, team) in place.estate.delivered {
            let count = resets.get(&places.team(instance, team)).copied().unwrap_or(0);
            if count > 1 {
                self.push(Ill::Repeated, format!("{instance} {team} was reset {count} times"));
            }
        }
        for lock in effects().filter(|entry| entry.effect == Effect::Lock) {
            let guid = lock.about.instance.clone().unwrap_or_default();
            for (team, name) in places.of_instance(&guid) {
                if let Err(why) = covered(tape, lock, &guid, team) {
                    self.push(Ill::EarlyLock, format!("{name} {why} before the lock (tape {})", lock.seq));
                }
            }
        }
    }

    /// A done step has brought its value to every destination that the plan gives it.
    fn journals(&mut self, place: &Place) {
        let Ok(folder) = fs::read_dir(place.path("spec/.tokenform/journal")) else { return };
        for entry in folder {
            let records = lines(&entry.expect("an entry").path());
            let Some(plan) = records.first().and_then(|first| first["opened"]["plan"].as_str()) else {
                continue;
            };
            let plan: Value = serde_json::from_str(plan).unwrap_or_default();
            for step in plan["steps"].as_array().into_iter().flatten() {
                let missing = undelivered(step, &records);
                if !missing.is_empty() {
                    self.push(Ill::Undelivered, format!("{}: {}", text(step, "id"), missing.join(", ")));
                }
            }
        }
    }

    /// Every byte that is not a destination's.
    fn files(&mut self, root: &Path) {
        visit(root, &mut |path| {
            let inner = path.strip_prefix(root).unwrap_or(path);
            let bytes = fs::read(path).unwrap_or_default();
            let leaks = bytes.windows(MARKER.len()).any(|part| part == MARKER.as_bytes());
            if leaks && !inner.starts_with("held") {
                self.push(Ill::Leaked, format!("a secret is in {}", inner.display()));
            }
        });
    }

    /// Whatever run has ended by itself leaves no token behind whose value nobody has and of which it
    /// says nothing, and no second one of a name; but one that waits to be retired.
    fn orphans(&mut self, place: &Place, ran: &Ran) {
        let world = place.world();
        let at_destinations: BTreeSet<String> = held(place).into_values().collect();
        let mut seen = BTreeSet::new();
        let standing =
            |token: &Token<'_>| is_new(&place.before, token) && !is_superseded(&place.before, &world, token);
        for token in all_tokens(&world).filter(standing) {
            let name = token.name();
            let told = ran.code() == Some(6) && ran.all().contains(token.note());
            if !at_destinations.contains(text(token.row, "key")) && !told {
                self.push(Ill::Lost, format!("{name}: a new token lives, and its value is nowhere"));
            }
            if text(token.row, "status") == "enabled" && !seen.insert(name.clone()) && !told {
                self.push(Ill::Doubled, format!("{name}: two new tokens are enabled"));
            }
        }
    }
}

/// The vendors' own names of instances and teams.
struct Places(Vec<(String, u64, String)>);

impl Places {
    fn of(world: &Value) -> Self {
        let guid = |instance: &str| text(&world["ibm"]["prod"]["instances"][instance], "guid").to_owned();
        let row = |(instance, team, row): (&str, &str, &Value)| {
            (guid(instance), row["id"].as_u64().unwrap_or(0), format!("{instance} {team}"))
        };
        Self(teams(world).map(row).collect())
    }

    fn team(&self, instance: &str, team: &str) -> (String, u64) {
        let name = format!("{instance} {team}");
        let found = self.0.iter().find(|(_, _, other)| *other == name);
        found.map(|(guid, id, _)| (guid.clone(), *id)).expect("the world has the team")
    }

    fn of_instance(&self, guid: &str) -> impl Iterator<Item = (u64, &str)> {
        self.0.iter().filter(move |(other, _, _)| other == guid).map(|(_, id, name)| (*id, name.as_str()))
    }
}

/// Whether a team was reset before the lock, and its key read after that and before the lock.
fn covered(tape: &[TapeEntry], lock: &TapeEntry, guid: &str, team: u64) -> Result<(), &'static str> {
    let before = || {
        let of_instance = |entry: &&TapeEntry| entry.about.instance.as_deref() == Some(guid);
        tape.iter().filter(|entry| entry.seq < lock.seq).filter(of_instance)
    };
    let reset = before().rfind(|entry| entry.effect == Effect::Reset && entry.about.team == Some(team));
    let Some(reset) = reset else { return Err("was not reset") };
    let header = team.to_string();
    let reads_key = |entry: &&TapeEntry| {
        let named = entry.headers.iter().any(|(name, value)| name == "teamid" && *value == header);
        entry.method == "GET" && entry.path == "/api/token" && entry.status == 200 && named
    };
    match before().filter(reads_key).any(|entry| entry.seq > reset.seq) {
        true => Ok(()),
        false => Err("was reset and its key was not read"),
    }
}

/// The slots of a step that is done and that a value of it never reached.
fn undelivered(step: &Value, records: &[Value]) -> Vec<String> {
    let of = |kind: &'static str| {
        let id = step["id"].clone();
        records.iter().map(move |record| record[kind].clone()).filter(move |record| record["step"] == id)
    };
    let Some(done) = of("done").next() else { return Vec::new() };
    let print = done["facts"]["fingerprint"].clone();
    let reached: BTreeSet<String> = of("delivered")
        .filter(|record| record["fingerprint"] == print)
        .map(|r| text(&r, "slot").to_owned())
        .collect();
    let slot = |delivery: &Value| match delivery["key"].as_str() {
        Some(key) => format!("{}#{key}", text(delivery, "to")),
        None => text(delivery, "to").to_owned(),
    };
    let wanted = step["destinations"].as_array().into_iter().flatten().map(slot);
    wanted.filter(|slot| !reached.contains(slot)).collect()
}

fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { visit(&path, each) } else { each(&path) }
    }
}
