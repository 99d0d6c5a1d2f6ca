//! Work in flight: what an interrupted apply left behind.

use super::safe;
use super::style::{Style, Tone};
use crate::model::step::StepId;

/// The steps of an unfinished apply with the state each is in, as its journal has it, and how to go
/// on. Without steps: that there is nothing in flight.
pub fn in_flight(apply_id: &str, steps: &[(StepId, String)], style: &Style) -> String {
    if steps.is_empty() {
        return "No apply is in flight.\n".to_owned();
    }
    let title = format!("Apply {} was interrupted:", safe::line(apply_id));
    let mut text = format!("{}\n", style.paint(Tone::Warn, title));
    let states = steps.iter().map(|(_, state)| safe::line(state).chars().count()).max().unwrap_or(0);
    for (step, state) in steps {
        text.push_str(&format!("  {:states$}  {}\n", safe::line(state), safe::shown(step)));
    }
    text.push_str(&format!("\n{} tokenform resume\n", style.paint(Tone::Bold, "Next:")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_step_stands_with_its_state() {
        let step = |team, state: &str| (sample::line(team, "").step, state.to_owned());
        let steps = [step("SRE", "done"), step("Ops", "in doubt")];
        assert_eq!(
            in_flight("7f3a", &steps, &Style::PLAIN),
            "Apply 7f3a was interrupted:\n  \
               done      reset ibm.prod.mon-prod.team[\"SRE\"]\n  \
               in doubt  reset ibm.prod.mon-prod.team[\"Ops\"]\n\n\
             Next: tokenform resume\n"
        );
        assert_eq!(in_flight("7f3a", &[], &Style::PLAIN), "No apply is in flight.\n");
    }
}
