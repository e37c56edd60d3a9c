//! Asking trackers: [`HttpTracker`] is one, [`Tiers`] are several.

use std::sync::Arc;
use std::time::Duration;

use gt_wire::PeerSource;
use gt_wire::source::{Announce, Announcing};

/// A tracker that is asked over HTTP.
#[derive(Debug)]
pub struct HttpTracker {}

impl HttpTracker {
    /// Takes the announce URL of a tracker; see [`Reach`] for who wrote it.
    ///
    /// # Errors
    /// Where the URL is none that can be asked.
    pub fn new(_url: &str, _reach: Reach) -> Result<Self, UrlError> {
        unimplemented!()
    }

    /// Changes the bounds.
    #[must_use]
    pub fn with(self, _options: Options) -> Self {
        self
    }
}

impl PeerSource for HttpTracker {
    fn announce(&self, _announce: Announce) -> Announcing<'_> {
        unimplemented!()
    }
    fn name(&self) -> String {
        unimplemented!()
    }
}

/// Which addresses a URL may lead to.
///
/// A URL that a stranger wrote (in a statement, in a torrent) must not make
/// us talk to machines that only we can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only addresses of the public Internet, after redirects too.
    Public,
    /// Any address: the person typed the URL.
    Any,
}

/// Bounds of one announce.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// For one connection to stand: 5 s.
    pub connect: Duration,
    /// For everything together: 15 s.
    pub whole: Duration,
}

/// Why a text is no tracker's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another scheme than http.
    #[error("expected http, got {0:?}, which this version does not speak")]
    Scheme(String),
}

/// Trackers in tiers (BEP 12), asked as one source.
pub struct Tiers {}

impl Tiers {
    /// Takes tiers of sources; `seed` shuffles each tier once, as BEP 12
    /// wants it.
    pub fn new(_tiers: Vec<Vec<Arc<dyn PeerSource>>>, _seed: u64) -> Self {
        unimplemented!()
    }
}

impl PeerSource for Tiers {
    fn announce(&self, _announce: Announce) -> Announcing<'_> {
        unimplemented!()
    }
    fn name(&self) -> String {
        unimplemented!()
    }
}
