//! Disks that are full, go away or change what was written: no request leaves whose intent can't be
//! kept, nothing is lost in silence, and once the fault is gone the next apply converges.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::support::{CANARY, Place, Ran};

/// A token that is reset and one that is issued beside its predecessor.
const WORLD: &str = "version: 1
ibm:
  prod:
    token_reset: { method: POST, path: /api/token/reset }
    instances:
      mon:
        region: us-south
        parameters: { external_api_auth: ANY }
        teams: { SRE: { id: 1, default: true, immutable: true } }
logicmonitor:
  acme:
    users:
      svc:
        id: 32
        api_tokens: [ { id: 248, note: ci, created_on: 2020-01-01T00:00:00Z } ]
";

const SPEC: &str = "version: 1
ibm:
  prod:
    credential: { api_key: { env: SANDBOX_IBM_PROD_API_KEY } }
    token_reset: { method: POST, path: /api/token/reset }
    endpoints: { iam: \"ORIGIN\", resource_controller: \"ORIGIN\", monitoring: \"ORIGIN\", workload_protection: \"ORIGIN\" }
    instances:
      mon:
        service: monitoring
        region: us-south
        teams:
          SRE: { token: { rotate: { max_age: 90d }, deliver: [ { to: box, key: SYSDIG } ] } }
logicmonitor:
  acme:
    account: acme
    endpoint: \"ORIGIN\"
    credential: { bearer: { env: SANDBOX_LOGICMONITOR_ACME_BEARER } }
    users:
      svc:
        api_tokens:
          ci: { rotate: { max_age: 90d }, deliver: [ { to: box, key: CI } ] }
destinations:
  box: { file: { path: box.env, format: dotenv } }
";

const APPLY: [&str; 6] = ["apply", "spec", "--auto-approve", "--new-state", "--parallelism", "1"];
const PLAN: [&str; 3] = ["plan", "spec", "--detailed-exitcode"];
const STATE: &str = "spec/.tokenform";
const JOURNAL: &str = "spec/.tokenform/journal/current.jsonl";
const RESET: &str = r#"{"on": {"method": "POST", "path": "/api/token/reset"}, "do": {"delay": "3s"}}"#;

fn place() -> (Place, Server) {
    let place = Place::empty();
    let server = Server::start(&place, WORLD);
    place.write("spec/tokens.yaml", &SPEC.replace("ORIGIN", server.origin()));
    (place, server)
}

/// The program as the last words of a shell's script.
fn through(place: &Place, server: &Server, shell: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(env!("CARGO_BIN_EXE_tokenform")).args(args);
    command.current_dir(place.root()).stdin(Stdio::null()).env_clear();
    command.env("LANG", "C.UTF-8").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(&server.vars);
    command
}

/// Nothing but the destination holds a secret, and no panic was told.
#[track_caller]
fn discreet(place: &Place, ran: &Ran, why: &str) {
    assert!(!ran.all().contains("panicked"), "{why}: {}", ran.all());
    assert!(!ran.all().contains(CANARY), "{why}: a secret was printed");
    let leaks = place.files_with_canary();
    assert!(leaks.iter().all(|path| path == "spec/box.env"), "{why}: {leaks:?}");
}

/// With the fault gone one apply ends where an undisturbed one would.
#[track_caller]
fn converges(place: &Place, server: &Server, why: &str) {
    let ran = server.run(place, &APPLY);
    assert_eq!(ran.code, 0, "{why}: {}", ran.all());
    discreet(place, &ran, why);
    let plan = server.run(place, &PLAN);
    assert_eq!(plan.code, 0, "{why}: {}", plan.all());
    let count = |what: &str| server.effects().iter().filter(|effect| *effect == what).count();
    assert_eq!(count("reset"), 1, "{why}: a delivered token was reset again");
    assert_eq!(count("create") - count("delete"), 1, "{why}: {:?}", server.effects());
    let held = place.read("spec/box.env");
    assert!(held.contains("SYSDIG=") && held.contains("CI="), "{why}: not everything was delivered");
}

/// How many blocks of 512 bytes the first line of a journal takes: the plan.
fn blocks_of_a_plan() -> usize {
    let (place, server) = place();
    server.run(&place, &APPLY).exits(0);
    let journal = fs::read_dir(place.path(&format!("{STATE}/journal"))).unwrap().next().unwrap().unwrap();
    fs::read(journal.path()).unwrap().split(|byte| *byte == b'\n').next().unwrap().len() / 512
}

/// A limit on the size of files stops the run at every place at which it writes, one after the other.
#[test]
fn whatever_no_longer_fits_on_the_disk_the_run_ends_safely_and_the_next_converges() {
    let mut seen = std::collections::BTreeSet::new();
    let plan = blocks_of_a_plan();
    // a key, a lock, half a plan, and then one record after the other
    for blocks in [0, 1, plan / 2].into_iter().chain(plan - 1..) {
        assert!(blocks < plan + 100, "no run ever fits: {seen:?}");
        let (place, server) = place();
        let limit = format!("ulimit -f {blocks}; exec \"$@\"");
        let ran: Ran = through(&place, &server, &["sh", "-c", &limit, "sh"], &APPLY).output().unwrap().into();
        let why = format!("{blocks} blocks, exit {}", ran.code);
        discreet(&place, &ran, &why);
        seen.insert((ran.code, server.effects().len()));
        match ran.code {
            0 => break,
            1 => assert!(server.effects().is_empty(), "{why}: {:?}\n{}", server.effects(), ran.all()),
            6 => assert!(
                ran.stdout.contains("Apply incomplete") || ran.stdout.contains("Apply complete"),
                "{why}: {}",
                ran.all()
            ),
            _ => panic!("{why}: {}", ran.all()),
        }
        assert!(ran.stderr.contains("error[tokenform::"), "{why}: {}", ran.stderr);
        converges(&place, &server, &why);
    }
    // before anything, after the reset, after both
    let told: Vec<_> = seen.iter().map(|(code, effects)| format!("{code} after {effects}")).collect();
    for expected in ["1 after 0", "6 after 0", "6 after 1", "6 after 2", "0 after 2"] {
        assert!(told.iter().any(|t| t == expected), "`{expected}` was never tried: {told:?}");
    }
}

/// Runs a script in which `$@` is an apply, with a small file system in place of the state folder.
/// `None` where this machine lets nobody mount one.
fn mounted(place: &Place, server: &Server, script: &str) -> Option<Ran> {
    fs::create_dir(place.path(STATE)).unwrap();
    let script = format!("mount -t tmpfs -o size=256k,mode=700 none {STATE} || exit 99\n{script}");
    let shell = ["unshare", "-rm", "sh", "-c", script.as_str(), "sh"];
    let ran: Ran = through(place, server, &shell, &APPLY).output().ok()?.into();
    if ran.code == 99 || ran.stderr.contains("unshare:") {
        return None;
    }
    Some(ran)
}

#[test]
fn a_disk_that_is_full_stops_everything_and_one_with_room_again_converges() {
    let (place, server) = place();
    let script = format!(
        "dd if=/dev/zero of={STATE}/filler bs=1k 2>/dev/null; \"$@\"; echo \"first $?\"
         rm {STATE}/filler; \"$@\"; echo \"second $?\""
    );
    let Some(ran) = mounted(&place, &server, &script) else { return };
    let ran =
        ran.says("first 1").says("No space left on device").says("second 0").says("Apply complete: 2 done.");
    discreet(&place, &ran, "full");
    assert_eq!(server.effects(), ["reset", "create"]);
}

#[test]
fn a_state_that_can_only_be_read_can_be_planned_with_and_not_applied() {
    let (place, server) = place();
    let tokenform = env!("CARGO_BIN_EXE_tokenform");
    let script = format!(
        "{tokenform} plan spec >/dev/null; mount -o remount,ro {STATE}
         \"$@\"; echo \"apply $?\"; {tokenform} plan spec >/dev/null; echo \"plan $?\"
         {tokenform} status spec; echo \"status $?\"; {tokenform} lock list spec; echo \"list $?\""
    );
    let Some(ran) = mounted(&place, &server, &script) else { return };
    let ran =
        ran.says("apply 1").says("Read-only file system").says("plan 0").says("status 0").says("list 0");
    discreet(&place, &ran, "read-only");
    assert!(server.effects().is_empty());
}

/// Starts an apply whose reset takes three seconds, and waits until it has begun.
fn begun(place: &Place, server: &Server) -> std::process::Child {
    server.ask("POST /__sandbox/faults", RESET);
    let mut command = place.command(&APPLY);
    let child = command.envs(&server.vars).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = |_| {
        std::thread::sleep(Duration::from_millis(5));
        fs::read_to_string(place.path(JOURNAL)).is_ok_and(|text| text.contains("\"began\""))
    };
    assert!((0..2000).any(began), "the apply never began");
    child
}

/// What was under way is told as in doubt, its value is delivered all the same, and no other request
/// leaves on the word of a file that nobody will find.
#[test]
fn a_state_folder_that_goes_away_stops_the_run_after_the_step_that_runs() {
    let (place, server) = place();
    let child = begun(&place, &server);
    fs::remove_dir_all(place.path(STATE)).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    let ran = ran.exits(6).says("1 in doubt, 1 not started").says("was removed or replaced");
    let ran = ran.says("what became of it can't be recorded").says("Next: tokenform");
    discreet(&place, &ran, "gone");
    assert_eq!(server.effects(), ["reset"]);
    assert!(place.read("spec/box.env").contains("SYSDIG="), "the new value was kept back");
}

type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Puts each change into a file in turn; each must stop an apply, with these words and without a
/// request that changes anything.
#[track_caller]
fn refuses(place: &Place, server: &Server, file: &str, changes: &[(Change<'_>, &str)]) {
    let before = fs::read(place.path(file)).unwrap();
    let effects = server.effects();
    for (change, words) in changes {
        let mut bytes = before.clone();
        change(&mut bytes);
        fs::write(place.path(file), bytes).unwrap();
        let ran = server.run(place, &APPLY).exits(1).says(words).says("help: ");
        discreet(place, &ran, words);
        assert_eq!(server.effects(), effects, "{words}");
    }
    fs::write(place.path(file), before).unwrap();
}

#[test]
fn what_was_damaged_stops_and_is_named_and_goes_on_once_it_is_restored() {
    let (place, server) = place();
    let mut child = begun(&place, &server);
    child.kill().unwrap();
    child.wait().unwrap();
    let middle = |bytes: &mut Vec<u8>| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    };
    let newer = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replacen("\"version\":2", "\"version\":9", 1).into_bytes();
    };
    let last = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() = b' ';
    refuses(
        &place,
        &server,
        JOURNAL,
        &[
            (&middle, "current.jsonl line 1: "),
            (&last, "current.jsonl line 2: has lost its line end"),
            (&newer, "has format version 9"),
        ],
    );
    place.run(&["status", "spec"]).exits(6);
    // the key that it was made with
    let key = format!("{STATE}/key");
    refuses(
        &place,
        &server,
        &key,
        &[(&|bytes| *bytes = b"aHVudGVyMg==\n".to_vec(), "7 bytes instead of 32")],
    );
    let kept = place.read(&key);
    fs::remove_file(place.path(&key)).unwrap();
    server.run(&place, &APPLY).exits(1).says("is missing").says("TOKENFORM_KEY").says("restore");
    assert!(!place.path(&key).exists(), "another key was drawn");
    place.write(&key, &kept);
    fs::set_permissions(place.path(&key), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // a torn line is no damage
    let mut bytes = fs::read(place.path(JOURNAL)).unwrap();
    bytes.extend_from_slice(b"{\"answered\":{\"st");
    fs::write(place.path(JOURNAL), bytes).unwrap();
    converges(&place, &server, "restored");
    let ledger = format!("{STATE}/ledger.jsonl");
    refuses(&place, &server, &ledger, &[(&middle, "ledger.jsonl line "), (&last, "has lost its line end")]);
    converges(&place, &server, "restored again");
}

#[test]
fn output_that_goes_nowhere_ends_no_apply() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let closed = || std::io::pipe().unwrap().1;
    for case in 0..4 {
        let (place, server) = place();
        let mut command = place.command(&APPLY);
        command.envs(&server.vars).stdout(Stdio::null()).stderr(Stdio::null());
        match case {
            0 => command.stdout(full()),
            1 => command.stdout(closed()),
            2 => command.stderr(full()),
            _ => command.stderr(closed()).stdout(closed()),
        };
        let status = command.status().unwrap();
        assert_eq!(status.code(), Some(0), "case {case}");
        assert_eq!(server.effects(), ["reset", "create"], "case {case}");
        converges(&place, &server, "after output was lost");
    }
}
