#![doc = include_str!("../README.md")]

pub mod bundle;
#[cfg(feature = "git")]
pub mod chain;
pub mod delta;
pub mod encode;
pub mod entry;
pub mod fsck;
#[cfg(feature = "git")]
mod git_program;
pub mod hash;
pub mod idle;
#[cfg(feature = "git")]
pub mod import;
pub mod index;
pub mod inflate;
pub mod kind;
pub mod limits;
pub mod published;
#[cfg(feature = "git")]
pub mod reel_vfs;
#[cfg(feature = "git")]
pub mod refs;
pub mod repository;
pub mod small;
pub mod span;
pub mod splice;
pub mod spool;
pub mod thin;
mod tree;
pub mod verify;

#[cfg(feature = "git")]
pub use chain::{Chain, Reel};
pub use gt_vfs::{ObjectFormat, ObjectId};
pub use kind::Kind;
pub use limits::Limits;
#[cfg(feature = "git")]
pub use reel_vfs::ReelVfs;
