//! One step as a row: what is called, what comes first, where its value goes, whether it can be undone.

use std::collections::BTreeMap;

use super::View;
use crate::model::address::Address;
use crate::model::effect::EffectSort;
use crate::model::step::{Call, Delivery, Guard, Need, Step, StepId};
use crate::model::verb::Verb;
use crate::plan::document::Plan;
use crate::report::safe;

/// One remote mutation.
#[derive(Debug)]
pub struct StepRow {
    /// Its place in execution order, from 1.
    pub number: usize,
    pub verb: Verb,
    pub address: String,
    /// The owner whose steps run one after the other.
    pub lane: String,
    pub connection: Address,
    /// `single-slot`
    pub shape: Option<&'static str>,
    pub irreversible: bool,
    /// `irreversible`, `can be undone`, …
    pub undo: &'static str,
    /// `POST host path`
    pub call: String,
    /// `1, 2 (reset-before-lock), 3 (lock-last)`
    pub after: Option<String>,
    /// The same, one by one; steps that the plan lacks are left out.
    pub needs: Vec<NeedRow>,
    /// `ops-env#KEY with its id in ops-env#ID`
    pub to: Option<String>,
    /// `old_idle >= 24h`
    pub only_if: Option<String>,
    /// When its object was last used, where the vendor tells.
    pub last_use: Option<String>,
}

/// One edge of the graph.
#[derive(Debug)]
pub struct NeedRow {
    pub number: usize,
    pub rule: &'static str,
}

pub fn row(view: &View<'_>, step: &Step, number: usize) -> StepRow {
    let Step { id, address, verb, shape, call, needs, irreversible, destinations, guards, .. } = step;
    StepRow {
        number,
        verb: *verb,
        address: safe::shown(address),
        lane: safe::shown(address.lane()),
        connection: address.of_connection(),
        shape: shape.map(|shape| shape.as_str()),
        irreversible: *irreversible,
        undo: undo(*verb, *irreversible),
        call: self::call(call),
        after: after(view, needs),
        needs: needs.iter().filter_map(|need| edge(view, need)).collect(),
        to: deliveries(destinations),
        only_if: only_if(guards),
        last_use: view.last_uses.get(id).map(|at| safe::line(at).into_owned()),
    }
}

fn undo(verb: Verb, irreversible: bool) -> &'static str {
    match (irreversible, verb) {
        (true, _) => "irreversible",
        (false, Verb::Deliver | Verb::Protect | Verb::Unprotect) => "changes nothing at the vendor",
        (false, _) => "can be undone",
    }
}

fn call(call: &Call) -> String {
    let Call { method, host, path } = call;
    let parts = [method, host, path].into_iter().filter(|part| !part.is_empty());
    parts.map(|part| safe::line(part)).collect::<Vec<_>>().join(" ")
}

fn after(view: &View<'_>, needs: &[Need]) -> Option<String> {
    let mut by_rule: BTreeMap<&str, Vec<&StepId>> = BTreeMap::new();
    for Need { step, rule } in needs {
        by_rule.entry(rule.as_str()).or_default().push(step);
    }
    let mut groups: Vec<_> = by_rule.into_iter().collect();
    groups.sort_by_key(|(_, steps)| steps.iter().filter_map(|id| view.numbers.get(id)).min().copied());
    let groups = groups.into_iter().map(|(rule, steps)| format!("{} ({rule})", view.numbered(steps)));
    let groups = groups.collect::<Vec<_>>().join(", ");
    (!groups.is_empty()).then_some(groups)
}

/// When the token that a step replaces or takes away was last used: the plan's side effects tell it.
pub fn last_uses(plan: &Plan) -> BTreeMap<&StepId, &str> {
    let told = plan.side_effects.iter().filter(|effect| effect.sort == EffectSort::LastUse);
    let told =
        told.filter_map(|effect| Some((effect, effect.says.strip_prefix("id ")?.split_once(" was ")?)));
    let told: BTreeMap<(&Address, &str), &str> = told
        .flat_map(|(effect, (id, when))| effect.at.iter().map(move |at| ((at, id), when)))
        .map(|(key, when)| (key, when.strip_prefix("last used ").unwrap_or(when)))
        .collect();
    let of = |step: &Step| {
        let id = step.params.get("token_id").or_else(|| step.params.get("predecessor"))?;
        told.get(&(&step.address, id.as_str())).copied()
    };
    plan.steps.iter().filter_map(|step| Some((&step.id, of(step)?))).collect()
}

fn edge(view: &View<'_>, need: &Need) -> Option<NeedRow> {
    let number = *view.numbers.get(&need.step)?;
    Some(NeedRow { number, rule: need.rule.as_str() })
}

fn deliveries(destinations: &[Delivery]) -> Option<String> {
    let slots = destinations.iter().map(|delivery| match &delivery.id_key {
        Some(id_key) => {
            safe::shown(format_args!("{} with its id in {}#{id_key}", delivery.slot(), delivery.to))
        }
        None => safe::shown(delivery.slot()),
    });
    let slots = slots.collect::<Vec<_>>().join(", ");
    (!slots.is_empty()).then_some(slots)
}

fn only_if(guards: &[Guard]) -> Option<String> {
    let conditions: Vec<_> = guards.iter().map(safe::shown).collect();
    (!conditions.is_empty()).then(|| conditions.join(" and "))
}
