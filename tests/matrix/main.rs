//! Stops tokenform at every point of a run, and faults every mutating call of it; then lets it go on,
//! and compares what it ends in with the end of an undisturbed run.
//!
//! ```text
//! cargo test --test matrix                    every ninth case of each matrix
//! cargo test --test matrix -- --all           every case
//! cargo test --test matrix -- --all 'kill 7'  those whose name holds the words
//! ```
//! `--jobs N` runs N cases at a time (2), `--list` names them, `--keep` keeps the folders of those
//! that go wrong. The numbers that must be zero are printed; one that isn't ends it with 1.

mod case;
mod checks;
mod child;
mod end;
mod estate;
mod groups;
mod place;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use case::{Case, Undisturbed};
use checks::Ill;
use estate::{ESTATES, Estate};
use groups::Group;

/// Without `--all`, one case out of so many is run.
const SAMPLE: usize = 9;

fn main() -> ExitCode {
    match child::orders() {
        Some(orders) => child::run(orders),
        None => matrices(&Wish::parse(std::env::args().skip(1))),
    }
}

/// What is asked for on the command line.
#[derive(Default)]
struct Wish {
    all: bool,
    list: bool,
    keep: bool,
    jobs: usize,
    words: Vec<String>,
}

impl Wish {
    /// What it does not know is for other test programs: `cargo test` hands the same to all.
    fn parse(args: impl Iterator<Item = String>) -> Self {
        let mut wish = Self { jobs: 2, ..Self::default() };
        let mut args = args.peekable();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--all" => wish.all = true,
                "--list" => wish.list = true,
                "--keep" => wish.keep = true,
                "--jobs" => wish.jobs = args.next().and_then(|n| n.parse().ok()).unwrap_or(2).max(1),
                flag if flag.starts_with('-') => {}
                _ => wish.words.push(arg),
            }
        }
        wish
    }

    fn chosen(&self, group: Group) -> Group {
        let named =
            |case: &Case| self.words.is_empty() || self.words.iter().any(|word| case.name.contains(word));
        let cases: Vec<Case> = group.cases.into_iter().filter(named).collect();
        let step = if self.all { 1 } else { SAMPLE };
        Group { cases: cases.into_iter().step_by(step).collect(), ..group }
    }
}

fn matrices(wish: &Wish) -> ExitCode {
    let mut total = Count::default();
    for estate in &ESTATES {
        match of_estate(estate, wish) {
            Ok(count) => total.add(&count),
            Err(why) => {
                let name = estate.name;
                say(&format!("the undisturbed run of {name} is not as it should be: {why}"));
                return ExitCode::FAILURE;
            }
        }
    }
    if wish.list {
        return ExitCode::SUCCESS;
    }
    say(&format!("all: {}", total.words()));
    if total.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the matrices of an estate; or lists their cases.
fn of_estate(estate: &'static Estate, wish: &Wish) -> Result<Count, String> {
    let undisturbed = Undisturbed::run(estate)?;
    let groups: Vec<_> = groups::all(&undisturbed).into_iter().map(|group| wish.chosen(group)).collect();
    let groups: Vec<_> = groups.into_iter().filter(|group| !group.cases.is_empty()).collect();
    let mut total = Count::default();
    if wish.list {
        groups.iter().flat_map(|group| &group.cases).for_each(|case| say(&case.name));
        return Ok(total);
    }
    let part = if wish.all { "every one" } else { "a part: --all runs every one" };
    say(&format!(
        "\nmatrices of {}: {} points and {} changes of the vendors in an undisturbed run; {part}",
        estate.name,
        undisturbed.points.len(),
        undisturbed.changes
    ));
    groups.iter().for_each(|group| total.add(&run(group, &undisturbed, wish)));
    Ok(total)
}

/// Runs the cases of a matrix, some at a time.
#[expect(clippy::disallowed_methods, reason = "how long it took is told")]
fn run(group: &Group, undisturbed: &Undisturbed, wish: &Wish) -> Count {
    let (next, count) = (AtomicUsize::new(0), Mutex::new(Count::default()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..wish.jobs {
            scope.spawn(|| {
                while let Some(case) = group.cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let result = case.run(undisturbed, wish.keep);
                    let mut count = count.lock().expect("no case has panicked");
                    count.take(case, &result);
                }
            });
        }
    });
    let count = count.into_inner().expect("no case has panicked");
    say(&format!("{} ({}): {}, {} s", group.name, group.about, count.words(), began.elapsed().as_secs()));
    count
}

/// What came out of some cases.
#[derive(Default)]
struct Count {
    tried: usize,
    converged: usize,
    /// Runs after the disturbed ones, at most.
    runs: usize,
    ills: BTreeMap<Ill, usize>,
}

impl Count {
    fn take(&mut self, case: &Case, result: &case::Result) {
        self.tried += 1;
        self.converged += usize::from(!result.ills.has(Ill::Other));
        self.runs = self.runs.max(result.runs);
        for (ill, text) in &result.ills.0 {
            *self.ills.entry(*ill).or_default() += 1;
            say(&format!("WRONG {}: {ill:?}: {text}", case.name));
        }
        if let Some(kept) = &result.kept {
            say(&format!("      its folder: {}", kept.display()));
        }
    }

    fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.converged += other.converged;
        self.runs = self.runs.max(other.runs);
        for (ill, count) in &other.ills {
            *self.ills.entry(*ill).or_default() += count;
        }
    }

    fn good(&self) -> bool {
        self.converged == self.tried && self.ills.is_empty()
    }

    fn words(&self) -> String {
        let zeros: Vec<String> = Ill::ZEROS
            .iter()
            .map(|(ill, words)| format!("{words} {}", self.ills.get(ill).copied().unwrap_or(0)))
            .collect();
        let Self { tried, converged, runs, .. } = self;
        let zeros = zeros.join(", ");
        format!("points tried {tried}, converged {converged} (in {runs} runs at most), {zeros}")
    }
}

fn say(text: &str) {
    // nobody reads it: the exit code still tells
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
