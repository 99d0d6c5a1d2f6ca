//! The locks of a state: who holds each, and which were broken.

use serde::Serialize;

use super::safe;
use super::style::{Style, Tone};
use crate::state::{Broken, Holder, Lock, Standing};

/// A line for each lock that is not free, how many are, and the last break.
pub fn text(locks: &[Lock], breaks: &[Broken], style: &Style) -> String {
    let (free, taken): (Vec<&Lock>, Vec<&Lock>) =
        locks.iter().partition(|lock| lock.standing == Standing::Free);
    let mut text: String = taken.iter().map(|lock| row(lock, style)).collect();
    let state_is_free = taken.iter().all(|lock| lock.sort != "state");
    if state_is_free {
        text.push_str("The state's lock is free.\n");
    }
    match free.iter().filter(|lock| lock.sort == "destination").count() {
        0 => {}
        1 => text.push_str("The lock of 1 destination is free.\n"),
        n => text.push_str(&format!("The locks of {n} destinations are free.\n")),
    }
    if let Some(last) = breaks.last() {
        let times = if breaks.len() == 1 { "1 time".to_owned() } else { format!("{} times", breaks.len()) };
        text.push_str(&format!("Broken {times}, last {}", broken_row(last)));
    }
    text
}

fn row(lock: &Lock, style: &Style) -> String {
    let Lock { sort, path, standing } = lock;
    let of = standing.holder().and_then(|holder| holder.of.clone());
    let what = of.unwrap_or_else(|| path.display().to_string());
    let tone = if matches!(standing, Standing::Held(_)) { Tone::Warn } else { Tone::Bad };
    let word = style.paint(tone, standing.as_str());
    format!("{word}  {sort} {}\n{}", safe::line(&what), standing.holder().map(who).unwrap_or_default())
}

/// Who holds a lock, a line for each thing that helps to find them.
pub fn who(holder: &Holder) -> String {
    let Holder { by, host, pid, command, since, .. } = holder;
    format!(
        "  by       {}\n  process  {pid} on {}\n  command  {}\n  since    {since:.0}\n",
        safe::shown(by),
        safe::line(host),
        safe::line(command)
    )
}

/// What a break has done.
pub fn broken(broken: &[Broken]) -> String {
    match broken {
        [] => "Nothing to break: no lock of this state is held.\n".to_owned(),
        rows => rows.iter().map(|row| format!("Broken: {}", broken_row(row))).collect(),
    }
}

fn broken_row(broken: &Broken) -> String {
    let Broken { by, reason, lock, was, holder } = broken;
    let of = holder.as_ref().map_or(String::new(), |holder| format!(", of {}", safe::shown(holder)));
    format!(
        "{} at {:.0} by {}: it was {}{of}. Reason: {}\n",
        safe::line(lock),
        by.since,
        safe::shown(&by.by),
        safe::line(was),
        safe::line(reason)
    )
}

#[derive(Serialize)]
struct Document<'a> {
    format_version: &'static str,
    locks: Vec<Row<'a>>,
    broken: &'a [Broken],
}

#[derive(Serialize)]
struct Row<'a> {
    /// `state` or `destination`.
    lock: &'static str,
    path: String,
    /// `free`, `held`, `dead` or `unknown`.
    state: &'static str,
    holder: Option<&'a Holder>,
}

/// The same as JSON.
pub fn json(locks: &[Lock], broken: &[Broken]) -> String {
    let rows = locks.iter().map(|lock| Row {
        lock: lock.sort,
        path: lock.path.display().to_string(),
        state: lock.standing.as_str(),
        holder: lock.standing.holder(),
    });
    let document = Document { format_version: "1.0", locks: rows.collect(), broken };
    let mut text = serde_json::to_string_pretty(&document).expect("locks are strings and numbers");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::model::who::Who;

    fn ada() -> Holder {
        let since = "2026-11-22T10:00:00Z".parse().unwrap();
        let this = Holder::this(&Env::system(), "tokenform apply \x1b[2J");
        let by = Who { user: Some("ada".into()), host: Some("ci-1".into()), ci: None };
        Holder { by, host: "ci-1".into(), pid: 42, since, ..this }
    }

    fn locks() -> Vec<Lock> {
        let lock = |sort, path: &str, standing| Lock { sort, path: path.into(), standing };
        let of = Holder { of: Some("secrets/ops.env".into()), ..ada() };
        vec![
            lock("state", "s/lock", Standing::Held(Some(ada()))),
            lock("destination", "s/locks/file-1", Standing::Dead(of)),
            lock("destination", "s/locks/file-2", Standing::Free),
        ]
    }

    fn broken_one() -> Broken {
        let (holder, lock) = (Some(Holder { host: "ci-2".into(), ..ada() }), "lock".to_owned());
        Broken { by: ada(), reason: "scrapped".into(), lock, was: "unknown".into(), holder }
    }

    #[test]
    fn who_holds_what_is_told_and_can_t_steer_a_terminal() {
        snapbox::assert_data_eq!(
            text(&locks(), &[broken_one()], &Style::PLAIN),
            snapbox::IntoData::raw(snapbox::str![[r#"
held  state s/lock
  by       ada@ci-1
  process  42 on ci-1
  command  tokenform apply \u{1b}[2J
  since    2026-11-22T10:00:00Z
dead  destination secrets/ops.env
  by       ada@ci-1
  process  42 on ci-1
  command  tokenform apply \u{1b}[2J
  since    2026-11-22T10:00:00Z
The lock of 1 destination is free.
Broken 1 time, last lock at 2026-11-22T10:00:00Z by ada@ci-1: it was unknown, of ada@ci-1 (pid 42, `tokenform apply \u{1b}[2J`, since 2026-11-22T10:00:00Z). Reason: scrapped

"#]])
        );
        assert_eq!(text(&[], &[], &Style::PLAIN), "The state's lock is free.\n");
    }

    #[test]
    fn json_has_the_same() {
        let value: serde_json::Value = serde_json::from_str(&json(&locks(), &[broken_one()])).unwrap();
        assert_eq!(value["locks"][0]["holder"]["pid"], 42);
        assert_eq!(
            (&value["locks"][2]["state"], &value["locks"][2]["holder"]),
            (&"free".into(), &serde_json::Value::Null)
        );
        assert_eq!(value["broken"][0]["reason"], "scrapped");
    }
}
