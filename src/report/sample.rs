//! Plans for the tests of this room.

use std::collections::BTreeMap;

use crate::model::address::Address;
use crate::model::asked::{Asked, Extent};
use crate::model::change::{Action, Change, Field, Waiting};
use crate::model::outcome::Line;
use crate::model::secret::{DigestKey, Secret};
use crate::model::step::{Call, Delivery, Guard, Need, Recovery, Rule, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::Target;
use crate::plan::document::{
    Estate, Evidence, FORMAT_VERSION, Invariant, Plan, PlanFinding, Source, Summary,
};
use crate::provider::state::Limits;

pub fn team(instance: &str, name: &str) -> Address {
    Address::connection("ibm", "prod").owner(instance).item("team", name)
}

pub fn token(name: &str) -> Address {
    Address::connection("logicmonitor", "acme").owner("svc-ci").item("api_token", name)
}

pub fn instance(name: &str) -> Address {
    Address::connection("ibm", "prod").owner(name)
}

/// A line of an outcome about the reset of a team.
pub fn line(name: &str, detail: &str) -> Line {
    let address = team("mon-prod", name);
    Line { step: StepId::new(Verb::Reset, &address, 1), address, detail: detail.to_owned() }
}

/// A plan with nothing in it.
pub fn empty() -> Plan {
    let key = DigestKey::new(Secret::new(vec![7; 32]));
    Plan {
        format_version: FORMAT_VERSION.to_owned(),
        tokenform_version: "0.1.0".to_owned(),
        created_at: "2026-11-22T10:00:00Z".parse().unwrap(),
        created_by: None,
        expires_at: "2026-11-23T10:00:00Z".parse().unwrap(),
        target: Target::Live,
        source: Source::Live,
        complete: true,
        asked: Asked::default(),
        extent: Extent::default(),
        amends: None,
        spec_path: "tokens.yaml".into(),
        spec_digest: key.digest("spec", b""),
        live_digest: key.digest("live", b""),
        key_id: key.id().to_owned(),
        ledger_head: Some("00".to_owned()),
        limits: Limits::default(),
        summary: Summary::default(),
        changes: vec![],
        steps: vec![],
        invariants: vec![],
        findings: vec![],
        reverse: vec![],
        waiting: vec![],
        ages: vec![],
        side_effects: vec![],
        unlisted: vec![],
        live: vec![],
        live_fields: vec![],
        estate: Estate::default(),
        evidence: Evidence::default(),
    }
}

/// A plan with one of everything.
pub fn everything() -> Plan {
    let steps = steps();
    let changes = changes(&steps);
    let new_state = vec![steps[2].id.clone()];
    Plan {
        target: Target::Sandbox,
        ledger_head: None,
        limits: Limits { rotate: 200, ..Limits::default() },
        summary: Summary::of(&changes, &steps),
        invariants: (1..=7).map(invariant).collect(),
        findings: findings(),
        waiting: vec![waiting()],
        evidence: Evidence { new_state, ..Evidence::default() },
        changes,
        steps,
        ..empty()
    }
}

fn invariant(n: usize) -> Invariant {
    Invariant { id: format!("I{n}"), holds: true, proof: format!("proof of I{n}") }
}

pub fn waiting() -> Waiting {
    let until = Some("2026-11-23T10:00:00Z".parse().unwrap());
    Waiting { address: token("ci-deploy"), what: "disabling its predecessor 41".to_owned(), until }
}

fn findings() -> Vec<PlanFinding> {
    let finding = |code: &str, address, message: &str| PlanFinding {
        code: code.to_owned(),
        severity: "warning".to_owned(),
        address,
        message: message.to_owned(),
    };
    vec![
        finding("tokenform::plan::new_state", None, "no ledger at .tokenform"),
        finding("tokenform::plan::not_covered", Some(instance("mon-prod")), "NOT covered: team \"Web\""),
    ]
}

fn steps() -> Vec<Step> {
    let ops = step(Verb::Reset, team("mon-prod", "Monitor Operations"), "POST", "/api/token/reset");
    let web = step(Verb::Reset, team("mon-prod", "Web"), "POST", "/api/token/reset");
    let sre = step(Verb::Reset, team("mon-dev", "SRE"), "GUIDED", "Settings > User Profile > Reset Token");
    let issue = step(Verb::Issue, token("ci-deploy"), "POST", "/santaba/rest/setting/admins/7/apitokens");
    let enable = step(Verb::Enable, token("ci-old"), "PATCH", "/santaba/rest/setting/admins/7/apitokens/9");
    let disable =
        step(Verb::Disable, token("ci-spare"), "PATCH", "/santaba/rest/setting/admins/7/apitokens/8");
    let delete =
        step(Verb::Delete, token("ci-spare"), "DELETE", "/santaba/rest/setting/admins/7/apitokens/8");
    let lock = step(Verb::Lock, instance("mon-prod"), "PATCH", "/v2/resource_instances/1f");
    let unlock = step(Verb::Unlock, instance("mon-old"), "PATCH", "/v2/resource_instances/2e");
    let deliver = step(Verb::Deliver, team("mon-dev", "Infra"), "GET", "/api/token");
    let resets = [needs(&ops, Rule::ResetBeforeLock), needs(&web, Rule::ResetBeforeLock)];
    let lock_needs = resets.into_iter().chain([needs(&sre, Rule::CallerLast)]).collect();
    let at_least = "24h".parse().expect("a period");
    let guard = Guard::OldIdle { token_id: 8, at_least, last_used_on: None };
    vec![
        Step { shape: Some(Shape::Invalidate), ..ops },
        Step { shape: Some(Shape::Invalidate), ..web },
        Step { shape: Some(Shape::SingleSlot), destinations: vec![slot("SYSDIG_TOKEN", None)], ..sre },
        Step {
            shape: Some(Shape::Overlap),
            destinations: vec![slot("CI_KEY", Some("CI_ID")), slot("CI_KEY_2", None)],
            ..issue
        },
        enable,
        Step { guards: vec![guard], ..disable.clone() },
        Step { needs: vec![needs(&disable, Rule::DisableBeforeDelete)], ..delete },
        Step { needs: lock_needs, ..lock },
        unlock,
        Step { destinations: vec![slot("INFRA", None)], ..deliver },
    ]
}

fn step(verb: Verb, address: Address, method: &str, path: &str) -> Step {
    let host = match address.vendor() {
        "ibm" => "us-south.monitoring.cloud.ibm.com",
        _ => "acme.logicmonitor.com",
    };
    Step {
        id: StepId::new(verb, &address, 1),
        irreversible: verb.properties().irreversible,
        verb,
        address,
        shape: None,
        call: Call { method: method.to_owned(), host: host.to_owned(), path: path.to_owned() },
        needs: vec![],
        destinations: vec![],
        params: BTreeMap::new(),
        expects: vec![],
        guards: vec![],
        recovery: Recovery::ReadBack,
    }
}

fn needs(step: &Step, rule: Rule) -> Need {
    Need { step: step.id.clone(), rule }
}

fn slot(key: &str, id_key: Option<&str>) -> Delivery {
    Delivery { to: "ops-env".to_owned(), key: Some(key.to_owned()), id_key: id_key.map(str::to_owned) }
}

fn changes(steps: &[Step]) -> Vec<Change> {
    let change = |n: usize, action, kind: &str, reason: &str| Change {
        address: steps[n - 1].address.clone(),
        kind: kind.to_owned(),
        action,
        reason: reason.to_owned(),
        rationale: None,
        fields: vec![],
        notes: vec![],
        steps: vec![steps[n - 1].id.clone()],
    };
    let locked = field(
        "parameters",
        Some(r#"{"default_receiver":false,"external_api_auth":"ANY"}"#),
        Some(r#"{"default_receiver":false,"external_api_auth":"IAM_ONLY"}"#),
    );
    let mut changes = vec![
        change(1, Action::Invalidate, "team_token", "the instance goes to IAM_ONLY"),
        change(2, Action::Invalidate, "team_token", "the instance goes to IAM_ONLY (other_teams: reset)"),
        Change {
            fields: vec![
                field("fingerprint", Some("1a2b3c4d"), Some("(known after apply)")),
                field("owner", Some("me@example.com"), Some("me@example.com")),
                field("issued_at", Some("unknown"), Some("(known after apply)")),
            ],
            notes: vec!["outage from the reset in step 3 to its delivery".to_owned()],
            ..change(3, Action::Rotate, "team_token", "its age is unknown and max_age is 90d (TRA-12)")
        },
        Change {
            fields: vec![
                field("status", None, Some("enabled")),
                field("access_id", None, Some("(known after apply)")),
            ],
            notes: vec!["LogicMonitor mails the owner of the token".to_owned()],
            ..change(4, Action::Create, "api_token", "it does not exist")
        },
        change(5, Action::Enable, "api_token", "it is disabled and the spec says enabled"),
        Change {
            fields: vec![field("status", Some("enabled"), None)],
            ..change(7, Action::Delete, "api_token", "the spec says absent; last used 40d ago")
        },
        Change {
            fields: vec![field("external_api_auth", Some("ANY"), Some("IAM_ONLY")), locked],
            ..change(8, Action::Lock, "instance", "the spec says IAM_ONLY")
        },
        change(9, Action::Unlock, "instance", "the spec says ANY"),
        change(10, Action::Deliver, "team_token", "ops-env#INFRA has never had it"),
    ];
    changes[5].steps.insert(0, steps[5].id.clone());
    changes
}

fn field(name: &str, before: Option<&str>, after: Option<&str>) -> Field {
    Field { name: name.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
}
