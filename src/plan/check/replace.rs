//! I1: a token goes before its successor is made only where the spec asks for `strategy: replace`, and
//! then its successor follows.

use super::order::predecessor;
use super::{View, has_need, token_id};
use crate::model::evidence::EnabledCount;
use crate::model::step::{Rule, Shape, Step};
use crate::model::verb::Verb;

/// A step of a replacement.
pub(super) fn is_one(step: &Step) -> bool {
    step.shape == Some(Shape::Replace)
}

/// Every step of a replacement is one that the spec asks for, and belongs to a whole one.
pub(super) fn replacements(view: &View<'_>, breaks: &mut Vec<String>) {
    for step in view.steps.iter().filter(|step| is_one(step)) {
        let count = view.counts.get(&step.address).copied();
        let why = match count.filter(|count| count.replaces) {
            None => Some("deletes first, which the spec does not ask for".to_owned()),
            Some(_) if !step.guards.is_empty() => {
                Some("has a guard: what was begun could be left half done".to_owned())
            }
            Some(count) => match step.verb {
                Verb::Delete => deletes(view, step),
                _ => issues(view, step, count),
            },
        };
        breaks.extend(why.map(|why| format!("step {} {why} (delete-before-issue)", view.number(step))));
    }
}

/// A deletion is followed by the one issue of its name.
fn deletes(view: &View<'_>, step: &Step) -> Option<String> {
    if token_id(step).is_none() {
        return Some("does not say which token it takes".to_owned());
    }
    match issues_of(view, step).as_slice() {
        [issue] if has_need(issue, step, &[Rule::DeleteBeforeIssue]) => None,
        _ => Some("deletes a token without the one issue that takes its place".to_owned()),
    }
}

/// An issue comes after the deletion of what it takes the place of: by this plan, or by the interrupted
/// one that it goes on with.
fn issues(view: &View<'_>, step: &Step, count: &EnabledCount) -> Option<String> {
    let old = predecessor(step)?;
    let gone = |delete: &&Step| {
        let is_its = delete.verb == Verb::Delete && is_one(delete) && token_id(delete) == Some(old);
        is_its && has_need(step, delete, &[Rule::DeleteBeforeIssue])
    };
    let earlier = count.removed == Some(old) && count.enabled.is_empty();
    let comes_first = view.of(&step.address).iter().copied().any(|delete| gone(&delete)) || earlier;
    (!comes_first).then(|| format!("takes the place of token id {old}, which nothing deletes before it"))
}

fn issues_of<'a>(view: &View<'a>, step: &Step) -> Vec<&'a Step> {
    let own = view.of(&step.address).iter().copied();
    own.filter(|other| other.verb == Verb::Issue && is_one(other)).collect()
}
