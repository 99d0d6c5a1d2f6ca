//! The way back from each lock of a plan: the unlock, the resets that must follow it, and what stays
//! lost. It is read by people and by `unlock`'s users; nothing runs it as it stands.

use super::document::Plan;
use crate::model::evidence::VisibleTeam;
use crate::model::reverse::{Lost, Reverse, ReverseStep};
use crate::model::step::{Rule, Step, StepId};
use crate::model::verb::Verb;

/// One for each lock, in the order of the steps.
pub(super) fn of(plan: &Plan) -> Vec<Reverse> {
    let locks = plan.steps.iter().filter(|step| step.verb == Verb::Lock);
    locks.map(|lock| back(plan, lock)).collect()
}

fn back(plan: &Plan, lock: &Step) -> Reverse {
    let visible = plan.evidence.visible_teams.iter().find(|row| row.instance == lock.address);
    let teams = visible.map(|row| row.teams.as_slice()).unwrap_or_default();
    let unlock = ReverseStep {
        verb: Verb::Unlock,
        address: lock.address.clone(),
        undoes: Some(lock.id.clone()),
        rule: None,
        call: Some(lock.call.clone()),
    };
    let resets = teams.iter().map(|team| reset(plan, team));
    Reverse {
        instance: lock.address.clone(),
        steps: std::iter::once(unlock).chain(resets).collect(),
        lost: lost(plan, lock),
    }
}

/// An unlock resets every visible team, also one that the lock left out.
fn reset(plan: &Plan, team: &VisibleTeam) -> ReverseStep {
    let id = StepId::new(Verb::Reset, &team.address, 1);
    let made = plan.steps.iter().find(|step| step.id == id);
    ReverseStep {
        verb: Verb::Reset,
        address: team.address.clone(),
        undoes: None,
        rule: Some(Rule::UnlockBeforeReset),
        call: made.map(|step| step.call.clone()),
    }
}

/// The old values that the resets before the lock end, those of an interrupted apply included.
fn lost(plan: &Plan, lock: &Step) -> Vec<Lost> {
    let made = plan.steps.iter().filter(|step| step.irreversible && step.address.lane() == lock.address);
    let made = made.map(|step| (&step.id, &step.address));
    let rows = plan.amends.iter().flat_map(|amends| &amends.covered);
    let rows = rows.filter(|row| row.address.lane() == lock.address).map(|row| (&row.step, &row.address));
    made.chain(rows)
        .map(|(step, address)| Lost {
            step: step.clone(),
            address: address.clone(),
            what: "the old value of this token is dead: who used it needs a new one after the unlock".into(),
        })
        .collect()
}
