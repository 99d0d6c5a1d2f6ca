//! The closed list of kinds, and the matches that send an object to its vendor.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;
use jiff::Timestamp;

use super::draft::{Context, Draft};
use super::fields::Bound;
use super::state::{Desired, Snapshot};
use super::steps::{self, Answer, Check, Failure, Hold, Look, Patience, Phase, Prepared};
use super::{ibm, logicmonitor};
use crate::http::{Reader, Writer};
use crate::model::address::Address;
use crate::model::asked::Asked;
use crate::model::code;
use crate::model::evidence::{CallerEvidence, Estate, Managed};
use crate::model::exposure::{Incident, NotRotated};
use crate::model::finding::Finding;
use crate::model::history::Facts;
use crate::model::history::History;
use crate::model::observed::Observed;
use crate::model::secret::DigestKey;
use crate::model::step::Step;
use crate::model::verb::Verb;

/// The vendors' names: how addresses begin.
pub const VENDORS: [&str; 2] = [ibm::VENDOR, logicmonitor::VENDOR];

/// One draft per declared owner: wish and observation are both in address order and are joined.
pub fn drafts(cx: Context<'_>, desired: &Desired, snapshot: &Snapshot) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for connection in desired.ibm.values() {
        for (address, want) in &connection.instances {
            let draft = |live: &_| ibm::draft::instance(cx, address, connection, want, live);
            drafts.extend(observed(address, snapshot, cx.history, snapshot.instances.get(address), draft));
        }
    }
    let callers = credentials_in_use(desired, snapshot);
    for (at, connection) in &desired.logicmonitor {
        let callers = callers.iter().find(|row| row.connection == *at);
        let read = snapshot.portals.get(at).cloned().unwrap_or_default();
        let robots = &logicmonitor::owners::robots(connection, snapshot);
        let holders = &logicmonitor::owners::Holders::new(at, snapshot, cx.history);
        let portal =
            logicmonitor::draft::Portal { connection, callers, read: &read, robots, holders, snapshot };
        for (address, want) in &connection.users {
            let draft = |live: &_| logicmonitor::draft::user(cx, address, portal, want, live);
            drafts.extend(observed(address, snapshot, cx.history, snapshot.users.get(address), draft));
        }
    }
    for (at, address, live) in logicmonitor::draft::unlisted::others(&desired.logicmonitor, &snapshot.others)
    {
        let read = snapshot.portals.get(at).cloned().unwrap_or_default();
        let callers = callers.iter().find(|row| row.connection == *at);
        let (connection, robots) = (&desired.logicmonitor[at], &BTreeSet::new());
        let holders = &logicmonitor::owners::Holders::new(at, snapshot, cx.history);
        let portal =
            logicmonitor::draft::Portal { connection, callers, read: &read, robots, holders, snapshot };
        let mut draft = Draft::default();
        logicmonitor::draft::unlisted::unlisted(cx, address, portal, None, live, &mut draft);
        drafts.push(draft);
    }
    drafts
}

/// Drafts only what was read; says why where it was not, unless nobody asked for it.
fn observed<T>(
    address: &Address,
    snapshot: &Snapshot,
    history: &History,
    live: Option<&Observed<T>>,
    draft: impl Fn(&T) -> Draft,
) -> Option<Draft> {
    if snapshot.left_out.contains(&address.of_connection()) {
        return None;
    }
    let finding = match live {
        Some(Observed::Present(live)) => return Some(draft(live)),
        Some(Observed::Unreadable(finding)) => {
            // several of one name were read, and can't be told apart
            let not_read = finding.code != code::PLAN_AMBIGUOUS;
            return Some(Draft { findings: vec![(**finding).clone()], not_read, ..Draft::default() });
        }
        Some(Observed::Absent) => {
            if let Some(renamed) = renamed_user(address, snapshot, history) {
                return Some(Draft { findings: vec![renamed], ..Draft::default() });
            }
            let message = format!("there is no `{}` on the vendor's side", address.name());
            let code = if address.vendor() == logicmonitor::VENDOR {
                code::PLAN_USER_MISSING
            } else {
                code::PLAN_NAME_NOT_FOUND
            };
            Finding::new(code, message).at(address)
        }
        None => Finding::new(code::PLAN_UNREADABLE, "it was not read").at(address),
    };
    Some(Draft { findings: vec![finding], ..Draft::default() })
}

