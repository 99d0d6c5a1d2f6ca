//! The CI workflows of the examples: their shell steps run as they stand, against the sandbox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Ran, repository};

/// Runs what talks to vendors against the sandbox. The workflows themselves name none.
const TOKENFORM: &str = "#!/bin/sh
case $1 in
  plan|apply) exec PROGRAM \"$@\" --sandbox ;;
  *) exec PROGRAM \"$@\" ;;
esac
";

/// GitHub's tool: writes down what it was asked, answers from files.
const GH: &str = "#!/bin/sh
echo \"$*\" >> \"$ROOT/gh.log\"
case \"$*\" in
  *head.sha*) echo 0123abc ;;
  'run list'*) echo 77 ;;
  'run download'*) cp \"$ROOT/artifact.plan\" review.plan ;;
  'issue list'*) cat \"$ROOT/issue\" ;;
  *--paginate*) cat \"$ROOT/comment\" ;;
esac
";

/// A repository with a spec in `tokens`, and the tools that steps call.
fn place() -> Place {
    let place = Place::example("quickstart");
    fs::rename(place.path("examples/quickstart"), place.path("tokens")).unwrap();
    for (name, text) in [("tokenform", TOKENFORM), ("gh", GH)] {
        place.write(&format!("bin/{name}"), &text.replace("PROGRAM", env!("CARGO_BIN_EXE_tokenform")));
        fs::set_permissions(place.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for empty in ["gh.log", "issue", "comment"] {
        place.write(empty, "");
    }
    place
}

fn workflow(path: &str) -> Value {
    let text = fs::read_to_string(repository().join("examples/ci").join(path)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// One step, in the shell that the forge gives it.
fn sh(place: &Place, folder: &str, script: &str) -> Ran {
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(place.path(folder)).env_clear();
    command.env("PATH", format!("{}:/usr/bin:/bin", place.path("bin").display()));
    command.env("ROOT", place.root()).env("SPEC", "tokens").env("PLANFILE", place.path("atlantis.plan"));
    command.env("TOKENFORM_STATE", place.path("state")).env("PR", "7");
    command.env("GITHUB_REPOSITORY", "o/r").env("GITHUB_SHA", "fedc");
    command.output().unwrap().into()
}

/// Every `run` of a GitHub workflow's one job.
fn github(place: &Place, file: &str) {
    let workflow = workflow(&format!("github/{file}"));
    let jobs = workflow["jobs"].as_object().unwrap();
    let steps = jobs.values().flat_map(|job| job["steps"].as_array().unwrap());
    let runs: Vec<_> = steps.filter_map(|step| step["run"].as_str()).collect();
    assert!(!runs.is_empty());
    for run in runs {
        sh(place, ".", run).exits(0);
    }
}

#[test]
fn github_plans_comments_and_applies_exactly_the_reviewed_plan() {
    let place = place();
    github(&place, "plan.yml");
    assert!(place.read("plan.md").starts_with("<!--"));
    assert!(
        place.read("gh.log").contains("--method POST repos/o/r/issues/7/comments"),
        "{}",
        place.read("gh.log")
    );
    place.write("comment", "42\n");
    github(&place, "plan.yml");
    assert!(place.read("gh.log").contains("--method PATCH repos/o/r/issues/comments/42"), "one comment");
    fs::rename(place.path("review.plan"), place.path("artifact.plan")).unwrap();
    github(&place, "apply.yml");
    // the same plan again is stale: its step fails
    sh(&place, ".", "tokenform apply review.plan").exits(4);
}

#[test]
fn github_opens_and_closes_one_issue_of_drift() {
    let place = place();
    let last = |place: &Place| place.read("gh.log").lines().last().unwrap().to_owned();
    github(&place, "drift.yml");
    assert!(last(&place).starts_with("issue create"), "{}", last(&place));
    place.write("issue", "9\n");
    github(&place, "drift.yml");
    assert!(last(&place).starts_with("issue edit 9"), "{}", last(&place));
    sh(&place, ".", "tokenform apply tokens --auto-approve --new-state").exits(0);
    github(&place, "drift.yml");
    assert!(last(&place).starts_with("issue close 9"), "{}", last(&place));
    place.write("issue", "");
    github(&place, "drift.yml");
    assert!(last(&place).starts_with("issue list"), "{}", last(&place));
}

#[test]
fn gitlab_plans_applies_and_tells_drift_by_its_exit_code() {
    let place = place();
    let workflow = workflow("gitlab/.gitlab-ci.yml");
    let script = |job: &str| -> Vec<String> {
        let lines = workflow[job]["script"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    let drift = script("drift").join("\n");
    sh(&place, ".", &drift).exits(2);
    assert_eq!(workflow["drift"]["allow_failure"]["exit_codes"], 2);
    for job in ["plan", "apply"] {
        sh(&place, ".", &script(job).join("\n")).exits(0);
    }
    assert!(place.read("validate.xml").contains("failures=\"0\""));
    sh(&place, ".", &drift).exits(0);
}

#[test]
fn atlantis_and_pre_commit_run_as_they_stand() {
    let place = place();
    let hooks = workflow("pre-commit/.pre-commit-config.yaml");
    let entry = hooks["repos"][0]["hooks"][0]["entry"].as_str().unwrap().to_owned();
    sh(&place, ".", &entry).exits(0);
    let atlantis = workflow("atlantis/atlantis.yaml");
    for stage in ["plan", "apply"] {
        for step in atlantis["workflows"]["tokenform"][stage]["steps"].as_array().unwrap() {
            sh(&place, "tokens", step["run"].as_str().unwrap()).exits(0);
        }
    }
    let spec = place.read("tokens/tokens.yaml");
    place.write("tokens/tokens.yaml", &spec.replace("version: 1", "version: 1\nversoin: 1"));
    sh(&place, ".", &entry).exits(1);
}
