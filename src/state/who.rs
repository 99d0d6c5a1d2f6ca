//! Who runs this: what the environment's well-known variables say, and nothing else.

use crate::env::Env;
use crate::model::who::{Ci, Who};

/// A CI system: the variable that shows it, and those that tell of the job. The first that is set
/// counts.
struct Row {
    system: &'static str,
    shown_by: &'static str,
    job: &'static [&'static str],
    commit: &'static [&'static str],
    actor: &'static [&'static str],
}

/// The last row stands for every system that sets `CI`.
const SYSTEMS: [Row; 4] = [
    Row {
        system: "github-actions",
        shown_by: "GITHUB_ACTIONS",
        job: &["GITHUB_WORKFLOW"],
        commit: &["GITHUB_SHA"],
        actor: &["GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"],
    },
    Row {
        system: "gitlab-ci",
        shown_by: "GITLAB_CI",
        job: &["CI_JOB_URL", "CI_JOB_NAME"],
        commit: &["CI_COMMIT_SHA"],
        actor: &["GITLAB_USER_LOGIN"],
    },
    Row {
        system: "jenkins",
        shown_by: "JENKINS_URL",
        job: &["BUILD_URL", "BUILD_TAG"],
        commit: &["GIT_COMMIT"],
        actor: &["BUILD_USER_ID"],
    },
    Row {
        system: "ci",
        shown_by: "CI",
        job: &["CI_JOB_URL", "BUILD_URL", "PIPELINE_RUN_URL", "CI_JOB_ID", "BUILD_ID"],
        commit: &["CI_COMMIT_SHA", "CI_COMMIT", "GIT_COMMIT", "COMMIT_SHA"],
        actor: &[],
    },
];

/// Who runs this.
pub fn who(env: &Env) -> Who {
    Who {
        user: first(env, &["USER", "LOGNAME"]),
        host: first(env, &["HOSTNAME"]),
        ci: SYSTEMS.iter().find(|row| is_set(env, row.shown_by)).map(|row| ci(env, row)),
    }
}

fn ci(env: &Env, row: &Row) -> Ci {
    Ci {
        system: row.system.to_owned(),
        job: github_run(env).filter(|_| row.system == "github-actions").or_else(|| first(env, row.job)),
        commit: first(env, row.commit),
        actor: first(env, row.actor),
    }
}

/// GitHub gives the parts of a run's page.
fn github_run(env: &Env) -> Option<String> {
    let part = |name| first(env, &[name]);
    let (server, repository) = (part("GITHUB_SERVER_URL")?, part("GITHUB_REPOSITORY")?);
    let attempt = part("GITHUB_RUN_ATTEMPT").map(|n| format!("/attempts/{n}")).unwrap_or_default();
    Some(format!("{server}/{repository}/actions/runs/{}{attempt}", part("GITHUB_RUN_ID")?))
}

fn is_set(env: &Env, name: &str) -> bool {
    first(env, &[name]).is_some_and(|value| value != "false" && value != "0")
}

fn first(env: &Env, names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| env.vars.get(name)).map(|value| plain(&value)).find(|v| !v.is_empty())
}

/// The longest value that is kept.
const LONGEST: usize = 300;

/// A value as it is kept: one line of bounded length. Of a page's address, nothing in which people
/// put credentials: no user part, no query.
fn plain(value: &str) -> String {
    let line: String = value.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let Some((scheme, rest)) = line.split_once("://") else { return line };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> Who {
        let vars = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        who(&Env { vars: crate::env::Vars::only(vars), ..Env::system() })
    }

    fn job(pairs: &[(&str, &str)]) -> [String; 4] {
        let Ci { system, job, commit, actor } = told(pairs).ci.unwrap();
        [system, job.unwrap_or_default(), commit.unwrap_or_default(), actor.unwrap_or_default()]
    }

    #[test]
    fn a_person_is_user_at_host() {
        assert_eq!(told(&[("USER", "ada"), ("HOSTNAME", "ci-1")]).to_string(), "ada@ci-1");
        assert_eq!(told(&[("USER", ""), ("LOGNAME", "ada")]).to_string(), "ada");
        assert!(told(&[("CI", "false")]).is_unknown());
    }

    #[test]
    fn each_ci_system_tells_of_its_job() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("CI", "true"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "acme/ops"),
            ("GITHUB_RUN_ID", "42"),
            ("GITHUB_SHA", "abc"),
            ("GITHUB_ACTOR", "ada"),
        ];
        let page = "https://github.com/acme/ops/actions/runs/42";
        assert_eq!(job(&github), ["github-actions", page, "abc", "ada"]);
        let gitlab = [("GITLAB_CI", "true"), ("CI", "true"), ("CI_JOB_URL", "https://gl/1")];
        assert_eq!(job(&gitlab), ["gitlab-ci", "https://gl/1", "", ""]);
        let jenkins = [("JENKINS_URL", "https://j/"), ("BUILD_URL", "https://j/7/"), ("GIT_COMMIT", "c")];
        assert_eq!(job(&jenkins), ["jenkins", "https://j/7/", "c", ""]);
        assert_eq!(job(&[("CI", "1"), ("COMMIT_SHA", "d")]), ["ci", "", "d", ""]);
        // a variable that happens to be there shows no CI system
        assert!(told(&[("GIT_COMMIT", "c")]).ci.is_none());
    }

    #[test]
    fn credentials_in_a_pages_address_are_not_kept() {
        let address = "https://bot:hunter2@j.example/job/7?token=hunter2#hunter2";
        let [_, page, ..] = job(&[("JENKINS_URL", "x"), ("BUILD_URL", address)]);
        assert_eq!(page, "https://j.example/job/7");
        assert_eq!(told(&[("USER", "a\u{1b}[2J\nb")]).user.unwrap(), "a[2Jb");
        assert_eq!(told(&[("USER", &"x".repeat(9_999))]).user.unwrap().len(), LONGEST);
    }
}
