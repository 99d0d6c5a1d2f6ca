//! A plan as rows of safe words: what every renderer shows, so that no two of them can disagree.
//!
//! All wording is here. A renderer (text, Markdown, HTML, graph) adds its own escapes and its look.

mod age;
mod change;
mod effect;
mod exposure;
mod opening;
mod reverse;
mod step;
mod tail;
mod unlisted;

use std::collections::BTreeMap;

use crate::model::change::Action;
use crate::model::step::StepId;
use crate::plan::document::{Plan, numbers};
use crate::report::safe;
use crate::report::style::Tone;

pub use age::AgeRow;
pub use change::{ChangeRow, FieldRow};
pub use exposure::LeftRow;
pub use reverse::ReverseRow;
pub use step::{NeedRow, StepRow};
pub use tail::{CountRow, FindingRow, InvariantRow, WaitingRow};

/// A plan, ready to be shown. No text in it can steer a terminal; each is one line unless it says so.
///
/// Changes and steps can be a hundred thousand: each becomes a row when it is asked for.
pub struct Rows<'a> {
    view: View<'a>,
    /// What a reviewer must know before the first change.
    pub opening: Vec<Notice>,
    /// The actions that occur, in the order of the summary.
    pub actions: Vec<Action>,
    pub findings: Vec<FindingRow>,
    /// The way back from each lock.
    pub reverse: Vec<ReverseRow>,
    pub waiting: Vec<WaitingRow>,
    /// Tokens whose rotation is late or soon due, or whose age is unknown, and that stay as they are.
    pub ages: Vec<AgeRow>,
    /// How many others have a rotation that is due later.
    pub due_later: usize,
    /// What an incident may have exposed and stays as it is, by cause.
    pub left: Vec<LeftRow>,
    /// What it does to people and programs, by sort.
    pub effects: Vec<LeftRow>,
    /// Tokens that the spec does not declare, by what becomes of them.
    pub unlisted: Vec<LeftRow>,
    pub invariants: Vec<InvariantRow>,
    /// The counts of the summary, without zeros after the first six.
    pub counts: Vec<CountRow>,
    pub irreversible: u32,
    /// What a plan without changes claims: no more than was looked at.
    pub no_changes: Option<&'static str>,
    /// What is known of the seal, and how long the plan can be applied; `None` for a fresh plan.
    pub seal: Option<String>,
}

/// Something about the plan as a whole.
#[derive(Debug)]
pub struct Notice {
    pub title: Option<&'static str>,
    pub tone: Tone,
    /// The first stands behind the title.
    pub lines: Vec<String>,
}

impl<'a> Rows<'a> {
    /// The rows of a plan. `seal` is what is known of its file's seal; empty for a fresh plan.
    pub fn of(plan: &'a Plan, seal: &str) -> Self {
        let view = View { plan, numbers: numbers(plan), last_uses: step::last_uses(plan) };
        let (ages, due_later) = age::near(plan);
        Self {
            opening: opening::notices(&view),
            actions: tail::actions(plan),
            findings: tail::findings(&view),
            reverse: plan.reverse.iter().map(|way| reverse::row(&view, way)).collect(),
            waiting: plan.waiting.iter().map(tail::waiting).collect(),
            ages,
            due_later,
            left: exposure::left(plan),
            effects: effect::effects(plan),
            unlisted: unlisted::unlisted(plan),
            invariants: plan.invariants.iter().map(tail::invariant).collect(),
            counts: tail::counts(plan),
            irreversible: plan.summary.irreversible,
            no_changes: tail::no_changes(plan),
            seal: tail::seal(plan, seal),
            view,
        }
    }

    pub fn changes(&self) -> impl ExactSizeIterator<Item = ChangeRow> {
        self.view.plan.changes.iter().map(|change| change::row(&self.view, change))
    }

    /// One of them.
    pub fn change(&self, place: usize) -> Option<ChangeRow> {
        self.view.plan.changes.get(place).map(|change| change::row(&self.view, change))
    }

    /// In execution order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepRow> {
        let steps = self.view.plan.steps.iter().enumerate();
        steps.map(|(place, step)| step::row(&self.view, step, place + 1))
    }

    /// The ages of all tokens that have a rotation, for those who ask for more.
    pub fn all_ages(plan: &Plan) -> Vec<AgeRow> {
        age::all(plan)
    }

    /// `1 to create, 0 to rotate, … 2 to invalidate. 5 irreversible.`
    pub fn summary(&self) -> String {
        let counts = self.counts.iter().map(|row| format!("{} to {}", row.count, row.action.as_str()));
        format!("{}. {} irreversible.", counts.collect::<Vec<_>>().join(", "), self.irreversible)
    }

    /// Whether every invariant was checked and holds.
    pub fn proved(&self) -> bool {
        !self.invariants.is_empty() && self.invariants.iter().all(|row| row.holds)
    }
}

/// What every row is made from.
struct View<'a> {
    plan: &'a Plan,
    numbers: BTreeMap<&'a StepId, usize>,
    /// When the objects of steps were last used, where the vendor tells.
    last_uses: BTreeMap<&'a StepId, &'a str>,
}

impl View<'_> {
    /// The numbers of some steps as people read them: `1, 2`; one that the plan lacks by its id.
    fn numbered<'s>(&self, ids: impl IntoIterator<Item = &'s StepId>) -> String {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for id in ids {
            match self.numbers.get(id) {
                Some(number) => known.push(*number),
                None => unknown.push(format!("`{}` ({})", safe::shown(id), self.whence(id))),
            }
        }
        known.sort_unstable();
        let known = known.iter().map(ToString::to_string);
        known.chain(unknown).collect::<Vec<_>>().join(", ")
    }

    /// Why a step that others need is not in the plan.
    fn whence(&self, id: &StepId) -> &'static str {
        let covered = self.plan.amends.iter().flat_map(|amends| &amends.covered);
        match covered.into_iter().any(|row| row.step == *id) {
            true => "done by the apply that this plan amends",
            false => "not in this plan",
        }
    }
}
