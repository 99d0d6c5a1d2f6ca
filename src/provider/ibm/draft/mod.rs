//! Pure: what an instance and its teams should be + what they are → changes and steps.

mod conditions;
mod drift;
mod effects;
mod steps;
mod unlock;

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::change::Action;
use crate::model::code;
use crate::model::evidence::{Covered, VisibleTeam, VisibleTeams};
use crate::model::finding::Finding;
use crate::model::step::{Delivery, Shape, StepId};
use crate::model::verb::Verb;
use crate::provider::age::age;
use crate::provider::draft::{Context, Draft, change, field};
use crate::provider::ibm::coverage::COVERED_FOR;
use crate::provider::ibm::state::{
    AuthMode, Connection, Instance, LiveInstance, LiveTeam, OtherTeams, Probe, Team,
};

/// One instance's wish and observation.
#[derive(Clone, Copy)]
struct Scene<'a> {
    cx: Context<'a>,
    address: &'a Address,
    connection: &'a Connection,
    want: &'a Instance,
    live: &'a LiveInstance,
}

/// What a declared instance amounts to.
pub fn instance(
    cx: Context<'_>,
    address: &Address,
    connection: &Connection,
    want: &Instance,
    live: &LiveInstance,
) -> Draft {
    let scene = Scene { cx, address, connection, want, live };
    let mut draft = Draft::default();
    draft.findings.extend(conditions::unaccepted(address, want));
    match mode(address, live) {
        _ if !want.manages_anything() => {}
        Ok(mode) => scene.compare(mode, &mut draft),
        Err(finding) => draft.findings.push(finding),
    }
    if !draft.changes.is_empty() {
        scene.preconditions(&mut draft);
        effects::of_instance(address, want.service, &mut draft);
        draft.live.push(scene.expect_instance());
    }
    draft
}

/// How many listed teams are visible.
pub fn seen(want: &Instance, live: &LiveInstance) -> usize {
    let visible = |(at, want): &(&Address, &Team)| live.teams.iter().any(|live| stands_for(at, want, live));
    want.teams.iter().filter(visible).count()
}

/// The declared team that a visible one is.
pub fn seen_as<'w>(want: &'w Instance, team: &LiveTeam) -> Option<&'w Team> {
    let hit = want.teams.iter().find(|(address, want)| stands_for(address, want, team));
    hit.map(|(_, want)| want)
}

/// Whether a declared team is a visible one: by pin, else by name.
fn stands_for(address: &Address, want: &Team, live: &LiveTeam) -> bool {
    match want.id {
        Some(id) => id == live.id,
        None => address.name() == live.name,
    }
}

/// The auth mode in force. The probe decides; the stored setting alone may be an older or a newer
/// request (contract ibm 2.5).
pub fn mode(address: &Address, live: &LiveInstance) -> Result<AuthMode, Finding> {
    let stored = match live.setting.as_deref() {
        None => None,
        Some("ANY") => Some(AuthMode::Any),
        Some("IAM_ONLY") => Some(AuthMode::IamOnly),
        Some(other) => {
            let message = format!("external_api_auth is `{other}`, which is neither ANY nor IAM_ONLY");
            return Err(Finding::new(code::IBM_UNKNOWN_AUTH_MODE, message).at(address));
        }
    };
    let probed = match live.probed {
        Probe::Any => Some(AuthMode::Any),
        Probe::IamOnly => Some(AuthMode::IamOnly),
        // with a stored setting it is one fact of two; alone it may be a missing permission
        Probe::Refused => stored.map(|_| AuthMode::IamOnly),
        Probe::Unknown => None,
    };
    match (stored, probed) {
        (Some(stored), Some(probed)) if stored != probed => Err(conflict(address, stored, probed)),
        (_, Some(mode)) | (Some(mode), None) => Ok(mode),
        (None, None) => {
            let message = match live.probed {
                Probe::Refused => {
                    "external_api_auth is not in the parameters, and the token read was refused without the \
                     words that are documented for IAM_ONLY: a permission may be missing"
                }
                _ => "external_api_auth is not in the parameters, and the token probe told nothing",
            };
            Err(Finding::new(code::PLAN_UNREADABLE, message).at(address))
        }
    }
}

fn conflict(address: &Address, stored: AuthMode, probed: AuthMode) -> Finding {
    let message = format!(
        "the instance's parameters say external_api_auth is {}, but a token read shows that {} is in force",
        stored.as_str(),
        probed.as_str()
    );
    Finding::new(code::IBM_MODE_CONFLICT, message).at(address)
}

