//! What a long command says while it works: a spinner on a terminal, plain lines everywhere.
//!
//! Off a terminal (a CI log) only what matters afterwards is written: steps, guides, notes and why
//! it waits. Reading is told on terminals alone. Steps of several lanes run beside each other, so
//! every line names its object, and is written whole.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::safe;
use super::style::{Style, Tone};
use crate::model::address::Address;
use crate::model::event::{Event, Traffic};
use crate::model::verb::Verb;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Tells events to a person.
pub struct Progress {
    style: Style,
    out: Box<dyn Write + Send>,
    spinner: Option<ProgressBar>,
    /// The steps that run now, each with what it does.
    running: BTreeMap<Address, String>,
    /// How many steps came to an end, and of how many.
    steps: (usize, usize),
    /// What is read.
    reading: Option<String>,
    /// The last reason for which an object waits: a poll gives the same one many times.
    waited_for: BTreeMap<Address, String>,
}

impl Progress {
    /// Writes to standard error, with a spinner if that is a terminal.
    pub fn stderr(style: Style, is_terminal: bool) -> Self {
        let spinner = is_terminal.then(|| spinner(&style));
        Self::to(Box::new(std::io::stderr()), style, spinner)
    }

    fn to(out: Box<dyn Write + Send>, style: Style, spinner: Option<ProgressBar>) -> Self {
        let (running, waited_for) = (BTreeMap::new(), BTreeMap::new());
        Self { style, out, spinner, running, steps: (0, 0), reading: None, waited_for }
    }

    /// Tells one event.
    pub fn handle(&mut self, event: &Event) {
        match event {
            Event::Reading { what } => {
                let what = format!("reading {}", safe::line(what));
                self.spin(what.clone());
                self.reading = Some(what);
            }
            Event::StepBegan { number, total, address, verb } => {
                self.write(&format!("{}: begun\n", head(*number, *total, *verb, address)));
                self.begin(*total);
                self.run(address, verb.as_str());
            }
            Event::StepPhase { address, text } => self.run(address, text),
            Event::StepDone { number, total, address, verb, detail } => {
                self.leave(address);
                let done = self.style.paint(Tone::Good, "done");
                let detail =
                    if detail.is_empty() { String::new() } else { format!(", {}", safe::line(detail)) };
                self.write(&format!("{}: {done}{detail}\n", head(*number, *total, *verb, address)));
                self.show_running();
            }
            Event::StepFailed { number, total, address, verb, finding } => {
                self.leave(address);
                let failed = self.style.paint(Tone::Bad, "FAILED");
                // The whole report comes once, at the end.
                let why = safe::line(&finding.message);
                self.write(&format!("{}: {failed}, {why}\n", head(*number, *total, *verb, address)));
                self.show_running();
            }
            Event::StepDeferred { number, total, address, verb, why } => {
                self.leave(address);
                let deferred = self.style.paint(Tone::Change, "deferred");
                let head = head(*number, *total, *verb, address);
                self.write(&format!("{head}: {deferred}, {}\n", safe::line(why)));
                self.show_running();
            }
            Event::Waiting { address, why, seconds } => self.wait(address, why, *seconds),
            Event::Guide { address, lines } => self.write(&guide(address, lines, &self.style)),
            Event::Note(text) => self.write(&format!("{}\n", safe::lines(text))),
        }
    }

