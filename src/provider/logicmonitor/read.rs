//! Reads the declared users of one portal with all their tokens, from three whole lists.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::audit_log::{self, Watched};
use super::callers::{Listed, Seen};
use super::client::Client;
use super::state::{Connection, LiveToken, LiveUser, PortalRead, TokenKind, User};
use super::wire::{TokenRow, UserRow};
use crate::http::Reader;
use crate::model::address::Address;
use crate::model::code::{HTTP_CALL, PLAN_AMBIGUOUS};
use crate::model::finding::Finding;
use crate::model::observed::{Listing, Observed};
use crate::provider::state::Caller;

/// What one connection shows.
pub struct ConnectionRead {
    /// Every declared user, by address.
    pub users: BTreeMap<Address, Observed<LiveUser>>,
    /// Every other user, by the address that it would have if it were declared.
    pub others: BTreeMap<Address, LiveUser>,
    /// Which tokens are in use: by this connection, and by others that may lead to this portal.
    pub callers: BTreeMap<Address, Caller>,
    pub portal: PortalRead,
}

/// Reads the three lists at the same time. If one of them fails, every declared user is unreadable:
/// nothing is concluded from two lists.
/// `others` are the other connections of the spec that may lead to this portal.
pub async fn read_connection(
    reader: &Reader,
    address: &Address,
    connection: &Connection,
    others: &[(&Address, &Connection)],
) -> ConnectionRead {
    let mut client = Client::new(reader, connection);
    let mut kinds = others.iter().map(|(_, other)| other.credential.kind());
    client.seeks_bearer |= kinds.any(|kind| kind == TokenKind::BearerToken);
    match read(&client, address, connection, others).await {
        Ok(read) => read,
        Err(finding) => {
            let unreadable =
                |user: &Address| Observed::Unreadable(Box::new(Finding::clone(&finding).at(user)));
            let users = connection.users.keys().map(|user| (user.clone(), unreadable(user))).collect();
            ConnectionRead {
                users,
                others: BTreeMap::new(),
                callers: BTreeMap::new(),
                portal: PortalRead::default(),
            }
        }
    }
}

async fn read(
    client: &Client<'_>,
    address: &Address,
    connection: &Connection,
    peers: &[(&Address, &Connection)],
) -> Result<ConnectionRead, Box<Finding>> {
    // the first pages of three lists, and a setting
    client.reader.expects(4);
    let (users, tokens, disables_after_days) =
        tokio::join!(client.users(address), client.both(address, None), client.disables_after_days(address));
    let (users, (api, bearer)) = (users?, tokens?);
    let listed = Listed { api: &api, bearer: &bearer };
    let (caller, seen) = listed.of(client.reader, address, connection).await?;
    let mut callers = listed.of_others(client.reader, peers).await;
    callers.insert(address.clone(), caller);
    let mut tokens = ByOwner::new();
    by_owner(api, TokenKind::ApiToken, address, &mut tokens)?;
    by_owner(bearer, TokenKind::BearerToken, address, &mut tokens)?;
    let live = |row: UserRow| Some(LiveUser { disables_after_days, ..row.live()? });
    let users: Vec<LiveUser> = users.into_iter().filter_map(live).collect();
    let all = users.clone();
    let by_id = Listing::complete(users.iter().cloned(), |user| user.id);
    let by_name = Listing::complete(users, |user| user.username.clone());
    let observe = |(at, wish): (&Address, &User)| {
        let user = match wish.id {
            Some(id) => by_id.get(&id),
            None => the_one(by_name.all(&at.name().to_owned()), at),
        };
        (at.clone(), user)
    };
    let mut declared: BTreeMap<_, _> = connection.users.iter().map(observe).collect();
    let others = others(address, all, &declared, &mut tokens, &seen);
    with_tokens(&mut declared, tokens, &seen);
    let watch = audit_log::read(client, address, &watched(declared.values())).await;
    Ok(ConnectionRead { users: declared, others, callers, portal: PortalRead { watch } })
}

