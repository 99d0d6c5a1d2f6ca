//! The layers of the library, held by its text: each room imports only from the rooms before it.

use std::path::{Path, PathBuf};

/// In order; a room may name only earlier ones.
const LAYERS: &[&str] = &[
    "model",
    "env",
    "credential",
    "state",
    "http",
    "destination",
    "provider",
    "spec",
    "plan",
    "saved",
    "review",
    "apply",
    "report",
    "cli",
];

/// What the sandbox may name: the double must not share a misunderstanding with the client.
const SANDBOX: &[&str] = &["model", "env", "sandbox"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms that a file names as `crate::ROOM` or inside `use crate::{…}`, outside its tests.
fn named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for tail in code.split("crate::").skip(1) {
        match tail.strip_prefix('{') {
            Some(group) => {
                let group = group.split(';').next().unwrap_or("");
                rooms.extend(LAYERS.iter().filter(|room| in_group(group, room)).map(|r| (*r).to_owned()));
            }
            None => rooms.push(tail.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()),
        }
    }
    rooms
}

fn in_group(group: &str, room: &str) -> bool {
    group
        .split([',', '{', '}'])
        .map(str::trim)
        .any(|part| part == room || part.starts_with(&format!("{room}::")))
}

fn room(path: &Path) -> String {
    let inner = path.strip_prefix(source()).unwrap();
    let first = inner.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn every_room_imports_only_earlier_rooms() {
    let mut breaks = Vec::new();
    for path in files(&source()) {
        let room = room(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(at) = LAYERS.iter().position(|layer| *layer == room) else { continue };
        for other in named(&text) {
            let allowed = match LAYERS.iter().position(|layer| *layer == other) {
                Some(layer) => layer <= at && (other != "report" || room == "report" || room == "cli"),
                None => other == "sandbox" && room == "cli",
            };
            if !allowed {
                breaks.push(format!("{} names crate::{other}", path.display()));
            }
        }
    }
    assert!(breaks.is_empty(), "{}", breaks.join("\n"));
}

#[test]
fn the_sandbox_shares_nothing_with_the_client() {
    let mut seen = 0;
    for path in files(&source().join("sandbox")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for other in named(&text) {
            assert!(SANDBOX.contains(&other.as_str()), "{} names crate::{other}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no import was seen: the test looks at the wrong place");
}

#[test]
fn planning_is_pure() {
    let mut pure = vec![source().join("provider/draft.rs")];
    for drafts in ["provider/ibm/draft", "provider/logicmonitor/draft"] {
        pure.extend(files(&source().join(drafts)));
    }
    pure.extend(files(&source().join("plan")));
    for path in pure {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["crate::http", "tokio", "reqwest", "std::fs", "async "] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn the_test_itself_can_fail() {
    assert_eq!(named("use crate::{env::Env, saved, spec};"), ["env", "spec", "saved"]);
    assert_eq!(named("let x = crate::http::Reader;"), ["http"]);
    assert!(named("// crate::cli\n").is_empty());
}
