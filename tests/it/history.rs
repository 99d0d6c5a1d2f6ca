//! What was done, from a user's seat: the story, its filters, and whether it is whole.

use std::fs;

use serde_json::Value;

use crate::support::{Place, Ran};

const SPEC: &str = "examples/quickstart";
const STATE: &str = "examples/quickstart/.tokenform/sandbox";
const LEDGER: &str = "examples/quickstart/.tokenform/sandbox/ledger.jsonl";

/// Applies in a CI job, so many days after the world begins.
fn apply(place: &Place, days: u32) {
    let args = ["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"];
    let job = [
        ("USER", "ada"),
        ("HOSTNAME", "ci-1"),
        ("GITLAB_CI", "true"),
        ("CI_JOB_URL", "https://bot:hunter2@gl.example/jobs/7?t=hunter2"),
        ("CI_COMMIT_SHA", "c0ffee"),
    ];
    let offset = format!("{days}d");
    let ran = place.command(&args).envs(job).env("TOKENFORM_CLOCK_OFFSET", offset).output().unwrap();
    Ran::from(ran).exits(0);
}

fn twice() -> Place {
    let place = Place::example("quickstart");
    apply(&place, 0);
    apply(&place, 100);
    place
}

fn history(place: &Place, args: &[&str]) -> Ran {
    place.run(&[&["history", SPEC, "--sandbox"], args].concat())
}

