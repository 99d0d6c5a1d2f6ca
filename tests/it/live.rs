//! Live mode, from a user's seat: the program against a server it knows only by its address, with
//! credentials from the environment and destinations that are files and programs.

use std::process::Stdio;

use crate::server::Server;
use crate::support::{CANARY, Place, Ran};

const WORLD: &str = "version: 1
ibm:
  prod:
    token_reset: { method: POST, path: /api/token/reset }
    instances:
      mon:
        region: us-south
        parameters: { external_api_auth: ANY }
        teams: { Ops: { id: 1, default: true, immutable: true }, SRE: { id: 2 } }
logicmonitor:
  acme:
    users: { svc: { id: 32 } }
";

/// Takes a value on its standard input and keeps what it was told, each call in a file of its own.
const STORE: &str = "#!/bin/sh
here=$(dirname \"$0\")
if [ \"$1\" = probe ]; then [ ! -e \"$here/unreachable\" ]; exit; fi
value=$(cat)
if [ -e \"$here/broken\" ]; then echo \"no room for $value\"; echo \"no room for $value\" >&2; exit 3; fi
{ echo \"argv $*\"; env | grep ^TOKENFORM_; } > \"$here/told.$TOKENFORM_DELIVER_KEY\"
printf %s \"$value\" > \"$here/value.$TOKENFORM_DELIVER_KEY\"
";

const LMV1: &str = "lmv1: { access_id: { env: SANDBOX_LOGICMONITOR_ACME_ACCESS_ID }, access_key: { env: SANDBOX_LOGICMONITOR_ACME_ACCESS_KEY } }";
const BEARER: &str = "bearer: { env: SANDBOX_LOGICMONITOR_ACME_BEARER }";

/// A spec against the server; its destinations are a program and a file.
fn place(world: &str, credential: &str) -> (Place, Server) {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::empty();
    let server = Server::start(&place, world);
    place.write("store.sh", STORE);
    std::fs::set_permissions(place.path("store.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let o = server.origin();
    let spec = format!(
        "version: 1
ibm:
  prod:
    credential: {{ api_key: {{ env: SANDBOX_IBM_PROD_API_KEY }} }}
    token_reset: {{ method: POST, path: /api/token/reset }}
    endpoints: {{ iam: \"{o}\", resource_controller: \"{o}\", monitoring: \"{o}\", workload_protection: \"{o}\" }}
    instances:
      mon:
        service: monitoring
        region: us-south
        external_api_auth: ANY
        teams:
          SRE: {{ token: {{ rotate: {{ max_age: 90d }}, deliver: [ {{ to: store, key: SYSDIG }} ] }} }}
logicmonitor:
  acme:
    account: acme
    endpoint: \"{o}\"
    credential: {{ {credential} }}
    users:
      svc:
        api_tokens:
          ci: {{ deliver: [ {{ to: box, key: K, id_key: I }} ] }}
        bearer_tokens:
          otel: {{ deliver: [ {{ to: store, key: OTEL }} ] }}
destinations:
  store: {{ command: {{ run: [../store.sh, put], probe: [../store.sh, probe] }} }}
  box: {{ file: {{ path: box.env, format: dotenv }} }}
"
    );
    place.write("spec/tokens.yaml", &spec);
    (place, server)
}

/// One step after the other, so that effects have an order.
const APPLY: [&str; 7] = ["apply", "spec", "--auto-approve", "--new-state", "-vv", "--parallelism", "1"];

#[track_caller]
fn discreet(place: &Place, ran: &Ran) {
    assert!(!ran.all().contains(CANARY), "a secret was printed:\n{}", ran.all());
    let expected = ["spec/box.env", "value.OTEL", "value.SYSDIG"];
    let leaks = place.files_with_canary();
    assert!(leaks.iter().all(|path| expected.contains(&path.as_str())), "{leaks:?}");
}

#[test]
fn files_and_programs_get_the_live_values_with_either_credential() {
    for credential in [LMV1, BEARER] {
        let (place, server) = place(WORLD, credential);
        let ran = server.run(&place, &APPLY).exits(0).says("Apply complete: 3 done.");
        discreet(&place, &ran);
        let told = place.read("told.SYSDIG");
        assert!(
            told.contains("argv put\n") && told.contains("DELIVER_ADDRESS=ibm.prod.mon.team[\"SRE\"]"),
            "{told}"
        );
        assert!(!told.contains(CANARY), "{told}");
        assert!(place.read("value.SYSDIG").contains(CANARY), "the value did not come on standard input");
        assert!(place.read("value.OTEL").starts_with("lmb_") && place.read("spec/box.env").contains("I="));
        assert_eq!(server.effects(), ["reset", "create", "create"]);
        server.run(&place, &["plan", "spec", "--detailed-exitcode"]).exits(0).says("No changes.");
        server.run(&place, &APPLY).exits(0);
        assert_eq!(server.effects().len(), 3, "a second apply sent something");
    }
}

#[test]
fn a_destination_that_cannot_be_probed_stops_everything() {
    let (place, server) = place(WORLD, LMV1);
    place.write("unreachable", "");
    let ran = server.run(&place, &APPLY).exits(1).says("tokenform::destination::unusable");
    assert!(ran.stderr.contains("`store`") && ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
    assert_eq!(server.effects(), [] as [&str; 0]);
    server.run(&place, &["status", "spec"]).exits(0);
    std::fs::remove_file(place.path("unreachable")).unwrap();
    server.run(&place, &APPLY).exits(0);
}

#[test]
fn a_failed_delivery_deletes_the_new_token_and_delivers_the_reset_one_later() {
    let (place, server) = place(WORLD, LMV1);
    place.write("broken", "");
    let ran = server.run(&place, &APPLY).exits(6).says("1 done, 2 failed");
    discreet(&place, &ran);
    let text = ran.all();
    assert!(
        text.contains("did not reach store#SYSDIG") && text.contains("the new token was deleted again"),
        "{text}"
    );
    assert!(text.contains("failed (exit status: 3)") && !text.contains("no room"), "{text}");
    assert_eq!(server.effects(), ["reset", "create", "create", "delete"]);
    std::fs::remove_file(place.path("broken")).unwrap();
    server.run(&place, &["plan", "spec"]).exits(0).says("1 to deliver").says("0 to rotate");
    server.run(&place, &APPLY).exits(0);
    assert_eq!(server.effects(), ["reset", "create", "create", "delete", "create"], "a second reset");
    assert!(place.read("value.SYSDIG").contains(CANARY));
}

#[test]
fn an_apply_killed_while_the_server_worked_is_not_repeated() {
    let faults = "faults:\n  - { on: { method: POST, path: /api/token/reset }, do: { delay: 30s } }\n";
    let (place, server) = place(&format!("{WORLD}{faults}"), LMV1);
    let mut command = place.command(&APPLY);
    command.envs(&server.vars).env("PATH", "/usr/bin:/bin").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    for _ in 0..1000 {
        if server.effects() == ["reset"] {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(server.effects(), ["reset"]);
    server.run(&place, &["status", "spec"]).exits(6).says("reset ibm.prod.mon.team[\"SRE\"]");
    let ran = server.run(&place, &APPLY).exits(0).says("Settling apply").says("Apply complete");
    discreet(&place, &ran);
    let resets = server.effects().iter().filter(|effect| *effect == "reset").count();
    assert_eq!(resets, 1, "a reset that had happened was sent again");
    assert!(place.read("value.SYSDIG").contains(CANARY), "the new key was not delivered");
    server.run(&place, &["plan", "spec", "--detailed-exitcode"]).exits(0);
}

#[test]
fn the_clock_is_moved_on_loopback_alone() {
    let (place, server) = place(WORLD, BEARER);
    server.run(&place, &APPLY).exits(0);
    let plan = |place: &Place| {
        let mut command = place.command(&["plan", "spec"]);
        let command = command.envs(&server.vars).env("TOKENFORM_CLOCK_OFFSET", "2000h");
        Ran::from(command.output().unwrap())
    };
    plan(&place).exits(0).says("No changes.");
    let spec = place.read("spec/tokens.yaml").replace("max_age: 90d", "max_age: 80d");
    place.write("spec/tokens.yaml", &spec);
    plan(&place).exits(0).says("1 to rotate");
    let away = spec.replace(&format!("    endpoint: \"{}\"\n", server.origin()), "");
    assert_ne!(away, spec);
    place.write("spec/tokens.yaml", &away);
    plan(&place).exits(1).says("TOKENFORM_CLOCK_OFFSET").says("loopback");
}
