//! Proof that the team header selects the team (contract ibm 3.2): an unknown header is ignored by
//! the vendor, and then every reset would hit the caller's default team.

use std::collections::BTreeMap;

use super::client::{Api, Told};
use super::state::HeaderProof;
use super::wire::Me;
use crate::model::secret::Fingerprint;

/// What is known when the proof is tried.
pub struct Seen<'a> {
    pub me: &'a Me,
    /// Ids of all visible teams.
    pub visible: &'a [u64],
    /// The caller's own keys that were read under a team header. Keys of other owners prove nothing:
    /// their path names the team.
    pub own: &'a BTreeMap<u64, Fingerprint>,
}

/// Tries the proof, with at most one more request.
pub async fn prove(api: &Api<'_>, seen: &Seen<'_>) -> Told<HeaderProof> {
    match judge(seen) {
        Judged::Proof(proof) => Ok(proof),
        Judged::Ask(team) => {
            let me = api.me(Some(team)).await.map_err(|error| error.finding)?;
            Ok(followed(team, me.current_team))
        }
    }
}

#[derive(Debug, PartialEq)]
enum Judged {
    Proof(HeaderProof),
    /// `users/me` under this team's header decides.
    Ask(u64),
}

fn judge(seen: &Seen<'_>) -> Judged {
    if let Some((a, b)) = twins(seen.own) {
        let why = format!("teams {a} and {b} gave the same key, so the header may be ignored");
        return Judged::Proof(HeaderProof::Unproven(why));
    }
    if seen.own.len() > 1 {
        return Judged::Proof(HeaderProof::Proven);
    }
    let current = seen.me.current_team;
    match seen.visible {
        [] => Judged::Proof(HeaderProof::Unproven("no team is visible to this identity".into())),
        [only] if current == Some(*only) => Judged::Proof(HeaderProof::Proven),
        [only] => {
            let why = format!("the one visible team is {only}, and the caller's current team is not");
            Judged::Proof(HeaderProof::Unproven(why))
        }
        teams => Judged::Ask(other_than(current, teams)),
    }
}

/// A team that the vendor would not pick by itself.
fn other_than(current: Option<u64>, teams: &[u64]) -> u64 {
    teams.iter().copied().find(|team| Some(*team) != current).unwrap_or(teams[0])
}

/// Two teams with one key.
fn twins(own: &BTreeMap<u64, Fingerprint>) -> Option<(u64, u64)> {
    let mut seen = BTreeMap::new();
    own.iter().find_map(|(team, key)| seen.insert(key, *team).map(|earlier| (earlier, *team)))
}

fn followed(asked: u64, current: Option<u64>) -> HeaderProof {
    if current == Some(asked) {
        return HeaderProof::Proven;
    }
    let why = format!(
        "asked under team {asked}, `users/me` did not follow, and the key of only one team is in scope; \
         declare a second team so that two keys can be compared"
    );
    HeaderProof::Unproven(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::{DigestKey, Secret};

    fn judged(current: Option<u64>, visible: &[u64], own: &[(u64, &str)]) -> Judged {
        let key = DigestKey::new(Secret::new(vec![1; 32]));
        let print = |text: &str| key.fingerprint(&Secret::new(text.into()));
        let own = own.iter().map(|(team, text)| (*team, print(text))).collect();
        let me = Me { username: "ops".into(), current_team: current };
        judge(&Seen { me: &me, visible, own: &own })
    }

    fn unproven(judged: &Judged) -> bool {
        matches!(judged, Judged::Proof(HeaderProof::Unproven(_)))
    }

    #[test]
    fn keys_must_all_differ() {
        let proven = Judged::Proof(HeaderProof::Proven);
        assert_eq!(judged(Some(1), &[1, 2], &[(1, "a"), (2, "b")]), proven);
        assert!(unproven(&judged(Some(1), &[1, 2], &[(1, "a"), (2, "a")])));
        // A team that falls back to the default one is found among others that don't.
        assert!(unproven(&judged(Some(1), &[1, 2, 3], &[(1, "a"), (2, "b"), (3, "a")])));
    }

    #[test]
    fn a_single_visible_team_must_be_the_current_one() {
        assert_eq!(judged(Some(1), &[1], &[(1, "a")]), Judged::Proof(HeaderProof::Proven));
        assert!(unproven(&judged(Some(2), &[1], &[(1, "a")])));
        assert!(unproven(&judged(None, &[1], &[(1, "a")])));
        assert!(unproven(&judged(Some(1), &[], &[])));
    }

    #[test]
    fn users_me_is_asked_under_a_team_that_is_not_the_current_one() {
        assert_eq!(judged(Some(1), &[1, 2], &[(1, "a")]), Judged::Ask(2));
        assert_eq!(judged(Some(2), &[1, 2], &[]), Judged::Ask(1));
        assert_eq!(followed(2, Some(2)), HeaderProof::Proven);
        assert!(matches!(followed(2, Some(1)), HeaderProof::Unproven(_)));
        assert!(matches!(followed(2, None), HeaderProof::Unproven(_)));
    }
}
