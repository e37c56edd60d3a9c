//! How a node shall run.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::swarm;

/// How a node shall run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where to listen; port 0 picks a free one. None: only outgoing
    /// connections.
    pub listen: Vec<SocketAddr>,
    /// Listens at this port on every interface, by IPv4 and, where the system
    /// has it, by IPv6 (BEP 7); port 0 picks one that is free for both.
    pub everywhere: Option<u16>,
    /// Where chance begins: the peer id and the choices of swarms. Give
    /// random bytes; a test gives a constant.
    pub seed: [u8; 32],
    /// Where to note which pieces were verified; without it every start
    /// hashes what is there.
    pub resume: Option<PathBuf>,
    /// The most connections of all torrents together.
    pub connections: usize,
    /// Whether connections are encrypted.
    pub encryption: Encryption,
    /// Whether uTP is spoken too, at the ports where we listen (BEP 29).
    #[cfg(feature = "utp")]
    pub utp: bool,
    /// Disk work that may run at a time.
    pub disk_jobs: usize,
    /// How fast bytes may go, of all torrents together.
    pub limits: Limits,
    /// Changes the options of each swarm before it begins.
    pub tune: fn(&mut swarm::Options),
}

/// How fast bytes may go each way, in bytes a second; `None` as fast as they
/// can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes sent.
    pub up: Option<u64>,
    /// Bytes received.
    pub down: Option<u64>,
}

impl Options {
    /// Returns options that listen nowhere and keep no resume data.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            listen: Vec::new(),
            everywhere: None,
            seed,
            resume: None,
            connections: 500,
            encryption: Encryption::Accept,
            #[cfg(feature = "utp")]
            utp: false,
            disk_jobs: 8,
            limits: Limits::default(),
            tune: |_| {},
        }
    }

    /// Returns options that listen at `addr` too.
    #[must_use]
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen.push(addr);
        self
    }

    /// Returns options that listen on every interface, by both families, at one
    /// port.
    #[must_use]
    pub fn listen_everywhere(self, port: u16) -> Self {
        Self {
            everywhere: Some(port),
            ..self
        }
    }

    /// Returns options that keep resume data in a folder, which is made.
    #[must_use]
    pub fn resume(self, folder: impl Into<PathBuf>) -> Self {
        Self {
            resume: Some(folder.into()),
            ..self
        }
    }
}

/// Whether connections are encrypted (MSE). It hides what is spoken from those
/// who slow BitTorrent down, and costs as much time as it takes; it keeps
/// nothing secret from somebody who knows the torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// Plain words only; encrypted handshakes are refused.
    Off,
    /// We connect in plain words and answer as we are asked, in plain words
    /// where the other end leaves it to us.
    #[default]
    Accept,
    /// We connect encrypted, and in plain words where that is refused.
    Prefer,
    /// Nothing but encrypted connections.
    Require,
}
