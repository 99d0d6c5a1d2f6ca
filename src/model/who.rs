//! Who does something: the person, the machine, and the CI job, as far as they are known.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Who runs a command. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Who {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<Ci>,
}

/// The CI job that runs a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ci {
    /// `github-actions`, `gitlab-ci`, `jenkins`; `ci` for any other.
    pub system: String,
    /// The job's page, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The commit that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Who started it, as the CI system says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Who {
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this is a name of theirs: the user, the host, `user@host`, the CI system, its job, or who
    /// started that.
    pub fn goes_by(&self, name: &str) -> bool {
        let Self { user, host, ci } = self;
        let both = user.as_ref().zip(host.as_ref()).map(|(user, host)| format!("{user}@{host}"));
        let of_ci = ci.iter().flat_map(|ci| [Some(&ci.system), ci.job.as_ref(), ci.actor.as_ref()]);
        [user.as_ref(), host.as_ref(), both.as_ref()]
            .into_iter()
            .chain(of_ci)
            .flatten()
            .any(|own| own == name)
    }

    /// Reads `user@host` or `user`.
    fn of_text(text: &str) -> Self {
        let (user, host) = text.split_once('@').map_or((text, None), |(user, host)| (user, Some(host)));
        Self { user: Some(user.to_owned()), host: host.map(str::to_owned), ci: None }
    }
}

/// `user@host`, and the CI job where there is one.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, ci } = self;
        match (user, host, ci) {
            (Some(user), Some(host), _) => write!(f, "{user}@{host}")?,
            (Some(name), None, _) | (None, Some(name), _) => f.write_str(name)?,
            (None, None, Some(_)) => {}
            (None, None, None) => f.write_str("someone")?,
        }
        match ci {
            None => Ok(()),
            Some(ci) => {
                let space = if user.is_some() || host.is_some() { " in " } else { "" };
                let job = ci.job.as_ref().map(|job| format!(" {job}")).unwrap_or_default();
                write!(f, "{space}{}{job}", ci.system)
            }
        }
    }
}

/// Files of version 1 have a text in its place.
impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parts {
            #[serde(default)]
            user: Option<String>,
            #[serde(default)]
            host: Option<String>,
            #[serde(default)]
            ci: Option<Ci>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Parts(Parts),
        }
        Ok(match Option::<Form>::deserialize(deserializer)? {
            None => Self::default(),
            Some(Form::Text(text)) => Self::of_text(&text),
            Some(Form::Parts(Parts { user, host, ci })) => Self { user, host, ci },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_as_far_as_it_is_known() {
        let ci = Ci { system: "jenkins".into(), job: Some("https://ci/7/".into()), ..Ci::default() };
        let ada = Who { user: Some("ada".into()), host: Some("ci-1".into()), ci: None };
        assert_eq!(ada.to_string(), "ada@ci-1");
        assert_eq!(Who { ci: Some(ci.clone()), ..ada }.to_string(), "ada@ci-1 in jenkins https://ci/7/");
        assert_eq!(Who { ci: Some(ci), ..Who::default() }.to_string(), "jenkins https://ci/7/");
        assert_eq!(Who::default().to_string(), "someone");
    }

    #[test]
    fn it_reads_back_as_written_and_as_version_1_wrote_it() {
        let ci = Ci { system: "ci".into(), commit: Some("abc".into()), ..Ci::default() };
        let who = Who { user: Some("ada".into()), host: None, ci: Some(ci) };
        let json = serde_json::to_string(&who).unwrap();
        assert_eq!(json, r#"{"user":"ada","ci":{"system":"ci","commit":"abc"}}"#);
        assert_eq!(serde_json::from_str::<Who>(&json).unwrap(), who);
        let old: Who = serde_json::from_str("\"ada@ci-1\"").unwrap();
        assert_eq!((old.user.as_deref(), old.host.as_deref()), (Some("ada"), Some("ci-1")));
        assert!(serde_json::from_str::<Who>("null").unwrap().is_unknown());
        assert!(serde_json::from_str::<Who>(r#"{"user":"a","odd":1}"#).is_err());
    }

    #[test]
    fn people_and_jobs_go_by_each_of_their_names() {
        let ci = Ci {
            system: "gitlab-ci".into(),
            job: Some("j/7".into()),
            commit: None,
            actor: Some("eve".into()),
        };
        let who = Who { user: Some("ada".into()), host: Some("vm".into()), ci: Some(ci) };
        for name in ["ada", "vm", "ada@vm", "gitlab-ci", "j/7", "eve"] {
            assert!(who.goes_by(name), "{name}");
        }
        for name in ["", "ad", "ada@", "bob"] {
            assert!(!who.goes_by(name), "{name}");
        }
    }
}
