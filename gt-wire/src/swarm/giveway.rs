//! A full node takes a better connection for a worse one (BEP 40), so that a
//! crowded swarm settles on one set of connections, and newcomers find a place
//! in it.

use std::net::SocketAddr;
use std::time::Duration;

use super::Swarm;
use super::input::ConnId;

/// How long no block has gone either way on a connection that gives way: a
/// stranger shall not cut off those who are served or serve.
const IDLE: Duration = Duration::from_secs(20);

impl Swarm {
    /// Returns the connection that ends for one with `addr` where all slots are
    /// taken: the one of the least canonical priority, if that is less.
    pub(super) fn gives_way(&self, addr: SocketAddr) -> Option<ConnId> {
        let wanted = self.book.rank(addr)?;
        let idle = self.links.values().filter(|link| {
            let since = self.now.saturating_sub(link.useful_at.max(link.opened));
            // Those that we chose ourselves stay: strangers who can be found
            // at good addresses could have all of us to themselves otherwise.
            !link.outgoing
                && link.errands.is_none()
                && since >= IDLE
                && !self.book.is_wish(link.addr)
        });
        let ranked = idle.filter_map(|link| Some((self.book.rank(link.addr)?, link.conn)));
        let (least, conn) = ranked.min()?;
        (least < wanted).then_some(conn)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::swarm::{Input, Options, Output, Reason, Source};
    use crate::{InfoHash, PeerId};

    const LATER: Duration = Duration::from_secs(60);

    fn at(n: u8) -> SocketAddr {
        SocketAddr::from(([30 + n, 7, n, 9], 6881))
    }

    /// A node of three connections that knows its address, and the peers 0 to
    /// 9 from the least priority to the greatest.
    fn full(of: impl Fn(&[SocketAddr]) -> Vec<SocketAddr>) -> (Swarm, Vec<SocketAddr>) {
        let mut options = Options::new(PeerId([1; 20]), InfoHash([7; 20]), 1);
        options.connections = 3;
        let mut swarm = Swarm::new(options);
        let me: IpAddr = "123.213.32.10".parse().unwrap();
        for teller in [[9, 9, 9, 9], [8, 8, 8, 8]] {
            swarm.book.seen_as(me, IpAddr::from(teller));
        }
        let mut all: Vec<SocketAddr> = (0..10).map(at).collect();
        all.sort_by_key(|addr| swarm.book.rank(*addr));
        for (addr, n) in of(&all).into_iter().zip(1..) {
            connect(&mut swarm, Duration::ZERO, n, addr);
        }
        assert_eq!(swarm.links.len(), 3);
        (swarm, all)
    }

    /// Returns who was ended, and why.
    fn connect(
        swarm: &mut Swarm,
        now: Duration,
        conn: u64,
        addr: SocketAddr,
    ) -> Vec<(u64, Reason)> {
        swarm.handle(
            now,
            Input::Connected {
                conn: ConnId(conn),
                addr,
                outgoing: false,
            },
        );
        let mut ended = Vec::new();
        loop {
            match swarm.poll() {
                Output::Wait(_) => return ended,
                Output::Disconnect { conn, why } => ended.push((conn.0, why)),
                _ => {}
            }
        }
    }

    #[test]
    fn the_least_gives_way_to_a_better_one() {
        let (mut swarm, all) = full(|all| vec![all[5], all[2], all[8]]);
        swarm.now = LATER;
        assert_eq!(swarm.gives_way(all[4]), Some(ConnId(2)));
        assert_eq!(swarm.gives_way(all[9]), Some(ConnId(2)));
    }

    #[test]
    fn nobody_gives_way_who_has_just_come() {
        let (mut swarm, all) = full(|all| vec![all[5], all[2], all[8]]);
        let ended = connect(&mut swarm, Duration::from_secs(14), 4, all[9]);
        assert_eq!(ended, [(4, Reason::Full)]);
    }

    #[test]
    fn whom_we_called_stays() {
        let (mut swarm, all) = full(|all| vec![all[5], all[2], all[8]]);
        swarm.now = LATER;
        swarm.links.get_mut(&ConnId(2)).unwrap().outgoing = true;
        assert_eq!(swarm.gives_way(all[9]), Some(ConnId(1)));
    }

    #[test]
    fn a_worse_one_is_turned_away() {
        let (mut swarm, all) = full(|all| vec![all[5], all[2], all[8]]);
        swarm.now = LATER;
        assert_eq!(swarm.gives_way(all[1]), None);
    }

    #[test]
    fn who_gives_or_gets_stays_and_so_does_whom_the_person_named() {
        let (mut swarm, all) = full(|all| vec![all[5], all[2], all[8]]);
        swarm.now = LATER;
        let busy = swarm.links.get_mut(&ConnId(2)).unwrap();
        busy.useful_at = LATER - Duration::from_secs(1);
        assert_eq!(swarm.gives_way(all[9]), Some(ConnId(1)));
        swarm.book.learn(LATER, &[all[5]], Source::Person);
        assert_eq!(swarm.gives_way(all[9]), Some(ConnId(3)));
        // Local addresses have no rank, as far as others can tell.
        assert_eq!(swarm.gives_way("127.0.0.1:1".parse().unwrap()), None);
    }

    #[test]
    fn who_gives_way_is_told_and_the_newcomer_stays() {
        let (mut swarm, all) = full(|all| vec![all[5], all[2], all[8]]);
        swarm.now = LATER;
        swarm.connected(ConnId(4), all[9], false);
        assert!(swarm.links.contains_key(&ConnId(4)));
        assert!(!swarm.links.contains_key(&ConnId(2)));
        let told = std::iter::from_fn(|| match swarm.poll() {
            Output::Wait(_) => None,
            other => Some(other),
        });
        let why = Reason::GaveWay;
        let gone = Output::Disconnect {
            conn: ConnId(2),
            why,
        };
        assert!(told.collect::<Vec<_>>().contains(&gone));
    }
}
