//! `second_owner` as a whole program: at a portal that allows one bearer token for each user, two users hold
//! the tokens of one name in turn, and a consumer never is without one.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::server::Server;
use crate::support::{Place, Ran};

const SPEC: &str = "version: 1
logicmonitor:
  acme:
    account: acme
    endpoint: \"ORIGIN\"
    credential: { lmv1: { access_id: { env: SANDBOX_LOGICMONITOR_ACME_ACCESS_ID }, access_key: { env: SANDBOX_LOGICMONITOR_ACME_ACCESS_KEY } } }
    users:
      svc:
        bearer_tokens:
          otel: { status: enabled, second_owner: svc-b, rotate: { max_age: 60d }, deliver: [ { to: out, key: OTEL } ] }
destinations: { out: { file: { path: out.json, format: json } } }
";

/// One that is too old, at the first user.
const WORLD: &str = "version: 1
logicmonitor:
  acme:
    bearer: one_per_user
    users:
      svc: { id: 32, roles: [ingest], bearer_tokens: [ { id: 5, note: otel, created_on: 2024-01-01T00:00:00Z } ] }
      svc-b: { id: 33, roles: [ingest] }
";

struct Bench {
    place: Place,
    server: Server,
    /// How far the clocks are ahead of the machine's.
    days: u32,
}

impl Bench {
    fn new(faults: &str) -> Self {
        let place = Place::empty();
        let server = Server::start(&place, &format!("{WORLD}faults: [ {faults} ]\n"));
        place.write("tokens.yaml", &SPEC.replace("ORIGIN", server.origin()));
        Self { place, server, days: 0 }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.place.command(args);
        command.env("TOKENFORM_CLOCK_OFFSET", format!("{}d", self.days));
        command.env("PATH", "/usr/bin:/bin").envs(&self.server.vars).output().unwrap().into()
    }

    fn apply(&self) -> Ran {
        self.run(&["apply", "tokens.yaml", "--auto-approve", "--new-state"])
    }

    fn pass(&mut self, days: u32) {
        self.server.ask("POST /__sandbox/clock", &format!("{{\"advance\":\"{days}d\"}}"));
        self.days += days;
    }

    /// Ids of the bearer tokens of both users, with their status.
    fn held(&self) -> [Vec<(u64, String)>; 2] {
        let world = self.server.ask("GET /__sandbox/world", "");
        let status = |token: &Value| token["status"].as_str().unwrap_or("enabled").to_owned();
        ["svc", "svc-b"].map(|user| {
            let tokens = &world["logicmonitor"]["acme"]["users"][user]["bearer_tokens"];
            let tokens = tokens.as_array().cloned().unwrap_or_default();
            tokens.iter().map(|token| (token["id"].as_u64().unwrap(), status(token))).collect()
        })
    }

    /// What the consumer, who reads the destination, is answered.
    fn consumer(&self) -> u16 {
        let values: Value = serde_json::from_str(&self.place.read("out.json")).unwrap();
        let headers =
            format!("Authorization: Bearer {}\r\nX-Version: 3\r\n", values["OTEL"].as_str().unwrap());
        self.server.status("GET /santaba/rest/setting/admins", &headers)
    }

    fn gets_in(&self) {
        assert!([200, 403].contains(&self.consumer()));
    }
}

fn enabled(id: u64) -> (u64, String) {
    (id, "enabled".into())
}

