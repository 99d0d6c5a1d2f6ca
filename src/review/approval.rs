//! Approvals: detached SSH signatures over a plan file, as `ssh-keygen -Y sign -n tokenform` makes them.
//!
//! They are verified over the very bytes that are applied, so a new plan voids the approvals of an earlier one,
//! and they end with the plan. Keys are ed25519 and ECDSA, also of hardware; RSA is refused by name.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::signers::Signer;
use crate::model::approval::{Approval, Role, same_person};
use crate::model::code;
use crate::model::finding::Finding;

/// What a signature must be for.
pub const NAMESPACE: &str = "tokenform";

/// A signature file.
pub struct Signature {
    /// For people.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What is asked of a plan's approvals.
pub struct Asked<'a> {
    /// How many people.
    pub count: usize,
    /// Roles that must be different people.
    pub differ: &'a BTreeSet<Role>,
    pub planner: Option<&'a str>,
    pub applier: Option<&'a str>,
}

/// The approvals that count, of different people; else why they don't suffice.
pub fn judge(
    plan: &[u8],
    signatures: &[Signature],
    signers: &[Signer],
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<Vec<Approval>, Vec<Finding>> {
    let (mut approvals, mut refused): (Vec<Approval>, Vec<Finding>) = (Vec::new(), Vec::new());
    let mut refuse = |signature: &Signature, why: String| {
        refused.push(Finding::new(code::REVIEW_SIGNATURE, format!("{}: {why}", signature.name)));
    };
    for signature in signatures {
        match verified(plan, signature, signers, now) {
            Err(why) => refuse(signature, why),
            Ok(approval) => match reason_against(&approval, &approvals, asked) {
                Some(why) => refuse(signature, why),
                None => approvals.push(approval),
            },
        }
    }
    refused.extend(same_planner_and_applier(asked));
    let alike = refused.iter().any(|finding| finding.code == code::REVIEW_SAME_PERSON);
    if approvals.len() >= asked.count && !alike {
        return Ok(approvals);
    }
    if approvals.len() < asked.count {
        let message = format!(
            "{} of {} needed approvals: the plan file must be signed by {} more",
            approvals.len(),
            asked.count,
            asked.count - approvals.len()
        );
        refused.insert(0, Finding::new(code::REVIEW_APPROVALS, message));
    }
    Err(refused)
}

/// Verifies one signature over the plan's bytes.
fn verified(
    plan: &[u8],
    signature: &Signature,
    signers: &[Signer],
    now: Timestamp,
) -> Result<Approval, String> {
    let parsed = SshSig::from_pem(&signature.bytes);
    let parsed = parsed.map_err(|error| format!("it is no SSH signature: {error}"))?;
    if parsed.namespace() != NAMESPACE {
        let namespace = parsed.namespace();
        return Err(format!("it was made for `{namespace}`: sign with ssh-keygen -Y sign -n {NAMESPACE}"));
    }
    if let Algorithm::Rsa { .. } | Algorithm::Dsa = parsed.public_key().algorithm() {
        return Err("RSA and DSA keys are not taken: sign with an ed25519 or ECDSA key".to_owned());
    }
    let key = PublicKey::from(parsed.public_key().clone());
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let mut listed = signers.iter().filter(|signer| signer.key.key_data() == key.key_data());
    key.verify(NAMESPACE, plan, &parsed)
        .map_err(|_| format!("it is not over this plan file (key {fingerprint})"))?;
    if is_hardware(&key) && !touched(&parsed) {
        return Err(format!("nobody touched the hardware key {fingerprint} for it"));
    }
    let mut why = format!("nobody whose signature counts has the key {fingerprint}");
    match listed.find(|signer| signer.refuses(NAMESPACE, now).map(|told| why = told).is_none()) {
        Some(signer) => Ok(Approval { by: signer.principals.clone(), key: fingerprint }),
        None => Err(why),
    }
}

fn is_hardware(key: &PublicKey) -> bool {
    matches!(key.key_data(), KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_))
}

/// The first flag of a hardware key's signature, which ends in a byte of flags and a counter of four.
fn touched(signature: &SshSig) -> bool {
    let bytes = signature.signature_bytes();
    bytes.len().checked_sub(5).is_some_and(|at| bytes[at] & 1 == 1)
}

/// Why a good signature does not count beside the others.
fn reason_against(approval: &Approval, others: &[Approval], asked: &Asked<'_>) -> Option<String> {
    let same = |name: &str| approval.by.iter().any(|by| same_person(by, name));
    if others.iter().any(|other| other.key == approval.key || other.by.iter().any(|by| same(by))) {
        return Some(format!("{} approved already", approval.by.join(", ")));
    }
    let role = |role, person: Option<&str>| {
        let both = asked.differ.contains(&Role::Approver) && asked.differ.contains(&role);
        let person = person.filter(|person| both && same(person))?;
        let is = format!("is also its {} ({person})", role.as_str());
        Some(format!("{} {is}, who must be somebody else", approval.by.join(", ")))
    };
    role(Role::Planner, asked.planner).or_else(|| role(Role::Applier, asked.applier))
}

