//! Tokens that somebody made by hand since tokenform last looked.

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::code;
use crate::model::evidence::CallerEvidence;
use crate::model::finding::Finding;
use crate::provider::draft::Context;
use crate::provider::logicmonitor::exposure::declared;
use crate::provider::logicmonitor::note::MARKER;
use crate::provider::logicmonitor::state::{LiveToken, LiveUser, User};

/// How many of one user are named.
const NAMED: usize = 5;

/// Tokens of a declared user that no declared name stands for, that no tokenform has marked, and that
/// are newer than the last change in their connection. Without a ledger nothing is newer than it. The
/// credential in use is known.
pub(super) fn made_outside(
    cx: Context<'_>,
    address: &Address,
    want: &User,
    live: &LiveUser,
    callers: Option<&CallerEvidence>,
) -> Option<Finding> {
    let since = *cx.history.looked_at.get(&address.of_connection())?;
    let declared = declared(want, live);
    let is_new = |token: &&LiveToken| {
        let newer = token.created_on.is_some_and(|at| at > since);
        let ours = callers.is_some_and(|callers| callers.uses(token.id));
        newer && !ours && !token.note.contains(MARKER) && !declared.contains(&token.id)
    };
    let new: Vec<_> = live.tokens.iter().filter(is_new).collect();
    let mut named: Vec<_> = new.iter().take(NAMED).map(|token| told(token)).collect();
    if new.len() > NAMED {
        named.push(format!("and {} more", new.len() - NAMED));
    }
    let message = format!("{} made outside tokenform since {since}: {}", count(new.len()), named.join(", "));
    (!new.is_empty()).then(|| Finding::new(code::PLAN_MADE_OUTSIDE, message).at(address))
}

fn told(token: &LiveToken) -> String {
    let LiveToken { id, kind, note, created_by, created_on, .. } = token;
    let by = if created_by.is_empty() { String::new() } else { format!(" by {created_by}") };
    let on: Option<Timestamp> = *created_on;
    let on = on.map(|at| format!(" at {at}")).unwrap_or_default();
    format!("id {id} ({} \"{note}\", created{by}{on})", kind.words())
}

fn count(tokens: usize) -> String {
    if tokens == 1 { "1 token was".into() } else { format!("{tokens} tokens were") }
}
