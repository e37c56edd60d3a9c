//! What spans several files of the crate, in one binary.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod metainfo;
#[cfg(feature = "tokio")]
mod net;
mod torrents;
