//! What an error body says, in each of the vendors' shapes. A body of no known shape says nothing,
//! so that it is never quoted.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::headers::identifier;

/// The longest message that is shown.
const LONGEST: usize = 300;

/// The recognised parts of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub code: Option<String>,
    pub message: Option<String>,
    pub reason: Option<String>,
    pub correlation: Option<String>,
    /// A broker wrapped a refusal that repeating won't change (contract ibm 2.8).
    pub permanent: bool,
    /// The envelope of LogicMonitor's first API version (contract logicmonitor 7.1).
    pub api_v1: bool,
    /// `errorCode` is there and not null: an error, whatever the status.
    pub error_code: bool,
}

/// Reads a body of any kind.
pub fn read(body: &[u8]) -> Said {
    let text = std::str::from_utf8(body).ok();
    text.and_then(object::<Body<'_>>).map(Body::said).unwrap_or_default()
}

/// Whether a successful reply of LogicMonitor may say that it is an error: it then has `errorCode`, or
/// `errmsg` of the first API version (contract logicmonitor 7.1). Most pages are long and have neither;
/// an escape can hide either.
pub fn may_be_error(body: &[u8]) -> bool {
    let holds = |text: &str| ["errorCode", "errmsg", "\\u00"].iter().any(|word| text.contains(word));
    std::str::from_utf8(body).is_ok_and(holds)
}

/// An object, and nothing else: serde would take an array's items for fields by their place.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    json.trim_start().starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()
}

/// The first item of an array, if it is an object.
fn first<'a>(json: &'a RawValue) -> Option<Inner> {
    let items: Vec<&'a RawValue> = serde_json::from_str(json.get()).ok()?;
    object(items.first()?.get())
}

/// All shapes at once: LogicMonitor `{errorMessage, errorCode}` and its v1 `{status, errmsg, data}`;
/// IAM `{errorCode, errorMessage, context.requestId}`; resource controller `{message, error_code,
/// transaction_id}`; Sysdig `{errors: [{reason, message}]}`; others `{error}`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body<'a> {
    #[serde(rename = "errorCode")]
    error_code_camel: Text,
    #[serde(rename = "errorMessage")]
    error_message: Text,
    errmsg: Text,
    error_code: Text,
    message: Text,
    error: Text,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    transaction_id: Text,
    trace: Text,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    message_code: Text,
    code: Text,
    message: Text,
    reason: Text,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Context {
    #[serde(rename = "requestId")]
    request_id: Text,
}

impl Body<'_> {
    fn said(self) -> Said {
        let error_code = self.error_code_camel.0.is_some();
        let api_v1 = self.errmsg.0.is_some();
        let first = self.errors.and_then(first).unwrap_or_default();
        let context: Context = self.context.and_then(|json| object(json.get())).unwrap_or_default();
        let texts = [first.message, self.error, self.message, self.error_message, self.errmsg];
        let message = texts.into_iter().find_map(|text| text.0);
        let codes = [self.error_code_camel, self.error_code, first.message_code, first.code];
        let ids = [self.transaction_id, context.request_id, self.trace];
        let said = Said {
            code: codes.into_iter().find_map(|text| identifier(&text.0?)),
            message: message.as_deref().map(tidy),
            reason: first.reason.0.as_deref().map(tidy),
            correlation: ids.into_iter().find_map(|text| identifier(&text.0?)),
            permanent: false,
            api_v1,
            error_code,
        };
        match message.as_deref().and_then(nested) {
            Some(inner) => Said { message: inner.message, reason: inner.reason, permanent: true, ..said },
            None => said,
        }
    }
}

/// The Sysdig body that a broker's message quotes: `… response: {"errors":[…]}`.
fn nested(message: &str) -> Option<Said> {
    let start = message.find("{\"errors\"")?;
    let mut bodies = serde_json::Deserializer::from_str(&message[start..]).into_iter::<&RawValue>();
    let body: Body<'_> = object(bodies.next()?.ok()?.get())?;
    let inner = body.errors.and_then(first)?;
    let tidied = |text: Text| text.0.as_deref().map(tidy);
    Some(Said { message: tidied(inner.message), reason: tidied(inner.reason), ..Said::default() })
}

