//! Tests of whole specs: what loads, and every error with its code and place.

use std::path::Path;

use jiff::Timestamp;

use super::node::{Node, Value};
use super::tree::parse;
use super::{Loaded, Rejected, load, schema};
use crate::model::address::Address;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::model::vocabulary::{Period, SecretRef, TokenStatus};
use crate::provider::ibm::state::{AuthMode, Credential, TokenReset};
use crate::provider::state::{Destination, Limits};

/// The example of the product's own description, without what is not built yet.
const EXAMPLE: &str = r#"
version: 1

ibm:
  prod:
    credential: { api_key: { env: IBMCLOUD_API_KEY } }
    token_reset: guided
    instances:
      mon-prod:
        service: monitoring
        region: us-south
        external_api_auth: IAM_ONLY
        other_teams: reset
        teams:
          Monitor Operations: {}
      mon-dev:
        service: monitoring
        region: eu-de
        external_api_auth: ANY
        teams:
          SRE:
            token:
              rotate: { max_age: 90d, issued_after: 2026-11-01T00:00:00Z, rationale: "TRA-12" }
              deliver:
                - { to: ops-env, key: SYSDIG_TOKEN }

logicmonitor:
  acme:
    account: acme
    credential: { lmv1: { access_id: { env: LM_ACCESS_ID }, access_key: { env: LM_ACCESS_KEY } } }
    users:
      svc-ci:
        api_tokens:
          ci-deploy:
            status: enabled
            rotate: { max_age: 90d, overlap: 24h, idle: 2h, soak: 7d }
            deliver:
              - { to: ops-env, key: CI_LM_ACCESS_KEY, id_key: CI_LM_ACCESS_ID }
      svc-ingest:
        bearer_tokens:
          otel: { status: enabled, rotate: { max_age: 180d }, deliver: [ { to: ops-env, key: OTEL_BEARER } ] }

destinations:
  ops-env: { file: { path: secrets/ops.env, format: dotenv } }

limits: { rotate: 20, enable: 20, disable: 10, delete: 5, lock: 2, percent: 30 }

changes:
  timezone: Europe/Berlin
  windows:
    - { days: [mon, fri], from: "22:00", to: "02:00", timezone: UTC }
  freezes:
    - { from: 2026-12-18T17:00:00+01:00, to: 2027-01-04T09:00:00+01:00, reason: year end }
"#;

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Loads a folder of files.
fn load_files(files: &[(&str, &str)]) -> Result<Loaded, Box<Rejected>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    load(folder.path(), now())
}

fn load_text(text: &str) -> Result<Loaded, Box<Rejected>> {
    load_files(&[("spec.yaml", text)])
}

/// Each finding as `code: labelled text, other labelled text`.
fn lines(findings: &[Finding], sources: &Sources) -> Vec<String> {
    let place = |label: &crate::model::finding::Label| {
        let (file, range) = sources.locate(label.span).unwrap();
        file.text[range].to_owned()
    };
    let line = |f: &Finding| {
        let places: Vec<_> = f.labels.iter().map(place).collect();
        let code = f.code.id().trim_start_matches("tokenform::spec::");
        format!("{code}: {}", places.join(", ")).trim_end_matches(' ').to_owned()
    };
    findings.iter().map(line).collect()
}

fn told_in(files: &[(&str, &str)]) -> Vec<String> {
    match load_files(files) {
        Ok(loaded) => lines(&loaded.findings, &loaded.sources),
        Err(rejected) => {
            assert!(rejected.findings.iter().any(Finding::is_error));
            lines(&rejected.findings, &rejected.sources)
        }
    }
}

fn told(text: &str) -> Vec<String> {
    told_in(&[("spec.yaml", text)])
}

/// A spec with one IBM instance and one destination of each format.
fn ibm(instance: &str) -> String {
    format!(
        "version: 1\nibm: {{ p: {{ credential: {{ api_key: {{ env: KEY }} }}, instances: {{ i: {instance} }} }} }}\n"
    )
}

/// A spec with one LogicMonitor user.
fn lm(user: &str) -> String {
    format!(
        "version: 1\nlogicmonitor: {{ a: {{ account: acme, credential: {{ bearer: {{ env: KEY }} }}, users: {{ u: {user} }} }} }}\n"
    )
}

