//! A person's word that a plan may run, and who must be different people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::who::Who;

/// A signature over a plan file that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The principals of the key, as the file of allowed signers has them.
    pub by: Vec<String>,
    /// The key's fingerprint: `SHA256:…`.
    pub key: String,
}

/// What a person does with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Made it.
    Planner,
    /// Signed it.
    Approver,
    /// Runs it.
    Applier,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planner => "planner",
            Self::Approver => "approver",
            Self::Applier => "applier",
        }
    }
}

/// The person behind a command: whom the CI system names, else the user.
pub fn person(who: &Who) -> Option<&str> {
    who.ci.as_ref().and_then(|ci| ci.actor.as_deref()).or(who.user.as_deref())
}

/// Whether two names may be of one person: `ada` and `Ada@example.com` may. In doubt they are.
pub fn same_person(a: &str, b: &str) -> bool {
    let local = |name: &str| name.split('@').next().unwrap_or(name).to_ascii_lowercase();
    match a.contains('@') && b.contains('@') {
        true => a.eq_ignore_ascii_case(b),
        false => local(a) == local(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_doubt_two_names_are_of_one_person() {
        for (a, b) in [("ada", "Ada@example.com"), ("ada@example.com", "ADA@example.com"), ("bob", "bob")] {
            assert!(same_person(a, b) && same_person(b, a), "{a} {b}");
        }
        for (a, b) in [("ada", "bob@example.com"), ("ada@a.org", "ada@b.org")] {
            assert!(!same_person(a, b), "{a} {b}");
        }
    }
}
