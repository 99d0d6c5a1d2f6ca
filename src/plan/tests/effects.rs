//! What a plan says of mails, of consumers that stop, and of the last use of what goes.

use crate::model::effect::{Certainty, EffectSort};
use crate::model::vocabulary::TokenStatus::{Absent, Disabled, Enabled};
use crate::plan::document::Plan;
use crate::plan::sample::*;
use crate::provider::ibm::state::AuthMode::{Any, IamOnly};
use crate::provider::logicmonitor::state::LiveToken;

fn told(plan: &Plan, sort: EffectSort) -> Vec<String> {
    let of = plan.side_effects.iter().filter(|effect| effect.sort == sort);
    let line = |effect: &crate::model::effect::SideEffect| {
        let at: Vec<_> = effect.at.iter().map(|at| at.name().to_owned()).collect();
        format!("{}: {} [{}]", effect.who, effect.says, at.join(", "))
    };
    of.map(line).collect()
}

#[test]
fn owners_with_an_address_get_mail_and_are_named_once() {
    let wants = vec![
        ("old", rotated(None)),
        ("off", wanted(Some(Disabled))),
        ("gone", wanted(Some(Absent))),
        ("new", wanted(Some(Enabled))),
    ];
    let mut world = lm(wants, vec![old(live(5, "old")), live(6, "off"), live(7, "gone")]);
    assert!(told(&world.admitted(), EffectSort::Mail).is_empty(), "nobody has an address");
    live_svc(&mut world).has_email = true;
    let says = "svc: LogicMonitor mails a token's owner when it is made, enabled or disabled [new, off, old]";
    assert_eq!(told(&world.admitted(), EffectSort::Mail), [says]);
}

#[test]
fn the_last_use_of_what_goes_is_told_with_its_age_and_address() {
    let wants = vec![("off", wanted(Some(Disabled))), ("gone", wanted(Some(Absent)))];
    let unused = LiveToken { last_used_on: None, never_used: true, ..live(7, "gone") };
    let plan = lm(wants, vec![live(6, "off"), unused]).admitted();
    assert_eq!(
        told(&plan, EffectSort::LastUse),
        [
            "gone of svc: id 7 was never used, as far as the portal knows [gone]",
            "off of svc: id 6 was last used 1d ago from 203.0.113.9 (2026-11-21T10:00:00Z) [off]"
        ]
    );
    let used = plan.side_effects.iter().find(|effect| effect.last_used_on.is_some()).unwrap();
    assert_eq!(used.last_auth_ip.as_deref(), Some("203.0.113.9"));
}

#[test]
fn consumers_that_stop_are_named_for_resets_and_for_locks() {
    let plan = ibm(wants(Some(IamOnly)), is(Any, &["Ops"])).admitted();
    let breaks = told(&plan, EffectSort::Breaks);
    assert!(breaks[0].starts_with("Prometheus remote write with the token: stops with the reset [Ops]"));
    assert!(breaks.iter().any(|line| line.contains("refused under IAM_ONLY") && line.ends_with("[mon]")));
    let assumed = plan.side_effects.iter().find(|effect| effect.certainty == Certainty::Assumed).unwrap();
    assert!(assumed.says.contains("IAM_ONLY"), "the vendor does not say: {}", assumed.says);
    assert_eq!(told(&plan, EffectSort::Works).len(), 1);
    let want = with_team(wants(Some(Any)), "SRE", rotated_team("SRE"));
    let plan = ibm(want, is(Any, &["SRE"])).admitted();
    let breaks = told(&plan, EffectSort::Breaks);
    assert!(breaks.iter().all(|line| line.contains("until it has the new value [SRE]")), "{breaks:?}");
    let plan = ibm(wants(Some(Any)), is(Any, &["SRE"])).admitted();
    assert!(plan.side_effects.is_empty(), "nothing is done");
}