    /// Takes the spinner off the screen until there is something new to tell.
    pub fn hide(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.disable_steady_tick();
            spinner.finish_and_clear();
        }
    }

    /// Writes beside the spinner, which goes on below.
    pub fn aside(&self, write: impl FnOnce()) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }

    /// Tells how far the requests of a read are, on a terminal alone. While steps run, these are told.
    pub fn traffic(&mut self, Traffic { answered, expected, left }: Traffic) {
        let (Some(spinner), Some(reading), true) = (&self.spinner, &self.reading, self.running.is_empty())
        else {
            return;
        };
        let count = match expected > answered {
            true => format!("{answered} of {expected} requests"),
            false => format!("{answered} requests"),
        };
        let left = left.map(|(left, limit)| format!(", {left} of {limit} calls left by the vendor's limit"));
        let pace = pace(answered, expected, spinner.elapsed());
        self.spin(format!("{reading}: {count}{pace}{}", left.unwrap_or_default()));
    }

    /// The first step of a run begins: from now on steps are counted, and their time.
    fn begin(&mut self, total: usize) {
        if self.steps.1 != total {
            self.steps = (0, total);
            self.reading = None;
            self.spinner.iter().for_each(ProgressBar::reset_elapsed);
        }
    }

    fn wait(&mut self, address: &Address, why: &str, seconds: u64) {
        let time = if seconds == 0 { String::new() } else { format!(" {seconds}s") };
        let line = format!("waiting{time}: {}: {}", safe::shown(address), safe::line(why));
        let before = self.waited_for.insert(address.clone(), why.to_owned());
        if before.as_deref() != Some(why) && self.spinner.is_none() {
            self.write(&format!("{line}\n"));
        }
        self.spin(line);
    }

    /// A step of this object came to its end.
    fn leave(&mut self, address: &Address) {
        self.running.remove(address);
        self.waited_for.remove(address);
        self.steps.0 += 1;
    }

    fn run(&mut self, address: &Address, text: &str) {
        self.waited_for.remove(address);
        self.running.insert(address.clone(), safe::line(text).into_owned());
        self.show_running();
    }

    /// One running step by name, several by their number and the first.
    fn show_running(&self) {
        let Some((address, text)) = self.running.first_key_value() else {
            return self.hide();
        };
        let one = format!("{}: {text}", safe::shown(address));
        let running = match self.running.len() {
            1 => one,
            n => format!("{n} steps running; {one}"),
        };
        let (done, total) = self.steps;
        let elapsed = self.spinner.as_ref().map_or(Duration::ZERO, ProgressBar::elapsed);
        self.spin(match done {
            0 => running,
            _ => format!("{done} of {total} steps{}; {running}", pace(done as u64, total as u64, elapsed)),
        });
    }

    fn spin(&self, message: String) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(message);
            if spinner.is_finished() {
                spinner.reset();
                spinner.enable_steady_tick(TICK);
            }
        }
    }

    /// A stream that can't be written to must not stop an apply, so errors are dropped.
    fn write(&mut self, text: &str) {
        let Self { out, spinner, .. } = self;
        let mut write = || drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        match spinner {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.hide();
    }
}

/// `, 12/s, about 3 min left`: once there is enough to tell from.
fn pace(done: u64, all: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 1.0 || done == 0 {
        return String::new();
    }
    let rate = done as f64 / seconds;
    let rated = match rate {
        rate if rate < 1.0 => format!("{:.1}/min", rate * 60.0),
        rate if rate < 10.0 => format!("{rate:.1}/s"),
        rate => format!("{rate:.0}/s"),
    };
    let rest = all.saturating_sub(done) as f64 / rate;
    let left = match rest {
        rest if rest < 1.0 => String::new(),
        rest if rest < 90.0 => format!(", about {rest:.0} s left"),
        rest if rest < 5_400.0 => format!(", about {:.0} min left", rest / 60.0),
        rest => format!(", about {:.1} h left", rest / 3_600.0),
    };
    format!(", {rated}{left}")
}

/// `[1/4] reset ibm.prod.mon-prod.team["SRE"]`
fn head(number: usize, total: usize, verb: Verb, address: &Address) -> String {
    format!("[{number}/{total}] {verb} {}", safe::shown(address))
}

fn guide(address: &Address, lines: &[String], style: &Style) -> String {
    let title = style.paint(Tone::Bold, format!("By hand, for {}:", safe::shown(address)));
    let rows: String = lines.iter().map(|line| format!("  {}\n", safe::line(line))).collect();
    format!("\n{title}\n{rows}\n")
}

