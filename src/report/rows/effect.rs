//! What a plan does to people and programs, by sort.

use super::exposure::LeftRow;
use crate::model::effect::{Certainty, EffectSort, SideEffect};
use crate::plan::document::Plan;
use crate::report::safe;
use crate::report::style::Tone;

/// How many are named of one sort, and how many objects of one effect.
const NAMED: usize = 20;
const OBJECTS: usize = 3;

pub fn effects(plan: &Plan) -> Vec<LeftRow> {
    use EffectSort::{Breaks, LastUse, Mail, Works};
    let of = |sort| plan.side_effects.iter().filter(move |effect| effect.sort == sort).collect::<Vec<_>>();
    let rows = [Breaks, Works, LastUse, Mail].map(|sort| (sort, of(sort)));
    let rows = rows.into_iter().filter(|(_, effects)| !effects.is_empty());
    rows.map(|(sort, effects)| of_sort(sort, &effects)).collect()
}

fn of_sort(sort: EffectSort, effects: &[&SideEffect]) -> LeftRow {
    let mut lines: Vec<String> = effects.iter().take(NAMED).map(|effect| line(effect)).collect();
    if effects.len() > NAMED {
        lines.push(format!("and {} more; --format json has all", effects.len() - NAMED));
    }
    let tone = if sort == EffectSort::Breaks { Tone::Warn } else { Tone::Dim };
    LeftRow { title: sort.as_str().to_owned(), tone, lines }
}

fn line(effect: &SideEffect) -> String {
    let SideEffect { sort, who, says, certainty, at, last_used_on: _, last_auth_ip: _ } = effect;
    let sure = match certainty {
        Certainty::Documented => "",
        Certainty::Inferred => " (follows from what is documented)",
        Certainty::Assumed => " (undocumented: assumed)",
    };
    let (who, says) = (safe::line(who), safe::line(says));
    if *sort == EffectSort::LastUse {
        return format!("{who}: {says}");
    }
    let mut names: Vec<String> = at.iter().take(OBJECTS).map(safe::shown).collect();
    if at.len() > OBJECTS {
        names.push(format!("and {} more", at.len() - OBJECTS));
    }
    format!("{who}: {says}{sure}: {}", names.join(", "))
}
