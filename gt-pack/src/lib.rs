#![doc = include_str!("../README.md")]

pub mod bundle;
pub mod kind;

pub use gt_vfs::{ObjectFormat, ObjectId};
pub use kind::Kind;
