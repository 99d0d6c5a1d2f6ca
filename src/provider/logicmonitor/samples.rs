//! The client against the vendor's own samples (`tests/vendor/lm_*.json`): what it sends is the
//! sample's request, and what it makes of the sample's reply is what the sample says.

use std::collections::BTreeMap;

use super::client::{Client, Target};
use super::state::{Connection, Credential, Lmv1, TokenKind};
use super::wire::{NewToken, TokenRow, UserRow};
use crate::http::testing::{Play, Server, env, run};
use crate::http::{Auth, Reader, Writer};
use crate::model::address::Address;
use crate::model::secret::{DigestKey, Secret};
use crate::model::vendor_sample::VendorSample;
use crate::model::vocabulary::SecretRef;

struct Played {
    server: Server,
    sample: VendorSample,
    conn: Connection,
}

impl Played {
    async fn new(name: &str) -> Self {
        let reply = VendorSample::load(name);
        let server = Server::start(move |_| Play::from(&reply)).await;
        let (access_id, access_key) = (SecretRef::Env("I".into()), SecretRef::Env("K".into()));
        let conn = Connection {
            account: "acme".into(),
            domain: "logicmonitor.com".into(),
            endpoint: Some(server.origin.clone()),
            credential: Credential::Lmv1(Lmv1 { access_id, access_key }),
            users: BTreeMap::new(),
            unlisted: None,
        };
        Self { server, sample: VendorSample::load(name), conn }
    }

    fn reader(&self) -> Reader {
        Reader::new(env(&[("I", "ourAccessId"), ("K", "ourKey")]))
    }

    #[track_caller]
    fn was_sent(&self) {
        let got = self.server.got();
        assert_eq!(got.len(), 1);
        got[0].is(&self.sample, "LMv1 ourAccessId:");
    }
}

fn object() -> Address {
    Address::connection("logicmonitor", "acme")
}

fn same(secret: Option<&Secret>, text: &str) -> bool {
    let key = DigestKey::new(Secret::new(vec![7; 32]));
    let wanted = key.fingerprint(&Secret::new(text.as_bytes().to_vec()));
    secret.is_some_and(|secret| key.fingerprint(secret) == wanted)
}

fn is_svc_ci(row: UserRow) {
    let user = row.live().unwrap();
    assert_eq!((user.id, user.username.as_str(), user.status.as_str()), (32, "svc-ci", "active"));
    assert_eq!(user.roles, ["ci-readonly"]);
    assert!(user.has_email && user.tokens.is_empty());
}

fn is_token(row: TokenRow, kind: TokenKind, id: u64) {
    assert_eq!(row.admin_name.as_deref(), Some("svc-ci"));
    let token = row.live(kind, None).unwrap();
    assert_eq!((token.id, token.owner, token.status, token.created_by.as_str()), (id, 32, 2, "svc-rotator"));
    assert_eq!(token.created_on.unwrap().as_second(), 1_735_689_600);
    assert_eq!(token.last_used_on, None);
    let api = kind == TokenKind::ApiToken;
    assert_eq!(token.access_id.as_deref(), api.then_some("aB3dE5gH7jK9mN2pQ4rS"));
    assert_eq!(token.note, if api { "ci-deploy" } else { "otel" });
}

#[test]
fn users_are_listed_and_got() {
    run(async {
        let played = Played::new("lm_users").await;
        let reader = played.reader();
        let users = Client::new(&reader, &played.conn).users(&object()).await.unwrap();
        played.was_sent();
        users.into_iter().for_each(is_svc_ci);
        let sample = VendorSample::load("lm_user");
        is_svc_ci(serde_json::from_value(sample.reply.body).unwrap());
    });
}

#[test]
fn tokens_of_both_kinds_are_listed() {
    run(async {
        for (name, owner, kind, id) in [
            ("lm_api_tokens", None, TokenKind::ApiToken, 248),
            ("lm_bearer_tokens", None, TokenKind::BearerToken, 249),
            ("lm_tokens_of_user", Some(32), TokenKind::ApiToken, 248),
        ] {
            let played = Played::new(name).await;
            let reader = played.reader();
            let rows = Client::new(&reader, &played.conn).tokens(&object(), owner, kind).await.unwrap();
            played.was_sent();
            let [row] = <[_; 1]>::try_from(rows).ok().unwrap();
            is_token(row, kind, id);
        }
    });
}

#[test]
fn a_create_is_sent_and_its_secret_taken() {
    run(async {
        for (name, kind, id, key) in [
            ("lm_token_create", TokenKind::ApiToken, 300, "=T(9x]f4$Lq!w7_{eZ}~k2^V[3c+R)8b%yN5hG1u"),
            ("lm_bearer_create", TokenKind::BearerToken, 301, "lmb_ZXhhbXBsZSBleGFtcGxlIGV4YW1wbGU+/Zz0="),
        ] {
            let played = Played::new(name).await;
            let writer = Writer::for_test(played.reader());
            let client = Client::new(writer.reader(), &played.conn);
            let note = "ci-deploy ;tf1 g=7f2c91 p=0";
            let made: NewToken = client.create(&writer, &object(), 32, kind, note).await.unwrap().unwrap();
            played.was_sent();
            assert_eq!((made.id, made.status, made.created_on), (Some(id), Some(2), Some(1_735_689_600)));
            assert!(same(made.access_key.as_ref(), key));
            let api = kind == TokenKind::ApiToken;
            assert_eq!(made.access_id.as_deref(), api.then_some("aB3dE5gH7jK9mN2pQ4rS"));
        }
    });
}

#[test]
fn a_status_is_patched_alone_and_a_delete_has_no_body() {
    run(async {
        let address = object();
        let token = Target { object: &address, owner: 32, id: 248, typed: false };
        let played = Played::new("lm_token_patch").await;
        let writer = Writer::for_test(played.reader());
        Client::new(writer.reader(), &played.conn).set_status(&writer, &token, 1, None).await.unwrap();
        played.was_sent();
        let played = Played::new("lm_token_delete").await;
        let writer = Writer::for_test(played.reader());
        Client::new(writer.reader(), &played.conn).delete(&writer, &token).await.unwrap();
        played.was_sent();
    });
}

#[test]
fn a_401_is_told_with_its_code_and_not_repeated() {
    run(async {
        let played = Played::new("lm_unauthorized").await;
        let reader = played.reader();
        let client = Client::new(&reader, &played.conn);
        let Err(error) = client.probe(&object(), 32, Auth::Identity(&client.identity)).await else {
            panic!("accepted")
        };
        played.was_sent();
        assert_eq!((error.status, error.code.as_deref()), (Some(401), Some("1401")));
        assert!(error.finding.message.contains("Authentication failed"));
        assert!(client.users(&object()).await.is_err());
        assert_eq!(played.server.got().len(), 1, "nothing more is sent after a 401");
    });
}