const DESTINATIONS: &str = "destinations: { env: { file: { path: a.env, format: dotenv } }, raw: { file: { path: b, format: raw } }, run: { command: { run: [x] } } }\n";

/// What is told of one LMv1 token, unused destinations aside.
fn told_of_token(token: &str) -> Vec<String> {
    let text = lm(&format!("{{ api_tokens: {{ t: {token} }} }}")) + DESTINATIONS;
    told(&text).into_iter().filter(|line| !line.starts_with("unused_destination")).collect()
}

#[test]
fn the_example_loads() {
    let loaded = load_text(EXAMPLE).unwrap_or_else(|r| panic!("{:?}", lines(&r.findings, &r.sources)));
    assert!(loaded.findings.is_empty());
    let prod = Address::connection("ibm", "prod");
    let connection = &loaded.desired.ibm[&prod];
    assert_eq!(connection.token_reset, TokenReset::Guided { timeout: Period::seconds(1800) });
    assert_eq!(connection.instances[&prod.owner("mon-prod")].external_api_auth, Some(AuthMode::IamOnly));
    let sre = &connection.instances[&prod.owner("mon-dev")].teams[&prod.owner("mon-dev").item("team", "SRE")];
    let rotate = sre.rotate.as_ref().unwrap();
    assert_eq!(rotate.max_age, Some(Period::days(90)));
    assert_eq!(rotate.issued_after.unwrap().to_string(), "2026-11-01T00:00:00Z");
    assert_eq!(
        (rotate.overlap, rotate.idle, rotate.soak),
        (Period::hours(24), Period::hours(24), Period::days(7))
    );
    let acme = Address::connection("logicmonitor", "acme");
    let token = &loaded.desired.logicmonitor[&acme].users[&acme.owner("svc-ci")].tokens
        [&acme.owner("svc-ci").item("api_token", "ci-deploy")];
    assert_eq!(token.status, Some(TokenStatus::Enabled));
    assert_eq!(token.rotate.as_ref().unwrap().idle, Period::hours(2));
    assert_eq!(token.deliver[0].id_key.as_deref(), Some("CI_LM_ACCESS_ID"));
    assert_eq!(loaded.desired.logicmonitor[&acme].origin(), "https://acme.logicmonitor.com");
    assert_eq!(loaded.desired.limits, Limits::default());
    let Destination::File(file) = &loaded.desired.destinations["ops-env"] else { panic!() };
    assert!(file.path.is_absolute() && file.path.ends_with("secrets/ops.env"));
}

