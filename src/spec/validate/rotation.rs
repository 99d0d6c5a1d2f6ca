//! Checks of `rotate` and of what must not stand beside it.

use super::Checker;
use crate::model::address::Address;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::given::{Duration, Given, Instant};
use crate::model::source::Span;
use crate::provider::spec::{Rotate as RotateSpec, Strategy};
use crate::provider::state::{Rotate, Strategy as Wanted};
use crate::spec::node::Entry;

/// How a kind of token is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The old value dies as the new one is born.
    InPlace,
    /// Old and new live beside each other for a while.
    Beside,
}

/// The rotation under `token.rotate`.
pub fn rotate(
    checker: &mut Checker<'_>,
    at: &Address,
    token: &Entry,
    given: &Given<RotateSpec>,
    replaced: Replaced,
) -> Option<Rotate> {
    let (spec, place) = (given.get()?, token.get("rotate")?);
    let strategy = match spec.strategy.get() {
        Some(Strategy::Replace) => Wanted::Replace,
        Some(Strategy::Overlap) | None => Wanted::Overlap,
    };
    match (replaced, strategy) {
        (Replaced::InPlace, _) => refuse_overlap(checker, at, place, spec),
        (Replaced::Beside, Wanted::Replace) => refuse_beside_replace(checker, at, place, spec),
        (Replaced::Beside, Wanted::Overlap) => {}
    }
    let default = Rotate::default();
    let period = |given: &Given<Duration>| given.get().map(|duration| duration.0);
    let rotate = Rotate {
        max_age: period(&spec.max_age),
        issued_after: spec.issued_after.get().map(|instant: &Instant| instant.0),
        assume_issued: spec.assume_issued.get().map(|instant| instant.0),
        rationale: spec.rationale.cloned(),
        strategy,
        overlap: period(&spec.overlap).unwrap_or(default.overlap),
        idle: period(&spec.idle).unwrap_or(default.idle),
        soak: period(&spec.soak).unwrap_or(default.soak),
        consumers_moved: spec.consumers_moved.get().map(|instant: &Instant| instant.0),
    };
    max_age(checker, at, place, &rotate, replaced);
    if rotate.assume_issued.is_some_and(|issued| issued > checker.around.now) {
        let message = "`assume_issued` lies in the future: no token was issued then";
        checker.error(code::SPEC_ROTATE, at, message, place.place(&["assume_issued"]), "later than now");
    }
    if rotate.issued_after.is_some_and(|after| after > checker.around.now) {
        let message = "`issued_after` lies in the future: no token could satisfy it";
        checker.error(code::SPEC_ROTATE, at, message, place.place(&["issued_after"]), "later than now");
    }
    if rotate.consumers_moved.is_some_and(|moved| moved > checker.around.now) {
        let message = "`consumers_moved` lies in the future: state what has happened";
        checker.error(code::SPEC_ROTATE, at, message, place.place(&["consumers_moved"]), "later than now");
    }
    Some(rotate)
}

/// Nothing overlaps where the old one goes first.
fn refuse_beside_replace(checker: &mut Checker<'_>, at: &Address, place: &Entry, spec: &RotateSpec) {
    let written = [
        ("overlap", !spec.overlap.is_missing()),
        ("idle", !spec.idle.is_missing()),
        ("soak", !spec.soak.is_missing()),
    ];
    for entry in written.iter().filter(|(_, written)| *written).filter_map(|(key, _)| place.get(key)) {
        let message = format!(
            "`{}` means nothing beside `strategy: replace`: the old token is deleted before the new one is made",
            entry.key
        );
        let finding = Finding::new(code::SPEC_ROTATE, message).at(at);
        checker.tell(
            finding
                .label(entry.key_at, "remove this key")
                .label(place.place(&["strategy"]), "the old one goes first"),
        );
    }
}

/// A team has one token: nothing of it can overlap.
fn refuse_overlap(checker: &mut Checker<'_>, at: &Address, place: &Entry, spec: &RotateSpec) {
    let written = [
        ("overlap", !spec.overlap.is_missing()),
        ("idle", !spec.idle.is_missing()),
        ("soak", !spec.soak.is_missing()),
        ("consumers_moved", !spec.consumers_moved.is_missing()),
        ("strategy", !spec.strategy.is_missing()),
    ];
    for entry in written.iter().filter(|(_, written)| *written).filter_map(|(key, _)| place.get(key)) {
        let message =
            format!("`{}` means nothing for a team's token: the old value dies with the reset", entry.key);
        checker.error(code::SPEC_ROTATE, at, message, entry.key_at, "remove this key");
    }
}

fn max_age(checker: &mut Checker<'_>, at: &Address, place: &Entry, rotate: &Rotate, replaced: Replaced) {
    let Some(age) = rotate.max_age else { return };
    let whole = rotate.overlap.as_secs() + rotate.soak.as_secs();
    let span = place.place(&["max_age"]);
    let beside = replaced == Replaced::Beside && rotate.strategy == Wanted::Overlap;
    if beside && age.as_secs() <= whole {
        let message = format!(
            "`max_age` {age} must exceed `overlap` {} and `soak` {} together, else rotations never end",
            rotate.overlap, rotate.soak
        );
        let finding = Finding::new(code::SPEC_ROTATE, message).at(at).label(span, "too short");
        let written = ["overlap", "soak"].iter().filter_map(|key| place.get(key));
        checker
            .tell(written.fold(finding, |finding, entry| finding.label(entry.node.at, "together too long")));
    } else if age.as_secs() == 0 {
        checker.error(code::SPEC_ROTATE, at, "`max_age` must be longer than nothing", span, "too short");
    }
}

/// A protected token can't rotate. `protected` is where `protect: true` stands.
pub fn protected(checker: &mut Checker<'_>, at: &Address, token: &Entry, protected: Option<Span>) {
    if let (Some(rotate), Some(protect)) = (token.get("rotate"), protected) {
        let finding = Finding::new(code::SPEC_PROTECTED, "a protected token can't have a rotation").at(at);
        checker.tell(finding.label(rotate.key_at, "rotates").label(protect, "protected here"));
    }
}

/// Where `protect: true` of an entry stands.
pub fn protection(entry: &Entry, protect: &Given<bool>) -> Option<Span> {
    (protect.get() == Some(&true)).then(|| entry.place(&["protect"]))
}
