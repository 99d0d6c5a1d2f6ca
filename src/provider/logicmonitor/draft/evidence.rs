//! How it is known that consumers have a new token (PRODUCT section 2; contract logicmonitor 9.2).

use jiff::Timestamp;

use super::Scene;
use crate::model::guard::KnownBy;
use crate::model::vocabulary::Period;
use crate::provider::logicmonitor::state::LiveToken;

/// A use this soon after the creation can be tokenform's own probe.
const PROBED: Period = Period::seconds(600);

/// Until when a use can be the probe's.
pub fn probed_until(issued_at: Timestamp) -> Timestamp {
    PROBED.after(issued_at)
}

/// The evidence; or, for people, why there is none.
pub fn in_use(scene: Scene<'_>, new: &LiveToken, issued_at: Timestamp) -> Result<KnownBy, String> {
    let stated = scene.want.rotate.as_ref().and_then(|rotate| rotate.consumers_moved);
    if let Some(consumers_moved) = stated.filter(|moved| *moved > issued_at) {
        return Ok(KnownBy::Spec { consumers_moved });
    }
    match delivered(scene, new) {
        Some(Ok(slots)) => Ok(KnownBy::Ledger { delivered: slots }),
        Some(Err(slot)) => Err(format!("{slot} does not have it")),
        None => live(scene, new, issued_at),
    }
}

/// What the ledger says: every declared slot has this token's value, or the first that has not.
/// `None`: it knows nothing of this token.
fn delivered(scene: Scene<'_>, new: &LiveToken) -> Option<Result<Vec<String>, String>> {
    let past = scene.cx.past(scene.address);
    let value = past.fingerprint.as_ref().filter(|_| past.remote_id == Some(new.id))?;
    let slots: Vec<String> = scene.want.deliver.iter().map(|d| d.slot()).collect();
    let lacks = slots.iter().find(|slot| past.delivered.get(*slot) != Some(value)).cloned();
    match lacks {
        Some(slot) => Some(Err(slot)),
        None if slots.is_empty() => None,
        None => Some(Ok(slots)),
    }
}

/// What the portal shows: a use later than the probe, and from elsewhere.
fn live(scene: Scene<'_>, new: &LiveToken, issued_at: Timestamp) -> Result<KnownBy, String> {
    let ours = &scene.owners.first.our_ips;
    let id = new.id;
    let Some(used_on) = new.last_used_on.filter(|at| *at > probed_until(issued_at)) else {
        return Err(format!(
            "the ledger does not know that it was delivered, and it was not used later than {PROBED} after its creation, which can be tokenform's own probe"
        ));
    };
    match &new.last_auth_ip {
        _ if ours.is_empty() => Err(format!(
            "id {id} was used at {used_on}, but the portal does not show tokenform's own address to tell its probe by"
        )),
        None => Err(format!("id {id} was used at {used_on}, but the portal does not tell from where")),
        Some(ip) if ours.contains(ip) => {
            Err(format!("id {id} was used at {used_on}, but from {ip}, which is tokenform's own address"))
        }
        Some(ip) => Ok(KnownBy::Live { used_on, ip: ip.clone() }),
    }
}
