//! What a request proves its sender with: resolved credentials, signatures, IAM tokens; and what is
//! taken out of texts before they are shown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use reqwest::header::HeaderValue;
use tokio::sync::{Mutex, OnceCell, OwnedMutexGuard};
use zeroize::Zeroizing;

use super::{Grant, Identity, Request, lmv1};
use crate::credential::{self, CredentialError};
use crate::env::Env;
use crate::model::address::Address;
use crate::model::code::CREDENTIAL;
use crate::model::finding::Finding;
use crate::model::secret::Secret;
use crate::model::vocabulary::SecretRef;

/// How many characters of a masked bearer token a list shows (contract logicmonitor 4.3).
const MASKED_PREFIX: usize = 20;

/// A resolved value, or why there is none; asked for once.
type Slot = Rc<OnceCell<Result<Rc<Secret>, CredentialError>>>;

/// Resolved credentials, and identities that a vendor has refused.
#[derive(Default)]
pub struct Credentials {
    values: RefCell<BTreeMap<SecretRef, Slot>>,
    refused: RefCell<BTreeMap<Identity, String>>,
    doors: RefCell<BTreeMap<Identity, Rc<Door>>>,
}

/// Lets requests of one identity through one by one until the first was not refused: with a wrong key,
/// several at once would all count towards a lockout (contract logicmonitor 7.2).
#[derive(Default)]
struct Door {
    open: Cell<bool>,
    line: Arc<Mutex<()>>,
}

impl Credentials {
    /// The value of a reference, resolved at most once in the life of the process.
    pub async fn value(
        &self,
        reference: &SecretRef,
        what: &str,
        about: &Address,
        env: &Env,
    ) -> Found<Rc<Secret>> {
        let slot = Rc::clone(self.values.borrow_mut().entry(reference.clone()).or_default());
        let what = format!("the {what} of {}", about.of_connection());
        let value =
            slot.get_or_init(|| async { credential::resolve(reference, env, &what).await.map(Rc::new) });
        value.await.clone().map_err(|error| Box::new(error.finding()))
    }

    /// The LMv1 access id, which is no secret.
    pub async fn access_id(&self, reference: &SecretRef, about: &Address, env: &Env) -> Found<String> {
        let value = self.value(reference, "access id", about, env).await?;
        as_text(&value).ok_or_else(|| Box::new(Finding::new(CREDENTIAL, "the access id is not plain text")))
    }

    /// Proves one attempt with an identity of LogicMonitor; signatures are of this very moment.
    pub async fn header(&self, identity: &Identity, request: &Request<'_>, env: &Env) -> Found<HeaderValue> {
        match identity {
            Identity::Lmv1 { access_id, access_key } => {
                let id = self.access_id(access_id, request.object, env).await?;
                let key = self.value(access_key, "access key", request.object, env).await?;
                signature(&id, &key, request, env)
            }
            Identity::Bearer(token) => {
                bearer(&*self.value(token, "bearer token", request.object, env).await?)
            }
            Identity::Iam { .. } => {
                Err(Box::new(Finding::new(CREDENTIAL, "an IAM identity has no header of its own")))
            }
        }
    }

    /// Whether a masked row of a list may be this bearer token: a hint, the value stays here.
    pub async fn is_prefix(
        &self,
        token: &SecretRef,
        masked: &Secret,
        about: &Address,
        env: &Env,
    ) -> Found<bool> {
        let ours = self.value(token, "bearer token", about, env).await?;
        Ok(same_prefix(&ours, masked))
    }

    /// Waits in line while an identity is untried. Who comes back with a guard is first.
    pub async fn in_line(&self, identity: &Identity) -> Option<OwnedMutexGuard<()>> {
        let door = Rc::clone(self.doors.borrow_mut().entry(identity.clone()).or_default());
        if door.open.get() {
            return None;
        }
        let guard = Arc::clone(&door.line).lock_owned().await;
        (!door.open.get()).then_some(guard)
    }

    /// An identity was let in: all of its requests may leave at the same time.
    pub fn let_in(&self, identity: &Identity) {
        if let Some(door) = self.doors.borrow().get(identity) {
            door.open.set(true);
        }
    }

    /// After a 401: nothing more is sent with the identity, so that it is not locked (contract
    /// logicmonitor 7.2).
    pub fn refuse(&self, identity: &Identity, story: &str) {
        self.refused.borrow_mut().entry(identity.clone()).or_insert_with(|| story.to_owned());
    }

    /// Why nothing may be sent with an identity any more.
    pub fn refusal(&self, identity: &Identity) -> Option<String> {
        self.refused.borrow().get(identity).cloned()
    }

    /// Takes every value that an identity is made of out of a text.
    pub fn scrub(&self, identity: &Identity, text: &str) -> String {
        references(identity).into_iter().fold(text.to_owned(), |text, reference| {
            let slot = self.values.borrow().get(reference).cloned();
            match slot.as_ref().and_then(|slot| slot.get()) {
                Some(Ok(value)) => scrub(value, &text),
                Some(Err(_)) | None => text,
            }
        })
    }
}

type Found<T> = Result<T, Box<Finding>>;