#[test]
fn one_run_shows_different_findings_of_different_files() {
    let found = told_in(&[
        (
            "a.yaml",
            "version: 1\nibm: { p: { credential: { api_key: hunter2 }, instances: { i: { servce: monitoring } } } }\n",
        ),
        ("b.yaml", "version: 1\nibm: { p: { account: x, account: y } }\nlimits: { rotate: 1d }\n"),
        ("c.yaml", "version: 1\nibm: { p: { account: z } }\nx: [\n"),
        ("d.yaml", ""),
        (
            "e.yaml",
            "version: 1\nlimits: { rotate: 5 }\ndestinations: { d: { file: { path: x, format: env } } }\n",
        ),
    ]);
    insta::assert_snapshot!(found.join("\n"), @r"
    empty:
    literal_secret: *******
    unknown_key: servce
    duplicate_key: account, account
    wrong_type: 1d
    syntax: [
    conflict: 5, 1d
    bad_value: env
    ");
}

#[test]
fn broken_files_are_told() {
    for (text, line) in [
        ("", "empty:"),
        ("# only talk\n", "empty:"),
        ("just words", "wrong_type: just words"),
        ("version: 1\n---\nversion: 1\n", "several_documents: version: 1"),
        ("version: 1\n\tx: 1\n", "syntax: \t"),
        ("version: 2\nnew_key: 1\n", "newer_version: 2"),
        ("version: 0\n", "version: 0"),
        ("ibm: {}\n", "version:"),
        ("version: 1\n<<: {}\n", "merge_key: <<"),
        ("version: 1\nversion: 1\n", "duplicate_key: version, version"),
    ] {
        assert_eq!(told(text), [line], "{text:?}");
    }
    let two = [("a.yaml", "version: 1\n"), ("b.yaml", "version: 3\n")];
    assert_eq!(told_in(&two), ["newer_version: 3", "version: 3, 1"]);
    assert_eq!(
        told_in(&[("a.yaml", "version: 1\n"), ("b.yaml", "version: \"1\"\n")]),
        ["wrong_type: version"]
    );
    let missing = load(Path::new("/nowhere/at/all"), now()).unwrap_err();
    assert_eq!(lines(&missing.findings, &missing.sources), ["not_found:"]);
}

#[test]
fn two_instances_of_one_name_or_guid_are_told_at_both_places() {
    let twice = "version: 1\nibm: { p: { credential: { api_key: { env: K } }, instances: { i: { service: monitoring }, i: { service: monitoring } } } }\n";
    assert_eq!(told(twice), ["duplicate_key: i, i"]);
    let pinned = "version: 1\nibm: { p: { credential: { api_key: { env: K } }, instances: { i: { service: monitoring, guid: abc-1 }, j: { service: monitoring, guid: ABC-1 } } } }\n";
    assert_eq!(told(pinned), ["same_pin: ABC-1, abc-1"]);
}

#[test]
fn a_pasted_secret_is_nowhere_in_what_is_shown() {
    let secret = "pa55-w0rd";
    for text in [
        format!("version: 1\nibm: {{ p: {{ credential: {{ api_key: {secret} }} }} }}\n"),
        format!("version: 1\nibm: {{ p: {{ credential: {{ api_key: {{ env: {secret} }} }} }} }}\n"),
        format!("version: 1\nibm: {{ p: {{ api_key: {secret} }} }}\n"),
        format!(
            "version: 1\nibm: {{ p: {{ credential: {{ api_key: {{ file: x }} }}, account: x, account: y, token: {secret} }} }}\n"
        ),
        format!(
            "version: 1\nlogicmonitor: {{ a: {{ account: a, credential: {{ lmv1: {{ access_id: {{ env: X }}, access_key: {secret} }} }} }} }}\n"
        ),
        format!("version: 1\nibm:\n  p:\n\tcredential: {{ api_key: {secret} }}\n"),
        format!("version: 1\nibm: {{ p: {{ endpoints: {{ iam: \"https://u:{secret}@host\" }} }} }}\n"),
    ] {
        let rejected = load_text(&text).unwrap_err();
        let shown = format!("{rejected:?}");
        assert!(!shown.contains(secret), "{text}");
        let codes: Vec<_> = rejected.findings.iter().map(|f| f.code.id()).collect();
        let expected =
            ["tokenform::spec::literal_secret", "tokenform::spec::syntax", "tokenform::spec::bad_endpoint"];
        assert!(codes.iter().any(|code| expected.contains(code)), "{codes:?}");
    }
}

#[test]
fn credentials_and_endpoints_are_checked() {
    let connection = |keys: &str| told(&format!("version: 1\nlogicmonitor: {{ a: {{ {keys} }} }}\n"));
    let good = "credential: { bearer: { env: K } }";
    assert_eq!(connection("account: a"), ["missing_key: a"]);
    assert_eq!(connection(good), ["missing_key: a"]);
    assert_eq!(connection(&format!("{good}, endpoint: \"https://lm.example:8443\"")), [] as [&str; 0]);
    assert_eq!(connection(&format!("{good}, account: a/b")), ["bad_value: a/b"]);
    assert_eq!(connection(&format!("{good}, account: a, domain: \"x.com:1\"")), ["bad_value: \"x.com:1\""]);
    assert_eq!(
        connection(&format!("{good}, endpoint: http://example.com")),
        ["bad_endpoint: http://example.com"]
    );
    assert_eq!(
        connection("account: a, credential: { lmv1: { access_id: { env: A } } }"),
        ["missing_key: lmv1"]
    );
    assert_eq!(
        connection("account: a, credential: { bearer: { command: [] } }"),
        ["bad_value: { command: [] }"]
    );
}

#[test]
fn references_are_from_the_file_that_names_them() {
    let text = "version: 1\nlogicmonitor: { a: { account: a, credential: { lmv1: { access_id: { file: ./id }, access_key: { command: [bin/key, x] } } } } }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.yaml"), text).unwrap();
    let loaded = load(folder.path(), now()).unwrap();
    let connection = &loaded.desired.logicmonitor[&Address::connection("logicmonitor", "a")];
    let crate::provider::logicmonitor::state::Credential::Lmv1(lmv1) = &connection.credential else {
        panic!()
    };
    assert_eq!(lmv1.access_id, SecretRef::File(folder.path().join("id")));
    let program = folder.path().join("bin/key").display().to_string();
    assert_eq!(lmv1.access_key, SecretRef::Command(vec![program, "x".into()]));
}

