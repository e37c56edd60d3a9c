#![doc = include_str!("../README.md")]

pub mod bencode;
pub mod bitfield;
pub mod extended;
pub mod geometry;
pub mod handshake;
pub mod hashes;
pub mod id;
pub mod limits;
pub mod magnet;
pub mod message;
pub mod metadata;
pub mod metainfo;
#[cfg(feature = "tokio")]
pub mod net;
pub mod peer;
pub mod references;
pub mod resume;
pub mod source;
pub mod swarm;

pub use geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
pub use id::{InfoHash, PeerId};
pub use magnet::Magnet;
pub use metainfo::{Info, Metainfo};
pub use source::PeerSource;
pub use swarm::Swarm;
