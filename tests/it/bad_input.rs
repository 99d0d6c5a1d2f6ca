//! Bad input: each a clear error with a code and a place, exit 1, and nothing sent.

use crate::support::{Place, Ran};

/// A spec of one token, with one word replaced to make it bad.
const GOOD: &str = "version: 1
logicmonitor:
  acme:
    account: acme
    credential: { bearer: { env: LM_BEARER } }
    users:
      svc-ci:
        api_tokens:
          ci: { rotate: { max_age: 90d }, deliver: [ { to: box, key: K, id_key: I } ] }
destinations:
  box: { file: { path: box.env, format: dotenv } }
";

/// What somebody pastes where a reference belongs.
const PASTED: &str = "lmb_UGFzdGVkU2VjcmV0UGFzdGVkU2VjcmV0";

fn spec(from: &str, to: &str) -> Place {
    let place = Place::empty();
    let text = GOOD.replacen(from, to, 1);
    assert!(from.is_empty() || text != GOOD, "`{from}` is not in the spec");
    place.write("spec/tokens.yaml", &text);
    place
}

/// Refused by every command that reads a spec, before any state is made or anything is sent.
#[track_caller]
fn refused(place: &Place, code: &str, words: &[&str]) {
    for args in [vec!["validate", "spec"], vec!["plan", "spec"], vec!["apply", "spec", "--auto-approve"]] {
        let ran = place.run(&args).exits(1).says(&format!("error[{code}]")).says("help: ");
        for word in words {
            assert!(ran.stderr.contains(word), "`{word}` is not in\n{}", ran.stderr);
        }
        calm(&ran);
    }
    assert!(!place.path("spec/.tokenform").exists(), "a bad spec made a state");
}

/// Nothing that steers a terminal, no panic, and no page-long line.
#[track_caller]
fn calm(ran: &Ran) {
    let said = ran.all();
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!said.contains(steers), "{said:?}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() < 1000), "a line is too long to be read");
}

#[test]
fn wrong_words_are_shown_where_they_stand() {
    for (from, to, code, words) in [
        ("account:", "acount:", "unknown_key", vec!["tokens.yaml:4:5", "did you mean `account`?"]),
        ("account: acme", "account: 5", "wrong_type", vec!["tokens.yaml:4:14", "must be text"]),
        ("max_age: 90d", "max_age: 90 days", "bad_duration", vec!["tokens.yaml:9:36", "90d"]),
        ("max_age: 90d", "max_age: -1d", "bad_duration", vec!["tokens.yaml:9:36"]),
        ("max_age: 90d", "max_age: 99999999999999999999d", "bad_duration", vec!["tokens.yaml:9:36"]),
        ("max_age: 90d", "issued_after: yesterday", "bad_instant", vec!["tokens.yaml:9:41"]),
        (
            "account: acme\n",
            "account: acme\n    account: b\n",
            "duplicate_key",
            vec!["first here", "again here"],
        ),
        ("to: box", "to: bx", "unknown_destination", vec!["tokens.yaml:9:60", "did you mean `box`?"]),
        ("version: 1", "version: 2", "newer_version", vec!["tokens.yaml:1:10", "Upgrade"]),
        ("version: 1\n", "", "version", vec!["version: 1"]),
        ("version: 1", "version: 1\n<<: {}", "merge_key", vec!["tokens.yaml:2:1"]),
        ("    account", "\taccount", "syntax", vec!["tokens.yaml:4:2", "tab"]),
        ("box.env, format: dotenv } }", "box.env, format: dotenv }", "syntax", vec!["tokens.yaml:11"]),
        ("destinations:", "---\ndestinations:", "several_documents", vec!["tokens.yaml:11:1"]),
    ] {
        refused(&spec(from, to), &format!("tokenform::spec::{code}"), &words);
    }
}

#[test]
fn files_that_hold_no_spec_are_named() {
    let place = spec("", "");
    for (bytes, code) in [
        (&b""[..], "empty"),
        (b"# nothing\n", "empty"),
        (b"- a\n", "wrong_type"),
        (b"version: 1\nx: \xff\n", "not_utf8"),
        (b"\xff\xfev\0e\0", "not_utf8"),
    ] {
        std::fs::write(place.path("spec/tokens.yaml"), bytes).unwrap();
        refused(&place, &format!("tokenform::spec::{code}"), &["tokens.yaml"]);
    }
    std::fs::remove_file(place.path("spec/tokens.yaml")).unwrap();
    refused(&place, "tokenform::spec::not_found", &["spec"]);
    std::os::unix::fs::symlink("tokens.yaml", place.path("spec/tokens.yaml")).unwrap();
    refused(&place, "tokenform::spec::unreadable", &["tokens.yaml"]);
    place.run(&["plan", "nowhere.yaml"]).exits(1).says("tokenform::spec::not_found");
    place.run(&["apply", "nowhere.yaml", "--auto-approve"]).exits(1).says("nowhere.yaml");
}

