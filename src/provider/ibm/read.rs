//! Reads the declared instances of one IBM connection with their teams.
//!
//! Requests: one list for the connection (of one name where one instance is declared, or one GET for
//! a single pinned one), and per instance `users/me`, `teams`, one token read per token that a step
//! may need, and at most one more where the team header is not proved by those.
//!
//! That is the least that the APIs allow. Resource controller can't filter by service, and gives 100
//! rows at most. Each instance is a Sysdig account of its own with its own users: which user the IAM
//! identity is there, and in which team, only its own `users/me` tells, and both count (a token is of
//! one user in one team, the name may stand in the reset's path, the current team proves the header;
//! contract ibm 5.2, 8). `users/me` names teams by id alone, so `teams` is needed. Tokens have no list.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, future, stream};

use super::client::{Account, Api, Token, Told, is_denied, origin};
use super::header::{Seen, prove};
use super::instance::{check_account, find, live, team};
use super::state::{
    AuthMode, Connection, HeaderProof, Instance, LiveInstance, LiveTeam, OtherTeams, Probe, Team as Declared,
};
use super::wire::{Me, Row, Team};
use crate::http::{HttpError, Reader};
use crate::model::address::Address;
use crate::model::code::{IBM_NO_ACCESS, IBM_TOKEN_REFUSED, PLAN_AMBIGUOUS, PLAN_NAME_NOT_FOUND};
use crate::model::finding::Finding;
use crate::model::history::History;
use crate::model::observed::Observed;
use crate::model::secret::{DigestKey, Fingerprint};
use crate::provider::registry;

/// How many instances are read at a time: enough that `http`, which bounds the requests under way, always
/// has one to send.
const INSTANCES: usize = 64;

/// How many tokens of one instance are read at a time.
pub const TOKENS: usize = 8;

/// Live state of every declared instance of a connection. Of those that an interrupted apply has unlocked,
/// the token of every visible team is read: it is still to be reset. What the ledger remembers by its id is
/// told as renamed where its name is not there.
pub async fn read_connection(
    reader: &Reader,
    key: &DigestKey,
    address: &Address,
    conn: &Connection,
    history: &History,
) -> BTreeMap<Address, Observed<LiveInstance>> {
    let account = Account::of(reader, conn);
    let rows = match rows(&account, address, conn).await {
        Ok(rows) => rows,
        Err(finding) => return all_unreadable(conn, &finding),
    };
    reader.expects(2 * conn.instances.len());
    let (account, rows) = (&account, &rows);
    let read = |(address, declared)| async move {
        let room = Room { account, key, conn, address, declared, history };
        let observed = match room.read(rows).await {
            Ok(live) => Observed::Present(live),
            Err(finding) => Observed::Unreadable(finding),
        };
        (Address::clone(address), observed)
    };
    stream::iter(&conn.instances).map(read).buffer_unordered(INSTANCES).collect().await
}

fn all_unreadable(conn: &Connection, finding: &Finding) -> BTreeMap<Address, Observed<LiveInstance>> {
    let unreadable = || Observed::Unreadable(Box::new(finding.clone()));
    conn.instances.keys().map(|address| (address.clone(), unreadable())).collect()
}

/// The rows among which the declared instances are found, all of the declared account.
async fn rows(account: &Account<'_>, address: &Address, conn: &Connection) -> Told<Vec<Row>> {
    let mut declared = conn.instances.iter();
    let rows = match (declared.next(), declared.next()) {
        (None, _) => Vec::new(),
        (Some((instance, Instance { guid: Some(guid), .. })), None) => {
            pinned(account.get(instance, guid).await)?
        }
        (Some((instance, _)), None) => {
            account.list(address, conn.resource_group.as_deref(), Some(instance.name())).await?
        }
        _ => account.list(address, conn.resource_group.as_deref(), None).await?,
    };
    check_account(&rows, address, conn.account.as_deref())?;
    Ok(rows)
}

