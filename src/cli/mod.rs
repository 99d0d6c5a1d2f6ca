//! The command line: one file per command, its arguments on top, then the straight line.

mod apply;
mod approvals;
mod check;
mod exit;
mod forget;
mod format;
mod history;
mod incident;
mod interrupts;
mod later;
mod levers;
mod line;
mod lock;
mod log;
mod out;
mod output;
mod parallelism;
mod plan;
mod policies;
mod sandbox;
mod schema;
mod session;
mod show;
mod snapshot;
mod status;
mod unlock;
mod validate;
mod world;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use self::exit::{Exit, Failure};
use self::format::ListFormat;
use self::interrupts::Caught;
use self::log::Log;
use self::output::Output;
use crate::env::Env;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::model::vocabulary::Target;
use crate::report::style::ColorChoice;

/// Declared API tokens and authentication modes: planned, reviewed, applied
///
/// Write what tokens and auth modes should be in YAML. `plan` reads what they
/// are and shows the difference as numbered steps; `apply` runs exactly those
/// steps: it resets tokens before it locks an instance, brings each new secret
/// to its destination, and proves the result.
///
/// Try it without any account:
///
///   tokenform apply examples/quickstart --sandbox
#[derive(Parser)]
#[command(name = "tokenform", version, max_term_width = 100, after_long_help = EXIT_CODES, verbatim_doc_comment)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  done, or no changes, or only waiting
    1  error, usage included
    2  changes pending (only with `plan --detailed-exitcode`)
    3  refused by a rule, limit, protection, policy, change window or seal
    4  stale: spec or live state moved since the plan, or it expired
    5  the state lock is held
    6  partial: some steps failed or are in doubt
  130  interrupted";

/// What every command takes.
#[derive(Args)]
struct Global {
    /// The state folder: key, ledger, journal, lock. Default: `.tokenform` beside the spec file, or
    /// inside the spec folder.
    #[arg(long, global = true, value_name = "DIR", env = "TOKENFORM_STATE")]
    state: Option<PathBuf>,

    /// Run against an in-process sandbox instead of the vendors.
    ///
    /// WORLD is the file that describes the sandbox's estate; without it, the one `*.world.yaml` in
    /// the spec folder or beside the spec file. No real credential is resolved, no command is run,
    /// and every destination is a file under STATE/sandbox/destinations/. Credentials keep their form,
    /// except that a ready IAM token, and a trusted profile that the world does not have, become an
    /// API key.
    #[arg(long, global = true, value_name = "WORLD", require_equals = true, num_args = 0..=1)]
    sandbox: Option<Option<PathBuf>>,

    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: ColorChoice,

    /// Never ask; what needs an answer fails.
    #[arg(long, global = true, env = "TOKENFORM_NO_INPUT", value_parser = clap::builder::FalseyValueParser::new())]
    no_input: bool,

    /// Tell more: which requests were sent.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Log the requests to standard error: method, host, path and status, no query, header or body.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "off",
        value_name = "LEVEL",
        env = "TOKENFORM_LOG"
    )]
    log: Log,
}

impl Global {
    fn target(&self) -> Target {
        match self.sandbox {
            None => Target::Live,
            Some(_) => Target::Sandbox,
        }
    }

    /// A flag without an effect is not taken in silence.
    fn no_sandbox(&self, command: &str) -> Result<(), Failure> {
        match self.sandbox {
            None => Ok(()),
            Some(_) => {
                let message =
                    format!("`tokenform {command}` reads no live state, so --sandbox means nothing to it");
                Err(Failure::usage(message, "Leave the flag out."))
            }
        }
    }
}

#[derive(Subcommand)]
enum Command {
    Validate(validate::Validate),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Resume(apply::resume::Resume),
    Show(show::Show),
    Snapshot(snapshot::Snapshot),
    Check(check::Check),
    Status(status::Status),
    Forget(forget::Forget),
    Lock(lock::Lock),
    History(history::History),
    Unlock(unlock::Unlock),
    Sandbox(sandbox::Sandbox),
    Schema(schema::Schema),
    #[command(flatten)]
    Later(later::Later),
}

/// Runs the program.
pub fn main() -> ExitCode {
    run_with(std::env::args_os().collect(), Env::system())
}

