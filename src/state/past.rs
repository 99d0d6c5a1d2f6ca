//! The ledger added up per object: the latest of each fact.

use super::ledger::{Entry, Finished, Ledger, Line};
use crate::model::address::Address;
use crate::model::history::{History, Hold, Past};
use crate::model::verb::Verb;
use jiff::Timestamp;

pub(super) fn history(ledger: &Ledger) -> History {
    let mut history = History { head: ledger.head.clone(), ..History::default() };
    for line in &ledger.lines {
        add(&mut history, line);
    }
    history
}

fn add(history: &mut History, line: &Line) {
    match &line.entry {
        Entry::Step(step) => finished(history, line, step),
        Entry::HoldExtended { address, until } => {
            let hold = history.objects.get_mut(address).and_then(|past| past.hold.as_mut());
            if let Some(hold) = hold {
                let reason = line.reason.clone().unwrap_or_default();
                *hold = Hold { until: *until, reason, by: line.by.clone() };
            }
        }
        Entry::HoldEnded { address } => {
            if let Some(past) = history.objects.get_mut(address) {
                past.hold = None;
            }
        }
        Entry::Forgotten { address } => forget(history, address),
        Entry::Abandoned { .. } | Entry::LockBroken { .. } => {}
    }
}

/// All but protections: one is lifted by a reviewed plan, and not in passing.
fn forget(history: &mut History, address: &Address) {
    history.owners.retain(|owner, _| !address.covers(owner));
    history.objects.retain(|object, past| {
        if address.covers(object) {
            *past = Past { protected: past.protected, ..Past::default() };
        }
        past.protected || !address.covers(object)
    });
}

fn finished(history: &mut History, line: &Line, step: &Finished) {
    if matches!(step.verb, Verb::Protect | Verb::Unprotect) {
        protect(history, step);
        return;
    }
    history.looked_at.insert(step.address.of_connection(), line.at);
    let id = step.facts.owner_id.clone();
    history.owners.extend(id.map(|id| (step.address.lane(), id)));
    let past = history.objects.entry(step.address.clone()).or_default();
    if let Some(id) = another(past, step) {
        retire(past, id, line, step);
        return;
    }
    match step.verb {
        Verb::Reset | Verb::Issue => renew(past, line, step),
        Verb::Enable | Verb::Disable => {
            past.enabled = Some(step.verb == Verb::Enable);
            past.disabled_at = (step.verb == Verb::Disable).then_some(line.at);
        }
        // which token replaced which is what a pin is followed by
        Verb::Delete => {
            let (replaced, protected) = (std::mem::take(&mut past.replaced), past.protected);
            *past = Past { replaced, protected, removed: step.facts.predecessor, ..Past::default() };
        }
        Verb::Deliver => delivered(past, line, step),
        // the mode itself is read live; since when earlier tokens may work again is not
        Verb::Unlock => {
            past.setting = setting(line, step);
            past.unlocked_at = Some(line.at);
            past.hold = hold(line, step);
        }
        Verb::Lock => {
            past.setting = setting(line, step);
            past.unlocked_at = None;
            past.hold = None;
        }
        Verb::Protect | Verb::Unprotect => {}
    }
    past.delivered.extend(step.delivered.iter().map(|(slot, r)| (slot.clone(), r.fingerprint.clone())));
    if *past == Past::default() {
        history.objects.remove(&step.address);
    }
}

fn protect(history: &mut History, step: &Finished) {
    let past = history.objects.entry(step.address.clone()).or_default();
    past.protected = step.verb == Verb::Protect;
    if *past == Past::default() {
        history.objects.remove(&step.address);
    }
}

fn setting(line: &Line, step: &Finished) -> Option<(String, Timestamp)> {
    Some((step.facts.setting.clone()?, line.at))
}

fn hold(line: &Line, step: &Finished) -> Option<Hold> {
    let until = step.facts.hold_until?;
    let reason = step.rationale.as_ref().or(line.reason.as_ref()).cloned().unwrap_or_default();
    Some(Hold { until, reason, by: line.by.clone() })
}

/// The id, if a step was on another live object of this address: a token that the present one
/// replaced (PRODUCT section 2, `overlap`). It says nothing about the present one.
fn another(past: &Past, step: &Finished) -> Option<u64> {
    let replaces = step.verb == Verb::Delete && step.facts.predecessor.is_some();
    let retires = matches!(step.verb, Verb::Enable | Verb::Disable | Verb::Delete) && !replaces;
    let id = step.facts.remote_id.filter(|_| retires)?;
    let present = past.remote_id.is_none_or(|present| present == id);
    (step.facts.successor.is_some() || !present).then_some(id)
}

