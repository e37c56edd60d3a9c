//! One info dictionary from many peers at once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gt_vfs::content::BLOCK;

use super::{MAX_SIZE, Message};

/// Collects an info dictionary from whoever has it, each part from one of
/// them: a part that nobody was asked for first, at the end those that others
/// are slow to send.
///
/// Whoever the whole disappoints cannot tell who lied; then
/// [`Fetch`](super::Fetch) asks one peer at a time.
#[derive(Clone, Debug)]
pub struct Gather<P> {
    total: u32,
    parts: Vec<Option<Bytes>>,
    asked: BTreeMap<P, u32>,
    /// Peers that said no.
    refused: BTreeSet<P>,
}

impl<P: Copy + Ord> Gather<P> {
    /// Begins, given the size that peers promise; `None` where that is nothing
    /// or too much.
    pub fn new(total: u32) -> Option<Self> {
        let parts = (total as usize).div_ceil(BLOCK);
        (1..=MAX_SIZE).contains(&total).then(|| Self {
            total,
            parts: vec![None; parts],
            asked: BTreeMap::new(),
            refused: BTreeSet::new(),
        })
    }

    /// Returns the size.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Returns what to ask of a peer that owes nothing.
    pub fn request(&mut self, peer: P) -> Option<Message> {
        if self.asked.contains_key(&peer) || self.refused.contains(&peer) {
            return None;
        }
        let mut asked = vec![0_usize; self.parts.len()];
        for part in self.asked.values() {
            asked[*part as usize] += 1;
        }
        let open = (0..self.parts.len()).filter(|n| self.parts[*n].is_none());
        let part = open.min_by_key(|n| asked[*n])? as u32;
        self.asked.insert(peer, part);
        Some(Message::Request(part))
    }

    /// Takes a part; `false` where it is not the one that the peer was asked
    /// for, or not of its length.
    pub fn take(&mut self, peer: P, part: u32, total: u32, data: &[u8]) -> bool {
        let left = (self.total as usize).saturating_sub(part as usize * BLOCK);
        if self.asked.get(&peer) != Some(&part)
            || total != self.total
            || data.len() != left.min(BLOCK)
        {
            return false;
        }
        self.asked.remove(&peer);
        let place = &mut self.parts[part as usize];
        // A copy: a slice would keep a whole read of the socket alive.
        place.get_or_insert_with(|| Bytes::copy_from_slice(data));
        true
    }

    /// Notes that a peer will not send what it was asked for, nor anything.
    pub fn refuse(&mut self, peer: P) {
        self.asked.remove(&peer);
        self.refused.insert(peer);
    }

    /// Forgets a peer that is gone.
    pub fn forget(&mut self, peer: P) {
        self.asked.remove(&peer);
        self.refused.remove(&peer);
    }

    /// Returns the whole, once every part is there; whether it is the right
    /// dictionary is for its hash to say.
    pub fn finish(&self) -> Option<Bytes> {
        let mut whole = Vec::new();
        for part in &self.parts {
            whole.extend_from_slice(part.as_ref()?);
        }
        Some(whole.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Serve;
    use super::*;

    #[test]
    fn each_part_is_asked_of_one_and_the_last_of_all() {
        let info = Bytes::from((0..5 * BLOCK + 7).map(|n| n as u8).collect::<Vec<_>>());
        let serve = Serve::new(info.clone());
        let mut gather = Gather::new(serve.size()).unwrap();
        let part = |request: Option<Message>| match request {
            Some(Message::Request(part)) => part,
            other => panic!("{other:?}"),
        };
        let give = |gather: &mut Gather<u8>, peer, part| {
            let Message::Data { total, data, .. } = serve.answer(part) else {
                panic!("part {part}");
            };
            gather.take(peer, part, total, &data)
        };
        let first: Vec<u32> = (0..3).map(|peer| part(gather.request(peer))).collect();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(gather.request(0), None);
        assert!(!give(&mut gather, 0, 1), "it was asked for another");
        assert!(!gather.take(0, 0, serve.size(), b"short"));
        assert!(give(&mut gather, 0, 0));
        assert_eq!(part(gather.request(0)), 3);
        gather.refuse(2);
        assert_eq!(gather.request(2), None);
        for (given, next) in [(3, Some(2)), (2, Some(4)), (4, Some(5)), (5, None)] {
            assert!(give(&mut gather, 0, given));
            if let Some(next) = next {
                assert_eq!(part(gather.request(0)), next);
            }
        }
        // The second is slow: what it owes is asked of the first too.
        assert_eq!(gather.finish(), None);
        assert_eq!(part(gather.request(0)), 1);
        assert!(give(&mut gather, 0, 1));
        assert_eq!(gather.finish(), Some(info));
        assert!(give(&mut gather, 1, 1), "late, and honest");
        assert_eq!(gather.request(0), None);
    }

    #[test]
    fn promises_are_bounded() {
        assert!(Gather::<u8>::new(0).is_none());
        assert!(Gather::<u8>::new(MAX_SIZE + 1).is_none());
    }
}
