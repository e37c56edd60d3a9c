//! What needs git, other people's packs, or more than one room of the crate.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed, and says where"
)]
#![cfg_attr(
    not(feature = "git"),
    allow(
        dead_code,
        reason = "most of what is made with git is for the parts that need it"
    )
)]

mod alone;
mod altered;
#[cfg(feature = "git")]
mod arriving;
mod bodies;
mod bundle;
mod chance;
mod crafted;
#[cfg(feature = "git")]
mod encode;
#[cfg(feature = "git")]
mod encode_real;
mod fsck;
#[cfg(feature = "git")]
mod garbled;
mod git;
#[cfg(feature = "git")]
mod golden;
mod hostile;
mod huge;
#[cfg(feature = "git")]
mod import;
mod indexes;
#[cfg(feature = "git")]
mod join;
mod known;
#[cfg(feature = "git")]
mod overlap;
mod packs;
#[cfg(feature = "git")]
mod reel;
#[cfg(feature = "git")]
mod reel_vfs;
#[cfg(feature = "git")]
mod refs;
#[cfg(feature = "git")]
mod rejected;
#[cfg(feature = "git")]
mod repository;
mod small;
#[cfg(feature = "git")]
mod splice;
#[cfg(feature = "git")]
mod together;
