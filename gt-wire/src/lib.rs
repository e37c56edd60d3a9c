#![doc = include_str!("../README.md")]

pub mod bencode;
pub mod geometry;
pub mod id;
pub mod limits;
pub mod metainfo;
pub mod source;

pub use geometry::{Block, FileIndex, FileSpan, Geometry, PieceIndex};
pub use id::{InfoHash, PeerId};
pub use metainfo::{Info, Metainfo};
pub use source::PeerSource;
