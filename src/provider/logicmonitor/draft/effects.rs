//! Whom the portal mails, and when the tokens were last used that are replaced or taken away.

use crate::model::effect::{EffectSort, SideEffect};
use crate::model::step::{Shape, Step};
use crate::model::verb::Verb;
use crate::provider::draft::{Context, Draft};
use crate::provider::logicmonitor::draft::used;
use crate::provider::logicmonitor::state::{LiveToken, LiveUser};

/// What the changes of one user's tokens do besides.
pub(super) fn of_user(cx: Context<'_>, live: &LiveUser, draft: &mut Draft) {
    let steps: Vec<&Step> = draft.changes.iter().flat_map(|drafted| &drafted.steps).collect();
    let mut effects = Vec::new();
    for step in &steps {
        if let Some(token) = gone(step, live) {
            let says = used(token, cx.now);
            let who = format!("{} of {}", step.address.name(), live.username);
            let effect = SideEffect::new(EffectSort::LastUse, who, says, vec![step.address.clone()]);
            effects.push(SideEffect {
                last_used_on: token.last_used_on,
                last_auth_ip: token.last_auth_ip.clone(),
                ..effect
            });
        }
    }
    let mailed = |step: &&&Step| matches!(step.verb, Verb::Issue | Verb::Enable | Verb::Disable);
    let at: Vec<_> = steps.iter().filter(mailed).map(|step| step.address.clone()).collect();
    if live.has_email && !at.is_empty() {
        let says = "LogicMonitor mails a token's owner when it is made, enabled or disabled";
        effects.push(SideEffect::new(EffectSort::Mail, live.username.clone(), says, at));
    }
    draft.effects.extend(effects);
}

/// The live token that a step replaces, disables or deletes.
fn gone<'a>(step: &Step, live: &'a LiveUser) -> Option<&'a LiveToken> {
    let name = match step.verb {
        Verb::Issue => "predecessor",
        // told with the issue that comes after it
        Verb::Delete if step.shape == Some(Shape::Replace) => return None,
        Verb::Disable | Verb::Delete => "token_id",
        _ => return None,
    };
    let id: u64 = step.params.get(name)?.parse().ok()?;
    live.tokens.iter().find(|token| token.id == id)
}
