//! Remembers which signatures were computed, and with what result.
//!
//! Each result is remembered by an authentication code (HMAC-SHA256, RFC 2104)
//! over the signature, signer, signee and the result, under a key that only
//! the owner has. Whoever alters the file can make results forgotten, so that
//! they are computed again; without the key nobody can make one up. Deleting
//! or changing the key forgets them all.

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use crate::limits;

const CODE: usize = 16;

type Code = [u8; CODE];

/// The results that are known.
#[derive(Debug)]
pub struct Cache {
    inner: Sha256,
    outer: Sha256,
    known: HashSet<Code>,
    fresh: Mutex<BTreeSet<Code>>,
}

impl Cache {
    /// Opens what [`to_bytes`](Self::to_bytes) wrote under the same key; other
    /// bytes are results that nobody asks for. None at all is a new cache.
    pub fn open(key: &[u8; 32], bytes: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; 64];
            for (b, k) in block.iter_mut().zip(key) {
                *b ^= k;
            }
            Sha256::new_with_prefix(block)
        };
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
            known: bytes
                .chunks_exact(CODE)
                .take(limits::CACHED)
                .filter_map(|code| code.try_into().ok())
                .collect(),
            fresh: Mutex::default(),
        }
    }

    /// Returns what is to be kept for the next time; `None` where nothing was
    /// added.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let fresh = self.fresh();
        if fresh.is_empty() {
            return None;
        }
        // Those of now come first: where there is no room for all, the next
        // question is likely the same as this one.
        let mut old: Vec<Code> = self
            .known
            .difference(&fresh.iter().copied().collect())
            .copied()
            .collect();
        old.sort_unstable();
        let all = fresh.iter().chain(&old).take(limits::CACHED);
        Some(all.flatten().copied().collect())
    }

    /// Returns how many results were added since it was opened.
    pub fn added(&self) -> usize {
        self.fresh().len()
    }

    /// Returns the result for a name, if it is known.
    pub(crate) fn recall(&self, name: &[u8]) -> Option<bool> {
        [true, false]
            .into_iter()
            .find(|good| self.known.contains(&self.code(name, *good)))
    }

    pub(crate) fn keep(&self, name: &[u8], good: bool) {
        let code = self.code(name, good);
        self.fresh().insert(code);
    }

    fn fresh(&self) -> std::sync::MutexGuard<'_, BTreeSet<Code>> {
        // A set of codes is whole whatever panicked beside it.
        self.fresh.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn code(&self, name: &[u8], good: bool) -> Code {
        let mut inner = self.inner.clone();
        inner.update([u8::from(good)]);
        inner.update(name);
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        let full = outer.finalize();
        let mut code = [0; CODE];
        code.copy_from_slice(&full[..CODE]);
        code
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn what_was_kept_is_recalled_under_its_key_alone() {
        let cache = Cache::open(&KEY, &[]);
        assert_eq!(cache.to_bytes(), None);
        cache.keep(b"one", true);
        cache.keep(b"two", false);
        let bytes = cache.to_bytes().unwrap();
        let again = Cache::open(&KEY, &bytes);
        assert_eq!(again.recall(b"one"), Some(true));
        assert_eq!(again.recall(b"two"), Some(false));
        assert_eq!(again.recall(b"six"), None);
        assert_eq!(Cache::open(&[8; 32], &bytes).recall(b"one"), None);
    }

    proptest! {
        /// Any change of the file is forgetting, never another result.
        #[test]
        fn an_altered_cache_only_forgets(at in 0usize..32, bit in 0u8..8, cut in 0usize..33) {
            let cache = Cache::open(&KEY, &[]);
            cache.keep(b"one", true);
            cache.keep(b"two", false);
            let mut bytes = cache.to_bytes().unwrap();
            bytes[at] ^= 1 << bit;
            bytes.truncate(cut);
            let again = Cache::open(&KEY, &bytes);
            prop_assert_ne!(again.recall(b"one"), Some(false));
            prop_assert_ne!(again.recall(b"two"), Some(true));
        }
    }
}