impl<'a> Scene<'a> {
    fn compare(self, mode: AuthMode, draft: &mut Draft) {
        if self.unlocks() {
            self.break_glass(mode, draft);
            return;
        }
        if let Some(hold) = self.hold().filter(|_| mode == AuthMode::Any) {
            self.held(hold, draft);
            return;
        }
        if mode == AuthMode::Any || self.want.external_api_auth == Some(AuthMode::Any) {
            self.names(draft);
        }
        match (mode, self.want.external_api_auth) {
            (AuthMode::Any, Some(AuthMode::IamOnly)) => self.lock(draft),
            (AuthMode::IamOnly, Some(AuthMode::Any)) => self.unlock(draft),
            (AuthMode::IamOnly, Some(AuthMode::IamOnly)) => self.locked_already(draft),
            (AuthMode::IamOnly, None) => self.locked_out(draft),
            (AuthMode::Any, Some(AuthMode::Any) | None) => self.declared_teams(draft),
        }
    }

    /// `ANY → IAM_ONLY`: every visible team's token is reset and dropped, then the lock.
    fn lock(self, draft: &mut Draft) {
        let mut teams = Vec::new();
        for team in &self.live.teams {
            let listed = self.declared(team).is_some();
            let resets = listed || self.want.other_teams == OtherTeams::Reset;
            let ignored = !listed && self.want.other_teams == OtherTeams::Ignore;
            teams.push(VisibleTeam { address: self.team_address(team), id: team.id, ignored });
            // only tokens that would be reset are read
            if team.fingerprint.is_none() && resets {
                draft.findings.push(self.unread(team));
            }
            if let Some(covered) = self.covered(team).filter(|_| resets) {
                draft.covered.push(covered);
                draft.live.extend(self.expect_team(team));
                continue;
            }
            match (listed, self.want.other_teams) {
                (true, _) | (false, OtherTeams::Reset) => self.invalidate(team, listed, draft),
                (false, OtherTeams::Ignore) => draft.findings.push(self.not_covered(team)),
                (false, OtherTeams::Refuse) => draft.findings.push(self.unlisted(team)),
            }
        }
        self.switch(Verb::Lock, &self.why_locked(), &teams, draft);
        draft.visible_teams = Some(VisibleTeams { instance: self.address.clone(), teams });
    }

    /// The reset of the interrupted apply that covers a team: proved, at most 24 h old, and its key is
    /// the one that is read now (PRODUCT section 3, `lock-covers-all`).
    fn covered(self, team: &LiveTeam) -> Option<Covered> {
        let address = self.team_address(team);
        let step = StepId::new(Verb::Reset, &address, 1);
        let facts = self.cx.history.interrupted.as_ref()?.resets.get(&step)?;
        let (at, proof, fingerprint) = (facts.issued_at?, facts.proof?, facts.fingerprint.clone()?);
        let holds = facts.remote_id == Some(team.id)
            && team.fingerprint.as_ref() == Some(&fingerprint)
            && at <= self.cx.now
            && COVERED_FOR.after(at) >= self.cx.now;
        holds.then_some(Covered { address, team_id: team.id, step, at, fingerprint, proof })
    }

    /// `IAM_ONLY → ANY`: earlier tokens may work again, so each visible team is reset right after.
    fn unlock(self, draft: &mut Draft) {
        self.unlock_because("the spec wants API tokens accepted", draft);
    }

    fn unlock_because(self, reason: &str, draft: &mut Draft) {
        let visible =
            |team: &LiveTeam| VisibleTeam { address: self.team_address(team), id: team.id, ignored: false };
        let teams: Vec<_> = self.live.teams.iter().map(visible).collect();
        self.switch(Verb::Unlock, reason, &teams, draft);
        for team in &self.live.teams {
            match self.declared(team) {
                Some(want) if !want.deliver.is_empty() => {
                    let reason = "earlier tokens may work again after the unlock";
                    self.rotate(team, want, reason.into(), draft);
                }
                listed => self.invalidate(team, listed.is_some(), draft),
            }
        }
        draft.visible_teams = Some(VisibleTeams { instance: self.address.clone(), teams });
    }

    fn locked_already(self, draft: &mut Draft) {
        let unknown = self.unknown_teams();
        let teams: Vec<_> = unknown.iter().map(|t| t.name.as_str()).collect();
        if teams.is_empty() {
            return;
        }
        if let Some(locked_at) = self.locked_by_us() {
            draft.findings.extend(unknown.iter().map(|team| self.team_after_lock(team, locked_at)));
            return;
        }
        let message = format!(
            "locked already; the ledger does not say whether earlier tokens were reset in {}",
            teams.join(", ")
        );
        draft.findings.push(Finding::new(code::PLAN_TOKEN_HISTORY_UNKNOWN, message).at(self.address));
    }

