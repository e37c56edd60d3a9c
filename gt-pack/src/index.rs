//! Where each object of a pack begins: `.idx` files of version 1 and 2, `.rev`
//! files, and indexes over many packs (git: `gitformat-pack`).
//!
//! Readers trust no number of a file: each is compared with the length of the
//! file, and of the pack, before it leads anywhere.

mod layers;
mod multi;
mod read;
mod reverse;
mod trailer;
mod write;

pub use layers::{Error as LayersError, Layers, OpenLayer};
pub use multi::{Error as MultiError, Multi};
pub use read::{Error, Index};
pub use reverse::{Error as ReverseError, Reverse};
pub use write::{write_idx, write_idx_to, write_rev, write_rev_to};

#[cfg(feature = "git")]
pub(crate) use layers::{CHAIN, FOLDER};
