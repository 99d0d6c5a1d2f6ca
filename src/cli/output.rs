//! Where words go: data to standard output, talk to standard error.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};

use super::exit::{Exit, Failure};
use crate::env::Env;
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
    /// A reader of standard output that went away ends the output, not the work.
    closed: Cell<bool>,
}

impl Output {
    pub fn new(color: ColorChoice, env: &Env) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let talk = Style::detect(color, terminal, env);
        Self {
            style: Style::detect(color, std::io::stdout().is_terminal(), env),
            talk,
            progress: RefCell::new(Progress::stderr(talk, terminal)),
            closed: Cell::new(false),
        }
    }

    /// Data, as it is.
    pub fn data(&self, bytes: &[u8]) {
        self.progress.borrow_mut().finish();
        if !self.closed.get() {
            let mut stdout = std::io::stdout().lock();
            self.closed.set(stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err());
        }
    }

    /// One line or block of talk.
    pub fn say(&self, text: &str) {
        self.progress.borrow_mut().finish();
        // Nothing can be told if standard error is gone.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
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
