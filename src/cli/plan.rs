//! `tokenform plan`: what would change, in which order, and why.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;

use super::exit::{Exit, Failure};
use super::format::{Format, Printer};
use super::incident::Incident;
use super::levers::Levers;
use super::output::Output;
use super::parallelism::Parallelism;
use super::policies::Policies;
use super::session::{self, Session, bad_file, raise_limits};
use super::snapshot::{self, Offline};
use super::{Global, line, out};
use crate::env::Env;
use crate::model::asked::Asked;
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::secret::{DigestKey, sha256_hex};
use crate::model::source::Sources;
use crate::model::vocabulary::Period;
use crate::plan::document::{Plan as Document, PlanFinding, Source};
use crate::plan::{EXPIRES, Planned, check};
use crate::saved;

/// Show what would change, as numbered steps in a proved order; changes nothing
///
/// Reads live state, compares it with the spec, and lets the independent checker judge the result.
/// With -o the plan is saved under a seal: `apply PLANFILE` runs exactly that plan or refuses.
#[derive(Args)]
pub struct Plan {
    /// The spec: a file or a folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Save the plan to this file (mode 0600, sealed, without any secret). A plan file that is there
    /// is replaced, any other file is not
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Exit with 2 if changes are pending
    #[arg(long)]
    detailed_exitcode: bool,

    /// How long the saved plan may be applied, at most 30d
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    expires: Period,

    /// Allow more changes of one sort than the spec's limits, in this plan: rotate=200
    #[arg(long, value_name = "NAME=COUNT")]
    limit: Vec<String>,

    /// Plan from a file that `snapshot` wrote: offline, and the same everywhere. "Now" is when it was
    /// taken, and the plan can't be applied
    #[arg(long, value_name = "FILE", conflicts_with = "issued_before")]
    live: Option<PathBuf>,

    #[command(flatten)]
    policies: Policies,

    #[command(flatten)]
    levers: Levers,

    #[command(flatten)]
    incident: Incident,

    #[command(flatten)]
    parallelism: Parallelism,
}

const LONGEST: Period = Period::days(30);

impl Plan {
    /// A plan that is shown as text and saved, of what another command asks for.
    pub fn to_file(path: &Path, out: &Path, policies: Policies) -> Self {
        Self {
            path: path.to_path_buf(),
            out: Some(out.to_path_buf()),
            format: Format::Text,
            detailed_exitcode: false,
            expires: EXPIRES,
            limit: Vec::new(),
            policies,
            levers: Levers::default(),
            incident: Incident::default(),
            live: None,
            parallelism: Parallelism::default(),
        }
    }
}

pub fn run(command: &Plan, global: &Global, env: Env, output: &Rc<Output>) -> Result<Exit, Failure> {
    run_asked(command, global, env, output, |session| {
        let mut asked = command.levers.asked(&command.path, &session.desired)?;
        command.incident.add(&mut asked, &session.desired, session.env.clock.now())?;
        Ok(asked)
    })
}

/// The same, of what `ask` asks for.
pub fn run_asked(
    command: &Plan,
    global: &Global,
    env: Env,
    output: &Rc<Output>,
    ask: impl FnOnce(&Session) -> Result<Asked, Failure>,
) -> Result<Exit, Failure> {
    if command.expires > LONGEST {
        return Err(Failure::usage(
            format!("--expires {} is too long", command.expires),
            "A plan may be kept for at most 30d.",
        ));
    }
    let path = command.levers.path(&command.path);
    if let Some(live) = &command.live {
        return offline(command, live, path, global, output);
    }
    let mut session = Session::open(global, path, env, output)?;
    raise_limits(&mut session.desired, &command.limit)?;
    session.asked = ask(&session)?;
    if let Some(out) = &command.out {
        out::refuse(out, &session::base_folder(global, path))?;
    }
    let ended = planned(command, global, &session, output);
    let kept = session.keep_world();
    ended.and_then(|exit| kept.map(|()| exit))
}

impl Plan {
    /// Whether somebody sees the file's bytes, or whether the plan is only read.
    fn is_kept(&self) -> bool {
        self.out.is_some() || self.format == Format::Json || !self.policies.is_empty()
    }
}

fn planned(command: &Plan, global: &Global, session: &Session, output: &Rc<Output>) -> Result<Exit, Failure> {
    output.findings(in_flight(session)?.as_slice(), &Sources::default());
    let reader = session.reader(output);
    command.parallelism.bound(&reader);
    let snapshot = session.block_on(session.read(&reader, output));
    let planned = match command.is_kept() {
        true => session.plan(&snapshot, command.expires, false),
        false => session.plan_to_read(&snapshot, command.expires, false),
    };
    if global.verbose > 0 {
        output.say(&requests(&reader));
    }
    told(command, global, planned, &session.key, output)
}

/// Plans from a snapshot: nothing is sent, and no state is opened or made.
fn offline(
    command: &Plan,
    live: &Path,
    path: &Path,
    global: &Global,
    output: &Output,
) -> Result<Exit, Failure> {
    global.no_sandbox("plan --live")?;
    if let Some(out) = &command.out {
        out::refuse(out, &session::base_folder(global, path))?;
    }
    let asked = snapshot::Asked {
        live,
        path,
        given: &command.path,
        levers: &command.levers,
        limit: &command.limit,
        expires: command.expires,
        kept: command.is_kept(),
    };
    let Offline { planned, key } = snapshot::planned(&asked, output)?;
    told(command, global, planned, &key, output)
}

