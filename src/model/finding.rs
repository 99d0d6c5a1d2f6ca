//! A diagnostic: a code from the table, what happened, and the places it is about.

use super::address::Address;
use super::code::Code;
use super::source::Span;

/// One thing to tell the user. Rendering belongs to `report`.
#[derive(Clone, Debug)]
pub struct Finding {
    pub code: Code,
    /// The object it is about, if there is one.
    pub address: Option<Address>,
    /// What happened and why, in one sentence without a full stop.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// Places in the spec; the first is the main one.
    pub labels: Vec<Label>,
}

/// A place in the spec and the words printed under it.
#[derive(Clone, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// How bad it is. Only an error stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Finding {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, address: None, message: message.into(), help: None, labels: Vec::new() }
    }

    pub fn at(mut self, address: &Address) -> Self {
        self.address = Some(address.clone());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn is_error(&self) -> bool {
        self.code.severity() == Severity::Error
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.address {
            Some(address) => write!(f, "{address}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
