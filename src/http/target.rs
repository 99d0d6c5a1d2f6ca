//! Where a request goes: the checked origin, the encoded path and query.

use reqwest::Url;

use super::Request;

/// A place to send to.
#[derive(Debug)]
pub struct Target {
    pub url: Url,
    /// The host is this machine, and the scheme is `http`.
    pub loopback: bool,
    /// The endpoint for pacing: method, origin and path, ids left out.
    pub endpoint: String,
}

impl Target {
    /// Why it can't be sent, where it can't.
    pub fn of(request: &Request<'_>) -> Result<Self, String> {
        let Request { method, origin, prefix, path, query, .. } = request;
        let mut text = format!("{}{prefix}", origin.trim_end_matches('/'));
        encode_path(path, &mut text)?;
        for (n, (name, value)) in query.iter().enumerate() {
            text.push(if n == 0 { '?' } else { '&' });
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        let url = Url::parse(&text).map_err(|error| format!("`{origin}` is not an origin: {error}"))?;
        let loopback = checked(&url, origin)?;
        let endpoint = format!("{method} {origin}{prefix}{}", without_ids(path));
        Ok(Self { url, loopback, endpoint })
    }
}

/// Whether it is loopback; `https` everywhere else.
fn checked(url: &Url, origin: &str) -> Result<bool, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the origin holds a user name or a password; it may only have scheme, host and port".into()
        );
    }
    match (url.scheme(), is_loopback(url)) {
        ("https", _) => Ok(false),
        ("http", true) => Ok(true),
        ("http", false) => Err(format!("`{origin}` is plain http; that is allowed for this machine only")),
        _ => Err(format!("`{origin}` is neither https nor http")),
    }
}

/// Whether an origin is this machine: what is sent there never leaves it.
pub fn on_this_machine(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Encodes a decoded path. Dot segments would be resolved away and reach another object.
fn encode_path(path: &str, out: &mut String) -> Result<(), String> {
    let segments = path.strip_prefix('/').ok_or("the path does not begin with `/`")?;
    for segment in segments.split('/') {
        if matches!(segment, "." | "..") {
            return Err("a part of the path is `.` or `..`".into());
        }
        out.push('/');
        encode(segment, out);
    }
    Ok(())
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// `/setting/admins/32/apitokens` → `/setting/admins/#/apitokens`
fn without_ids(path: &str) -> String {
    let word = |segment: &str| segment.bytes().any(|b| b.is_ascii_digit());
    path.split('/').map(|segment| if word(segment) { "#" } else { segment }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Auth, Identity};
    use crate::model::address::Address;
    use crate::model::vocabulary::SecretRef;

    fn target(origin: &str, path: &str, query: Vec<(&'static str, String)>) -> Result<Target, String> {
        Target::of(&Request {
            object: &Address::connection("logicmonitor", "acme"),
            purpose: "test",
            auth: Auth::Identity(&Identity::Bearer(SecretRef::Env("X".into()))),
            method: "GET",
            origin,
            prefix: "/santaba/rest",
            path,
            query,
            headers: Vec::new(),
            body: None,
        })
    }

    #[test]
    fn paths_and_queries_are_encoded_and_ids_left_out_of_the_endpoint() {
        let query = vec![("fields", "id,note".to_owned()), ("size", "1000".to_owned())];
        let t = target("https://acme.logicmonitor.com/", "/setting/accesslogs/a b:ü", query).unwrap();
        assert_eq!(
            t.url.as_str(),
            "https://acme.logicmonitor.com/santaba/rest/setting/accesslogs/a%20b%3A%C3%BC?fields=id%2Cnote&size=1000"
        );
        let t = target("https://h", "/setting/admins/32/apitokens/248", Vec::new()).unwrap();
        assert_eq!(t.endpoint, "GET https://h/santaba/rest/setting/admins/#/apitokens/#");
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for origin in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:9", "http://127.9.9.9"] {
            assert!(target(origin, "/x", Vec::new()).unwrap().loopback, "{origin}");
        }
        for origin in
            ["http://10.0.0.1", "http://localhost.example.com", "ftp://127.0.0.1", "https://u:p@h", "h"]
        {
            assert!(target(origin, "/x", Vec::new()).is_err(), "{origin}");
        }
        assert!(!target("https://localhost", "/x", Vec::new()).unwrap().loopback);
    }

    #[test]
    fn a_path_can_not_climb() {
        for path in ["/a/../b", "/a/.", "a"] {
            assert!(target("https://h", path, Vec::new()).is_err(), "{path}");
        }
    }
}
