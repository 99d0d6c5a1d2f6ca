//! The HTTP clients: one request out, one whole reply in. No retries, no redirects, no implicit proxy.

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, NoProxy, Proxy, Url};

use super::Sent;
use super::headers::Told;
use super::sealed::Wiped;
use crate::env::{Env, Point, Vars};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The most that a list may hold, and that any other reply may.
pub const LIST_CAP: usize = 8 * 1024 * 1024;
pub const SEALED_CAP: usize = 1024 * 1024;

/// A request ready to leave.
pub struct Outgoing<'a> {
    pub method: &'a str,
    pub url: Url,
    pub loopback: bool,
    pub authorization: Option<HeaderValue>,
    pub headers: &'a [(&'static str, String)],
    pub content_type: &'static str,
    pub body: Option<Vec<u8>>,
    /// Use a connection of its own: a stale pooled one would create doubt.
    pub fresh: bool,
    pub cap: usize,
}

/// A reply whose body was read to its end.
pub struct Incoming {
    pub status: u16,
    pub told: Told,
    pub body: Wiped,
}

/// Why there is no reply, in words without addresses or values.
#[derive(Debug)]
pub struct NoReply {
    pub sent: Sent,
    pub why: String,
    /// Asking again can't help.
    pub permanent: bool,
}

/// The clients, each built when first needed.
#[derive(Default)]
pub struct Clients {
    remote: [OnceCell<Client>; 2],
    loopback: [OnceCell<Client>; 2],
}

impl Clients {
    pub async fn exchange(&self, out: Outgoing<'_>, env: &Env) -> Result<Incoming, NoReply> {
        let (cap, method, url) = (out.cap, out.method, out.url.clone());
        let request = self.request(out, &env.vars)?.timeout(env.deadline);
        let no_reply = |error: reqwest::Error| no_reply(error.without_url(), env.deadline);
        let (method, path) = (method, url.path());
        env.points.pass(Point::Leaving { method, path }).map_err(stopped)?;
        let mut reply = request.send().await.map_err(no_reply)?;
        let status = reply.status().as_u16();
        let told = Told::read(reply.headers(), env.clock.now());
        let mut body = Wiped::new(cap, reply.content_length());
        loop {
            match reply.chunk().await {
                Ok(Some(chunk)) => body.push(&chunk).map_err(|_| too_long(cap))?,
                Ok(None) => break,
                Err(error) => return Err(no_reply(error)),
            }
        }
        env.points.pass(Point::Arrived { method, path }).map_err(stopped)?;
        Ok(Incoming { status, told, body })
    }

    fn request(&self, out: Outgoing<'_>, vars: &Vars) -> Result<reqwest::RequestBuilder, NoReply> {
        let client = self.client(out.loopback, out.fresh, vars)?;
        let method =
            Method::from_bytes(out.method.as_bytes()).map_err(|_| unsendable("the method is no method"))?;
        let headers = headers(&out)?;
        let request = client.request(method, out.url).headers(headers);
        Ok(match out.body {
            Some(body) => request.header(CONTENT_TYPE, out.content_type).body(body),
            None => request,
        })
    }

    fn client(&self, loopback: bool, fresh: bool, vars: &Vars) -> Result<&Client, NoReply> {
        let kind = if loopback { &self.loopback } else { &self.remote };
        let cell = &kind[usize::from(fresh)];
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let builder = if loopback { loopback_client() } else { remote_client(vars)? };
        let builder = if fresh { builder.pool_max_idle_per_host(0) } else { builder };
        let client = builder.build().map_err(|error| unsendable(&innermost(&error.without_url())))?;
        Ok(cell.get_or_init(|| client))
    }
}

fn base() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("tokenform/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_DEADLINE)
}

/// This machine: no roots, so that it works where no CA store is; `localhost` is never asked of a
/// resolver.
fn loopback_client() -> ClientBuilder {
    let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    base()
        .tls_certs_only(std::iter::empty())
        .resolve_to_addrs("localhost", &here.map(|address| SocketAddr::new(address, 0)))
}

/// Everyone else: the system's roots, and the proxy that the environment names.
fn remote_client(vars: &Vars) -> Result<ClientBuilder, NoReply> {
    let var = |upper: &str| vars.get(upper).or_else(|| vars.get(&upper.to_ascii_lowercase()));
    let client = base().https_only(true);
    match var("HTTPS_PROXY").filter(|proxy| !proxy.trim().is_empty()) {
        None => Ok(client),
        Some(address) => {
            let proxy = Proxy::https(address.trim())
                .map_err(|_| unsendable("HTTPS_PROXY does not hold the address of a proxy"))?;
            let except = var("NO_PROXY").and_then(|list| NoProxy::from_string(&list));
            Ok(client.proxy(proxy.no_proxy(except)))
        }
    }
}

fn headers(out: &Outgoing<'_>) -> Result<HeaderMap, NoReply> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in out.headers {
        let (Ok(key), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        else {
            return Err(unsendable(&format!("header {name} holds characters that no header may have")));
        };
        headers.insert(key, value);
    }
    if let Some(value) = &out.authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    Ok(headers)
}

/// Nothing left this machine, and nothing would on another try.
fn unsendable(why: &str) -> NoReply {
    NoReply { sent: Sent::No, why: why.to_owned(), permanent: true }
}

fn too_long(cap: usize) -> NoReply {
    NoReply { sent: Sent::Yes, why: format!("the reply is longer than {cap} bytes"), permanent: true }
}

/// A test stopped the request.
fn stopped(error: std::io::Error) -> NoReply {
    let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
    let sent = if refused { Sent::No } else { Sent::Maybe };
    NoReply { sent, why: error.to_string(), permanent: false }
}

/// Sorts an error. Surely not sent is only what found no one listening.
fn no_reply(error: reqwest::Error, deadline: Duration) -> NoReply {
    let refused = error.is_connect() && chain(&error).any(is_refused);
    let sent = if refused { Sent::No } else { Sent::Maybe };
    let why = if refused {
        "the connection was refused".to_owned()
    } else if error.is_timeout() && error.is_connect() {
        format!("no connection within {} s", CONNECT_DEADLINE.as_secs())
    } else if error.is_timeout() {
        format!("no whole reply within {} s", deadline.as_secs())
    } else if error.is_dns() {
        "the host's name could not be resolved".to_owned()
    } else if error.is_connect() {
        format!("no connection: {}", innermost(&error))
    } else {
        format!("the connection broke before a whole reply came: {}", innermost(&error))
    };
    NoReply { sent, why, permanent: error.is_builder() }
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The words of the first cause, capped: the layers above it only repeat that something failed.
fn innermost(error: &reqwest::Error) -> String {
    let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
