//! Comments as a reviewer gets them.

use super::*;
use crate::plan::document::Plan;
use crate::report::sample;

fn comment(plan: &Plan, seal: &str) -> String {
    super::plan(&Rows::of(plan, seal), "infra/tokens.yaml")
}

#[test]
fn counts_come_first_and_steps_stand_in_a_table() {
    snapbox::assert_data_eq!(
        comment(&sample::everything(), "seal: verified"),
        snapbox::IntoData::raw(snapbox::str![[r#"
<!-- tokenform:plan infra/tokens.yaml -->
### tokenform plan

**1 to create, 1 to rotate, 1 to lock, 1 to enable, 0 to disable, 1 to delete, 2 to invalidate, 1 to deliver, 1 to unlock. 4 irreversible.**

> **NEW STATE:** no ledger at .tokenform.<br>Due only because an age is unknown: step 3.<br>Check &#96;--state&#96;. To go on: a reviewed saved plan, a typed &#96;yes&#96;, or &#96;--new-state&#96;.

> Target: sandbox. Nothing real is read or changed.

> Limits: rotate 200 (default 20).

- **warning** <code>tokenform::plan::not&#95;covered</code> <code>ibm.prod.mon-prod</code>: NOT covered: team "Web" <br>help: If the instance is unlocked one day, those tokens work again.

| # | step | object | after | undo | last use |
| ---: | --- | --- | --- | --- | --- |
| 1 | reset (invalidate) | <code>ibm.prod.mon-prod.team&#91;"Monitor Operations"&#93;</code> |  | **irreversible** |  |
| 2 | reset (invalidate) | <code>ibm.prod.mon-prod.team&#91;"Web"&#93;</code> |  | **irreversible** |  |
| 3 | reset (single-slot) | <code>ibm.prod.mon-dev.team&#91;"SRE"&#93;</code><br>to <code>ops-env&#35;SYSDIG&#95;TOKEN</code> |  | **irreversible** |  |
| 4 | issue (overlap) | <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-deploy"&#93;</code><br>to <code>ops-env&#35;CI&#95;KEY with its id in ops-env&#35;CI&#95;ID, ops-env&#35;CI&#95;KEY&#95;2</code> |  | can be undone |  |
| 5 | enable | <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-old"&#93;</code> |  | can be undone |  |
| 6 | disable | <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-spare"&#93;</code><br>only if <code>old&#95;idle &gt;= 1d</code> |  | can be undone |  |
| 7 | delete | <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-spare"&#93;</code> | 6 (disable-before-delete) | **irreversible** |  |
| 8 | lock | <code>ibm.prod.mon-prod</code> | 1, 2 (reset-before-lock), 3 (caller-last) | can be undone |  |
| 9 | unlock | <code>ibm.prod.mon-old</code> |  | can be undone |  |
| 10 | deliver | <code>ibm.prod.mon-dev.team&#91;"Infra"&#93;</code><br>to <code>ops-env&#35;INFRA</code> |  | changes nothing at the vendor |  |

<details><summary>9 changes</summary>

- <code>x</code> <code>ibm.prod.mon-prod.team&#91;"Monitor Operations"&#93;</code> will be invalidated: the instance goes to IAM&#95;ONLY (team&#95;token; step 1)
- <code>x</code> <code>ibm.prod.mon-prod.team&#91;"Web"&#93;</code> will be invalidated: the instance goes to IAM&#95;ONLY (other&#95;teams: reset) (team&#95;token; step 2)
- <code>↻</code> <code>ibm.prod.mon-dev.team&#91;"SRE"&#93;</code> will be rotated: its age is unknown and max&#95;age is 90d (TRA-12) (team&#95;token; step 3)
  - <code>fingerprint</code>: <code>1a2b3c4d</code> → <code>(known after apply)</code>
  - <code>issued&#95;at</code>: <code>unknown</code> → <code>(known after apply)</code>
  - note: outage from the reset in step 3 to its delivery
- <code>+</code> <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-deploy"&#93;</code> will be created: it does not exist (api&#95;token; step 4)
  - <code>status</code>: <code>(none)</code> → <code>enabled</code>
  - <code>access&#95;id</code>: <code>(none)</code> → <code>(known after apply)</code>
  - note: LogicMonitor mails the owner of the token
- <code>&#126;</code> <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-old"&#93;</code> will be enabled: it is disabled and the spec says enabled (api&#95;token; step 5)
- <code>-</code> <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-spare"&#93;</code> will be deleted: the spec says absent; last used 40d ago (api&#95;token; steps 6, 7)
  - <code>status</code>: <code>enabled</code> → <code>(none)</code>
- <code>⦸</code> <code>ibm.prod.mon-prod</code> will be locked: the spec says IAM&#95;ONLY (instance; step 8)
  - <code>external&#95;api&#95;auth</code>: <code>ANY</code> → <code>IAM&#95;ONLY</code>
  - <code>parameters</code>: − <code>"external&#95;api&#95;auth": "ANY"</code>, + <code>"external&#95;api&#95;auth": "IAM&#95;ONLY"</code>
- <code>↺</code> <code>ibm.prod.mon-old</code> will be unlocked: the spec says ANY (instance; step 9)
- <code>&gt;</code> <code>ibm.prod.mon-dev.team&#91;"Infra"&#93;</code> will be delivered as it is: ops-env&#35;INFRA has never had it (team&#95;token; step 10)

</details>

<details><summary>1 object waits</summary>

- <code>logicmonitor.acme.svc-ci.api&#95;token&#91;"ci-deploy"&#93;</code>: disabling its predecessor 41, until 2026-11-23T10:00:00Z

</details>

<details><summary>7 invariants</summary>

- I1 holds: order and coverage. proof of I1
- I2 holds: no step needs what a lock before it forbids. proof of I2
- I3 holds: no credential in use is disabled or deleted. proof of I3
- I4 holds: no token name loses its last enabled token. proof of I4
- I5 holds: every new secret has a destination. proof of I5
- I6 holds: no step leaves the declared scope. proof of I6
- I7 holds: limits and protections hold. proof of I7

</details>

seal: verified; made 2026-11-22T10:00:00Z, expires 2026-11-23T10:00:00Z.

"#]])
    );
}

#[test]
fn the_marker_is_the_same_for_every_plan_of_a_spec_and_cannot_be_closed() {
    let text = comment(&sample::empty(), "");
    assert!(text.starts_with("<!-- tokenform:plan infra/tokens.yaml -->\n"), "{text}");
    assert!(text.contains("**No changes. Live state matches the spec.**"), "{text}");
    assert_eq!(marker("a --><script>-->"), "<!-- tokenform:plan a ____script____ -->");
}

#[test]
fn a_plan_that_is_too_long_is_cut_and_says_so() {
    let mut long = sample::everything();
    let (changes, steps) = (long.changes.clone(), long.steps.clone());
    for _ in 0..200 {
        long.changes.extend(changes.clone());
        long.steps.extend(steps.clone());
    }
    let text = comment(&long, "seal: verified");
    assert!(text.len() <= LIMIT, "{}", text.len());
    assert!(text.contains("**Cut: this comment can't hold the whole plan.**"));
    let shown = text.lines().filter(|line| line.starts_with("| ") && line.contains("<code>")).count();
    assert!(text.contains(&format!("{} of {} steps", long.steps.len() - shown, long.steps.len())));
    assert!(
        text.contains("Not shown: ") && text.contains("1809 of 1809 changes"),
        "{}",
        &text[text.len() - 600..]
    );
    assert!(text.ends_with("expires 2026-11-23T10:00:00Z.\n"));
}

#[test]
fn twenty_thousand_changes_are_cut_honestly_too() {
    let mut long = sample::everything();
    let (changes, steps) = (long.changes.clone(), long.steps.clone());
    while long.changes.len() < 20_000 {
        long.changes.extend(changes.clone());
        long.steps.extend(steps.clone());
    }
    let text = comment(&long, "seal: verified");
    assert!(text.chars().count() <= LIMIT, "{}", text.len());
    let (changes, steps) = (long.changes.len(), long.steps.len());
    assert!(text.contains(&format!("of {steps} steps")) && text.contains(&format!("of {changes} changes")));
    assert!(text.starts_with("<!-- tokenform:plan") && text.ends_with("expires 2026-11-23T10:00:00Z.\n"));
}

#[test]
fn a_refused_plan_says_so() {
    let mut broken = sample::everything();
    broken.invariants[3].holds = false;
    let text = comment(&broken, "");
    assert!(text.ends_with("**The checker refuses this plan.** It can't be applied.\n"), "{text}");
    assert!(text.contains("I4 **does not hold**"), "{text}");
}

#[test]
fn names_and_reasons_cannot_format_mention_or_close_anything() {
    let evil = "`|x|` </code></details> @team #12 **b** [l](https://e.example) <!-- \\ ~~s~~ ![i](u)\n# h";
    let mut hostile = sample::everything();
    for change in &mut hostile.changes {
        change.address = sample::team("mon-prod", evil);
        change.reason.push_str(evil);
        change.kind.push_str(evil);
        change.notes.push(evil.to_owned());
        for field in &mut change.fields {
            field.before.get_or_insert_default().push_str(evil);
        }
    }
    for step in &mut hostile.steps {
        step.address = sample::team("mon-prod", evil);
        step.destinations.iter_mut().for_each(|slot| slot.to.push_str(evil));
    }
    hostile.findings.iter_mut().for_each(|finding| finding.message.push_str(evil));
    hostile.waiting.iter_mut().for_each(|waiting| waiting.what.push_str(evil));
    hostile.invariants.iter_mut().for_each(|invariant| invariant.proof.push_str(evil));
    let text = comment(&hostile, evil);
    let plain = comment(&sample::everything(), "");
    for tag in ["</details>", "<details>", "\n#", "**b**", "~~", "](", "`", "https://", "<!-- tokenform"] {
        assert_eq!(text.matches(tag).count(), plain.matches(tag).count(), "{tag}\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("| ")).count(), hostile.steps.len() + 2);
    let outside = text.split("<code>").map(|part| part.split_once("</code>").map_or(part, |(_, rest)| rest));
    assert!(outside.into_iter().all(|words| !words.contains("@team")), "{text}");
}
