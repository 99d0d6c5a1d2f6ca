//! The client against the vendors' own samples (`tests/vendor/ibm_*.json`): what it sends is the
//! sample's request, and what it makes of the sample's reply is what the sample says.

use super::{GUID, connection, instance_address};
use crate::env::Env;
use crate::http::testing::{Play, Server, env, run};
use crate::http::{Reader, Writer};
use crate::model::secret::{DigestKey, Secret};
use crate::model::vendor_sample::VendorSample;
use crate::provider::ibm::client::{Account, Token};
use crate::provider::ibm::state::{Connection, Service};

const OWN_KEY: &str = "EXAMPLE-KEY";

/// A server that grants a token and answers everything else with a sample.
struct Played {
    server: Server,
    sample: VendorSample,
    conn: Connection,
    env: Env,
}

impl Played {
    async fn new(name: &str) -> Self {
        let sample = VendorSample::load(name);
        let (login, reply) = (VendorSample::load("ibm_iam_token"), VendorSample::load(name));
        let server = Server::start(move |got| match got.target.as_str() {
            "/identity/token" if reply.path() != "/identity/token" => Play::from(&login),
            _ => Play::from(&reply),
        })
        .await;
        let conn = connection(&server.origin);
        Self { server, sample, conn, env: env(&[("KEY", OWN_KEY)]) }
    }

    fn reader(&self) -> Reader {
        Reader::new(self.env.clone())
    }

    /// The last request was the sample's.
    #[track_caller]
    fn was_sent(&self) {
        let got = self.server.got();
        assert_eq!(got.len(), 2, "a login and the call");
        got[1].is(&self.sample, "Bearer eyJraWQiOi.example.sig");
    }
}

#[test]
fn a_login_is_sent_and_its_token_taken() {
    run(async {
        let played = Played::new("ibm_instance").await;
        let reader = played.reader();
        Account::of(&reader, &played.conn).get(&instance_address(), GUID).await.unwrap();
        played.server.got()[0].is(&VendorSample::load("ibm_iam_token"), "");
        played.was_sent();
    });
}

#[test]
fn an_unknown_key_is_told_with_the_code_and_the_id() {
    run(async {
        let mut played = Played::new("ibm_iam_unknown_key").await;
        played.env = env(&[("KEY", "WRONG-KEY")]);
        let reader = played.reader();
        let Err(error) = Account::of(&reader, &played.conn).get(&instance_address(), GUID).await else {
            panic!("logged in")
        };
        let got = played.server.got();
        assert_eq!(got.len(), 1, "a refused key is not tried again");
        got[0].is(&played.sample, "");
        assert_eq!(error.code.as_deref(), Some("BXNIM0415E"));
        assert!(error.finding.message.contains("Provided API key could not be found [id ZXhhbXBsZS0xMjM]"));
    });
}