/// A user that is not there by its name, and is there by the id that the ledger remembers.
fn renamed_user(address: &Address, snapshot: &Snapshot, history: &History) -> Option<Finding> {
    let known = history.owners.get(address)?;
    let connection = address.of_connection();
    let mut others = snapshot.others.iter().filter(|(at, _)| at.of_connection() == connection);
    let (_, user) = others.find(|(_, user)| user.id.to_string() == *known)?;
    Some(renamed(address, "user", &format!("id: {known}"), &user.username))
}

/// What the ledger remembers has another name now: the one of the spec has to change. `pin` is what
/// keeps it whatever its name is.
pub fn renamed(address: &Address, what: &str, pin: &str, name: &str) -> Finding {
    let message =
        format!("the {what} that the ledger knows as `{}` ({pin}) is named `{name}` now", address.name());
    let help = format!("write `{name}` in the spec, or pin it with `{pin}`");
    Finding::new(code::PLAN_RENAMED, message).at(address).help(help)
}

/// Which live tokens connections of the spec log in with, by the connection in whose portal they are:
/// one connection must not take the credential of another one.
pub fn credentials_in_use(desired: &Desired, snapshot: &Snapshot) -> Vec<CallerEvidence> {
    logicmonitor::callers::evidence(desired, snapshot)
}

/// Addresses of declared objects: no step may leave them. A switched instance covers all its teams.
pub fn scope(desired: &Desired) -> Vec<Address> {
    [ibm::evidence::scope(desired), logicmonitor::evidence::scope(desired)].concat()
}

/// Addresses of everything that the spec declares, connections and owners included.
pub fn declared(desired: &Desired) -> Vec<Address> {
    let instances = desired.ibm.values().flat_map(|connection| &connection.instances);
    let instances = instances.flat_map(|(at, instance)| std::iter::once(at).chain(instance.teams.keys()));
    let users = desired.logicmonitor.values().flat_map(|connection| &connection.users);
    let users = users.flat_map(|(at, user)| std::iter::once(at).chain(user.tokens.keys()));
    desired.connections().chain(instances).chain(users).cloned().collect()
}

/// Declared tokens, each with what the spec holds against rotating it at once.
pub fn rotatable(desired: &Desired) -> Vec<(&Address, Option<&'static str>)> {
    let instances = desired.ibm.values().flat_map(|connection| &connection.instances);
    let teams = instances.flat_map(|(_, instance)| {
        instance.teams.iter().map(|(at, team)| (at, ibm::evidence::cant_rotate(instance, team)))
    });
    let users = desired.logicmonitor.values().flat_map(|connection| &connection.users);
    let tokens = users.flat_map(|(_, user)| {
        user.tokens.iter().map(|(at, token)| (at, logicmonitor::evidence::cant_rotate(user, token)))
    });
    teams.chain(tokens).collect()
}

/// How many declared objects of each connection are live.
pub fn managed(desired: &Desired, snapshot: &Snapshot) -> Vec<Managed> {
    [ibm::evidence::managed(desired, snapshot), logicmonitor::evidence::managed(desired, snapshot)].concat()
}

/// Addresses under `protect: true`.
pub fn protected(desired: &Desired) -> Vec<Address> {
    [ibm::evidence::protected(desired), logicmonitor::evidence::protected(desired)].concat()
}

