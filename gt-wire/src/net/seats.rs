//! How many connections there may be, in all and from one place.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits;
use crate::place::Place;

/// The seats of one node.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Those of them who have not said what they want.
    lobby: usize,
    most_lobby: usize,
    heard: u64,
    turned_away: u64,
    places: BTreeMap<Place, usize>,
}

/// Who is at a node, and who came in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visitors {
    /// Connections that there may be.
    pub seats: usize,
    /// Connections that there are, of all torrents together.
    pub taken: usize,
    /// Those of them who have not said yet which torrent they want; they have
    /// a quarter of the seats at most.
    pub strangers: usize,
    /// The most of these that there were at a time.
    pub most_strangers: usize,
    /// Strangers who were heard out, so far.
    pub heard: u64,
    /// Strangers who came in excess and were turned away unheard, so far.
    pub turned_away: u64,
}

/// A seat that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    place: Option<Place>,
    in_lobby: bool,
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
            in_lobby: false,
        })
    }

    /// Takes a seat for a stranger who has not said what he wants: those have
    /// a quarter, so that they cannot keep others out.
    pub(super) fn take_lobby(self: &Arc<Self>, addr: IpAddr) -> Option<Seat> {
        if self.lock().lobby >= self.most.div_ceil(4) {
            return None;
        }
        let mut seat = self.take(addr)?;
        let mut taken = self.lock();
        taken.lobby += 1;
        taken.heard += 1;
        taken.most_lobby = taken.most_lobby.max(taken.lobby);
        drop(taken);
        seat.in_lobby = true;
        Some(seat)
    }

    /// Notes one who came in excess.
    pub(super) fn turn_away(&self) {
        self.lock().turned_away += 1;
    }

    /// Returns who is here.
    pub(super) fn visitors(&self) -> Visitors {
        let taken = self.lock();
        Visitors {
            seats: self.most,
            taken: taken.all,
            strangers: taken.lobby,
            most_strangers: taken.most_lobby,
            heard: taken.heard,
            turned_away: taken.turned_away,
        }
    }

    /// Tells whether half of the lobby is full.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().lobby > self.most / 8
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Two numbers that change together; nothing between them panics.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Its holder has said what he wants.
    pub(super) fn enter(&mut self) {
        if std::mem::take(&mut self.in_lobby) {
            self.seats.lock().lobby -= 1;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.enter();
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
    fn the_silent_have_a_quarter() {
        let seats = Seats::new(40);
        let mut silent: Vec<Seat> = (0..50)
            .filter_map(|_| seats.take_lobby(ip("127.0.0.1")))
            .collect();
        assert!(silent.len() == 10 && seats.is_crowded());
        silent.iter_mut().take(5).for_each(Seat::enter);
        assert!(!seats.is_crowded());
        assert!(seats.take_lobby(ip("127.0.0.1")).is_some());
        drop(silent);
        let left = seats.lock();
        assert_eq!((left.lobby, left.all), (0, 0));
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
