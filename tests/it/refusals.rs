//! Saved plans that must not run: each refusal has its exit code, its reason, and sends nothing.

use crate::support::{Place, Ran};

const STATE: &str = "examples/quickstart/.tokenform";

fn planned() -> Place {
    let place = Place::example("quickstart");
    place.run(&["plan", "examples/quickstart", "--sandbox", "-o", "a.plan"]).exits(0);
    place
}

fn apply(place: &Place) -> Ran {
    place.run(&["apply", "a.plan", "--sandbox"])
}

/// Nothing that changes anything was ever sent.
#[track_caller]
fn nothing_changed(place: &Place) {
    let tape = place.tape(&format!("{STATE}/sandbox/tape.jsonl"));
    assert!(!tape.is_empty());
    for entry in tape {
        assert_eq!(entry["effect"], "", "{entry}");
    }
}

#[test]
fn a_saved_plan_runs_once() {
    let place = planned();
    apply(&place).exits(0).says("Apply complete");
    let ran = apply(&place).exits(4).says("moved since the plan was made");
    let told: Vec<_> = ran.stderr.split_whitespace().filter(|word| *word != "│").collect();
    let told = told.join(" ");
    for moved in ["the token has another value now", "`parameters.external_api_auth` is now `IAM_ONLY`"] {
        assert!(told.contains(moved), "{moved}: {told}");
    }
    assert!(told.contains("` is new; `id "), "a token appeared: {told}");
}

/// The digest of a spec does not depend on how its path was typed, or from where.
#[test]
fn a_plan_is_applied_with_its_spec_named_in_another_way() {
    let elsewhere = tempfile::tempdir().unwrap();
    for from in ["here", "elsewhere", "inside"] {
        let place = planned();
        let (plan, spec) = (place.path("a.plan"), place.path("examples/quickstart"));
        let (plan, spec) = (plan.to_str().unwrap(), spec.to_str().unwrap());
        let mut command = match from {
            "inside" => place.command(&["apply", plan, "--spec", ".", "--sandbox"]),
            _ => place.command(&["apply", plan, "--spec", spec, "--sandbox"]),
        };
        match from {
            "elsewhere" => command.current_dir(elsewhere.path()),
            "inside" => command.current_dir(spec),
            _ => &mut command,
        };
        Ran::from(command.output().unwrap()).exits(0).says("Apply complete");
    }
}

/// A refusal, not an outage: the team's token is not even asked for.
#[test]
fn an_unlisted_team_under_refuse_is_a_refusal() {
    let place = Place::empty();
    place.write(
        "spec/tokens.yaml",
        "version: 1
ibm:
  prod:
    credential: { api_key: { env: KEY } }
    token_reset: { method: POST, path: /sandbox-invented/reset }
    instances:
      mon: { service: monitoring, external_api_auth: IAM_ONLY, other_teams: refuse, teams: { Ops: {} } }
",
    );
    place.write(
        "spec/w.world.yaml",
        "version: 1
ibm:
  prod:
    instances:
      mon:
        region: us-south
        parameters: { external_api_auth: ANY }
        teams: { Ops: { id: 1, default: true }, SRE: { id: 2 } }
",
    );
    let ran = place.run(&["plan", "spec", "--sandbox"]).exits(3).says("tokenform::plan::other_teams");
    assert!(!ran.all().contains("unreadable") && !ran.all().contains("was not read"), "{}", ran.all());
}

/// Paths that are not text are told like any other bad input.
#[test]
fn a_spec_whose_path_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::example("quickstart");
    let name = std::ffi::OsStr::from_bytes(b"spec\xff");
    std::fs::rename(place.path("examples/quickstart"), place.root().join(name)).unwrap();
    for words in [["validate"].as_slice(), &["plan", "--sandbox"], &["apply", "--sandbox", "--auto-approve"]]
    {
        let mut command = place.command(words);
        Ran::from(command.arg(name).output().unwrap()).exits(1).says("tokenform::spec::not_utf8");
    }
}

#[test]
fn an_edited_plan_is_refused() {
    let place = planned();
    let text = place.read("a.plan");
    let edits: [(&str, &str); 4] = [
        ("\"team_id\": \"10003\"", "\"team_id\": \"10004\""),
        ("reset-before-lock", "lock-last"),
        ("IAM_ONLY", "ANY"),
        ("{", "{ "),
    ];
    for (from, to) in edits {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{from} is not in the plan");
        place.write("a.plan", &edited);
        apply(&place).exits(3).says("tokenform::seal::edited");
    }
    nothing_changed(&place);
}

