//! Who holds a lock: what the lock file says of its holder, as one line of JSON.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::model::who::Who;
use crate::state::who;

/// The record's format version. A reader takes what it knows of a newer one: it is for people.
const VERSION: u32 = 1;

/// A run that has taken a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub version: u32,
    /// The person and the CI job, as the environment tells; the user's number where it doesn't.
    pub by: Who,
    /// The system's own name of the machine, which no variable can change.
    pub host: String,
    pub pid: u32,
    /// The command line, shortened.
    pub command: String,
    pub since: Timestamp,
    /// What is locked, where the file's name doesn't tell: a destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

impl Holder {
    /// This process.
    pub fn this(env: &Env, command: &str) -> Self {
        let Who { user, host, ci } = who(env);
        let number = || format!("uid {}", rustix::process::getuid().as_raw());
        let user = user.unwrap_or_else(number);
        Self {
            version: VERSION,
            by: Who { user: Some(user), host: host.or_else(|| Some(this_host())), ci },
            host: this_host(),
            pid: std::process::id(),
            command: command.chars().take(200).collect(),
            since: env.clock.now(),
            of: None,
        }
    }

    /// Whether it is, or was, a process of this machine.
    pub fn is_here(&self) -> bool {
        self.host == this_host()
    }

    /// Whether a process with its number runs on this machine.
    pub(super) fn runs_here(&self) -> bool {
        use rustix::process::{Pid, test_kill_process};
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // a process of somebody else may not be signalled, but it is there
        let seen = |pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH));
        self.is_here() && pid.is_some_and(seen)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version: _, by, host: _, pid, command, since, of: _ } = self;
        write!(f, "{by} (pid {pid}, `{command}`, since {since:.0})")
    }
}

pub(super) fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::env::Vars;

    /// A run of this machine by `ada`.
    pub(crate) fn ada() -> Holder {
        Holder::this(&env(&[("USER", "ada")]), "tokenform apply spec")
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        let vars = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Env { vars: Vars::only(vars), ..Env::system() }
    }

    #[test]
    fn a_holder_is_known_without_any_variable() {
        let none = Holder::this(&env(&[]), "tokenform apply");
        assert!(none.to_string().starts_with("uid ") && !none.host.is_empty(), "{none}");
        assert!(none.is_here() && none.runs_here() && none.pid == std::process::id());
        let named = Holder::this(&env(&[("USER", ""), ("LOGNAME", "ada")]), &"x".repeat(1000));
        assert_eq!((named.by.to_string(), named.command.len()), (format!("ada@{}", none.host), 200));
    }

    #[test]
    fn a_pid_without_a_process_and_another_host_do_not_run_here() {
        // the largest number that Linux gives is 4194304
        assert!(!Holder { pid: i32::MAX as u32, ..ada() }.runs_here());
        assert!(!Holder { pid: 0, ..ada() }.runs_here());
        assert!(!Holder { host: "elsewhere.example".into(), ..ada() }.runs_here());
    }
}
