//! Replies of the portal, as they are: every field optional, unknown fields ignored (contract
//! logicmonitor 4.2, 6).

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::state::{LiveToken, LiveUser, TokenKind};
use crate::model::secret::Secret;

/// The fields asked for in lists of users.
pub const USER_FIELDS: &str = "id,username,email,status,apionly,roles";

/// The fields asked for in lists of tokens: never the key.
pub const TOKEN_FIELDS: &str =
    "id,adminId,adminName,accessId,note,status,createdOn,createdBy,lastUsedOn,lastAuthIp";

/// The same with the key, masked by the portal: to find the bearer token that we call with.
pub const TOKEN_FIELDS_AND_KEY: &str =
    "id,adminId,adminName,accessId,note,status,createdOn,createdBy,lastUsedOn,lastAuthIp,accessKey";

/// One page of a list.
#[derive(Deserialize)]
pub struct Page<T> {
    /// May be absent, and negative where the portal does not count.
    pub total: Option<i64>,
    /// A page without it is malformed, never empty.
    pub items: Option<Vec<T>>,
}

/// Settings of the portal, of which one is needed (contract logicmonitor 5.3).
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct CompanySetting {
    pub token_disabled_days: Option<u64>,
}

/// A row of a list.
pub trait Row {
    fn id(&self) -> Option<u64>;
}

/// A user (contract logicmonitor 6).
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct UserRow {
    pub id: Option<u64>,
    pub username: Option<String>,
    pub email: Option<String>,
    pub status: Option<String>,
    pub roles: Option<Vec<RoleName>>,
}

/// A token as listed. A key that is shown all the same is wiped with the row.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct TokenRow {
    pub id: Option<u64>,
    pub admin_id: Option<u64>,
    pub admin_name: Option<String>,
    pub access_id: Option<String>,
    /// Masked; asked for only to recognise the bearer token that we call with.
    pub access_key: Option<Secret>,
    pub note: Option<String>,
    pub status: Option<i64>,
    pub created_on: Option<i64>,
    pub created_by: Option<String>,
    pub last_used_on: Option<i64>,
    pub last_auth_ip: Option<String>,
}

/// The answer to a create: the one place that shows the key (contract logicmonitor 4.3).
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct NewToken {
    pub id: Option<u64>,
    pub access_id: Option<String>,
    pub access_key: Option<Secret>,
    pub status: Option<i64>,
    pub created_on: Option<i64>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl Row for UserRow {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

impl Row for TokenRow {
    fn id(&self) -> Option<u64> {
        self.id
    }
}

impl UserRow {
    /// The user with no tokens yet; `None` without an id or a name.
    pub fn live(self) -> Option<LiveUser> {
        let mut roles: Vec<_> =
            self.roles.unwrap_or_default().into_iter().filter_map(|role| role.0).collect();
        roles.sort_unstable();
        roles.dedup();
        Some(LiveUser {
            id: self.id?,
            username: self.username?,
            status: self.status.unwrap_or_default(),
            roles,
            has_email: self.email.is_some_and(|email| !email.trim().is_empty()),
            caller: None,
            disables_after_days: None,
            our_ips: Vec::new(),
            tokens: Vec::new(),
        })
    }
}

impl TokenRow {
    /// The token as observed; `None` without an id or an owner. `owner` is the user whose list it is.
    pub fn live(self, kind: TokenKind, owner: Option<u64>) -> Option<LiveToken> {
        let access_id = self.access_id.filter(|id| !id.is_empty());
        Some(LiveToken {
            id: self.id?,
            owner: self.admin_id.or(owner)?,
            kind,
            access_id: access_id.filter(|_| kind == TokenKind::ApiToken),
            note: self.note.unwrap_or_default(),
            status: self.status.unwrap_or_default(),
            created_on: self.created_on.and_then(instant),
            created_by: self.created_by.unwrap_or_default(),
            last_used_on: self.last_used_on.and_then(instant),
            never_used: self.last_used_on == Some(0),
            last_auth_ip: self.last_auth_ip.filter(|ip| !ip.is_empty()),
        })
    }
}

/// Epoch seconds; 0 is never.
pub fn instant(seconds: i64) -> Option<Timestamp> {
    (seconds > 0).then(|| Timestamp::from_second(seconds).ok()).flatten()
}

/// A role's name: an object with `name` on users, a text on tokens.
pub struct RoleName(Option<String>);

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoleVisitor)
    }
}

struct RoleVisitor;

impl<'de> Visitor<'de> for RoleVisitor {
    type Value = RoleName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role")
    }

    fn visit_str<E>(self, name: &str) -> Result<RoleName, E> {
        Ok(RoleName(Some(name.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<RoleName, A::Error> {
        let mut name = None;
        while let Some(field) = fields.next_key::<String>()? {
            if field == "name" {
                name = fields.next_value::<Option<String>>()?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(RoleName(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_roles_as_objects_or_texts() {
        let row: UserRow = serde_json::from_str(
            r#"{"id":32,"username":"svc-ci","status":"active","email":"","roles":[{"id":9,"name":"b"},"a",{"id":1}],"x":1}"#,
        )
        .unwrap();
        let user = row.live().unwrap();
        assert_eq!(user.roles, ["a", "b"]);
        assert!(!user.has_email && user.status == "active");
    }

    #[test]
    fn tokens_take_zero_times_for_never_and_bearer_rows_have_no_access_id() {
        let row = || -> TokenRow {
            serde_json::from_str(
                r#"{"id":248,"accessId":"aB3","accessKey":null,"note":null,"status":2,"createdOn":1735689600,"lastUsedOn":0,"roles":["x"]}"#,
            )
            .unwrap()
        };
        let token = row().live(TokenKind::ApiToken, Some(32)).unwrap();
        assert_eq!((token.owner, token.last_used_on, token.access_id.as_deref()), (32, None, Some("aB3")));
        assert_eq!(token.created_on.unwrap().as_second(), 1_735_689_600);
        assert_eq!(row().live(TokenKind::BearerToken, Some(32)).unwrap().access_id, None);
        assert!(row().live(TokenKind::ApiToken, None).is_none());
    }
}
