//! Whole swarms in one thread on virtual time. Every test runs some seeds, and
//! a failure names its seed, with which it happens again.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test may fail by panic, and its parts have one reader"
)]

mod crowd;
mod described;
mod garbage;
mod gifts;
mod hands;
mod last;
mod liars;
mod promised;
mod punch;
mod pure;
mod share;
mod sources;
mod stage;
mod tables;
mod through;
mod topic;
mod town;
mod trouble;
mod twins;
mod worlds;
