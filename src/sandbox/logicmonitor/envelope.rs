//! API v1's envelope: HTTP 200 almost always, the real status in the body.

use serde_json::json;

use crate::sandbox::wire::Reply;

/// A reply as API v1 gives it: `{"status","errmsg","data"}`.
pub fn v1(reply: Reply) -> Reply {
    let body = reply.value().unwrap_or_default();
    let code = body.get("errorCode").and_then(serde_json::Value::as_u64);
    let enveloped = match code {
        Some(code) => json!({ "status": code, "errmsg": body["errorMessage"], "data": null }),
        None => json!({ "status": 200, "errmsg": "OK", "data": body }),
    };
    let Reply { headers, effect, about, .. } = reply;
    let mut wrapped = Reply::json(200, &enveloped);
    for (name, value) in headers {
        wrapped = wrapped.header(&name, &value);
    }
    Reply { effect, about, ..wrapped }
}
