#![doc = include_str!("../README.md")]

pub mod id;
pub mod source;

pub use id::{InfoHash, PeerId};
pub use source::PeerSource;
