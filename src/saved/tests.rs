//! Seals and digests of a small plan: pinned bytes, every changed byte, every cut.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::destination::{Destination, FileDestination, FileFormat};
use crate::model::address::Address;
use crate::model::asked::{Asked, Extent};
use crate::model::change::{Action, Change};
use crate::model::secret::Secret;
use crate::model::step::{Call, Delivery, Expect, Recovery, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::model::vocabulary::Target;
use crate::plan::document::{Estate, Evidence, Source, Summary};
use crate::plan::live_digest;
use crate::provider::state::{Desired, Limits};

pub(crate) fn key() -> DigestKey {
    DigestKey::new(Secret::new(vec![7; 32]))
}

fn team() -> Address {
    Address::connection("ibm", "prod").owner("mon").item("team", "SRE")
}

fn live() -> Vec<Expect> {
    vec![Expect { address: team(), digest: key().digest("team", b"as read") }]
}

fn step() -> Step {
    Step {
        id: StepId::new(Verb::Reset, &team(), 1),
        address: team(),
        verb: Verb::Reset,
        shape: Some(Shape::SingleSlot),
        call: Call { method: "GUIDED".into(), host: "cloud.ibm.com".into(), path: "/".into() },
        needs: vec![],
        irreversible: true,
        destinations: vec![Delivery { to: "ops".into(), key: Some("K".into()), id_key: None }],
        params: BTreeMap::from([("team".into(), "7".into())]),
        expects: live(),
        guards: vec![],
        recovery: Recovery::ReadBack,
    }
}

pub(crate) fn small_plan() -> Plan {
    let changes = vec![Change {
        address: team(),
        kind: "team_token".into(),
        action: Action::Rotate,
        reason: "91d old, max_age 90d \"TRA-12\"".into(),
        rationale: None,
        fields: vec![],
        notes: vec![],
        steps: vec![step().id],
    }];
    let steps = vec![step()];
    Plan {
        format_version: FORMAT_VERSION.into(),
        tokenform_version: "0.1.0".into(),
        created_at: "2026-11-22T10:00:00Z".parse().unwrap(),
        created_by: None,
        expires_at: "2026-11-23T10:00:00Z".parse().unwrap(),
        target: Target::Live,
        source: Source::Live,
        complete: true,
        asked: Asked::default(),
        extent: Extent::default(),
        amends: None,
        spec_path: "spec.yaml".into(),
        spec_digest: spec_digest(&written(&small_desired()), &key()),
        live_digest: live_digest(&live(), &key()),
        key_id: key().id().into(),
        ledger_head: None,
        limits: Limits::default(),
        summary: Summary::of(&changes, &steps),
        changes,
        steps,
        invariants: vec![],
        findings: vec![],
        reverse: vec![],
        waiting: vec![],
        ages: vec![],
        side_effects: vec![],
        unlisted: vec![],
        live: live(),
        live_fields: vec![],
        estate: Estate::default(),
        evidence: Evidence::default(),
    }
}

fn written(desired: &Desired) -> Vec<u8> {
    serde_json::to_vec(desired).unwrap()
}

fn small_desired() -> Desired {
    let ops = FileDestination { path: "secrets/ops.env".into(), format: FileFormat::Dotenv };
    let destinations = BTreeMap::from([("ops".to_owned(), Destination::File(ops))]);
    Desired { destinations, ..Desired::default() }
}

#[test]
fn a_sealed_plan_verifies_and_reads_back() {
    let bytes = seal(&small_plan(), &key());
    assert!(is_plan(&bytes));
    for saved in [verify(&bytes, &key()).unwrap(), parse(&bytes).unwrap()] {
        assert_eq!(saved.plan, small_plan());
        assert_eq!(saved.bytes, bytes);
    }
    // an editor's missing last line end changes nothing that the seal covers
    verify(&bytes[..bytes.len() - 1], &key()).unwrap();
}

/// The formats are a promise: a change of these bytes makes every saved plan stale.
#[test]
fn the_bytes_under_digests_and_seal_are_pinned() {
    assert_eq!(
        serde_json::to_string(&small_desired()).unwrap(),
        r#"{"ibm":{},"logicmonitor":{},"destinations":{"ops":{"file":{"path":"secrets/ops.env","format":"dotenv"}}},"limits":{"rotate":20,"enable":20,"disable":10,"delete":5,"lock":2,"percent":30}}"#
    );
    // SNAPSHOTS=overwrite writes it anew
    let sealed = String::from_utf8(seal(&small_plan(), &key())).unwrap();
    snapbox::assert_data_eq!(sealed, snapbox::file!["tests/small.plan": Text].raw());
}

#[test]
fn any_changed_byte_is_refused() {
    let bytes = seal(&small_plan(), &key());
    for at in 0..bytes.len() - 1 {
        let mut edited = bytes.clone();
        edited[at] ^= 1;
        assert!(verify(&edited, &key()).is_err(), "byte {at}");
    }
}

fn edited(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(seal(&small_plan(), &key())).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn an_edit_is_told_as_an_edit_and_can_still_be_shown() {
    for (from, to) in [
        ("\"rotate\": 20", "\"rotate\": 200"),
        ("  \"complete\": true,\n", "  \"complete\":   true,\n"),
        ("\"seal\": \"", "\"seal\":\"  "),
    ] {
        let bytes = edited(from, to);
        assert_eq!(verify(&bytes, &key()).unwrap_err(), SavedError::Edited);
        parse(&bytes).unwrap();
    }
    // behind the seal nothing may stand
    let text = String::from_utf8(edited("\"complete\": true,", "")).unwrap();
    let moved = text.replace("\"\n}\n", "\",\n  \"complete\": true\n}\n");
    assert_eq!(verify(moved.as_bytes(), &key()).unwrap_err(), SavedError::Edited);
    assert_eq!(SavedError::Edited.finding().code.id(), "tokenform::seal::edited");
}

#[test]
fn another_key_is_told_before_the_seal_is_looked_at() {
    let other = DigestKey::new(Secret::new(vec![8; 32]));
    let error = verify(&seal(&small_plan(), &key()), &other).unwrap_err();
    assert_eq!(error, SavedError::OtherKey { found: key().id().into(), ours: other.id().into() });
    assert!(error.finding().code.cure().contains("TOKENFORM_KEY"));
}

#[test]
fn a_file_that_is_cut_anywhere_is_malformed() {
    let bytes = seal(&small_plan(), &key());
    for cut in 0..bytes.len() - 2 {
        for result in [parse(&bytes[..cut]), verify(&bytes[..cut], &key())] {
            assert!(matches!(result, Err(SavedError::Malformed { .. })), "cut at {cut}");
        }
    }
}

#[test]
fn newer_formats_and_unknown_or_repeated_members_are_refused() {
    for version in ["1.1", "2.0", "10.0"] {
        let bytes =
            edited("\"format_version\": \"1.0\"", &format!("\"new\": [], \"format_version\": \"{version}\""));
        for result in [parse(&bytes), verify(&bytes, &key())] {
            assert_eq!(result.unwrap_err(), SavedError::Newer { found: version.into() });
        }
    }
    // A newer format may have none of our other members.
    let other = br#"{"format_version": "2.0", "key": {"id": 1}, "seal": 3}"#;
    for result in [parse(other), verify(other, &key())] {
        assert_eq!(result.unwrap_err(), SavedError::Newer { found: "2.0".into() });
    }
    for (from, to) in [
        ("\"format_version\": \"1.0\"", "\"format_version\": \"one\""),
        ("\"complete\": true", "\"complete\": true, \"colour\": 1"),
        ("\"complete\": true", "\"complete\": true, \"complete\": true"),
        ("\"complete\": true,", ""),
        ("\"verb\": \"reset\"", "\"verb\": \"explode\""),
    ] {
        let result = parse(&edited(from, to));
        assert!(matches!(result, Err(SavedError::Malformed { .. })), "{to}: {result:?}");
    }
    let SavedError::Malformed { reason } = parse(&edited("\"complete\": true", "\"colour\": 1")).unwrap_err()
    else {
        panic!("not malformed");
    };
    assert!(reason.contains("colour") && reason.contains("line 8"), "{reason}");
}

#[test]
fn a_plan_without_a_seal_is_shown_and_never_verified() {
    let bytes = serde_json::to_vec(&small_plan()).unwrap();
    parse(&bytes).unwrap();
    assert!(matches!(verify(&bytes, &key()), Err(SavedError::Malformed { .. })));
}

/// Digests are over maps of addresses: JSON must take them as keys.
#[test]
fn an_address_can_be_the_key_of_a_json_map() {
    let text = serde_json::to_string(&BTreeMap::from([(team(), 1)])).unwrap();
    assert_eq!(text, r#"{"ibm.prod.mon.team[\"SRE\"]":1}"#);
}

#[test]
fn digests_depend_on_content_and_key() {
    let (a, b) = (key(), DigestKey::new(Secret::new(vec![8; 32])));
    let (small, none) = (written(&small_desired()), written(&Desired::default()));
    assert_eq!(spec_digest(&small, &a), spec_digest(&small, &a));
    assert_ne!(spec_digest(&small, &a), spec_digest(&small, &b));
    assert_ne!(spec_digest(&small, &a), spec_digest(&none, &a));
    assert_ne!(live_digest(&live(), &a), live_digest(&[], &a));
}

#[test]
fn a_plan_file_is_written_privately_and_never_over_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("a.plan"), dir.path().join("link"));
    write(&path, b"{}").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    symlink(&path, &link).unwrap();
    write(&link, b"{ }").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"{ }");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(write(Path::new("/dev/null"), b"{}").is_err());
    assert!(write(dir.path(), b"{}").is_err());
}

#[test]
fn plans_are_told_from_specs_by_their_first_byte() {
    let error = parse(b"version: 1\n").unwrap_err().to_string();
    assert!(error.contains("it is not a plan file"), "{error}");
    assert!(is_plan(b" \n\t{"));
    assert!(!is_plan(b"version: 1\n") && !is_plan(b"") && !is_plan(b"# {"));
}
