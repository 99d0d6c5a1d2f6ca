//! The files of a spec: one file, or those of a folder that are spec, in name order.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::model::code::{self, Code};
use crate::model::finding::Finding;
use crate::model::source::{Sources, Span};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// The paths of all files of a spec. They are UTF-8: plans, digests and errors name them as text.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, Box<Finding>> {
    let files = found(path)?;
    let text = |path: &Path| match path.to_str() {
        Some(_) => Ok(()),
        None => Err(told(code::SPEC_NOT_UTF8, path, "the path is not UTF-8 text")),
    };
    text(path)?;
    files.iter().try_for_each(|file| text(file))?;
    Ok(files)
}

fn found(path: &Path) -> Result<Vec<PathBuf>, Box<Finding>> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            code::SPEC_NOT_FOUND
        } else {
            code::SPEC_UNREADABLE
        };
        told(code, path, &error.to_string())
    })?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error: std::io::Error| told(code::SPEC_UNREADABLE, path, &error.to_string());
    let mut files = Vec::new();
    for item in std::fs::read_dir(path).map_err(unreadable)? {
        let file = item.map_err(unreadable)?.path();
        if is_spec(&file) && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(told(
            code::SPEC_NOT_FOUND,
            path,
            "the folder has no `*.yaml` or `*.yml` files that are spec",
        ));
    }
    Ok(files)
}

/// Whether a file of a folder belongs to the spec.
fn is_spec(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else {
        return false;
    };
    let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let world = name.ends_with(".world.yaml") || name.ends_with(".world.yml");
    yaml && !world && !name.starts_with(['.', '_'])
}

/// Reads a file and adds it to the sources. Gives its index and its place on the number line.
pub fn read(path: &Path, sources: &mut Sources) -> Result<(usize, usize), Box<Finding>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| told(code::SPEC_UNREADABLE, path, &error.to_string()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(told(code::SPEC_UNREADABLE, path, "the file is larger than 256 MiB"));
    }
    let index = sources.files().len();
    match String::from_utf8(bytes) {
        Ok(text) => Ok((index, sources.add(path.to_owned(), text))),
        Err(error) => Err(not_utf8(path, &error, sources)),
    }
}

/// The file is shown with marks where it is no text.
fn not_utf8(path: &Path, error: &std::string::FromUtf8Error, sources: &mut Sources) -> Box<Finding> {
    let good = error.utf8_error().valid_up_to();
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let base = sources.add(path.to_owned(), text);
    let mark = '\u{fffd}'.len_utf8();
    let place = Span { start: base + good, end: base + good + mark };
    Box::new((*told(code::SPEC_NOT_UTF8, path, "this is not UTF-8 text")).label(place, "no character"))
}

fn told(code: Code, path: &Path, why: &str) -> Box<Finding> {
    Box::new(Finding::new(code, format!("{}: {why}", path.display())).help(code.cure()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_name_order_without_what_is_no_spec() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", ".hidden.yaml", "_part.yaml", "x.world.yaml", "note.txt"] {
            std::fs::write(folder.path().join(name), "version: 1\n").unwrap();
        }
        std::fs::create_dir(folder.path().join("sub.yaml")).unwrap();
        let files = list(folder.path()).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "b.yml"]);
    }

    #[test]
    fn a_path_that_is_no_text_is_told() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.yaml"));
        std::fs::write(&file, "version: 1\n").unwrap();
        for path in [&file, folder.path()] as [&Path; 2] {
            assert_eq!(list(path).unwrap_err().code, code::SPEC_NOT_UTF8);
        }
    }

    #[test]
    fn what_can_not_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(folder.path()).unwrap_err().code, code::SPEC_NOT_FOUND);
        assert_eq!(list(&folder.path().join("none")).unwrap_err().code, code::SPEC_NOT_FOUND);
        let file = folder.path().join("bad.yaml");
        std::fs::write(&file, b"version: 1\nx: \xff\n").unwrap();
        let mut sources = Sources::default();
        let finding = read(&file, &mut sources).unwrap_err();
        assert_eq!(finding.code, code::SPEC_NOT_UTF8);
        let (shown, range) = sources.locate(finding.labels[0].span).unwrap();
        assert_eq!(&shown.text[range], "\u{fffd}");
        assert_eq!(read(folder.path(), &mut sources).unwrap_err().code, code::SPEC_UNREADABLE);
    }
}
