//! The examples' plans, changed: every harmful change is found by the checker alone, and every change
//! of a value by the seal.

use std::io::Write;

use base64::Engine;
use tokenform::model::secret::{DigestKey, Secret};
use tokenform::saved;

use crate::mutants::Score;
use crate::support::Place;

const EXAMPLES: [&str; 5] = ["quickstart", "guided", "lifecycle", "incident", "destinations"];

/// The saved plan of an example, and the key that it is sealed with.
fn saved_plan(name: &str) -> (Vec<u8>, DigestKey) {
    let place = Place::example(name);
    place.run(&["plan", &format!("examples/{name}"), "--sandbox", "-o", "a.plan"]).exits(0);
    let key = place.read(&format!("examples/{name}/.tokenform/sandbox/key"));
    let key = base64::engine::general_purpose::STANDARD.decode(key.trim()).unwrap();
    (std::fs::read(place.path("a.plan")).unwrap(), DigestKey::new(Secret::new(key)))
}

#[test]
fn the_checker_alone_finds_every_harmful_change_of_an_example() {
    let mut score = Score::default();
    for name in EXAMPLES {
        score.judge(name, &saved::parse(&saved_plan(name).0).unwrap().plan);
    }
    let _ = std::io::stdout().write_all(score.table().as_bytes());
    assert_eq!(score.missed(), [""; 0]);
    // no example goes on with an interrupted apply
    assert_eq!(score.idle(), ["a reset of an interrupted run is left out"]);
}

#[test]
fn a_value_that_was_edited_anywhere_is_refused_by_the_seal() {
    let mut edits = 0;
    for name in EXAMPLES {
        let (bytes, key) = saved_plan(name);
        saved::verify(&bytes, &key).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(edited) = edit(line) else { continue };
            let file: String = (lines.iter().enumerate())
                .map(|(n, line)| format!("{}\n", if n == at { &edited } else { *line }))
                .collect();
            let error = saved::verify(file.as_bytes(), &key).err();
            let code = error.unwrap_or_else(|| panic!("{name}: {line} as {edited}")).finding().code.id();
            let said = match line.trim_start() {
                line if line.starts_with("\"key_id\"") => "tokenform::seal::other_key",
                line if line.starts_with("\"format_version\"") => "tokenform::seal::newer_format",
                _ => "tokenform::seal::edited",
            };
            assert_eq!(code, said, "{name}: {line} as {edited}");
            edits += 1;
        }
    }
    assert!(edits > 1000, "{edits}");
}

/// A line of a plan file with another value of the same sort, as somebody with an editor would put it there.
fn edit(line: &str) -> Option<String> {
    let (start, end) = match line.strip_suffix(',') {
        Some(start) => (start, ","),
        None => (line, ""),
    };
    let last = start.chars().last()?;
    let edited = match last {
        '"' => {
            let inner = start.strip_suffix('"')?;
            match inner.strip_suffix(|last: char| last.is_ascii_alphanumeric()) {
                Some(rest) => format!("{rest}{}\"", if inner.ends_with('1') { '2' } else { '1' }),
                None => format!("{inner}x\""),
            }
        }
        '0'..='8' => format!("{}9", &start[..start.len() - 1]),
        '9' => format!("{}8", &start[..start.len() - 1]),
        _ if start.ends_with("true") => start.replace("true", "false"),
        _ if start.ends_with("false") => start.replace("false", "true"),
        _ if start.ends_with("null") => start.replace("null", "\"x\""),
        ']' if start.ends_with("[]") => start.replace("[]", "[\"x\"]"),
        _ => return None,
    };
    Some(format!("{edited}{end}"))
}