/// A pin that is not there is told like a name that is not there.
fn pinned(reply: Result<Row, HttpError>) -> Told<Vec<Row>> {
    match reply {
        Ok(row) => Ok(vec![row]),
        Err(HttpError { status: Some(404), .. }) => Ok(Vec::new()),
        Err(error) => Err(error.finding),
    }
}

/// One declared instance while it is read.
struct Room<'a> {
    account: &'a Account<'a>,
    key: &'a DigestKey,
    conn: &'a Connection,
    address: &'a Address,
    declared: &'a Instance,
    history: &'a History,
}

/// A token to read: the team's id and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    team: u64,
    owner: Option<String>,
}

impl Room<'_> {
    async fn read(&self, rows: &[Row]) -> Told<LiveInstance> {
        let row = match find(rows, self.address, self.declared) {
            Ok(row) => self.complete(row).await?,
            Err(finding) => return Err(self.renamed().await.unwrap_or(finding)),
        };
        let origin = origin(self.conn, self.declared, row.region());
        let api = self.account.api(self.address, &origin, row.guid());
        let asked = future::try_join(api.me(None), api.teams(self.declared.service));
        let (me, teams) = asked.await.map_err(no_access)?;
        let wanted = wanted(self.address, self.declared, &teams, self.history)?;
        self.account.reader.expects(wanted.len());
        let (probed, prints) = self.keys(&api, &me, &wanted).await?;
        let header = self.header(&api, &me, &teams, &wanted, probed, &prints).await?;
        let teams = teams.iter().map(|t| LiveTeam { fingerprint: prints.get(&t.id).cloned(), ..team(t) });
        let live = live(&row, self.declared.service, origin.clone(), teams.collect());
        let service_id = me.is_service_id();
        Ok(LiveInstance { probed, header, service_id, identity: me.username, ..live })
    }

    /// An instance that is not there by its name, and is there by the guid that the ledger remembers.
    async fn renamed(&self) -> Option<Box<Finding>> {
        let guid = self.history.owners.get(self.address).filter(|_| self.declared.guid.is_none())?;
        let row = self.account.get(self.address, guid).await.ok()?;
        let is_it = row.guid() == guid && row.service() == self.declared.service.crn_name();
        let renamed = is_it && row.name() != self.address.name() && row.state.as_deref() != Some("removed");
        let pin = format!("guid: {guid}");
        renamed.then(|| Box::new(registry::renamed(self.address, "instance", &pin, row.name())))
    }

    /// A list's row may lack what only the single read tells.
    async fn complete(&self, row: &Row) -> Told<Row> {
        if row.parameters.is_some() && row.last_operation.is_some() {
            return Ok(row.clone());
        }
        self.account.get(self.address, row.guid()).await.map_err(|error| error.finding)
    }

    /// Probes the mode with the first token read, and reads the others only where tokens can be read.
    async fn keys(
        &self,
        api: &Api<'_>,
        me: &Me,
        wanted: &BTreeSet<Wanted>,
    ) -> Told<(Probe, BTreeMap<u64, Fingerprint>)> {
        let mut prints = BTreeMap::new();
        if wanted.is_empty() && self.declared.external_api_auth.is_none() {
            return Ok((Probe::Unknown, prints));
        }
        // Another owner's token says nothing of the mode: its refusal may be a missing admin role.
        let first = wanted.iter().find(|w| w.owner.is_none());
        match api.token(first.map(|w| w.team).or(me.current_team), None).await? {
            Token::Refused(error) if is_denied(&error) => return Ok((Probe::IamOnly, prints)),
            Token::Refused(_) => return Ok((Probe::Refused, prints)),
            Token::Key(value) => prints.extend(first.map(|w| (w.team, self.key.fingerprint(&value)))),
        }
        let rest = wanted.iter().filter(|w| Some(*w) != first);
        let read = |w: &Wanted| self.print(api, w.clone());
        let rest = stream::iter(rest).map(read).buffer_unordered(TOKENS);
        prints.extend(rest.try_collect::<Vec<_>>().await?);
        Ok((Probe::Any, prints))
    }

    async fn print(&self, api: &Api<'_>, wanted: Wanted) -> Told<(u64, Fingerprint)> {
        match api.token(Some(wanted.team), wanted.owner.as_deref()).await? {
            Token::Key(value) => Ok((wanted.team, self.key.fingerprint(&value))),
            Token::Refused(error) => Err(refused(self.address, &wanted, &error)),
        }
    }

    async fn header(
        &self,
        api: &Api<'_>,
        me: &Me,
        teams: &[Team],
        wanted: &BTreeSet<Wanted>,
        probed: Probe,
        prints: &BTreeMap<u64, Fingerprint>,
    ) -> Told<HeaderProof> {
        if matches!(probed, Probe::IamOnly | Probe::Refused) {
            return Ok(HeaderProof::AfterUnlock);
        }
        if wanted.is_empty() {
            return Ok(HeaderProof::Unproven("it was not tried: no token is managed here".into()));
        }
        let own = wanted.iter().filter(|w| w.owner.is_none());
        let own = own.filter_map(|w| Some((w.team, prints.get(&w.team)?.clone()))).collect();
        let visible: Vec<u64> = teams.iter().map(|t| t.id).collect();
        prove(api, &Seen { me, visible: &visible, own: &own }).await
    }
}

