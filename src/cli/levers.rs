//! The levers of `plan` and `apply`: what a run is asked for besides its spec.

use std::path::Path;

use clap::Args;

use super::exit::{Exit, Failure};
use crate::model::address::Address;
use crate::model::asked::Asked;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::prefix::{Prefix, any_covers};
use crate::model::source::Sources;
use crate::provider::registry;
use crate::provider::state::Desired;
use crate::spec::nearest;

/// Flags that say what of a spec is planned.
#[derive(Args, Default)]
pub struct Levers {
    /// Plan only these objects: addresses, or how they begin
    ///
    /// Whole changes are planned, and what the ordering rules tie to them: the plan names what it had
    /// to pull in, and why. Limits and invariants are judged on all that was read. Connections without
    /// a target are not contacted.
    #[arg(long, num_args = 1.., value_name = "ADDR")]
    target: Vec<String>,

    /// Rotate these tokens now, due or not: addresses, or how they begin
    ///
    /// It counts under `limits` like any rotation, and the plan records that it was asked for. What
    /// can't be rotated is refused with the reason.
    #[arg(long, num_args = 1.., value_name = "ADDR")]
    rotate: Vec<String>,

    /// Plan what can be read, where something can't: a connection that is down, an instance
    ///
    /// The plan names what could not be read and plans no step there. An instance is not locked without
    /// its full list of teams, and no token is disabled or deleted without its owner's full lists.
    #[arg(long)]
    partial: bool,

    /// Let the plan be applied outside of the spec's change windows, and in a freeze
    ///
    /// The reason stands at the top of the plan, under its seal, and in the ledger. It is never given at
    /// `apply PLANFILE`: who reviews the plan sees it.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    outside_window: Option<String>,
}

impl Levers {
    /// The command's PATH.
    pub fn path<'a>(&'a self, given: &'a Path) -> &'a Path {
        self.stray(given).map_or(given, Path::new)
    }

    /// A flag of many words takes one too many in `--target ADDR PATH`: a last word that no address
    /// begins with is the path.
    fn stray(&self, given: &Path) -> Option<&str> {
        let takes_many = |words: &&Vec<String>| words.len() > 1;
        let mut last = [&self.target, &self.rotate].into_iter().filter(takes_many).filter_map(|w| w.last());
        last.find(|word| given == Path::new(".") && !begins_an_address(word)).map(String::as_str)
    }

    /// What is asked for, if all of it is there and can be done. Nothing was read yet.
    pub fn asked(&self, given: &Path, desired: &Desired) -> Result<Asked, Failure> {
        let stray = self.stray(given);
        let declared = registry::declared(desired);
        let prefixes = |flag, words: &[String]| -> Result<Vec<Prefix>, Failure> {
            let words = words.iter().filter(|word| Some(word.as_str()) != stray);
            words.map(|word| there(flag, word, &declared)).collect()
        };
        let asked = Asked {
            target: prefixes("--target", &self.target)?,
            rotate: prefixes("--rotate", &self.rotate)?,
            partial: self.partial,
            outside_window: self.outside_window.clone(),
            ..Asked::default()
        };
        can_be_rotated(&asked, desired)?;
        Ok(asked)
    }

    /// A reviewed plan has its own.
    pub fn refuse_beside_a_plan(&self) -> Result<(), Failure> {
        let given = [
            ("--target", !self.target.is_empty()),
            ("--rotate", !self.rotate.is_empty()),
            ("--partial", self.partial),
            ("--outside-window", self.outside_window.is_some()),
        ];
        let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
        let message = format!("a plan file says itself what it is about, so {flag} means nothing beside it");
        Err(Failure::usage(message, "Leave the flag out, or make another plan with it."))
    }
}

/// The longest reason.
const WORDS: usize = 500;

/// What a person gives as the why of something that is recorded.
pub(super) fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why: who reads the history later was not there".into()),
        text if text.chars().count() > WORDS => Err(format!("at most {WORDS} characters")),
        text => Ok(text.to_owned()),
    }
}

/// Every token that `--rotate` means can be rotated, as far as the spec tells.
fn can_be_rotated(asked: &Asked, desired: &Desired) -> Result<(), Failure> {
    let tokens = registry::rotatable(desired);
    let is_token = |prefix: &&Prefix| tokens.iter().any(|(token, _)| prefix.covers(token));
    let mut findings: Vec<Finding> = Vec::new();
    for nothing in asked.rotate.iter().filter(|prefix| !is_token(prefix)) {
        let message = format!("--rotate: the spec declares no token at `{nothing}`");
        findings.push(Finding::new(code::PLAN_CANT_ROTATE, message));
    }
    for (token, wrong) in tokens.iter().filter(|(token, _)| asked.rotates(token)) {
        let outside = !asked.target.is_empty() && !any_covers(&asked.target, token);
        let wrong = wrong.or(outside.then_some("it lies outside of every `--target`"));
        findings.extend(wrong.map(|why| Finding::new(code::PLAN_CANT_ROTATE, why).at(token)));
    }
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Failure { exit: Exit::Refused, findings, sources: Sources::default() }),
    }
}

fn begins_an_address(word: &str) -> bool {
    let rest = registry::VENDORS.iter().find_map(|vendor| word.strip_prefix(vendor));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A declared object; or something below a declared owner: a team can be visible and not listed.
pub(super) fn there(flag: &str, word: &str, declared: &[Address]) -> Result<Prefix, Failure> {
    let help = "Quotes belong to an address, so quote it whole for the shell: 'ibm.prod.mon.team[\"SRE\"]'.";
    let prefix: Prefix = word.parse().map_err(|error| Failure::usage(format!("{flag}: {error}"), help))?;
    let owner = |address: &Address| address.owner_name().is_some() && address.item_parts().is_none();
    if declared.iter().any(|a| prefix.covers(a) || owner(a) && prefix.touches(a)) {
        return Ok(prefix);
    }
    let names: Vec<String> = declared.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = nearest::suggestion(word, &names);
    let help =
        near.unwrap_or_else(|| "The plan of the whole spec shows the addresses of its objects.".into());
    Err(Failure::usage(format!("{flag}: the spec declares no `{prefix}`"), help))
}
