//! Clients that name the vendors' own hosts, through the proxy.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::{Certificate, Client, Response};

use super::Bench;
use crate::sandbox::Proxy;

const WORLD: &str = "ibm: { prod: {} }\nlogicmonitor: { acme: {} }\n";

/// Today by the machine's clock: certificates are judged by that.
fn proxy(bench: &Bench) -> Proxy {
    bench.sandbox.proxy(crate::env::Env::system().clock.now()).ok().unwrap()
}

fn client(proxy: &Proxy, trusted: bool) -> Client {
    let certificate = Certificate::from_pem(proxy.certificate().as_bytes()).unwrap();
    let through = reqwest::Proxy::https(proxy.origin()).unwrap();
    let roots = trusted.then_some(certificate);
    Client::builder().proxy(through).tls_certs_only(roots).build().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn json(reply: Response) -> serde_json::Value {
    serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
}

#[test]
fn each_vendor_answers_under_its_own_host() {
    let bench = Bench::new(WORLD);
    let proxy = proxy(&bench);
    let client = client(&proxy, true);
    let (key, (_, _, bearer)) = (bench.api_key("prod"), bench.lm_credential());
    block_on(async {
        let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", &key)];
        let granted =
            client.post("https://iam.cloud.ibm.com/identity/token").form(&form).send().await.unwrap();
        let token = json(granted).await["access_token"].as_str().unwrap().to_owned();
        let list = "https://resource-controller.cloud.ibm.com/v2/resource_instances";
        assert_eq!(client.get(list).bearer_auth(&token).send().await.unwrap().status(), 200);
        let users = "https://acme.logicmonitor.com/santaba/rest/setting/admins";
        let users = client.get(users).bearer_auth(&bearer).header("X-Version", "3").send().await.unwrap();
        assert_eq!(json(users).await["total"], 1);
        // The right path at the wrong vendor.
        let lost = "https://us-south.monitoring.cloud.ibm.com/v2/resource_instances";
        assert_eq!(client.get(lost).bearer_auth(&token).send().await.unwrap().status(), 404);
    });
    let hosts: Vec<_> = bench
        .tape()
        .into_iter()
        .filter_map(|entry| entry.headers.into_iter().find(|(name, _)| name == "host").map(|(_, host)| host))
        .collect();
    assert_eq!(hosts[..2], ["iam.cloud.ibm.com", "resource-controller.cloud.ibm.com"]);
}

#[test]
fn other_hosts_and_distrustful_clients_get_nothing() {
    let bench = Bench::new(WORLD);
    let proxy = proxy(&bench);
    block_on(async {
        assert!(client(&proxy, true).get("https://example.com/").send().await.is_err());
        let iam = "https://iam.cloud.ibm.com/identity/token";
        assert!(client(&proxy, false).post(iam).send().await.is_err());
    });
    assert!(bench.tape().is_empty());
}

#[test]
fn a_refusal_says_why_in_plain_words() {
    let bench = Bench::new(WORLD);
    let proxy = proxy(&bench);
    for (asked, word) in
        [("CONNECT example.com:443", "example.com is no host"), ("GET http://x/", "CONNECT alone")]
    {
        let mut stream = TcpStream::connect(proxy.origin().strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "{asked} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 502 ") && reply.contains(word), "{reply}");
    }
}

/// The fault that matters most reaches a client behind TLS as well: done, and no answer.
#[test]
fn a_reply_lost_after_the_commit_is_lost_through_the_proxy_too() {
    let bench = Bench::new("logicmonitor: { acme: { users: { u: { id: 1 } } } }\n");
    let proxy = proxy(&bench);
    let fault = r#"{"on":{"method":"POST","path":"/santaba/*"},"do":"drop_after"}"#;
    assert_eq!(bench.control("POST", "/faults", fault).status, 200);
    let (_, _, bearer) = bench.lm_credential();
    let url = "https://acme.logicmonitor.com/santaba/rest/setting/admins/1/apitokens";
    let request = client(&proxy, true).post(url).bearer_auth(bearer).header("X-Version", "3").body("{}");
    assert!(block_on(request.send()).is_err());
    assert_eq!(bench.effects(), [super::Effect::Create]);
}
