//! The steps of a draft: what each calls, needs to know, and expects of live state.

use std::collections::BTreeMap;

use super::{BASE, Scene};
use crate::model::step::{Call, Expect, Recovery, Shape, Step, StepId};
use crate::model::verb::Verb;
use crate::provider::draft::host;
use crate::provider::logicmonitor::state::{LiveToken, LiveUser, TokenKind, tokens_digest};

impl<'a> Scene<'a> {
    pub(super) fn expect_tokens(self) -> Expect {
        let digest = self.digests.tokens.get_or_init(|| tokens_digest(&self.bound(), self.cx.key));
        Expect { address: self.address.clone(), digest: digest.clone() }
    }

    /// The second owner, where the name has one.
    pub(super) fn expect_second(self) -> Option<Expect> {
        let (address, user) = (self.want.second_owner.clone()?, self.owners.second?);
        Some(Expect { address, digest: user.digest(self.cx.key) })
    }

    /// `owner` is who the token is made for.
    pub(super) fn issue_step(self, replaces: Option<u64>, owner: &LiveUser) -> Step {
        let query = match self.want.kind {
            TokenKind::ApiToken => "",
            TokenKind::BearerToken => "?type=bearer",
        };
        let path = format!("{BASE}/setting/admins/{}/apitokens{query}", owner.id);
        let mut params = self.params(owner);
        let old = replaces.unwrap_or(0);
        params.insert("predecessor".into(), old.to_string());
        let users: Vec<String> =
            self.callers.into_iter().flat_map(|c| c.users(old)).map(ToString::to_string).collect();
        params.insert("caller".into(), (!users.is_empty()).to_string());
        if !users.is_empty() {
            params.insert("caller_of".into(), serde_json::Value::from(users).to_string());
        }
        Step {
            shape: replaces.map(|_| if self.replaces() { Shape::Replace } else { Shape::Overlap }),
            destinations: self.want.deliver.clone(),
            recovery: Recovery::Marker,
            ..self.step(Verb::Issue, 1, "POST", path, params)
        }
    }

    pub(super) fn token_step(self, verb: Verb, token: &LiveToken, ordinal: usize) -> Step {
        let owner = self.owners.holder(token);
        let path = format!("{BASE}/setting/admins/{}/apitokens/{}", owner.id, token.id);
        let method = match verb {
            Verb::Delete => "DELETE",
            _ => "PATCH",
        };
        let mut params = self.params(owner);
        params.insert("token_id".into(), token.id.to_string());
        params.insert("access_id".into(), token.access_id.clone().unwrap_or_default());
        self.step(verb, ordinal, method, path, params)
    }

    pub(super) fn step(
        self,
        verb: Verb,
        ordinal: usize,
        method: &str,
        path: String,
        params: BTreeMap<String, String>,
    ) -> Step {
        let first = self.digests.first.get_or_init(|| self.owners.first.digest(self.cx.key));
        let first = Expect { address: self.address.lane(), digest: first.clone() };
        let second = self.expect_second();
        Step {
            id: StepId::new(verb, self.address, ordinal),
            address: self.address.clone(),
            verb,
            shape: None,
            call: Call { method: method.into(), host: host(&self.connection.origin()), path },
            needs: Vec::new(),
            irreversible: verb.properties().irreversible,
            destinations: Vec::new(),
            params,
            expects: [first].into_iter().chain(second).chain([self.expect_tokens()]).collect(),
            guards: Vec::new(),
            recovery: Recovery::Repeat,
        }
    }

    /// `owner` is whose token the step is on.
    fn params(self, owner: &LiveUser) -> BTreeMap<String, String> {
        let pin = self.want.id.map_or(String::new(), |id| id.to_string());
        let user = self.owners.first.id.to_string();
        let mut params = BTreeMap::from([("user_id".into(), user), ("pin".into(), pin)]);
        if let Some(second) = self.owners.second {
            params.insert("second_owner".into(), second.id.to_string());
            params.insert("token_owner".into(), owner.id.to_string());
        }
        params
    }
}
