//! Whom the portal mails, and when the tokens were last used that are replaced or taken away.

use std::collections::BTreeMap;

use crate::model::effect::{EffectSort, SideEffect};
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::provider::draft::{Context, Draft};
use crate::provider::logicmonitor::draft::used;
use crate::provider::logicmonitor::state::{LiveToken, LiveUser};

/// What the changes of one user's tokens do besides. `lenders` are the second owners of some of them, by id.
pub(super) fn of_user(
    cx: Context<'_>,
    live: &LiveUser,
    lenders: &BTreeMap<u64, &LiveUser>,
    draft: &mut Draft,
) {
    let steps: Vec<&Step> = draft.changes.iter().flat_map(|drafted| &drafted.steps).collect();
    let mut effects = Vec::new();
    for step in &steps {
        if let Some((user, token)) = gone(step, live, lenders) {
            let says = used(token, cx.now);
            let who = format!("{} of {}", step.address.name(), user.username);
            let effect = SideEffect::new(EffectSort::LastUse, who, says, vec![step.address.clone()]);
            effects.push(SideEffect {
                last_used_on: token.last_used_on,
                last_auth_ip: token.last_auth_ip.clone(),
                ..effect
            });
        }
    }
    let mailed = |step: &&&Step| matches!(step.verb, Verb::Issue | Verb::Enable | Verb::Disable);
    for user in [live].iter().chain(lenders.values()).filter(|user| user.has_email) {
        let own = |step: &&&Step| holder(step, live, lenders).id == user.id;
        let at: Vec<_> = steps.iter().filter(mailed).filter(own).map(|step| step.address.clone()).collect();
        if !at.is_empty() {
            let says = "LogicMonitor mails a token's owner when it is made, enabled or disabled";
            effects.push(SideEffect::new(EffectSort::Mail, user.username.clone(), says, at));
        }
    }
    draft.effects.extend(effects);
}

/// Whose token a step makes or changes.
fn holder<'a>(step: &Step, live: &'a LiveUser, lenders: &BTreeMap<u64, &'a LiveUser>) -> &'a LiveUser {
    let id = step.params.get("token_owner").and_then(|id| id.parse().ok());
    id.and_then(|id: u64| lenders.get(&id).copied()).unwrap_or(live)
}

/// The live token that a step replaces, disables or deletes, and whose it is.
fn gone<'a>(
    step: &Step,
    live: &'a LiveUser,
    lenders: &BTreeMap<u64, &'a LiveUser>,
) -> Option<(&'a LiveUser, &'a LiveToken)> {
    let name = match step.verb {
        Verb::Issue => "predecessor",
        // told with the issue that comes after it
        Verb::Delete if step.shape == Some(Shape::Replace) => return None,
        Verb::Disable | Verb::Delete => "token_id",
        _ => return None,
    };
    let id: u64 = step.params.get(name)?.parse().ok()?;
    let second = step.params.get("second_owner").and_then(|id| lenders.get(&id.parse().ok()?).copied());
    let users = std::iter::once(live).chain(second);
    users
        .flat_map(|user| user.tokens.iter().map(move |token| (user, token)))
        .find(|(_, token)| token.id == id)
}
