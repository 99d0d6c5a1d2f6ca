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

/// GitLab's tool: the same. What it answers is read by the real `jq`.
const GLAB: &str = "#!/bin/sh
echo \"$*\" >> \"$ROOT/glab.log\"
case \"$*\" in
  *--method*) echo '{}' ;;
  *merge_requests/7/notes) cat \"$ROOT/notes\" ;;
  *'issues?labels=tokenform-drift&state=opened') cat \"$ROOT/issues\" ;;
  *commits/fedc/merge_requests) echo '[{\"iid\":7}]' ;;
  *merge_requests/7/pipelines) echo '[{\"id\":70,\"status\":\"failed\"},{\"id\":69,\"status\":\"success\"}]' ;;
  *pipelines/69/jobs) echo '[{\"id\":4,\"name\":\"lint\"},{\"id\":5,\"name\":\"plan\"}]' ;;
  *jobs/5/artifacts/review.plan) cat \"$ROOT/artifact.plan\" ;;
  *) exit 9 ;;
esac
";

/// A repository with a spec in `tokens`, and the tools that steps call.
fn place() -> Place {
    let place = Place::example("quickstart");
    fs::rename(place.path("examples/quickstart"), place.path("tokens")).unwrap();
    for (name, text) in [("tokenform", TOKENFORM), ("gh", GH), ("glab", GLAB)] {
        place.write(&format!("bin/{name}"), &text.replace("PROGRAM", env!("CARGO_BIN_EXE_tokenform")));
        fs::set_permissions(place.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for empty in ["gh.log", "glab.log", "issue", "comment"] {
        place.write(empty, "");
    }
    place.write("notes", "[]");
    place.write("issues", "[]");
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
    command.env("CI_PROJECT_ID", "3").env("CI_MERGE_REQUEST_IID", "7").env("CI_COMMIT_SHA", "fedc");
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
    let last = |place: &Place| last(place, "gh.log");
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

/// The script of a GitLab job, in one shell, as a runner does it.
fn gitlab(place: &Place, job: &str) -> Ran {
    assert!(Command::new("jq").arg("--version").output().is_ok(), "GitLab's jobs need jq; install it");
    let workflow = workflow("gitlab/.gitlab-ci.yml");
    let lines = workflow[job]["script"].as_array().unwrap().iter();
    let script: Vec<_> = lines.map(|line| line.as_str().unwrap()).collect();
    sh(place, ".", &script.join("\n"))
}

fn last(place: &Place, log: &str) -> String {
    place.read(log).lines().last().unwrap().to_owned()
}

#[test]
fn gitlab_plans_comments_and_applies_exactly_the_reviewed_plan() {
    let place = place();
    gitlab(&place, "plan").exits(0);
    let notes = "projects/3/merge_requests/7/notes";
    assert_eq!(last(&place, "glab.log"), format!("api --method POST {notes} --field body=@plan.md"));
    assert!(place.read("validate.xml").contains("failures=\"0\""));
    // one comment among others, on a second page
    let ours = serde_json::json!([{ "id": 42, "body": place.read("plan.md") }]);
    place.write("notes", &format!("[{{\"id\":41,\"body\":\"Looks good\"}}]{ours}"));
    gitlab(&place, "plan").exits(0);
    assert_eq!(last(&place, "glab.log"), format!("api --method PUT {notes}/42 --field body=@plan.md"));
    fs::rename(place.path("review.plan"), place.path("artifact.plan")).unwrap();
    gitlab(&place, "apply").exits(0);
    // the same plan again is stale
    gitlab(&place, "apply").exits(4);
}

#[test]
fn gitlab_opens_and_closes_one_issue_of_drift() {
    let place = place();
    let put = "api --method PUT projects/3/issues/9 --field";
    gitlab(&place, "drift").exits(0);
    let opened = last(&place, "glab.log");
    assert!(
        opened.starts_with("api --method POST projects/3/issues --field title=Tokens drifted"),
        "{opened}"
    );
    place.write("issues", "[{\"id\":1009,\"iid\":9}]");
    gitlab(&place, "drift").exits(0);
    assert_eq!(last(&place, "glab.log"), format!("{put} description=@drift.md"));
    sh(&place, ".", "tokenform apply tokens --auto-approve --new-state").exits(0);
    gitlab(&place, "drift").exits(0);
    assert_eq!(last(&place, "glab.log"), format!("{put} state_event=close"));
    place.write("issues", "[]");
    gitlab(&place, "drift").exits(0);
    assert!(last(&place, "glab.log").starts_with("api projects/3/issues?labels"));
    place.write("tokens/tokens.yaml", "version: 1\nversoin: 1\n");
    gitlab(&place, "drift").exits(1);
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
