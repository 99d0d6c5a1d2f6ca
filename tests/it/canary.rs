//! Nothing leaks: secrets that the sandbox mints, a vendor that repeats them in what it answers, a
//! program that prints what it was given, and one that somebody pasted into the spec. Whatever is run,
//! in whatever form and however loudly, they are at their destinations and nowhere else.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::server::Server;
use crate::support::{CANARY, Place, Ran};

const SPEC: &str = "examples/quickstart";
const PLAN_FORMATS: [&str; 6] = ["text", "json", "markdown", "html", "dot", "mermaid"];
const LOUD: [&[&str]; 3] = [&[], &["-v"], &["-vv"]];

/// A run with all that could make it talk, and its temporary files where they are looked at.
fn loud(place: &Place, mut command: Command) -> Ran {
    std::fs::create_dir_all(place.path("tmp")).unwrap();
    command.env("TMPDIR", place.path("tmp")).env("PATH", "/usr/bin:/bin");
    command.envs([("TOKENFORM_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")]);
    command.output().unwrap().into()
}

/// A run on the sandbox in this process; its words hold no secret.
#[track_caller]
fn quiet(place: &Place, args: &[&str]) -> Ran {
    let ran = loud(place, place.command(args));
    assert!(!ran.all().contains(CANARY), "{args:?} printed a secret:\n{}", ran.all());
    for word in ["panicked", "Usage:"] {
        assert!(!ran.all().contains(word), "{args:?}:\n{}", ran.all());
    }
    ran
}

/// Minted secrets are where they belong and in the sandbox's own world.
#[track_caller]
fn only_at_destinations(place: &Place, why: &str) {
    let fit = |path: &&String| {
        !path.contains("/destinations/")
            && !path.ends_with(".world.yaml")
            && !path.ends_with("sandbox/world.yaml")
    };
    let leaks = place.files_with_canary();
    assert_eq!(leaks.iter().find(fit), None, "{why}");
}

/// Every command that reads, in every form, at every loudness.
fn looks(place: &Place) {
    for loud in LOUD {
        for format in PLAN_FORMATS {
            quiet(place, &[&["plan", SPEC, "--sandbox", "--format", format], loud].concat());
            quiet(place, &[&["show", "a.plan", "--format", format], loud].concat());
            quiet(place, &[&["plan", SPEC, "--live", "estate.json", "--format", format], loud].concat());
        }
        for format in ["text", "sarif", "junit"] {
            quiet(place, &[&["validate", SPEC, "--format", format], loud].concat());
            quiet(
                place,
                &[&["check", "a.plan", "--format", format, "--policy", "examples/policy"], loud].concat(),
            );
        }
        for format in ["text", "json"] {
            for command in ["status", "history"] {
                quiet(place, &[&[command, SPEC, "--sandbox", "--format", format], loud].concat());
            }
        }
        for command in
            [&["history", SPEC, "--verify"][..], &["lock", "list", SPEC], &["snapshot", SPEC, "-o", "e.json"]]
        {
            quiet(place, &[command, &["--sandbox"], loud].concat());
        }
        let unlock = ["unlock", "ibm.prod.mon-prod", SPEC, "--sandbox", "--reason", "x", "-o", "unlock.plan"];
        quiet(place, &[&unlock[..], loud].concat());
    }
}

#[test]
fn no_form_of_any_command_holds_a_secret_before_or_after_an_apply() {
    let place = Place::examples();
    quiet(&place, &["plan", SPEC, "--sandbox", "-o", "a.plan"]).exits(0);
    quiet(&place, &["snapshot", SPEC, "--sandbox", "-o", "estate.json"]).exits(0);
    looks(&place);
    quiet(&place, &["apply", "a.plan", "--sandbox", "-vv"]).exits(0);
    looks(&place);
    quiet(&place, &["apply", "a.plan", "--sandbox", "-vv", "--format", "json"]).exits(4);
    assert!(
        place.files_with_canary().iter().any(|path| path.contains("/destinations/")),
        "nothing was delivered"
    );
    only_at_destinations(&place, "after every command");
}

/// What a vendor says when it repeats the secret. `BODY` stands for each of the bodies.
const REPLIES: [&str; 5] = [
    "{ reply: { status: 500, body: BODY } }",
    "{ reply_after: { status: 500, body: BODY } }",
    "{ reply: { status: 429, headers: { Retry-After: '0' }, body: BODY } }",
    "{ reply: { status: 403, headers: { Content-Type: text/html }, body: BODY } }",
    "{ reply_after: { status: 200, body: BODY } }",
];

/// The same secret in a form that nobody reads, in one that is cut, and as other JSON.
const BODIES: [&str; 3] = [
    "'the key is tfcanary-said'",
    "'{\"accessKey\": \"tfcanary-said'",
    "'{\"token\": {\"key\": [\"tfcanary-said\"]}, \"tfcanary-said\": 1}'",
];

/// The calls that it is said to: those that carry a secret, and one that does not.
const CALLS: [&str; 4] = [
    "method: POST, path: /sandbox-invented/api/token/reset",
    "path: /api/token, nth: 3",
    "method: POST, path: /santaba/rest/setting/admins/32/apitokens",
    "method: PATCH, path: '/v2/resource_instances/*'",
];

