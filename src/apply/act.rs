//! One step under way: what it stands on, and its records in the journal.

use std::time::Duration;

use jiff::Timestamp;

use super::{End, Ground, Run, Way};
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::secret::Fingerprint;
use crate::model::step::Step;
use crate::model::verb::Verb;
use crate::provider::steps::{Context, Prepared};
use crate::state::StateError;
use crate::state::journal::Record;

/// A step of a run whose objects were read.
#[derive(Clone, Copy)]
pub(super) struct Act<'r> {
    pub run: &'r Run<'r>,
    pub way: &'r Way<'r>,
    pub step: &'r Step,
    pub prepared: &'r Prepared,
}

impl<'r> Act<'r> {
    pub fn new(run: &'r Run<'_>, way: &'r Way<'_>, prepared: &'r Prepared) -> Self {
        Self { run, way, step: way.step, prepared }
    }

    pub fn ground(self) -> &'r Ground<'r> {
        self.run.ground
    }

    pub fn context(self) -> Context<'r> {
        self.run.context(self.way)
    }

    pub fn finding(self, code: crate::model::code::Code, message: impl Into<String>) -> Finding {
        Finding::new(code, message).at(&self.step.address)
    }

    /// Tells what the step does now.
    pub fn tell(self, text: impl Into<String>) {
        self.run.tell(Event::StepPhase { address: self.step.address.clone(), text: text.into() });
    }

    pub async fn sleep(self, time: Duration) {
        self.ground().env.clock.sleep(time).await;
    }

    fn now(self) -> Timestamp {
        self.ground().env.clock.now()
    }

    async fn record(self, record: Record) -> Result<(), StateError> {
        self.run.journal.record(record).await
    }

    /// Writes the intent before the request leaves. A marker's nonce is drawn here, one per attempt.
    pub async fn begin(self, attempt: u32) -> Result<Facts, StateError> {
        let mut facts = self.prepared.facts.clone();
        if self.step.verb == Verb::Issue {
            facts.nonce = Some(self.ground().env.dice.nonce());
        }
        let step = self.step;
        let (reason, rationale) = self.run.why(step);
        let began = Record::Began {
            step: step.id.clone(),
            address: step.address.clone(),
            verb: step.verb,
            at: self.now(),
            attempt,
            facts: facts.clone(),
            reason,
            rationale,
        };
        self.record(began).await?;
        self.run.intent_is_kept(self.way.place);
        Ok(facts)
    }

    pub async fn answered(self, facts: &Facts) -> Result<(), StateError> {
        let (step, at, facts) = (self.step.id.clone(), self.now(), facts.clone());
        self.record(Record::Answered { step, at, facts }).await
    }

    pub async fn delivered(self, slot: String, fingerprint: Fingerprint) -> Result<(), StateError> {
        let (step, at) = (self.step.id.clone(), self.now());
        self.record(Record::Delivered { step, at, slot, fingerprint }).await
    }

    pub async fn done(self, facts: Facts, detail: String) -> Result<End, StateError> {
        let (step, at) = (self.step.id.clone(), self.now());
        self.record(Record::Done { step, at, facts: facts.clone() }).await?;
        Ok(End::Done { facts: Box::new(facts), detail })
    }

    /// Nothing happened, or it was taken back.
    pub async fn refused(self, finding: Finding) -> Result<End, StateError> {
        let (step, at, reason) = (self.step.id.clone(), self.now(), finding.message.clone());
        self.record(Record::Refused { step, at, reason }).await?;
        Ok(End::Failed(finding))
    }

    /// It happened, and a later part did not.
    pub async fn failed(self, facts: Facts, finding: Finding) -> Result<End, StateError> {
        let (step, at, reason) = (self.step.id.clone(), self.now(), finding.message.clone());
        self.record(Record::Failed { step, at, reason, facts }).await?;
        Ok(End::Failed(finding))
    }

    pub async fn in_doubt(self, finding: Finding) -> Result<End, StateError> {
        self.doubt(&finding.message).await?;
        Ok(End::InDoubt(finding))
    }

    /// Says, before a compensating request leaves, that the step is not settled.
    pub async fn doubt(self, reason: &str) -> Result<(), StateError> {
        let (step, at, reason) = (self.step.id.clone(), self.now(), reason.to_owned());
        self.record(Record::InDoubt { step, at, reason }).await
    }
}
