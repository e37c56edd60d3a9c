//! Asking trackers: [`HttpTracker`] is one, [`Tiers`] are several.

mod fetch;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gt_wire::source::{Announce, Announced, Announcing, SourceError};
use gt_wire::url::Url;
use gt_wire::{InfoHash, PeerId, PeerSource};
use hyper::StatusCode;

use self::fetch::{Fetch, FetchError};
use crate::announce::{Answer, AnswerError, Peers, Request};
use crate::{limits, scrape};

pub use self::tiers::Tiers;
pub use gt_wire::reach::Reach;
pub use gt_wire::url::UrlError;

/// A tracker that is asked over HTTP (BEP 3, 7, 23, 48).
#[derive(Debug)]
pub struct HttpTracker {
    url: Url,
    reach: Reach,
    options: Options,
    /// What the tracker called itself, to be echoed.
    tracker_id: Mutex<Option<Vec<u8>>>,
}

/// Bounds of one question to a tracker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// For a connection to one address to stand: 5 s.
    pub connect: Duration,
    /// For everything together, names and redirects included: 15 s.
    pub whole: Duration,
    /// The longest answer in bytes: [`limits::ANSWER`]; more is not read,
    /// whatever stands here.
    pub answer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(15),
            answer: limits::ANSWER,
        }
    }
}

impl HttpTracker {
    /// Takes the announce URL of a tracker. `reach` says whether the person
    /// chose it ([`Reach::Any`]) or a stranger did ([`Reach::Public`]).
    ///
    /// # Errors
    /// Where the text is no `http` URL that can be asked; `https` and `udp`
    /// are refused by their names.
    pub fn new(url: &str, reach: Reach) -> Result<Self, UrlError> {
        Ok(Self {
            url: Url::parse(url)?,
            reach,
            options: Options::default(),
            tracker_id: Mutex::new(None),
        })
    }