fn json(place: &Place, args: &[&str]) -> Value {
    let ran = history(place, &[&["--format", "json"], args].concat()).exits(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// What was done to what, in the order shown.
fn told(document: &Value) -> Vec<String> {
    let lines = document["lines"].as_array().unwrap().iter();
    lines.map(|line| format!("{} {}", line["what"], line["address"]).replace(['"', '\\'], "")).collect()
}

#[test]
fn it_tells_who_when_why_and_how_long_a_value_lived() {
    let place = twice();
    let sre = ["--address", "ibm.prod.mon-dev.team[\"SRE\"]"];
    let table = history(&place, &sre).exits(0);
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", table.stdout);
    assert!(lines[0].starts_with("WHEN"), "{}", lines[0]);
    assert!(lines[2].contains("100d old, max_age 90d") && lines[2].contains("ada@ci-1"), "{}", lines[2]);
    assert!(lines[2].contains("  100d  "), "{}", lines[2]);
    let document = json(&place, &sre);
    let [first, second] = document["lines"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(first["facts"]["fingerprint"], second["facts"]["old_fingerprint"]);
    assert_eq!(second["lived_seconds"].as_u64().unwrap() / 86_400, 100);
    assert_eq!((&first["rationale"], &second["rationale"]), (&"TRA-12".into(), &"TRA-12".into()));
    assert!(lines[2].ends_with("; TRA-12"), "{}", lines[2]);
    let ci = serde_json::json!({
        "system": "gitlab-ci", "job": "https://gl.example/jobs/7", "commit": "c0ffee"
    });
    assert_eq!(second["by"]["ci"], ci);
    let receipt = &second["delivered"][0];
    assert_eq!(
        (&receipt["slot"], &receipt["fingerprint"]),
        (&"ops-env#SYSDIG_TOKEN".into(), &second["facts"]["fingerprint"])
    );
    assert!(receipt["at"].as_str().unwrap() <= second["at"].as_str().unwrap());
    // the plan file is the one that the journal holds
    let journal = format!("{STATE}/journal/{}.jsonl", second["apply"].as_str().unwrap());
    let opened: Value = serde_json::from_str(place.read(&journal).lines().next().unwrap()).unwrap();
    place.write("the.plan", opened["opened"]["plan"].as_str().unwrap());
    let sum = std::process::Command::new("sha256sum").arg(place.path("the.plan")).output();
    if let Ok(sum) = sum {
        assert!(String::from_utf8_lossy(&sum.stdout).starts_with(second["plan"].as_str().unwrap()));
    }
    assert_eq!(document["generations"].as_array().unwrap().len(), 2);
    history(&place, &[&sre[..], &["-v"]].concat())
        .exits(0)
        .says("in gitlab-ci https://gl.example/jobs/7")
        .says("was given");
}

#[test]
fn filters_choose_lines_and_the_newest_is_last() {
    let place = twice();
    let all = json(&place, &[]);
    let numbers: Vec<u64> =
        all["lines"].as_array().unwrap().iter().map(|l| l["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 16, "{numbers:?}");
    assert_eq!(
        told(&json(&place, &["--verb", "lock", "--verb", "unlock"])),
        ["unlock ibm.prod.mon-lab", "lock ibm.prod.mon-prod"]
    );
    let first = all["lines"][0]["apply"].as_str().unwrap();
    let of_first = json(&place, &["--apply", first]);
    assert_eq!(told(&of_first).len(), 16);
    assert_eq!(told(&json(&place, &["--since", "90d"])).len(), numbers.len() - 16);
    assert_eq!(told(&json(&place, &["--until", "2026-11-23"])).len(), 16);
    assert!(
        told(&json(&place, &["--since", "2026-11-22T10:00:05Z", "--until", "2026-11-22T10:00:05Z"]))
            .is_empty()
    );
    let newest = json(&place, &["--limit", "2", "--reverse"]);
    let newest: Vec<u64> =
        newest["lines"].as_array().unwrap().iter().map(|l| l["number"].as_u64().unwrap()).collect();
    assert_eq!(newest, [numbers.len() as u64, numbers.len() as u64 - 1]);
    assert!(
        told(&json(&place, &["--address", "logicmonitor.acme"]))
            .iter()
            .all(|line| line.contains("logicmonitor.acme"))
    );
    let teams = told(&json(&place, &["--address", "ibm.prod.mon-prod.team"]));
    assert!(!teams.is_empty() && teams.iter().all(|line| line.starts_with("reset ibm.prod.mon-prod.team[")));
    assert!(told(&json(&place, &["--address", "ibm"])).len() > teams.len());
    history(&place, &["--verb", "frobnicate"]).exits(1).says("possible values");
    history(&place, &["--address", "mon-dev["]).exits(1).says("--address");
    history(&place, &["--since", "yesterday"]).exits(1).says("2026-11-01");
    history(&place, &["--verify", "--limit", "2"]).exits(1).says("cannot be used with");
}

/// Every file of the state with its bytes.
fn snapshot(place: &Place) -> Vec<(String, Vec<u8>)> {
    fn visit(folder: &std::path::Path, files: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => visit(&path, files),
                false => files.push((path.display().to_string(), fs::read(&path).unwrap())),
            }
        }
    }
    let mut files = Vec::new();
    visit(&place.path(SPEC), &mut files);
    files.sort();
    files
}

#[test]
fn it_needs_no_key_takes_no_lock_and_writes_nothing() {
    let place = twice();
    fs::remove_file(place.path(&format!("{STATE}/key"))).unwrap();
    let lock = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(place.path(&format!("{STATE}/lock")))
        .unwrap();
    lock.lock().unwrap();
    let before = snapshot(&place);
    history(&place, &[]).exits(0);
    history(&place, &["--verify"]).exits(0).says("is whole");
    assert!(before == snapshot(&place), "something was written");
    // and nothing is made where nothing is
    let empty = Place::example("quickstart");
    history(&empty, &[]).exits(0).says("Nothing is recorded");
    history(&empty, &["--verify"]).exits(0).says("is whole");
    assert!(told(&json(&empty, &[])).is_empty());
    assert!(!empty.path("examples/quickstart/.tokenform").exists());
    history(&empty, &["--format", "html"]).exits(1);
    empty.run(&["history", "nowhere"]).exits(1).says("nowhere");
}

#[test]
fn a_changed_line_is_named_and_the_rest_is_shown() {
    let place = twice();
    let text = place.read(LEDGER);
    let changed = text.replacen("\"identity\":\"ops", "\"identity\":\"eve", 1);
    assert_ne!(text, changed, "the example has an identity of another name");
    place.write(LEDGER, &changed);
    let number = 1 + text.lines().zip(changed.lines()).position(|(a, b)| a != b).unwrap();
    history(&place, &["--verify"]).exits(1).says("NOT whole").says(&format!("line {number}: does not match"));
    let shown = history(&place, &[]).exits(1).says("does not match its hash");
    assert_eq!(shown.stdout.lines().count(), text.lines().count(), "{}", shown.stdout);
    let verdict = history(&place, &["--verify", "--format", "json"]).exits(1);
    let verdict: Value = serde_json::from_str(&verdict.stdout).unwrap();
    assert_eq!(verdict["whole"], false);
    // an apply does not go on with it
    place.run(&["plan", SPEC, "--sandbox"]).exits(1).says("does not match its hash");
}

#[test]
fn a_tail_that_was_cut_off_is_missed() {
    let place = Place::example("quickstart");
    apply(&place, 0);
    let early = ["plan", SPEC, "--sandbox", "-o", "early.plan"];
    place.run(&early).exits(0);
    apply(&place, 100);
    let verdict = history(&place, &["--verify", "--format", "json"]).exits(0);
    let head = serde_json::from_str::<Value>(&verdict.stdout).unwrap()["head"].as_str().unwrap().to_owned();
    history(&place, &["--verify", "--head", &head, "--head", "early.plan"]).exits(0);
    let text = place.read(LEDGER);
    let cut = |lines: usize| place.write(LEDGER, &text.split_inclusive('\n').take(lines).collect::<String>());
    cut(16);
    history(&place, &["--verify"]).exits(1).says("lacks what apply");
    // with the journals gone as well, only what was kept elsewhere tells
    fs::remove_dir_all(place.path(&format!("{STATE}/journal"))).unwrap();
    history(&place, &["--verify"]).exits(0);
    history(&place, &["--verify", "--head", &head]).exits(1).says("no line of");
    history(&place, &["--verify", "--head", "early.plan"]).exits(0);
    cut(15);
    history(&place, &["--verify", "--head", "early.plan"]).exits(1).says("no line of");
    history(&place, &["--verify", "--head", "nothing"]).exits(1).says("neither a hash nor a plan file");
}

#[test]
fn it_can_be_asked_at_any_time_while_an_apply_runs() {
    let place = Place::example("quickstart");
    let mut args = place.command(&["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"]);
    let mut running =
        args.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut asked = 0;
    while running.try_wait().unwrap().is_none() {
        history(&place, &["--verify"]).exits(0);
        history(&place, &["--format", "json"]).exits(0);
        asked += 1;
    }
    assert!(running.wait().unwrap().success() && asked > 0);
}