/// Protects these objects as if the spec did, where it declares them.
pub fn protect(desired: &mut Desired, protected: &BTreeSet<Address>) {
    let instances = desired.ibm.values_mut().flat_map(|connection| &mut connection.instances);
    for (address, instance) in instances {
        instance.protect |= protected.contains(address);
        instance.teams.iter_mut().for_each(|(at, team)| team.protect |= protected.contains(at));
    }
    for (address, user) in desired.logicmonitor.values_mut().flat_map(|connection| &mut connection.users) {
        user.protect |= protected.contains(address);
        user.tokens.iter_mut().for_each(|(at, token)| token.protect |= protected.contains(at));
    }
}

/// What the spec gives as the why of an object's rotations.
pub fn rationale(desired: &Desired, address: &Address) -> Option<String> {
    let (connection, owner) = (address.of_connection(), address.lane());
    let team = || desired.ibm.get(&connection)?.instances.get(&owner)?.teams.get(address)?.rotate.as_ref();
    let token =
        || desired.logicmonitor.get(&connection)?.users.get(&owner)?.tokens.get(address)?.rotate.as_ref();
    team().or_else(token)?.rationale.clone()
}

/// What binds a plan to those objects of a snapshot that are asked for.
pub fn bound<'s>(
    desired: &Desired,
    snapshot: &'s Snapshot,
    asked: &BTreeSet<&Address>,
) -> BTreeMap<Address, Bound<'s>> {
    let ibm = ibm::evidence::bound(desired, snapshot, asked);
    ibm.into_iter().chain(logicmonitor::evidence::bound(desired, snapshot, asked)).collect()
}

/// Declared objects as they are wanted and as they are, for policies.
pub fn estate(desired: &Desired, snapshot: &Snapshot) -> Estate {
    Estate {
        instances: ibm::evidence::estate(desired, snapshot),
        users: logicmonitor::evidence::estate(desired, snapshot),
    }
}

/// Fits a snapshot that was read for one version of a spec to another one, or says by object why that
/// can't be: it has to be read again.
pub fn fit(desired: &Desired, snapshot: &mut Snapshot) -> Vec<(Address, String)> {
    ibm::evidence::place(desired, snapshot);
    let reached = |at: &&Address| !snapshot.left_out.contains(&at.of_connection());
    let instances = desired.ibm.values().flat_map(|connection| connection.instances.keys());
    let users = desired.logicmonitor.values().flat_map(|connection| connection.users.keys());
    let instances = instances.filter(|at| !snapshot.instances.contains_key(at));
    let users = users.filter(|at| !snapshot.users.contains_key(at));
    let missing = instances.chain(users).filter(reached);
    let missing = missing.map(|at| (at.clone(), "it is not there".to_owned()));
    let mut told: Vec<_> = missing.collect();
    told.extend(ibm::evidence::read_for_another(desired, snapshot));
    told.extend(logicmonitor::evidence::read_for_another(desired, snapshot));
    told
}

/// Reads live state of every connection that was asked for, all at once.
pub async fn read(
    reader: &Reader,
    desired: &Desired,
    key: &DigestKey,
    asked: &Asked,
    history: &History,
) -> Snapshot {
    let ibm = desired.ibm.iter().filter(|(at, _)| asked.reaches(at));
    let ibm = ibm.map(|(at, conn)| ibm::read::read_connection(reader, key, at, conn, history));
    let portals = desired.logicmonitor.iter().filter(|(at, _)| asked.reaches(at));
    let portals = portals.map(|(at, conn)| async move {
        let others = desired.logicmonitor.iter().filter(|(other, _)| *other != at);
        let others: Vec<_> = others.filter(|(_, other)| other.same_portal(conn)).collect();
        (at.clone(), logicmonitor::read::read_connection(reader, at, conn, &others).await)
    });
    let (ibm, portals) = future::join(future::join_all(ibm), future::join_all(portals)).await;
    let left_out = desired.connections().filter(|at| !asked.reaches(at)).cloned().collect();
    let instances = ibm.into_iter().flatten().collect();
    let mut snapshot = Snapshot { instances, left_out, ..Snapshot::default() };
    for (connection, read) in portals {
        snapshot.users.extend(read.users);
        let led_to = desired.logicmonitor.get(&connection).map(logicmonitor::state::Connection::portal);
        snapshot.led_to.extend(led_to.map(|portal| (connection.clone(), portal)));
        snapshot.others.extend(read.others);
        snapshot.callers.extend(read.callers);
        snapshot.portals.insert(connection, read.portal);
    }
    snapshot
}

