//! Plans that people sign with the real `ssh-keygen`, and what happens to those that they did not.

use std::process::{Command, Stdio};

use crate::support::{Place, Ran};

const SPEC: &str = "examples/quickstart";

/// A spec that asks for approvals, keys of three people, and whether `ssh-keygen` is here to use them.
fn place(approvals: &str) -> Option<Place> {
    let place = Place::example("quickstart");
    let spec = place.read(&format!("{SPEC}/tokens.yaml"));
    place.write(&format!("{SPEC}/tokens.yaml"), &format!("{spec}\napprovals: {approvals}\n"));
    let mut allowed = String::new();
    for (person, kind) in [("ada", "ed25519"), ("bob", "ecdsa"), ("eve", "ed25519")] {
        ssh_keygen(&place, &["-q", "-t", kind, "-N", "", "-C", "", "-f", person])?;
        if person != "eve" {
            let key = place.read(&format!("{person}.pub"));
            allowed.push_str(&format!("{person}@example.com namespaces=\"tokenform\" {key}"));
        }
    }
    place.write(&format!("{SPEC}/allowed_signers"), &allowed);
    Some(place)
}

/// `None` where the machine has no `ssh-keygen`; the library's tests hold fixed signatures of it.
fn ssh_keygen(place: &Place, args: &[&str]) -> Option<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(args).current_dir(place.root()).stdin(Stdio::null());
    let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    match ran {
        Ok(status) => assert!(status.success(), "ssh-keygen {args:?}"),
        Err(_) => return None,
    }
    Some(())
}

/// `person` signs `plan`: the file `PLAN.PERSON.sig`.
fn sign(place: &Place, person: &str, plan: &str, namespace: &str) {
    ssh_keygen(place, &["-Y", "sign", "-q", "-n", namespace, "-f", person, plan]).unwrap();
    std::fs::rename(place.path(&format!("{plan}.sig")), place.path(&format!("{plan}.{person}.sig"))).unwrap();
}

fn run_as(place: &Place, user: &str, args: &[&str]) -> Ran {
    place.command(args).env("USER", user).output().unwrap().into()
}

fn planned(place: &Place, file: &str) {
    run_as(place, "pat", &["plan", SPEC, "--sandbox", "-o", file]).exits(0);
}

fn apply(place: &Place, user: &str, more: &[&str]) -> Ran {
    run_as(place, user, &[&["apply", "a.plan", "--sandbox"], more].concat())
}

const TWO: &str = "{ required: 1, irreversible: 2, allowed_signers: allowed_signers }";

#[test]
fn a_plan_runs_once_enough_people_have_signed_its_bytes_and_the_ledger_says_who() {
    let Some(place) = place(TWO) else { return };
    planned(&place, "a.plan");
    apply(&place, "op", &[]).exits(3).says("0 of 2 needed approvals");
    sign(&place, "ada", "a.plan", "tokenform");
    apply(&place, "op", &[]).exits(3).says("1 of 2 needed approvals");
    sign(&place, "eve", "a.plan", "tokenform");
    apply(&place, "op", &[]).exits(3).says("nobody whose signature counts");
    sign(&place, "bob", "a.plan", "file");
    apply(&place, "op", &[]).exits(3).says("it was made for `file`");
    sign(&place, "bob", "a.plan", "tokenform");
    apply(&place, "op", &["--require-approvals", "3"]).exits(3).says("2 of 3 needed approvals");
    let tape = place.tape(&format!("{SPEC}/.tokenform/sandbox/tape.jsonl"));
    assert!(tape.iter().all(|entry| entry["effect"] == ""), "something was changed");
    let check = ["check", "a.plan", "--require-approvals", "2", "--allowed-signers"];
    let signers = format!("{SPEC}/allowed_signers");
    place.run(&[&check[..], &[&signers]].concat()).exits(0).says("approved by ada@example.com (SHA256:");
    apply(&place, "op", &[]).exits(0).says("Apply complete");
    let history = place.run(&["history", SPEC, "--sandbox", "--format", "json"]).exits(0).stdout;
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let told = history.to_string();
    assert!(told.contains("ada@example.com") && told.contains("bob@example.com"), "{told}");
    place.run(&["history", SPEC, "--sandbox", "--verify"]).exits(0);
}

#[test]
fn a_new_or_a_changed_plan_has_no_approvals() {
    let Some(place) = place(TWO) else { return };
    planned(&place, "a.plan");
    for person in ["ada", "bob"] {
        sign(&place, person, "a.plan", "tokenform");
    }
    run_as(&place, "pat", &["plan", SPEC, "--sandbox", "--expires", "2d", "-o", "a.plan"]).exits(0);
    apply(&place, "op", &[]).exits(3).says("is not over this plan file");
    let fresh = ["apply", SPEC, "--sandbox", "--auto-approve", "--new-state"];
    run_as(&place, "op", &fresh).exits(3).says("tokenform::review::approvals").says("nobody has signed it");
    let ran = place.run_at_terminal(&["apply", SPEC, "--sandbox"], "yes\n").exits(3);
    ran.says("tokenform::review::approvals");
}

#[test]
fn keys_count_only_while_they_are_valid_and_the_spec_says_whose() {
    let Some(place) = place("{ required: 1, allowed_signers: allowed_signers }") else { return };
    planned(&place, "a.plan");
    sign(&place, "ada", "a.plan", "tokenform");
    let key = place.read("ada.pub");
    let allowed =
        |options: &str| place.write(&format!("{SPEC}/allowed_signers"), &format!("ada {options} {key}"));
    allowed("valid-before=\"20260101Z\"");
    apply(&place, "op", &[]).exits(3).says("was valid until");
    allowed("cert-authority");
    apply(&place, "op", &[]).exits(3).says("tokenform::review::allowed_signers").says("line 1");
    place.write("mine", &format!("eve {}", place.read("eve.pub")));
    apply(&place, "op", &["--allowed-signers", "mine"]).exits(3).says("the spec names");
    allowed("");
    place.write("nothing.sig", "nothing");
    apply(&place, "op", &["--approval", "nothing.sig"]).exits(3).says("it is no SSH signature");
    apply(&place, "op", &["--approval", "a.plan.ada.sig"]).exits(0);
}

#[test]
fn planner_approver_and_applier_are_kept_apart() {
    let differ = "{ required: 1, allowed_signers: allowed_signers, differ: [planner, approver, applier] }";
    let Some(place) = place(differ) else { return };
    planned(&place, "a.plan");
    sign(&place, "ada", "a.plan", "tokenform");
    apply(&place, "ada", &[]).exits(3).says("is also its applier (ada)");
    apply(&place, "pat", &[]).exits(3).says("must be different people");
    place.run(&["apply", "a.plan", "--sandbox"]).exits(3).says("nobody knows who the applier is");
    apply(&place, "op", &[]).exits(0);
}

#[test]
fn fewer_people_for_what_cannot_be_undone_is_a_slip() {
    let place = Place::example("quickstart");
    let spec = place.read(&format!("{SPEC}/tokens.yaml"));
    let wrong = "approvals: { required: 2, irreversible: 1, allowed_signers: \"\", differ: [boss] }";
    place.write(&format!("{SPEC}/tokens.yaml"), &format!("{spec}\n{wrong}\n"));
    let ran = place.run(&["validate", SPEC]).exits(1);
    ran.says("`irreversible` is less").says("must name a file").says("boss");
}
