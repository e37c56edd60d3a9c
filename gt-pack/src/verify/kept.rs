//! Deltas that were inflated while the pack was read, so that most need not
//! be inflated twice. Memory is bounded: what has no room is inflated again.

/// The bytes of deltas, in pieces of memory that hold many.
#[derive(Default)]
pub(super) struct Kept {
    chunks: Vec<Vec<u8>>,
    /// Entry, chunk, where, how many bytes.
    index: Vec<(u32, u32, u32, u32)>,
}

const CHUNK: usize = 1 << 20;
/// Chunks that may be filled.
const CHUNKS: usize = 32;
/// Deltas that may lie in them.
const DELTAS: usize = 1 << 19;

impl Kept {
    /// Keeps the delta of an entry, if there is room.
    pub(super) fn put(&mut self, place: u32, bytes: &[u8]) {
        if bytes.len() > CHUNK / 4 || self.index.len() == DELTAS {
            return;
        }
        let fits = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= bytes.len();
        if self.chunks.last().is_none_or(|c| !fits(c)) {
            if self.chunks.len() == CHUNKS {
                return;
            }
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let at = chunk.len() as u32;
        chunk.extend_from_slice(bytes);
        self.index
            .push((place, number as u32, at, bytes.len() as u32));
    }

    /// Makes [`find`](Self::find) possible.
    pub(super) fn sort(&mut self) {
        self.index.sort_unstable();
    }

    /// Returns the delta of an entry, if it was kept.
    pub(super) fn find(&self, place: u32) -> Option<&[u8]> {
        let n = self.index.binary_search_by_key(&place, |i| i.0).ok()?;
        let (_, chunk, at, length) = self.index[n];
        let chunk = self.chunks.get(chunk as usize)?;
        chunk.get(at as usize..)?.get(..length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_room_is_kept() {
        let mut kept = Kept::default();
        let delta = vec![7; CHUNK / 5];
        for place in 0..400 {
            kept.put(2 * place, &delta);
        }
        kept.put(1001, &vec![0; CHUNK]);
        kept.put(1002, b"");
        kept.sort();
        let found = (0..400).filter(|n| kept.find(2 * n) == Some(&delta[..]));
        assert_eq!(found.count(), 5 * CHUNKS);
        assert_eq!(kept.find(1), None);
        assert_eq!(kept.find(1001), None);
    }
}
