//! Tokens that the spec does not declare: told, disabled by disuse, and deleted a week later.

use crate::support::{Place, Ran};

const WORLD: &str = "version: 1
clock: 2026-11-22T10:00:00Z
logicmonitor:
  acme:
    users:
      svc-ci:
        id: 32
        api_tokens:
          - { id: 248, note: ci-deploy, created_on: 2026-10-02T09:00:00Z, last_used_on: 2026-11-22T09:51:00Z }
          - { id: 252, note: quick test, created_on: 2026-03-01T09:00:00Z, created_by: alice }
          - { id: 253, note: quick test, created_on: 2026-03-02T09:00:00Z, created_by: alice, last_used_on: 2026-03-02T10:00:00Z, last_auth_ip: 192.0.2.9 }
          - { id: 254, note: ci-2024, status: disabled, created_on: 2024-02-01T09:00:00Z }
          - { id: 255, note: break-glass, created_on: 2024-02-01T09:00:00Z }
          - { id: 256, note: report, created_on: 2024-02-01T09:00:00Z, last_used_on: 2026-11-20T09:00:00Z }
      alice: { id: 34, api_tokens: [ { id: 260, note: my laptop, created_on: 2026-05-01T09:00:00Z } ] }
";

fn spec(place: &Place, unlisted: &str) {
    place.write("w.world.yaml", WORLD);
    place.write(
        "tokens.yaml",
        &format!(
            "version: 1
logicmonitor:
  acme:
    account: acme
    credential: {{ lmv1: {{ access_id: {{ env: A }}, access_key: {{ env: B }} }} }}
    users: {{ svc-ci: {{ api_tokens: {{ ci-deploy: {{ status: enabled }} }} }} }}
    unlisted_tokens: {{ {unlisted} }}
"
        ),
    );
}

fn run(place: &Place, command: &str, more: &[&str], offset: &str) -> Ran {
    let args = [&[command, "tokens.yaml", "--sandbox"], more].concat();
    place.command(&args).env("TOKENFORM_CLOCK_OFFSET", offset).output().unwrap().into()
}

fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape(".tokenform/sandbox/tape.jsonl");
    let told = |entry: &serde_json::Value| {
        let effect = entry["effect"].as_str().filter(|effect| !effect.is_empty())?;
        let path = entry["path"].as_str()?;
        Some(format!("{effect} {}", path.rsplit('/').next()?))
    };
    tape.iter().filter_map(told).collect()
}

#[test]
fn a_report_lists_them_with_last_use_and_owner_and_changes_nothing() {
    let place = Place::empty();
    spec(&place, "action: report, unused_for: 90d, users: all");
    let ran = run(&place, "plan", &["--detailed-exitcode"], "").exits(0).says("No changes.");
    for words in [
        "Tokens that the spec does not declare:",
        "api_token[\"#253\"]: \"quick test\" of svc-ci, made 2026-03-02T09:00:00Z by alice, last used 265d ago from 192.0.2.9",
        "api_token[\"#252\"]: \"quick test\" of svc-ci, made 2026-03-01T09:00:00Z by alice, never used: never used since it was made 266d ago",
        "logicmonitor.acme.alice.api_token[\"#260\"]: \"my laptop\" of alice",
        "logs in with it",
    ] {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.stdout);
    }
    let markdown = run(&place, "plan", &["--format", "markdown"], "").exits(0).stdout;
    assert!(
        markdown.contains("tokens that the spec does not declare") && markdown.contains("my laptop"),
        "{markdown}"
    );
    let html = run(&place, "plan", &["--format", "html"], "").exits(0).stdout;
    assert!(html.contains("Tokens that the spec does not declare") && html.contains("my laptop"));
}

#[test]
fn disuse_disables_and_a_week_later_deletes() {
    let place = Place::empty();
    spec(&place, "action: delete, unused_for: 90d, except: [\"break-*\"]");
    run(&place, "plan", &[], "")
        .says("0 to enable, 2 to disable, 0 to delete")
        .says("only if old_idle >= 90d");
    run(&place, "apply", &["--auto-approve"], "").exits(0).says("Apply complete");
    assert_eq!(effects(&place), ["patch 252", "patch 253"]);
    let early = run(&place, "plan", &["--detailed-exitcode"], "6d").exits(0);
    let early = early.says("waiting to be deleted (2)").says("to be deleted after 7d");
    assert!(early.stdout.contains("until 2026-11-29T"), "{}", early.stdout);
    run(&place, "apply", &["--auto-approve"], "8d").exits(0).says("Apply complete");
    assert_eq!(effects(&place)[2..], ["delete 252", "delete 253"]);
    run(&place, "plan", &["--detailed-exitcode"], "9d")
        .exits(0)
        .says("somebody else disabled it, and tokenform deletes only what it has disabled");
}
