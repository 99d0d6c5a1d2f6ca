//! Break-glass from a user's seat: opened for a reason, held for a while, locked again.

use serde_json::Value;

use crate::support::{Place, Ran};

const SPEC: &str = "\
version: 1
ibm:
  prod:
    credential: { api_key: { env: K } }
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      mon: { service: monitoring, external_api_auth: IAM_ONLY, teams: { Ops: {} } }
      free: { service: monitoring, teams: { Ops: {} } }
  lab:
    credential: { api_key: { env: K } }
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      free: { service: monitoring }
";

const WORLD: &str = "\
version: 1
clock: 2026-11-22T10:00:00Z
ibm:
  prod:
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      mon: { parameters: { external_api_auth: ANY }, teams: { Ops: { id: 1 }, Dev: { id: 2 } } }
      free: { parameters: { external_api_auth: ANY }, teams: { Ops: { id: 11 } } }
  lab:
    token_reset: { method: POST, path: /sandbox-invented/api/token/reset }
    instances:
      free: { parameters: { external_api_auth: ANY }, teams: { Ops: { id: 21 } } }
";

const STATE: &str = "spec/.tokenform/sandbox";

/// An instance that tokenform has locked.
fn locked() -> Place {
    let place = Place::empty();
    place.write("spec/tokens.yaml", SPEC);
    place.write("spec/w.world.yaml", WORLD);
    run(&place, &["apply", "spec", "--auto-approve"], "0s").exits(0);
    assert_eq!(effects(&place), ["reset", "reset", "lock"]);
    place
}

/// A run in the sandbox by ada, so long after the world begins.
fn run(place: &Place, args: &[&str], later: &str) -> Ran {
    let mut command = place.command(args);
    command.arg("--sandbox").env("USER", "ada").env("TOKENFORM_CLOCK_OFFSET", later);
    command.output().unwrap().into()
}

fn effects(place: &Place) -> Vec<String> {
    let tape = place.tape(&format!("{STATE}/tape.jsonl"));
    let effects = tape.iter().filter_map(|entry| entry["effect"].as_str()).filter(|e| !e.is_empty());
    effects.map(str::to_owned).collect()
}

const UNLOCK: [&str; 7] = ["unlock", "mon", "spec", "--reason", "INC-7: no dashboards", "--for", "4h"];

#[test]
fn it_opens_for_a_while_and_the_next_apply_after_that_resets_and_locks() {
    let place = locked();
    run(&place, &UNLOCK, "1h").exits(1).says("--auto-approve");
    assert_eq!(effects(&place).len(), 3, "something was sent without approval");
    run(&place, &[&UNLOCK[..], &["--auto-approve"]].concat(), "1h")
        .exits(0)
        .says("BREAK-GLASS: ibm.prod.mon is opened by hand, held open for 4h.")
        .says("Reason: INC-7: no dashboards")
        .says("from step 1 to 3, earlier tokens may work again")
        .says("Apply complete: 3 done.")
        .says("held open by hand (INC-7: no dashboards, by ada@");
    let opened = ["reset", "reset", "lock", "unlock", "reset", "reset"];
    assert_eq!(effects(&place), opened);

    let plan = run(&place, &["plan", "spec", "--detailed-exitcode"], "2h").exits(0);
    let plan = plan.says("then the full reset and lock, until 2026-11-22T15:0");
    assert!(!plan.stdout.contains("drift"), "{}", plan.stdout);
    run(&place, &["apply", "spec", "--auto-approve"], "2h").exits(0);
    assert_eq!(effects(&place), opened);
    run(&place, &["status", "spec"], "2h").exits(0).says("ibm.prod.mon: held open until 2026-11-22T15:0");
    let told = run(&place, &["history", "spec", "--verb", "unlock", "--format", "json"], "2h").exits(0);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let line = &told["lines"][0];
    assert_eq!(
        (&line["reason"], &line["rationale"]),
        (&"break-glass".into(), &"INC-7: no dashboards".into())
    );
    assert_eq!(line["by"]["user"], "ada");
    assert!(line["facts"]["hold_until"].as_str().unwrap().starts_with("2026-11-22T15:0"), "{line}");

    run(&place, &["plan", "spec", "--detailed-exitcode"], "6h")
        .exits(2)
        .says("the hold ended at 2026-11-22T15:0");
    run(&place, &["apply", "spec", "--auto-approve"], "6h").exits(0);
    assert_eq!(effects(&place)[6..], ["reset", "reset", "lock"]);
    let status = run(&place, &["status", "spec"], "6h").exits(0);
    assert!(!status.stdout.contains("held"), "{}", status.stdout);
}

