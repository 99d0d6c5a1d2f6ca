//! The file of allowed signers, in OpenSSH's format (ssh-keygen(1), ALLOWED SIGNERS): whose signatures
//! count, for what and when.
//!
//! ```text
//! ada@example.com namespaces="tokenform",valid-before="20271231Z" ssh-ed25519 AAAA… comment
//! ```
//! Stricter than OpenSSH where a name must tell one person from another: principals are plain names, and a
//! `cert-authority` line is refused, never skipped.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;

/// One line of the file.
pub struct Signer {
    pub principals: Vec<String>,
    pub key: PublicKey,
    /// Patterns; none: every namespace.
    namespaces: Option<Vec<String>>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

/// Why a file can't be used, with the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadSigners {
    pub line: usize,
    pub why: String,
}

/// Reads the file. Dates without a `Z` are of `zone`, as OpenSSH takes them.
pub fn parse(text: &str, zone: &TimeZone) -> Result<Vec<Signer>, BadSigners> {
    let lines = text.lines().zip(1..).map(|(text, line)| (text.trim(), line));
    let lines = lines.filter(|(text, _)| !text.is_empty() && !text.starts_with('#'));
    lines.map(|(text, line)| signer(text, zone).map_err(|why| BadSigners { line, why })).collect()
}

impl Signer {
    /// Why a signature by this key does not count, if it doesn't.
    pub fn refuses(&self, namespace: &str, now: Timestamp) -> Option<String> {
        if self.namespaces.as_ref().is_some_and(|patterns| !matches_list(patterns, namespace)) {
            return Some(format!("its key is not for the namespace `{namespace}`"));
        }
        if let Some(from) = self.valid_after.filter(|from| now < *from) {
            return Some(format!("its key is valid only from {from}"));
        }
        let until = self.valid_before.filter(|until| now > *until)?;
        Some(format!("its key was valid until {until}"))
    }
}

fn signer(text: &str, zone: &TimeZone) -> Result<Signer, String> {
    let mut words = words(text)?;
    if words.len() < 3 {
        return Err("a line is PRINCIPALS [OPTIONS] KEYTYPE KEY".to_owned());
    }
    let principals = principals(&words.remove(0))?;
    let signer = |options: &str, key: &[String]| -> Result<Signer, String> {
        let openssh = key.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
        let key = PublicKey::from_openssh(&openssh);
        let key = key.map_err(|error| format!("its key can't be read: {error}"))?;
        let signer = Signer {
            principals: principals.clone(),
            key,
            namespaces: None,
            valid_after: None,
            valid_before: None,
        };
        with_options(signer, options, zone)
    };
    match is_key_type(&words[0]) {
        true => signer("", &words),
        false => signer(&words[0], &words[1..]),
    }
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start))
}

/// Plain names: a pattern could stand for anybody.
fn principals(word: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = word.replace('"', "").split(',').map(str::to_owned).collect();
    match names.iter().find(|name| name.is_empty() || name.contains(['*', '?', '!'])) {
        None => Ok(names),
        Some(name) => Err(format!("the principal `{name}` does not name one person")),
    }
}

fn with_options(mut signer: Signer, text: &str, zone: &TimeZone) -> Result<Signer, String> {
    for option in split(text, ',')?.iter().filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => signer.namespaces = Some(value.split(',').map(str::to_owned).collect()),
            "valid-after" => signer.valid_after = Some(instant(value, zone)?),
            "valid-before" => signer.valid_before = Some(instant(value, zone)?),
            "cert-authority" => {
                return Err("`cert-authority` is not supported: list the key of each approver".to_owned());
            }
            other => return Err(format!("the option `{other}` is not known")),
        }
    }
    Ok(signer)
}

/// `YYYYMMDD[Z]` or `YYYYMMDDHHMM[SS][Z]`.
fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let told = || format!("`{text}` is no date: write YYYYMMDDZ or YYYYMMDDHHMMSSZ");
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, &TimeZone::UTC),
        None => (text, zone),
    };
    let whole = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(told()),
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%S", &whole).map_err(|_| told())?;
    Ok(civil.to_zoned(zone.clone()).map_err(|_| told())?.timestamp())
}

/// The words of a line; spaces within quotes belong to a word.
fn words(text: &str) -> Result<Vec<String>, String> {
    let words = split(&text.replace('\t', " "), ' ')?;
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect())
}

fn split(text: &str, at: char) -> Result<Vec<String>, String> {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        quoted ^= c == '"';
        match parts.last_mut() {
            Some(part) if c != at || quoted => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok(parts) }
}

/// OpenSSH's pattern list: one must match, and none with `!`.
fn matches_list(patterns: &[String], text: &str) -> bool {
    let negated = |pattern: &String| pattern.strip_prefix('!').is_some_and(|p| matches(p, text));
    !patterns.iter().any(negated) && patterns.iter().any(|pattern| matches(pattern, text))
}

fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let rest = &pattern[1..];
            matches(rest, text)
                || text.chars().next().is_some_and(|c| matches(pattern, &text[c.len_utf8()..]))
        }
        (Some(p), Some(t)) if p == '?' || p == t => matches(&pattern[p.len_utf8()..], &text[t.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../tests/ssh/ada.pub");

    fn one(start: &str) -> Result<Signer, String> {
        let signers = parse(&format!("# a comment\n\n{start} {KEY}"), &TimeZone::UTC);
        signers.map(|mut signers| signers.remove(0)).map_err(|error| error.to_string())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_names_people_and_says_for_what_and_when_a_key_counts() {
        let now = at("2026-11-22T10:00:00Z");
        let plain = one("ada@example.com,ada").unwrap();
        assert_eq!(plain.principals, ["ada@example.com", "ada"]);
        assert_eq!(plain.refuses("tokenform", now), None);
        let git = one("ada namespaces=\"git,file\"").unwrap();
        assert!(git.refuses("tokenform", now).unwrap().contains("namespace"));
        assert!(one("ada namespaces=\"git,token*\"").unwrap().refuses("tokenform", now).is_none());
        assert!(one("ada namespaces=\"*,!tokenform\"").unwrap().refuses("tokenform", now).is_some());
        let bounded = one("ada valid-after=\"20261101Z\",valid-before=\"202612011200Z\"").unwrap();
        assert_eq!(bounded.refuses("tokenform", now), None);
        assert!(bounded.refuses("tokenform", at("2026-10-31T23:59:59Z")).unwrap().contains("from"));
        assert!(bounded.refuses("tokenform", at("2026-12-01T12:00:01Z")).unwrap().contains("until"));
    }

    #[test]
    fn a_date_without_a_z_is_of_the_machines_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(instant("20261122", &zone).unwrap(), at("2026-11-21T22:00:00Z"));
        assert_eq!(instant("20261122101112Z", &zone).unwrap(), at("2026-11-22T10:11:12Z"));
        assert!(instant("2026-11-22", &zone).is_err() && instant("20261340", &zone).is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (start, why) in [
            ("ada cert-authority", "line 3: `cert-authority` is not supported"),
            ("*@example.com", "does not name one person"),
            ("ada no-touch-required", "is not known"),
            ("ada valid-after=\"soon\"", "is no date"),
            ("ada namespaces=\"git", "quote"),
        ] {
            let told = one(start).err().unwrap();
            assert!(told.contains(why), "{start}: {told}");
        }
        assert!(parse("ada ssh-ed25519", &TimeZone::UTC).is_err());
        assert!(parse("ada ssh-ed25519 AAAA", &TimeZone::UTC).is_err());
    }
}
