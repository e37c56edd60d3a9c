//! Bencode (BEP 3): foreign bytes are read in place, our own are written in
//! the one canonical form.
//!
//! Reading makes no copies and no tree of boxes: one pass over the bytes, no
//! recursion, notes where every value lies, so that what was hashed by
//! somebody else is still there byte for byte ([`Node::raw`]).

mod read;
mod write;

pub use read::{Document, Entries, Error, Items, Keys, Kind, Limits, Node};
pub use write::{Value, dict_of_raw};