#[test]
fn two_users_hold_the_token_in_turn_and_the_consumer_always_gets_in() {
    let mut bench = Bench::new("");
    bench.run(&["plan", "tokens.yaml"]).exits(0).says("owner").says("svc-b").says("overlap");
    bench.apply().exits(0);
    let [first, second] = bench.held();
    let new = second[0].0;
    assert_eq!((first, second), (vec![enabled(5)], vec![enabled(new)]));
    bench.gets_in();
    bench.run(&["plan", "tokens.yaml"]).exits(0).says("predecessor id 5").says("No changes.");
    bench.pass(2);
    bench.gets_in();
    bench.apply().exits(0);
    assert_eq!(bench.held()[0], [(5, "disabled".to_owned())]);
    bench.pass(8);
    bench.apply().exits(0);
    assert_eq!(bench.held(), [vec![], vec![enabled(new)]]);
    bench.gets_in();
    // back to the first user
    bench.pass(60);
    bench.apply().exits(0);
    let [first, second] = bench.held();
    assert_eq!((first.len(), second), (1, vec![enabled(new)]));
    bench.gets_in();
    assert_eq!(bench.server.effects(), ["create", "patch", "delete", "create"]);
    bench.run(&["history", "tokens.yaml", "--verify"]).exits(0);
    // what the portal alone tells is enough
    std::fs::remove_dir_all(bench.place.path(".tokenform")).unwrap();
    bench
        .run(&["plan", "tokens.yaml"])
        .exits(0)
        .says(&format!("predecessor id {new}"))
        .says("the ledger does not know that it was delivered");
}

#[test]
fn a_lost_answer_leaves_no_second_token_at_either_user() {
    for fault in ["drop_after", "drop_before", "{ reply_after: { status: 500 } }"] {
        let create = format!("{{ on: {{ method: POST, path: '/santaba/*' }}, do: {fault} }}");
        let bench = Bench::new(&create);
        let ran = bench.apply();
        if ran.code != 0 {
            bench.run(&["resume", "tokens.yaml"]).exits(0);
        }
        let [first, second] = bench.held();
        assert_eq!((first, second.len()), (vec![enabled(5)], 1), "{fault}");
        bench.gets_in();
        bench.run(&["plan", "tokens.yaml", "--detailed-exitcode"]).exits(0);
    }
}

#[test]
fn both_users_bind_a_saved_plan() {
    let bench = Bench::new("");
    bench.run(&["plan", "tokens.yaml", "-o", "p.json"]).exits(0);
    bench.server.ask(
        "POST /__sandbox/meddle",
        "{\"set_user\":{\"connection\":\"acme\",\"user\":\"svc-b\",\"status\":\"suspended\"}}",
    );
    bench.run(&["apply", "p.json"]).exits(4).says("svc-b");
    assert_eq!(bench.server.effects(), [] as [&str; 0]);
}

#[test]
fn a_second_owner_that_is_not_there_or_not_alike_is_refused() {
    let bench = Bench::new("");
    let spec = bench.place.read("tokens.yaml");
    bench.place.write("tokens.yaml", &spec.replace("svc-b", "svc-c"));
    bench.apply().exits(1).says("its second owner, `svc-c`, is not there");
    assert_eq!(bench.server.effects(), [] as [&str; 0]);
}

#[test]
fn a_name_that_lost_its_second_owner_in_the_spec_is_found_there() {
    let bench = Bench::new("");
    bench.apply().exits(0);
    let spec = bench.place.read("tokens.yaml");
    bench.place.write("tokens.yaml", &spec.replace("second_owner: svc-b, ", ""));
    bench.run(&["plan", "tokens.yaml"]).exits(3).says("second_owner: svc-b");
}

#[test]
fn a_suspended_second_owner_keeps_the_old_token_alive_and_replace_leaves_it() {
    let mut bench = Bench::new("");
    bench.apply().exits(0);
    bench.server.ask(
        "POST /__sandbox/meddle",
        "{\"set_user\":{\"connection\":\"acme\",\"user\":\"svc-b\",\"status\":\"suspended\"}}",
    );
    bench.pass(9);
    bench.apply().exits(0).says("owner_suspended");
    assert_eq!(bench.held()[0], [enabled(5)], "nothing of the old one is taken");
    let now = bench.server.ask("GET /__sandbox/clock", "")["now"].as_str().unwrap().to_owned();
    let after = now.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(1);
    let replace = format!("rotate: {{ strategy: replace, issued_after: {after} }}");
    let spec = bench.place.read("tokens.yaml").replace("rotate: { max_age: 60d }", &replace);
    bench.place.write("tokens.yaml", &spec);
    bench.apply().exits(0);
    let [first, second] = bench.held();
    assert_eq!((first.len(), second.len()), (1, 0));
    assert_ne!(first[0].0, 5);
    bench.gets_in();
}
