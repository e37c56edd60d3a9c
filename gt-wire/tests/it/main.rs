//! What spans several files of the crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod altered;
mod bodies;
mod metainfo;
#[cfg(feature = "tokio")]
mod net;
mod torrents;
