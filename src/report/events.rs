//! The event stream of `apply --format json`: one JSON object on each line, the last of which is the one
//! `outcome`.
//!
//! Within a major version events and members are only added: a reader skips those that it does not know.
//! `schemas/events.schema.json` describes what this version writes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::env::Clock;
use crate::model::address::Address;
use crate::model::change::Waiting;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::outcome;
use crate::model::step::StepId;
use crate::model::verb::Verb;
use crate::plan::document::{Plan, PlanFinding, Summary};

/// The stream's version: `MAJOR.MINOR`.
pub const VERSION: &str = "1.0";

/// One line of the stream.
#[derive(Serialize, JsonSchema)]
pub struct Line {
    /// `MAJOR.MINOR`. Within a major version events and members are only added.
    format_version: String,
    /// Counts from 1 without a gap.
    seq: u64,
    /// When it was told, by the clock of this machine.
    at: Timestamp,
    #[serde(flatten)]
    said: Said,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Said {
    /// The first event.
    Begin {
        tokenform_version: String,
    },
    /// Live state is being read.
    Reading {
        what: String,
    },
    /// The plan that is to be carried out, or that is asked about.
    Plan(Box<Planned>),
    /// A step's request is about to leave. Steps count from 1 in the plan's order.
    StepBegan {
        number: usize,
        total: usize,
        address: Address,
        verb: Verb,
    },
    /// What a running step does now.
    StepPhase {
        address: Address,
        text: String,
    },
    StepDone {
        number: usize,
        total: usize,
        address: Address,
        verb: Verb,
        detail: String,
    },
    /// A step was refused, or is in doubt.
    StepFailed {
        number: usize,
        total: usize,
        address: Address,
        verb: Verb,
        finding: Told,
    },
    /// A condition of a step no longer holds: nothing was sent.
    StepDeferred {
        number: usize,
        total: usize,
        address: Address,
        verb: Verb,
        why: String,
    },
    /// Nothing is sent about an object for so many seconds.
    Waiting {
        address: Address,
        why: String,
        seconds: u64,
    },
    /// What a person must do now.
    Guide {
        address: Address,
        lines: Vec<String>,
    },
    /// Something else that people are told.
    Note {
        text: String,
    },
    /// A diagnostic. An error among them says why the run ended.
    Finding {
        finding: Told,
    },
    /// The last event of every stream, and the only one of its kind.
    Outcome(Box<Outcome>),
}

/// A plan in short.
#[derive(Serialize, JsonSchema)]
pub struct Planned {
    spec_path: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    complete: bool,
    summary: Summary,
    steps: Vec<PlannedStep>,
    waiting: Vec<Waiting>,
    findings: Vec<PlanFinding>,
}

/// A step of a plan, in its order.
#[derive(Serialize, JsonSchema)]
pub struct PlannedStep {
    number: usize,
    id: StepId,
    address: Address,
    verb: Verb,
    irreversible: bool,
}

/// A diagnostic.
#[derive(Serialize, JsonSchema)]
pub struct Told {
    /// For example `tokenform::apply::stale`.
    code: String,
    /// `info`, `warning` or `error`.
    severity: String,
    address: Option<Address>,
    message: String,
    /// What to do next.
    help: Option<String>,
}

/// How a run ended.
#[derive(Default, Serialize, JsonSchema)]
pub struct Outcome {
    /// The exit code of the process.
    exit_code: u8,
    /// The exit code as a word: `done`, `error`, `refused`, `stale`, `locked`, `partial`, `interrupted`.
    result: String,
    done: Vec<Ended>,
    failed: Vec<Ended>,
    /// May have happened; only a look at the live system can tell.
    in_doubt: Vec<Ended>,
    not_started: Vec<Ended>,
    /// A later plan does it.
    deferred: Vec<Ended>,
    /// What reading everything again has shown.
    proof: Option<String>,
    /// The one command that continues.
    next: Option<String>,
}

/// A step and what became of it.
#[derive(Serialize, JsonSchema)]
pub struct Ended {
    step: StepId,
    address: Address,
    detail: String,
}

/// The JSON Schema of a line.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Line).to_value();
    schema["title"] = "tokenform event".into();
    schema
}

/// Numbers events, and gathers what the outcome tells.
pub struct Stream {
    clock: Clock,
    seq: u64,
    outcome: Outcome,
}

impl Stream {
    pub fn new(clock: Clock) -> Self {
        Self { clock, seq: 0, outcome: Outcome::default() }
    }

    /// The line of an event, with its line end.
    pub fn line(&mut self, said: Said) -> Vec<u8> {
        self.seq += 1;
        let at = self.clock.now();
        let line = Line { format_version: VERSION.to_owned(), seq: self.seq, at, said };
        let mut bytes = serde_json::to_vec(&line).expect("events are strings, numbers and lists");
        bytes.push(b'\n');
        bytes
    }

    /// What became of steps, for the outcome at the end. A run that settles an earlier one tells of both.
    pub fn add(&mut self, outcome: &outcome::Outcome) {
        let outcome::Outcome { done, failed, in_doubt, not_started, deferred, next, proof } = outcome;
        let Outcome { done: d, failed: f, in_doubt: i, not_started: n, deferred: w, .. } = &mut self.outcome;
        for (own, more) in [(d, done), (f, failed), (i, in_doubt), (n, not_started), (w, deferred)] {
            own.extend(more.iter().map(Ended::from));
        }
        self.end_with(proof.as_deref(), next.as_deref());
    }