/// The references whose values are secret.
fn references(identity: &Identity) -> Vec<&SecretRef> {
    match identity {
        Identity::Iam { grant: Grant::ApiKey(value) | Grant::Token(value), .. } => vec![value],
        Identity::Iam { grant: Grant::TrustedProfile { cr_token, .. }, .. } => vec![cr_token],
        Identity::Lmv1 { access_key, .. } => vec![access_key],
        Identity::Bearer(value) => vec![value],
    }
}

/// The LMv1 header of this very attempt.
pub fn signature(id: &str, key: &Secret, request: &Request<'_>, env: &Env) -> Found<HeaderValue> {
    let body = request.body.as_deref().unwrap_or_default().as_bytes();
    let now = env.clock.now().as_millisecond();
    let text = lmv1::authorization(id, key, request.method, now, body, request.path);
    sensitive(text.as_bytes())
}

/// `Bearer VALUE`, marked sensitive.
#[expect(clippy::disallowed_methods, reason = "a bearer header is the value")]
pub fn bearer(value: &Secret) -> Found<HeaderValue> {
    value.expose(|bytes| sensitive(&Zeroizing::new([b"Bearer ".as_slice(), bytes].concat())))
}

fn sensitive(bytes: &[u8]) -> Found<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes).map_err(|_| {
        let finding = Finding::new(CREDENTIAL, "the credential holds characters that no header may have");
        Box::new(finding.help("Check for line breaks and other invisible characters in it."))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why a value can't be an IAM API key (contract ibm 1.2): it is nearly always a placeholder.
#[expect(clippy::disallowed_methods, reason = "looks at the first and the last character alone")]
pub fn bad_api_key(key: &Secret) -> bool {
    let bad = |byte: Option<&u8>| byte.is_some_and(|byte| b"{}\"".contains(byte));
    key.expose(|bytes| bad(bytes.first()) || bad(bytes.last()))
}

#[expect(clippy::disallowed_methods, reason = "an access id is sent in clear and is no secret")]
fn as_text(value: &Secret) -> Option<String> {
    value.expose(|bytes| String::from_utf8(bytes.to_vec()).ok())
}

#[expect(clippy::disallowed_methods, reason = "compares the part that the vendor shows in clear")]
fn same_prefix(ours: &Secret, masked: &Secret) -> bool {
    ours.expose(|a| {
        masked.expose(|b| a.get(..MASKED_PREFIX).is_some_and(|head| b.get(..MASKED_PREFIX) == Some(head)))
    })
}

/// Takes a value out of a text that a vendor wrote.
#[expect(clippy::disallowed_methods, reason = "removes the value from a text")]
pub fn scrub(value: &Secret, text: &str) -> String {
    value.expose(|bytes| match std::str::from_utf8(bytes) {
        Ok(secret) if secret.len() >= 4 => text.replace(secret, "***"),
        _ => text.to_owned(),
    })
}

/// The seconds since 1970 at which a JWT expires, if it is one and says so. The signature is the
/// vendor's business.
#[expect(clippy::disallowed_methods, reason = "reads the expiry, which is no secret")]
pub fn jwt_expiry(token: &Secret) -> Option<i64> {
    use base64::Engine;
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: i64,
    }
    token.expose(|bytes| {
        let payload = bytes.split(|byte| *byte == b'.').nth(1)?;
        let payload = payload.strip_suffix(b"=").unwrap_or(payload);
        let payload = payload.strip_suffix(b"=").unwrap_or(payload);
        let claims = Zeroizing::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?);
        serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn bearer_headers_hide_themselves_and_refuse_line_breaks() {
        let value = bearer(&secret("CANARY")).unwrap();
        assert!(value.is_sensitive() && !format!("{value:?}").contains("CANARY"));
        let error = bearer(&secret("CANARY\nx")).unwrap_err();
        assert!(!format!("{error:?}").contains("CANARY"));
    }

    #[test]
    fn keys_in_braces_or_quotes_are_no_api_keys() {
        for bad in ["{key", "key}", "\"key", "key\""] {
            assert!(bad_api_key(&secret(bad)), "{bad}");
        }
        assert!(!bad_api_key(&secret("k{e\"y")));
    }

    #[test]
    fn masked_rows_match_on_their_first_twenty_characters() {
        let ours = secret("lmb_0123456789abcdefREST");
        assert!(same_prefix(&ours, &secret("lmb_0123456789abcdef********")));
        assert!(!same_prefix(&ours, &secret("lmb_0123456789abcdeX********")));
        assert!(!same_prefix(&ours, &secret("lmb_0123")) && !same_prefix(&secret("lmb_0"), &secret("lmb_0")));
    }

    #[test]
    fn a_jwt_tells_its_expiry_and_anything_else_tells_nothing() {
        use base64::Engine;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"exp":1794000000,"iat":1}"#);
        assert_eq!(jwt_expiry(&secret(&format!("e30.{claims}.sig"))), Some(1_794_000_000));
        assert_eq!(jwt_expiry(&secret("opaque")), None);
        assert_eq!(jwt_expiry(&secret("a.b.c")), None);
    }

    #[test]
    fn values_are_taken_out_of_texts() {
        assert_eq!(scrub(&secret("CANARY"), "key CANARY is bad"), "key *** is bad");
    }
}