/// One line of printable characters, capped.
fn tidy(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// A text or a number; anything else, and an empty text, is nothing.
#[derive(Default)]
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(Text((!value.trim().is_empty()).then(|| value.to_owned())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Ok(Text(Some(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Ok(Text(Some(value.to_string())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Text, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> (Option<String>, Option<String>, Option<String>) {
        let said = read(body.as_bytes());
        (said.code, said.message, said.reason)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn every_vendor_shape_is_understood() {
        let lm = r#"{"errorMessage":"Authentication failed","errorCode":1401,"errorDetail":null}"#;
        assert_eq!(said(lm), (some("1401"), some("Authentication failed"), None));
        let iam = r#"{"context":{"requestId":"ZXhh-1"},"errorCode":"BXNIM0415E","errorMessage":"Provided API key could not be found"}"#;
        assert_eq!(said(iam), (some("BXNIM0415E"), some("Provided API key could not be found"), None));
        assert_eq!(read(iam.as_bytes()).correlation, some("ZXhh-1"));
        let iam2 = r#"{"errors":[{"code":"not_found","message_code":"BXNIM0102E","message":"gone","details":"x"}],"trace":"t1"}"#;
        assert_eq!(said(iam2), (some("BXNIM0102E"), some("gone"), None));
        let rc = r#"{"message":"cannot be found","error_code":"RC-DatabaseErrorResponse","details":"d","status_code":404,"transaction_id":"b19-1"}"#;
        assert_eq!(said(rc), (some("RC-DatabaseErrorResponse"), some("cannot be found"), None));
        assert_eq!(read(rc.as_bytes()).correlation, some("b19-1"));
        let sysdig = r#"{"errors":[{"reason":"Not enough privileges to complete the action","message":"Access is denied"}]}"#;
        assert_eq!(
            said(sysdig),
            (None, some("Access is denied"), some("Not enough privileges to complete the action"))
        );
    }

    #[test]
    fn a_refusal_inside_a_broker_message_is_unwrapped_and_permanent() {
        let inner =
            r#"{\"errors\":[{\"reason\":\"Exception\",\"message\":\"Cannot update default receiver\"}]}"#;
        let body = format!(
            r#"{{"message":"The service's broker returned error, [500, Internal] Sysdig provision request return code: 500 response: {inner} more","error_code":"RC-ServiceBrokerErrorResponse"}}"#
        );
        let said = read(body.as_bytes());
        assert!(said.permanent);
        assert_eq!(said.code, some("RC-ServiceBrokerErrorResponse"));
        assert_eq!(said.message, some("Cannot update default receiver"));
        assert_eq!(said.reason, some("Exception"));
    }

    #[test]
    fn bodies_of_no_known_shape_say_nothing() {
        for body in [
            "",
            "unauthorized CANARY",
            "<html>CANARY</html>",
            "[\"CANARY\"]",
            r#"{"token":{"key":"CANARY"}}"#,
            r#"{"errors":[["CANARY","CANARY"]],"context":["CANARY"]}"#,
        ] {
            assert_eq!(read(body.as_bytes()), Said::default(), "{body}");
        }
    }

    #[test]
    fn the_first_api_version_and_errors_inside_success_are_recognised() {
        assert!(read(br#"{"status":200,"errmsg":"OK","data":{}}"#).api_v1);
        let token = read(br#"{"id":248,"status":2,"errorCode":null}"#);
        assert!(!token.api_v1 && !token.error_code);
        assert!(read(br#"{"errorCode":1403,"errorMessage":"no","errors":{},"context":1}"#).error_code);
    }

    #[test]
    fn messages_are_one_capped_line() {
        let body = format!("{{\"message\":\"a\\nb{}\"}}", "x".repeat(5_000));
        let message = read(body.as_bytes()).message.unwrap();
        assert!(message.starts_with("a b") && message.chars().count() <= LONGEST + 1);
    }
}
