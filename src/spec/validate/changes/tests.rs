//! What loads, and every error with its place.

use crate::provider::state::Desired;
use crate::spec::load;

fn loaded(changes: &str) -> Result<Desired, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spec.yaml");
    std::fs::write(&path, format!("version: 1\nchanges: {changes}\n")).unwrap();
    match load(&path, "2026-11-22T10:00:00Z".parse().unwrap()) {
        Ok(loaded) => Ok(loaded.desired),
        Err(rejected) => {
            let sources = &rejected.sources;
            let text = |span| sources.locate(span).map(|(file, range)| file.text[range].to_owned());
            let row = |finding: &crate::model::finding::Finding| {
                let places: Vec<_> = finding.labels.iter().filter_map(|label| text(label.span)).collect();
                let code = finding.code.id().trim_start_matches("tokenform::spec::");
                format!("{code}: {}", places.join(", "))
            };
            Err(rejected.findings.iter().map(row).collect())
        }
    }
}

fn told(changes: &str) -> Vec<String> {
    loaded(changes).expect_err(changes)
}

#[test]
fn windows_and_freezes_are_read_with_their_zones() {
    let text = r#"{ timezone: europe/berlin, windows: [ { from: 09:00, to: "16:00" }, { days: [sat], from: "22:00", to: "24:00", timezone: Asia/Tokyo } ], freezes: [ { from: 2020-01-01T00:00:00Z, to: 2020-01-02T00:00:00+01:00 } ] }"#;
    let changes = loaded(text).unwrap().changes;
    let told = serde_json::to_string(&changes).unwrap();
    assert_eq!(
        told,
        r#"{"zone":"Europe/Berlin","windows":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"09:00","to":"16:00","zone":"Europe/Berlin"},{"days":["sat"],"from":"22:00","to":"24:00","zone":"Asia/Tokyo"}],"freezes":[{"from":"2020-01-01T00:00:00Z","to":"2020-01-01T23:00:00Z","reason":null}]}"#
    );
    let plain = loaded("{ windows: [ { days: [mon], from: \"09:00\", to: \"10:00\" } ] }").unwrap().changes;
    assert_eq!(plain.windows[0].zone.name, "UTC");
}

#[test]
fn every_slip_is_told_at_its_place() {
    for (text, wanted) in [
        ("{}", &["changes: changes"][..]),
        ("{ windows: [] }", &["changes: []"]),
        ("{ windows: [ { days: [], from: \"09:00\", to: \"10:00\" } ] }", &["changes: []"]),
        ("{ windows: [ { from: \"09:00\", to: \"09:00\" } ] }", &["changes: \"09:00\", \"09:00\""]),
        ("{ windows: [ { from: \"24:00\", to: \"09:00\" } ] }", &["changes: \"24:00\""]),
        ("{ windows: [ { from: \"09:00\" } ] }", &["missing_key: { from: \"09:00\" }"]),
        (
            "{ windows: [ { from: \"9:00\", to: \"25:00\" } ] }",
            &["bad_value: \"9:00\"", "bad_value: \"25:00\""],
        ),
        ("{ windows: [ { from: 900, to: \"10:00\" } ] }", &["wrong_type: 900"]),
        ("{ windows: [ { days: [moon], from: \"09:00\", to: \"10:00\" } ] }", &["bad_value: moon"]),
        ("{ windows: [ 7 ], freezes: {} }", &["wrong_type: 7", "wrong_type: {}"]),
        ("{ timezone: Europe/Berln, freezes: [] }", &["unknown_zone: Europe/Berln"]),
        ("{ timezone: \"\", freezes: [] }", &["unknown_zone: \"\""]),
        ("{ timezone: ../../../etc/passwd, freezes: [] }", &["unknown_zone: ../../../etc/passwd"]),
        ("{ timezone: CET-1CEST, freezes: [] }", &["unknown_zone: CET-1CEST"]),
        (
            "{ windows: [ { from: \"09:00\", to: \"10:00\", timezone: Mars/Olympus } ] }",
            &["unknown_zone: Mars/Olympus"],
        ),
        (
            "{ freezes: [ { from: 2026-12-20T00:00:00Z, to: 2026-12-20T00:00:00Z } ] }",
            &["changes: 2026-12-20T00:00:00Z, 2026-12-20T00:00:00Z"],
        ),
        (
            "{ freezes: [ { from: 2026-12-20, to: tomorrow } ] }",
            &["bad_instant: 2026-12-20", "bad_instant: tomorrow"],
        ),
        (
            "{ freezes: [ { from: 2026-12-20T00:00:00Z, to: 2026-12-21T00:00:00Z, reason: \" \" } ] }",
            &["changes: \" \""],
        ),
        ("{ window: [] }", &["changes: changes", "unknown_key: window"]),
    ] {
        assert_eq!(told(text), wanted, "{text}");
    }
}

#[test]
fn all_of_it_is_told_in_one_run() {
    let text = "{ timezone: Nowhere, windows: [ { from: \"09:00\", to: \"09:00\" } ], freezes: [ { from: 2026-12-20T00:00:00Z } ] }";
    assert_eq!(told(text).len(), 3);
}

#[test]
fn a_zone_that_is_not_there_has_a_near_one() {
    for (name, near) in [
        ("Berlin", "did you mean `Europe/Berlin`?"),
        ("Europe/Berln", "did you mean `Europe/Berlin`?"),
        ("new york", "did you mean `America/New_York`?"),
    ] {
        assert_eq!(super::near(name).as_deref(), Some(near));
    }
}