/// Runs the program with other arguments, or with a clock, variables and points of its caller's.
pub fn run_with(args: Vec<OsString>, env: Env) -> ExitCode {
    let streams = asks_for_events(&args);
    // Before anything else, so that an interrupt ends a run in order from its first moment.
    let caught = args.get(1).is_some_and(|word| *word == *"apply" || *word == *"resume").then(Caught::new);
    let cli = match parsed(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, streams, &env),
    };
    let output = Rc::new(Output::new(cli.global.color, &env));
    output.caught(caught);
    if let Command::Apply(apply::Apply { format: ListFormat::Json, .. })
    | Command::Resume(apply::resume::Resume { format: ListFormat::Json, .. }) = cli.command
    {
        output.begin_stream(env.clock.clone());
    }
    let changes = matches!(cli.command, Command::Apply(_) | Command::Resume(_) | Command::Unlock(_));
    let exit = match run(cli, env, &output) {
        Ok(exit) => exit,
        Err(failure) => output.fail(&failure),
    };
    let exit = if changes { told(exit, exit, &output) } else { told(exit, Exit::Error, &output) };
    output.end(exit);
    ExitCode::from(exit.code())
}

/// How a run ends whose data may be lost. What an apply has done counts for more than what was
/// printed of it, so it keeps its own code.
fn told(exit: Exit, lost: Exit, output: &Output) -> Exit {
    let finding = output.lost();
    output.findings(finding.as_slice(), &Sources::default());
    output.finish();
    match (finding, exit) {
        (Some(_), Exit::Done | Exit::Changes) => lost,
        _ => exit,
    }
}

/// Clap's own words are coloured as `--color` asks, which is not parsed when it speaks.
fn parsed(args: Vec<OsString>) -> Result<Cli, clap::Error> {
    let asked = |when: &str| {
        let pair = args.windows(2).any(|pair| pair[0] == "--color" && pair[1] == when);
        pair || args.iter().any(|arg| *arg == *format!("--color={when}"))
    };
    let color = match (asked("never"), asked("always")) {
        (true, _) => clap::ColorChoice::Never,
        (false, true) => clap::ColorChoice::Always,
        (false, false) => clap::ColorChoice::Auto,
    };
    let mut command = Cli::command().color(color);
    let matches = command.try_get_matches_from_mut(&args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn run(cli: Cli, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    let global = &cli.global;
    later::refuse_remote_state(global)?;
    match cli.command {
        Command::Validate(command) => {
            global.no_sandbox("validate")?;
            validate::run(&command, &env, output)
        }
        Command::Plan(command) => plan::run(&command, global, env, output),
        Command::Apply(command) => apply::run(&command, global, env, output),
        Command::Resume(command) => apply::resume::run(command, global, env, output),
        Command::Snapshot(command) => snapshot::run(&command, global, env, output),
        Command::Show(command) => show::run(&command, global, &env, output),
        Command::Check(command) => check::run(&command, global, &env, output),
        Command::Forget(command) => forget::run(&command, global, &env, output),
        Command::Status(command) => status::run(&command, global, &env, output),
        Command::Lock(command) => lock::run(&command, global, &env, output),
        Command::Unlock(command) => unlock::run(&command, global, env, output),
        Command::History(command) => history::run(&command, global, &env, output),
        Command::Sandbox(command) => {
            global.no_sandbox("sandbox")?;
            sandbox::run(&command, env, output)
        }
        Command::Schema(command) => {
            global.no_sandbox("schema")?;
            schema::run(&command, output)
        }
        Command::Later(command) => Err(command.refused()),
    }
}

/// Whether a command line that can't be parsed was meant to give a stream of events.
fn asks_for_events(args: &[OsString]) -> bool {
    let command = args.iter().any(|arg| *arg == *"apply" || *arg == *"resume");
    let pair = args.windows(2).any(|pair| pair[0] == *"--format" && pair[1] == *"json");
    command && (pair || args.iter().any(|arg| *arg == *"--format=json"))
}

/// Clap's own exit code for usage errors is 2, which here means "changes pending".
fn usage(error: &clap::Error, streams: bool, env: &Env) -> ExitCode {
    // Nothing can be told if the terminal is gone.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if streams {
        let output = Output::new(ColorChoice::Never, env);
        output.begin_stream(env.clock.clone());
        output.finding_event(&Finding::new(code::USAGE, error.render().to_string().trim()));
        output.end(Exit::Error);
    }
    ExitCode::from(Exit::Error.code())
}

/// The one runtime of a command, on this thread. From here on a write beyond a limit of this process
/// (`ulimit -f`) is an error that is told, and no signal that ends the run.
fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives a current-thread runtime");
    let beyond_a_limit = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // where it can't be caught, such a write is like any other crash
    let _ = runtime.block_on(async { signal(beyond_a_limit).map(drop) });
    runtime
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}