/// Shows a plan, and saves it where that is asked for.
fn told(
    command: &Plan,
    global: &Global,
    mut planned: Planned,
    key: &DigestKey,
    output: &Output,
) -> Result<Exit, Failure> {
    tell_limits(&command.limit, &mut planned);
    let printer = Printer::new(command.format, global, output);
    let print = |plan: &Document, seal: &str, bytes: &[u8]| output.data(&printer.render(plan, seal, bytes));
    let admitted = judged(planned).map_err(|refused| {
        let (plan, failure) = *refused;
        // It is shown as well, but for its file format: only what may be applied is ever sealed.
        if command.format != Format::Json {
            print(&plan, "", &[]);
        }
        failure
    })?;
    let plan = admitted.plan();
    let bytes = if command.is_kept() { saved::seal(plan, key) } else { Vec::new() };
    let digest = sha256_hex(&bytes);
    let sealed = if command.out.is_some() { format!("sealed, sha256 {digest}") } else { String::new() };
    print(plan, &sealed, &bytes);
    command.policies.judge(&bytes, output)?;
    if let Some(path) = &command.out {
        saved::write(path, &bytes).map_err(|error| bad_file(path, &error))?;
        let apply = line::command("apply", global, path);
        let apply = match plan.source {
            Source::Live => format!("To run exactly it: {apply}"),
            Source::Snapshot => "It was made from a snapshot, so it can't be applied".to_owned(),
        };
        output.say(&format!("Saved the plan (sha256 {digest}). {apply}"));
    }
    let exposed = plan.extent.not_rotated.iter().any(|row| row.cause.is_open());
    let open = exposed || !plan.extent.unread.is_empty() || !plan.changes.is_empty();
    let pending = command.detailed_exitcode && open;
    Ok(if pending { Exit::Changes } else { Exit::Done })
}

/// Limits of the command line stand in the plan, for whoever reviews it.
fn tell_limits(given: &[String], planned: &mut Planned) {
    if !given.is_empty() {
        let message = format!("limits given on the command line: {}", given.join(", "));
        let finding = Finding::new(code::PLAN_LIMITS_CHANGED, message);
        planned.plan.findings.push(PlanFinding::from(&finding));
    }
}

/// What the reader of a plan must know first: an apply runs, or did not come to its end, and what it
/// left (a token without a known secret, a reset key) looks like any other live object.
pub fn in_flight(session: &Session) -> Result<Option<Finding>, Failure> {
    if !session.state.journal_path().exists() {
        return Ok(None);
    }
    let message = match (session.state.held()?, session.state.unfinished()?) {
        (Some(held), _) => format!("an apply is running ({held}): this plan may mistake what it does"),
        (None, Some(left)) if left.may_wait() => return Ok(None),
        (None, Some(left)) => {
            let id = left.apply_id;
            format!("apply {id} did not come to its end: this plan may mistake what it left")
        }
        (None, None) => "what the last apply has done is not in the ledger yet: this plan may mistake ages; \
                         `tokenform status` brings it there"
            .to_owned(),
    };
    Ok(Some(Finding::new(code::IN_FLIGHT, message)))
}

/// A plan without errors that the checker admits.
pub fn usable(planned: Planned) -> Result<check::Admitted, Failure> {
    judged(planned).map_err(|refused| refused.1)
}

/// The same; or the plan that is refused, and why.
fn judged(planned: Planned) -> Result<check::Admitted, Box<(Document, Failure)>> {
    let errors: Vec<_> = planned.findings.into_iter().filter(Finding::is_error).collect();
    if !errors.is_empty() {
        let invariants = check::judge(&planned.plan);
        let plan = Document { invariants, ..planned.plan };
        return Err(Box::new((plan, Failure::of(errors, Sources::default()))));
    }
    check::admit(planned.plan).map_err(|plan| {
        let failure = refused(&plan);
        Box::new((*plan, failure))
    })
}

/// What the checker admits; else each error and each invariant that does not hold is a finding.
pub fn admitted(plan: Document) -> Result<check::Admitted, Failure> {
    check::admit(plan).map_err(|plan| refused(&plan))
}

fn refused(plan: &Document) -> Failure {
    Failure { exit: Exit::Refused, findings: broken(plan), sources: Sources::default() }
}

/// Each error of a plan, and each invariant that does not hold.
pub fn broken(plan: &Document) -> Vec<Finding> {
    let broken = plan.invariants.iter().filter(|invariant| !invariant.holds);
    let broken = broken.map(|i| Finding::new(refusal(&i.id, &i.proof), format!("{}: {}", i.id, i.proof)));
    errors(plan).into_iter().chain(broken).collect()
}

/// Why a plan is refused whatever its invariants say: it was made although something was wrong.
pub fn errors(plan: &Document) -> Vec<Finding> {
    let told = |finding: &PlanFinding| {
        let message = format!("the plan has an error, {}: {}", finding.code, finding.message);
        Finding { address: finding.address.clone(), ..Finding::new(code::PLAN_CHECK, message) }
    };
    check::errors(plan).map(told).collect()
}

/// The code that a broken invariant is told with.
fn refusal(id: &str, proof: &str) -> code::Code {
    match id {
        "I7" if proof.contains("protected") => code::PLAN_PROTECTED,
        "I7" => code::PLAN_LIMIT,
        "I3" => code::PLAN_CALLER,
        _ => code::PLAN_CHECK,
    }
}

/// How many requests were sent, by kind.
pub fn requests(reader: &crate::http::Reader) -> String {
    let counts = reader.stats();
    let total = counts.total();
    let kinds: Vec<_> = counts.0.iter().map(|(kind, count)| format!("  {count:>6}  {kind}")).collect();
    format!("{total} requests:\n{}", kinds.join("\n"))
}
