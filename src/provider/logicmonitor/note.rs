//! A token's note: its name, and behind it what tokenform keeps with the token (PRODUCT section 2).
//!
//! ```text
//! ci-deploy ;tf1 g=7f2c… p=248                    issued by tokenform in place of token 248
//! ci-deploy ;tf1 g=7f2c… p=248 off=1795341600     disabled by tokenform, as replaced
//! ci-deploy ;tf1 g=7f2c… p=248 back=1795946400    enabled again by tokenform: it was still in use
//! ```
//! People can edit notes: a marker is evidence, never a proof.

use jiff::Timestamp;

/// Where the machine's part begins.
pub const MARKER: &str = " ;tf1 ";

/// The machine's part of a note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marker<'a> {
    /// The nonce of the create.
    pub nonce: Option<&'a str>,
    /// The token that it replaced.
    pub predecessor: Option<u64>,
    /// When tokenform disabled it as replaced.
    pub off: Option<Timestamp>,
    /// When tokenform enabled it again.
    pub back: Option<Timestamp>,
}

/// What a change of status writes into a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Disabled as replaced.
    Off,
    /// Enabled again, since it was still in use.
    Back,
    /// Neither: the token is the one in use again.
    Clear,
}

impl Mark {
    /// The word in a step's parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Back => "back",
            Self::Clear => "clear",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Off, Self::Back, Self::Clear].into_iter().find(|mark| mark.as_str() == word)
    }
}

/// The note of a token that tokenform creates; `p=0` is no predecessor.
pub fn issued(name: &str, nonce: &str, predecessor: Option<u64>) -> String {
    format!("{name}{MARKER}g={nonce} p={}", predecessor.unwrap_or(0))
}

/// The human part.
pub fn name(note: &str) -> &str {
    parts(note).map_or(note, |(name, _)| name)
}

/// The human part and the machine's part, where there is one. By the one character of it that names
/// hardly have, since every note of a portal is looked through.
fn parts(note: &str) -> Option<(&str, &str)> {
    let begins = |at: &usize| note[..*at].ends_with(' ') && note[*at..].starts_with(&MARKER[1..]);
    let at = note.match_indices(';').map(|(at, _)| at).find(begins)?;
    Some((&note[..at - 1], &note[at + MARKER.len() - 1..]))
}

/// The machine's part; `None` without one, or if a field of it can't be read.
pub fn marker(note: &str) -> Option<Marker<'_>> {
    let (_, machine) = parts(note)?;
    let mut marker = Marker::default();
    for part in machine.split(' ') {
        match part.split_once('=')? {
            ("g", nonce) => marker.nonce = Some(nonce),
            ("p", id) => marker.predecessor = Some(id.parse().ok()?).filter(|id| *id != 0),
            ("off", at) => marker.off = Some(instant(at)?),
            ("back", at) => marker.back = Some(instant(at)?),
            // a later version may keep more
            _ => {}
        }
    }
    Some(marker)
}

/// The note with another mark: earlier marks go, everything else stays as it is.
pub fn marked(note: &str, mark: Mark, at: Timestamp) -> String {
    let (name, machine) = parts(note).unwrap_or((note, ""));
    let is_mark = |part: &&str| part.starts_with("off=") || part.starts_with("back=");
    let mut parts: Vec<String> =
        machine.split(' ').filter(|part| !part.is_empty() && !is_mark(part)).map(str::to_owned).collect();
    let seconds = at.as_second();
    match mark {
        Mark::Off => parts.push(format!("off={seconds}")),
        Mark::Back => parts.push(format!("back={seconds}")),
        Mark::Clear => {}
    }
    match parts.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{MARKER}{}", parts.join(" ")),
    }
}

/// Whether a note carries this mark of this instant, as [`marked`] writes it.
pub fn carries(note: &str, mark: Mark, at: Timestamp) -> bool {
    let Marker { off, back, .. } = marker(note).unwrap_or_default();
    let same = |found: Option<Timestamp>| found.map(Timestamp::as_second) == Some(at.as_second());
    match mark {
        Mark::Off => same(off) && back.is_none(),
        Mark::Back => same(back) && off.is_none(),
        Mark::Clear => off.is_none() && back.is_none(),
    }
}

fn instant(seconds: &str) -> Option<Timestamp> {
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_note_reads_back_its_name_nonce_and_predecessor() {
        let text = issued("ci deploy", "7f2c", Some(248));
        assert_eq!(text, "ci deploy ;tf1 g=7f2c p=248");
        let whole = Marker { nonce: Some("7f2c"), predecessor: Some(248), ..Marker::default() };
        assert_eq!((name(&text), marker(&text)), ("ci deploy", Some(whole)));
        assert_eq!(marker(&issued("x", "a", None)).unwrap().predecessor, None);
        assert_eq!(marker("x ;tf1 g=a p=no"), None);
        assert_eq!(marker("x ;tf1 g=a p=1 off=soon"), None);
        assert_eq!(marker("x ;tf1 g=a p=1 z=new").unwrap().predecessor, Some(1));
        assert_eq!((marker("plain"), name("plain")), (None, "plain"));
    }

    #[test]
    fn one_mark_replaces_another_and_the_rest_of_the_note_stays() {
        let fresh = issued("ci", "7f", Some(4));
        let off = marked(&fresh, Mark::Off, at(1_795_341_600));
        assert_eq!(off, "ci ;tf1 g=7f p=4 off=1795341600");
        let back = marked(&off, Mark::Back, at(1_795_946_400));
        assert_eq!(back, "ci ;tf1 g=7f p=4 back=1795946400");
        assert_eq!(marked(&back, Mark::Clear, at(0)), fresh);
        assert_eq!(marker(&off).unwrap().off, Some(at(1_795_341_600)));
        assert_eq!(marker(&back).unwrap().back, Some(at(1_795_946_400)));
    }

    #[test]
    fn a_note_that_people_wrote_gets_a_mark_and_loses_it_again() {
        let off = marked("ci  deploy ", Mark::Off, at(9));
        assert_eq!((off.as_str(), name(&off)), ("ci  deploy  ;tf1 off=9", "ci  deploy "));
        assert_eq!(marked(&off, Mark::Clear, at(0)), "ci  deploy ");
    }

    #[test]
    fn a_mark_is_recognised_by_its_instant() {
        let off = marked("ci", Mark::Off, at(9));
        assert!(carries(&off, Mark::Off, at(9)) && !carries(&off, Mark::Off, at(8)));
        assert!(!carries(&off, Mark::Back, at(9)) && !carries(&off, Mark::Clear, at(9)));
        assert!(carries("ci", Mark::Clear, at(9)));
        for mark in [Mark::Off, Mark::Back, Mark::Clear] {
            assert_eq!(Mark::parse(mark.as_str()), Some(mark));
        }
    }
}