/// A digest over it must not change when the spec is found by another path.
#[test]
fn what_is_written_is_the_same_wherever_the_spec_lies() {
    let text = "version: 1
ibm: { p: { credential: { trusted_profile: { id: P, cr_token: { file: ./t } } } } }
logicmonitor: { a: { account: a, credential: { lmv1: { access_id: { file: id }, access_key: { command: [bin/key] } } } } }
destinations:
  f: { file: { path: x/y, format: raw } }
  c: { command: { run: [./run], probe: [./probe] } }
";
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let written = |folder: &Path, text: &str| {
        std::fs::write(folder.join("spec.yaml"), text).unwrap();
        let loaded = load(folder, now()).unwrap();
        let placed = serde_json::to_string(&loaded.desired).unwrap();
        for inner in ["t", "id", "bin/key", "x/y", "run", "probe"] {
            assert!(placed.contains(&folder.join(inner).display().to_string()), "{inner}: {placed}");
        }
        assert_eq!(load(&folder.join("spec.yaml"), now()).unwrap().written, loaded.written);
        loaded.written
    };
    assert_eq!(written(one.path(), text), written(two.path(), text));
    assert_ne!(written(one.path(), text), written(one.path(), &text.replace("raw", "json")));
}

#[test]
fn a_destination_s_name_is_the_name_of_a_file() {
    let names = ["../../../../evil", "/tmp/abs", ".x", "a b", "", "..", "a/b"];
    let mut text = "version: 1\ndestinations:\n  ok.A_1-b: { command: { run: [x] } }\n".to_owned();
    for name in names {
        text += &format!("  {name:?}: {{ command: {{ run: [x] }} }}\n");
    }
    let told = told(&text);
    let bad: Vec<_> = told.iter().filter_map(|line| line.strip_prefix("bad_name: ")).collect();
    assert_eq!(bad, names.map(|name| format!("{name:?}")));
}

#[test]
fn token_reset_has_three_forms() {
    let reset = |reset: &str| {
        let text = format!(
            "version: 1\nibm: {{ p: {{ credential: {{ api_key: {{ env: K }} }}, token_reset: {reset} }} }}\n"
        );
        load_text(&text).map(|loaded| loaded.desired.ibm.into_values().next().unwrap().token_reset)
    };
    let told = |text: &str| reset(text).map_err(|r| lines(&r.findings, &r.sources)).unwrap_err();
    assert_eq!(told("{ guided: { timeout: 9s } }"), ["bad_value: 9s"]);
    assert!(reset("{ guided: { timeout: 10s } }").is_ok());
    assert_eq!(
        reset("{ guided: { timeout: 5m } }").unwrap(),
        TokenReset::Guided { timeout: Period::seconds(300) }
    );
    let call =
        TokenReset::Call { method: "POST".into(), path: "/r/{team_id}".into(), expect: vec![200, 201, 204] };
    assert_eq!(reset("{ method: POST, path: \"/r/{team_id}\" }").unwrap(), call);
    assert_eq!(told("{ guided: {}, method: POST, path: /x }"), ["choose_one: method, guided"]);
    assert_eq!(told("{ method: GET, path: x?y }"), ["bad_value: GET", "bad_value: x?y"]);
    assert_eq!(told("{ method: POST }"), ["missing_key: token_reset"]);
    assert_eq!(told("{ method: POST, path: /x, expect: [500] }"), ["bad_value: [500]"]);
    assert_eq!(told("guide"), ["bad_value: guide"]);
}

