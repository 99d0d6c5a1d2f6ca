//! `--policy DIR`: Rego policies that judge a plan.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::session::{bad_file, read_file};
use crate::model::code;
use crate::model::finding::Finding;
use crate::model::source::Sources;
use crate::review::policy::{Source, add_data, judge};

/// Policies that judge the plan.
#[derive(Args, Clone, Default)]
pub struct Policies {
    /// Judge the plan by the Rego policies of this folder, or file: rules `deny`, `violation` and `warn` of
    /// the package `main`, on the plan's JSON. A denial exits with 3. May be given more than once
    #[arg(long, value_name = "DIR")]
    policy: Vec<PathBuf>,

    /// What policies see as `data`: a JSON or YAML file, or a folder of them, whose subfolders are names
    /// under `data`. May be given more than once
    #[arg(long, value_name = "PATH", requires = "policy")]
    data: Vec<PathBuf>,
}

impl Policies {
    /// Nothing is judged.
    pub fn is_empty(&self) -> bool {
        self.policy.is_empty()
    }

    /// Tells what the policies say to a plan file's bytes; refuses the plan if one denies it.
    pub fn judge(&self, plan: &[u8], output: &Output) -> Result<(), Failure> {
        let findings = self.findings(plan)?;
        let (denied, warned): (Vec<_>, Vec<_>) = findings.into_iter().partition(Finding::is_error);
        output.findings(&warned, &Sources::default());
        match denied.is_empty() {
            true => Ok(()),
            false => Err(Failure { exit: Exit::Refused, findings: denied, sources: Sources::default() }),
        }
    }

    /// What the policies say to a plan file's bytes.
    pub fn findings(&self, plan: &[u8]) -> Result<Vec<Finding>, Failure> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let mut sources = Vec::new();
        for path in &self.policy {
            let before = sources.len();
            gather(path, &mut sources)?;
            if sources.len() == before {
                return Err(broken(format!("{} holds no *.rego file", path.display())));
            }
        }
        let mut data = serde_json::json!({});
        self.data.iter().try_for_each(|path| gather_data(path, &[], &mut data))?;
        judge(&sources, &data, plan).map_err(|error| broken(error.to_string()))
    }
}

/// What is in a folder, in name order.
fn inside(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| bad_file(folder, &error))?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Puts a file's document under `data`, or every one below a folder; `under` are the folders on the way.
fn gather_data(path: &Path, under: &[String], root: &mut serde_json::Value) -> Result<(), Failure> {
    if !path.is_dir() {
        let odd = |why: String| broken(format!("{}: {why}", path.display()));
        let text = String::from_utf8(read_file(path)?).map_err(|_| odd("not UTF-8".to_owned()))?;
        // JSON is YAML
        let document = serde_yaml::from_str(&text).map_err(|error| odd(error.to_string()))?;
        return add_data(root, under, document).map_err(|error| odd(error.to_string()));
    }
    for inner in inside(path)? {
        let name = inner.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names: Vec<String> = under.iter().cloned().chain([name.clone()]).collect();
        let is_data = [".json", ".yaml", ".yml"].iter().any(|end| name.ends_with(end));
        match inner.is_dir() {
            true => gather_data(&inner, &names, root)?,
            false if is_data => gather_data(&inner, under, root)?,
            false => {}
        }
    }
    Ok(())
}

/// Every `*.rego` below a folder, in name order; tests (`*_test.rego`) are no policies.
fn gather(path: &Path, sources: &mut Vec<Source>) -> Result<(), Failure> {
    if !path.is_dir() {
        let text = String::from_utf8(read_file(path)?);
        let text = text.map_err(|_| broken(format!("{}: not UTF-8", path.display())))?;
        sources.push(Source { name: path.display().to_string(), text });
        return Ok(());
    }
    let paths = inside(path)?;
    let is_policy = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.is_dir() || name.ends_with(".rego") && !name.ends_with("_test.rego")
    };
    paths.iter().filter(|path| is_policy(path)).try_for_each(|path| gather(path, sources))
}

fn broken(message: String) -> Failure {
    Failure::new(Exit::Error, Finding::new(code::POLICY_BROKEN, message))
}
