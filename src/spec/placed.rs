//! Paths that a spec names, from where the tool runs: they are written relative to the spec's folder.

use std::path::{Path, PathBuf};

use super::validate::beside;
use crate::model::vocabulary::SecretRef;
use crate::provider::state::{Desired, Destination};
use crate::provider::{ibm, logicmonitor};

/// The folder that a spec's files stand in. All of them stand in one.
pub fn folder(spec: &Path) -> &Path {
    if spec.is_dir() { spec } else { spec.parent().unwrap_or(Path::new("")) }
}

/// Joins every path of the wish to the folder; nothing is looked up.
pub fn place(desired: &mut Desired, folder: &Path) {
    desired.approvals.allowed_signers.iter_mut().for_each(|path| join(path, folder));
    for connection in desired.ibm.values_mut() {
        match &mut connection.credential {
            ibm::state::Credential::ApiKey(value) | ibm::state::Credential::IamToken(value) => {
                reference(value, folder);
            }
            ibm::state::Credential::TrustedProfile(profile) => reference(&mut profile.cr_token, folder),
        }
    }
    for connection in desired.logicmonitor.values_mut() {
        match &mut connection.credential {
            logicmonitor::state::Credential::Lmv1(pair) => {
                reference(&mut pair.access_id, folder);
                reference(&mut pair.access_key, folder);
            }
            logicmonitor::state::Credential::Bearer(value) => reference(value, folder),
        }
    }
    for destination in desired.destinations.values_mut() {
        match destination {
            Destination::File(file) => join(&mut file.path, folder),
            Destination::Command(command) => {
                program(&mut command.run, folder);
                command.probe.iter_mut().for_each(|probe| program(probe, folder));
            }
        }
    }
}

fn reference(value: &mut SecretRef, folder: &Path) {
    match value {
        SecretRef::Env(_) => {}
        SecretRef::File(path) => join(path, folder),
        SecretRef::Command(words) => program(words, folder),
    }
}

fn join(path: &mut PathBuf, folder: &Path) {
    *path = beside(folder, path);
}

/// A program named by a path; a bare name is looked up in `PATH` when it runs.
fn program(words: &mut [String], folder: &Path) {
    let Some(program) = words.first_mut().filter(|program| program.contains('/')) else { return };
    let path = beside(folder, Path::new(program.as_str()));
    let bare = path.components().count() == 1;
    // the path of a spec is text, or the spec was refused
    *program = if bare { format!("./{}", path.display()) } else { path.display().to_string() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_stays_a_path_wherever_the_spec_lies() {
        for (folder, written, placed) in [
            ("", "./x", "./x"),
            ("a", "./x", "a/x"),
            ("/a", "b/x", "/a/b/x"),
            ("/a", "x", "x"),
            ("a", "/x", "/x"),
        ] {
            let mut words = [written.to_owned(), "./arg".to_owned()];
            program(&mut words, Path::new(folder));
            assert_eq!(words, [placed, "./arg"]);
        }
    }
}
