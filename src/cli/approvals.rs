//! Flags about approvals, and what they and the spec ask of a plan file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exit::{Exit, Failure};
use super::session::read_file;
use crate::model::approval::{Approval, person};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::model::who::Who;
use crate::plan::document::Plan;
use crate::provider::state::Approvals as Wish;
use crate::review::approval::{Asked, Signature, judge};
use crate::review::signers::{self, Signer};

/// Who must have signed a plan file.
#[derive(Args, Default)]
#[command(next_help_heading = "Approvals")]
pub struct Approvals {
    /// So many people must have signed the plan file: ssh-keygen -Y sign -n tokenform -f KEY PLANFILE
    ///
    /// The spec can ask for as many or more. Signatures lie beside the plan file, as PLANFILE.sig and
    /// PLANFILE.*.sig, or are named with --approval.
    #[arg(long, value_name = "N")]
    require_approvals: Option<u32>,

    /// A signature file. May be given more than once; without it, those beside the plan file count
    #[arg(long, value_name = "FILE")]
    approval: Vec<PathBuf>,

    /// Whose signatures count: a file in OpenSSH's ALLOWED SIGNERS format. Default: the spec's
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
}

/// The largest signature file that is read: those of OpenSSH have some hundred bytes.
const LARGEST: u64 = 64 * 1024;

impl Approvals {
    /// How many people must have approved a plan.
    pub fn needed(&self, wish: &Wish, plan: &Plan) -> u32 {
        let by_spec = match plan.steps.iter().any(|step| step.irreversible) {
            true => wish.required.max(wish.irreversible),
            false => wish.required,
        };
        self.require_approvals.unwrap_or_default().max(by_spec)
    }

    /// The approvals of a plan file, if they suffice. `bytes` are those that are applied.
    pub fn of(
        &self,
        wish: &Wish,
        plan: &Plan,
        (file, bytes): (&Path, &[u8]),
        applier: &Who,
        now: Timestamp,
    ) -> Result<Vec<Approval>, Failure> {
        let count = self.needed(wish, plan);
        if count == 0 && wish.differ.is_empty() {
            return Ok(Vec::new());
        }
        let signers = match count {
            0 => Vec::new(),
            _ => self.signers(wish)?,
        };
        let signatures = self.signatures(file)?;
        let asked = Asked {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            differ: &wish.differ,
            planner: plan.created_by.as_ref().and_then(person),
            applier: person(applier),
        };
        judge(bytes, &signatures, &signers, &asked, now).map_err(refused)
    }

    /// A fresh plan has no file that somebody could have signed.
    pub fn refuse_fresh(&self, wish: &Wish, plan: &Plan) -> Result<(), Failure> {
        let count = self.needed(wish, plan);
        if plan.steps.is_empty() || count == 0 {
            return Ok(());
        }
        let message =
            format!("this plan needs {count} approvals, and nobody has signed it; nothing was sent");
        let help = "Save it with `plan -o FILE`, let it be signed (ssh-keygen -Y sign -n tokenform -f KEY FILE), and \
                    apply that file.";
        Err(refused(vec![Finding::new(code::REVIEW_APPROVALS, message).help(help)]))
    }

    fn signers(&self, wish: &Wish) -> Result<Vec<Signer>, Failure> {
        let told = |message: String| refused(vec![Finding::new(code::REVIEW_SIGNERS, message)]);
        let path = match (&self.allowed_signers, &wish.allowed_signers) {
            (Some(given), Some(spec)) if given != spec => {
                let (given, spec) = (given.display(), spec.display());
                return Err(told(format!("the spec names {spec}, and --allowed-signers {given}")));
            }
            (Some(path), _) | (None, Some(path)) => path,
            (None, None) => {
                return Err(told("approvals are required, and no allowed signers are named".into()));
            }
        };
        let text = read_file(path)?;
        let text = String::from_utf8(text).map_err(|_| told(format!("{}: not UTF-8", path.display())))?;
        signers::parse(&text, &TimeZone::system())
            .map_err(|error| told(format!("{}: {error}", path.display())))
    }

    fn signatures(&self, file: &Path) -> Result<Vec<Signature>, Failure> {
        let paths = match self.approval.is_empty() {
            true => beside(file),
            false => self.approval.iter().cloned().collect(),
        };
        let read = |path: PathBuf| {
            let small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= LARGEST);
            let bytes = if small { read_file(&path)? } else { Vec::new() };
            Ok(Signature { name: path.display().to_string(), bytes })
        };
        paths.into_iter().map(read).collect()
    }
}

/// `PLANFILE.sig` and `PLANFILE.*.sig`.
fn beside(file: &Path) -> BTreeSet<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = file.file_name().map(|name| format!("{}.", name.to_string_lossy())) else {
        return BTreeSet::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_signature = |path: &PathBuf| {
        let own = path.file_name().map(|own| own.to_string_lossy().into_owned()).unwrap_or_default();
        own.starts_with(&name) && own.ends_with(".sig") && path.is_file()
    };
    entries.map(|entry| entry.path()).filter(is_signature).collect()
}

fn refused(findings: Vec<Finding>) -> Failure {
    Failure { exit: Exit::Refused, findings, sources: Sources::default() }
}