#[test]
fn rotations_are_checked() {
    assert_eq!(told_of_token("{ rotate: { max_age: 90 } }"), ["bad_duration: 90"]);
    assert_eq!(told_of_token("{ rotate: { max_age: 90w } }"), ["bad_duration: 90w"]);
    assert_eq!(told_of_token("{ rotate: { max_age: 8d } }"), ["rotate: 8d"]);
    assert_eq!(told_of_token("{ rotate: { max_age: 9d, soak: 9d } }"), ["rotate: 9d, 9d"]);
    assert_eq!(
        told_of_token("{ rotate: { issued_after: 2027-01-01T00:00:00Z } }"),
        ["rotate: 2027-01-01T00:00:00Z"]
    );
    assert_eq!(told_of_token("{ rotate: { issued_after: yesterday } }"), ["bad_instant: yesterday"]);
    assert_eq!(told_of_token("{ protect: true, rotate: { max_age: 90d } }"), ["protected: rotate, true"]);
    assert_eq!(
        told_of_token("{ status: absent, rotate: {}, deliver: [] }"),
        ["absent_token: rotate, absent", "absent_token: deliver, absent"]
    );
    let above = lm("{ protect: true, bearer_tokens: { t: { rotate: { max_age: 90d } } } }");
    assert_eq!(told(&above), ["protected: rotate, true"]);
    let team = ibm(
        "{ service: monitoring, protect: true, teams: { T: { token: { rotate: { max_age: 1d, soak: 2d } } } } }",
    );
    assert_eq!(told(&team), ["protected: rotate, true", "rotate: soak"]);
}