/// Roles that must differ and can't be told apart.
fn same_planner_and_applier(asked: &Asked<'_>) -> Option<Finding> {
    let known = [(Role::Planner, asked.planner), (Role::Applier, asked.applier)];
    let unknown = known.iter().find(|(role, person)| asked.differ.contains(role) && person.is_none());
    let message = match (unknown, asked.planner, asked.applier) {
        (Some((role, _)), _, _) => format!("nobody knows who the {} is", role.as_str()),
        (None, Some(planner), Some(applier))
            if asked.differ.contains(&Role::Planner)
                && asked.differ.contains(&Role::Applier)
                && same_person(planner, applier) =>
        {
            format!("planner ({planner}) and applier ({applier}) must be different people")
        }
        _ => return None,
    };
    Some(Finding::new(code::REVIEW_SAME_PERSON, message))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::review::signers::parse;

    // made once by OpenSSH's ssh-keygen, over `the plan\n`
    const PLAN: &[u8] = b"the plan\n";
    const ADA: &str = include_str!("../../tests/ssh/ada.pub");
    const BOB: &str = include_str!("../../tests/ssh/bob.pub");
    const RSA: &str = include_str!("../../tests/ssh/rsa.pub");
    const BY_ADA: &str = include_str!("../../tests/ssh/m.ada.sig");
    const BY_BOB: &str = include_str!("../../tests/ssh/m.bob.sig");
    const BY_RSA: &str = include_str!("../../tests/ssh/m.rsa.sig");
    const FOR_FILES: &str = include_str!("../../tests/ssh/m.other.sig");

    fn signers() -> String {
        format!("ada@example.com {ADA}bob@example.com {BOB}carl@example.com {RSA}")
    }

    struct Case<'a> {
        plan: &'a [u8],
        signatures: &'a [&'a str],
        signers: String,
        count: usize,
        differ: &'a [Role],
    }

    impl Default for Case<'_> {
        fn default() -> Self {
            Self { plan: PLAN, signatures: &[BY_ADA, BY_BOB], signers: signers(), count: 2, differ: &[] }
        }
    }

    impl Case<'_> {
        fn judged(&self) -> Result<Vec<Approval>, String> {
            let named = |(text, n): (&&str, usize)| Signature {
                name: n.to_string(),
                bytes: text.as_bytes().to_vec(),
            };
            let signatures: Vec<_> = self.signatures.iter().zip(1..).map(named).collect();
            let signers = parse(&self.signers, &TimeZone::UTC).unwrap();
            let differ = self.differ.iter().copied().collect();
            let asked =
                Asked { count: self.count, differ: &differ, planner: Some("ada"), applier: Some("bob") };
            let now = "2026-11-22T10:00:00Z".parse().unwrap();
            let told = |findings: Vec<Finding>| {
                findings.iter().map(|f| f.message.clone()).collect::<Vec<_>>().join("; ")
            };
            judge(self.plan, &signatures, &signers, &asked, now).map_err(told)
        }

        #[track_caller]
        fn refused(&self, why: &str) {
            let told = self.judged().unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn signatures_of_the_real_tool_count_once_for_each_person() {
        let approvals = Case::default().judged().unwrap();
        assert_eq!(approvals[0].by, ["ada@example.com"]);
        assert!(approvals[1].key.starts_with("SHA256:"));
        Case { signatures: &[BY_ADA, BY_ADA], ..Case::default() }.refused("approved already");
        let twice = format!("ada@example.com {ADA}ada@example.com {BOB}");
        Case { signers: twice, ..Case::default() }.refused("1 of 2 needed approvals");
        assert_eq!(Case { signatures: &[], count: 0, ..Case::default() }.judged().unwrap(), []);
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let one = || Case { signatures: &[BY_ADA], count: 1, ..Case::default() };
        Case { plan: b"the plan!\n", ..one() }.refused("is not over this plan file");
        Case { signatures: &[FOR_FILES], ..one() }.refused("it was made for `file`");
        Case { signatures: &["hello"], ..one() }.refused("is no SSH signature");
        Case { signatures: &[BY_RSA], ..one() }.refused("RSA and DSA keys are not taken");
        Case { signers: format!("bob {BOB}"), ..one() }.refused("nobody whose signature counts has the key");
        Case { signers: format!("ada valid-before=\"20260101Z\" {ADA}"), ..one() }.refused("was valid until");
        Case { signers: format!("ada valid-after=\"20270101Z\" {ADA}"), ..one() }.refused("valid only from");
        Case { signers: format!("ada namespaces=\"git\" {ADA}"), ..one() }.refused("not for the namespace");
        // a second line of the same key may count
        let renewed = format!("ada valid-before=\"20260101Z\" {ADA}ada {ADA}");
        assert_eq!(Case { signers: renewed, ..one() }.judged().unwrap().len(), 1);
        let cut = &BY_ADA[..BY_ADA.len() / 2];
        Case { signatures: &[cut], ..one() }.refused("is no SSH signature");
    }

    #[test]
    fn planner_approver_and_applier_may_have_to_be_different_people() {
        use Role::{Applier, Approver, Planner};
        let one = |differ| Case { signatures: &[BY_ADA], count: 1, differ, ..Case::default() };
        one(&[Planner, Approver]).refused("is also its planner (ada)");
        assert!(one(&[Approver, Applier]).judged().is_ok());
        assert!(one(&[Planner, Applier]).judged().is_ok());
        Case { signatures: &[BY_BOB], ..one(&[Approver, Applier]) }.refused("is also its applier (bob)");
    }
}