#[test]
fn a_plan_without_a_seal_or_with_another_key_is_refused() {
    let place = planned();
    std::fs::remove_file(place.path(&format!("{STATE}/sandbox/key"))).unwrap();
    apply(&place).exits(3).says("tokenform::seal::other_key").says("TOKENFORM_KEY");
    nothing_changed(&place);
}

#[test]
fn a_truncated_plan_and_a_newer_one_are_errors() {
    let place = planned();
    let text = place.read("a.plan");
    for cut in [1, 2, 100, text.len() / 2, text.len() - 20] {
        place.write("a.plan", &text[..cut]);
        apply(&place).exits(1).says("tokenform::seal::malformed");
        place.run(&["show", "a.plan"]).exits(1);
    }
    place.write("a.plan", &text.replacen("\"format_version\": \"1.0\"", "\"format_version\": \"2.0\"", 1));
    apply(&place).exits(1).says("tokenform::seal::newer_format");
    nothing_changed(&place);
}

#[test]
fn a_changed_spec_is_stale_and_a_changed_layout_is_not() {
    let place = planned();
    let spec = "examples/quickstart/tokens.yaml";
    let text = place.read(spec);
    place.write(spec, &text.replace("max_age: 180d", "max_age: 170d"));
    apply(&place).exits(4).says("the spec").says("changed");
    nothing_changed(&place);
    place.write(spec, &format!("# a comment more\n{text}\n"));
    apply(&place).exits(0);
}

#[test]
fn a_changed_world_is_stale_and_named() {
    let place = planned();
    let world = format!("{STATE}/sandbox/world.yaml");
    let text = place.read(&world);
    let changed = text.replacen("note: ci-legacy", "note: ci-legacy ", 1);
    let changed = if changed == text { text.replacen("\"ci-legacy\"", "\"ci-legacy \"", 1) } else { changed };
    assert_ne!(changed, text);
    place.write(&world, &changed.replacen("note: ci-legacy ", "note: \"ci-legacy;\"", 1));
    apply(&place).exits(4).says("api_token[\"ci-legacy\"]");
    nothing_changed(&place);
}

#[test]
fn an_expired_plan_is_stale() {
    let place = planned();
    let mut command = place.command(&["apply", "a.plan", "--sandbox"]);
    let ran: Ran = command.env("TOKENFORM_CLOCK_OFFSET", "25h").output().unwrap().into();
    ran.exits(4).says("expired");
    nothing_changed(&place);
}

#[test]
fn a_sandbox_plan_does_not_run_live() {
    let place = planned();
    let mut command = place.command(&["apply", "a.plan", "--state", &format!("{STATE}/sandbox")]);
    let ran: Ran = command.output().unwrap().into();
    ran.exits(3).says("the sandbox");
    nothing_changed(&place);
}

#[test]
fn a_limit_refuses_and_can_be_raised_for_one_plan() {
    let place = Place::example("quickstart");
    let spec = "examples/quickstart/tokens.yaml";
    place.write(spec, &format!("{}\nlimits: {{ rotate: 1 }}\n", place.read(spec)));
    place
        .run(&["apply", "examples/quickstart", "--sandbox", "--auto-approve", "--new-state"])
        .exits(3)
        .says("tokenform::plan::limit");
    nothing_changed(&place);
    place
        .run(&["plan", "examples/quickstart", "--sandbox", "-o", "a.plan", "--limit", "rotate=200"])
        .exits(0);
    apply(&place).exits(0);
}

#[test]
fn the_state_lock_is_held_by_one() {
    let place = planned();
    let path = place.path(&format!("{STATE}/sandbox/lock"));
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(path).unwrap();
    file.lock().unwrap();
    apply(&place).exits(5);
    nothing_changed(&place);
}

#[test]
fn ages_that_an_apply_changed_make_an_earlier_plan_stale() {
    let place = planned();
    // An apply that touches nothing of the plan's live objects still moves the ledger.
    let ledger = format!("{STATE}/sandbox/ledger.jsonl");
    let other = Place::example("quickstart");
    other.run(&["apply", "examples/quickstart", "--sandbox", "--auto-approve", "--new-state"]).exits(0);
    place.write(&ledger, &other.read(&ledger));
    apply(&place).exits(4).says("another apply was made with this state");
    nothing_changed(&place);
}
