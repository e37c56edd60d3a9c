//! Who has what: the memory of a tracker.

use std::net::IpAddr;
use std::time::Duration;

use crate::announce::{Answer, Request};

/// The swarms that a tracker knows. Time is an argument: `now` is counted
/// from any fixed beginning and never goes back.
#[derive(Debug)]
pub struct Registry {}

impl Registry {
    /// Returns a registry that knows nobody.
    pub fn new(_options: Options) -> Self {
        unimplemented!()
    }

    /// Takes an announce that came `from` an address; `seed` decides which
    /// peers are given where there are more than wanted.
    pub fn announce(
        &mut self,
        _now: Duration,
        _from: IpAddr,
        _request: &Request,
        _seed: u64,
    ) -> Answer {
        unimplemented!()
    }
}

/// How long, how many, how often.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {}