/// The tokens that a plan may need: of teams with a wish about theirs, and of all where a lock would
/// reset them.
/// Every declared team must be visible. `owes`: all visible ones are still to be reset.
fn wanted(
    address: &Address,
    declared: &Instance,
    visible: &[Team],
    history: &History,
) -> Told<BTreeSet<Wanted>> {
    let owes = history.interrupted.as_ref().is_some_and(|apply| apply.unlocked.contains(address));
    let locks = declared.external_api_auth == Some(AuthMode::IamOnly);
    let mut wanted = BTreeSet::new();
    let mut listed = BTreeSet::new();
    for (name, team) in &declared.teams {
        let known = history.objects.get(name).and_then(|past| past.remote_id);
        let live = resolve(address, name, team, visible, known)?;
        if !listed.insert(live.id) {
            let told = format!("two declared teams mean team {} (`{}`)", live.id, live.name);
            return Err(Box::new(Finding::new(PLAN_AMBIGUOUS, told).at(name)));
        }
        if locks || owes || team.manages_token() {
            wanted.insert(Wanted { team: live.id, owner: team.owner.clone() });
        }
    }
    if owes || locks && declared.other_teams == OtherTeams::Reset {
        let others = visible.iter().filter(|team| !listed.contains(&team.id));
        wanted.extend(others.map(|team| Wanted { team: team.id, owner: None }));
    }
    Ok(wanted)
}

/// The visible team that a declared one means: by pin, else by name, byte for byte. `known` is the id that
/// the ledger remembers of it.
fn resolve<'t>(
    instance: &Address,
    name: &Address,
    declared: &Declared,
    visible: &'t [Team],
    known: Option<u64>,
) -> Told<&'t Team> {
    let is_meant = |team: &&Team| match declared.id {
        Some(id) => team.id == id,
        None => team.name == name.name(),
    };
    let hits: Vec<&Team> = visible.iter().filter(is_meant).collect();
    match hits[..] {
        [team] => Ok(team),
        [] => {
            let known = visible.iter().find(|team| declared.id.is_none() && Some(team.id) == known);
            if let Some(team) = known {
                return Err(Box::new(registry::renamed(
                    name,
                    "team",
                    &format!("id: {}", team.id),
                    &team.name,
                )));
            }
            let pin = declared.id.map(|id| format!(" with id {id}")).unwrap_or_default();
            let told = format!("team `{}`{pin} is not visible; visible: {}", name.name(), list(visible));
            let help =
                "Only teams that the identity is a member of are visible: add it, or correct the name.";
            Err(Box::new(Finding::new(PLAN_NAME_NOT_FOUND, told).at(instance).help(help)))
        }
        _ => {
            let ids: Vec<String> = hits.iter().map(|team| team.id.to_string()).collect();
            let told = format!("several visible teams are named `{}`: {}", name.name(), ids.join(", "));
            Err(Box::new(Finding::new(PLAN_AMBIGUOUS, told).at(name)))
        }
    }
}

