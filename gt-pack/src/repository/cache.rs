//! A bounded memory of things that can be had again.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::Bytes;

use super::chunk::Chunks;
use crate::Kind;

/// A value that can be kept.
pub(crate) trait Keep: Clone {
    /// Returns the same value, with what is small of it in a chunk.
    fn settled(self, chunks: &mut Chunks) -> Self;
}

impl Keep for Bytes {
    fn settled(self, chunks: &mut Chunks) -> Self {
        chunks.place(&self)
    }
}

impl Keep for (Kind, Bytes) {
    fn settled(self, chunks: &mut Chunks) -> Self {
        (self.0, chunks.place(&self.1))
    }
}

/// Values under keys, in two halves: what is used moves to the young half, and
/// when that is full the old half is dropped. Costs are in bytes, and what a
/// value takes beside its own is added: of small ones it is the most. Small values
/// lie in chunks, a half's in its own, so that whole chunks become free and no
/// memory is lost in holes.
pub(crate) struct Cache<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    /// Of the young half.
    chunks: Chunks,
    cost: usize,
    half: usize,
}

impl<K: Eq + Hash + Copy, V: Keep> Cache<K, V> {
    /// What one value costs beside its own bytes: its place in a table that is
    /// half full, and what the allocator adds to two allocations.
    const BESIDE: usize = 2 * size_of::<(K, (V, usize))>() + 64;

    /// Returns a cache for values of `capacity` bytes together.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            chunks: Chunks::default(),
            cost: 0,
            half: capacity / 2,
        }
    }

    pub(crate) fn find(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, cost) = self.old.remove(key)?;
        self.put(*key, value.clone(), cost);
        Some(value)
    }

    /// Keeps a value of `cost` bytes.
    pub(crate) fn insert(&mut self, key: K, value: V, cost: usize) {
        self.put(key, value, cost.saturating_add(Self::BESIDE));
    }

    fn put(&mut self, key: K, value: V, cost: usize) {
        if cost > self.half {
            return;
        }
        if self.cost + cost > self.half {
            self.old = std::mem::take(&mut self.young);
            self.chunks = Chunks::default();
            self.cost = 0;
        }
        let value = value.settled(&mut self.chunks);
        match self.young.insert(key, (value, cost)) {
            Some((_, before)) => self.cost = self.cost + cost - before,
            None => self.cost += cost,
        }
    }

    pub(crate) fn forget(&mut self, key: &K) {
        self.old.remove(key);
        if let Some((_, cost)) = self.young.remove(key) {
            self.cost -= cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays() {
        type Small = Cache<u8, Bytes>;
        let mut cache = Small::new(20 + 20 * Small::BESIDE);
        cache.insert(0, Bytes::from_static(b"used"), 1);
        for key in 1..100 {
            cache.insert(key, Bytes::from_static(b"once"), 3);
            assert_eq!(cache.find(&0).as_deref(), Some(&b"used"[..]));
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert_eq!(cache.find(&1), None);
        cache.forget(&0);
        assert_eq!(cache.find(&0), None);
        cache.insert(200, Bytes::from_static(b"too big"), 11 + 10 * Small::BESIDE);
        assert_eq!(cache.find(&200), None);
    }
}
