//! Command lines to copy: with the flags that this run had, quoted for a shell.

use std::path::Path;

use super::Global;

/// `tokenform VERB FLAGS PATH`, which stands on the same state and target as this run.
pub fn command(verb: &str, global: &Global, path: &Path) -> String {
    let mut words = vec!["tokenform".to_owned(), verb.to_owned()];
    if let Some(state) = &global.state {
        words.extend(["--state".to_owned(), of_path(state)]);
    }
    words.extend(global.sandbox.as_ref().map(|world| match world {
        None => "--sandbox".to_owned(),
        Some(world) => format!("--sandbox={}", quoted(&world.to_string_lossy())),
    }));
    words.push(of_path(path));
    words.join(" ")
}

/// The command line of this process, as others see it while it holds a lock.
pub fn this_run() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_default();
    let name =
        Path::new(&program).file_name().map_or_else(|| program.clone(), |n| n.to_string_lossy().into());
    std::iter::once(name).chain(words.map(|word| quoted(&word))).collect::<Vec<_>>().join(" ")
}

/// A path that no program takes for a flag.
fn of_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') { quoted(&format!("./{text}")) } else { quoted(&text) }
}

/// A word as a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { single_quoted(text) }
}

/// A value in a shell's single quotes.
pub fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_line_has_the_flags_of_the_run_and_is_fit_for_a_shell() {
        for (args, line) in [
            (vec!["plan"], "tokenform plan specs"),
            (vec!["plan", "--sandbox"], "tokenform plan --sandbox specs"),
            (
                vec!["plan", "--state", "it's here", "--sandbox=a b.yaml"],
                r"tokenform plan --state 'it'\''s here' --sandbox='a b.yaml' specs",
            ),
            (vec!["plan", "--state=-x"], "tokenform plan --state ./-x specs"),
        ] {
            let cli = super::super::Cli::try_parse_from([vec!["tokenform"], args].concat()).ok().unwrap();
            assert_eq!(command("plan", &cli.global, Path::new("specs")), line);
        }
    }
}
