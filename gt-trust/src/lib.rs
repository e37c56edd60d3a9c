#![doc = include_str!("../README.md")]

mod armor;
pub mod belief;
mod certificate;
pub mod charter;
pub mod fingerprint;
pub mod grammar;
pub mod judge;
pub mod key;
pub mod limits;
pub mod mark;
pub mod number;
pub mod object;
pub mod offer;
pub mod oid;
mod packets;
pub mod push;
pub mod refs;
pub mod rid;
pub mod seal;
pub mod signature;
pub mod signer;
pub mod ssh;
pub mod statement;
pub mod web;

pub use charter::Charter;
pub use fingerprint::Fingerprint;
pub use judge::{Judgement, judge};
pub use key::Keyring;
pub use mark::{Mark, Watermark};
pub use number::{Epoch, Sequence, Time};
pub use offer::Offer;
pub use oid::{ObjectFormat, Oid};
pub use refs::RefName;
pub use rid::{Address, Identity, Rid};
pub use seal::Seal;
pub use statement::Statement;
