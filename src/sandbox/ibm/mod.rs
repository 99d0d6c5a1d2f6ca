//! IBM's half of the double: IAM, the resource controller and the Sysdig API (contract ibm).

pub mod behaviour;
mod body;
pub mod estate;
mod iam;
mod operator;
mod reset;
mod resource_controller;
mod sysdig;

use jiff::Timestamp;

pub use operator::{Desk, Watch};
pub use resource_controller::ROOT as INSTANCES;

use super::wire::{Call, Reply};
use super::world::World;
use estate::{Account, Instance};

/// Answers a request to any of the three APIs; `None` if its path is none of theirs.
pub fn answer(world: &mut World, desk: &mut Desk, call: &Call, now: Timestamp) -> Option<Reply> {
    let path = call.path.as_str();
    if let Some(reply) = reset::answer(world, call, now) {
        return Some(reply);
    }
    if path == "/identity/token" || path == "/oidc/token" {
        return Some(iam::grant(world, call, now));
    }
    if path.starts_with("/v2/resource_instances") {
        return Some(resource_controller::answer(world, call, now));
    }
    path.starts_with("/api/").then(|| sysdig::answer(world, desk, call, now))
}

/// Where an instance stands in a world: its connection and its key there.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    connection: String,
    key: String,
}

impl Place {
    fn account<'a>(&self, world: &'a World) -> Option<&'a Account> {
        world.ibm.get(&self.connection)
    }

    fn instance<'a>(&self, world: &'a World) -> Option<&'a Instance> {
        self.account(world)?.instances.get(&self.key)
    }

    fn instance_mut<'a>(&self, world: &'a mut World) -> Option<&'a mut Instance> {
        world.ibm.get_mut(&self.connection)?.instances.get_mut(&self.key)
    }
}

/// All instances of an account id, in whichever connection they stand.
fn instances<'a>(
    world: &'a World,
    account: &'a str,
) -> impl Iterator<Item = (Place, &'a Account, &'a Instance)> + 'a {
    let accounts = world.ibm.iter().filter(move |(_, found)| found.id() == account);
    accounts.flat_map(|(connection, found)| {
        let place = |key: &String| Place { connection: connection.clone(), key: key.clone() };
        found.instances.iter().map(move |(key, instance)| (place(key), found, instance))
    })
}

/// The instance of that GUID or CRN in an account.
fn find(world: &World, account: &str, id: &str) -> Option<Place> {
    let mut all = instances(world, account);
    all.find(|(_, found, instance)| instance.guid() == id || instance.crn(found.id()) == id)
        .map(|(place, _, _)| place)
}