    pub fn end_with(&mut self, proof: Option<&str>, next: Option<&str>) {
        let take = |own: &mut Option<String>, new: Option<&str>| {
            *own = new.map(str::to_owned).or_else(|| own.take());
        };
        take(&mut self.outcome.proof, proof);
        take(&mut self.outcome.next, next);
    }

    /// The last line.
    pub fn end(&mut self, exit_code: u8, result: &str) -> Vec<u8> {
        let outcome = std::mem::take(&mut self.outcome);
        self.line(Said::Outcome(Box::new(Outcome { exit_code, result: result.to_owned(), ..outcome })))
    }
}

impl Said {
    pub fn begin() -> Self {
        Self::Begin { tokenform_version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    pub fn finding(finding: &Finding) -> Self {
        Self::Finding { finding: finding.into() }
    }
}

impl From<&Event> for Said {
    fn from(event: &Event) -> Self {
        match event.clone() {
            Event::Reading { what } => Self::Reading { what },
            Event::StepBegan { number, total, address, verb } => {
                Self::StepBegan { number, total, address, verb }
            }
            Event::StepPhase { address, text } => Self::StepPhase { address, text },
            Event::StepDone { number, total, address, verb, detail } => {
                Self::StepDone { number, total, address, verb, detail }
            }
            Event::StepFailed { number, total, address, verb, finding } => {
                Self::StepFailed { number, total, address, verb, finding: (&finding).into() }
            }
            Event::StepDeferred { number, total, address, verb, why } => {
                Self::StepDeferred { number, total, address, verb, why }
            }
            Event::Waiting { address, why, seconds } => Self::Waiting { address, why, seconds },
            Event::Guide { address, lines } => Self::Guide { address, lines },
            Event::Note(text) => Self::Note { text },
        }
    }
}

impl From<&Plan> for Said {
    fn from(plan: &Plan) -> Self {
        let step = |(step, number): (&crate::model::step::Step, usize)| PlannedStep {
            number,
            id: step.id.clone(),
            address: step.address.clone(),
            verb: step.verb,
            irreversible: step.irreversible,
        };
        Self::Plan(Box::new(Planned {
            spec_path: plan.spec_path.display().to_string(),
            created_at: plan.created_at,
            expires_at: plan.expires_at,
            complete: plan.complete,
            summary: plan.summary.clone(),
            steps: plan.steps.iter().zip(1..).map(step).collect(),
            waiting: plan.waiting.clone(),
            findings: plan.findings.clone(),
        }))
    }
}

impl From<&Finding> for Told {
    fn from(finding: &Finding) -> Self {
        let Finding { code, address, message, help, labels: _ } = finding;
        Self {
            code: code.id().to_owned(),
            severity: code.severity().as_str().to_owned(),
            address: address.clone(),
            message: message.clone(),
            help: help.clone().or_else(|| Some(code.cure().to_owned())),
        }
    }
}

impl From<&outcome::Line> for Ended {
    fn from(line: &outcome::Line) -> Self {
        let outcome::Line { step, address, detail } = line.clone();
        Self { step, address, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::code;
    use crate::report::sample;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/events.schema.json");

    #[test]
    fn the_committed_schema_is_the_types_own() {
        let committed = std::fs::read_to_string(PATH).unwrap_or_default();
        let own = format!("{:#}\n", schema());
        assert!(committed == own, "write it anew: tokenform schema events > schemas/events.schema.json");
    }

    /// Every event that there is, on a line of its own that the schema takes.
    #[test]
    fn every_event_is_of_the_schema_and_in_order() {
        let (address, verb) = (sample::team("mon", "SRE"), Verb::Reset);
        let (number, total, text) = (1, 2, || "text\nwith a line end".to_owned());
        let finding = Finding::new(code::STALE, "moved").at(&address);
        let at = || address.clone();
        let events = [
            Event::Reading { what: text() },
            Event::StepBegan { number, total, address: at(), verb },
            Event::StepPhase { address: at(), text: text() },
            Event::StepDone { number, total, address: at(), verb, detail: text() },
            Event::StepFailed { number, total, address: at(), verb, finding: finding.clone() },
            Event::StepDeferred { number, total, address: at(), verb, why: text() },
            Event::Waiting { address: at(), why: text(), seconds: 3 },
            Event::Guide { address: at(), lines: vec![text()] },
            Event::Note(text()),
        ];
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut stream = Stream::new(Clock::simulated(Some(now)));
        let mut bytes = stream.line(Said::begin());
        bytes.extend(stream.line(Said::from(&sample::empty())));
        events.iter().for_each(|event| bytes.extend(stream.line(event.into())));
        bytes.extend(stream.line(Said::finding(&finding)));
        let done = vec![sample::line("SRE", "old key refused")];
        stream.add(&outcome::Outcome { done, next: Some("first".into()), ..outcome::Outcome::default() });
        stream.end_with(Some("read again"), None);
        bytes.extend(stream.end(6, "partial"));
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let lines: Vec<Value> = String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for (line, seq) in lines.iter().zip(1..) {
            let errors: Vec<_> = validator.iter_errors(line).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{line}: {errors:?}");
            assert_eq!(line["seq"], seq);
        }
        let last = lines.last().unwrap();
        assert_eq!((last["type"].as_str(), last["exit_code"].as_u64()), (Some("outcome"), Some(6)));
        assert_eq!((last["next"].as_str(), last["proof"].as_str()), (Some("first"), Some("read again")));
        assert_eq!(last["done"][0]["detail"], "old key refused");
        let mut unknown = last.clone();
        unknown["type"] = "surprise".into();
        assert!(!validator.is_valid(&unknown));
    }
}
