//! Small words of a spec and what they may look like: origins, names, ids, paths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};

/// A check of one word: says what is wrong with it.
pub type Check = fn(&str) -> Option<&'static str>;

/// Letters, digits and `-`: it becomes part of a host name.
pub fn region(text: &str) -> Option<&'static str> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (text.is_empty() || !text.bytes().all(good)).then_some("a region is written like us-south")
}

pub fn guid(text: &str) -> Option<&'static str> {
    let good = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    (text.is_empty() || !text.bytes().all(good)).then_some("a guid holds only hexadecimal digits and `-`")
}

/// One label of a host name, so that a credential can't be sent elsewhere.
pub fn account(text: &str) -> Option<&'static str> {
    (!is_label(text)).then_some("an account is one word of letters, digits and `-`, such as acme")
}

/// A host name without a port or a path.
pub fn domain(text: &str) -> Option<&'static str> {
    let good = text.contains('.') && text.split('.').all(is_label);
    (!good).then_some("a domain is written like logicmonitor.com")
}

fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub fn not_empty(text: &str) -> Option<&'static str> {
    text.trim().is_empty().then_some("it must not be empty")
}

/// The human part of a token's note (contract logicmonitor 4.2: at most 120 ASCII characters in all).
pub fn token_name(text: &str) -> Option<&'static str> {
    let printable = |b: u8| b == b' ' || b.is_ascii_graphic();
    if text.is_empty() {
        Some("a token's name must not be empty")
    } else if text.len() > 60 {
        Some("a token's name has at most 60 characters: it becomes part of the token's note")
    } else if !text.bytes().all(printable) {
        Some("a token's name holds only printable ASCII: it becomes part of the token's note")
    } else if text.contains(";tf1") {
        Some("`;tf1` begins tokenform's own part of a note")
    } else {
        (text.trim() != text).then_some("a token's name must not begin or end with a space")
    }
}

/// A key of a dotenv file.
pub fn dotenv_key(text: &str) -> Option<&'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bad = text.is_empty() || !text.bytes().all(good) || text.starts_with(|c: char| c.is_ascii_digit());
    bad.then_some("a dotenv key is letters, digits and `_`, and does not begin with a digit")
}

/// A key of a JSON file, or one that a command is told.
pub fn plain_key(text: &str) -> Option<&'static str> {
    let bad = text.trim().is_empty() || text.chars().any(char::is_control);
    bad.then_some("a key must not be empty and holds no control characters")
}

/// The path of a reset call.
pub fn reset_path(text: &str) -> Option<&'static str> {
    let rest = text.replace("{team_id}", "").replace("{username}", "");
    if !text.starts_with('/') {
        Some("a path begins with `/`")
    } else if text.contains(['?', '#', '\\', '%']) || text.chars().any(|c| c.is_control() || c == ' ') {
        Some("a path holds no `?`, `#`, `%`, `\\` or spaces")
    } else if text.starts_with("//") || text.split('/').any(|part| part == ".." || part == ".") {
        Some("a path holds no `.` or `..` parts and no second `/` at its begin")
    } else {
        rest.contains(['{', '}']).then_some("only `{team_id}` and `{username}` are filled in")
    }
}

/// An origin in one form: lower case, no slash at the end. Says what is wrong with any other text.
pub fn origin(text: &str) -> Result<String, &'static str> {
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or("an endpoint begins with https://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@', '\\']) {
        return Err("an endpoint is scheme, host and port alone, without a path");
    }
    let (host, port) = split_port(authority).ok_or("the host of an endpoint is a name or an address")?;
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return Err("the port of an endpoint is a number from 1 to 65535");
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return Err("http:// is only for loopback: a credential would be sent in clear"),
        _ => return Err("an endpoint begins with https://"),
    }
    Ok(format!("{scheme}://{authority}"))
}

/// Host and port; no host that is neither a name nor an address.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
        return Some((address, port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    host.split('.').all(is_label).then_some((host, port))
}

fn is_loopback(host: &str) -> bool {
    let address =
        host.parse::<Ipv4Addr>().map(IpAddr::V4).or_else(|_| host.parse::<Ipv6Addr>().map(IpAddr::V6));
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A path as written in a file of `folder`, from where the tool runs. `.` parts are dropped, nothing
/// is looked up.
pub fn beside(folder: &Path, path: &Path) -> PathBuf {
    plain(&folder.join(path))
}

/// A path without its `.` parts.
pub fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// A path with `..` taken away lexically, to compare two of them.
pub fn flat(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        let named = matches!(flat.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if named => {
                flat.pop();
            }
            _ => flat.push(part),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        for (text, origin_of) in [
            ("https://iam.cloud.ibm.com", "https://iam.cloud.ibm.com"),
            ("HTTPS://Host:8443/", "https://host:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("http://localhost:1", "http://localhost:1"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(origin_of));
        }
        for text in [
            "",
            "host",
            "ftp://host",
            "https://",
            "https://host/api",
            "https://u@host",
            "https://host?x",
            "https://host#x",
            "https://host:0",
            "https://host:99999",
            "https://host:",
            "https://ho st",
            "http://host",
            "http://127.0.0.1.evil.com",
            "http://localhost.evil.com",
            "https://[::1",
            "https://[x]",
            "https://a..b",
            "http://0.0.0.0",
            "https://host\\x",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_that_reach_a_host_name_or_a_note_are_plain() {
        for (check, good, bad) in [
            (region as Check, vec!["us-south", "eu-fr2"], vec!["", "US", "us.south", "a/b", "x@y"]),
            (guid, vec!["5df8bd6b-1f8b-4b9e-8e5c-9d3b0d3f6a11"], vec!["", "xyz", "a/b"]),
            (account, vec!["acme", "acme-2"], vec!["", "a.b", "a/b", "a@b", "a:1", "-a"]),
            (domain, vec!["logicmonitor.com", "lmgov.us"], vec!["", "com", "a..b", "a.b/", "a.b:1"]),
            (
                token_name,
                vec!["ci-deploy", "a b"],
                vec!["", " a", "ü", "x ;tf1 y", "x ;tf1", "a\nb", &"x".repeat(61)],
            ),
            (dotenv_key, vec!["A_1"], vec!["", "1A", "A-B", "A=B"]),
            (
                reset_path,
                vec!["/api/token/{team_id}/reset", "/a/{username}"],
                vec!["", "a", "/a?b", "/a#b", "/../a", "/{x}", "//host/a", "/a%2e"],
            ),
        ] {
            good.iter().for_each(|text| assert_eq!(check(text), None, "{text}"));
            bad.iter().for_each(|text| assert!(check(text).is_some(), "{text}"));
        }
    }

    #[test]
    fn paths_are_from_the_file_that_names_them() {
        assert_eq!(beside(Path::new("./a"), Path::new("./x/ops.env")), Path::new("a/x/ops.env"));
        assert_eq!(beside(Path::new(""), Path::new("/etc/x")), Path::new("/etc/x"));
        assert_eq!(flat(Path::new("a/../b/./c")), Path::new("b/c"));
        assert_eq!(flat(Path::new("../a/../b")), Path::new("../b"));
    }
}
