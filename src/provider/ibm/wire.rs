//! Replies of resource controller and Sysdig, as far as they are needed (contract ibm 2 and 5).
//!
//! Every member of a list's row is optional: the list holds instances of all services of the
//! account, and one odd row must not hide the others.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::secret::Secret;

/// A page of `GET /v2/resource_instances` (contract ibm 2.2).
#[derive(Deserialize)]
pub struct Page {
    /// Relative; absent at the end.
    pub next_url: Option<String>,
    #[serde(default)]
    pub resources: Vec<Row>,
}

/// One instance (contract ibm 2.4).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Row {
    pub guid: Option<String>,
    pub crn: Option<String>,
    pub id: Option<String>,
    pub name: Option<String>,
    pub account_id: Option<String>,
    pub region_id: Option<String>,
    pub state: Option<String>,
    pub locked: Option<bool>,
    pub controlled_by: Option<String>,
    /// Foreign JSON that goes back as it came.
    pub parameters: Option<Box<RawValue>>,
    pub last_operation: Option<LastOperation>,
    pub updated_at: Option<String>,
}

/// What was last done to an instance.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LastOperation {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub state: Option<String>,
    pub description: Option<String>,
    pub reason_code: Option<String>,
}

impl Row {
    /// The CRN, which is also the id.
    pub fn crn(&self) -> &str {
        self.crn.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }

    /// `crn:v1:CNAME:CTYPE:SERVICE:REGION:a/ACCOUNT:GUID::`: the part with this index, from 0.
    fn segment(&self, index: usize) -> &str {
        self.crn().split(':').nth(index).unwrap_or_default()
    }

    pub fn service(&self) -> &str {
        self.segment(4)
    }

    pub fn guid(&self) -> &str {
        self.guid.as_deref().unwrap_or_else(|| self.segment(7))
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub fn region(&self) -> &str {
        self.region_id.as_deref().unwrap_or_else(|| self.segment(5))
    }

    pub fn account(&self) -> &str {
        let scope = self.segment(6);
        self.account_id.as_deref().unwrap_or_else(|| scope.strip_prefix("a/").unwrap_or(scope))
    }

    pub fn busy(&self) -> bool {
        self.operation_state() == Some("in progress")
    }

    pub fn operation_state(&self) -> Option<&str> {
        self.last_operation.as_ref().and_then(|op| op.state.as_deref())
    }

    pub fn parameters(&self) -> Option<&str> {
        self.parameters.as_deref().map(RawValue::get)
    }
}

/// `GET /api/users/me`. The body carries agent access keys in three places; none is taken.
#[derive(Deserialize)]
pub struct MeBody {
    pub user: Me,
}

/// Who the caller is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    pub username: String,
    /// The team that is used when no team header is sent.
    #[serde(default)]
    pub current_team: Option<u64>,
}

impl Me {
    /// Whether it is a service ID, which can't log in to a console.
    pub fn is_service_id(&self) -> bool {
        let name = self.username.to_ascii_lowercase();
        name.starts_with("iam-serviceid") || name.starts_with("serviceid")
    }
}

/// `GET /api/teams` (contract ibm 5.5).
#[derive(Deserialize)]
pub struct TeamsBody {
    pub teams: Vec<Team>,
}

/// A team that the caller is a member of.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Team {
    pub id: u64,
    pub name: String,
    /// `SDC` and `SDS`; a team without any counts for both products, so that it is not overlooked.
    #[serde(default)]
    pub products: Vec<String>,
    #[serde(default)]
    pub user_count: Option<u64>,
}

impl Team {
    pub fn is_of(&self, product: &str) -> bool {
        self.products.is_empty() || self.products.iter().any(|p| p == product)
    }
}

/// `GET /api/token` (contract ibm 5.2).
#[derive(Deserialize)]
pub struct TokenBody {
    pub token: TokenKey,
}

#[derive(Deserialize)]
pub struct TokenKey {
    pub key: Secret,
}

/// The `start` value out of a page's `next_url`: all that the vendor's own pagers take from it.
pub fn start_of(next_url: &str) -> Option<String> {
    let (_, query) = next_url.split_once('?')?;
    let query = query.split('#').next().unwrap_or(query);
    let start = query.split('&').find_map(|pair| pair.strip_prefix("start="))?;
    (!start.is_empty()).then(|| decoded(start))
}

/// Undoes percent-encoding; what is no valid escape stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escape) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRN: &str =
        "crn:v1:bluemix:public:sysdig-secure:eu-de:a/0123456789abcdef0123456789abcdef:5e2f1c3a-a001::";

    #[test]
    fn a_row_falls_back_to_its_crn() {
        let row: Row = serde_json::from_str(&format!(r#"{{"id":"{CRN}","name":null}}"#)).unwrap();
        assert_eq!((row.service(), row.region()), ("sysdig-secure", "eu-de"));
        assert_eq!((row.guid(), row.name()), ("5e2f1c3a-a001", ""));
        assert_eq!(row.account(), "0123456789abcdef0123456789abcdef");
        assert_eq!(Row::default().service(), "");
    }

    #[test]
    fn only_start_is_taken_from_next_url() {
        let next = |url| start_of(url);
        assert_eq!(next("/v2/resource_instances?limit=2&start=g2w%3D%2Fx"), Some("g2w=/x".into()));
        assert_eq!(next("/v2/resource_instances?start=a%zz%"), Some("a%zz%".into()));
        assert_eq!(next("/v2/resource_instances?limit=2&restart=1"), None);
        assert_eq!(next("/v2/resource_instances?start="), None);
        assert_eq!(next("start=1"), None);
    }

    #[test]
    fn a_team_without_products_is_not_overlooked() {
        let team = |products: &[&str]| Team {
            id: 1,
            name: "x".into(),
            products: products.iter().map(|p| (*p).to_owned()).collect(),
            user_count: None,
        };
        assert!(team(&["SDC"]).is_of("SDC") && team(&[]).is_of("SDS"));
        assert!(!team(&["SDC"]).is_of("SDS"));
    }

    #[test]
    fn service_ids_are_told_by_their_username() {
        let me = |name: &str| Me { username: name.into(), current_team: None };
        assert!(me("iam-ServiceId-0000").is_service_id() && me("ServiceId-1").is_service_id());
        assert!(!me("ops@example.com").is_service_id());
    }
}
