//! A saved plan: believed only if it is sealed by this state, for this target, from this spec, and
//! live state is as it was.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Apply, Approved, Job};
use crate::apply::may_begin;
use crate::cli::Global;
use crate::cli::exit::{Exit, Failure};
use crate::cli::plan::admitted;
use crate::cli::session::{Session, read_file, state_folder};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::approval::Approval;
use crate::model::asked::Asked;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::observed::Observed;
use crate::model::source::Sources;
use crate::model::step::Expect;
use crate::model::vocabulary::Target;
use crate::plan::document::{LiveFields, Plan, Source};
use crate::provider::fields::{Bound, THERE};
use crate::provider::registry;
use crate::provider::state::Snapshot;
use crate::saved;
use crate::state::{StateDir, who};

/// A plan whose seal was verified.
pub struct Reviewed {
    plan: Plan,
    pub sealed: Vec<u8>,
    /// Where the spec is that it was made from.
    pub spec: PathBuf,
}

impl Reviewed {
    /// The signatures over the file that count, if they are enough. Nothing was read yet.
    pub fn approvals(
        &self,
        command: &Apply,
        file: &Path,
        session: &Session,
    ) -> Result<Vec<Approval>, Failure> {
        let wish = &session.desired.approvals;
        let applier = who(&session.env);
        command.approvals.of(wish, &self.plan, (file, &self.sealed), &applier, session.env.clock.now())
    }

    /// The levers that the plan was made with.
    pub fn asked(&self) -> &Asked {
        &self.plan.asked
    }
}

/// The file's bytes, if it is a plan file.
pub fn plan_file(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    if path.is_dir() {
        return Ok(None);
    }
    let bytes = read_file(path)?;
    Ok(saved::is_plan(&bytes).then_some(bytes))
}

/// Verifies a plan file. What it says before that is only where to look: no folder and no key is
/// made for a plan that nobody has sealed.
pub fn open(sealed: Vec<u8>, spec: Option<&Path>, global: &Global, env: &Env) -> Result<Reviewed, Failure> {
    let claimed = saved::parse(&sealed)?.plan;
    right_target(claimed.target, global)?;
    from_live_state(claimed.source)?;
    let spec = spec.map_or_else(|| claimed.spec_path.clone(), Path::to_path_buf);
    if !spec.exists() {
        let message = format!("the plan's spec {} is not there", spec.display());
        let help = "Run it where the plan was made, or name the spec with --spec PATH.";
        return Err(Failure::usage(message, help));
    }
    let folder = state_folder(global, &spec);
    let key = StateDir::existing_key(&folder, env)?.ok_or_else(|| no_key(&claimed.key_id, &folder))?;
    let plan = saved::verify(&sealed, &key)?.plan;
    Ok(Reviewed { plan, sealed, spec })
}

fn right_target(made: Target, global: &Global) -> Result<(), Failure> {
    let here = global.target();
    if made == here {
        return Ok(());
    }
    let word = |target| if target == Target::Live { "the vendors" } else { "the sandbox" };
    let message = format!("the plan was made against {}, but this run is against {}", word(made), word(here));
    Err(Failure::new(Exit::Refused, Finding::new(code::WRONG_TARGET, message)))
}

fn from_live_state(source: Source) -> Result<(), Failure> {
    match source {
        Source::Live => Ok(()),
        Source::Snapshot => {
            let message = "the plan was made from a snapshot, which tells of the past; nothing was sent";
            Err(Failure::new(Exit::Refused, Finding::new(code::FROM_SNAPSHOT, message)))
        }
    }
}

fn no_key(sealed_with: &str, folder: &Path) -> Failure {
    let message =
        format!("the plan file was sealed with key {sealed_with}, and {} has no key", folder.display());
    Failure::new(Exit::Refused, Finding::new(code::SEAL_OTHER_KEY, message))
}

/// What was reviewed is what runs: the plan is shown, and approved by its seal, if nothing moved.
pub fn approved(reviewed: Reviewed, session: &Session, job: &Job<'_>) -> Result<Approved, Failure> {
    let Reviewed { plan, sealed, spec } = reviewed;
    if session.env.clock.now() >= plan.expires_at {
        return Err(stale(format!("the plan expired at {}", plan.expires_at)));
    }
    if plan.spec_digest != session.spec_digest {
        return Err(stale(format!("the spec {} changed since the plan was made", spec.display())));
    }
    let plan = admitted(plan)?;
    may_begin(plan.plan(), None, &session.desired, session.env.clock.now())?;
    let snapshot = job.read(session)?;
    everything_was_read(plan.plan(), &snapshot)?;
    nothing_moved(session, plan.plan(), &snapshot)?;
    if plan.plan().ledger_head != session.history.head {
        return Err(stale("another apply was made with this state since the plan was made".into()));
    }
    let output = job.output;
    output.plan(plan.plan(), "seal: verified");
    Ok(Approved { plan, sealed })
}

