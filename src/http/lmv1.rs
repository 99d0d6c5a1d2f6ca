//! The LMv1 signature: base64 of the hex text of an HMAC over verb, time, body and path
//! (contract logicmonitor 2.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::secret::{Secret, hex};

/// The whole `Authorization` value. `path` is decoded, begins behind `/santaba/rest` and has no
/// query; `body` is exactly what is sent; `epoch_ms` must be this attempt's own.
pub fn authorization(
    access_id: &str,
    access_key: &Secret,
    method: &str,
    epoch_ms: i64,
    body: &[u8],
    path: &str,
) -> String {
    let mut canonical = format!("{method}{epoch_ms}").into_bytes();
    canonical.extend_from_slice(body);
    canonical.extend_from_slice(path.as_bytes());
    let signature = STANDARD.encode(hex(&access_key.hmac_sha256(&canonical)));
    format!("LMv1 {access_id}:{signature}:{epoch_ms}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    const ID: &str = "aB3dE5gH7jK9mN2pQ4rS";
    const KEY: &str = "=T(9x]f4$Lq!w7_{eZ}~k2^V[3c+R)8b%yN5hG1u";
    const AT: i64 = 1_735_689_600_000;

    /// Contract logicmonitor 2.5: name, verb, body, path, hex digest. V by hand, S and X through the
    /// vendor's own SDK.
    const VECTORS: [(&str, &str, &str, &str, &str); 11] = [
        (
            "V1",
            "GET",
            "",
            "/setting/admins/apitokens",
            "faab53ad971048d8e3e24dfeb779fc27e49faf2b2ece2fe1916aa5d3b04df664",
        ),
        (
            "V2",
            "POST",
            r#"{"note":"rotated by reconciler","status":2}"#,
            "/setting/admins/32/apitokens",
            "adb2c7923a1fbbbb932e5d92b4dcc630e0add14e1baa60a38737db502894beec",
        ),
        (
            "V3",
            "PATCH",
            r#"{"status":1}"#,
            "/setting/admins/32/apitokens/248",
            "e3243e259e646f49fce97291e526318292bb2cd2301fa3b21357f23f1588a211",
        ),
        (
            "V4",
            "DELETE",
            "",
            "/setting/admins/32/apitokens/248",
            "7cb420345fed11523a934dc0817e911a41db5d681df62b00b1922ba0163e0c5d",
        ),
        (
            "V5",
            "PATCH",
            r#"{"note":"Zürich ✓"}"#,
            "/setting/admins/32/apitokens/248",
            "5561694ed63d221849f22e781dff3fb32267ffbd68c92453af47a4ce7486232c",
        ),
        (
            "S1",
            "GET",
            "",
            "/setting/admins/apitokens",
            "faab53ad971048d8e3e24dfeb779fc27e49faf2b2ece2fe1916aa5d3b04df664",
        ),
        (
            "S2",
            "POST",
            r#"{"note": "rotated by reconciler", "status": 2}"#,
            "/setting/admins/32/apitokens",
            "f31b3c28f0a4621985ba74bf22d2285f6d2ea446efddcebdab1132ed48382365",
        ),
        (
            "S3",
            "PATCH",
            r#"{"status": 1}"#,
            "/setting/admins/32/apitokens/248",
            "a3a9f2b52b36eba6f117eee77338aa7c31e33989f054aa579365ca74c6909735",
        ),
        (
            "S4",
            "DELETE",
            "{}",
            "/setting/admins/32/apitokens/248",
            "8f362b0bed38f84b1cc9468fface782899d6f12eae14a00fa2967579f8b851f5",
        ),
        (
            "S5",
            "POST",
            "{}",
            "/setting/admins/32/apitokens",
            "e37c009a0f7071de5bd9cb3837d2eac24bdbfd5b22c2ca15548046150697687d",
        ),
        (
            "X2",
            "GET",
            "",
            "/setting/accesslogs/a b/ü",
            "7f8b95fd8e5c585c3ab5049be5a2c94607ca0d5f9e94363ad421e42ca9e9940c",
        ),
    ];

    #[test]
    fn every_vector_of_the_contract_signs_the_same() {
        let key = Secret::new(KEY.as_bytes().to_vec());
        for (name, method, body, path, digest) in VECTORS {
            let expected = format!("LMv1 {ID}:{}:{AT}", STANDARD.encode(digest));
            assert_eq!(authorization(ID, &key, method, AT, body.as_bytes(), path), expected, "{name}");
        }
    }

    #[test]
    fn the_header_is_the_one_that_the_contract_prints() {
        let key = Secret::new(KEY.as_bytes().to_vec());
        assert_eq!(
            authorization(ID, &key, "PATCH", AT, br#"{"status":1}"#, "/setting/admins/32/apitokens/248"),
            "LMv1 aB3dE5gH7jK9mN2pQ4rS:ZTMyNDNlMjU5ZTY0NmY0OWZjZTk3MjkxZTUyNjMxODI5MmJiMmNkMjMwMWZhM2IyMTM1N2YyM2YxNTg4YTIxMQ==:1735689600000"
        );
    }

    /// A request as a real client sent it (contract clients 2.3).
    #[derive(Deserialize)]
    struct Sent {
        client: String,
        method: String,
        signed_path: String,
        body: String,
        epoch_ms: String,
        access_id: String,
        access_key: Secret,
        authorization: String,
    }

    #[test]
    fn every_request_of_the_third_party_clients_signs_the_same() {
        let all: Vec<Sent> =
            serde_json::from_str(include_str!("../../tests/vendor/lmv1_third_party.json")).unwrap();
        assert_eq!(all.len(), 22);
        for sent in all {
            let at = sent.epoch_ms.parse().unwrap();
            let ours = authorization(
                &sent.access_id,
                &sent.access_key,
                &sent.method,
                at,
                sent.body.as_bytes(),
                &sent.signed_path,
            );
            assert_eq!(ours, sent.authorization, "{} {} {}", sent.client, sent.method, sent.signed_path);
        }
    }
}
