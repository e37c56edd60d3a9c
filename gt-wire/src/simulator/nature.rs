//! How a node behaves.

use bytes::Bytes;

/// How a node behaves, honest or not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Nature {
    /// As the core does.
    Honest,
    /// Every n-th block that it sends is wrong.
    Corrupt(u64),
    /// It says it has everything, and cannot read any of it.
    Empty,
    /// It lets everybody in and never sends.
    Silent,
    /// It sends a block now and then.
    Drip,
    /// It answers hash requests from a layer of its own making.
    FalseHashes,
    /// It says these bytes after the handshake, again and again.
    Wild(Bytes),
    /// Its files are refused when closed.
    Rejected,
    /// Its disk refuses this many writes.
    FullDisk(u32),
}

impl Nature {
    /// Tells whether it deceives others.
    pub fn lies(&self) -> bool {
        !matches!(self, Self::Honest | Self::Rejected | Self::FullDisk(_))
    }
}