#[test]
fn a_vendor_that_repeats_a_secret_in_its_answer_is_not_quoted() {
    for (n, reply) in REPLIES.iter().enumerate() {
        for (call, body) in CALLS.iter().zip(BODIES.iter().cycle().skip(n)) {
            let place = Place::example("quickstart");
            let world = format!("{SPEC}/quickstart.world.yaml");
            let rule = format!("faults:\n  - {{ on: {{ {call} }}, do: {} }}\n", reply.replace("BODY", body));
            place.write(&world, &format!("{}\n{rule}", place.read(&world)));
            let format = if n % 2 == 0 { "json" } else { "text" };
            let apply =
                ["apply", SPEC, "--sandbox", "--auto-approve", "--new-state", "-vv", "--format", format];
            quiet(&place, &apply);
            quiet(&place, &["status", SPEC, "--sandbox", "--format", format]);
            quiet(&place, &["resume", SPEC, "--sandbox", "--auto-approve", "-vv", "--format", format]);
            quiet(&place, &["history", SPEC, "--sandbox", "--format", format]);
            only_at_destinations(&place, &rule);
        }
    }
}

/// Prints what it is given, and keeps it in the end or not at all.
const STORE: &str = "#!/bin/sh
value=$(cat)
echo \"got $value\"
echo \"got $value\" >&2
[ -e \"$(dirname \"$0\")/broken\" ] && exit 3
printf %s \"$value\" > \"$(dirname \"$0\")/value\"
";

#[test]
fn a_program_that_prints_what_it_is_given_is_not_heard() {
    let world = "version: 1\nlogicmonitor:\n  acme:\n    users: { svc: { id: 32 } }\n";
    let place = Place::empty();
    let server = Server::start(&place, world);
    place.write("store.sh", STORE);
    std::fs::set_permissions(place.path("store.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.write(
        "spec/tokens.yaml",
        &format!(
            "version: 1\nlogicmonitor:\n  acme:\n    account: acme\n    endpoint: \"{}\"\n    credential: {{ bearer: {{ env: SANDBOX_LOGICMONITOR_ACME_BEARER }} }}\n    users: {{ svc: {{ api_tokens: {{ ci: {{ deliver: [ {{ to: store, key: K, id_key: I }} ] }} }} }} }}\ndestinations: {{ store: {{ command: {{ run: [../store.sh] }} }} }}\n",
            server.origin()
        ),
    );
    let credential = &server.vars["SANDBOX_LOGICMONITOR_ACME_BEARER"];
    let run = |args: &[&str]| {
        let mut command = place.command(args);
        command.envs(&server.vars);
        let ran = loud(&place, command);
        for secret in [CANARY, credential] {
            assert!(!ran.all().contains(secret), "{args:?} printed a secret:\n{}", ran.all());
        }
        ran
    };
    for (broken, format) in [(true, "json"), (true, "text"), (false, "json")] {
        match broken {
            true => place.write("broken", ""),
            false => std::fs::remove_file(place.path("broken")).unwrap(),
        }
        let code = if broken { 6 } else { 0 };
        run(&["apply", "spec", "--auto-approve", "--new-state", "-vv", "--format", format]).exits(code);
        run(&["status", "spec"]).exits(0);
        run(&["history", "spec", "--format", "json"]).exits(0);
    }
    assert_eq!(place.files_with_canary(), ["value"]);
    // a vendor whose own words hold the credential is quoted without it
    let said =
        serde_json::json!({ "errorMessage": format!("no such token: {credential}."), "errorCode": 1400 });
    let reply = serde_json::json!({ "reply": { "status": 400, "body": said.to_string() } });
    let fault = serde_json::json!({ "on": { "path": "/santaba/*", "times": 0 }, "do": reply });
    server.ask("POST /__sandbox/faults", &fault.to_string());
    for format in PLAN_FORMATS {
        run(&["plan", "spec", "-vv", "--format", format]).exits(1).says("no such token: ");
    }
    run(&["apply", "spec", "--auto-approve", "--format", "json"]).exits(1).says("no such token: ");
}

#[test]
fn a_secret_that_was_pasted_into_the_spec_stays_there() {
    let place = Place::example("quickstart");
    let file = format!("{SPEC}/tokens.yaml");
    let spec = place.read(&file);
    for (from, to) in [
        ("{ env: IBMCLOUD_API_KEY }", "tfcanary-pasted"),
        ("{ env: LM_ACCESS_KEY }", "{ value: tfcanary-pasted }"),
        ("{ env: LM_ACCESS_ID }", "[ tfcanary-pasted ]"),
    ] {
        place.write(&file, &spec.replacen(from, to, 1));
        for loud in LOUD {
            for format in ["text", "sarif", "junit"] {
                quiet(&place, &[&["validate", SPEC, "--format", format], loud].concat()).exits(1);
            }
            for format in PLAN_FORMATS {
                quiet(&place, &[&["plan", SPEC, "--sandbox", "--format", format], loud].concat()).exits(1);
            }
            for format in ["text", "json"] {
                let apply = ["apply", SPEC, "--sandbox", "--auto-approve", "--format", format];
                quiet(&place, &[&apply[..], loud].concat()).exits(1);
            }
            quiet(&place, &[&["snapshot", SPEC, "--sandbox", "-o", "e.json"], loud].concat()).exits(1);
        }
        assert_eq!(place.files_with_canary(), [file.as_str()], "{to}");
    }
}