    /// The mode is not managed and forbids reading tokens: wishes about tokens can't be met.
    fn locked_out(self, draft: &mut Draft) {
        for (address, team) in &self.want.teams {
            if team.rotate.is_some() || !team.deliver.is_empty() {
                let message = "the instance is IAM_ONLY, so the team's token can neither be read nor used";
                draft.findings.push(Finding::new(code::IBM_LOCKED_OUT, message).at(address));
            }
        }
    }

    fn declared_teams(self, draft: &mut Draft) {
        for team in &self.live.teams {
            let want = self.declared(team);
            if let Some(want) = want {
                self.token(team, want, draft);
            }
            if self.owed(team) && want.is_none_or(|want| want.deliver.is_empty()) {
                match self.is_just_unlocked() {
                    true => self.invalidate(team, want.is_some(), draft),
                    false => draft.findings.push(self.resets_owed(team)),
                }
            }
        }
    }

    /// Whether the interrupted apply that this plan goes on with unlocked the instance: the resets that
    /// follow were approved with that.
    fn is_just_unlocked(self) -> bool {
        self.cx.history.interrupted.as_ref().is_some_and(|apply| apply.unlocked.contains(self.address))
    }

    /// Whether an unlock of ours was not followed by the team's reset: the apply was interrupted.
    fn owed(self, team: &LiveTeam) -> bool {
        let past = self.cx.past(&self.team_address(team));
        let issued_at = past.issued_at.or(past.issued_after);
        let unlocked_at = self.cx.past(self.address).unlocked_at;
        unlocked_at.is_some_and(|unlocked| issued_at.is_none_or(|issued| issued < unlocked))
    }

    /// A token of an instance that stays `ANY`: rotated when due, else brought where it is missing.
    fn token(self, team: &LiveTeam, want: &Team, draft: &mut Draft) {
        let address = self.team_address(team);
        if team.fingerprint.is_none() && (want.rotate.is_some() || !want.deliver.is_empty()) {
            draft.findings.push(self.unread(team));
            return;
        }
        let past = self.cx.past(&address);
        draft.findings.extend(self.key_changed_outside(team, want, past));
        let issued = drift::issued(past, team);
        draft.ages.extend(want.rotate.as_ref().and_then(|rotate| age(&address, rotate, issued, self.cx.now)));
        let due = self.cx.due(&address, want.rotate.as_ref(), issued);
        match due {
            _ if self.owed(team) && !want.deliver.is_empty() => {
                let reason = "owed since the unlock: earlier tokens may work again";
                self.rotate(team, want, reason.into(), draft);
            }
            Some(due) => {
                let id = self.rotate(team, want, due.reason, draft);
                draft.unknown_age.extend(id.filter(|_| due.only_unknown_age));
            }
            None => self.deliver(team, want, &past.delivered, draft),
        }
    }

    /// A `single-slot` rotation.
    fn rotate(self, team: &LiveTeam, want: &Team, reason: String, draft: &mut Draft) -> Option<StepId> {
        let address = self.team_address(team);
        if want.deliver.is_empty() {
            let message = "the token is due for rotation, but has no `deliver`: the new value would be lost";
            draft.findings.push(Finding::new(code::PLAN_NO_DESTINATION, message).at(&address));
            return None;
        }
        let mut change = change(&address, "team_token", Action::Rotate, reason);
        change.fields.push(self.token_field(team));
        change.notes.push(self.whose(team, Some(want)));
        change.notes.push(format!(
            "outage from the reset until delivery to {}: the old value dies at once",
            slots(&want.deliver)
        ));
        let step = self.reset_step(team, Some(want), Shape::SingleSlot, want.deliver.clone(), draft);
        let id = step.id.clone();
        draft.push(change, vec![step]);
        Some(id)
    }

    /// An `invalidate` reset: the new value is dropped.
    fn invalidate(self, team: &LiveTeam, listed: bool, draft: &mut Draft) {
        let address = self.team_address(team);
        let locks = self.want.external_api_auth == Some(AuthMode::IamOnly) && !self.unlocks();
        let reason = match (locks, listed) {
            (true, true) => "reset before the instance is locked",
            (true, false) => "visible team, not listed: reset before the instance is locked",
            (false, _) => "earlier tokens may work again after the unlock",
        };
        let want = self.declared(team);
        let mut change = change(&address, "team_token", Action::Invalidate, reason);
        change.fields.push(self.token_field(team));
        change.notes.push(self.whose(team, want));
        let step = self.reset_step(team, want, Shape::Invalidate, Vec::new(), draft);
        draft.push(change, vec![step]);
    }