fn list(visible: &[Team]) -> String {
    let teams: Vec<String> = visible.iter().map(|team| format!("`{}` ({})", team.name, team.id)).collect();
    if teams.is_empty() { "none".into() } else { teams.join(", ") }
}

fn refused(address: &Address, wanted: &Wanted, error: &HttpError) -> Box<Finding> {
    let whose = wanted.owner.as_deref().map(|owner| format!(" of {owner}")).unwrap_or_default();
    let told = format!("the token{whose} in team {} can't be read: {}", wanted.team, error.finding.message);
    Box::new(Finding::new(IBM_TOKEN_REFUSED, told).at(address))
}

/// The very first contact of an identity is refused (contract ibm 5.6).
fn no_access(error: HttpError) -> Box<Finding> {
    if !super::client::is_refusal(&error) {
        return error.finding;
    }
    let Finding { address, message, labels, .. } = *error.finding;
    Box::new(Finding { address, labels, ..Finding::new(IBM_NO_ACCESS, message) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::code::PLAN_RENAMED;
    use crate::model::history::Interrupted;
    use crate::provider::ibm::testing::{
        declared, declared_team, instance_address, managed_team, team_address,
    };

    fn visible() -> Vec<Team> {
        let team = |id, name: &str| Team { id, name: name.into(), products: vec![], user_count: None };
        vec![team(1, "SRE"), team(2, "Dev"), team(3, "Dev"), team(4, "Ops")]
    }

    fn ids(wanted: &BTreeSet<Wanted>) -> Vec<u64> {
        wanted.iter().map(|w| w.team).collect()
    }

    #[test]
    fn only_declared_tokens_are_wanted_unless_a_lock_resets_all() {
        let address = instance_address();
        let mut declared = declared();
        let unlocked = BTreeSet::from([address.clone()]);
        let interrupted = Interrupted { apply_id: "a".into(), resets: BTreeMap::new(), unlocked };
        let owing = History { interrupted: Some(interrupted), ..History::default() };
        declared.teams.insert(team_address("SRE"), declared_team());
        assert!(wanted(&address, &declared, &visible(), &History::default()).unwrap().is_empty());
        declared.teams.insert(team_address("SRE"), managed_team());
        assert_eq!(ids(&wanted(&address, &declared, &visible(), &owing).unwrap()), [1, 2, 3, 4]);
        assert_eq!(ids(&wanted(&address, &declared, &visible(), &History::default()).unwrap()), [1]);
        declared.external_api_auth = Some(AuthMode::IamOnly);
        assert_eq!(ids(&wanted(&address, &declared, &visible(), &History::default()).unwrap()), [1, 2, 3, 4]);
        declared.other_teams = OtherTeams::Ignore;
        assert_eq!(ids(&wanted(&address, &declared, &visible(), &History::default()).unwrap()), [1]);
    }

    #[test]
    fn a_team_is_found_by_pin_or_exact_name_and_never_guessed() {
        let address = instance_address();
        let found = |name: &str, id| {
            let team = Declared { id, ..declared_team() };
            resolve(&address, &team_address(name), &team, &visible(), Some(4)).map(|t| t.id)
        };
        assert_eq!(found("SRE", None).unwrap(), 1);
        assert_eq!(found("Any name of ours", Some(3)).unwrap(), 3);
        assert_eq!(found("Dev", None).unwrap_err().code, PLAN_AMBIGUOUS);
        let renamed = found("sre", None).unwrap_err();
        assert_eq!(renamed.code, PLAN_RENAMED, "the ledger knows it as id 4");
        assert_eq!(renamed.message, "the team that the ledger knows as `sre` (id: 4) is named `Ops` now");
        let (seen, name) = (visible(), team_address("sre"));
        let unknown = resolve(&address, &name, &declared_team(), &seen, None);
        assert_eq!(unknown.unwrap_err().code, PLAN_NAME_NOT_FOUND);
        let finding = found("SRE", Some(9)).unwrap_err();
        assert!(finding.message.contains("id 9") && finding.message.contains("`Ops` (4)"));
    }
}