fn retire(past: &mut Past, id: u64, line: &Line, step: &Finished) {
    past.replaced.extend(step.facts.successor.map(|successor| (successor, id)));
    match step.verb {
        Verb::Disable => drop(past.retired.insert(id, step.facts.marked_at.unwrap_or(line.at))),
        _ => drop(past.retired.remove(&id)),
    }
}

/// The value that was read is the object's present one. Another one than before was issued elsewhere
/// since then.
fn delivered(past: &mut Past, line: &Line, step: &Finished) {
    let Some(read) = &step.facts.fingerprint else { return };
    if past.fingerprint.as_ref().is_some_and(|known| known != read) {
        (past.issued_at, past.issued_after) = (None, past.seen_at);
    }
    past.fingerprint = Some(read.clone());
    past.remote_id = step.facts.remote_id.or(past.remote_id);
    past.seen_at = Some(line.at);
}

/// A new value: what was delivered of the old one stays with its old fingerprint, so that a slot
/// which did not get the new one shows as behind.
fn renew(past: &mut Past, line: &Line, step: &Finished) {
    let facts = &step.facts;
    past.issued_at = Some(facts.issued_at.unwrap_or(line.at));
    past.issued_after = None;
    past.disabled_at = None;
    past.seen_at = Some(line.at);
    past.fingerprint = facts.fingerprint.clone();
    past.lacking = facts.lacking.clone();
    past.remote_id = facts.remote_id.or(past.remote_id);
    past.replaced.extend(facts.remote_id.zip(facts.predecessor.or(past.removed)));
    past.removed = None;
    past.enabled = facts.enabled.or(past.enabled);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::{Facts, Receipt};
    use crate::model::secret::{DigestKey, Fingerprint, Secret};
    use crate::model::step::StepId;
    use crate::model::who::Who;

    fn print(text: &str) -> Fingerprint {
        DigestKey::new(Secret::new(vec![1; 32])).fingerprint(&Secret::new(text.into()))
    }

    fn token() -> Address {
        Address::connection("logicmonitor", "acme").owner("ci").item("api_token", "deploy")
    }

    fn line(verb: Verb, hour: u8, facts: Facts, delivered: &[(&str, &str)]) -> Line {
        let receipt = |value: &str| Receipt { fingerprint: print(value), at: None };
        let step = Finished {
            apply: "a".into(),
            plan: None,
            approvals: vec![],
            outside_window: None,
            step: StepId::new(verb, &token(), 1),
            address: token(),
            verb,
            rationale: None,
            facts,
            delivered: delivered.iter().map(|(slot, value)| ((*slot).to_owned(), receipt(value))).collect(),
        };
        let at = format!("2026-11-22T{hour:02}:00:00Z").parse().unwrap();
        Line { at, by: Who::default(), reason: Some("why".into()), entry: Entry::Step(Box::new(step)) }
    }

    fn issued(value: &str, id: u64, predecessor: Option<u64>) -> Facts {
        let fingerprint = Some(print(value));
        Facts { fingerprint, remote_id: Some(id), predecessor, enabled: Some(true), ..Facts::default() }
    }

    fn on(id: u64) -> Facts {
        Facts { remote_id: Some(id), ..Facts::default() }
    }

    fn past(lines: Vec<Line>) -> Option<Past> {
        let ledger = Ledger { lines, ..Ledger::default() };
        history(&ledger).objects.remove(&token())
    }

    #[test]
    fn a_rotation_keeps_the_old_fingerprint_of_a_slot_that_was_not_fed() {
        let past = past(vec![
            line(Verb::Issue, 1, issued("old", 7, None), &[("a#K", "old"), ("b#K", "old")]),
            line(Verb::Issue, 2, issued("new", 8, Some(7)), &[("a#K", "new")]),
        ])
        .unwrap();
        assert_eq!(past.issued_at.unwrap().to_string(), "2026-11-22T02:00:00Z");
        assert_eq!((past.remote_id, past.replaced, past.enabled), (Some(8), [(8, 7)].into(), Some(true)));
        assert_eq!(past.delivered["a#K"], print("new"));
        assert_eq!(past.delivered["b#K"], print("old"));
    }

    #[test]
    fn what_some_destination_lacks_is_remembered_until_the_next_token() {
        let half = Facts { lacking: ["b#K".to_owned()].into(), ..issued("new", 8, Some(7)) };
        let mut lines = vec![line(Verb::Issue, 1, half, &[("a#K", "new")])];
        lines.push(line(Verb::Disable, 2, on(7), &[]));
        assert_eq!(past(lines.clone()).unwrap().lacking, ["b#K".to_owned()].into());
        lines.push(line(Verb::Issue, 3, issued("newer", 9, Some(8)), &[]));
        assert!(past(lines).unwrap().lacking.is_empty());
    }

    #[test]
    fn a_value_that_was_read_and_is_another_one_was_issued_elsewhere_since() {
        let read = |value: &str| Facts { fingerprint: Some(print(value)), ..Facts::default() };
        let mut lines = vec![
            line(Verb::Issue, 1, issued("ours", 7, None), &[]),
            line(Verb::Deliver, 2, read("ours"), &[]),
        ];
        let seen = past(lines.clone()).unwrap();
        assert_eq!(seen.issued_at.unwrap().to_string(), "2026-11-22T01:00:00Z");
        assert_eq!((seen.issued_after, seen.seen_at), (None, Some(lines[1].at)));
        lines.push(line(Verb::Deliver, 3, read("theirs"), &[]));
        let other = past(lines.clone()).unwrap();
        assert_eq!(other.issued_at, None);
        assert_eq!((other.issued_after, other.seen_at), (Some(lines[1].at), Some(lines[2].at)));
        lines.push(line(Verb::Issue, 4, issued("new", 8, None), &[]));
        assert_eq!(past(lines).unwrap().issued_after, None);
    }

    #[test]
    fn retiring_the_predecessor_leaves_the_present_token_as_it_is() {
        let mut lines = vec![line(Verb::Issue, 2, issued("new", 8, Some(7)), &[("a#K", "new")])];
        lines.push(line(Verb::Disable, 3, on(7), &[]));
        let disabled = past(lines.clone()).unwrap();
        assert_eq!((disabled.enabled, &disabled.replaced), (Some(true), &[(8, 7)].into()));
        assert_eq!(disabled.retired[&7].to_string(), "2026-11-22T03:00:00Z");
        let mut back = lines.clone();
        back.push(line(Verb::Enable, 4, on(7), &[]));
        let back = past(back).unwrap();
        assert_eq!((back.enabled, back.retired.len()), (Some(true), 0), "it was brought back");
        lines.push(line(Verb::Delete, 4, on(7), &[]));
        let deleted = past(lines).unwrap();
        assert_eq!((deleted.remote_id, deleted.retired.len()), (Some(8), 0));
        assert_eq!(deleted.delivered["a#K"], print("new"));
    }

    #[test]
    fn a_ledger_that_begins_with_a_retirement_knows_nothing_of_the_present_token_but_its_id() {
        let facts = Facts { successor: Some(8), ..on(7) };
        let past = past(vec![line(Verb::Disable, 3, facts, &[])]).unwrap();
        assert_eq!((past.enabled, past.remote_id), (None, None));
        assert_eq!((past.replaced, past.retired.len()), ([(8, 7)].into(), 1));
    }

    #[test]
    fn links_over_generations_survive_a_replacing_deletion() {
        let past = past(vec![
            line(Verb::Issue, 1, issued("a", 7, Some(5)), &[]),
            line(Verb::Delete, 2, on(7), &[]),
            line(Verb::Issue, 3, issued("b", 8, Some(7)), &[("a#K", "b")]),
        ])
        .unwrap();
        assert_eq!((past.remote_id, past.replaced), (Some(8), [(7, 5), (8, 7)].into()));
    }

    #[test]
    fn what_was_deleted_to_be_replaced_is_owed_a_successor_until_one_is_issued() {
        let gone = |id| Facts { predecessor: Some(id), ..on(id) };
        let mut lines =
            vec![line(Verb::Issue, 1, issued("a", 7, None), &[]), line(Verb::Delete, 2, gone(7), &[])];
        assert_eq!(past(lines.clone()), Some(Past { removed: Some(7), ..Past::default() }));
        // an issue that does not say so is its successor all the same: a pin is followed by it
        lines.push(line(Verb::Issue, 3, issued("b", 8, None), &[]));
        let now = past(lines).unwrap();
        assert_eq!((now.removed, now.remote_id, now.replaced), (None, Some(8), [(8, 7)].into()));
        // also of a token that the ledger did not know
        let other =
            past(vec![line(Verb::Issue, 1, issued("a", 7, None), &[]), line(Verb::Delete, 2, gone(6), &[])]);
        assert_eq!(other.unwrap().removed, Some(6));
    }

    #[test]
    fn status_and_deliveries_are_the_latest_and_delete_forgets() {
        let mut lines = vec![line(Verb::Issue, 1, issued("v", 8, None), &[])];
        lines.push(line(Verb::Disable, 2, on(8), &[]));
        assert_eq!(past(lines.clone()).unwrap().enabled, Some(false));
        lines.push(line(Verb::Enable, 3, Facts::default(), &[]));
        lines.push(line(Verb::Deliver, 4, Facts::default(), &[("a#K", "v")]));
        let now = past(lines.clone()).unwrap();
        assert_eq!((now.enabled, now.fingerprint), (Some(true), Some(print("v"))));
        assert_eq!(now.delivered["a#K"], print("v"));
        lines.push(line(Verb::Delete, 5, on(8), &[]));
        assert_eq!(past(lines), None);
    }

    fn other(hour: u8, entry: Entry) -> Line {
        Line { entry, ..line(Verb::Lock, hour, Facts::default(), &[]) }
    }

    #[test]
    fn what_is_forgotten_counts_no_more_below_the_address_as_well() {
        let known = line(Verb::Issue, 1, issued("v", 8, None), &[]);
        let neighbour = token().of_connection().owner("other");
        assert!(past(vec![known.clone(), other(2, Entry::Forgotten { address: neighbour })]).is_some());
        let forgotten = other(2, Entry::Forgotten { address: token().lane() });
        assert_eq!(past(vec![known.clone(), forgotten.clone()]), None);
        assert!(past(vec![known.clone(), forgotten, known]).is_some());
    }

    #[test]
    fn the_id_of_what_a_step_was_below_is_remembered_until_it_is_forgotten() {
        let facts = Facts { owner_id: Some("32".into()), ..issued("v", 8, None) };
        let lines = vec![line(Verb::Issue, 1, facts, &[]), line(Verb::Enable, 2, on(8), &[])];
        let owners = |lines: &[Line]| history(&Ledger { lines: lines.to_vec(), ..Ledger::default() }).owners;
        assert_eq!(owners(&lines), [(token().lane(), "32".to_owned())].into());
        let forgotten = other(3, Entry::Forgotten { address: token().of_connection() });
        assert!(owners(&[lines, vec![forgotten]].concat()).is_empty());
    }

    #[test]
    fn a_protection_outlasts_all_but_its_own_lifting() {
        let mut lines = vec![line(Verb::Issue, 1, issued("v", 8, None), &[])];
        lines.push(line(Verb::Protect, 2, Facts::default(), &[]));
        lines.push(line(Verb::Enable, 3, on(8), &[]));
        assert!(past(lines.clone()).unwrap().protected);
        lines.push(other(4, Entry::Forgotten { address: token().lane() }));
        let left = past(lines.clone()).unwrap();
        assert_eq!(left, Past { protected: true, ..Past::default() }, "all else is forgotten");
        lines.push(line(Verb::Delete, 5, on(8), &[]));
        assert!(past(lines.clone()).unwrap().protected);
        lines.push(line(Verb::Unprotect, 6, Facts::default(), &[]));
        assert_eq!(past(lines), None);
    }

    #[test]
    fn a_hold_lasts_until_it_is_ended_or_the_instance_is_locked() {
        let until = "2026-11-22T05:00:00Z".parse().unwrap();
        let held = line(Verb::Unlock, 1, Facts { hold_until: Some(until), ..Facts::default() }, &[]);
        let hold = past(vec![held.clone()]).unwrap().hold.unwrap();
        assert_eq!((hold.until, hold.reason.as_str()), (until, "why"));
        let ended = past(vec![held.clone(), other(2, Entry::HoldEnded { address: token() })]).unwrap();
        assert!(ended.hold.is_none() && ended.unlocked_at.is_some());
        assert_eq!(past(vec![held.clone(), line(Verb::Lock, 2, Facts::default(), &[])]), None);
        let longer = "2026-11-22T09:00:00Z".parse().unwrap();
        let extended = other(2, Entry::HoldExtended { address: token(), until: longer });
        assert_eq!(past(vec![held.clone(), extended.clone()]).unwrap().hold.unwrap().until, longer);
        let ended = other(2, Entry::HoldEnded { address: token() });
        assert!(past(vec![held.clone(), ended, extended]).unwrap().hold.is_none(), "nothing to extend");
        // a later unlock without `--for` holds nothing
        assert!(past(vec![held, line(Verb::Unlock, 2, Facts::default(), &[])]).unwrap().hold.is_none());
    }
}