#[test]
fn it_is_reviewed_as_a_file_and_a_hold_is_ended_by_hand() {
    let place = locked();
    run(&place, &[&UNLOCK[..], &["-o", "open.plan"]].concat(), "0s").exits(0).says("Saved the plan");
    assert_eq!(effects(&place).len(), 3);
    place.run(&["show", "open.plan"]).exits(0).says("BREAK-GLASS:").says("Reason: INC-7");
    place.run(&["show", "open.plan", "--format", "markdown"]).exits(0).says("BREAK-GLASS");
    place.run(&["check", "open.plan"]).exits(0).says("unlock 1 of ibm.prod.mon before resets 2, 3");
    let edited = place.read("open.plan").replacen("\"hold\": \"4h\"", "\"hold\": \"9h\"", 2);
    assert_ne!(edited, place.read("open.plan"));
    place.write("edited.plan", &edited);
    run(&place, &["apply", "edited.plan"], "0s").exits(3);
    run(&place, &["apply", "open.plan"], "0s").exits(0).says("held open by hand");
    let end = ["unlock", "ibm.prod.mon", "spec", "--end", "--reason", "INC-7 is over"];
    run(&place, &end, "1h").exits(0).says("The hold on ibm.prod.mon (until ").says("Next: tokenform apply");
    assert_eq!(effects(&place).len(), 6, "--end sends nothing");
    run(&place, &end, "1h").exits(0).says("No hold is on ibm.prod.mon");
    run(&place, &["history", "spec", "--verb", "end-hold"], "1h").exits(0).says("INC-7 is over");
    run(&place, &["apply", "spec", "--auto-approve"], "1h").exits(0);
    assert_eq!(effects(&place)[6..], ["reset", "reset", "lock"]);
}

#[test]
fn without_a_hold_the_next_apply_locks_again_and_what_is_open_needs_no_unlock() {
    let place = locked();
    let open = ["unlock", "mon", "spec", "--reason", "INC-7", "--auto-approve"];
    run(&place, &open, "0s").exits(0).says("not held open; the spec says IAM_ONLY");
    run(&place, &open, "0s").exits(0).says("Nothing to unlock").says("the next apply resets");
    assert_eq!(effects(&place)[3..], ["unlock", "reset", "reset"]);
    run(&place, &["plan", "spec", "--detailed-exitcode"], "0s").exits(2).says("2 to invalidate");
}

#[test]
fn what_is_not_asked_well_is_refused_with_the_way_on() {
    let place = locked();
    let cases: [(&[&str], &str); 7] = [
        (&["mom", "spec", "--reason", "x"], "did you mean `mon`"),
        (&["ibm.prod.mno", "spec", "--reason", "x"], "did you mean `ibm.prod.mon`"),
        (&["free", "spec", "--reason", "x"], "ibm.lab.free, ibm.prod.free"),
        (&["ibm.prod.free", "spec", "--reason", "x"], "the spec does not manage external_api_auth"),
        (&["mon", "spec", "--reason", " "], "say why"),
        (&["mon", "spec"], "--reason"),
        (&["mon", "spec", "--reason", "x", "--for", "31d"], "at most 30d"),
    ];
    for (args, words) in cases {
        run(&place, &[&["unlock"], args, &["--auto-approve"]].concat(), "0s").exits(1).says(words);
    }
    assert_eq!(effects(&place).len(), 3);
}

#[test]
fn a_hold_is_extended_without_a_request_and_a_policy_judges_an_unlock() {
    let place = locked();
    let deny = "package main\ndeny contains \"no unlocks\" if {\n some step in input.steps\n step.verb == \"unlock\"\n}\n";
    place.write("no.rego", deny);
    let denied = [&UNLOCK[..], &["--auto-approve", "--policy", "no.rego"]].concat();
    run(&place, &denied, "0s").exits(3).says("no unlocks");
    assert_eq!(effects(&place).len(), 3);
    run(&place, &[&UNLOCK[..], &["--auto-approve"]].concat(), "0s").exits(0);
    let sent = effects(&place).len();

    let longer = ["unlock", "mon", "spec", "--reason", "INC-7 goes on", "--for", "9h"];
    run(&place, &[&longer[..], &["--policy", "no.rego"]].concat(), "1h").exits(3).says("has no plan");
    run(&place, &[&longer[..], &["-o", "x.plan"]].concat(), "1h")
        .exits(1)
        .says("no plan that could be saved");
    run(&place, &[&UNLOCK[..6], &["1h"]].concat(), "1h").exits(1).says("already, which is later");
    run(&place, &longer, "1h").exits(0).says("lasts until 2026-11-22T20:0").says("Nothing was sent");
    assert_eq!(effects(&place).len(), sent);
    run(&place, &["plan", "spec", "--detailed-exitcode"], "7h").exits(0).says("INC-7 goes on");
    run(&place, &["history", "spec", "--verb", "extend-hold", "--by", "ada"], "7h")
        .exits(0)
        .says("INC-7 goes on");
    let bob = run(&place, &["history", "spec", "--by", "bob"], "7h").exits(0);
    assert!(!bob.stdout.contains("INC-7"), "{}", bob.stdout);
    run(&place, &["plan", "spec", "--detailed-exitcode"], "11h").exits(2).says("1 to lock");

    let spec = place.read("spec/tokens.yaml");
    place.write("spec/tokens.yaml", &format!("{spec}approvals: {{ required: 1, allowed_signers: a }}\n"));
    run(&place, &longer, "2h").exits(3).says("has no plan that could be approved");
}
