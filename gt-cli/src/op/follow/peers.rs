//! Where others are looked for, and what came of it.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};

use gt_tracker::client::Reach;
use gt_tracker::{HttpTracker, Tiers};
use gt_trust::{Address, Identity, Statement};
use gt_wire::source::{Announce, Announcing};
use gt_wire::{PeerId, PeerSource};

/// Trackers and peers to begin with.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Trackers that the person named: any address is allowed.
    pub trackers: Vec<String>,
    /// Trackers that a publisher named: public addresses only.
    pub published: Vec<String>,
    /// Peers that the person named.
    pub peers: Vec<SocketAddr>,
    /// The charter that the address pins.
    pub pin: Option<Identity>,
    log: Arc<Mutex<Vec<Row>>>,
}

/// What was tried to find others: one line a place.
#[derive(Clone, Debug, Default)]
pub struct Tried(Vec<String>);

#[derive(Debug)]
struct Row {
    name: String,
    outcome: String,
}

impl Places {
    /// Returns the places of an address and of the command line.
    ///
    /// # Errors
    /// Where a peer's name leads nowhere.
    pub fn of(address: &Address, trackers: &[String], peers: &[SocketAddr]) -> Result<Self, Error> {
        let mut places = Self {
            trackers: trackers.to_vec(),
            peers: peers.to_vec(),
            pin: address.charter,
            ..Self::default()
        };
        places.trackers.extend(address.trackers.iter().cloned());
        for peer in &address.peers {
            let found = peer
                .to_socket_addrs()
                .map_err(|e| Error::Peer(peer.clone(), e.to_string()))?;
            places.peers.extend(found);
        }
        Ok(places)
    }

    /// Adds the trackers that a statement names.
    pub fn add_published(&mut self, statement: &Statement) {
        for url in &statement.trackers {
            if !self.trackers.contains(url) && !self.published.contains(url) {
                self.published.push(url.clone());
            }
        }
    }

    /// Returns the trackers as sources of peers: those that the person named
    /// first.
    pub(super) fn sources(&self, id: &PeerId) -> Result<Vec<Arc<dyn PeerSource>>, Error> {
        let mut tiers = Vec::new();
        for (urls, person) in [(&self.trackers, true), (&self.published, false)] {
            let mut tier: Vec<Arc<dyn PeerSource>> = Vec::new();
            for url in urls {
                let reach = if person { Reach::Any } else { Reach::Public };
                match HttpTracker::new(url, reach) {
                    Ok(tracker) => tier.push(Arc::new(Noted {
                        inner: tracker,
                        log: Arc::clone(&self.log),
                    })),
                    Err(e) if person => return Err(Error::Tracker(url.clone(), e.to_string())),
                    Err(e) => self.note(url, e.to_string()),
                }
            }
            if !tier.is_empty() {
                tiers.push(tier);
            }
        }
        if tiers.is_empty() {
            return Ok(Vec::new());
        }
        let seed = u64::from_be_bytes(id.0[12..].try_into().unwrap_or_default());
        Ok(vec![Arc::new(Tiers::new(tiers, seed))])
    }

    /// Returns what came of each place; `followers` said that they have it.
    pub(super) fn tried(&self, followers: &[SocketAddr]) -> Tried {
        let mut lines: Vec<String> = self
            .peers
            .iter()
            .map(|p| match followers.contains(p) {
                true => format!("peer {p}: connected"),
                false => format!("peer {p}: did not say that it has the repository"),
            })
            .collect();
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend(log.iter().map(|r| format!("{}: {}", r.name, r.outcome)));
        Tried(lines)
    }

    fn note(&self, name: &str, outcome: String) {
        note(&self.log, name, outcome);
    }
}

fn note(log: &Mutex<Vec<Row>>, name: &str, outcome: String) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    match log.iter_mut().find(|r| r.name == name) {
        Some(row) => row.outcome = outcome,
        None => log.push(Row {
            name: name.to_owned(),
            outcome,
        }),
    }
}

/// A source that remembers what it last answered.
struct Noted<S> {
    inner: S,
    log: Arc<Mutex<Vec<Row>>>,
}

impl<S: PeerSource> PeerSource for Noted<S> {
    fn announce(&self, announce: Announce) -> Announcing<'_> {
        Box::pin(async move {
            let result = self.inner.announce(announce).await;
            let outcome = match &result {
                Ok(answer) => match answer.peers.len() {
                    0 => "answered, and knows nobody".to_owned(),
                    n => format!("answered with {n} peers, none of which gave it"),
                },
                Err(e) => e.to_string(),
            };
            note(
                &self.log,
                &format!("tracker {}", self.inner.name()),
                outcome,
            );
            result
        })
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(
                "no tracker and no peer is known: name one with tr= or x.pe= in the address",
            );
        }
        f.write_str(&self.0.join("; "))
    }
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A peer's name.
    #[error("peer {0}: {1}")]
    Peer(String, String),
    /// A tracker's address.
    #[error("tracker {0}: {1}")]
    Tracker(String, String),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gt_tracker::Server;

    use super::*;

    async fn outcome(places: &Places) -> String {
        let id = PeerId([1; 20]);
        let sources = places.sources(&id).unwrap();
        let announce = Announce {
            info_hash: gt_wire::InfoHash([2; 20]),
            peer_id: id,
            port: 6881,
            uploaded: 0,
            downloaded: 0,
            left: 0,
            event: None,
            want: None,
        };
        let asked = sources[0].announce(announce);
        let _ = tokio::time::timeout(Duration::from_secs(10), asked).await;
        places.tried(&[]).to_string()
    }

    /// What a statement names is a stranger's word: it must not make us ask a
    /// server that only we can reach. What the person named may lie anywhere.
    #[tokio::test]
    async fn published_trackers_are_public_ones() {
        let here = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(here, gt_tracker::server::Options::default())
            .await
            .unwrap();
        let url = format!("http://{}/announce", server.local_addr());
        tokio::spawn(server.run(std::future::pending()));
        let mut places = Places {
            published: vec![url.clone()],
            ..Places::default()
        };
        let refused = outcome(&places).await;
        assert!(
            refused.contains("not an address of the public Internet"),
            "{refused}"
        );
        places = Places {
            trackers: vec![url],
            ..Places::default()
        };
        let answered = outcome(&places).await;
        assert!(
            answered.contains("answered, and knows nobody"),
            "{answered}"
        );
    }
}
