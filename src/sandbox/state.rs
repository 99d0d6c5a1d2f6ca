//! Everything that changes while the sandbox runs, and the one function that answers a request.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::faults::{Action, Ending, Fault, strike};
use super::ibm::Desk;
use super::keeping::OnChange;
use super::logicmonitor::{self, Runtime};
use super::meddle::meddle;
use super::mint::MARKER;
use super::tape::{Outcome, Tape};
use super::wire::{Call, Reply};
use super::world::World;
use super::{control, hosts, ibm};
use crate::env::Clock;
use crate::model::vocabulary::Period;

/// The state behind the server's lock.
pub struct State {
    pub world: World,
    pub clock: Clock,
    pub tape: Tape,
    pub desk: Desk,
    pub runtimes: BTreeMap<String, Runtime>,
    pub on_change: Option<OnChange>,
    /// How far ahead the clock was when last told.
    pub kept_ahead: Period,
}

/// What the server does with an answer.
pub struct Answer {
    pub reply: Reply,
    pub ending: Ending,
    pub delay: Duration,
}

impl State {
    pub fn new(world: World, clock: Clock) -> Self {
        let tape = Tape::new(foreign_secrets(&world));
        let (desk, runtimes) = (Desk::default(), BTreeMap::new());
        let kept_ahead = world.ahead;
        Self { world, clock, tape, desk, runtimes, on_change: None, kept_ahead }
    }

    /// Answers one request, once what it has changed is kept.
    pub fn answer(&mut self, call: &Call) -> Answer {
        let before = self.mark();
        let answer = self.carry_out(call);
        self.keep(&before, call);
        answer
    }

    /// Due operators first, then faults, then the vendor.
    fn carry_out(&mut self, call: &Call) -> Answer {
        let now = self.now();
        self.operators(now);
        if call.path.starts_with(control::ROOT) {
            return Answer {
                reply: dated(control::answer(self, call), now),
                ending: Ending::Whole,
                delay: Duration::ZERO,
            };
        }
        let fault = strike(&mut self.world.faults, call);
        if let Some(Action::Meddle(what)) = &fault {
            // A rule that names something that isn't there changes nothing.
            let _ = meddle(&mut self.world, what, now);
        }
        let reply = match fault.as_ref().and_then(Action::instead) {
            Some(reply) => reply,
            None => after(fault.as_ref(), self.vendor(call, now)),
        };
        let ending = fault.as_ref().map_or(Ending::Whole, Action::ending);
        let delay = match &fault {
            Some(Action::Delay(delay)) => delay.as_duration(),
            Some(Action::Jitter(jitter)) => jitter.delay(),
            _ => Duration::ZERO,
        };
        let (status, about, effect) = (reply.status, (*reply.about).clone(), reply.effect);
        let fault = fault.as_ref().map(Action::name);
        self.tape.record(call, Outcome { at: now, status, about, effect, fault });
        Answer { reply: dated(reply, now), ending, delay }
    }

    /// The vendors' time.
    pub fn now(&self) -> Timestamp {
        let skew = SignedDuration::from_secs(self.world.skew_seconds);
        let now = self.clock.now();
        now.checked_add(skew).unwrap_or(now)
    }

    /// Lets operators do what is due by now.
    pub fn operators(&mut self, now: Timestamp) {
        let Self { world, tape, desk, .. } = self;
        desk.work(world, tape, now);
    }

    fn vendor(&mut self, call: &Call, now: Timestamp) -> Reply {
        let Self { world, desk, runtimes, .. } = self;
        let host = call.header("host").unwrap_or_default();
        if hosts::mistaken(host, &call.path) {
            return Reply::json(404, &json!({ "error": "this host has no such path", "path": call.path }));
        }
        if call.path.starts_with(logicmonitor::ROOT) {
            return logicmonitor::answer(world, runtimes, call, now);
        }
        ibm::answer(world, desk, call, now).unwrap_or_else(|| {
            Reply::json(404, &json!({ "error": "no vendor has this path", "path": call.path }))
        })
    }

    pub fn add_faults(&mut self, faults: Vec<Fault>) {
        self.world.faults.extend(faults);
    }

    /// Nothing goes wrong any more.
    pub fn lift_faults(&mut self) {
        self.world.faults.clear();
    }
}

/// What a fault does to a true reply.
fn after(fault: Option<&Action>, reply: Reply) -> Reply {
    match fault {
        Some(Action::ReplyAfter(canned)) => {
            let Reply { effect, about, .. } = reply;
            Reply { effect, about, ..canned.reply() }
        }
        Some(Action::V1) => logicmonitor::v1(reply),
        Some(Action::Truncate) => Reply { body: half(&reply.body), ..reply },
        _ => reply,
    }
}

/// Never the whole of a body, unless it is empty.
pub fn half(body: &[u8]) -> Vec<u8> {
    body[..body.len() / 2].to_vec()
}

/// `Date` is the sandbox's time: a client tells its clock's skew from it.
fn dated(reply: Reply, now: Timestamp) -> Reply {
    if reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("date")) {
        return reply;
    }
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    reply.header("Date", &date)
}

/// Secrets that the world file brought along: they don't hold the marker.
fn foreign_secrets(world: &World) -> Vec<String> {
    let ibm = world.ibm.values().flat_map(|account| {
        let teams = account.instances.values().flat_map(|instance| instance.teams.values());
        let keys = teams.flat_map(|team| team.key.iter().chain(team.members.values().flatten()));
        let profile = account.iam.trusted_profile.iter().filter_map(|profile| profile.cr_token.as_ref());
        account.api_key.iter().chain(profile).chain(keys)
    });
    let portals = world.logicmonitor.values().flat_map(|portal| portal.users.values());
    let tokens = portals.flat_map(|user| user.api_tokens.iter().chain(&user.bearer_tokens));
    let all = ibm.chain(tokens.filter_map(|token| token.key.as_ref()));
    all.filter(|secret| !secret.contains(MARKER) && !secret.is_empty()).cloned().collect()
}
