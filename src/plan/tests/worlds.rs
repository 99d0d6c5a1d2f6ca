//! Small random worlds: wishes, observations and ledgers, sensible and not.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::history::Past;
use crate::model::vocabulary::TokenStatus;
use crate::plan::sample::*;
use crate::provider::ibm::state::{AuthMode, Instance, OtherTeams, Team};
use crate::provider::logicmonitor::note::{self, Mark};
use crate::provider::logicmonitor::state::{LiveToken, Token};
use crate::provider::state::{self, Caller, Limits, Rotate};

const TEAMS: [&str; 3] = ["A", "B", "C"];
const NAMES: [&str; 3] = ["x", "y", "z"];

/// A world with one instance and one user, and limits that nothing reaches.
pub fn world() -> impl Strategy<Value = World> {
    let run = (any::<bool>(), prop::bool::weighted(0.3), 0..3);
    (instance(), user(), run).prop_map(|(mut ibm, lm, (unattended, new_state, parts))| {
        if parts == 0 {
            ibm.desired.ibm.clear();
        }
        if parts == 1 {
            return ibm;
        }
        ibm.desired.logicmonitor = lm.desired.logicmonitor;
        ibm.desired.limits =
            Limits { rotate: 99, enable: 99, disable: 99, delete: 99, lock: 99, percent: 100 };
        ibm.snapshot.users = lm.snapshot.users;
        ibm.snapshot.portals = lm.snapshot.portals;
        // The last token of the first name, if it is there, is the credential in use.
        let caller = Caller { access_id: Some("a7".into()), token_ids: vec![7], untold: None };
        ibm.snapshot.callers.insert(acme(), caller);
        ibm.history.objects.extend(lm.history.objects);
        if new_state {
            ibm.history = crate::model::history::History::default();
        }
        World { unattended, ..ibm }
    })
}

fn rotates() -> impl Strategy<Value = Option<Rotate>> {
    let rule = (any::<bool>(), option::of(1..200_i64));
    let rule = (rule, prop::bool::weighted(0.3)).prop_map(|((aged, incident), replaces)| Rotate {
        strategy: if replaces { state::Strategy::Replace } else { state::Strategy::Overlap },
        max_age: rotate().max_age.filter(|_| aged),
        issued_after: incident.map(days_ago),
        ..rotate()
    });
    option::of(rule)
}

fn instance() -> impl Strategy<Value = World> {
    let mode = || select(vec![AuthMode::Any, AuthMode::IamOnly]);
    let other = select(vec![OtherTeams::Reset, OtherTeams::Ignore, OtherTeams::Refuse]);
    let wish = (option::weighted(0.8, mode()), other, prop::bool::weighted(0.05));
    let teams = prop::collection::vec((option::of(team_wish()), ledger()), 1..=TEAMS.len());
    (wish, mode(), teams).prop_map(|((wish, other_teams, protect), mode, teams)| {
        let live = is(mode, &TEAMS[..teams.len()]);
        let mut world = ibm(Instance { other_teams, protect, ..wants(wish) }, live);
        for ((want, past), name) in teams.into_iter().zip(TEAMS) {
            if let Some(want) = want {
                // The spec's own check: a team of a locked instance has no token to speak of.
                let locked = wish == Some(AuthMode::IamOnly);
                let want = if locked { plain_team() } else { want };
                want_mon(&mut world).teams.insert(team(name), want);
            }
            if let Some((days, known)) = past {
                let fingerprint = fp(&format!("key of {}", if known { name } else { "old" }));
                let past = Past {
                    issued_at: Some(days_ago(days)),
                    delivered: [(to(name).slot(), fingerprint.clone())].into(),
                    fingerprint: Some(fingerprint),
                    ..Past::default()
                };
                world = world.past(&team(name), past);
            }
        }
        world
    })
}

fn team_wish() -> impl Strategy<Value = Team> {
    let deliver = prop::collection::btree_set(select(TEAMS.to_vec()), 0..=2);
    (rotates(), deliver, prop::bool::weighted(0.05)).prop_map(|(rotate, deliver, protect)| Team {
        // A wish to rotate without a destination stops only the plan in which it comes due.
        rotate: rotate.filter(|_| !deliver.is_empty()),
        deliver: deliver.into_iter().map(to).collect(),
        protect,
        ..plain_team()
    })
}

