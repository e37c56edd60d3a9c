//! What needs git, other people's packs, or more than one room of the crate.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed, and says where"
)]

#[cfg(feature = "git")]
mod encode_real;
mod git;
mod hostile;
mod import;
mod packs;
mod reel;
mod reel_vfs;
mod refs;
