//! Where words go: data to standard output, talk to standard error.

use std::cell::RefCell;
use std::io::{ErrorKind, IsTerminal, Write};

use super::exit::{Exit, Failure};
use crate::env::Env;
use crate::model::code;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::plan::document::Plan;
use crate::report;
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
        }
    }

    /// Data, as it is.
    pub fn data(&self, bytes: &[u8]) {
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
        if !std::io::stdout().is_terminal() {
            self.say(&report::text::plan(plan, "", &self.talk));
        }
    }

    pub fn event(&self, event: &Event) {
        self.progress.borrow_mut().handle(event);
    }

    pub fn findings(&self, findings: &[Finding], sources: &Sources) {
        if !findings.is_empty() {
            self.say(&report::finding::render(findings, sources, &self.talk));
        }
    }

    pub fn fail(&self, failure: &Failure) -> Exit {
        self.findings(&failure.findings, &failure.sources);
        failure.exit
    }
}
