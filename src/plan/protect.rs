//! Protections outlast the words of the spec: the ledger remembers them, and only a plan that does nothing
//! else lifts them.

use std::collections::BTreeSet;

use super::Inputs;
use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::history::History;
use crate::model::prefix::any_covers;
use crate::model::step::{Call, Recovery, Step, StepId};
use crate::model::verb::Verb;
use crate::provider::draft::{Draft, change, field};
use crate::provider::registry;
use crate::provider::state::Desired;

/// The spec as it is planned: what the ledger remembers as protected is, whatever the spec says now.
pub(super) fn lens(desired: &Desired, history: &History) -> Option<Desired> {
    let remembered = remembered(history);
    if remembered.is_empty() {
        return None;
    }
    let mut desired = desired.clone();
    registry::protect(&mut desired, &remembered);
    Some(desired)
}

/// Everything that is protected: by the spec, and by the ledger, declared or not.
pub(super) fn all(inputs: &Inputs<'_>) -> Vec<Address> {
    let mut all = remembered(inputs.history);
    all.extend(registry::protected(inputs.desired));
    all.into_iter().collect()
}

fn remembered(history: &History) -> BTreeSet<Address> {
    history.objects.iter().filter(|(_, past)| past.protected).map(|(at, _)| at.clone()).collect()
}

/// Adds what is to be remembered, and what is to be lifted. A plan that lifts something holds nothing else:
/// what else there is waits for the next one.
pub(super) fn add(inputs: &Inputs<'_>, drafts: &mut Vec<Draft>) {
    let Inputs { desired, history, asked, .. } = inputs;
    if asked.incident.is_some() || asked.unlock.is_some() {
        return;
    }
    let meant = |at: &&Address| asked.target.is_empty() || any_covers(&asked.target, at);
    let remembered = remembered(history);
    let lifted: Vec<&Address> = desired.unprotect.intersection(&remembered).filter(meant).collect();
    if !lifted.is_empty() {
        drafts.iter_mut().for_each(hold_back);
    }
    let mut draft = Draft::default();
    let wanted: BTreeSet<Address> = registry::protected(desired).into_iter().collect();
    for address in wanted.difference(&remembered) {
        let mut change = change(address, kind(address), Action::Protect, "the spec protects it");
        change.fields.push(field("protect", Some("false"), Some("true")));
        change.notes.push("remembered in the ledger: removing it from the spec does not lift it".into());
        draft.push(change, vec![step(Verb::Protect, address)]);
    }
    for address in lifted {
        let mut change = change(address, kind(address), Action::Unprotect, "the spec says `protect: false`");
        change.fields.push(field("protect", Some("true"), Some("false")));
        draft.push(change, vec![step(Verb::Unprotect, address)]);
    }
    drafts.push(draft);
}

/// Takes the changes out of a draft; they wait.
fn hold_back(draft: &mut Draft) {
    let held = Draft {
        findings: std::mem::take(&mut draft.findings),
        waiting: std::mem::take(&mut draft.waiting),
        ages: std::mem::take(&mut draft.ages),
        not_read: draft.not_read,
        ..Draft::default()
    };
    let changes = std::mem::replace(draft, held).changes;
    for change in changes.into_iter().map(|drafted| drafted.change) {
        let what = format!(
            "to {} it ({}) waits for the next plan: one that lifts a protection holds nothing else",
            change.action.as_str(),
            change.reason
        );
        draft.wait(&change.address, what, None);
    }
}

fn kind(address: &Address) -> &str {
    match address.item_parts() {
        Some(("team", _)) => "team_token",
        Some((kind, _)) => kind,
        None => "owner",
    }
}

/// A step without a request: the ledger's line is all that there is of it.
fn step(verb: Verb, address: &Address) -> Step {
    Step {
        id: StepId::new(verb, address, 1),
        address: address.clone(),
        verb,
        shape: None,
        call: Call { method: "RECORD".into(), host: "in the ledger".into(), path: String::new() },
        needs: Vec::new(),
        irreversible: false,
        destinations: Vec::new(),
        params: Default::default(),
        expects: Vec::new(),
        guards: Vec::new(),
        recovery: Recovery::Repeat,
    }
}