/// What an incident may have exposed besides the managed tokens that are rotated; those are given with
/// the ids that they replace.
pub fn exposed_besides(
    desired: &Desired,
    snapshot: &Snapshot,
    incident: &Incident,
    rotated: &BTreeMap<Address, u64>,
) -> Vec<NotRotated> {
    let ibm = ibm::exposure::besides(desired, snapshot, incident);
    [ibm, logicmonitor::exposure::besides(desired, snapshot, incident, rotated)].concat()
}

/// When a token was last used, where the vendor tells.
pub fn last_used(snapshot: &Snapshot, address: &Address, id: u64) -> Option<Timestamp> {
    logicmonitor::exposure::last_used(snapshot, address, id)
}

/// The vendors whose objects steps are about.
enum Vendor {
    Ibm,
    LogicMonitor,
    /// None: the ledger remembers the step, and that is all of it.
    Nobody,
}

/// The answer of a step that asks nobody.
fn nothing() -> Answer {
    Answer { facts: Facts::default(), value: None }
}

fn vendor(step: &Step) -> Result<Vendor, Finding> {
    if matches!(step.verb, Verb::Protect | Verb::Unprotect) {
        return Ok(Vendor::Nobody);
    }
    match step.address.vendor() {
        ibm::VENDOR => Ok(Vendor::Ibm),
        logicmonitor::VENDOR => Ok(Vendor::LogicMonitor),
        other => {
            let message = format!("`{other}` is no vendor that this tokenform knows");
            Err(Finding::new(code::PLAN_CHECK, message).at(&step.address))
        }
    }
}

/// Reads a step's objects again, right before it.
pub async fn prepare(reader: &Reader, cx: &steps::Context<'_>, step: &Step) -> Result<Prepared, Finding> {
    let (prepared, owner) = match vendor(step)? {
        Vendor::Ibm => (ibm::steps::prepare(reader, cx, step).await?, "guid"),
        Vendor::LogicMonitor => (logicmonitor::steps::prepare(reader, cx, step).await?, "user_id"),
        Vendor::Nobody => {
            let facts = Facts::default();
            return Ok(Prepared { live: Vec::new(), facts, hold: Hold::Nothing, deferred: None });
        }
    };
    let facts = Facts { owner_id: step.params.get(owner).cloned(), ..prepared.facts };
    Ok(Prepared { facts, ..prepared })
}

