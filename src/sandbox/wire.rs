//! A request as received and a reply as sent, with no server in between.

use serde::Serialize;
use serde_json::Value;

/// A request: the bytes that came, and what the path and query mean.
pub struct Call {
    pub method: String,
    /// Percent-encoded, without the query.
    pub raw_path: String,
    /// Decoded as a whole: what LMv1 signs.
    pub path: String,
    pub raw_query: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The peer's IP address.
    pub ip: String,
}

impl Call {
    /// Takes a request apart. `target` is the path and query as sent.
    pub fn new(
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        ip: String,
    ) -> Self {
        let (raw_path, raw_query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            raw_path: raw_path.to_owned(),
            path: decode(raw_path, false),
            raw_query: raw_query.to_owned(),
            query: pairs(raw_query),
            headers,
            body,
            ip,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value behind `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The decoded segments of the path behind a prefix. An encoded `/` stays inside its segment.
    pub fn segments(&self, prefix: &str) -> Vec<String> {
        let rest = self.raw_path.strip_prefix(prefix).unwrap_or(&self.raw_path);
        rest.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect()
    }

    /// The fields of a form body.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&String::from_utf8_lossy(&self.body))
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key, true), decode(value, true))
        })
        .collect()
}

/// Percent-decodes; `+` is a space in queries and forms only. What is not valid stays as it is.
pub fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a request did to the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    #[default]
    #[serde(rename = "")]
    None,
    Reset,
    Lock,
    Unlock,
    Create,
    Patch,
    Delete,
}

/// Who asked and which objects it was about; for the tape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// The connection whose credential was accepted, for example `ibm.prod`.
    pub actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
}

/// A reply, and what the tape says of it.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub effect: Effect,
    /// Boxed: a reply is also the error of what refuses.
    pub about: Box<About>,
}

impl Reply {
    /// A JSON reply.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        // The bodies are made here, of maps with text keys: they always serialise.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::bytes(status, "application/json", body)
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::bytes(status, "text/plain;charset=UTF-8", body.as_bytes().to_vec())
    }

    pub fn html(status: u16, body: &str) -> Self {
        Self::bytes(status, "text/html;charset=UTF-8", body.as_bytes().to_vec())
    }

    /// A reply without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), effect: Effect::None, about: Box::default() }
    }

    fn bytes(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self { body, ..Self::empty(status) }.header("Content-Type", kind)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// The body as JSON, if it is.
    pub fn value(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        let call = Call::new(
            "GET",
            "/v2/resource_instances/crn%3Av1%3Aa%2Fb%3A%3A?x=a+b%2Bc",
            vec![],
            vec![],
            String::new(),
        );
        assert_eq!(call.segments("/v2/resource_instances"), ["crn:v1:a/b::"]);
        assert_eq!(call.param("x"), Some("a b+c"));
        assert_eq!(call.path, "/v2/resource_instances/crn:v1:a/b::");
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(decode("%", false), "%");
        assert_eq!(decode("%zz%4", true), "%zz%4");
        assert_eq!(decode("%C3%BC+", false), "ü+");
        assert_eq!(decode("ü%", false), "ü%");
    }
}
