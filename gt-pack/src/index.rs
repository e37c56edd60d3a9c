//! `.idx` files of version 2 and `.rev` files: where each object of a pack
//! begins (git: `gitformat-pack`).

mod read;
mod write;

pub use read::{Error, Index};
pub use write::{write_idx, write_rev};
