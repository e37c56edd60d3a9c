//! The peers of one torrent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use gt_wire::PeerId;

use crate::announce::Peer;
use crate::scrape::Counts;

/// What is kept of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) id: PeerId,
    /// Whether it has everything.
    pub(super) whole: bool,
    /// When it is forgotten.
    pub(super) end: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Swarm {
    /// The families lie apart, so that each is given to those who can use it.
    four: Family,
    six: Family,
    pub(super) downloaded: u64,
}

/// The members of one family: in a row, so that any can be drawn at once, and
/// by address.
#[derive(Debug, Default)]
struct Family {
    row: Vec<(SocketAddr, Member)>,
    places: BTreeMap<SocketAddr, usize>,
    whole: u64,
}

impl Swarm {
    pub(super) fn len(&self) -> usize {
        self.four.row.len() + self.six.row.len()
    }

    pub(super) fn member(&self, address: SocketAddr) -> Option<&Member> {
        let family = self.family(address);
        let place = *family.places.get(&address)?;
        Some(&family.row[place].1)
    }

    pub(super) fn insert(&mut self, address: SocketAddr, member: Member) {
        self.remove(address);
        let family = self.family_mut(address);
        family.whole += u64::from(member.whole);
        family.places.insert(address, family.row.len());
        family.row.push((address, member));
    }

    pub(super) fn remove(&mut self, address: SocketAddr) {
        let family = self.family_mut(address);
        let Some(place) = family.places.remove(&address) else {
            return;
        };
        let (_, member) = family.row.swap_remove(place);
        family.whole -= u64::from(member.whole);
        if let Some((moved, _)) = family.row.get(place) {
            family.places.insert(*moved, place);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let complete = self.four.whole + self.six.whole;
        Counts {
            complete,
            downloaded: self.downloaded,
            incomplete: self.len() as u64 - complete,
        }
    }

    /// Draws up to `want` peers for the one at `asker`: of its own family
    /// first, itself never.
    ///
    /// Those that have everything are given to those that have everything
    /// too: they may have news for each other where a torrent is only a
    /// meeting place.
    pub(super) fn choose(
        &self,
        asker: SocketAddr,
        id: PeerId,
        want: usize,
        seed: u64,
    ) -> Vec<Peer> {
        let near = asker.ip().is_loopback();
        let fits = |(address, member): &(SocketAddr, Member)| {
            // An address that is loopback here leads others to themselves.
            *address != asker && member.id != id && (near || !address.ip().is_loopback())
        };
        let (own, other) = match asker {
            SocketAddr::V4(_) => (&self.four, &self.six),
            SocketAddr::V6(_) => (&self.six, &self.four),
        };
        let mut peers = Vec::new();
        let drawn = Draw::new(own.row.len(), seed).map(|place| own.row[place]);
        let more = Draw::new(other.row.len(), !seed).map(|place| other.row[place]);
        for (address, member) in drawn.chain(more).filter(fits).take(want) {
            peers.push(Peer::new(address, Some(member.id)));
        }
        peers
    }

    fn family(&self, address: SocketAddr) -> &Family {
        match address {
            SocketAddr::V4(_) => &self.four,
            SocketAddr::V6(_) => &self.six,
        }
    }

    fn family_mut(&mut self, address: SocketAddr) -> &mut Family {
        match address {
            SocketAddr::V4(_) => &mut self.four,
            SocketAddr::V6(_) => &mut self.six,
        }
    }
}

/// The numbers below a bound in an order that a seed decides, drawn one by
/// one: a shuffle of which only what moved is written down, so that 50 of
/// 100,000 cost 50 steps.
struct Draw {
    moved: BTreeMap<usize, usize>,
    next: usize,
    bound: usize,
    state: u64,
}

impl Draw {
    fn new(bound: usize, seed: u64) -> Self {
        Self {
            moved: BTreeMap::new(),
            next: 0,
            bound,
            state: seed,
        }
    }
}

impl Iterator for Draw {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let left = self.bound.checked_sub(self.next).filter(|left| *left > 0)?;
        let step = crate::chance::next(&mut self.state) % left as u64;
        let place = self.next + usize::try_from(step).expect("a remainder below a usize");
        let here = self.moved.remove(&self.next).unwrap_or(self.next);
        let drawn = if place == self.next {
            here
        } else {
            self.moved.insert(place, here).unwrap_or(place)
        };
        self.next += 1;
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn draws_each_number_once(bound in 0_usize..200, seed: u64) {
            let drawn: Vec<_> = Draw::new(bound, seed).collect();
            prop_assert_eq!(drawn.len(), bound);
            prop_assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), (0..bound).collect());
        }
    }

    #[test]
    fn draws_evenly() {
        let mut first = [0_u32; 8];
        for seed in 0..8000 {
            first[Draw::new(8, seed).next().unwrap()] += 1;
        }
        // 1,000 expected each; 100 is more than three standard deviations.
        assert!(first.iter().all(|n| n.abs_diff(1000) < 130), "{first:?}");
    }
}
