//! What the ledger tells a planner, and the facts that a journal hands to it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::secret::Fingerprint;
use super::step::StepId;
use super::who::Who;

/// The ledger, added up per object.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The hash of the last ledger line; absent where there is no ledger at all.
    pub head: Option<String>,
    pub objects: BTreeMap<Address, Past>,
    /// When the last step of each connection was finished: tokenform's last sure look at it.
    pub looked_at: BTreeMap<Address, Timestamp>,
    /// The vendor's ids of instances and users, as steps on them or below them last had them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<Address, String>,
    /// The apply that a plan goes on with, if it goes on with one.
    #[serde(skip)]
    pub interrupted: Option<Interrupted>,
}

impl History {
    /// What is remembered of an object and of all below it.
    pub fn below<'h>(&'h self, address: &'h Address) -> impl Iterator<Item = (&'h Address, &'h Past)> {
        self.objects.range(address..).take_while(|(object, _)| address.covers(object))
    }
}

/// What an interrupted apply has done, for a plan that amends its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    pub apply_id: String,
    /// Its done resets.
    pub resets: BTreeMap<StepId, Facts>,
    /// Instances that it unlocked: their resets were approved with that.
    pub unlocked: BTreeSet<Address>,
}

/// What is remembered of one object: the latest of each fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Past {
    pub issued_at: Option<Timestamp>,
    /// The present value was issued elsewhere, after this instant: until then another one was seen.
    pub issued_after: Option<Timestamp>,
    /// When the present value was last seen by a step.
    pub seen_at: Option<Timestamp>,
    pub fingerprint: Option<Fingerprint>,
    /// The id of the live object, where the vendor gives one.
    pub remote_id: Option<u64>,
    /// Whether the object was last left enabled, where a step of ours said so.
    pub enabled: Option<bool>,
    /// When a step of ours disabled the object; one that was enabled or issued since has none.
    pub disabled_at: Option<Timestamp>,
    /// Slot ([`super::step::Delivery::slot`]) → fingerprint of the value it was given.
    pub delivered: BTreeMap<String, Fingerprint>,
    /// Slots that were to get the present value and did not, and it can't be had again.
    pub lacking: BTreeSet<String>,
    /// Id of a token and id of one that it replaced, directly or not, over all generations.
    pub replaced: BTreeSet<(u64, u64)>,
    /// The token that a `replace` deleted and whose successor was not issued since.
    pub removed: Option<u64>,
    /// Ids of replaced tokens that a step of ours disabled and that are still there, and when.
    pub retired: BTreeMap<u64, Timestamp>,
    /// When a step of ours opened the instance; a later lock forgets it. Tokens issued before may
    /// work again since then.
    pub unlocked_at: Option<Timestamp>,
    /// The setting that a step of ours has left, for example `IAM_ONLY`, and when.
    pub setting: Option<(String, Timestamp)>,
    /// Whether a plan of ours protected it, and none has lifted that since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// The hold that an unlock of ours has set, until it ends or the instance is locked.
    pub hold: Option<Hold>,
}

/// Why an unlocked instance is not locked again, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub until: Timestamp,
    pub reason: String,
    pub by: Who,
}

/// What is learnt while a step runs. Secret-free: stored in the journal and in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The fingerprint of the value that was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_fingerprint: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_id: Option<String>,
    /// What the issued token takes the place of; of a delete by `replace`, its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<u64>,
    /// The token that replaced the one which the step was on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<u64>,
    /// The instant that the step wrote into the object's note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How a reset was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Whose token it is, where a token belongs to an identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The setting after the step, for example `IAM_ONLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// The setting before the step, for a step that may have to be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier_setting: Option<String>,
    /// Until when an unlocked instance is not locked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Timestamp>,
    /// The vendor's id of what the object belongs to: an instance's guid, a user's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// Slots that were to get the value and did not, and it can't be had again.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub lacking: BTreeSet<String>,
}

impl Facts {
    /// These facts laid over earlier ones. Every field is named, so that a new one is not forgotten.
    pub fn over(self, earlier: Self) -> Self {
        let Self {
            fingerprint,
            old_fingerprint,
            issued_at,
            remote_id,
            access_id,
            predecessor,
            successor,
            marked_at,
            nonce,
            enabled,
            proof,
            identity,
            setting,
            earlier_setting,
            hold_until,
            owner_id,
            lacking,
        } = self;
        Self {
            fingerprint: fingerprint.or(earlier.fingerprint),
            old_fingerprint: old_fingerprint.or(earlier.old_fingerprint),
            issued_at: issued_at.or(earlier.issued_at),
            remote_id: remote_id.or(earlier.remote_id),
            access_id: access_id.or(earlier.access_id),
            predecessor: predecessor.or(earlier.predecessor),
            successor: successor.or(earlier.successor),
            marked_at: marked_at.or(earlier.marked_at),
            nonce: nonce.or(earlier.nonce),
            enabled: enabled.or(earlier.enabled),
            proof: proof.or(earlier.proof),
            identity: identity.or(earlier.identity),
            setting: setting.or(earlier.setting),
            earlier_setting: earlier_setting.or(earlier.earlier_setting),
            hold_until: hold_until.or(earlier.hold_until),
            owner_id: owner_id.or(earlier.owner_id),
            lacking: if lacking.is_empty() { earlier.lacking } else { lacking },
        }
    }
}

/// That a slot was given a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub fingerprint: Fingerprint,
    /// Absent where a ledger of version 1 tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

// PRODUCT section 2
/// How a reset was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The old value was tried and refused.
    Refused,
    /// Only a changed fingerprint is known: the old value was lost with a crash.
    Changed,
}
