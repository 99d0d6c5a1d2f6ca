//! The levers of `plan` and `apply`: what a run is asked for besides its spec.

use std::path::Path;

use clap::Args;

use super::exit::Failure;
use crate::model::address::Address;
use crate::model::asked::Asked;
use crate::model::prefix::Prefix;
use crate::provider::registry;
use crate::provider::state::Desired;
use crate::spec::nearest;

/// Flags that say what of a spec is planned.
#[derive(Args)]
pub struct Levers {
    /// Plan only these objects: addresses, or how they begin
    ///
    /// Whole changes are planned, and what the ordering rules tie to them: the plan names what it had
    /// to pull in, and why. Limits and invariants are judged on all that was read. Connections without
    /// a target are not contacted.
    #[arg(long, num_args = 1.., value_name = "ADDR")]
    target: Vec<String>,
}

impl Levers {
    /// The command's PATH.
    pub fn path<'a>(&'a self, given: &'a Path) -> &'a Path {
        self.stray(given).map_or(given, Path::new)
    }

    /// A flag of many words takes one too many in `--target ADDR PATH`: a last word that no address
    /// begins with is the path.
    fn stray(&self, given: &Path) -> Option<&str> {
        match self.target.as_slice() {
            [_, .., last] if given == Path::new(".") && !begins_an_address(last) => Some(last),
            _ => None,
        }
    }

    /// What is asked for, if all of it is there. Nothing was read yet.
    pub fn asked(&self, given: &Path, desired: &Desired) -> Result<Asked, Failure> {
        let stray = self.stray(given);
        let words = self.target.iter().filter(|word| Some(word.as_str()) != stray);
        let declared = registry::declared(desired);
        let target: Result<_, _> = words.map(|word| there("--target", word, &declared)).collect();
        Ok(Asked { target: target? })
    }

    /// A reviewed plan has its own.
    pub fn refuse_beside_a_plan(&self) -> Result<(), Failure> {
        if self.target.is_empty() {
            return Ok(());
        }
        let message = "a plan file says itself what it is about, so --target means nothing beside it";
        Err(Failure::usage(message, "Leave the flag out, or make another plan with it."))
    }
}

fn begins_an_address(word: &str) -> bool {
    let rest = registry::VENDORS.iter().find_map(|vendor| word.strip_prefix(vendor));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A declared object; or something below a declared owner: a team can be visible and not listed.
fn there(flag: &str, word: &str, declared: &[Address]) -> Result<Prefix, Failure> {
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
