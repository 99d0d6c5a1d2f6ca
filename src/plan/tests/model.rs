//! A model of the vendors in a few lines: what each step does to live state and to the ledger.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::address::Address;
use crate::model::history::Past;
use crate::model::observed::Observed;
use crate::model::secret::Fingerprint;
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::plan::document::Plan;
use crate::plan::sample::{World, fp, live};
use crate::provider::ibm::state::{AuthMode, HeaderProof, LiveInstance, Probe};
use crate::provider::logicmonitor::note::{self, Mark};
use crate::provider::logicmonitor::state::{DISABLED, ENABLED, LiveToken, LiveUser};

/// A world in which steps have their effects.
pub struct Model {
    pub world: World,
    /// Keys of teams, which a locked instance does not show.
    keys: BTreeMap<(Address, u64), Fingerprint>,
    minted: u64,
}

impl Model {
    pub fn new(world: World) -> Self {
        Self { world, keys: BTreeMap::new(), minted: 0 }
    }

    /// Applies the first `count` steps of a plan.
    pub fn apply(&mut self, plan: &Plan, count: usize) {
        let mut reset = BTreeSet::new();
        for step in plan.steps.iter().take(count) {
            if step.verb == Verb::Reset {
                reset.insert((step.address.lane(), step.params["team_id"].clone()));
            }
            if step.verb == Verb::Lock {
                self.all_reset(step, &reset);
            }
            self.step(step);
        }
    }

    /// What `lock-covers-all` promises, asked of the live teams and not of the plan.
    fn all_reset(&mut self, lock: &Step, reset: &BTreeSet<(Address, String)>) {
        let ignored: Vec<String> = lock.params["ignored_teams"].split(',').map(str::to_owned).collect();
        for team in &self.instance(&lock.address).teams {
            let id = team.id.to_string();
            let done = ignored.contains(&id) || reset.contains(&(lock.address.clone(), id));
            assert!(done, "{} is locked, but {} was not reset", lock.address, team.name);
        }
    }

    fn step(&mut self, step: &Step) {
        match step.verb {
            Verb::Reset => self.reset(step),
            Verb::Deliver => {
                let fingerprint = self.team_key(step);
                self.deliver(step, &fingerprint);
            }
            Verb::Lock => self.switch(&step.address, AuthMode::IamOnly),
            Verb::Unlock => self.switch(&step.address, AuthMode::Any),
            Verb::Issue => self.issue(step),
            Verb::Enable => self.status(step, ENABLED),
            Verb::Disable => self.status(step, DISABLED),
            Verb::Delete => {
                let id = token_id(step);
                self.user(step).tokens.retain(|t| t.id != id);
                if step.shape == Some(Shape::Replace) {
                    let past = self.past(&step.address);
                    match step.params.get("successor") {
                        Some(new) => drop(past.replaced.insert((new.parse().unwrap(), id))),
                        None => {
                            let replaced = std::mem::take(&mut past.replaced);
                            *past = Past { replaced, removed: Some(id), ..Past::default() };
                        }
                    }
                }
            }
            Verb::Protect | Verb::Unprotect => {
                self.past(&step.address).protected = step.verb == Verb::Protect;
            }
        }
    }

    fn reset(&mut self, step: &Step) {
        let fingerprint = self.mint();
        let team: u64 = step.params["team_id"].parse().unwrap();
        let instance = self.instance(&step.address.lane());
        assert_eq!(instance.probed, Probe::Any, "a locked instance refuses a reset");
        let live = instance.teams.iter_mut().find(|t| t.id == team).unwrap();
        assert_ne!(live.fingerprint, Some(fingerprint.clone()));
        live.fingerprint = Some(fingerprint.clone());
        let now = self.world.now();
        let past = self.past(&step.address);
        (past.issued_at, past.fingerprint) = (Some(now), Some(fingerprint.clone()));
        if step.shape != Some(Shape::Invalidate) {
            self.deliver(step, &fingerprint);
        }
    }

    fn switch(&mut self, address: &Address, mode: AuthMode) {
        let mut keys = std::mem::take(&mut self.keys);
        let live = self.instance(address);
        let open = mode == AuthMode::Any;
        (live.setting, live.probed) =
            (Some(mode.as_str().into()), if open { Probe::Any } else { Probe::IamOnly });
        live.header = if open { HeaderProof::Proven } else { HeaderProof::AfterUnlock };
        for team in &mut live.teams {
            let at = (address.clone(), team.id);
            match team.fingerprint.take() {
                Some(key) => drop(keys.insert(at, key)),
                None => {
                    team.fingerprint = keys.remove(&at).or_else(|| Some(fp(&format!("hidden {}", team.id))))
                }
            }
        }
        self.keys = keys;
    }

    fn issue(&mut self, step: &Step) {
        let fingerprint = self.mint();
        let id = 1000 + self.minted;
        let predecessor = step.params["predecessor"].parse().ok().filter(|id| *id != 0);
        let now = self.world.now();
        let text = note::issued(step.address.name(), &format!("n{id}"), predecessor);
        let token = LiveToken { created_on: Some(now), last_used_on: None, ..live(id, &text) };
        self.user(step).tokens.push(token);
        let past = self.past(&step.address);
        (past.remote_id, past.enabled, past.removed) = (Some(id), Some(true), None);
        past.replaced.extend(predecessor.map(|old| (id, old)));
        (past.issued_at, past.fingerprint) = (Some(now), Some(fingerprint.clone()));
        self.deliver(step, &fingerprint);
    }

    fn status(&mut self, step: &Step, status: i64) {
        let (id, now) = (token_id(step), self.world.now());
        let mark = step.params.get("mark").and_then(|word| Mark::parse(word));
        let token = self.user(step).tokens.iter_mut().find(|t| t.id == id).unwrap();
        token.status = status;
        if let Some(mark) = mark {
            assert_eq!(step.params["note"], token.note);
            token.note = note::marked(&token.note, mark, now);
        }
        if !step.params.contains_key("successor") {
            self.past(&step.address).enabled = Some(status == ENABLED);
        }
    }

    fn deliver(&mut self, step: &Step, fingerprint: &Fingerprint) {
        assert!(!step.destinations.is_empty(), "{} loses a secret", step.id);
        let slots = step.destinations.iter().map(|d| (d.slot(), fingerprint.clone()));
        let slots: Vec<_> = slots.collect();
        self.past(&step.address).delivered.extend(slots);
    }

    fn team_key(&mut self, step: &Step) -> Fingerprint {
        let team: u64 = step.params["team_id"].parse().unwrap();
        let teams = &self.instance(&step.address.lane()).teams;
        teams.iter().find(|t| t.id == team).unwrap().fingerprint.clone().unwrap()
    }

    fn mint(&mut self) -> Fingerprint {
        self.minted += 1;
        fp(&format!("minted {}", self.minted))
    }

    fn past(&mut self, address: &Address) -> &mut Past {
        self.world.history.head = Some("00".into());
        self.world.history.objects.entry(address.clone()).or_default()
    }

    fn instance(&mut self, address: &Address) -> &mut LiveInstance {
        match self.world.snapshot.instances.get_mut(address) {
            Some(Observed::Present(live)) => live,
            _ => panic!("{address} is not there"),
        }
    }

    fn user(&mut self, step: &Step) -> &mut LiveUser {
        match self.world.snapshot.users.get_mut(&step.address.lane()) {
            Some(Observed::Present(live)) => live,
            _ => panic!("{} has no owner", step.address),
        }
    }
}

fn token_id(step: &Step) -> u64 {
    step.params["token_id"].parse().unwrap()
}
