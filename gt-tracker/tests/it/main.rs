//! Trackers and clients over loopback: with each other, with liars, and with
//! a stock client.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

mod aria2;
mod liars;
mod loopback;
mod rig;
mod slow;
