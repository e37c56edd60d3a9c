//! Who has what: the memory of a tracker.
//!
//! A peer is known by the address that its announce came from and the port it
//! names, so that nobody can speak for another: only who can receive at an
//! address can add or remove it.

mod pace;
mod swarm;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gt_wire::InfoHash;
use gt_wire::source::Event;

use self::swarm::{Member, Swarm};
use crate::announce::{Answer, Peers, Request};
use crate::source::Source;
use crate::{limits, scrape};

pub use self::pace::Pace;

/// The swarms that a tracker knows.
///
/// It holds no clock and no chance: `now` is counted from any fixed beginning
/// and never goes back, `seed` decides which peers are given.
#[derive(Debug, Default)]
pub struct Registry {
    options: Options,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// Every member once, in the order in which they are forgotten.
    ends: BTreeSet<(Duration, InfoHash, SocketAddr)>,
    /// How many entries each source has.
    entries: BTreeMap<Source, usize>,
}

/// How many peers are kept, how often they come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How often peers are told to come.
    pub pace: Pace,
    /// [`limits::TORRENTS`].
    pub torrents: usize,
    /// [`limits::PEERS`].
    pub peers: usize,
    /// [`limits::PEERS_PER_TORRENT`].
    pub peers_per_torrent: usize,
    /// [`limits::ENTRIES_PER_SOURCE`]; loopback is exempt.
    pub entries_per_source: usize,
    /// [`limits::WANT_DEFAULT`].
    pub want_default: u32,
    /// [`limits::WANT_MOST`].
    pub want_most: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            torrents: limits::TORRENTS,
            peers: limits::PEERS,
            peers_per_torrent: limits::PEERS_PER_TORRENT,
            entries_per_source: limits::ENTRIES_PER_SOURCE,
            want_default: limits::WANT_DEFAULT,
            want_most: limits::WANT_MOST,
        }
    }
}

impl Registry {
    /// Returns a registry that knows nobody.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Takes an announce that came `from` an address and answers it; `seed`
    /// chooses the peers where there are more than wanted.
    ///
    /// Whoever names port 0 cannot be reached: it is given peers and not
    /// remembered. Where a ceiling of this torrent or source is reached, the
    /// same, with a warning.
    pub fn announce(
        &mut self,
        now: Duration,
        from: IpAddr,
        request: &Request,
        seed: u64,
    ) -> Answer {
        self.expire(now);
        let announce = &request.announce;
        let hash = announce.info_hash;
        let address = SocketAddr::new(from.to_canonical(), announce.port);
        let mut peers = Peers::default();
        let known = self
            .swarms
            .get(&hash)
            .and_then(|swarm| swarm.member(address))
            .copied();
        if let Some(known) = known {
            self.ends.remove(&(known.end, hash, address));
        }
        if announce.event == Some(Event::Stopped) {
            if known.is_some() {
                self.forget(hash, address);
            }
            // It is leaving: what it would be given, it would not use.
            self.describe(hash, &mut peers);
            return Answer::Peers(peers);
        }
        let refusal = match known {
            Some(_) => None,
            None => self.refusal(hash, address),
        };
        match refusal {
            None => {
                let size = self.swarms.get(&hash).map_or(0, Swarm::len);
                let end = now + self.options.pace.lifetime(size, self.ends.len());
                let whole = announce.left == 0;
                let member = Member {
                    id: announce.peer_id,
                    whole,
                    end,
                };
                let swarm = self.swarms.entry(hash).or_default();
                // A download that was whole already has been counted.
                let completed = announce.event == Some(Event::Completed);
                if completed && whole && known.is_none_or(|known| !known.whole) {
                    swarm.downloaded += 1;
                }
                swarm.insert(address, member);
                self.ends.insert((end, hash, address));
                if known.is_none() {
                    *self.entries.entry(Source::of(address.ip())).or_default() += 1;
                }
            }
            Some(Refusal::Unreachable) => {}
            Some(Refusal::Torrents) => {
                return Answer::Failure("this tracker has no room for another torrent".into());
            }
            Some(Refusal::Room(why)) => peers.warning = Some(why.into()),
        }
        self.describe(hash, &mut peers);
        if let Some(swarm) = self.swarms.get(&hash) {
            let want = announce.want.unwrap_or(self.options.want_default);
            let want = want.min(self.options.want_most) as usize;
            peers.peers = swarm.choose(address, announce.peer_id, want, seed);
        }
        Answer::Peers(peers)
    }

    /// Counts the torrents that are asked for; unknown ones are left out.
    pub fn scrape(&mut self, now: Duration, request: &scrape::Request) -> scrape::Answer {
        self.expire(now);
        let known = |hash: &InfoHash| Some((*hash, self.swarms.get(hash)?.counts()));
        scrape::Answer::Counts(request.0.iter().filter_map(known).collect())
    }

    /// Forgets the peers that have not come again in time. Every other call
    /// does this first.
    pub fn expire(&mut self, now: Duration) {
        while let Some(&(end, hash, address)) = self.ends.first() {
            if end > now {
                break;
            }
            self.ends.pop_first();
            self.forget(hash, address);
        }
    }

    /// Returns how many torrents have peers.
    pub fn torrents(&self) -> usize {
        self.swarms.len()
    }

    /// Returns how many peers are known, counted once for each torrent.
    pub fn peers(&self) -> usize {
        self.ends.len()
    }

    /// Takes a member out whose end is out of the queue already.
    fn forget(&mut self, hash: InfoHash, address: SocketAddr) {
        if let Some(swarm) = self.swarms.get_mut(&hash) {
            swarm.remove(address);
            if swarm.len() == 0 {
                self.swarms.remove(&hash);
            }
        }
        let source = Source::of(address.ip());
        if let Some(entries) = self.entries.get_mut(&source) {
            *entries -= 1;
            if *entries == 0 {
                self.entries.remove(&source);
            }
        }
    }

    fn refusal(&self, hash: InfoHash, address: SocketAddr) -> Option<Refusal> {
        let options = &self.options;
        let source = self.entries.get(&Source::of(address.ip()));
        let source = *source.unwrap_or(&0);
        let swarm = self.swarms.get(&hash);
        if address.port() == 0 {
            Some(Refusal::Unreachable)
        } else if source >= options.entries_per_source && !address.ip().is_loopback() {
            Some(Refusal::Room(
                "your address has too many entries; this one is not kept",
            ))
        } else if swarm.is_none() && self.swarms.len() >= options.torrents {
            Some(Refusal::Torrents)
        } else if self.ends.len() >= options.peers
            || swarm.is_some_and(|swarm| swarm.len() >= options.peers_per_torrent)
        {
            Some(Refusal::Room(
                "this tracker is full; you are given peers but not kept",
            ))
        } else {
            None
        }
    }

    fn describe(&self, hash: InfoHash, peers: &mut Peers) {
        let counts = self
            .swarms
            .get(&hash)
            .map(Swarm::counts)
            .unwrap_or_default();
        let size = self.swarms.get(&hash).map_or(0, Swarm::len);
        peers.complete = Some(counts.complete);
        peers.incomplete = Some(counts.incomplete);
        peers.interval = self.options.pace.interval(size, self.ends.len());
        peers.min_interval = Some(self.options.pace.min_interval(size, self.ends.len()));
    }
}

/// Why a new peer is not remembered.
enum Refusal {
    Unreachable,
    Torrents,
    Room(&'static str),
}

#[cfg(test)]
mod tests;
