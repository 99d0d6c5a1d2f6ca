//! The independent checker's word on a plan: each invariant with its proof.

use super::safe;
use super::style::{Style, Tone};
use crate::plan::document::{Invariant, Plan};

/// Every invariant with `OK` or `FAIL` and what proves or breaks it, then the verdict.
pub fn admitted(plan: &Plan, style: &Style) -> String {
    let rows: String = plan.invariants.iter().map(|invariant| row(invariant, style)).collect();
    let title = style.paint(Tone::Bold, "Invariants:");
    format!("{title}\n{rows}{}\n", verdict(&plan.invariants, style))
}

fn row(invariant: &Invariant, style: &Style) -> String {
    let Invariant { id, holds, proof } = invariant;
    let mark = match holds {
        true => style.paint(Tone::Good, "OK  "),
        false => style.paint(Tone::Bad, "FAIL"),
    };
    let proof = safe::lines(proof).replace('\n', "\n          ");
    format!("  {mark}  {} {}\n          {proof}\n", safe::line(id), meaning(id))
}

fn verdict(invariants: &[Invariant], style: &Style) -> String {
    let broken: Vec<_> = invariants.iter().filter(|i| !i.holds).map(|i| safe::line(&i.id)).collect();
    match (invariants.len(), broken.as_slice()) {
        (0, _) => style.paint(Tone::Bad, "No invariant was checked."),
        (n, []) => style.paint(Tone::Good, format!("All {n} hold.")),
        (_, [one]) => style.paint(Tone::Bad, format!("{one} does not hold: the plan is refused.")),
        (_, many) => style.paint(Tone::Bad, format!("{} do not hold: the plan is refused.", many.join(", "))),
    }
}

/// An invariant in a few words (PRODUCT section 3).
pub(super) fn meaning(id: &str) -> &'static str {
    match id {
        "I1" => "order and coverage",
        "I2" => "no step needs what a lock before it forbids",
        "I3" => "no credential in use is disabled or deleted",
        "I4" => "no token name loses its last enabled token",
        "I5" => "every new secret has a destination",
        "I6" => "no step leaves the declared scope",
        "I7" => "limits and protections hold",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_invariant_stands_with_its_proof() {
        snapbox::assert_data_eq!(
            admitted(&sample::everything(), &Style::PLAIN),
            snapbox::IntoData::raw(snapbox::str![[r#"
Invariants:
  OK    I1 order and coverage
          proof of I1
  OK    I2 no step needs what a lock before it forbids
          proof of I2
  OK    I3 no credential in use is disabled or deleted
          proof of I3
  OK    I4 no token name loses its last enabled token
          proof of I4
  OK    I5 every new secret has a destination
          proof of I5
  OK    I6 no step leaves the declared scope
          proof of I6
  OK    I7 limits and protections hold
          proof of I7
All 7 hold.

"#]])
        );
    }

    #[test]
    fn a_broken_one_fails_and_refuses_the_plan() {
        let mut plan = sample::everything();
        plan.invariants[1].holds = false;
        plan.invariants[1].proof = "step 4 reads a token\nafter the lock\x1b[1A".to_owned();
        let text = admitted(&plan, &Style::PLAIN);
        assert!(text.contains("FAIL  I2 "), "{text}");
        assert!(text.contains("after the lock\\u{1b}[1A"), "{text}");
        assert!(text.ends_with("I2 does not hold: the plan is refused.\n"), "{text}");
        plan.invariants.clear();
        assert!(admitted(&plan, &Style::PLAIN).contains("No invariant was checked."));
    }
}
