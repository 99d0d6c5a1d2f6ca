//! Reading a connection, against the fake.

use std::fmt::Write as _;

use super::{Bench, CANARY, DENIED, GUID, Patch, World, connection_address, managed_team, team_address};
use crate::model::code::{
    Code, IBM_NO_ACCESS, IBM_OTHER_ACCOUNT, IBM_TOKEN_REFUSED, PLAN_AMBIGUOUS, PLAN_NAME_NOT_FOUND,
};
use crate::model::finding::Finding;
use crate::model::observed::Observed;
use crate::model::secret::Secret;
use crate::provider::ibm::read::read_connection;
use crate::provider::ibm::state::{AuthMode, HeaderProof, LiveInstance, OtherTeams, Probe, Service};

async fn observe(bench: &Bench) -> Observed<LiveInstance> {
    let conn = &bench.desired.ibm[&connection_address()];
    let mut all = read_connection(
        &bench.reader,
        &bench.key,
        &connection_address(),
        conn,
        &crate::model::history::History::default(),
    )
    .await;
    assert_eq!(all.len(), 1);
    all.pop_first().unwrap().1
}

async fn live(bench: &Bench) -> LiveInstance {
    match observe(bench).await {
        Observed::Present(live) => live,
        Observed::Unreadable(finding) => panic!("{finding}"),
        Observed::Absent => panic!("absent"),
    }
}

async fn unreadable(bench: &Bench) -> Box<Finding> {
    match observe(bench).await {
        Observed::Unreadable(finding) => finding,
        _ => panic!("it was read"),
    }
}

/// An instance that is to be locked, with all its teams.
async fn to_lock(world: World) -> Bench {
    let mut bench = Bench::new(world).await;
    bench.instance().external_api_auth = Some(AuthMode::IamOnly);
    bench
}

#[tokio::test]
async fn reading_takes_few_requests_and_keeps_only_fingerprints() {
    let bench = to_lock(World::default()).await;
    let live = live(&bench).await;
    let mut tape = bench.fake.tape();
    tape.sort();
    assert_eq!(
        tape,
        [
            "GET /api/teams",
            "GET /api/token team 10001",
            "GET /api/token team 10002",
            "GET /api/users/me",
            "GET /v2/resource_instances",
        ]
    );
    assert_eq!((live.guid.as_str(), live.account.as_str(), live.region.as_str()), (GUID, "acct", "us-south"));
    assert_eq!((live.probed, live.header.clone()), (Probe::Any, HeaderProof::Proven));
    assert_eq!((live.identity.as_str(), live.service_id), ("ops@example.com", false));
    let ids: Vec<u64> = live.teams.iter().map(|team| team.id).collect();
    assert_eq!(ids, [10001, 10002], "teams of the other product are left out");
    let print = bench.key.fingerprint(&Secret::new(format!("{CANARY}-10002-0").into()));
    assert_eq!(live.teams[1].fingerprint.as_ref(), Some(&print));
}

#[tokio::test]
async fn an_older_server_is_asked_by_its_own_path() {
    let bench = to_lock(World { old_me: true, ..World::default() }).await;
    let live = live(&bench).await;
    assert_eq!((live.identity.as_str(), live.probed), ("ops@example.com", Probe::Any));
    assert!(bench.fake.tape().contains(&"GET /api/user/me".to_owned()));
}

