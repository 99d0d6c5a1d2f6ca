//! Deliveries to real programs: what they are given, how they fail, what is told of it.

use super::*;
use crate::destination::{Destination, DestinationError, deliver as give, probe as ask};
use crate::model::address::Address;
use crate::model::vocabulary::Period;
use std::fs;

const VALUE: &str = "hunter2-hunter2";

struct Room {
    dir: tempfile::TempDir,
    state: StateDir,
}

fn room() -> Room {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(&dir.path().join(".tokenform")).unwrap();
    Room { dir, state }
}

fn sh(script: &str) -> Vec<String> {
    ["sh", "-c", script, "sh"].map(str::to_owned).to_vec()
}

fn program(run: Vec<String>, probe: Option<Vec<String>>, timeout: Option<Period>) -> Destination {
    Destination::Command(CommandDestination { run, probe, timeout })
}

impl Room {
    async fn give(&self, to: &Destination) -> Result<Receipt, DestinationError> {
        let address = Address::connection("logicmonitor", "acme").owner("ci").item("api_token", "x");
        let value = Secret::new(VALUE.into());
        let what = Handover {
            address: &address,
            key: Some("K"),
            value: &value,
            id_key: Some("ID"),
            id: Some("id-7"),
        };
        give("vault", to, &what, &self.state, &Env::system()).await
    }

    async fn failure(&self, script: &str, timeout: Option<Period>) -> String {
        let error = self.give(&program(sh(script), None, timeout)).await.unwrap_err();
        let finding = error.finding();
        let told = format!("{finding} {}", finding.help.as_deref().unwrap_or_default());
        assert!(told.contains("destination `vault`") && !told.contains("hunter2"), "{told}");
        told
    }
}

#[tokio::test]
async fn a_program_is_given_the_value_on_stdin_and_the_names_in_its_environment() {
    let room = room();
    let out = room.dir.path().join("out");
    let script = format!(
        "{{ cat; echo; echo \"$# $TOKENFORM_DELIVER_ADDRESS $TOKENFORM_DELIVER_KEY \
         $TOKENFORM_DELIVER_ID_KEY $TOKENFORM_DELIVER_ID [$TOKENFORM_KEY]\"; }} > '{}'; echo {VALUE}",
        out.display()
    );
    let receipt = room.give(&program(sh(&script), None, None)).await.unwrap();
    assert_eq!(receipt.text, "taken by sh");
    assert_eq!(
        fs::read_to_string(out).unwrap(),
        format!("{VALUE}\n0 logicmonitor.acme.ci.api_token[\"x\"] K ID id-7 []\n")
    );
}

/// The value leaves in encodings that no masking knows.
#[tokio::test]
async fn a_failed_delivery_shows_the_name_and_the_status_and_nothing_that_was_said() {
    for script in [
        "base64 -w0 >&2; exit 7",
        "rev >&2; exit 7",
        "cat >&2; exit 7",
        "cat >/dev/null; echo said >&2; exit 7",
    ] {
        let told = room().failure(script, None).await;
        assert!(told.contains("`sh` failed (exit status: 7)"), "{told}");
        for said in ["aHVudGVy", "2retnuh", "said"] {
            assert!(!told.contains(said), "{told}");
        }
    }
    let told = room().failure("cat >/dev/null; kill -9 $$", None).await;
    assert!(told.contains("signal: 9"), "{told}");
}

#[tokio::test]
async fn a_program_that_hangs_is_stopped() {
    let told = room().failure("exec sleep 30", Some(Period::seconds(1))).await;
    assert!(told.contains("within 1 s"), "{told}");
}

/// A shell's own child holds no pipe of ours and would run on without its parent.
#[tokio::test]
async fn a_program_that_hangs_is_stopped_with_all_that_it_started() {
    let room = room();
    let pid = room.dir.path().join("pid");
    let script = format!("sleep 300 >/dev/null 2>&1 & echo $! > '{}'; wait", pid.display());
    let told = room.failure(&script, Some(Period::seconds(1))).await;
    assert!(told.contains("was stopped"), "{told}");
    let pid: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let gone = |_| {
        std::thread::sleep(Duration::from_millis(10));
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // a zombie waits for whoever adopted it
        state.is_empty() || state.contains(") Z ")
    };
    assert!((0..500).any(gone), "process {pid} still runs");
}

#[tokio::test]
async fn failures_that_may_pass_are_told_from_those_that_last() {
    let room = room();
    let tries = |run: Vec<String>| {
        let (room, limit) = (&room, Some(Period::seconds(1)));
        async move { room.give(&program(run, None, limit)).await.unwrap_err().tries }
    };
    assert_eq!(tries(sh("cat >/dev/null; exit 1")).await, 4);
    assert_eq!(tries(sh("cat >/dev/null; kill -9 $$")).await, 4);
    assert_eq!(tries(sh("exec sleep 30")).await, 2);
    assert_eq!(tries(vec!["/no/such".to_owned()]).await, 1);
}

#[tokio::test]
async fn a_child_that_stays_behind_is_not_waited_for() {
    let to = program(sh("cat >/dev/null; sleep 5 &"), None, Some(Period::seconds(4)));
    room().give(&to).await.unwrap();
}

#[tokio::test]
async fn a_value_that_was_not_read_is_not_delivered() {
    let room = room();
    let value = Secret::new(vec![b'x'; 1024 * 1024]);
    let address = Address::connection("ibm", "prod");
    let what = Handover { address: &address, key: None, value: &value, id_key: None, id: None };
    let to = program(sh("exit 0"), None, None);
    let error = give("vault", &to, &what, &room.state, &Env::system()).await.unwrap_err();
    assert!(error.reason.contains("did not read the value"), "{error}");
}

#[tokio::test]
async fn a_probe_runs_the_declared_probe_and_never_the_program() {
    let room = room();
    let trace = room.dir.path().join("ran");
    let run = sh(&format!("touch '{}'", trace.display()));
    let env = Env::system();
    let probed = |probe| {
        let (run, env) = (run.clone(), env.clone());
        async move { ask("vault", &program(run, probe, None), &env).await }
    };
    assert_eq!(probed(Some(sh("exit 0"))).await.unwrap(), Probed::Writable);
    let error =
        probed(Some(sh("echo first >&2; echo \"no token \u{1b}[31m\" >&2; exit 3"))).await.unwrap_err();
    assert_eq!(error.finding().help.unwrap(), "It said: no token [31m");
    let flood = probed(Some(sh("head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1"))).await.unwrap_err();
    assert_eq!(flood.help, None);
    assert!(matches!(probed(None).await.unwrap(), Probed::NotProbed(why) if why.contains("/sh")));
    assert!(!trace.exists());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    for run in [vec!["no-such-program-x".to_owned()], vec!["/no/such".to_owned()], vec![]] {
        let name = run.first().cloned().unwrap_or("no program".into());
        let error = ask("vault", &program(run, None, None), &Env::system()).await.unwrap_err();
        assert!(error.to_string().contains(&name), "{error}");
    }
}
