//! The closed list of kinds, and the matches that send an object to its vendor.

use super::draft::{Context, Draft};
use super::state::{Desired, Snapshot};
use super::{ibm, logicmonitor};
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::observed::Observed;

/// One draft per declared owner: wish and observation are both in address order and are joined.
pub fn drafts(cx: Context<'_>, desired: &Desired, snapshot: &Snapshot) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for connection in desired.ibm.values() {
        for (address, want) in &connection.instances {
            let draft = |live: &_| ibm::draft::instance(cx, address, connection, want, live);
            drafts.push(observed(address, snapshot.instances.get(address), draft));
        }
    }
    for (at, connection) in &desired.logicmonitor {
        let caller = snapshot.callers.get(at).cloned().unwrap_or_default();
        for (address, want) in &connection.users {
            let draft = |live: &_| logicmonitor::draft::user(cx, address, connection, want, live, &caller);
            drafts.push(observed(address, snapshot.users.get(address), draft));
        }
    }
    drafts
}

/// Drafts only what was read; says why where it was not.
fn observed<T>(address: &Address, live: Option<&Observed<T>>, draft: impl Fn(&T) -> Draft) -> Draft {
    let finding = match live {
        Some(Observed::Present(live)) => return draft(live),
        Some(Observed::Unreadable(finding)) => (**finding).clone(),
        Some(Observed::Absent) => {
            let message = format!("there is no `{}` on the vendor's side", address.name());
            let code = if address.vendor() == logicmonitor::VENDOR {
                code::PLAN_USER_MISSING
            } else {
                code::PLAN_NAME_NOT_FOUND
            };
            Finding::new(code, message).at(address)
        }
        None => Finding::new(code::PLAN_UNREADABLE, "it was not read").at(address),
    };
    Draft { findings: vec![finding], ..Draft::default() }
}

/// Addresses of declared objects: no step may leave them. An instance whose mode is managed
/// covers all its teams; otherwise only the listed teams are in scope.
pub fn scope(desired: &Desired) -> Vec<Address> {
    let mut scope = Vec::new();
    for (address, want) in desired.ibm.values().flat_map(|c| &c.instances) {
        match want.external_api_auth {
            Some(_) => scope.push(address.clone()),
            None => scope.extend(want.teams.keys().cloned()),
        }
    }
    for user in desired.logicmonitor.values().flat_map(|c| c.users.values()) {
        scope.extend(user.tokens.keys().cloned());
    }
    scope
}

/// Addresses under `protect: true`.
pub fn protected(desired: &Desired) -> Vec<Address> {
    let mut protected = Vec::new();
    for (address, want) in desired.ibm.values().flat_map(|c| &c.instances) {
        protected.extend(want.protect.then(|| address.clone()));
        protected.extend(want.teams.iter().filter(|(_, t)| t.protect).map(|(a, _)| a.clone()));
    }
    for (address, want) in desired.logicmonitor.values().flat_map(|c| &c.users) {
        protected.extend(want.protect.then(|| address.clone()));
        protected.extend(want.tokens.iter().filter(|(_, t)| t.protect).map(|(a, _)| a.clone()));
    }
    protected
}
