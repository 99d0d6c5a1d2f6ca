//! The stages in the order in which a plan goes through them.

use std::hint::black_box;
use std::io::Result;

use tokenform::plan::{Planned, check};
use tokenform::report::rows::Rows;
use tokenform::report::style::Style;
use tokenform::report::{html, markdown, text};
use tokenform::{plan, saved, spec};

use crate::measure::Cost;
use crate::world::{self, World};

/// Renderings say nothing new beyond this size.
const RENDERED: usize = 100_000;

/// Runs all stages for so many tokens, and tells what each cost.
pub fn run(tokens: usize, mut tell: impl FnMut(&str, Cost)) -> Result<()> {
    let file = world::spec_file(tokens)?;
    let (loaded, cost) = Cost::of(|| spec::load(file.path(), world::now()));
    tell("spec: parse and validate", cost);
    let loaded = loaded.unwrap_or_else(|rejected| panic!("{:?}", rejected.findings));
    let mut world = World::of(loaded.desired);
    let (planned, cost) = Cost::of(|| plan::plan(&world.inputs()));
    tell("plan: nothing to do", cost);
    assert!(planned.plan.changes.is_empty() && planned.findings.is_empty(), "{:?}", planned.findings);
    drop(planned);
    world.disable_all();
    let (Planned { plan, findings }, cost) = Cost::of(|| plan::plan(&world.inputs()));
    tell("plan: all changed", cost);
    assert!(plan.changes.len() == tokens && findings.is_empty(), "{findings:?}");
    let (admitted, cost) = Cost::of(|| check::admit(plan));
    tell("check: all changed", cost);
    let plan = admitted.unwrap_or_else(|plan| panic!("{:?}", plan.invariants)).plan().clone();
    if tokens > RENDERED {
        return Ok(());
    }
    let subject = "tokens.yaml";
    let mut render = |name, work: &dyn Fn() -> usize| tell(name, Cost::of(|| black_box(work())).1);
    render("render: text", &|| text::plan(&plan, "", &Style::PLAIN).len());
    render("render: JSON, sealed", &|| saved::seal(&plan, &world.key).len());
    render("render: Markdown", &|| markdown::plan(&Rows::of(&plan, ""), subject).len());
    render("render: HTML", &|| html::plan(&Rows::of(&plan, ""), &Rows::all_ages(&plan), subject).len());
    Ok(())
}
