//! The sandbox against the vendors' own samples (`tests/vendor/*.json`): the sample's request is
//! answered with the sample's status and a body of the same members and JSON types.

use super::*;
use crate::model::vendor_sample::VendorSample;

const WORLD: &str = "
ibm:
  prod:
    account: 0123456789abcdef0123456789abcdef
    api_key: EXAMPLE-KEY
    identity: { username: ops@example.com }
    instances:
      mon-prod:
        guid: 5e2f1c3a-0000-4000-8000-00000000a001
        parameters: { default_receiver: false, external_api_auth: ANY }
        teams:
          Monitor Operations: { id: 10001, default: true, immutable: true, members: { bot@example.com: } }
          Secure Operations: { id: 10002, products: [SDS] }
logicmonitor:
  acme:
    users:
      svc-ci:
        id: 32
        email: ci@example.com
        roles: [ci-readonly]
        api_tokens: [ { id: 248, note: ci-deploy, created_on: 2026-08-01T00:00:00Z } ]
        bearer_tokens: [ { id: 249, note: otel } ]
";

/// Members whose content is not the vendor's: what the user set.
const FREE: &[&str] = &["parameters", "extensions"];

#[test]
fn every_sample_is_answered_in_its_shape() {
    let names = VendorSample::names();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let world = match name.as_str() {
            "ibm_token_refused" => WORLD.replace("external_api_auth: ANY", "external_api_auth: IAM_ONLY"),
            _ => WORLD.to_owned(),
        };
        let bench = Bench::new(&world);
        let sample = VendorSample::load(&name);
        assert!(!sample.contract.is_empty());
        let got = ask(&bench, &sample, &name);
        assert_eq!(got.status, sample.reply.status, "{name}: {}", got.body);
        alike(&sample.reply.body, &got.json(), &name);
        for (header, value) in &sample.reply.headers {
            assert_eq!(got.header(header), value, "{name}: {header}");
        }
    }
}

fn ask(bench: &Bench, sample: &VendorSample, name: &str) -> Got {
    let request = &sample.request;
    let proof = match (name.split_once('_').unwrap().0, sample.path()) {
        (_, "/identity/token") => String::new(),
        ("ibm", _) => bench.iam(),
        _ => {
            let (id, key, _) = bench.lm_credential();
            let key = if name == "lm_unauthorized" { "wrong".to_owned() } else { key };
            bench.signed(&id, &key, &request.method, &request.target, &request.body, 0)
        }
    };
    let mut headers: Vec<_> = request.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    headers.push(("Authorization", &proof));
    bench.send(&request.method, &request.target, &headers, &request.body)
}

/// The same members, and values of the same type. Where one side is null, it may be anything: the
/// documents show a value where a reply may have none, and the other way round.
fn alike(sample: &Value, got: &Value, place: &str) {
    match (sample, got) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(sample), Value::Object(got)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            let (mut ours, mut theirs) = (names(got), names(sample));
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "members of {place}");
            for (name, value) in sample.iter().filter(|(name, _)| !FREE.contains(&name.as_str())) {
                alike(value, &got[name], &format!("{place}.{name}"));
            }
        }
        (Value::Array(sample), Value::Array(got)) => {
            assert_eq!(sample.is_empty(), got.is_empty(), "{place}");
            for (at, value) in got.iter().enumerate() {
                alike(&sample[0], value, &format!("{place}[{at}]"));
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        (sample, got) => panic!("{place} is {got}, and the sample says {sample}"),
    }
}
