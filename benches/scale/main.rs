//! What the pure stages cost at every size: reading a spec, planning, checking, rendering.
//!
//! ```text
//! cargo bench --bench scale                        100 to 100,000 tokens
//! cargo bench --bench scale -- 1000 1000000        these sizes
//! ```
//! Each size runs in a process of its own, so that its peak memory is its own. `^` is the growth
//! exponent from the size before: 1 is a straight line. Whole processes against a server are measured
//! by `benches/processes`, and instructions by `benches/guard`.

mod measure;
mod stages;
mod world;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Result, Write};
use std::process::{Command, Stdio};

use measure::Cost;

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// Says to a child which size it runs.
const ONE: &str = "--one";

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    // cargo adds `--bench`
    let given: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match given.as_slice() {
        [one, size] if one == ONE => stages::run(number(size), |stage, cost| {
            let _ = writeln!(std::io::stdout(), "{stage}\t{cost}");
        }),
        [] => all(&SIZES),
        sizes => all(&sizes.iter().map(|size| number(size)).collect::<Vec<_>>()),
    }
}

fn number(text: &str) -> usize {
    text.replace(['_', ','], "").parse().unwrap_or_else(|_| panic!("`{text}` is not a number of tokens"))
}

/// A table, row by row as they come.
fn all(sizes: &[usize]) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:>9}  {:<28}{:>9}{:>9}{:>10}{:>7}",
        "tokens", "stage", "wall s", "cpu s", "peak MiB", "^"
    )?;
    let mut before: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for size in sizes {
        let mut child = Command::new(std::env::current_exe()?)
            .args([ONE, &size.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        for line in lines {
            let line = line?;
            let (stage, cost) = line.split_once('\t').expect("a child writes STAGE, a tab and COST");
            let cost: Cost = cost.parse().expect("a child writes numbers");
            let grown = before.insert(stage.to_owned(), (*size, cost.wall));
            let grown = grown.map_or(String::new(), |(n, wall)| {
                format!("{:.2}", (cost.wall / wall).ln() / (*size as f64 / n as f64).ln())
            });
            let Cost { wall, cpu, peak } = cost;
            writeln!(out, "{size:>9}  {stage:<28}{wall:>9.4}{cpu:>9.2}{peak:>10.1}{grown:>7}")?;
        }
        assert!(child.wait()?.success(), "the run of {size} tokens failed");
    }
    Ok(())
}