fn spinner(style: &Style) -> ProgressBar {
    let ticks = style.pick("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ", "|/-\\ ");
    let look = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(look.tick_chars(ticks));
    // It comes with the first news.
    spinner.finish_and_clear();
    spinner
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::model::code;
    use crate::model::finding::Finding;
    use crate::report::sample;

    #[derive(Clone, Default)]
    struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn told(spinner: Option<ProgressBar>, events: &[Event]) -> String {
        let tape = Tape::default();
        let mut progress = Progress::to(Box::new(tape.clone()), Style::PLAIN, spinner);
        events.iter().for_each(|event| progress.handle(event));
        drop(progress);
        String::from_utf8(tape.0.lock().unwrap().clone()).unwrap()
    }

    fn story() -> Vec<Event> {
        let address = sample::team("mon-prod", "SRE");
        let (number, total, verb) = (1, 4, Verb::Reset);
        let why = "rate limit of us-south".to_owned();
        let wait = Event::Waiting { address: address.clone(), why, seconds: 30 };
        vec![
            Event::Reading { what: "ibm.prod.mon-prod".to_owned() },
            Event::StepBegan { number, total, address: address.clone(), verb },
            Event::Guide { address: address.clone(), lines: vec!["open the console\x1b[2J".to_owned()] },
            wait.clone(),
            wait,
            Event::StepPhase { address: address.clone(), text: "old key refused?".to_owned() },
            Event::StepDone {
                number,
                total,
                address: address.clone(),
                verb,
                detail: "old key refused".to_owned(),
            },
            Event::StepFailed {
                number: 2,
                total,
                finding: Finding::new(code::HTTP_CALL, "PATCH gave 403").at(&address),
                address,
                verb: Verb::Lock,
            },
            Event::Note("lease renewed".to_owned()),
        ]
    }

    #[test]
    fn a_wait_of_no_time_names_none() {
        let address = sample::instance("mon");
        let wait = |seconds| {
            let (address, why) = (address.clone(), format!("look {seconds}"));
            Event::Waiting { address, why, seconds }
        };
        let text = told(None, &[wait(0), wait(2)]);
        assert_eq!(text, "waiting: ibm.prod.mon: look 0\nwaiting 2s: ibm.prod.mon: look 2\n");
    }

    /// Two lanes that wait for the same thing by turns, and end in the order in which they do.
    #[test]
    fn lines_of_several_lanes_name_their_step_and_a_wait_is_told_once_a_lane() {
        let (ops, sre) = (sample::team("mon-prod", "Ops"), sample::team("mon-dev", "SRE"));
        let (total, verb) = (2, Verb::Reset);
        let began =
            |number, address: &Address| Event::StepBegan { number, total, address: address.clone(), verb };
        let wait = |address: &Address| Event::Waiting {
            address: address.clone(),
            why: "look".to_owned(),
            seconds: 2,
        };
        let done = |number, address: &Address| {
            let (address, detail) = (address.clone(), String::new());
            Event::StepDone { number, total, address, verb, detail }
        };
        let (a, b) = (wait(&ops), wait(&sre));
        let events =
            [began(1, &ops), began(2, &sre), a.clone(), b.clone(), a, b, done(2, &sre), done(1, &ops)];
        snapbox::assert_data_eq!(
            told(None, &events),
            snapbox::IntoData::raw(snapbox::str![[r#"
[1/2] reset ibm.prod.mon-prod.team["Ops"]: begun
[2/2] reset ibm.prod.mon-dev.team["SRE"]: begun
waiting 2s: ibm.prod.mon-prod.team["Ops"]: look
waiting 2s: ibm.prod.mon-dev.team["SRE"]: look
[2/2] reset ibm.prod.mon-dev.team["SRE"]: done
[1/2] reset ibm.prod.mon-prod.team["Ops"]: done

"#]])
        );
    }

    #[test]
    fn off_a_terminal_steps_guides_and_waits_are_plain_lines() {
        snapbox::assert_data_eq!(
            told(None, &story()),
            snapbox::IntoData::raw(snapbox::str![[r#"
[1/4] reset ibm.prod.mon-prod.team["SRE"]: begun

By hand, for ibm.prod.mon-prod.team["SRE"]:
  open the console\u{1b}[2J

waiting 30s: ibm.prod.mon-prod.team["SRE"]: rate limit of us-south
[1/4] reset ibm.prod.mon-prod.team["SRE"]: done, old key refused
[2/4] lock ibm.prod.mon-prod.team["SRE"]: FAILED, PATCH gave 403
lease renewed

"#]])
        );
    }

    #[test]
    fn on_a_terminal_waiting_is_the_spinners_and_steps_are_still_lines() {
        let text = told(Some(ProgressBar::hidden()), &story());
        assert!(!text.contains("waiting") && !text.contains("reading"), "{text}");
        assert!(
            text.contains("[1/4] reset") && text.contains("FAILED") && text.contains("By hand"),
            "{text}"
        );
    }

    #[test]
    fn a_hidden_spinner_comes_back_with_the_next_news() {
        let bar = ProgressBar::hidden();
        let mut progress = Progress::to(Box::new(Tape::default()), Style::PLAIN, Some(bar.clone()));
        progress.handle(&Event::Reading { what: "ibm.prod".to_owned() });
        progress.hide();
        assert!(bar.is_finished());
        progress.run(&sample::team("mon-prod", "Ops"), "reset");
        assert!(!bar.is_finished());
        assert_eq!(bar.message(), "ibm.prod.mon-prod.team[\"Ops\"]: reset");
    }

    #[test]
    fn a_read_tells_how_far_it_is_on_a_terminal_and_nothing_on_a_pipe() {
        let traffic = Traffic { answered: 40, expected: 250, left: Some((60, 100)) };
        let bar = ProgressBar::hidden();
        let mut progress = Progress::to(Box::new(Tape::default()), Style::PLAIN, Some(bar.clone()));
        progress.handle(&Event::Reading { what: "logicmonitor.acme".to_owned() });
        progress.traffic(traffic);
        let told =
            "reading logicmonitor.acme: 40 of 250 requests, 60 of 100 calls left by the vendor's limit";
        assert_eq!(bar.message(), told);
        let tape = Tape::default();
        let mut quiet = Progress::to(Box::new(tape.clone()), Style::PLAIN, None);
        quiet.handle(&Event::Reading { what: "logicmonitor.acme".to_owned() });
        quiet.traffic(traffic);
        assert!(tape.0.lock().unwrap().is_empty());
    }

    #[test]
    fn rate_and_time_left_are_told_once_there_is_enough_to_tell_from() {
        let after = |seconds, done| pace(done, 1_000, Duration::from_secs(seconds));
        assert_eq!(after(0, 5), "");
        assert_eq!(after(10, 20), ", 2.0/s, about 8 min left");
        assert_eq!(after(10, 500), ", 50/s, about 10 s left");
        assert_eq!(after(3_600, 100), ", 1.7/min, about 9.0 h left");
        assert_eq!(after(10, 1_000), ", 100/s");
    }

    #[test]
    fn steps_are_counted_as_they_end() {
        let bar = ProgressBar::hidden();
        let mut progress = Progress::to(Box::new(Tape::default()), Style::PLAIN, Some(bar.clone()));
        let (a, b, verb) = (sample::team("mon", "A"), sample::team("mon", "B"), Verb::Reset);
        for (number, address) in [(1, &a), (2, &b)] {
            progress.handle(&Event::StepBegan { number, total: 3, address: address.clone(), verb });
        }
        let detail = String::new();
        progress.handle(&Event::StepDone { number: 1, total: 3, address: a, verb, detail });
        assert_eq!(bar.message(), "1 of 3 steps; ibm.prod.mon.team[\"B\"]: reset");
    }

    #[test]
    fn the_spinner_names_what_runs() {
        let bar = ProgressBar::hidden();
        let mut progress = Progress::to(Box::new(Tape::default()), Style::PLAIN, Some(bar.clone()));
        progress.run(&sample::team("mon-prod", "Ops"), "reset");
        assert_eq!(bar.message(), "ibm.prod.mon-prod.team[\"Ops\"]: reset");
        progress.run(&sample::team("mon-prod", "SRE"), "reset");
        assert_eq!(bar.message(), "2 steps running; ibm.prod.mon-prod.team[\"Ops\"]: reset");
    }
}
