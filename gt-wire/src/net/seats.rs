//! How many connections there may be, in all and from one place.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits;

/// The seats of one node.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    places: BTreeMap<Place, usize>,
}

/// A neighbourhood of public addresses: an IPv4 /24 or an IPv6 /48.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    V4([u8; 3]),
    V6([u16; 3]),
}

/// A seat that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    place: Option<Place>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: Mutex::default(),
        })
    }

    /// Takes a seat for a connection with `addr`, if there is one.
    pub(super) fn take(self: &Arc<Self>, addr: IpAddr) -> Option<Seat> {
        let place = Place::of(addr);
        let mut taken = self.lock();
        if taken.all >= self.most {
            return None;
        }
        if let Some(place) = place {
            let there = taken.places.entry(place).or_default();
            if *there >= limits::CONNECTIONS_PER_PLACE {
                return None;
            }
            *there += 1;
        }
        taken.all += 1;
        Some(Seat {
            seats: self.clone(),
            place,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Two numbers that change together; nothing between them panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all -= 1;
        if let Some(place) = self.place
            && let Some(there) = taken.places.get_mut(&place)
        {
            *there -= 1;
            if *there == 0 {
                taken.places.remove(&place);
            }
        }
    }
}

impl Place {
    /// Returns the place of a public address. One's own machine and network
    /// are not strangers' to fill.
    fn of(addr: IpAddr) -> Option<Self> {
        match addr.to_canonical() {
            IpAddr::V4(v4) => {
                let near = v4.is_loopback() || v4.is_private() || v4.is_link_local();
                let [a, b, c, _] = v4.octets();
                (!near).then_some(Self::V4([a, b, c]))
            }
            IpAddr::V6(v6) => {
                let near = v6.is_loopback() || is_local(v6);
                let [a, b, c, ..] = v6.segments();
                (!near).then_some(Self::V6([a, b, c]))
            }
        }
    }
}

/// Unique local (fc00::/7) and link-local (fe80::/10) addresses.
fn is_local(v6: Ipv6Addr) -> bool {
    let first = v6.segments()[0];
    first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_fills_and_empties() {
        let seats = Seats::new(100);
        let taken: Vec<Seat> = (0..20)
            .filter_map(|n| seats.take(ip(&format!("203.0.113.{n}"))))
            .collect();
        assert_eq!(taken.len(), limits::CONNECTIONS_PER_PLACE);
        assert!(seats.take(ip("::ffff:203.0.113.99")).is_none());
        assert!(seats.take(ip("203.0.114.1")).is_some());
        drop(taken);
        assert!(seats.take(ip("203.0.113.1")).is_some());
        assert_eq!(seats.lock().all, 0);
        let v6: Vec<Seat> = (0..20)
            .filter_map(|n| seats.take(ip(&format!("2001:db8:1:{n}::1"))))
            .collect();
        assert_eq!(v6.len(), limits::CONNECTIONS_PER_PLACE);
    }

    #[test]
    fn the_whole_is_bounded_too() {
        let seats = Seats::new(30);
        let taken: Vec<Seat> = (0..50)
            .filter_map(|_| seats.take(ip("127.0.0.1")))
            .collect();
        assert_eq!(taken.len(), 30);
    }
}
