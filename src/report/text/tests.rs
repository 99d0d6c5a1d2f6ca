//! Whole plans as a reviewer sees them.

use super::plan;
use crate::model::address::Address;
use crate::model::age::Age;
use crate::model::asked::PulledIn;
use crate::model::change::Action;
use crate::plan::document::{Plan, Source};
use crate::report::sample;
use crate::report::style::Style;

const UNICODE: Style = Style { color: false, unicode: true };

#[test]
fn one_of_everything() {
    snapbox::assert_data_eq!(
        plan(&sample::everything(), "", &UNICODE),
        snapbox::IntoData::raw(snapbox::str![[r#"
NEW STATE: no ledger at .tokenform.
  Due only because an age is unknown: step 3.
  Check `--state`. To go on: a reviewed saved plan, a typed `yes`, or `--new-state`.
Target: sandbox. Nothing real is read or changed.
Limits: rotate 200 (default 20).

tokenform will make these changes:
  + create
  ↻ rotate
  ⦸ lock
  ~ enable
  - delete
  x invalidate
  > deliver
  ↺ unlock

  # ibm.prod.mon-prod.team["Monitor Operations"] will be invalidated
  x team_token: the instance goes to IAM_ONLY
      step 1

  # ibm.prod.mon-prod.team["Web"] will be invalidated
  x team_token: the instance goes to IAM_ONLY (other_teams: reset)
      step 2

  # ibm.prod.mon-dev.team["SRE"] will be rotated
  ↻ team_token: its age is unknown and max_age is 90d (TRA-12)
      ~ fingerprint = 1a2b3c4d       -> (known after apply)
        owner       = me@example.com
      ~ issued_at   = unknown        -> (known after apply)
      note: outage from the reset in step 3 to its delivery
      step 3

  # logicmonitor.acme.svc-ci.api_token["ci-deploy"] will be created
  + api_token: it does not exist
      + status    = enabled
      + access_id = (known after apply)
      note: LogicMonitor mails the owner of the token
      step 4

  # logicmonitor.acme.svc-ci.api_token["ci-old"] will be enabled
  ~ api_token: it is disabled and the spec says enabled
      step 5

  # logicmonitor.acme.svc-ci.api_token["ci-spare"] will be deleted
  - api_token: the spec says absent; last used 40d ago
      - status = enabled
      steps 6, 7

  # ibm.prod.mon-prod will be locked
  ⦸ instance: the spec says IAM_ONLY
      ~ external_api_auth = ANY -> IAM_ONLY
      ~ parameters
            {
              "default_receiver": false,
          -   "external_api_auth": "ANY"
          +   "external_api_auth": "IAM_ONLY"
            }
      step 8

  # ibm.prod.mon-old will be unlocked
  ↺ instance: the spec says ANY
      step 9

  # ibm.prod.mon-dev.team["Infra"] will be delivered as it is
  > team_token: ops-env#INFRA has never had it
      step 10

Steps, in the order in which they run:
   1. reset ibm.prod.mon-prod.team["Monitor Operations"] (invalidate, irreversible)
        POST us-south.monitoring.cloud.ibm.com /api/token/reset
   2. reset ibm.prod.mon-prod.team["Web"] (invalidate, irreversible)
        POST us-south.monitoring.cloud.ibm.com /api/token/reset
   3. reset ibm.prod.mon-dev.team["SRE"] (single-slot, irreversible)
        GUIDED us-south.monitoring.cloud.ibm.com Settings > User Profile > Reset Token
        to ops-env#SYSDIG_TOKEN
   4. issue logicmonitor.acme.svc-ci.api_token["ci-deploy"] (overlap, can be undone)
        POST acme.logicmonitor.com /santaba/rest/setting/admins/7/apitokens
        to ops-env#CI_KEY with its id in ops-env#CI_ID, ops-env#CI_KEY_2
   5. enable logicmonitor.acme.svc-ci.api_token["ci-old"] (can be undone)
        PATCH acme.logicmonitor.com /santaba/rest/setting/admins/7/apitokens/9
   6. disable logicmonitor.acme.svc-ci.api_token["ci-spare"] (can be undone)
        PATCH acme.logicmonitor.com /santaba/rest/setting/admins/7/apitokens/8
        only if old_idle >= 1d, else later
   7. delete logicmonitor.acme.svc-ci.api_token["ci-spare"] (irreversible)
        DELETE acme.logicmonitor.com /santaba/rest/setting/admins/7/apitokens/8
        after 6 (disable-before-delete)
   8. lock ibm.prod.mon-prod (can be undone)
        PATCH us-south.monitoring.cloud.ibm.com /v2/resource_instances/1f
        after 1, 2 (reset-before-lock), 3 (caller-last)
   9. unlock ibm.prod.mon-old (can be undone)
        PATCH us-south.monitoring.cloud.ibm.com /v2/resource_instances/2e
  10. deliver ibm.prod.mon-dev.team["Infra"] (changes nothing at the vendor)
        GET us-south.monitoring.cloud.ibm.com /api/token
        to ops-env#INFRA

Findings:
  warning[tokenform::plan::not_covered]
    ibm.prod.mon-prod: NOT covered: team "Web"
    help: If the instance is unlocked one day, those tokens work again.

Waiting:
  logicmonitor.acme.svc-ci.api_token["ci-deploy"]: disabling its predecessor 41, until 2026-11-23T10:00:00Z

Invariants I1–I7 hold; `tokenform check` shows the proof.

Plan: 1 to create, 1 to rotate, 1 to lock, 1 to enable, 0 to disable, 1 to delete, 2 to invalidate, 1 to deliver, 1 to unlock. 4 irreversible.

"#]])
    );
}

#[test]
fn ascii_alone_where_unicode_cannot_be_shown() {
    let text = plan(&sample::everything(), "seal: verified", &Style::PLAIN);
    assert!(text.is_ascii());
    for line in ["  @ rotate", "  ! lock", "  < unlock", "Invariants I1-I7 hold;"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.ends_with("seal: verified; made 2026-11-22T10:00:00Z, expires 2026-11-23T10:00:00Z.\n"));
}

#[test]
fn colour_only_adds_codes() {
    let style = Style { color: true, unicode: true };
    let colored = plan(&sample::everything(), "", &style);
    assert_ne!(colored, plan(&sample::everything(), "", &UNICODE));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plan(&sample::everything(), "", &UNICODE));
    assert!(!plan(&sample::everything(), "", &UNICODE).contains('\u{1b}'));
}

#[test]
fn nothing_to_do_and_only_waiting() {
    let idle = sample::empty();
    assert_eq!(plan(&idle, "", &UNICODE), "No changes. Live state matches the spec.\n");
    let waiting = Plan { waiting: vec![sample::waiting()], ..idle };
    snapbox::assert_data_eq!(
        plan(&waiting, "", &UNICODE),
        snapbox::IntoData::raw(snapbox::str![[r#"
No changes. Live state matches the spec.

Waiting:
  logicmonitor.acme.svc-ci.api_token["ci-deploy"]: disabling its predecessor 41, until 2026-11-23T10:00:00Z

"#]])
    );
}

#[test]
fn what_is_late_or_soon_due_is_told_and_the_others_are_counted() {
    let age = |name: &str, issued: Option<&str>, due: Option<&str>, says: &str| Age {
        address: sample::token(name),
        issued_at: issued.map(|at| at.parse().unwrap()),
        due_at: due.map(|at| at.parse().unwrap()),
        says: says.to_owned(),
    };
    let ages = vec![
        age("fresh", Some("2026-11-01T00:00:00Z"), Some("2027-01-30T00:00:00Z"), "due in 68d"),
        age("soon", Some("2026-09-01T10:00:00Z"), Some("2026-11-30T10:00:00Z"), "due in 8d"),
        age("late", Some("2026-08-01T10:00:00Z"), Some("2026-10-30T10:00:00Z"), "23d late"),
        age("old", None, None, "age unknown: not in the ledger"),
    ];
    let idle = Plan { ages, ..sample::empty() };
    snapbox::assert_data_eq!(
        plan(&idle, "", &UNICODE),
        snapbox::IntoData::raw(snapbox::str![[r#"
No changes. Live state matches the spec.

Due soon, or late:
  logicmonitor.acme.svc-ci.api_token["old"]: age unknown: not in the ledger
  logicmonitor.acme.svc-ci.api_token["late"]: 23d late (issued 2026-08-01T10:00:00Z)
  logicmonitor.acme.svc-ci.api_token["soon"]: due in 8d (issued 2026-09-01T10:00:00Z)
  1 more are due later; `plan -v` shows them.

"#]])
    );
    assert_eq!(super::ages(&idle, &UNICODE).lines().count(), 6);
    let fresh = Plan { ages: idle.ages[..1].to_vec(), ..idle };
    assert_eq!(plan(&fresh, "", &UNICODE), "No changes. Live state matches the spec.\n");
}

#[test]
fn no_changes_claims_no_more_than_was_looked_at() {
    let partial = Plan { complete: false, ..sample::empty() };
    assert!(!plan(&partial, "", &UNICODE).contains("Live state matches"));
    let mut broken = sample::empty();
    broken.findings = sample::everything().findings;
    broken.findings[1].severity = "error".to_owned();
    assert!(!plan(&broken, "", &UNICODE).contains("Live state matches"));
}

#[test]
fn without_unknown_ages_there_is_no_new_state_line() {
    let mut known = sample::everything();
    known.evidence.new_state.clear();
    let text = plan(&known, "", &UNICODE);
    assert!(!text.contains("NEW STATE"), "{text}");
    assert!(text.contains("tokenform::plan::new_state"), "the finding itself is still told:\n{text}");
    let old = Plan { ledger_head: Some("ab".to_owned()), ..sample::everything() };
    assert!(!plan(&old, "", &UNICODE).contains("NEW STATE"));
}

#[test]
fn a_snapshot_and_a_part_are_said_at_the_top() {
    let told = Plan { source: Source::Snapshot, complete: false, ..sample::everything() };
    let text = plan(&told, "", &UNICODE);
    assert!(text.contains("Made from a snapshot: it can't be applied.\nNot complete:"), "{text}");
}

#[test]
fn a_part_says_what_was_asked_for_and_what_came_along() {
    let mut part = Plan { complete: false, ..sample::empty() };
    part.asked.target = vec![sample::instance("mon-prod").into(), "logicmonitor".parse().unwrap()];
    let why = "reset-before-lock: it comes before `lock \x1b[2J`".to_owned();
    part.extent.pulled_in = vec![PulledIn { address: sample::team("mon-prod", "Web"), why }];
    part.extent.not_contacted = vec![Address::connection("ibm", "dev")];
    snapbox::assert_data_eq!(
        plan(&part, "", &UNICODE),
        snapbox::IntoData::raw(snapbox::str![[r#"
Not complete: only a part of the spec was planned.
  Targets: ibm.prod.mon-prod, logicmonitor
  Pulled in: ibm.prod.mon-prod.team["Web"] (reset-before-lock: it comes before `lock \u{1b}[2J`)
  Not contacted: ibm.dev

No changes in the part of the spec that was planned.

"#]])
    );
}

#[test]
fn a_broken_invariant_is_listed() {
    let mut broken = sample::everything();
    broken.invariants[3].holds = false;
    let text = plan(&broken, "", &UNICODE);
    assert!(text.contains("FAIL  I4 ") && text.contains("I4 does not hold: the plan is refused."), "{text}");
}

#[test]
fn hostile_names_reasons_and_calls_cannot_steer_the_terminal() {
    let evil = "a\x1b[2J\u{202e}b\r\nPlan: 0 to create";
    let mut hostile = sample::everything();
    for change in &mut hostile.changes {
        change.address = sample::team("mon-prod", evil);
        change.kind.push_str(evil);
        change.reason.push_str(evil);
        change.notes.push(evil.to_owned());
        for field in &mut change.fields {
            field.name.push_str(evil);
            field.before.get_or_insert_default().push_str(evil);
            field.after.get_or_insert_default().push_str(evil);
        }
    }
    for step in &mut hostile.steps {
        step.address = sample::team("mon-prod", evil);
        step.call.method.push_str(evil);
        step.call.host.push_str(evil);
        step.call.path.push_str(evil);
        step.destinations.iter_mut().for_each(|slot| slot.to.push_str(evil));
        step.guards.push(crate::model::step::Guard::Unwatched { token_id: 1, why: evil.to_owned() });
    }
    hostile.findings.iter_mut().for_each(|finding| finding.message.push_str(evil));
    hostile.waiting.iter_mut().for_each(|waiting| waiting.what.push_str(evil));
    let text = plan(&hostile, evil, &UNICODE);
    assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
    assert_eq!(text.lines().filter(|line| line.starts_with("Plan:")).count(), 1, "{text}");
}

#[test]
fn a_step_that_the_plan_lacks_is_named_by_its_id() {
    let mut edited = sample::everything();
    edited.steps.remove(0);
    let text = plan(&edited, "", &UNICODE);
    assert!(text.contains("team[\"Monitor Operations\"]` (not in this plan) (reset-before-lock)"), "{text}");
}

#[test]
fn counts_after_the_sixth_are_shown_only_when_there_are_any() {
    let mut one = sample::everything();
    one.changes.retain(|change| change.action == Action::Lock);
    one.steps.retain(|step| !step.irreversible);
    one.summary = crate::plan::document::Summary::of(&one.changes, &one.steps);
    let expected = "Plan: 0 to create, 0 to rotate, 1 to lock, 0 to enable, 0 to disable, 0 to delete. 0 irreversible.\n";
    assert!(plan(&one, "", &UNICODE).ends_with(expected));
}
