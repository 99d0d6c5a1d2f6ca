//! The ledger added up per object: the latest of each fact.

use super::ledger::{Ledger, Line};
use crate::model::history::{History, Past};
use crate::model::verb::Verb;

pub(super) fn history(ledger: &Ledger) -> History {
    let mut history = History { head: ledger.head.clone(), ..History::default() };
    for line in &ledger.lines {
        add(&mut history, line);
    }
    history
}

fn add(history: &mut History, line: &Line) {
    let past = history.objects.entry(line.address.clone()).or_default();
    if another(past, line) {
        retire(past, line);
        return;
    }
    match line.verb {
        Verb::Reset | Verb::Issue => renew(past, line),
        Verb::Enable | Verb::Disable => past.enabled = Some(line.verb == Verb::Enable),
        Verb::Delete => *past = Past::default(),
        // the value that was read is the object's present one
        Verb::Deliver => past.fingerprint = line.facts.fingerprint.clone().or(past.fingerprint.take()),
        // the mode itself is read live; since when earlier tokens may work again is not
        Verb::Unlock => past.unlocked_at = Some(line.at),
        Verb::Lock => past.unlocked_at = None,
        Verb::Protect | Verb::Unprotect => {}
    }
    past.delivered.extend(line.delivered.clone());
    if *past == Past::default() {
        history.objects.remove(&line.address);
    }
}

/// Whether a step was on another live object of this address: the token that the present one
/// replaced (PRODUCT section 2, `overlap`). It says nothing about the present one.
fn another(past: &Past, line: &Line) -> bool {
    let retires = matches!(line.verb, Verb::Enable | Verb::Disable | Verb::Delete);
    retires && past.remote_id.is_some() && line.facts.remote_id.is_some_and(|id| past.remote_id != Some(id))
}

fn retire(past: &mut Past, line: &Line) {
    if line.verb == Verb::Delete && past.predecessor == line.facts.remote_id {
        past.predecessor = None;
    }
}

/// A new value: what was delivered of the old one stays with its old fingerprint, so that a slot
/// which did not get the new one shows as behind.
fn renew(past: &mut Past, line: &Line) {
    let facts = &line.facts;
    past.issued_at = Some(facts.issued_at.unwrap_or(line.at));
    past.fingerprint = facts.fingerprint.clone();
    past.remote_id = facts.remote_id.or(past.remote_id);
    past.predecessor = facts.predecessor;
    past.enabled = facts.enabled.or(past.enabled);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;
    use crate::model::history::Facts;
    use crate::model::secret::{DigestKey, Fingerprint, Secret};
    use crate::model::step::StepId;

    fn print(text: &str) -> Fingerprint {
        DigestKey::new(Secret::new(vec![1; 32])).fingerprint(&Secret::new(text.into()))
    }

    fn token() -> Address {
        Address::connection("logicmonitor", "acme").owner("ci").item("api_token", "deploy")
    }

    fn line(verb: Verb, hour: u8, facts: Facts, delivered: &[(&str, &str)]) -> Line {
        Line {
            version: 1,
            apply: "a".into(),
            step: StepId::new(verb, &token(), 1),
            at: format!("2026-11-22T{hour:02}:00:00Z").parse().unwrap(),
            address: token(),
            verb,
            facts,
            delivered: delivered.iter().map(|(slot, value)| ((*slot).to_owned(), print(value))).collect(),
            rationale: None,
            by: None,
            prev: None,
        }
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
        assert_eq!((past.remote_id, past.predecessor, past.enabled), (Some(8), Some(7), Some(true)));
        assert_eq!(past.delivered["a#K"], print("new"));
        assert_eq!(past.delivered["b#K"], print("old"));
    }

    #[test]
    fn retiring_the_predecessor_leaves_the_present_token_as_it_is() {
        let mut lines = vec![line(Verb::Issue, 2, issued("new", 8, Some(7)), &[("a#K", "new")])];
        lines.push(line(Verb::Disable, 3, on(7), &[]));
        let disabled = past(lines.clone()).unwrap();
        assert_eq!((disabled.enabled, disabled.predecessor), (Some(true), Some(7)));
        lines.push(line(Verb::Delete, 4, on(7), &[]));
        let deleted = past(lines).unwrap();
        assert_eq!((deleted.remote_id, deleted.predecessor), (Some(8), None));
        assert_eq!(deleted.delivered["a#K"], print("new"));
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
}