#[test]
fn instances_are_listed_and_got() {
    run(async {
        let played = Played::new("ibm_instances").await;
        let reader = played.reader();
        let rows =
            Account::of(&reader, &played.conn).list(&instance_address(), None, None).await.ok().unwrap();
        played.was_sent();
        let single = Played::new("ibm_instance").await;
        let reader = single.reader();
        let row = Account::of(&reader, &single.conn).get(&instance_address(), GUID).await.unwrap();
        single.was_sent();
        for row in [&rows[0], &row] {
            assert_eq!((row.guid(), row.name(), row.region()), (GUID, "mon-prod", "us-south"));
            assert_eq!(
                (row.service(), row.account()),
                ("sysdig-monitor", "0123456789abcdef0123456789abcdef")
            );
            assert_eq!(row.parameters(), Some(r#"{"default_receiver":false,"external_api_auth":"ANY"}"#));
            assert_eq!((row.state.as_deref(), row.locked), (Some("active"), Some(false)));
            assert_eq!(row.controlled_by.as_deref(), Some(""));
            assert_eq!((row.busy(), row.operation_state()), (false, Some("succeeded")));
            assert_eq!(row.last_operation.as_ref().unwrap().kind.as_deref(), Some("update"));
            assert_eq!(row.updated_at.as_deref(), Some("2026-11-01T10:00:00.1Z"));
        }
    });
}

#[test]
fn a_patch_sends_the_whole_parameters() {
    run(async {
        let played = Played::new("ibm_instance_patch").await;
        let writer = Writer::for_test(played.reader());
        let parameters = r#"{"default_receiver":false,"external_api_auth":"IAM_ONLY"}"#;
        let account = Account::of(writer.reader(), &played.conn);
        let uuid = "b1946ac9-0000-4000-8000-000000000001".to_owned();
        account.patch(&writer, &instance_address(), GUID, parameters, uuid.clone()).await.unwrap();
        played.was_sent();
        assert_eq!(played.server.got()[1].headers["transaction-id"], uuid);
    });
}

#[test]
fn a_missing_instance_is_told_at_once_whatever_retry_after_says() {
    run(async {
        let played = Played::new("ibm_instance_missing").await;
        let reader = played.reader();
        let guid = "5e2f1c3a-0000-4000-8000-00000000dead";
        let Err(error) = Account::of(&reader, &played.conn).get(&instance_address(), guid).await else {
            panic!("found")
        };
        played.was_sent();
        assert_eq!((error.status, error.code.as_deref()), (Some(404), Some("RC-DatabaseErrorResponse")));
        assert_eq!(error.retry_after, None);
        assert!(error.finding.message.contains("[id b1946ac9-0000-4000-8000-000000000001]"));
    });
}

#[test]
fn tokens_are_read_and_refusals_recognised() {
    run(async {
        for (name, owner, team) in
            [("ibm_token", None, Some(10001)), ("ibm_token_of_owner", Some("bot@example.com"), Some(10001))]
        {
            let played = Played::new(name).await;
            let reader = played.reader();
            let (account, object) = (Account::of(&reader, &played.conn), instance_address());
            let token = account.api(&object, &played.server.origin, GUID).token(team, owner).await;
            let Ok(Token::Key(key)) = token else { panic!("no key") };
            let expected = played.sample.reply.body["token"]["key"].as_str().unwrap();
            let prints = DigestKey::new(Secret::new(vec![7; 32]));
            assert!(prints.fingerprint(&key) == prints.fingerprint(&Secret::new(expected.into())));
            played.was_sent();
        }
        let played = Played::new("ibm_token_refused").await;
        let reader = played.reader();
        let (account, object) = (Account::of(&reader, &played.conn), instance_address());
        let token = account.api(&object, &played.server.origin, GUID).token(Some(10001), None).await;
        assert!(matches!(token, Ok(Token::Refused(_))));
        played.was_sent();
    });
}

#[test]
fn teams_and_the_caller_are_read() {
    run(async {
        let played = Played::new("ibm_teams").await;
        let reader = played.reader();
        let (account, object) = (Account::of(&reader, &played.conn), instance_address());
        let api = account.api(&object, &played.server.origin, GUID);
        let teams = api.teams(Service::Monitoring).await.unwrap();
        played.was_sent();
        let rows: Vec<_> = teams.iter().map(|t| (t.id, t.name.as_str(), t.user_count)).collect();
        assert_eq!(rows, [(10001, "Monitor Operations", Some(4))], "the other product's is left out");
        let secure = api.teams(Service::WorkloadProtection).await.unwrap();
        assert_eq!(secure.iter().map(|t| t.id).collect::<Vec<_>>(), [10002]);

        let played = Played::new("ibm_users_me").await;
        let reader = played.reader();
        let account = Account::of(&reader, &played.conn);
        let me = account.api(&object, &played.server.origin, GUID).me(None).await.unwrap();
        played.was_sent();
        assert_eq!((me.username.as_str(), me.current_team), ("ops@example.com", Some(10001)));
        assert!(!format!("{me:?}").contains("00000000-aaaa"), "no agent key is taken");
    });
}

/// A reader of a server that grants a token and answers everything else so.
async fn always(status: u16, body: &'static str) -> (Server, Connection, Reader) {
    let login = VendorSample::load("ibm_iam_token");
    let server = Server::start(move |got| match got.target.as_str() {
        "/identity/token" => Play::from(&login),
        _ => Play::json(status, body),
    })
    .await;
    let conn = connection(&server.origin);
    (server, conn, Reader::new(env(&[("KEY", OWN_KEY)])))
}

#[test]
fn a_list_whose_pages_go_round_in_a_circle_ends() {
    run(async {
        let page = r#"{"next_url":"/v2/resource_instances?start=a","resources":[]}"#;
        let (server, conn, reader) = always(200, page).await;
        let Err(finding) = Account::of(&reader, &conn).list(&instance_address(), None, None).await else {
            panic!("it ended")
        };
        assert!(finding.message.contains("does not end"), "{finding}");
        assert_eq!(server.got().len(), 3, "a login, the first page, and `a` once");
    });
}

#[test]
fn an_empty_or_masked_key_is_no_key() {
    run(async {
        for body in [r#"{"token":{"key":""}}"#, r#"{"token":{"key":"00000000-****************"}}"#] {
            let (server, conn, reader) = always(200, body).await;
            let (account, object) = (Account::of(&reader, &conn), instance_address());
            let told = account.api(&object, &server.origin, GUID).token(Some(1), None).await;
            assert!(matches!(told, Err(finding) if finding.message.contains("empty or masked")), "{body}");
        }
    });
}

#[test]
fn the_vendors_own_hosts_are_the_default() {
    let mut conn = connection("http://127.0.0.1:1");
    conn.endpoints = Default::default();
    assert_eq!(conn.iam(), "https://iam.cloud.ibm.com");
    assert_eq!(conn.resource_controller(), "https://resource-controller.cloud.ibm.com");
    assert_eq!(Service::Monitoring.origin("eu-de"), "https://eu-de.monitoring.cloud.ibm.com");
    let secure = "https://us-south.security-compliance-secure.cloud.ibm.com";
    assert_eq!(Service::WorkloadProtection.origin("us-south"), secure);
}