#[test]
fn what_would_eat_memory_or_stack_is_refused_at_once() {
    let place = spec("", "");
    let mut bomb = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..20 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(",")));
    }
    for (text, code) in [
        (bomb, "alias_bomb"),
        (format!("version: 1\nibm: {}", "[".repeat(100_000)), "too_deep"),
        (format!("version: 1\nibm: {}{}\n", "{a: ".repeat(5000), "}".repeat(5000)), "too_deep"),
        (format!("version: 1\nfoo: {}\n", "x".repeat(1_000_000)), "unknown_key"),
    ] {
        place.write("spec/tokens.yaml", &text);
        refused(&place, &format!("tokenform::spec::{code}"), &["tokens.yaml:"]);
    }
}

#[test]
fn a_pasted_secret_is_never_printed() {
    let place = spec("", "");
    for reference in [
        format!("bearer: {PASTED}"),
        format!("bearer: \"{PASTED}\""),
        format!("bearer: [ {PASTED} ]"),
        format!("bearer: {{ env: {PASTED} }}"),
        format!("bearer: {{ value: {PASTED} }}"),
        format!("bearer: {{ command: {PASTED} }}"),
        format!("bearer: {{ command: {{ a: {PASTED} }} }}"),
        format!("bearer: {{ file: {{ a: {PASTED} }} }}"),
        format!("bearer: {{ {PASTED}: x }}"),
        format!("bearer: {{ {PASTED} }}"),
        format!("token: {PASTED}"),
        format!("lmv1: {{ access_id: {PASTED}, access_key: {PASTED} }}"),
        format!("bearer: {{ env: LM_BEARER }}, bearer: {PASTED}"),
        format!("bearer: \"\\q{PASTED}\""),
        format!("bearer: '{PASTED}"),
        format!("bearer: {PASTED} ]"),
    ] {
        place.write("spec/tokens.yaml", &GOOD.replacen("bearer: { env: LM_BEARER }", &reference, 1));
        for args in
            [vec!["validate", "spec"], vec!["plan", "spec", "-vv"], vec!["apply", "spec", "--auto-approve"]]
        {
            let ran = place.run(&args).exits(1).says("error[tokenform::spec::");
            assert!(!ran.all().contains("UGFzdGVk"), "`{reference}` was printed:\n{}", ran.all());
            calm(&ran);
        }
    }
}

#[test]
fn what_steers_a_terminal_is_shown_as_text() {
    let place = spec("to: box", r#"to: "b\e]0;owned\a\u202e""#);
    refused(&place, "tokenform::spec::unknown_destination", &["b\\u{1b}]0;owned\\u{7}"]);
    refused(&spec("acme:", "\x1b[31macme:"), "tokenform::spec::syntax", &[]);
    let named = Place::empty();
    named.write("spec/a\x1b[2J.yaml", "version: 1\nfoo: 1\n");
    refused(&named, "tokenform::spec::unknown_key", &["a\\u{1b}[2J.yaml"]);
}

#[test]
fn a_missing_credential_is_named_once_and_nothing_is_sent() {
    let place = spec("", "");
    let ran = place.run(&["plan", "spec/tokens.yaml"]).exits(1).says("tokenform::credential::unresolved");
    assert!(ran.stderr.contains("`LM_BEARER`") && ran.stderr.contains("it is not set"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{}", ran.stderr);
    let mut command = place.command(&["plan", "spec/tokens.yaml"]);
    let ran: Ran = command.env("LM_BEARER", "<your-token-here>").output().unwrap().into();
    assert!(!ran.exits(1).says("LM_BEARER").all().contains("your-token-here"));
}

#[test]
fn plan_files_that_are_none_are_told_apart() {
    let place = spec("", "");
    place.write("new.plan", r#"{"format_version": "2.0", "what": "ever", "key": {"id": "x"}}"#);
    place.write("cut.plan", r#"{"format_version": "1.0", "#);
    for command in ["apply", "show", "check"] {
        place.run(&[command, "new.plan"]).exits(1).says("tokenform::seal::newer_format");
        calm(&place.run(&[command, "cut.plan"]).exits(1).says("tokenform::seal::malformed"));
    }
    for command in ["show", "check"] {
        place.run(&[command, "spec/tokens.yaml"]).exits(1).says("not a plan file").says("plan -o");
    }
    place.run(&["plan", "cut.plan"]).exits(1).says("is a plan file").says("tokenform show");
}

#[test]
fn two_instances_of_one_name_stop_with_the_list() {
    let place = Place::example("guided");
    let world = "examples/guided/guided.world.yaml";
    let twin = "\n      twin:\n        name: mon-prod\n        region: us-south\n        parameters: { external_api_auth: ANY }\n        teams: { Monitor Operations: { id: 20001 } }\n";
    place.write(world, &format!("{}{twin}", place.read(world).trim_end()));
    let ran = place.run(&["apply", "examples/guided", "--sandbox", "--auto-approve"]).exits(1);
    assert!(
        ran.stderr.contains("tokenform::plan::ambiguous") && ran.stderr.contains("guid"),
        "{}",
        ran.stderr
    );
    let tape = place.tape("examples/guided/.tokenform/sandbox/tape.jsonl");
    assert!(tape.iter().all(|entry| entry["effect"] == ""), "something was sent");
}
