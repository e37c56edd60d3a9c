#![doc = include_str!("../README.md")]

pub mod bencode;
pub mod bitfield;
mod digest;
pub mod exchange;
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
pub mod mirror;
pub mod mse;
#[cfg(feature = "tokio")]
pub mod net;
pub mod peer;
mod place;
pub mod punch;
pub mod rate;
pub mod reach;
pub mod references;
pub mod resume;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source;
pub mod swarm;
pub mod turn;
pub mod url;
pub mod verify;

pub use geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
pub use id::{InfoHash, PeerId};
pub use magnet::Magnet;
pub use metainfo::{Info, Metainfo};
pub use source::PeerSource;
pub use swarm::Swarm;
