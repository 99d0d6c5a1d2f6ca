//! Every command block of the README is run, in its order, as a new user would.

use crate::support::{Place, repository};

/// One `sh` block: its commands, and the exit code that the README promises for each.
struct Block {
    commands: Vec<(String, i32)>,
}

/// The blocks fenced as ```sh. A line may end in `# exit N`; other comments are prose.
fn blocks(readme: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in readme.lines() {
        match (&mut open, line.trim_end()) {
            (None, "```sh") => open = Some(Block { commands: Vec::new() }),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), line) if !line.is_empty() && !line.starts_with('#') => {
                block.commands.push(command(line))
            }
            _ => {}
        }
    }
    blocks
}

fn command(line: &str) -> (String, i32) {
    let (text, comment) = line.split_once(" #").unwrap_or((line, ""));
    let code = comment
        .trim()
        .strip_prefix("exit ")
        .map_or(0, |n| n.split_whitespace().next().unwrap_or(n).parse().expect("`# exit N` has a number"));
    (text.trim().to_owned(), code)
}

/// The program's arguments, if the line runs it from the work tree or as installed.
fn arguments(text: &str) -> Option<Vec<&str>> {
    let rest = text.strip_prefix("cargo run --release -- ").or_else(|| text.strip_prefix("tokenform "))?;
    Some(rest.split_whitespace().collect())
}

/// Commands that this test can't run inside itself: CI runs them as they are.
const OF_CI: &[&str] = &["cargo test", "cargo build --release"];

#[test]
fn every_command_block_runs_as_it_stands() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let place = Place::examples();
    let mut run = 0;
    for (text, code) in blocks(&readme).iter().flat_map(|block| &block.commands) {
        if OF_CI.contains(&text.as_str()) {
            continue;
        }
        let args =
            arguments(text).unwrap_or_else(|| panic!("the README has a command that no test runs: {text}"));
        let ran = place.run_at_terminal(&args, "yes\n");
        assert_eq!(ran.code, *code, "{text}\nstdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
        run += 1;
    }
    assert!(run >= 8, "only {run} commands were found in the README");
}

/// The spec that the README shows is one: an example that `validate` refuses teaches mistakes.
#[test]
fn the_spec_in_the_readme_is_valid() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```yaml\n").expect("the README shows a spec");
    let (spec, _) = rest.split_once("```").unwrap();
    let place = Place::empty();
    place.write("spec.yaml", spec);
    place.run(&["validate", "spec.yaml"]).exits(0).says("the spec is valid");
}
