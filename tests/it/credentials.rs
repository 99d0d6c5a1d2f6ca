//! Every form of credential, and what each of its failures says. Against `tokenform sandbox` where a
//! real value is needed, else with `--sandbox`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::support::{CANARY, Place, Ran};

/// `tokenform sandbox` with a world, as users run it.
struct Served {
    child: Child,
    origin: String,
    /// The exported values by the ends of their names.
    values: Vec<(String, String)>,
}

impl Served {
    fn start(place: &Place, world: &str, values: usize) -> Self {
        place.write("served.yaml", world);
        let mut command = place.command(&["sandbox", "--world", "served.yaml"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pair = |line: String| {
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('\'').to_owned())
        };
        let mut values: Vec<_> = lines.take(values + 1).map(|line| pair(line.unwrap())).collect();
        let (_, origin) = values.remove(0);
        Self { child, origin, values }
    }

    fn value(&self, end: &str) -> &str {
        &self.values.iter().find(|(name, _)| name.ends_with(end)).unwrap().1
    }

    /// The body of a reply.
    fn ask(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.origin.strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// An access token as another tool would have got it.
    fn iam_token(&self) -> String {
        let form = format!(
            "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey={}",
            self.value("API_KEY")
        );
        self.ask("POST", "/identity/token", &form)["access_token"].as_str().unwrap().to_owned()
    }

    /// Method and path of every request so far.
    fn asked(&self) -> Vec<String> {
        let tape = self.ask("GET", "/__sandbox/tape", "");
        let entries = tape.as_array().or_else(|| tape["entries"].as_array()).unwrap();
        let line = |e: &serde_json::Value| {
            format!("{} {}", e["method"].as_str().unwrap(), e["path"].as_str().unwrap())
        };
        entries.iter().map(line).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TEAMS: &str = "      mon: { region: us-south, parameters: { external_api_auth: ANY }, teams: { SRE: { id: 1, default: true } } }\n";

fn ibm_world(iam: &str) -> String {
    format!(
        "version: 1\nibm:\n  prod:\n    token_reset: {{ method: POST, path: /sandbox-invented/reset }}\n    iam: {{ {iam} }}\n    instances:\n{TEAMS}"
    )
}

fn ibm_spec(place: &Place, credential: &str, origin: Option<&str>) {
    let endpoints = origin.map_or(String::new(), |origin| {
        format!("    endpoints: {{ iam: \"{origin}\", resource_controller: \"{origin}\", monitoring: \"{origin}\" }}\n")
    });
    place.write(
        "tokens.yaml",
        &format!(
            "version: 1
ibm:
  prod:
    credential: {{ {credential} }}
{endpoints}    token_reset: {{ method: POST, path: /sandbox-invented/reset }}
    instances:
      mon:
        service: monitoring
        teams:
          SRE: {{ token: {{ rotate: {{ max_age: 90d }}, deliver: [ {{ to: out, key: K }} ] }} }}
destinations: {{ out: {{ file: {{ path: out.env, format: dotenv }} }} }}
"
        ),
    );
}

fn lm_spec(place: &Place, credential: &str, origin: Option<&str>) {
    let endpoint = origin.map_or(String::new(), |origin| format!("    endpoint: \"{origin}\"\n"));
    place.write(
        "tokens.yaml",
        &format!(
            "version: 1
logicmonitor:
  acme:
    account: acme
{endpoint}    credential: {{ {credential} }}
    users: {{ svc-ci: {{ api_tokens: {{ ci: {{ status: enabled }} }} }} }}
"
        ),
    );
}

const LM_USERS: &str = "    users: { svc-ci: { api_tokens: [ { note: ci } ] } }\n";
const LMV1: &str = "lmv1: { access_id: { env: ID }, access_key: { env: KEY } }";

fn run(place: &Place, args: &[&str], vars: &[(&str, &str)]) -> Ran {
    let ran: Ran = place.command(args).envs(vars.iter().copied()).output().unwrap().into();
    for (name, value) in vars.iter().filter(|(name, _)| *name != "ID") {
        assert!(!ran.all().contains(value), "{name} was printed");
    }
    ran
}

fn plan(place: &Place, vars: &[(&str, &str)]) -> Ran {
    run(place, &["plan", "tokens.yaml"], vars)
}

#[test]
fn an_api_key_that_iam_does_not_know_is_explained_and_tried_once() {
    let place = Place::empty();
    let served = Served::start(&place, &ibm_world(""), 1);
    ibm_spec(&place, "api_key: { env: K }", Some(&served.origin));
    plan(&place, &[("K", "an-old-key-of-somebody")])
        .exits(1)
        .says("BXNIM0415E")
        .says("Provided API key could not be found")
        .says("IAM knows no such API key")
        .says("[id c2FuZGJveA]");
    assert_eq!(served.asked(), ["POST /identity/token"]);
    plan(&place, &[("K", served.value("API_KEY"))]).exits(0).says("1 to rotate");
}

#[test]
fn a_placeholder_is_no_api_key_and_is_not_sent() {
    let place = Place::empty();
    let served = Served::start(&place, &ibm_world(""), 1);
    ibm_spec(&place, "api_key: { env: K }", Some(&served.origin));
    plan(&place, &[("K", "{api-key-here}")]).exits(1).says("placeholder");
    assert!(served.asked().is_empty());
}

#[test]
fn a_ready_iam_token_is_used_as_it_is_and_never_renewed() {
    let place = Place::empty();
    let served = Served::start(&place, &ibm_world(""), 1);
    ibm_spec(&place, "iam_token: { env: T }", Some(&served.origin));
    let token = served.iam_token();
    plan(&place, &[("T", &token)]).exits(0).says("1 to rotate");
    run(&place, &["apply", "tokens.yaml", "--auto-approve", "--new-state"], &[("T", &token)])
        .exits(0)
        .says("Apply complete");
    assert!(place.read("out.env").contains(CANARY));
    let logins = served.asked().iter().filter(|line| line.contains("/identity/token")).count();
    assert_eq!(logins, 1, "only the test's own");
}

#[test]
fn a_ready_iam_token_near_its_end_is_told_with_the_time_and_not_sent() {
    let place = Place::empty();
    let served = Served::start(&place, &ibm_world("lifetime: 8s"), 1);
    ibm_spec(&place, "iam_token: { env: T }", Some(&served.origin));
    let token = served.iam_token();
    plan(&place, &[("T", &token)])
        .exits(1)
        .says("the IAM token has less than 10 s left; it ends at 2")
        .says("a ready token is never renewed");
    assert_eq!(served.asked(), ["POST /identity/token"]);
}

#[test]
fn a_ready_iam_token_with_less_than_a_minute_reads_and_never_changes() {
    let place = Place::empty();
    let served = Served::start(&place, &ibm_world("lifetime: 45s"), 1);
    ibm_spec(&place, "iam_token: { env: T }", Some(&served.origin));
    let token = served.iam_token();
    plan(&place, &[("T", &token)]).exits(0).says("1 to rotate");
    run(&place, &["apply", "tokens.yaml", "--auto-approve", "--new-state"], &[("T", &token)])
        .exits(6)
        .says("less than 60 s left");
    let posts: Vec<_> = served.asked().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(posts, ["POST /identity/token"]);
}

#[test]
fn a_refused_ready_iam_token_is_told_apart_and_tried_once() {
    let place = Place::empty();
    let served = Served::start(&place, &ibm_world(""), 1);
    ibm_spec(&place, "iam_token: { env: T }", Some(&served.origin));
    plan(&place, &[("T", "not-a-token-of-this-account")]).exits(1).says("401").says("never renewed");
    assert_eq!(served.asked(), ["GET /v2/resource_instances"]);
}

#[test]
fn a_trusted_profile_is_taken_by_name_or_id() {
    for (profile, forms) in [("name: ci", "profile_name=ci"), ("id: Profile-1", "profile_id=Profile-1")] {
        let place = Place::empty();
        place.write("w.world.yaml", &ibm_world("trusted_profile: { id: Profile-1, name: ci }"));
        ibm_spec(&place, &format!("trusted_profile: {{ cr_token: {{ file: nowhere }}, {profile} }}"), None);
        run(&place, &["plan", "tokens.yaml", "--sandbox"], &[]).exits(0).says("1 to rotate");
        let tape = place.tape(".tokenform/sandbox/tape.jsonl");
        let body = tape[0]["body"].as_str().unwrap();
        assert!(body.contains("cr-token") && body.contains(forms), "{body}");
    }
}

#[test]
fn a_wrong_profile_is_explained() {
    let place = Place::empty();
    place.write("w.world.yaml", &ibm_world("trusted_profile: { id: Profile-1, name: ci }"));
    ibm_spec(&place, "trusted_profile: { cr_token: { file: nowhere }, name: other }", None);
    run(&place, &["plan", "tokens.yaml", "--sandbox"], &[])
        .exits(1)
        .says("Check that the profile `other` exists and trusts this compute")
        .says("cr_token");
    assert_eq!(place.tape(".tokenform/sandbox/tape.jsonl").len(), 1);
}

#[test]
fn a_world_without_the_profile_and_a_ready_token_run_with_an_api_key() {
    for form in ["trusted_profile: { cr_token: { file: nowhere }, name: ci }", "iam_token: { env: T }"] {
        let place = Place::empty();
        place.write("w.world.yaml", &ibm_world(""));
        ibm_spec(&place, form, None);
        run(&place, &["plan", "tokens.yaml", "--sandbox"], &[]).exits(0).says("1 to rotate");
    }
}

#[test]
fn a_401_of_a_signed_request_tells_the_skew_of_the_clocks() {
    for (skew, side) in [(2400, "behind"), (-2400, "ahead of")] {
        let place = Place::empty();
        place.write(
            "w.world.yaml",
            &format!("version: 1\nclock: 2026-11-22T10:00:00Z\nskew_seconds: {skew}\nlogicmonitor:\n  acme:\n{LM_USERS}"),
        );
        lm_spec(&place, LMV1, None);
        run(&place, &["plan", "tokens.yaml", "--sandbox"], &[])
            .exits(1)
            .says("1401")
            .says(&format!("this machine's clock is 2400 s {side} the server's"))
            .says("tokenform::http::clock_skew");
        assert_eq!(place.tape(".tokenform/sandbox/tape.jsonl").len(), 1, "nothing follows the first 401");
    }
}

#[test]
fn a_locked_access_id_is_explained_and_knocked_at_once() {
    let place = Place::empty();
    let world = format!("version: 1\nlogicmonitor:\n  acme:\n    lock_after: 1\n{LM_USERS}");
    let served = Served::start(&place, &world, 3);
    lm_spec(&place, LMV1, Some(&served.origin));
    let id = served.value("ACCESS_ID");
    plan(&place, &[("ID", id), ("KEY", "wrong-key")]).exits(1).says("1401").says("locked");
    // The right key does not open a locked id.
    let right = served.value("ACCESS_KEY");
    plan(&place, &[("ID", id), ("KEY", right)]).exits(1).says("wrong, disabled, deleted or locked");
    assert_eq!(served.asked().len(), 2, "one request of each run: {:?}", served.asked());
}

#[test]
fn both_credentials_of_logicmonitor_read_and_a_wrong_bearer_is_told() {
    let place = Place::empty();
    let served = Served::start(&place, &format!("version: 1\nlogicmonitor:\n  acme:\n{LM_USERS}"), 3);
    let (id, key, bearer) = (served.value("ACCESS_ID"), served.value("ACCESS_KEY"), served.value("BEARER"));
    lm_spec(&place, LMV1, Some(&served.origin));
    plan(&place, &[("ID", id), ("KEY", key)]).exits(0).says("No changes");
    lm_spec(&place, "bearer: { env: B }", Some(&served.origin));
    plan(&place, &[("B", bearer)]).exits(0).says("No changes");
    let before = served.asked().len();
    plan(&place, &[("B", "lmb_somebody-elses")]).exits(1).says("1401").says("the bearer token");
    assert_eq!(served.asked().len(), before + 1);
}

/// `acme` logs in with the key pair, `other` with the bearer token of the same user, which `acme` wants
/// disabled.
fn two_logins(place: &Place, origin: &str) {
    let connection = |name: &str, credential: &str, users: &str| {
        format!(
            "  {name}:\n    account: acme\n    endpoint: \"{origin}\"\n    credential: {{ {credential} }}\n    users: {{ {users} }}\n"
        )
    };
    let own = "svc-tokenform: { bearer_tokens: { \"tokenform's own\": { status: disabled } } }";
    let acme = connection("acme", LMV1, own);
    let other = connection("other", "bearer: { env: B }", "");
    place.write("tokens.yaml", &format!("version: 1\nlogicmonitor:\n{acme}{other}"));
}

#[test]
fn a_target_does_not_lock_out_a_connection_that_it_leaves_out() {
    let place = Place::empty();
    let served = Served::start(&place, &format!("version: 1\nlogicmonitor:\n  acme:\n{LM_USERS}"), 3);
    let (id, key, bearer) = (served.value("ACCESS_ID"), served.value("ACCESS_KEY"), served.value("BEARER"));
    two_logins(&place, &served.origin);
    let apply = ["apply", "tokens.yaml", "--auto-approve", "--target", "logicmonitor.acme"];
    run(&place, &apply, &[("ID", id), ("KEY", key), ("B", bearer)])
        .exits(3)
        .says("which logicmonitor.other uses")
        .says("tokenform::plan::caller");
    // What can't be told is not guessed.
    run(&place, &apply, &[("ID", id), ("KEY", key)])
        .exits(3)
        .says("which may be the credential of logicmonitor.other")
        .says("environment variable `B`");
    let changed = served.asked().into_iter().filter(|line| !line.starts_with("GET")).count();
    assert_eq!(changed, 0, "{:?}", served.asked());
}