/// Days since the issue that the ledger knows, and whether the key is still that one.
fn ledger() -> impl Strategy<Value = Option<(i64, bool)>> {
    option::of((0..200_i64, any::<bool>()))
}

fn user() -> impl Strategy<Value = World> {
    let named = (option::weighted(0.8, token_wish()), prop::collection::vec(live_token(), 0..=3));
    let past = option::weighted(0.3, (0..3_usize, any::<bool>(), any::<bool>()));
    prop::collection::vec((named, past), 1..=NAMES.len()).prop_map(|names| {
        let mut wants = Vec::new();
        let mut tokens: Vec<LiveToken> = Vec::new();
        let mut history = Vec::new();
        for (((want, lives), past), (name, n)) in names.into_iter().zip(NAMES.into_iter().zip(0..)) {
            let ids: Vec<u64> = (0..lives.len() as u64).map(|i| 1 + n + 3 * i).collect();
            for (((mut live, back, off), id), i) in lives.into_iter().zip(&ids).zip(0_usize..) {
                let linked = back.and_then(|back| ids.get(i.checked_sub(back)?)).map_or(0, |old| *old);
                live.note = if linked == 0 { name.into() } else { format!("{name} ;tf1 g=a{id} p={linked}") };
                if let Some((days, mark)) = off {
                    live.note = note::marked(&live.note, mark, days_ago(days));
                }
                tokens.push(LiveToken { id: *id, access_id: Some(format!("a{id}")), ..live });
            }
            if let Some((want, pin)) = want {
                wants.push((name, Token { id: pin.and_then(|i| ids.get(i)).copied(), ..want }));
            }
            history.extend(past.and_then(|(i, enabled, fed)| {
                let fingerprint = fed.then(|| fp(name));
                let delivered = fingerprint.iter().map(|f| (to("KEY").slot(), f.clone())).collect();
                let enabled = Some(enabled);
                let remote_id = Some(*ids.get(i)?);
                Some((token(name), Past { remote_id, enabled, fingerprint, delivered, ..Past::default() }))
            }));
        }
        tokens.sort_by_key(|t| t.id);
        let mut world = lm(wants, tokens);
        world.history.objects.extend(history);
        world
    })
}

/// A wish, and which of the live tokens of its name is pinned.
fn token_wish() -> impl Strategy<Value = (Token, Option<usize>)> {
    let statuses = vec![TokenStatus::Enabled, TokenStatus::Disabled, TokenStatus::Absent];
    let wish = (option::of(select(statuses)), rotates(), prop::bool::weighted(0.9));
    let rest = (prop::bool::weighted(0.05), option::weighted(0.3, 0..3_usize));
    (wish, rest).prop_map(|((status, rotate, delivers), (protect, pin))| {
        let deliver = if delivers { vec![to("KEY")] } else { Vec::new() };
        (Token { rotate, deliver, protect, ..wanted(status) }, pin)
    })
}

/// A live token, how many tokens back the one stands that its marker says it replaced, and a mark that
/// was written so many days ago.
fn live_token() -> impl Strategy<Value = (LiveToken, Option<usize>, Option<(i64, Mark)>)> {
    let age = option::weighted(0.9, 0..200_i64);
    let back = prop_oneof![8 => Just(1_usize), 1 => Just(2), 1 => Just(0)];
    let mark = option::weighted(0.4, (0..20_i64, select(vec![Mark::Off, Mark::Off, Mark::Back])));
    let used = option::weighted(0.8, 0..30_i64);
    let rest = (option::weighted(0.9, back), mark, used);
    (any::<bool>(), age, prop::bool::weighted(0.95), rest).prop_map(|(on, age, ours, (link, mark, used))| {
        let last_used_on = used.map(days_ago);
        let token = LiveToken { created_on: age.map(days_ago), last_used_on, ..live(0, "") };
        let created_by = if ours { "robot" } else { "someone" }.into();
        let token = LiveToken { created_by, ..token };
        (if on { token } else { disabled(token) }, link, mark)
    })
}
