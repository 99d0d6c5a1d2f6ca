//! `tokenform history`: what was done, when, by whom and why; and whether the record is whole.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use jiff::civil::Date;

use super::exit::{Exit, Failure};
use super::format::ListFormat;
use super::output::Output;
use super::{Global, session};
use crate::env::Env;
use crate::model::finding::Finding;
use crate::model::prefix::Prefix;
use crate::model::source::Sources;
use crate::model::vocabulary::Period;
use crate::report::history::{self, Story};
use crate::saved;
use crate::state::ledger::{self, Entry, Row, Survey};
use crate::state::{self, StateDir, StateError};

/// Show what was done, when, by whom and why; or verify that the record is whole
///
/// Reads the ledger of the state folder: a line per finished step, the newest last. LIVED is the time
/// from the issue of a value to the moment at which that line ended it. With -v each line also tells
/// its apply and plan file, the CI job, and which destination got the value when. Nothing is changed
/// or locked, and no key is needed, so it can be asked while an apply runs.
///
/// --verify judges the whole ledger: every line against its hash, each against the one before, and all
/// against the journals beside it, which show a tail that was cut off. Exit 1 where something is wrong.
#[derive(Args)]
pub struct History {
    /// The spec whose state is asked for: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Only this object and those below it: an address, or how one begins
    #[arg(long, value_name = "ADDR")]
    address: Option<String>,

    /// Not before this: an instant, a date (UTC), or how long ago: 30d
    #[arg(long, value_name = "TIME")]
    since: Option<When>,

    /// Before this
    #[arg(long, value_name = "TIME")]
    until: Option<When>,

    /// Only what was done so; may be given more than once
    #[arg(long, value_name = "VERB", value_parser = PossibleValuesParser::new(Entry::WORDS))]
    verb: Vec<String>,

    /// Only what these did: a user, a host, user@host; a CI system, its job or who started that. May be
    /// given more than once
    #[arg(long, value_name = "WHO")]
    by: Vec<String>,

    /// Only this apply: its id, or how it begins
    #[arg(long, value_name = "ID")]
    apply: Option<String>,

    /// Only the newest COUNT lines of these
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    /// The newest first
    #[arg(long)]
    reverse: bool,

    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,

    /// Judge the whole ledger instead of showing it
    #[arg(long, conflicts_with_all = ["address", "since", "until", "verb", "by", "apply", "limit", "reverse"])]
    verify: bool,

    /// With --verify: a line that must be there, by its hash, or by a plan file that was made after it
    #[arg(long, value_name = "HASH|PLANFILE", requires = "verify")]
    head: Vec<String>,
}

pub fn run(command: &History, global: &Global, env: &Env, output: &Output) -> Result<Exit, Failure> {
    if let Err(error) = command.path.metadata() {
        return Err(session::bad_file(&command.path, &error));
    }
    let state = StateDir::to_read(&session::state_folder(global, &command.path));
    match command.verify {
        true => verify(command, &state, output),
        false => show(command, global, &state, env, output),
    }
}

fn show(
    command: &History,
    global: &Global,
    state: &StateDir,
    env: &Env,
    output: &Output,
) -> Result<Exit, Failure> {
    let survey = ledger::survey(state)?;
    let filter = Filter::of(command, global, env, &survey)?;
    let rows = filter.select(&survey);
    let lives = history::lives(&survey.rows);
    let path = state.ledger_path().display().to_string();
    let shown = rows.len();
    let story = Story::of(rows, &lives);
    match (command.format, survey.rows.is_empty()) {
        (ListFormat::Json, _) => output.data(&history::json(&story, &path, survey.head.as_deref())),
        (ListFormat::Text, true) => output.data(format!("Nothing is recorded at {path}.\n").as_bytes()),
        (ListFormat::Text, false) => {
            output.data(history::text(&story, global.verbose > 0, &output.style).as_bytes());
        }
    }
    if shown < survey.rows.len() {
        output.say(&format!("{shown} of {} lines.", survey.rows.len()));
    }
    if state.journal_path().exists() {
        output.say("What the last apply has done is not all here yet: `tokenform status` tells of it.");
    }
    damage(&survey, state, output)
}

/// What can't be believed is told behind what can.
fn damage(survey: &Survey, state: &StateDir, output: &Output) -> Result<Exit, Failure> {
    let torn = survey.torn.iter().filter(|_| !state.journal_path().exists()).cloned();
    output.findings(&torn.collect::<Vec<_>>(), &Sources::default());
    let findings: Vec<Finding> = survey.damage.iter().map(StateError::finding).collect();
    match findings.is_empty() {
        true => Ok(Exit::Done),
        false => Err(Failure::of(findings, Sources::default())),
    }
}

