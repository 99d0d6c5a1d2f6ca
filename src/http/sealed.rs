//! Bodies that may hold secrets: in, a capped and wiped buffer decoded straight into a type; out, a
//! form with holes for secrets.

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// A body being received. It never grows by moving bytes and leaving them behind.
pub struct Wiped {
    bytes: Zeroizing<Vec<u8>>,
    cap: usize,
}

/// The body is longer than its cap.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Wiped {
    /// A buffer that takes up to `cap` bytes; `expected` is a hint.
    pub fn new(cap: usize, expected: Option<u64>) -> Self {
        let expected = expected.and_then(|n| usize::try_from(n).ok()).unwrap_or(16 * 1024);
        Self { bytes: Zeroizing::new(Vec::with_capacity(expected.min(cap))), cap }
    }

    pub fn push(&mut self, chunk: &[u8]) -> Result<(), TooLong> {
        let needed = self.bytes.len() + chunk.len();
        if needed > self.cap {
            return Err(TooLong);
        }
        if needed > self.bytes.capacity() {
            let mut wider = Zeroizing::new(Vec::with_capacity((needed * 2).min(self.cap)));
            wider.extend_from_slice(&self.bytes);
            self.bytes = wider; // the narrow one is wiped as it drops
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Decodes JSON; a body without content is `null`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        let content = self.bytes.trim_ascii();
        let json = if content.is_empty() { b"null" } else { content };
        serde_json::from_slice(json).map_err(|error| Malformed::from(&error))
    }
}

/// Where a body is not what was expected. serde's own words can quote the value and are dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    category: &'static str,
    line: usize,
    column: usize,
}

impl From<&serde_json::Error> for Malformed {
    fn from(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let category = match error.classify() {
            Category::Io => "unreadable",
            Category::Syntax => "not JSON",
            Category::Data => "of another shape than documented",
            Category::Eof => "cut off",
        };
        Self { category, line: error.line(), column: error.column() }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at line {} column {}", self.category, self.line, self.column)
    }
}

/// An `application/x-www-form-urlencoded` body that may hold secrets.
pub struct Form(Zeroizing<Vec<u8>>);

impl Form {
    pub fn new() -> Self {
        // Room for any credential of ours thrice encoded: a buffer that grows leaves bytes behind.
        Self(Zeroizing::new(Vec::with_capacity(256 * 1024)))
    }

    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.field(name, value.as_bytes());
        self
    }

    #[expect(clippy::disallowed_methods, reason = "a login form carries the credential")]
    pub fn secret(mut self, name: &str, value: &Secret) -> Self {
        value.expose(|bytes| self.field(name, bytes));
        self
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b'&');
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        for byte in value {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => self.0.push(*byte),
                _ => self.0.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            }
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Shape {
        #[expect(dead_code, reason = "only its failure is looked at")]
        key: u64,
    }

    fn body(text: &str) -> Wiped {
        let mut wiped = Wiped::new(100, None);
        wiped.push(text.as_bytes()).unwrap();
        wiped
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let error = body(r#"{"key":"CANARY"}"#).decode::<Shape>().err().unwrap();
        assert_eq!(error.to_string(), "of another shape than documented at line 1 column 15");
        let error = body("<html>CANARY").decode::<Shape>().err().unwrap();
        assert_eq!(error.to_string(), "not JSON at line 1 column 1");
        let error = body(r#"{"CANARY":1,"#).decode::<Shape>().err().unwrap();
        assert!(error.to_string().starts_with("cut off"), "{error}");
    }

    #[test]
    fn a_body_grows_up_to_its_cap_and_no_further() {
        let mut wiped = Wiped::new(10, Some(2));
        assert_eq!(wiped.push(b"12345"), Ok(()));
        assert_eq!(wiped.push(b"67890"), Ok(()));
        assert_eq!(wiped.push(b"1"), Err(TooLong));
        assert_eq!(wiped.as_slice(), b"1234567890");
    }

    #[test]
    fn no_content_is_null() {
        assert_eq!(body(" \r\n").decode::<Option<u8>>(), Ok(None));
    }

    #[test]
    fn a_form_encodes_everything_but_plain_characters() {
        let key = Secret::new(b"a+b/c=&d".to_vec());
        let form = Form::new().text("grant_type", "urn:x").secret("apikey", &key);
        assert_eq!(form.as_slice(), b"grant_type=urn%3Ax&apikey=a%2Bb%2Fc%3D%26d");
    }
}
