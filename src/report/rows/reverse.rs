//! The way back from a lock as a row.

use super::View;
use crate::model::reverse::{Lost, Reverse, ReverseStep};
use crate::report::safe;

/// What would undo one lock.
#[derive(Debug)]
pub struct ReverseRow {
    /// `ibm.prod.mon`
    pub instance: String,
    /// How to go back.
    pub how: String,
    /// In execution order: `unlock ibm.prod.mon: takes back step 3`
    pub steps: Vec<String>,
    /// What can't be undone: `steps 1, 2: …`
    pub lost: Vec<String>,
}

pub fn row(view: &View<'_>, reverse: &Reverse) -> ReverseRow {
    let Reverse { instance, steps, lost } = reverse;
    let how = format!(
        "`tokenform unlock {instance} --reason TEXT [--for 4h]`, or for good `external_api_auth: ANY` in the spec"
    );
    ReverseRow {
        instance: safe::shown(instance),
        how: safe::line(&how).into_owned(),
        steps: steps.iter().map(|step| self::step(view, step)).collect(),
        lost: self::lost(view, lost),
    }
}

fn step(view: &View<'_>, step: &ReverseStep) -> String {
    let ReverseStep { verb, address, undoes, rule, call: _ } = step;
    let why = match (undoes, rule) {
        (Some(step), _) => format!("takes back step {}", view.numbered([step])),
        (None, Some(rule)) => format!("must follow ({})", rule.as_str()),
        (None, None) => String::new(),
    };
    safe::shown(format_args!("{verb} {address}: {why}"))
}

/// Those that are lost alike stand in one line.
fn lost(view: &View<'_>, lost: &[Lost]) -> Vec<String> {
    let mut told: Vec<&str> = Vec::new();
    for row in lost {
        if !told.contains(&row.what.as_str()) {
            told.push(&row.what);
        }
    }
    let line = |what: &&str| {
        let steps = lost.iter().filter(|row| row.what == **what).map(|row| &row.step);
        format!("step {}: {}", view.numbered(steps), safe::line(what))
    };
    told.iter().map(line).collect()
}
