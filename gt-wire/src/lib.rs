#![doc = include_str!("../README.md")]

pub mod bitfield;
pub mod extended;
pub mod geometry;
pub mod handshake;
pub mod hashes;
pub mod id;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod peer;
pub mod source;
pub mod swarm;

pub use geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
pub use id::{InfoHash, PeerId};
pub use source::PeerSource;
pub use swarm::Swarm;
