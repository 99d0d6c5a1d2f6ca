//! Where words go: data to standard output, talk to standard error.

use std::cell::RefCell;
use std::io::{ErrorKind, IsTerminal, Write};

use super::exit::{Exit, Failure};
use super::interrupts::Caught;
use crate::env::{Clock, Env};
use crate::model::code;
use crate::model::event::{Event, Traffic};
use crate::model::finding::Finding;
use crate::model::outcome::Outcome;
use crate::model::source::Sources;
use crate::plan::document::Plan;
use crate::report;
use crate::report::events::{Said, Stream};
use crate::report::progress::Progress;
use crate::report::style::{ColorChoice, Style};

pub struct Output {
    /// How standard output is written.
    pub style: Style,
    /// How standard error is written.
    talk: Style,
    progress: RefCell<Progress>,
    /// Why standard output can't be written any more: it ends the output, not the work.
    closed: RefCell<Option<std::io::Error>>,
    /// Standard output is a stream of events.
    stream: RefCell<Option<Stream>>,
    /// On its way from the first line of the program to the session that waits.
    caught: RefCell<Option<Caught>>,
}

impl Output {
    pub fn new(color: ColorChoice, env: &Env) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let talk = Style::detect(color, terminal, env);
        Self {
            style: Style::detect(color, std::io::stdout().is_terminal(), env),
            talk,
            progress: RefCell::new(Progress::stderr(talk, terminal)),
            closed: RefCell::default(),
            stream: RefCell::default(),
            caught: RefCell::default(),
        }
    }

    /// Keeps the interrupts of this run until a session takes them.
    pub fn caught(&self, caught: Option<Caught>) {
        *self.caught.borrow_mut() = caught;
    }

    pub fn take_caught(&self) -> Option<Caught> {
        self.caught.take()
    }

    /// From here on standard output is a stream of events, which [`Output::end`] ends.
    pub fn begin_stream(&self, clock: Clock) {
        *self.stream.borrow_mut() = Some(Stream::new(clock));
        self.tell(Said::begin);
    }

    /// Ends the stream of events with its one outcome.
    pub fn end(&self, exit: Exit) {
        if let Some(mut stream) = self.stream.take() {
            self.write(&stream.end(exit.code(), exit.word()));
        }
    }

    /// A finding that people were told in other words.
    pub fn finding_event(&self, finding: &Finding) {
        self.tell(|| Said::finding(finding));
    }

    fn tell(&self, said: impl FnOnce() -> Said) -> bool {
        let line = self.stream.borrow_mut().as_mut().map(|stream| stream.line(said()));
        line.map(|line| self.write(&line)).is_some()
    }

    /// Data, as it is; a note in a stream of events.
    pub fn data(&self, bytes: &[u8]) {
        let note = || Said::Note { text: String::from_utf8_lossy(bytes).trim_end().to_owned() };
        if !self.tell(note) {
            self.write(bytes);
        }
    }

    /// The plan that is to be carried out. `seal` is what is known of its file.
    pub fn plan(&self, plan: &Plan, seal: &str) {
        if !self.tell(|| plan.into()) {
            self.write(report::text::plan(plan, seal, &self.style).as_bytes());
        }
    }

    /// What became of steps.
    pub fn outcome(&self, outcome: &Outcome) {
        match self.stream.borrow_mut().as_mut() {
            Some(stream) => stream.add(outcome),
            None => self.write(report::summary::outcome(outcome, &self.style).as_bytes()),
        }
    }

    /// What an apply proved as a whole, and the one command that continues.
    pub fn ending(&self, proof: Option<&str>, next: Option<&str>) {
        match self.stream.borrow_mut().as_mut() {
            Some(stream) => stream.end_with(proof, next),
            None => self.write(report::summary::ending(proof, next, &self.style).as_bytes()),
        }
    }

    fn write(&self, bytes: &[u8]) {
        self.progress.borrow_mut().hide();
        let mut closed = self.closed.borrow_mut();
        if closed.is_none() {
            let mut stdout = std::io::stdout().lock();
            *closed = stdout.write_all(bytes).and_then(|()| stdout.flush()).err();
        }
    }

    /// Why data was lost. A reader that went away wanted no more, which is no error.
    pub fn lost(&self) -> Option<Finding> {
        let closed = self.closed.borrow();
        let error = closed.as_ref().filter(|error| error.kind() != ErrorKind::BrokenPipe)?;
        Some(Finding::new(code::OUTPUT, format!("standard output can't be written: {error}")))
    }

    /// One line or block of talk.
    pub fn say(&self, text: &str) {
        // Nothing can be told if standard error is gone.
        let tell = || drop(writeln!(std::io::stderr().lock(), "{text}"));
        self.progress.borrow_mut().aside(tell);
    }

    /// The end: nothing moves on the terminal any more.
    pub fn finish(&self) {
        self.progress.borrow_mut().hide();
    }

    /// A plan that was written to where the person may not see it (a file, a pipe) is shown once
    /// more: nobody approves what was not seen.
    pub fn show_to_approver(&self, plan: &Plan) {
        if self.stream.borrow().is_some() || !std::io::stdout().is_terminal() {
            self.say(&report::text::plan(plan, "", &self.talk));
        }
    }

    /// How far requests are: for a person who waits, and for nobody else.
    pub fn traffic(&self, traffic: Traffic) {
        self.progress.borrow_mut().traffic(traffic);
    }

    pub fn event(&self, event: &Event) {
        self.tell(|| event.into());
        self.progress.borrow_mut().handle(event);
    }

    pub fn findings(&self, findings: &[Finding], sources: &Sources) {
        findings.iter().for_each(|finding| self.finding_event(finding));
        if !findings.is_empty() {
            self.say(&report::finding::render(findings, sources, &self.talk));
        }
    }

    pub fn fail(&self, failure: &Failure) -> Exit {
        self.findings(&failure.findings, &failure.sources);
        failure.exit
    }
}
