#![doc = include_str!("../README.md")]

pub mod chain;
pub mod delta;
pub mod entry;
pub mod hash;
pub mod import;
pub mod index;
pub mod inflate;
pub mod limits;
pub mod reel_vfs;
pub mod refs;
pub mod span;
pub mod thin;
pub mod verify;

pub use chain::{Chain, Reel};
pub use entry::Kind;
pub use gt_vfs::{ObjectFormat, ObjectId};
pub use limits::Limits;
pub use reel_vfs::ReelVfs;