/// Sends a step's mutation, once.
pub async fn mutate(
    writer: &Writer,
    cx: &steps::Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Result<Option<Answer>, Failure> {
    match vendor(step).map_err(Failure::Refused)? {
        Vendor::Ibm => ibm::steps::mutate(writer, cx, step, prepared, facts).await,
        Vendor::LogicMonitor => logicmonitor::steps::mutate(writer, cx, step, prepared, facts).await,
        Vendor::Nobody => Ok(Some(nothing())),
    }
}

/// Looks once whether a mutation happened.
pub async fn look(
    reader: &Reader,
    cx: &steps::Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Look {
    match vendor(step) {
        Ok(Vendor::Ibm) => ibm::steps::look(reader, cx, step, prepared, facts).await,
        Ok(Vendor::LogicMonitor) => logicmonitor::steps::look(reader, cx, step, prepared, facts).await,
        Ok(Vendor::Nobody) => Look::Happened(nothing()),
        Err(finding) => Look::CannotTell(finding),
    }
}

/// Asks once whether a new value may be delivered.
pub async fn ready(reader: &Reader, cx: &steps::Context<'_>, step: &Step, answer: &Answer) -> Check {
    match vendor(step) {
        Ok(Vendor::Ibm) => ibm::steps::ready(reader, cx, step, answer).await,
        Ok(Vendor::LogicMonitor) => logicmonitor::steps::ready(reader, cx, step, answer).await,
        Ok(Vendor::Nobody) => Check::Holds(Facts::default()),
        Err(finding) => Check::Never(finding),
    }
}

/// Asks once whether a step is proved.
pub async fn confirm(
    reader: &Reader,
    cx: &steps::Context<'_>,
    step: &Step,
    prepared: &Prepared,
    answer: &Answer,
) -> Check {
    match vendor(step) {
        Ok(Vendor::Ibm) => ibm::steps::confirm(reader, cx, step, prepared, answer).await,
        Ok(Vendor::LogicMonitor) => logicmonitor::steps::confirm(reader, cx, step, prepared, answer).await,
        Ok(Vendor::Nobody) => Check::Holds(Facts::default()),
        Err(finding) => Check::Never(finding),
    }
}

/// Takes an issued token back. Only issues can be taken back.
pub async fn revoke(writer: &Writer, cx: &steps::Context<'_>, step: &Step, id: u64) -> Result<(), Failure> {
    match vendor(step).map_err(Failure::Refused)? {
        Vendor::LogicMonitor => logicmonitor::steps::revoke(writer, cx, step, id).await,
        Vendor::Ibm | Vendor::Nobody => {
            let finding = Finding::new(code::PLAN_CHECK, "a team's token can't be deleted").at(&step.address);
            Err(Failure::Refused(finding))
        }
    }
}

/// Puts back what an unproved lock has changed, where that is safer than leaving it. Says whether it did.
pub async fn restore(
    writer: &Writer,
    cx: &steps::Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Result<bool, Failure> {
    match vendor(step).map_err(Failure::Refused)? {
        Vendor::Ibm if step.verb == Verb::Lock => {
            ibm::steps::restore(writer, cx, step, prepared, facts).await
        }
        Vendor::Ibm | Vendor::LogicMonitor | Vendor::Nobody => Ok(false),
    }
}

/// Looks once whether what [`restore`] put back is there.
pub async fn restored(
    reader: &Reader,
    cx: &steps::Context<'_>,
    step: &Step,
    prepared: &Prepared,
    facts: &Facts,
) -> Check {
    match vendor(step) {
        Ok(Vendor::Ibm) => ibm::steps::restored(reader, cx, step, prepared, facts).await,
        Ok(Vendor::LogicMonitor | Vendor::Nobody) => Check::Holds(Facts::default()),
        Err(finding) => Check::Never(finding),
    }
}

/// How long a phase is asked.
pub fn patience(cx: &steps::Context<'_>, step: &Step, phase: Phase) -> Patience {
    match vendor(step) {
        Ok(Vendor::Ibm) => ibm::steps::patience(cx, step, phase),
        Ok(Vendor::LogicMonitor) => logicmonitor::steps::patience(step, phase),
        Ok(Vendor::Nobody) | Err(_) => Patience::once(),
    }
}

/// What a person must do for a step, where a person does it.
pub fn guide(cx: &steps::Context<'_>, step: &Step) -> Option<Vec<String>> {
    match vendor(step) {
        Ok(Vendor::Ibm) => ibm::steps::guide(cx, step),
        Ok(Vendor::LogicMonitor | Vendor::Nobody) | Err(_) => None,
    }
}

/// Whether a person does a step.
pub fn is_guided(desired: &Desired, step: &Step) -> bool {
    let connection = desired.ibm.get(&step.address.of_connection());
    step.verb == Verb::Reset && connection.is_some_and(|c| c.token_reset.is_guided())
}