/// What can't be read has not moved: nobody knows.
fn everything_was_read(plan: &Plan, snapshot: &Snapshot) -> Result<(), Failure> {
    let owners: BTreeSet<Address> = plan.live.iter().map(|expect| expect.address.lane()).collect();
    let mut told = BTreeSet::new();
    let findings: Vec<_> = owners
        .iter()
        .filter_map(|owner| unreadable(owner, snapshot))
        .filter(|finding| told.insert(finding.to_string()))
        .cloned()
        .collect();
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Failure { exit: Exit::Error, findings, sources: Sources::default() }),
    }
}

fn unreadable<'a>(owner: &Address, snapshot: &'a Snapshot) -> Option<&'a Finding> {
    match (snapshot.instances.get(owner), snapshot.users.get(owner)) {
        (Some(Observed::Unreadable(finding)), _) | (_, Some(Observed::Unreadable(finding))) => Some(finding),
        _ => None,
    }
}

/// Nothing that the plan rests on may have moved.
fn nothing_moved(session: &Session, plan: &Plan, snapshot: &Snapshot) -> Result<(), Failure> {
    let sent_nothing =
        |moved: Finding| Finding { message: format!("{}; nothing was sent", moved.message), ..moved };
    let findings: Vec<_> = moved(session, plan, snapshot, |_| true).into_iter().map(sent_nothing).collect();
    match findings.is_empty() {
        true => Ok(()),
        false => Err(Failure { exit: Exit::Stale, findings, sources: Sources::default() }),
    }
}

/// Compares the live objects that the plan rests on, as far as they are of interest, with what is read
/// now, and names what moved, field by field.
pub fn moved(
    session: &Session,
    plan: &Plan,
    snapshot: &Snapshot,
    of_interest: impl Fn(&Address) -> bool,
) -> Vec<Finding> {
    let asked = plan.live.iter().map(|expect| &expect.address).collect();
    let now = registry::bound(&session.desired, snapshot, &asked);
    let told = |expect: &Expect| {
        let address = &expect.address;
        let message = match now.get(address) {
            Some(bound) if bound.digest(&session.key) == expect.digest => return None,
            Some(bound) => {
                let planned = plan.live_fields.iter().find(|row| row.address == *address);
                let fields = planned.map(|planned| moved_fields(planned, bound, session));
                let fields = fields.map_or(String::new(), |fields| format!(": {}", fields.join("; ")));
                format!("live state moved since the plan was made{fields}")
            }
            None => "gone, or not readable any more".to_owned(),
        };
        Some(Finding::new(code::STALE, message).at(address))
    };
    plan.live.iter().filter(|expect| of_interest(&expect.address)).filter_map(told).collect()
}

/// What differs between the fields that a plan was made from, of which it keeps digests, and those that are
/// read now.
fn moved_fields(planned: &LiveFields, now: &Bound<'_>, session: &Session) -> Vec<String> {
    let LiveFields { address, fields } = planned;
    let live = LiveFields::of(address.clone(), now, &session.key);
    let now = now.fields();
    let is_same = |name: &String| fields.get(name) == live.fields.get(name);
    let gone = fields.keys().filter(|name| !now.contains_key(*name));
    let gone = gone.map(|name| format!("`{name}` was there and is not any more"));
    let moved = now.iter().filter(|(name, _)| !is_same(name));
    let moved = moved.map(|(name, value)| match fields.contains_key(name) {
        _ if name == "fingerprint" => "the token has another value now".to_owned(),
        false if value == THERE => format!("`{name}` is new"),
        true => format!("`{name}` is now `{value}`"),
        false => format!("`{name}` is new: `{value}`"),
    });
    gone.chain(moved).collect()
}

fn stale(message: String) -> Failure {
    Failure::new(Exit::Stale, Finding::new(code::STALE, format!("{message}; nothing was sent")))
}