    /// Changes the bounds.
    #[must_use]
    pub fn with(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Asks for the counts of torrents, a few dozens in one question; those
    /// that the tracker does not know are left out.
    ///
    /// # Errors
    /// Where the announce URL has no scrape URL beside it (BEP 48), and what
    /// an announce meets.
    pub async fn scrape(
        &self,
        torrents: &[InfoHash],
    ) -> Result<BTreeMap<InfoHash, scrape::Counts>, SourceError> {
        let asked: BTreeSet<_> = torrents.iter().collect();
        let url = self.url.scrape().ok_or_else(|| SourceError::Refused {
            source_name: self.name(),
            why: "its announce URL has no scrape URL beside it".into(),
        })?;
        let mut all = BTreeMap::new();
        for some in torrents.chunks(limits::SCRAPED) {
            let query = scrape::Request(some.to_vec()).to_query();
            let (status, body) = self.fetch(&url, &query).await?;
            match scrape::Answer::read(&body) {
                Ok(scrape::Answer::Counts(counts)) if status == StatusCode::OK => {
                    all.extend(counts.into_iter().filter(|(hash, _)| asked.contains(hash)));
                }
                Ok(scrape::Answer::Failure(why)) => return Err(self.refused(why)),
                answer => return Err(self.nonsense(status, answer.err())),
            }
        }
        Ok(all)
    }

    async fn ask(&self, announce: Announce) -> Result<Announced, SourceError> {
        let us = announce.peer_id;
        let mut request = Request::new(announce);
        request.tracker_id = self.tracker_id().clone();
        let (status, body) = self.fetch(&self.url, &request.to_query()).await?;
        match Answer::read(&body) {
            Ok(Answer::Peers(mut peers)) if status == StatusCode::OK => {
                // An answer without an id leaves the one before in force.
                if let Some(id) = peers.tracker_id.take() {
                    *self.tracker_id() = Some(id);
                }
                Ok(announced(peers, us))
            }
            Ok(Answer::Failure(why)) => Err(self.refused(why)),
            answer => Err(self.nonsense(status, answer.err())),
        }
    }

    async fn fetch(&self, url: &Url, query: &str) -> Result<(StatusCode, Vec<u8>), SourceError> {
        let fetch = Fetch {
            reach: self.reach,
            options: &self.options,
        };
        fetch.get(url, query).await.map_err(|error| match error {
            FetchError::Unreachable(why) => SourceError::Unreachable {
                source_name: self.name(),
                why,
            },
            FetchError::Malformed(why) => SourceError::Malformed {
                source_name: self.name(),
                why,
            },
        })
    }

    fn refused(&self, why: String) -> SourceError {
        SourceError::Refused {
            source_name: self.name(),
            why,
        }
    }

    fn nonsense(&self, status: StatusCode, error: Option<AnswerError>) -> SourceError {
        match error {
            Some(error) if status == StatusCode::OK => SourceError::Malformed {
                source_name: self.name(),
                why: error.to_string(),
            },
            _ => self.refused(format!("HTTP status {status}")),
        }
    }

    fn tracker_id(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.tracker_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerSource for HttpTracker {
    fn announce(&self, announce: Announce) -> Announcing<'_> {
        Box::pin(self.ask(announce))
    }

    /// Returns the URL.
    fn name(&self) -> String {
        self.url.to_string()
    }
}

/// Takes from an answer what can be used: addresses that a connection can go
/// to, each once, without ourselves, and an interval within reason.
fn announced(answer: Peers, us: PeerId) -> Announced {
    let reasonable = |time: Duration| time.clamp(limits::INTERVAL_LEAST, limits::INTERVAL_MOST);
    let mut seen = BTreeSet::new();
    let peers = answer.peers.iter().filter(|peer| peer.id != Some(us));
    let peers =
        peers.map(|peer| SocketAddr::new(peer.address.ip().to_canonical(), peer.address.port()));
    let peers = peers.filter(|address| leads_somewhere(address) && seen.insert(*address));
    Announced {
        interval: reasonable(answer.interval),
        min_interval: answer.min_interval.map(reasonable),
        peers: peers.take(limits::PEERS_TAKEN).collect(),
        complete: answer.complete,
        incomplete: answer.incomplete,
        warning: answer.warning,
    }
}

fn leads_somewhere(address: &SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::Peer;

    #[test]
    fn takes_only_what_can_be_used() {
        let us = PeerId([1; 20]);
        let peer = |text: &str, id| Peer::new(text.parse().unwrap(), id);
        let list = vec![
            peer("192.0.2.1:1", None),
            peer("192.0.2.1:1", Some(PeerId([2; 20]))),
            peer("192.0.2.2:1", Some(us)),
            peer("192.0.2.3:0", None),
            peer("0.0.0.0:1", None),
            peer("224.0.0.1:1", None),
            peer("255.255.255.255:1", None),
            peer("[ff02::1]:1", None),
            peer("[::]:1", None),
            peer("[::ffff:192.0.2.1]:1", None),
            peer("[2001:db8::1]:1", None),
        ];
        let answer = Peers {
            peers: list,
            min_interval: Some(Duration::MAX),
            ..Peers::default()
        };
        let announced = announced(answer, us);
        let text: Vec<_> = announced.peers.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["192.0.2.1:1", "[2001:db8::1]:1"]);
        assert_eq!(announced.interval, limits::INTERVAL_LEAST);
        assert_eq!(announced.min_interval, Some(limits::INTERVAL_MOST));
    }

    #[test]
    fn one_answer_does_not_drown_the_rest() {
        let each = |n: u32| Peer::new((std::net::Ipv4Addr::from(n), 1).into(), None);
        let answer = Peers {
            peers: (1..=3000).map(|n| each(0x0100_0000 + n)).collect(),
            ..Peers::default()
        };
        assert_eq!(
            announced(answer, PeerId([1; 20])).peers.len(),
            limits::PEERS_TAKEN
        );
    }
}
