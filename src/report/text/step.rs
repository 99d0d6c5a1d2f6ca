//! The steps, numbered in execution order: what is called, what comes first, what can't be undone.

use std::collections::BTreeMap;

use super::View;
use crate::model::step::{Call, Delivery, Guard, Need, Step, StepId};
use crate::model::verb::Verb;
use crate::report::safe;
use crate::report::style::Tone;

/// The list of all steps; empty where there is none.
pub fn list(view: &View<'_>) -> String {
    if view.plan.steps.is_empty() {
        return String::new();
    }
    let digits = view.plan.steps.len().to_string().len();
    let mut text = format!("{}, in the order in which they run:\n", view.style.paint(Tone::Bold, "Steps"));
    for (step, number) in view.plan.steps.iter().zip(1..) {
        text.push_str(&one(view, step, number, digits));
    }
    text
}

fn one(view: &View<'_>, step: &Step, number: usize, digits: usize) -> String {
    let Step { id: _, address, verb, shape, call, needs, irreversible, destinations, guards, .. } = step;
    let title = view.style.paint(Tone::Bold, format!("{verb} {}", safe::shown(address)));
    let shape = shape.map(|shape| format!("{}, ", shape.as_str())).unwrap_or_default();
    let undo = match (irreversible, verb) {
        (true, _) => view.style.paint(Tone::Bad, "irreversible"),
        (false, Verb::Deliver) => "changes nothing at the vendor".to_owned(),
        (false, _) => "can be undone".to_owned(),
    };
    let indent = " ".repeat(digits + 6);
    let mut text = format!("  {number:digits$}. {title} ({shape}{undo})\n");
    let rows = [Some(self::call(call)), after(view, needs), deliveries(destinations), only_if(guards)];
    for row in rows.into_iter().flatten() {
        text.push_str(&format!("{indent}{row}\n"));
    }
    text
}

/// `POST host path`
fn call(call: &Call) -> String {
    let Call { method, host, path } = call;
    let parts = [method, host, path].into_iter().filter(|part| !part.is_empty());
    parts.map(|part| safe::line(part)).collect::<Vec<_>>().join(" ")
}

/// `after 1, 2 (reset-before-lock), 3 (lock-last)`
fn after(view: &View<'_>, needs: &[Need]) -> Option<String> {
    let mut by_rule: BTreeMap<&str, Vec<&StepId>> = BTreeMap::new();
    for Need { step, rule } in needs {
        by_rule.entry(rule.as_str()).or_default().push(step);
    }
    let mut groups: Vec<_> = by_rule.into_iter().collect();
    groups.sort_by_key(|(_, steps)| steps.iter().filter_map(|id| view.numbers.get(id)).min().copied());
    let groups = groups.into_iter().map(|(rule, steps)| format!("{} ({rule})", view.numbered(steps)));
    let groups = groups.collect::<Vec<_>>().join(", ");
    (!groups.is_empty()).then(|| format!("after {groups}"))
}

/// `to ops-env#KEY, with its id in ops-env#ID`
fn deliveries(destinations: &[Delivery]) -> Option<String> {
    let slots = destinations.iter().map(|delivery| match &delivery.id_key {
        Some(id_key) => {
            safe::shown(format_args!("{} with its id in {}#{id_key}", delivery.slot(), delivery.to))
        }
        None => safe::shown(delivery.slot()),
    });
    let slots = slots.collect::<Vec<_>>().join(", ");
    (!slots.is_empty()).then(|| format!("to {slots}"))
}

fn only_if(guards: &[Guard]) -> Option<String> {
    let conditions: Vec<_> = guards.iter().map(|guard| safe::line(&guard.condition)).collect();
    (!conditions.is_empty()).then(|| format!("only if {}, else later", conditions.join(" and ")))
}
