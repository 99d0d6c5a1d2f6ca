//! What a plan is judged and bound by: declared IBM objects, as they are wished and as they are live.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::evidence::{EstateInstance, Managed};
use crate::model::observed::Observed;
use crate::provider::fields::Bound;
use crate::provider::ibm::client::origin;
use crate::provider::ibm::draft::seen;
use crate::provider::ibm::state::{AuthMode, Instance, LiveInstance, LiveTeam, Probe, Team};
use crate::provider::state::{Desired, Snapshot};

/// How many declared objects of each connection are live.
pub fn managed(desired: &Desired, snapshot: &Snapshot) -> Vec<Managed> {
    let row = |(at, connection): (&Address, &super::state::Connection)| {
        let live = |(at, want)| Some((want, present(snapshot, at)?));
        let instances: Vec<(&Instance, _)> = connection.instances.iter().filter_map(live).collect();
        Managed {
            connection: at.clone(),
            tokens: instances.iter().map(|(want, live)| seen(want, live)).sum(),
            instances: instances.iter().filter(|(want, _)| want.external_api_auth.is_some()).count(),
        }
    };
    desired.ibm.iter().map(row).collect()
}

/// Addresses of declared objects. A switched instance covers all its teams.
pub fn scope(desired: &Desired) -> Vec<Address> {
    let mut scope = Vec::new();
    for (address, want) in instances(desired) {
        scope.extend(want.external_api_auth.map(|_| address.clone()));
        scope.extend(want.teams.keys().cloned());
    }
    scope
}

/// Addresses under `protect: true`.
pub fn protected(desired: &Desired) -> Vec<Address> {
    let mut protected = Vec::new();
    for (address, want) in instances(desired) {
        protected.extend(want.protect.then(|| address.clone()));
        protected.extend(want.teams.iter().filter(|(_, t)| t.protect).map(|(a, _)| a.clone()));
    }
    protected
}

/// What the spec holds against rotating a team's token at once.
pub fn cant_rotate(instance: &Instance, team: &Team) -> Option<&'static str> {
    if instance.external_api_auth == Some(AuthMode::IamOnly) {
        Some("its instance is to refuse API tokens: a lock resets them all")
    } else if instance.protect || team.protect {
        Some("it is protected")
    } else if team.deliver.is_empty() {
        Some("it has no `deliver`, so the new value would be lost")
    } else {
        None
    }
}

/// What binds a plan to live instances, and to their teams whose token was read.
pub fn bound<'s>(
    desired: &Desired,
    snapshot: &'s Snapshot,
    asked: &BTreeSet<&Address>,
) -> Vec<(Address, Bound<'s>)> {
    let mut rows = Vec::new();
    for (address, want) in instances(desired) {
        if let Some(live) = present(snapshot, address) {
            if asked.contains(address) {
                rows.push((address.clone(), Bound::Instance(live)));
            }
            let team = |team: &'s LiveTeam| {
                let address = want.team_address(address, team);
                asked.contains(&address).then(|| (address, Bound::Team(team, &live.guid)))
            };
            rows.extend(live.teams.iter().filter(|t| t.fingerprint.is_some()).filter_map(team));
        }
    }
    rows
}

/// What of a snapshot can't be what the spec means now: it was read for another wish.
pub fn read_for_another(desired: &Desired, snapshot: &Snapshot) -> Vec<(Address, String)> {
    let mut findings = Vec::new();
    for connection in desired.ibm.values() {
        for (address, want) in &connection.instances {
            let Some(live) = present(snapshot, address) else { continue };
            let differs = |name: &str, wanted: Option<&str>, is: &str| {
                let other = wanted.filter(|wanted| *wanted != is)?;
                Some((address.clone(), format!("its {name} is {is} there, and the spec says {other}")))
            };
            findings.extend(differs("guid", want.guid.as_deref(), &live.guid));
            findings.extend(differs("region", want.region.as_deref(), &live.region));
            findings.extend(differs("service", Some(want.service.as_str()), live.service.as_str()));
            findings.extend(differs("account", connection.account.as_deref(), &live.account));
        }
    }
    findings
}

/// Declared instances as they are wanted and as they are.
pub fn estate(desired: &Desired, snapshot: &Snapshot) -> Vec<EstateInstance> {
    let row = |(address, want): (&Address, &Instance)| {
        let live = present(snapshot, address)?;
        let probed = match live.probed {
            Probe::Any => Some(AuthMode::Any.as_str().to_owned()),
            Probe::IamOnly => Some(AuthMode::IamOnly.as_str().to_owned()),
            Probe::Refused | Probe::Unknown => live.setting.clone(),
        };
        Some(EstateInstance {
            address: address.clone(),
            service: want.service.as_str().to_owned(),
            region: live.region.clone(),
            wanted_external_api_auth: want.external_api_auth.map(|mode| mode.as_str().to_owned()),
            live_external_api_auth: probed,
        })
    };
    instances(desired).filter_map(row).collect()
}

/// The origins of live instances, which follow from the spec and the region.
pub fn place(desired: &Desired, snapshot: &mut Snapshot) {
    for connection in desired.ibm.values() {
        for (address, want) in &connection.instances {
            if let Some(Observed::Present(live)) = snapshot.instances.get_mut(address) {
                live.origin = origin(connection, want, &live.region);
            }
        }
    }
}

fn instances(desired: &Desired) -> impl Iterator<Item = (&Address, &Instance)> {
    desired.ibm.values().flat_map(|connection| &connection.instances)
}

fn present<'a>(snapshot: &'a Snapshot, address: &Address) -> Option<&'a LiveInstance> {
    snapshot.instances.get(address).and_then(Observed::present)
}
