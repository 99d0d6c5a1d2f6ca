//! What a piece of work costs: wall, processor time, and the process's peak memory while it ran.

use std::fmt;
use std::str::FromStr;

/// Seconds, seconds and MiB. Processor time and memory are 0 where the system does not tell them.
#[derive(Clone, Copy)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
    pub peak: f64,
}

impl Cost {
    /// Runs the work once.
    #[expect(clippy::disallowed_methods, reason = "a benchmark is about real time")]
    pub fn of<T>(work: impl FnOnce() -> T) -> (T, Self) {
        // From now on the peak counts from what is in use.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let (begin, cpu) = (std::time::Instant::now(), cpu());
        let done = work();
        let wall = begin.elapsed().as_secs_f64();
        (done, Self { wall, cpu: self::cpu() - cpu, peak: peak() })
    }
}

/// Of all threads, in the kernel's hundredths of a second.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}", self.wall, self.cpu, self.peak)
    }
}

impl FromStr for Cost {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<f64> = text.split('\t').map(str::parse).collect::<Result<_, _>>()?;
        let at = |n: usize| numbers.get(n).copied().unwrap_or_default();
        Ok(Self { wall: at(0), cpu: at(1), peak: at(2) })
    }
}
