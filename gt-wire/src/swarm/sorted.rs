//! A map in which keys mostly come at the end and go at the beginning.
//!
//! Requests, reads and words on their way are few, and answered nearly in order.
//! A tree takes and gives back room for each of them; this keeps some.

use std::collections::VecDeque;

/// Entries for which room is kept when none is left.
const KEPT: usize = 16;

/// A map in the order of its keys. To add or take one costs as many moves as it
/// is away from the nearer end.
#[derive(Debug)]
pub(super) struct Sorted<K, V> {
    entries: VecDeque<(K, V)>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
        }
    }
}

impl<K: Copy + Ord, V> Sorted<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        match (self.entries.front(), self.entries.back()) {
            (Some((first, _)), _) if first == key => Ok(0),
            (_, Some((last, _))) if last < key => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|(k, _)| k.cmp(key)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Returns the value of a key, after adding one if there is none.
    pub(super) fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(at, (key, value()));
                at
            }
        };
        &mut self.entries[at].1
    }

    /// Adds an entry, in the place of one with the same key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => self.entries[at].1 = value,
            Err(at) => self.entries.insert(at, (key, value)),
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        let (_, value) = self.entries.remove(at)?;
        self.let_go();
        Some(value)
    }

    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let first = self.entries.pop_front();
        self.let_go();
        first
    }

    /// Gives room back where there was much and nothing is left.
    fn let_go(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            self.entries = VecDeque::new();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_tree(steps in prop::collection::vec((0u8..5, 0u32..40), 0..400)) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            for (n, (what, key)) in (0u32..).zip(steps) {
                match what {
                    0 => { sorted.insert(key, n); tree.insert(key, n); }
                    // As they come mostly.
                    1 => { sorted.insert(n, n); tree.insert(n, n); }
                    2 => {
                        let there = *tree.entry(key).or_insert(n);
                        prop_assert_eq!(*sorted.get_or_insert_with(key, || n), there);
                    }
                    3 => prop_assert_eq!(sorted.remove(&key), tree.remove(&key)),
                    _ => prop_assert_eq!(sorted.pop_first(), tree.pop_first()),
                }
                prop_assert_eq!(sorted.get(&key), tree.get(&key));
                prop_assert_eq!(sorted.get_mut(&key), tree.get_mut(&key));
                prop_assert_eq!(sorted.contains_key(&key), tree.contains_key(&key));
                prop_assert_eq!(sorted.len(), tree.len());
                prop_assert_eq!(sorted.is_empty(), tree.is_empty());
                prop_assert!(sorted.keys().eq(tree.keys()));
                prop_assert!(sorted.values().eq(tree.values()));
                prop_assert!(sorted.iter().eq(tree.iter()));
                prop_assert!(sorted.iter_mut().eq(tree.iter_mut()));
                prop_assert!(sorted.values_mut().eq(tree.values_mut()));
            }
        }
    }

    #[test]
    fn an_empty_one_keeps_little_room() {
        let mut sorted = Sorted::default();
        (0..500).for_each(|n| sorted.insert(n, ()));
        (0..500).for_each(|n| assert_eq!(sorted.remove(&n), Some(())));
        assert_eq!(sorted.entries.capacity(), 0);
        sorted.insert(1, ());
        assert_eq!(sorted.pop_first(), Some((1, ())));
        assert!(sorted.entries.capacity() <= KEPT);
    }
}