#[test]
fn protect_false_lifts_unless_another_word_for_the_object_protects_it() {
    let lifted = |text: &str| {
        let desired = load_text(text).unwrap().desired;
        desired.unprotect.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let user = "{ protect: false, api_tokens: { a: { protect: false }, b: { protect: true }, c: {} } }";
    assert_eq!(lifted(&lm(user)), ["logicmonitor.a.u", "logicmonitor.a.u.api_token[\"a\"]"]);
    let teams = "T: { protect: false }, U: { token: { protect: false } }, V: { protect: false, token: { protect: true } }";
    let instance = format!("{{ service: monitoring, protect: false, teams: {{ {teams} }} }}");
    assert_eq!(lifted(&ibm(&instance)), ["ibm.p.i", "ibm.p.i.team[\"T\"]", "ibm.p.i.team[\"U\"]"]);
    let below = ["protected: false, true"];
    assert_eq!(told(&lm("{ protect: true, api_tokens: { a: { protect: false } } }")), below);
    assert_eq!(told(&ibm("{ service: monitoring, protect: true, teams: { T: { protect: false } } }")), below);
    let token = "{ service: monitoring, teams: { T: { protect: true, token: { protect: false } } } }";
    assert_eq!(told(&ibm(token)), below);
}

#[test]
fn reenable_belongs_to_what_is_to_be_enabled() {
    assert!(told_of_token("{ status: enabled, reenable: always }").is_empty());
    for token in ["{ reenable: always }", "{ status: disabled, reenable: always }"] {
        assert_eq!(told_of_token(token), ["bad_value: reenable"], "{token}");
    }
    assert_eq!(told_of_token("{ status: enabled, reenable: never }"), ["bad_value: never"]);
}

#[test]
fn a_locked_instance_takes_no_wish_for_its_tokens() {
    let text = ibm(
        "{ service: monitoring, external_api_auth: IAM_ONLY, teams: { T: { token: { rotate: { max_age: 1d }, deliver: [] } } } }",
    );
    assert_eq!(told(&text), ["locked_token: rotate, IAM_ONLY", "locked_token: deliver, IAM_ONLY"]);
}

#[test]
fn deliveries_fit_their_destination() {
    for (delivery, expected) in [
        ("{ to: evn, key: A }", vec!["unknown_destination: evn"]),
        ("{ key: A }", vec!["missing_key: { key: A }"]),
        ("{ to: env }", vec!["delivery: { to: env }"]),
        ("{ to: env, key: a-b }", vec!["delivery: a-b"]),
        ("{ to: env, key: A, id_key: B }", vec![]),
        ("{ to: env, key: A, id_key: A }", vec!["same_slot: A, A"]),
        ("{ to: raw }", vec![]),
        ("{ to: raw, key: A, id_key: B }", vec!["delivery: A", "delivery: B"]),
        ("{ to: run }", vec![]),
        ("{ to: run, key: any thing }", vec![]),
        ("{ to: env, key: A }, { to: env, key: A }", vec!["same_slot: A, A"]),
        ("{ to: raw }, { to: raw }", vec!["same_slot: raw, raw"]),
    ] {
        assert_eq!(told_of_token(&format!("{{ deliver: [{delivery}] }}")), expected, "{delivery}");
    }
    let bearer = lm("{ bearer_tokens: { t: { deliver: [{ to: env, key: A, id_key: B }] } } }") + DESTINATIONS;
    assert_eq!(told(&bearer)[0], "delivery: B");
}

#[test]
fn destinations_are_checked() {
    let destinations = |text: &str| told(&format!("version: 1\ndestinations: {{ {text} }}\n"));
    assert_eq!(
        destinations("a: { file: { path: x, format: raw } }, b: { file: { path: y/../x, format: raw } }"),
        ["unused_destination: a", "unused_destination: b", "same_file: y/../x, x"]
    );
    assert_eq!(destinations("a: { file: { path: x } }"), ["unused_destination: a", "missing_key: file"]);
    assert_eq!(destinations("a: { command: { run: [] } }"), ["unused_destination: a", "bad_value: []"]);
    let unused = load_text("version: 1\ndestinations: { a: { file: { path: x, format: raw } } }\n").unwrap();
    assert_eq!(unused.findings.len(), 1);
}

#[test]
fn names_are_checked() {
    for (name, fine) in
        [("ci", true), ("'a ;tf1 b'", false), ("ü", false), ("''", false), (&"x".repeat(61)[..], false)]
    {
        let found = told(&lm(&format!("{{ api_tokens: {{ {name}: {{}} }} }}")));
        assert_eq!(found, if fine { vec![] } else { vec![format!("bad_name: {name}")] });
    }
    assert_eq!(told(&ibm("{ service: monitoring, region: us.south/x }")), ["bad_value: us.south/x"]);
    assert_eq!(told(&ibm("{ service: monitoring, guid: \"a/b\" }")), ["bad_value: \"a/b\""]);
    assert_eq!(told(&ibm("{}")), ["missing_key: i"]);
}

#[test]
fn a_stated_issue_time_lies_in_the_past() {
    let stated = |at: &str| told_of_token(&format!("{{ rotate: {{ assume_issued: {at} }} }}"));
    assert_eq!(stated("2026-01-01T00:00:00Z"), [] as [&str; 0]);
    assert_eq!(stated("2099-01-01T00:00:00Z"), ["rotate: 2099-01-01T00:00:00Z"]);
}

#[test]
fn nothing_overlaps_where_the_old_token_goes_first() {
    let rotate = |wish: &str| told(&lm(&format!("{{ api_tokens: {{ t: {{ rotate: {wish} }} }} }}")));
    assert_eq!(rotate("{ strategy: replace, max_age: 1h }"), [] as [&str; 0], "no overlap bounds it");
    let all = rotate("{ strategy: replace, overlap: 1h, idle: 1h, soak: 1h }");
    assert_eq!(all, ["rotate: overlap, replace", "rotate: idle, replace", "rotate: soak, replace"]);
    for strategy in ["overlap", "replace"] {
        let team = format!("{{ token: {{ rotate: {{ strategy: {strategy} }} }} }}");
        let found = told(&ibm(&format!("{{ service: monitoring, region: r, teams: {{ T: {team} }} }}")));
        assert_eq!(found, ["rotate: strategy"], "a team has one token: nothing to choose");
    }
}

#[test]
fn a_second_owner_is_another_user_that_holds_one_bearer_token_of_one_name() {
    let users = |users: &str| {
        format!(
            "version: 1\nlogicmonitor: {{ a: {{ account: a, credential: {{ bearer: {{ env: K }} }}, users: {{ {users} }} }} }}\n"
        )
    };
    let loaded =
        load_text(&users("x: { bearer_tokens: { t: { second_owner: y } } }, z: { api_tokens: { t: {} } }"))
            .unwrap();
    let connection = loaded.desired.logicmonitor.values().next().unwrap();
    let (at, second) = connection.users.iter().nth(1).unwrap();
    assert_eq!(at.to_string(), "logicmonitor.a.y", "it is declared");
    assert_eq!(second.lends.as_ref().unwrap().token.to_string(), "logicmonitor.a.x.bearer_token[\"t\"]");
    let told = |text: &str| told(&users(text));
    let t = |owner: &str| format!("bearer_tokens: {{ t: {{ second_owner: {owner} }} }}");
    assert_eq!(told("x: { api_tokens: { t: { second_owner: y } } }"), ["second_owner: y"]);
    assert_eq!(told(&format!("x: {{ {} }}", t("x"))), ["second_owner: x"]);
    assert_eq!(told(&format!("x: {{ {} }}", t("''"))), ["bad_value: ''"]);
    assert_eq!(told(&format!("x: {{ {} }}, y: {{ {} }}", t("b"), t("b"))), ["second_owner: b, b"]);
    assert_eq!(
        told(&format!("x: {{ {} }}, y: {{ bearer_tokens: {{ u: {{}} }} }}", t("y"))),
        ["second_owner: y"]
    );
    let rotates = "bearer_tokens: { t: { second_owner: y, rotate: {} } }";
    assert_eq!(told(&format!("x: {{ {rotates} }}, y: {{ protect: true }}")), ["protected: y"]);
    assert_eq!(
        told(&format!("x: {{ {} }}, y: {{ id: 4, api_tokens: {{ u: {{}} }} }}", t("y"))),
        [] as [&str; 0]
    );
}

#[test]
fn unlisted_tokens_are_read_and_what_takes_them_needs_a_measure_of_disuse() {
    let wish = |wish: &str| {
        format!(
            "version: 1\nlogicmonitor: {{ a: {{ account: a, credential: {{ bearer: {{ env: K }} }}, unlisted_tokens: {wish} }} }}\n"
        )
    };
    let loaded =
        load_text(&wish("{ action: delete, unused_for: 90d, except: [7, \"x*\"], users: all }")).unwrap();
    let unlisted = loaded.desired.logicmonitor.values().next().unwrap().unlisted.clone().unwrap();
    assert_eq!(unlisted.unused_for.unwrap().to_string(), "90d");
    assert!(unlisted.all_users && unlisted.except.len() == 2);
    assert_eq!(told(&wish("{}")), [] as [&str; 0], "they are reported");
    assert_eq!(told(&wish("{ action: disable }")), ["missing_key: unlisted_tokens"]);
    assert_eq!(told(&wish("{ action: delete, unused_for: 3h }")), ["bad_value: 3h"]);
}

#[test]
fn every_ibm_credential_form_is_read_and_a_profile_is_named() {
    let credential = |form: &str| format!("version: 1\nibm: {{ p: {{ credential: {{ {form} }} }} }}\n");
    let read = |form: &str| {
        let loaded = load_text(&credential(form)).unwrap();
        loaded.desired.ibm[&Address::connection("ibm", "p")].credential.clone()
    };
    assert_eq!(read("iam_token: { env: T }"), Credential::IamToken(SecretRef::Env("T".into())));
    let Credential::TrustedProfile(profile) = read("trusted_profile: { cr_token: { env: T }, name: ci }")
    else {
        panic!("another form")
    };
    assert_eq!((profile.id, profile.name.as_deref()), (None, Some("ci")));
    let nameless = credential("trusted_profile: { cr_token: { env: T } }");
    assert_eq!(told(&nameless), ["missing_key: trusted_profile"]);
    let tokenless = credential("trusted_profile: { id: x }");
    assert_eq!(told(&tokenless), ["missing_key: trusted_profile"]);
}

#[test]
fn workload_protection_takes_an_accepted_mode() {
    let loaded = load_text(&ibm(
        "{ service: workload-protection, external_api_auth: IAM_ONLY, accept_unverified: true }",
    ))
    .unwrap();
    let connection = loaded.desired.ibm.values().next().unwrap();
    let instance = connection.instances.values().next().unwrap();
    assert!(instance.accept_unverified && instance.external_api_auth == Some(AuthMode::IamOnly));
}

#[test]
fn limits_default_one_by_one() {
    assert_eq!(told("version: 1\nlimits: { percent: 31 }\n"), [] as [&str; 0]);
    let loaded = load_text("version: 1\nlimits: { rotate: 5 }\n").unwrap();
    assert_eq!(loaded.desired.limits, Limits { rotate: 5, ..Limits::default() });
}

#[test]
fn layout_does_not_count() {
    let flat =
        load_text("version: 1\nlimits: { rotate: 5 }\nibm: { p: { credential: { api_key: { env: K } } } }\n")
            .unwrap();
    let split = load_files(&[
        ("a.yaml", "version: 1 # said twice\nibm:\n  p: { credential: { api_key: { env: K } } }\n"),
        ("b.yml", "version: 1\nlimits:\n  rotate: 5\n"),
    ])
    .unwrap();
    let json = |loaded: &Loaded| serde_json::to_string(&loaded.desired).unwrap();
    assert_eq!(json(&flat), json(&split));
}

#[test]
fn cut_and_bent_specs_are_told_and_never_panic() {
    let bend = |at: usize, with: &str| {
        let mut text = EXAMPLE.to_owned();
        text.replace_range(at..at + 1, with);
        text
    };
    for at in (0..EXAMPLE.len()).step_by(16) {
        let _ = load_text(&EXAMPLE[..at]);
        for with in ["{", "]", ":", "\"", "\t", "&", "*", "|", "é", "\n", "- "] {
            let at = at + usize::from(with.len() % 3 == 0);
            let _ = load_text(&bend(at.min(EXAMPLE.len() - 1), with));
        }
    }
}

/// Whatever is wrong around a pasted secret, it is not shown.
#[test]
fn a_pasted_secret_is_masked_in_a_bent_spec_too() {
    let secret = "pa55-w0rd";
    let pasted =
        EXAMPLE.replacen("{ api_key: { env: IBMCLOUD_API_KEY } }", &format!("{{ api_key: {secret} }}"), 1);
    let line = pasted.find("    credential").unwrap()..pasted.find("    token_reset").unwrap();
    for at in (0..pasted.len()).step_by(15).filter(|at| !line.contains(at)) {
        for with in ["{", "\"", "'", "|", "&a ", "*", ">", "\n  ", "#"] {
            let mut text = pasted.clone();
            text.replace_range(at..at + 1, with);
            let rejected = load_text(&text).unwrap_err();
            assert!(!format!("{rejected:?}").contains(secret), "{with} at {at}");
        }
    }
}

#[test]
fn line_ends_of_windows_are_fine() {
    let text = EXAMPLE.replace('\n', "\r\n");
    assert!(load_text(&text).is_ok());
    assert_eq!(told("version: 1\r\nlimits: { rotat: 1 }\r\n"), ["unknown_key: rotat"]);
}

#[test]
fn twenty_thousand_tokens_load() {
    let mut text = lm("{ api_tokens: { x: {} } }").replace("{ api_tokens: { x: {} } } } } }", "");
    text = text.trim_end().to_owned() + "\n{ api_tokens: {\n";
    for i in 0..20_000 {
        text += &format!("t{i}: {{ rotate: {{ max_age: 90d }}, deliver: [{{ to: j, key: K{i} }}] }},\n");
    }
    text += "} } } } }\ndestinations: { j: { file: { path: j.json, format: json } } }\n";
    let loaded = load_text(&text).unwrap_or_else(|r| panic!("{:?}", lines(&r.findings, &r.sources)));
    let user = Address::connection("logicmonitor", "a").owner("u");
    let connection = loaded.desired.logicmonitor.values().next().unwrap();
    assert_eq!(connection.users[&user].tokens.len(), 20_000);
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let committed = include_str!("../../schemas/spec.schema.json");
    assert!(generated == committed, "run `tokenform schema spec > schemas/spec.schema.json`");
}

#[test]
fn the_schema_takes_the_example_and_refuses_unknown_keys() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let json = |text: &str| json(&parse(text, 0).unwrap());
    let errors: Vec<_> = validator.iter_errors(&json(EXAMPLE)).map(|e| e.to_string()).collect();
    assert_eq!(errors, [] as [String; 0]);
    for bad in ["ibm: {}", "version: 2", "version: 1\nibn: {}", "version: 1\nlimits: { rotate: many }"] {
        assert!(!validator.is_valid(&json(bad)), "{bad}");
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => i64::try_from(*value).unwrap().into(),
        Value::Number(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Seq(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
    }
}

#[test]
fn the_schema_speaks_to_strangers() {
    let text = schema().to_string();
    for word in ["contract ibm", "contract logicmonitor", "PRODUCT", "ARCHITECTURE"] {
        assert!(!text.contains(word), "{word}");
    }
}
