//! The person at the console, who resets a team's token some time after having been asked.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Place;
use crate::sandbox::tape::{Outcome, Tape};
use crate::sandbox::wire::{About, Effect};
use crate::sandbox::world::World;

/// What the operators have been asked to do, and what they have noticed.
#[derive(Default)]
pub struct Desk {
    watches: Vec<Watch>,
    /// Reads of a key by one IAM token: (token, guid, team).
    reads: BTreeMap<(String, String, u64), u32>,
}

/// One reset that an operator has been asked for.
pub struct Watch {
    place: Place,
    team: u64,
    due: Timestamp,
}

/// Why nobody can be asked.
#[derive(Debug, PartialEq, Eq)]
pub enum NotWatched {
    NoSuchTeam,
    NoOperator,
}

impl Desk {
    /// Asks the operator of an instance to reset a team's token. Asking twice before it is done
    /// is asking once.
    pub fn watch(&mut self, world: &World, guid: &str, team: u64, now: Timestamp) -> Result<(), NotWatched> {
        let (place, after) = find(world, guid, team)?;
        let due = after.after(now);
        if !self.watches.iter().any(|watch| watch.place == place && watch.team == team) {
            self.watches.push(Watch { place, team, due });
        }
        Ok(())
    }

    /// Notes that an IAM token has read a team's key; a tool that polls gets the operator going.
    pub(super) fn noticed(&mut self, world: &World, jti: &str, guid: &str, team: u64, now: Timestamp) {
        let reads = self.reads.entry((jti.to_owned(), guid.to_owned(), team)).or_default();
        *reads += 1;
        let reads = *reads;
        let operator = world.ibm.values().find_map(|account| {
            let own = account.instances.values().any(|instance| instance.guid() == guid);
            own.then_some(account.operator.as_ref()).flatten()
        });
        if operator.and_then(|operator| operator.after_reads) == Some(reads) {
            // The team exists: its key has just been read.
            let _ = self.watch(world, guid, team, now);
        }
    }

    /// Does what is due, and puts it on the tape.
    pub fn work(&mut self, world: &mut World, tape: &mut Tape, now: Timestamp) {
        let (due, later) = std::mem::take(&mut self.watches).into_iter().partition(|watch| watch.due <= now);
        self.watches = later;
        let due: Vec<Watch> = due;
        for watch in due {
            watch.reset(world, tape);
        }
    }
}

impl Watch {
    fn reset(self, world: &mut World, tape: &mut Tape) {
        let key = world.mint.sysdig_key();
        let Some(instance) = self.place.instance_mut(world) else { return };
        let guid = instance.guid().to_owned();
        let Some(team) = instance.team_mut(self.team) else { return };
        team.key = Some(key);
        let about = About {
            actor: "operator".to_owned(),
            instance: Some(guid),
            team: Some(self.team),
            ..About::default()
        };
        let outcome = Outcome { at: self.due, status: 200, about, effect: Effect::Reset, fault: None };
        tape.record_operator("Settings > Sysdig API Token > Reset Token", outcome);
    }
}

fn find(
    world: &World,
    guid: &str,
    team: u64,
) -> Result<(Place, crate::model::vocabulary::Period), NotWatched> {
    for (connection, account) in &world.ibm {
        for (key, instance) in &account.instances {
            if instance.guid() == guid && instance.team(team).is_some() {
                let operator = account.operator.as_ref().ok_or(NotWatched::NoOperator)?;
                let place = Place { connection: connection.clone(), key: key.clone() };
                return Ok((place, operator.resets_after));
            }
        }
    }
    Err(NotWatched::NoSuchTeam)
}