/// Which lines are shown.
struct Filter<'a> {
    command: &'a History,
    address: Option<Prefix>,
    since: Timestamp,
    until: Timestamp,
}

impl<'a> Filter<'a> {
    fn of(command: &'a History, global: &Global, env: &Env, survey: &Survey) -> Result<Self, Failure> {
        // a sandbox has a clock of its own, which stood at its last line
        let now = match (&global.sandbox, survey.rows.last()) {
            (Some(_), Some(last)) => last.line.at,
            _ => env.clock.now(),
        };
        let instant = |when: &Option<When>, default| when.as_ref().map_or(default, |when| when.before(now));
        Ok(Self {
            command,
            address: command.address.as_deref().map(address).transpose()?,
            since: instant(&command.since, Timestamp::MIN),
            until: instant(&command.until, Timestamp::MAX),
        })
    }

    fn select<'r>(&self, survey: &'r Survey) -> Vec<&'r Row> {
        let mut rows: Vec<&Row> = survey.rows.iter().filter(|row| self.takes(row)).collect();
        let spare = self.command.limit.map_or(0, |limit| rows.len().saturating_sub(limit));
        rows.drain(..spare);
        if self.command.reverse {
            rows.reverse();
        }
        rows
    }

    fn takes(&self, row: &Row) -> bool {
        let entry = &row.line.entry;
        let History { verb, by, apply, .. } = self.command;
        let covered = |wanted: &Prefix| entry.address().is_some_and(|address| wanted.covers(address));
        let of_apply = |wanted: &String| entry.apply().is_some_and(|apply| apply.starts_with(wanted));
        (self.since..self.until).contains(&row.line.at)
            && self.address.as_ref().is_none_or(covered)
            && apply.as_ref().is_none_or(of_apply)
            && (by.is_empty() || by.iter().any(|name| row.line.by.goes_by(name)))
            && (verb.is_empty() || verb.iter().any(|verb| verb == entry.word()))
    }
}

fn address(text: &str) -> Result<Prefix, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("--address: {error}"), "Write it as the plan does."))
}

/// A moment as people give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Ago(Period),
}

impl When {
    fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(period) => period.before(now),
        }
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let date = || text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let at = text.parse().ok().or_else(|| date().map(|date| date.timestamp())).map(Self::At);
        at.or_else(|| text.parse().ok().map(Self::Ago)).ok_or_else(|| {
            format!("`{text}` is no time; write 2026-11-01T00:00:00Z, 2026-11-01, or how long ago: 30d")
        })
    }
}

fn verify(command: &History, state: &StateDir, output: &Output) -> Result<Exit, Failure> {
    let heads = command.head.iter().map(|text| head(text)).collect::<Result<Vec<_>, _>>()?;
    let heads: Vec<String> = heads.into_iter().flatten().collect();
    let verified = state::verify(state, &heads)?;
    let path = state.ledger_path().display().to_string();
    match command.format {
        ListFormat::Json => output.data(&history::verified_json(&verified, &path)),
        ListFormat::Text => output.data(history::verified_text(&verified, &path, &output.style).as_bytes()),
    }
    output.findings(&verified.notes, &Sources::default());
    match verified.problems.is_empty() {
        true => Ok(Exit::Done),
        false => Err(Failure { exit: Exit::Error, findings: verified.problems, sources: Sources::default() }),
    }
}

/// A hash, or the one that a plan file names. A plan that was made before the first line names none.
fn head(text: &str) -> Result<Option<String>, Failure> {
    let is_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash {
        return Ok(Some(text.to_ascii_lowercase()));
    }
    let path = Path::new(text);
    if !path.exists() {
        let message = format!("--head {text} is neither a hash nor a plan file");
        return Err(Failure::usage(message, "Give what `history --verify` printed as the head earlier."));
    }
    Ok(saved::parse(&session::read_file(path)?)?.plan.ledger_head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_an_instant_a_date_or_an_age() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let told = |text: &str| text.parse::<When>().map(|when| when.before(now).to_string());
        assert_eq!(told("2026-11-01T02:00:00+01:00").unwrap(), "2026-11-01T01:00:00Z");
        assert_eq!(told("2026-11-01").unwrap(), "2026-11-01T00:00:00Z");
        assert_eq!(told("1d2h").unwrap(), "2026-11-21T08:00:00Z");
        for text in ["", "yesterday", "2026-13-01", "30", "-1d"] {
            assert!(told(text).is_err(), "{text}");
        }
    }
}
