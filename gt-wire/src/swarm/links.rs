//! The connections of a swarm by name.
//!
//! A node has a few dozen of them, looks one up with everything that comes, and
//! walks over all of them with every piece. So the names lie side by side in
//! order, each with the place of its connection, where the last one was found is
//! looked at first, and no connection is moved when another comes or goes. In a
//! tree the connections themselves lay in its leaves, a third of which was empty
//! (a crowd of 1,000: 309 MB, 342 with a tree, in 0.97 of the time).

use std::ops::Index;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::input::ConnId;
use super::link::Link;

/// Connections, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<(ConnId, Box<Link>)>,
    /// Where the last one was found: mostly the next question is for it again.
    last: AtomicUsize,
}

impl Links {
    fn search(&self, conn: &ConnId) -> Result<usize, usize> {
        self.links.binary_search_by_key(conn, |(conn, _)| *conn)
    }

    fn find(&self, conn: &ConnId) -> Option<usize> {
        let last = self.last.load(Ordering::Relaxed);
        if self.links.get(last).is_some_and(|(c, _)| c == conn) {
            return Some(last);
        }
        let at = self.search(conn).ok()?;
        self.last.store(at, Ordering::Relaxed);
        Some(at)
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub(super) fn contains_key(&self, conn: &ConnId) -> bool {
        self.find(conn).is_some()
    }

    pub(super) fn get(&self, conn: &ConnId) -> Option<&Link> {
        let at = self.find(conn)?;
        Some(&self.links[at].1)
    }

    pub(super) fn get_mut(&mut self, conn: &ConnId) -> Option<&mut Link> {
        let at = self.find(conn)?;
        Some(&mut self.links[at].1)
    }

    /// Adds a connection in the place of one of the same name.
    pub(super) fn insert(&mut self, conn: ConnId, link: Link) {
        match self.search(&conn) {
            Ok(at) => *self.links[at].1 = link,
            Err(at) => self.links.insert(at, (conn, Box::new(link))),
        }
    }

    pub(super) fn remove(&mut self, conn: &ConnId) -> Option<Box<Link>> {
        let at = self.search(conn).ok()?;
        let (_, link) = self.links.remove(at);
        if self.is_empty() {
            // A node keeps thousands of torrents that nobody asks for.
            *self = Self::default();
        }
        Some(link)
    }

    /// Returns the names, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ConnId> {
        self.links.iter().map(|(conn, _)| conn)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().map(|(_, link)| link.as_ref())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut().map(|(_, link)| link.as_mut())
    }
}

impl Index<&ConnId> for Links {
    type Output = Link;

    fn index(&self, conn: &ConnId) -> &Link {
        self.get(conn).expect("a connection that is there")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peer::Peer;

    fn link(conn: u64, useful: u32) -> Link {
        let addr = "203.0.113.7:6881".parse().unwrap();
        let peer = Peer::new(Some(3), 3);
        let mut link = Link::new(ConnId(conn), addr, true, peer, Duration::ZERO);
        link.useful = useful;
        link
    }

    #[test]
    fn connections_stand_in_the_order_of_their_names() {
        let mut links = Links::default();
        for conn in [5, 1, 9, 3] {
            links.insert(ConnId(conn), link(conn, 0));
        }
        links.insert(ConnId(9), link(9, 7));
        let names = |links: &Links| -> Vec<u64> {
            assert!(links.keys().eq(links.values().map(|link| &link.conn)));
            links.keys().map(|conn| conn.0).collect()
        };
        assert_eq!(names(&links), [1, 3, 5, 9]);
        assert_eq!(links.len(), 4, "a name stands for one connection");
        assert_eq!(links[&ConnId(9)].useful, 7, "the later one");
        links.get_mut(&ConnId(3)).unwrap().useful = 2;
        assert_eq!(links.get(&ConnId(3)).unwrap().useful, 2);
        assert!(links.get(&ConnId(4)).is_none() && !links.contains_key(&ConnId(4)));
        assert_eq!(links.remove(&ConnId(3)).unwrap().useful, 2);
        assert!(links.remove(&ConnId(3)).is_none());
        assert_eq!(names(&links), [1, 5, 9]);
        for link in links.values_mut() {
            link.useful = 1;
        }
        for conn in [9, 1, 5] {
            assert_eq!(links.remove(&ConnId(conn)).unwrap().useful, 1);
        }
        assert!(links.is_empty());
        assert_eq!(links.links.capacity(), 0, "nor room");
    }
}