/// Access ids of tokens that were replaced and are disabled, with the instant since when they may have
/// been: the mark in the note, else the birth of the token that replaced it.
fn watched<'a>(users: impl Iterator<Item = &'a Observed<LiveUser>>) -> Watched {
    let tokens: Vec<&LiveToken> = users.filter_map(Observed::present).flat_map(|user| &user.tokens).collect();
    let replaced: BTreeMap<u64, Timestamp> =
        tokens.iter().filter_map(|t| Some((t.marker().predecessor?, t.created_on?))).collect();
    let since = |token: &&LiveToken| {
        let since = token.marker().off.or_else(|| replaced.get(&token.id).copied())?;
        Some((token.access_id.clone()?, since))
    };
    tokens.iter().filter(|token| !token.enabled()).filter_map(since).collect()
}

/// Users that are not declared. One whose address would be that of a declared user is left out: an
/// address stands for one user.
fn others(
    connection: &Address,
    all: Vec<LiveUser>,
    declared: &BTreeMap<Address, Observed<LiveUser>>,
    tokens: &mut ByOwner,
    seen: &Seen,
) -> BTreeMap<Address, LiveUser> {
    let ids: BTreeSet<u64> = declared.values().filter_map(Observed::present).map(|user| user.id).collect();
    let others = all.into_iter().filter(|user| !ids.contains(&user.id));
    let addressed = others.map(|user| (connection.owner(&user.username), user));
    let free = addressed.filter(|(at, _)| !declared.contains_key(at));
    free.map(|(at, mut user)| {
        let own = tokens.remove(&user.id);
        give(&mut user, own, seen);
        (at, user)
    })
    .collect()
}

/// The one user with exactly this name.
fn the_one(hits: &[LiveUser], at: &Address) -> Observed<LiveUser> {
    match hits {
        [] => Observed::Absent,
        [user] => Observed::Present(user.clone()),
        several => {
            let ids: Vec<_> = several.iter().map(|user| user.id.to_string()).collect();
            let message = format!("{} users have this name, with ids {}", several.len(), ids.join(", "));
            Observed::Unreadable(Box::new(Finding::new(PLAN_AMBIGUOUS, message).at(at)))
        }
    }
}

/// Tokens by their owner's id.
type ByOwner = BTreeMap<u64, Vec<LiveToken>>;

/// Gives every declared user its tokens. Two declared ones can be one live user: by a pin and by a name.
fn with_tokens(users: &mut BTreeMap<Address, Observed<LiveUser>>, mut tokens: ByOwner, seen: &Seen) {
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for user in users.values().filter_map(Observed::present) {
        *times.entry(user.id).or_default() += 1;
    }
    for user in users.values_mut() {
        if let Observed::Present(user) = user {
            let own = match times.get(&user.id) {
                Some(1) => tokens.remove(&user.id),
                _ => tokens.get(&user.id).cloned(),
            };
            give(user, own, seen);
        }
    }
}

fn give(user: &mut LiveUser, tokens: Option<Vec<LiveToken>>, seen: &Seen) {
    user.caller.clone_from(&seen.name);
    user.our_ips.clone_from(&seen.ips);
    user.tokens = tokens.unwrap_or_default();
    user.tokens.sort_unstable_by_key(|token| token.id);
}

fn by_owner(
    rows: Vec<TokenRow>,
    kind: TokenKind,
    address: &Address,
    owners: &mut ByOwner,
) -> Result<(), Box<Finding>> {
    for row in rows {
        let id = row.id.unwrap_or_default();
        let token = row.live(kind, None).ok_or_else(|| {
            let message = format!("the portal's answer can't be used: token {id} has no `adminId`");
            Box::new(Finding::new(HTTP_CALL, message).at(address))
        })?;
        owners.entry(token.owner).or_default().push(token);
    }
    Ok(())
}
