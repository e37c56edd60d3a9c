//! Whole swarms in one thread on virtual time: the core as it is, in a world
//! of links with capacity and delay, disks, liars and crashes (feature
//! `simulator`).
//!
//! What travels is what would travel: every byte of every message is put
//! together, sent, charged to an uplink, and taken apart. Only the payloads
//! are tokens: a block says which it is in its first bytes, and hashing is an
//! oracle over these. Headers of packets are not charged.
//!
//! | part | what it stands for |
//! |---|---|
//! | `World` | the clock, the tracker, who is connected to whom |
//! | `pipe` | one direction of a TCP connection: a small send buffer, slow start, slow start again after idleness |
//! | `Node` | one machine: a swarm, its disk, its up- and downlink, its nature |
//! | `Source` | an HTTP source |
//! | `Matter` | the content, and the oracle |
//! | `Plan`, `Outcome` | a crowd in a few numbers, and what became of it |

mod garble;
mod heap;
mod matter;
mod nature;
mod node;
mod pipe;
mod plan;
mod source;
mod world;

pub use garble::garble;
pub use matter::Matter;
pub use nature::Nature;
pub use node::Node;
pub use plan::{Outcome, Plan};
pub use source::Source;
pub use world::World;
