//! How long each value lived: from its issue to the moment at which it stopped working.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::history::Facts;
use crate::model::secret::Fingerprint;
use crate::model::verb::Verb;
use crate::model::vocabulary::Period;
use crate::state::ledger::{Finished, Row};

/// One generation of an object's secret, as far as the ledger tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub address: Address,
    pub fingerprint: Option<Fingerprint>,
    /// The id of the live object that held it, where each generation is one of its own.
    pub remote_id: Option<u64>,
    pub issued_at: Timestamp,
    /// The number of the line that tells of its issue.
    pub issued_by: usize,
    /// When it stopped working; absent while it works, and where nobody knows.
    pub revoked_at: Option<Timestamp>,
    /// The number of the line that tells of its end.
    pub ended_by: Option<usize>,
}

impl Life {
    pub fn lived(&self) -> Option<Period> {
        self.revoked_at.map(|end| Period::between(self.issued_at, end))
    }
}

/// Every generation that the ledger issued, in the order of their beginnings.
pub fn lives<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<Life> {
    let mut book = Book::default();
    for row in rows {
        if let Some(step) = row.line.entry.step() {
            book.take(row, step);
        }
    }
    book.lives
}

#[derive(Default)]
struct Book {
    lives: Vec<Life>,
    /// The present generation of an object that has one at a time.
    present: BTreeMap<Address, usize>,
    /// Generations that are live objects of their own.
    by_id: BTreeMap<(Address, u64), usize>,
}

impl Book {
    fn take(&mut self, row: &Row, step: &Finished) {
        let Finished { address, verb, facts, .. } = step;
        let by_id = |book: &Self| book.by_id.get(&(address.clone(), facts.remote_id?)).copied();
        match verb {
            Verb::Reset => {
                let born = facts.issued_at.unwrap_or(row.line.at);
                self.replaced(row, address, facts, born);
                let life = self.begin(row, address, facts, born);
                self.present.insert(address.clone(), life);
            }
            Verb::Issue => {
                let born = facts.issued_at.unwrap_or(row.line.at);
                let life = self.begin(row, address, facts, born);
                self.lives[life].remote_id = facts.remote_id;
                if let Some(id) = facts.remote_id {
                    self.by_id.insert((address.clone(), id), life);
                }
            }
            Verb::Disable | Verb::Delete => {
                if let Some(life) = by_id(self)
                    && self.lives[life].revoked_at.is_none()
                {
                    self.end(life, row, row.line.at);
                }
            }
            Verb::Enable => {
                if let Some(life) = by_id(self) {
                    (self.lives[life].revoked_at, self.lives[life].ended_by) = (None, None);
                }
            }
            Verb::Deliver | Verb::Lock | Verb::Unlock | Verb::Protect | Verb::Unprotect => {}
        }
    }

    fn begin(&mut self, row: &Row, address: &Address, facts: &Facts, born: Timestamp) -> usize {
        self.lives.push(Life {
            address: address.clone(),
            fingerprint: facts.fingerprint.clone(),
            remote_id: None,
            issued_at: born,
            issued_by: row.number,
            revoked_at: None,
            ended_by: None,
        });
        self.lives.len() - 1
    }

    /// The old value dies as the new one is born. If the old value is not the one that the ledger
    /// knew, somebody had replaced that one, and when is not known.
    fn replaced(&mut self, row: &Row, address: &Address, facts: &Facts, at: Timestamp) {
        if let Some(life) = self.present.remove(address)
            && self.lives[life].fingerprint == facts.old_fingerprint
        {
            self.end(life, row, at);
        }
    }

    fn end(&mut self, life: usize, row: &Row, at: Timestamp) {
        self.lives[life].revoked_at = Some(at);
        self.lives[life].ended_by = Some(row.number);
    }
}
