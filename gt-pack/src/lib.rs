#![doc = include_str!("../README.md")]

pub mod bundle;
pub mod chain;
pub mod delta;
pub mod encode;
pub mod entry;
pub mod hash;
pub mod import;
pub mod index;
pub mod inflate;
pub mod kind;
pub mod limits;
pub mod published;
pub mod reel_vfs;
pub mod refs;
pub mod repository;
pub mod small;
pub mod span;
pub mod thin;
pub mod verify;

pub use chain::{Chain, Reel};
pub use gt_vfs::{ObjectFormat, ObjectId};
pub use kind::Kind;
pub use limits::Limits;
pub use reel_vfs::ReelVfs;