    /// Brings the key as it is to destinations that don't have it; no reset.
    fn deliver(
        self,
        team: &LiveTeam,
        want: &Team,
        delivered: &BTreeMap<String, crate::model::secret::Fingerprint>,
        draft: &mut Draft,
    ) {
        let lacks = |d: &&Delivery| {
            team.fingerprint.is_some() && delivered.get(&d.slot()) != team.fingerprint.as_ref()
        };
        let missing: Vec<Delivery> = want.deliver.iter().filter(lacks).cloned().collect();
        if missing.is_empty() {
            return;
        }
        let address = self.team_address(team);
        let never = missing.iter().all(|d| !delivered.contains_key(&d.slot()));
        let reason = match never {
            true => format!("never delivered to {}", slots(&missing)),
            false => format!("{} does not hold the present value", slots(&missing)),
        };
        let mut change = change(&address, "team_token", Action::Deliver, reason);
        change.notes.push(self.whose(team, Some(want)));
        let step = self.deliver_step(team, want, missing, draft);
        draft.push(change, vec![step]);
    }

    fn switch(self, verb: Verb, reason: &str, teams: &[VisibleTeam], draft: &mut Draft) {
        let (action, before, to) = match verb {
            Verb::Lock => (Action::Lock, AuthMode::Any, AuthMode::IamOnly),
            _ => (Action::Unlock, AuthMode::IamOnly, AuthMode::Any),
        };
        let drift = self.mode_changed_outside(before, to);
        let reason = match drift {
            Some(_) => format!("drift: changed outside since tokenform set it; {reason}"),
            None => reason.to_owned(),
        };
        draft.findings.extend(drift);
        let mut change = change(self.address, self.want.service.as_str(), action, reason);
        change.fields.push(field("external_api_auth", Some(before.as_str()), Some(to.as_str())));
        if let Some(parameters) = &self.live.parameters {
            change.notes.push(format!("sent whole, other settings unchanged: {parameters}"));
        }
        match verb {
            Verb::Lock => change.notes.push(
                "everything that authenticates with an API token stops: Prometheus remote write, PromQL over HTTP, scripts"
                    .into(),
            ),
            _ => change.notes.extend(self.after_unlock()),
        }
        change.notes.extend(self.connected());
        let step = self.switch_step(verb, to, teams);
        draft.push(change, vec![step]);
    }

    /// A connected Monitoring and Workload Protection pair shares one backend; whether the mode of one
    /// affects the other is unknown (contract ibm 4.4).
    fn connected(self) -> Option<String> {
        const KEYS: [&str; 2] =
            ["workload_protection_connected_instance", "cloud_monitoring_connected_instance"];
        let parameters = self.live.parameters.as_deref()?;
        let is_there = KEYS.iter().any(|key| parameters.contains(&format!("\"{key}\"")));
        is_there.then(|| {
            "connected to an instance of the other service: whether this affects that one is not documented"
                .into()
        })
    }

    /// The declared team that a visible one is.
    fn declared(self, team: &LiveTeam) -> Option<&'a Team> {
        seen_as(self.want, team)
    }

    fn team_address(self, team: &LiveTeam) -> Address {
        self.want.team_address(self.address, team)
    }

    fn whose(self, team: &LiveTeam, want: Option<&Team>) -> String {
        let identity = want.and_then(|w| w.owner.as_deref()).unwrap_or(&self.live.identity);
        let others = team.user_count.map_or(String::new(), |n| match n.saturating_sub(1) {
            0 => String::new(),
            n => format!("; {n} other members may hold tokens of their own"),
        });
        format!("token of {identity} in {}{others}", team.name)
    }

    fn token_field(self, team: &LiveTeam) -> crate::model::change::Field {
        let before = match &team.fingerprint {
            Some(fingerprint) => format!("(fingerprint {})", fingerprint.short()),
            None => "(can't be read while IAM_ONLY)".into(),
        };
        field("token", Some(&before), Some("(known after apply)"))
    }
}

fn slots(deliveries: &[Delivery]) -> String {
    deliveries.iter().map(Delivery::slot).collect::<Vec<_>>().join(", ")
}