#[tokio::test]
async fn parameters_are_kept_byte_for_byte_and_no_secret_is_kept() {
    let bench = to_lock(World::default()).await;
    let live = live(&bench).await;
    let raw = bench.fake.world().parameters.clone();
    assert_eq!(live.parameters, raw);
    assert_eq!(live.setting.as_deref(), Some("ANY"));
    let mut shown = String::new();
    write!(shown, "{live:?}").unwrap();
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn iam_only_is_probed_with_one_read_whatever_the_status() {
    // the status alone may come from a missing permission
    let cases = [
        ((401, DENIED), Probe::IamOnly),
        ((403, DENIED), Probe::IamOnly),
        ((422, DENIED), Probe::IamOnly),
        ((401, "unauthorized"), Probe::Refused),
    ];
    for (refusal, probe) in cases {
        // The parameter may be missing: an earlier IAM_ONLY is hidden by a later request.
        let world = World { iam_only: true, parameters: Some("{}".into()), refusal, ..World::default() };
        let bench = to_lock(world).await;
        let live = live(&bench).await;
        assert_eq!((live.probed, live.header), (probe, HeaderProof::AfterUnlock), "{refusal:?}");
        assert_eq!(live.setting, None);
        let tape = bench.fake.tape();
        let mut reads: Vec<_> = tape.iter().filter(|line| line.contains("/api/token")).collect();
        reads.dedup();
        assert_eq!(reads, ["GET /api/token team 10001"]);
    }
}

#[tokio::test]
async fn what_is_not_managed_is_not_probed_and_no_token_is_read() {
    let bench = Bench::new(World::default()).await;
    assert_eq!(live(&bench).await.probed, Probe::Unknown);
    assert!(!bench.fake.tape().iter().any(|line| line.contains("token")));
}

#[tokio::test]
async fn without_managed_teams_the_mode_is_probed_with_the_current_team() {
    let mut bench = to_lock(World { current_team: 10002, ..World::default() }).await;
    bench.instance().other_teams = OtherTeams::Refuse;
    let live = live(&bench).await;
    assert_eq!(live.probed, Probe::Any);
    assert!(live.teams.iter().all(|team| team.fingerprint.is_none()));
    assert!(bench.fake.tape().contains(&"GET /api/token team 10002".to_owned()));
}

#[tokio::test]
async fn an_ignored_team_header_is_not_proven() {
    let bench = to_lock(World { header_works: false, ..World::default() }).await;
    assert!(matches!(live(&bench).await.header, HeaderProof::Unproven(why) if why.contains("same key")));
    // With one key in scope, `users/me` decides: it ignores the header as well.
    let mut bench = Bench::new(World { header_works: false, ..World::default() }).await;
    bench.instance().teams.insert(team_address("SRE"), managed_team());
    assert!(matches!(live(&bench).await.header, HeaderProof::Unproven(why) if why.contains("users/me")));
}

#[tokio::test]
async fn one_managed_team_is_proved_by_users_me_with_one_more_request() {
    let mut bench = Bench::new(World::default()).await;
    bench.instance().teams.insert(team_address("SRE"), managed_team());
    assert_eq!(live(&bench).await.header, HeaderProof::Proven);
    let tape = bench.fake.tape();
    assert!(tape.contains(&"GET /api/users/me team 10002".to_owned()));
    assert!(!tape.contains(&"GET /api/token team 10001".to_owned()), "no undeclared token is read");
    assert_eq!(tape.len(), 5);
}

#[tokio::test]
async fn an_owners_token_is_read_by_name_and_proves_nothing_of_the_header() {
    let mut bench = Bench::new(World { header_works: false, ..World::default() }).await;
    let owned =
        || crate::provider::ibm::state::Team { owner: Some("bot@example.com".into()), ..managed_team() };
    bench.instance().teams.insert(team_address("SRE"), owned());
    bench.instance().teams.insert(team_address("Monitor Operations"), owned());
    let live = live(&bench).await;
    assert!(matches!(live.header, HeaderProof::Unproven(_)));
    assert!(live.teams.iter().all(|team| team.fingerprint.is_some()));
    let tape = bench.fake.tape();
    let read = |line: &&String| line.contains("/api/token/bot") && line.contains("example.com/10002");
    assert!(tape.iter().any(|line| read(&line)), "{tape:?}");
}

#[tokio::test]
async fn a_refused_token_of_another_owner_is_told() {
    let world = World { refusal: (403, DENIED), ..World::default() };
    let mut bench = Bench::new(world).await;
    let owned = crate::provider::ibm::state::Team { owner: Some("nobody".into()), ..managed_team() };
    bench.instance().teams.insert(team_address("SRE"), owned);
    bench.fake.world().keys.remove(&10002);
    bench.fake.world().refuse_missing = true;
    let finding = unreadable(&bench).await;
    assert_eq!(finding.code, IBM_TOKEN_REFUSED);
    assert!(finding.message.contains("nobody") && finding.message.contains("10002"));
}

#[tokio::test]
async fn instances_are_found_over_pages_and_two_of_one_name_are_not_guessed() {
    let others = vec![("g1".to_owned(), "x".to_owned()), ("g2".to_owned(), "y".to_owned())];
    let mut bench = Bench::new(World { others, page: 1, ..World::default() }).await;
    assert_eq!(live(&bench).await.guid, GUID);
    let pages = bench.fake.tape().iter().filter(|line| line.ends_with("/v2/resource_instances")).count();
    assert_eq!(pages, 3);
    bench.fake.world().others[0].1 = "mon-prod".into();
    let finding = unreadable(&bench).await;
    assert_eq!(finding.code, PLAN_AMBIGUOUS);
    assert!(finding.message.contains(":g1::") && finding.message.contains(GUID));
    bench.instance().guid = Some(GUID.into());
    assert_eq!(live(&bench).await.guid, GUID);
}

#[tokio::test]
async fn a_single_pinned_instance_is_read_by_get() {
    let mut bench = Bench::new(World::default()).await;
    bench.instance().guid = Some(GUID.into());
    assert_eq!(live(&bench).await.guid, GUID);
    let tape = bench.fake.tape();
    assert!(tape.contains(&format!("GET /v2/resource_instances/{GUID}")));
    assert!(!tape.contains(&"GET /v2/resource_instances".to_owned()));
    bench.instance().guid = Some("gone".into());
    assert_eq!(unreadable(&bench).await.code, PLAN_NAME_NOT_FOUND);
}

#[tokio::test]
async fn a_row_without_parameters_is_read_once_more() {
    let bench = Bench::new(World { parameters: None, ..World::default() }).await;
    let live = live(&bench).await;
    assert_eq!((live.parameters, live.setting), (None, None));
    assert!(bench.fake.tape().contains(&format!("GET /v2/resource_instances/{GUID}")));
}

#[tokio::test]
async fn another_account_stops_before_anything_of_the_instance_is_read() {
    let mut bench = to_lock(World::default()).await;
    bench.conn().account = Some("other".into());
    assert_eq!(unreadable(&bench).await.code, IBM_OTHER_ACCOUNT);
    assert!(!bench.fake.tape().iter().any(|line| line.contains("/api/")));
}

#[tokio::test]
async fn a_login_page_is_told_without_following_it() {
    let bench = to_lock(World { login_page: true, ..World::default() }).await;
    let finding = unreadable(&bench).await;
    let code: Code = finding.code;
    assert!(code != IBM_NO_ACCESS && finding.message.contains("302"), "{finding}");
}

#[tokio::test]
async fn workload_protection_has_its_own_service_and_product() {
    let world = World { service: "sysdig-secure", current_team: 10003, ..World::default() };
    let mut bench = to_lock(world).await;
    assert_eq!(unreadable(&bench).await.code, PLAN_NAME_NOT_FOUND);
    bench.instance().service = Service::WorkloadProtection;
    let live = live(&bench).await;
    assert_eq!(live.teams.iter().map(|team| team.id).collect::<Vec<_>>(), [10003]);
    assert_eq!(live.header, HeaderProof::Proven, "the one visible team is the current one");
}

#[tokio::test]
async fn a_missing_managed_team_is_told_with_the_visible_ones() {
    let mut bench = Bench::new(World { patch: Patch::Sync, ..World::default() }).await;
    bench.instance().teams.insert(team_address("Sec"), managed_team());
    let finding = unreadable(&bench).await;
    assert_eq!(finding.code, PLAN_NAME_NOT_FOUND);
    assert!(finding.message.contains("`SRE` (10002)") && !finding.message.contains("10003"));
    assert!(!bench.fake.tape().iter().any(|line| line.contains("/api/token")));
}

#[tokio::test]
async fn an_odd_reply_is_told_without_the_keys_in_it() {
    let bench = to_lock(World { odd_me: true, ..World::default() }).await;
    let finding = unreadable(&bench).await;
    assert!(finding.message.contains("another shape"), "{finding}");
    assert!(!format!("{finding:?}").contains(CANARY));
}

#[tokio::test]
async fn an_identity_that_the_instance_does_not_know_is_told_what_to_do() {
    let bench = to_lock(World { stranger: true, ..World::default() }).await;
    let finding = unreadable(&bench).await;
    assert_eq!(finding.code, IBM_NO_ACCESS);
    assert!(!finding.message.contains("unknown user"), "a body of no known shape is not quoted");
}
