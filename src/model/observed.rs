//! What a read of live state can say of one object: it is there, it is not, or nobody knows.

use std::collections::BTreeMap;

use super::finding::Finding;

/// A remote object or setting as seen by one read.
#[derive(Clone, Debug)]
pub enum Observed<T> {
    Present(T),
    /// Surely not there: only [`Listing::get`] on a complete listing says so.
    Absent,
    /// The read failed; why is told to the user.
    Unreadable(Box<Finding>),
}

impl<T> Observed<T> {
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// A list that was read to its end. A listing that stopped early can't be made into one, so
/// "absent" is never concluded from half a list.
#[derive(Clone, Debug)]
pub struct Listing<K: Ord, T>(BTreeMap<K, Vec<T>>);

impl<K: Ord, T: Clone> Listing<K, T> {
    /// All items of a list whose last page has been read.
    pub fn complete(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Self {
        let mut by_key: BTreeMap<K, Vec<T>> = BTreeMap::new();
        for item in items {
            by_key.entry(key(&item)).or_default().push(item);
        }
        Self(by_key)
    }

    /// Every item with this key; names need not be unique.
    pub fn all(&self, key: &K) -> &[T] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// The one item with this key, for keys that the vendor keeps unique (ids).
    pub fn get(&self, key: &K) -> Observed<T> {
        match self.all(key) {
            [] => Observed::Absent,
            [item, ..] => Observed::Present(item.clone()),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values().flatten()
    }
}
