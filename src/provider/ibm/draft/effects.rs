//! Whose token stops with a reset, and who is stopped by a lock (contract ibm 4.5).

use crate::model::address::Address;
use crate::model::effect::{Certainty, EffectSort, SideEffect};
use crate::model::step::Shape;
use crate::model::verb::Verb;
use crate::provider::draft::Draft;
use crate::provider::ibm::state::Service;

/// Who holds API tokens, and how sure it is that a lock stops them, too.
fn consumers(service: Service) -> &'static [(&'static str, Certainty)] {
    use Certainty::{Assumed, Documented, Inferred};
    match service {
        Service::Monitoring => &[
            ("Prometheus remote write with the token", Assumed),
            ("the Windows agent bundle, which has remote write inside", Assumed),
            ("Code Engine metrics collectors and Terraform samples that keep the token", Documented),
            (
                "Grafana data sources, PromQL over HTTP, sdcclient scripts, posted events, Terraform with \
                 sysdig_monitor_api_token",
                Documented,
            ),
        ],
        Service::WorkloadProtection => &[
            (
                "the admission controller, scanners, Helm's secureAPIToken, API calls with access keys",
                Inferred,
            ),
            ("sdcclient scripts, Terraform with sysdig_secure_api_token", Documented),
        ],
    }
}

const UNTOUCHED: &str = "agents and collectors, which have access keys, and clients with IAM tokens";

/// What the changes of one instance do to consumers.
pub(super) fn of_instance(instance: &Address, service: Service, draft: &mut Draft) {
    let steps = || draft.changes.iter().flat_map(|drafted| &drafted.steps);
    let at = |shape| -> Vec<Address> {
        let resets = steps().filter(|step| step.verb == Verb::Reset && step.shape == Some(shape));
        resets.map(|step| step.address.clone()).collect()
    };
    let (replaced, dropped) = (at(Shape::SingleSlot), at(Shape::Invalidate));
    let locks = steps().any(|step| step.verb == Verb::Lock && step.address == *instance);
    let mut effects = Vec::new();
    for (who, under_lock) in consumers(service) {
        let mut add = |says: &str, certainty: Certainty, at: Vec<Address>| {
            let effect = SideEffect::new(EffectSort::Breaks, *who, says, at);
            effects.push(SideEffect { certainty, ..effect });
        };
        add("stops with the reset, until it has the new value", Certainty::Documented, replaced.clone());
        add("stops with the reset", Certainty::Documented, dropped.clone());
        if locks {
            add("is refused under IAM_ONLY, whatever token it has", *under_lock, vec![instance.clone()]);
        }
    }
    let at = [replaced, dropped].concat();
    effects.push(SideEffect::new(EffectSort::Works, UNTOUCHED, "a reset does not touch them", at));
    draft.effects.extend(effects.into_iter().filter(|effect| !effect.at.is_empty()));
}
