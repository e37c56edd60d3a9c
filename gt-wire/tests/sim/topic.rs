//! Swarms without content: handshakes, the caller's extensions, and the info
//! dictionary from peers. Two swarms in a box, without a net between them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gt_wire::swarm::{ConnId, Event, Input, Options, Output, Reason, Source};
use gt_wire::{InfoHash, PeerId, Swarm};

const CONN: ConnId = ConnId(1);

fn options(id: u8) -> Options {
    let mut options = Options::new(PeerId([id; 20]), InfoHash([7; 20]), u64::from(id));
    options.extensions = vec!["gt_references".into()];
    options
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 6881))
}

/// Two swarms with one connection, and what each said beside bytes.
struct Pair {
    now: Duration,
    swarms: [Swarm; 2],
    told: [Vec<Output>; 2],
}

impl Pair {
    fn new(one: Options, two: Options) -> Self {
        let mut pair = Self {
            now: Duration::from_secs(1),
            swarms: [Swarm::new(one), Swarm::new(two)],
            told: [Vec::new(), Vec::new()],
        };
        for n in 0..2 {
            let input = Input::Connected {
                conn: CONN,
                addr: addr(2 - n as u8),
                outgoing: n == 0,
            };
            pair.swarms[n].handle(pair.now, input);
        }
        pair.settle();
        pair
    }

    fn settle(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for n in 0..2 {
                loop {
                    match self.swarms[n].poll() {
                        Output::Wait(_) => break,
                        Output::Send { conn, bytes } => {
                            let count = bytes.len();
                            let sent = Input::Sent { conn, bytes: count };
                            let received = Input::Received { conn, bytes };
                            self.swarms[n].handle(self.now, sent);
                            self.swarms[1 - n].handle(self.now, received);
                            quiet = false;
                        }
                        other => self.told[n].push(other),
                    }
                }
            }
        }
    }

    fn say(&mut self, n: usize, name: &str, payload: &'static [u8]) {
        let input = Input::SendExtended {
            conn: CONN,
            name: name.into(),
            payload: Bytes::from_static(payload),
        };
        self.swarms[n].handle(self.now, input);
        self.settle();
    }
}

#[test]
fn a_topic_speaks_by_extensions() {
    let mut pair = Pair::new(options(1), options(2));
    for n in 0..2 {
        let ready = pair.told[n].iter().any(|output| {
            matches!(output, Output::PeerReady { peer_id, extensions, .. }
                if *peer_id == PeerId([2 - n as u8; 20])
                    && extensions.number("gt_references").is_some())
        });
        assert!(ready, "{:?}", pair.told[n]);
    }
    pair.say(0, "gt_references", b"have");
    pair.say(0, "gt_unheard_of", b"nothing");
    let heard: Vec<_> = pair.told[1]
        .iter()
        .filter_map(|output| match output {
            Output::Extended { name, payload, .. } => Some((name.as_str(), payload.as_ref())),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [("gt_references", &b"have"[..])]);
}

#[test]
fn an_info_dictionary_crosses() {
    let info = Bytes::from(vec![b'x'; 40_000]);
    let mut seed = options(1);
    seed.info = Some(info.clone());
    let mut fetcher = options(2);
    fetcher.fetch_info = true;
    let pair = Pair::new(seed, fetcher);
    let got = pair.told[1].iter().find_map(|output| match output {
        Output::Event(Event::Metadata { info, .. }) => Some(info.clone()),
        _ => None,
    });
    assert_eq!(got, Some(info));
}

#[test]
fn another_torrent_and_ourselves_are_refused() {
    let mut other = options(2);
    other.info_hash = InfoHash([8; 20]);
    for (two, ours) in [(other, false), (options(1), true)] {
        let pair = Pair::new(options(1), two);
        let why = pair.told.iter().flatten().find_map(|output| match output {
            Output::Disconnect { why, .. } => Some(why.clone()),
            _ => None,
        });
        match why {
            Some(Reason::Ourselves) => assert!(ours),
            Some(Reason::Protocol(_)) => assert!(!ours),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_peer_judged_by_the_caller_is_not_taken_up_again() {
    let mut pair = Pair::new(options(1), options(2));
    let why = "its statement was no statement".to_owned();
    pair.swarms[0].handle(pair.now, Input::Ban { conn: CONN, why });
    let source = Source::Tracker;
    let addrs = vec![addr(2)];
    pair.swarms[0].handle(pair.now, Input::Peers { addrs, source });
    pair.settle();
    let told = &pair.told[0];
    assert!(told.iter().any(|o| matches!(o, Output::Disconnect { .. })));
    assert!(!told.iter().any(|o| matches!(o, Output::Connect { .. })));
}

#[test]
fn every_wait_ends() {
    // Nobody answers anything: connects and announces run out, peers that say
    // nothing are given up.
    let mut swarm = Swarm::new(options(1));
    let source = Source::Tracker;
    let addrs = vec![addr(9)];
    swarm.handle(Duration::ZERO, Input::Peers { addrs, source });
    let silent = Input::Connected {
        conn: CONN,
        addr: addr(3),
        outgoing: false,
    };
    swarm.handle(Duration::ZERO, silent);
    let mut gone_at = None;
    for _ in 0..1000 {
        match swarm.poll() {
            Output::Wait(at) if at == Duration::MAX => break,
            Output::Wait(at) => swarm.handle(at, Input::Tick),
            Output::Disconnect { .. } => gone_at = Some(true),
            _ => {}
        }
    }
    assert_eq!(gone_at, Some(true));
    swarm.handle(Duration::from_secs(9999), Input::Stop);
    let outputs: Vec<_> = std::iter::from_fn(|| match swarm.poll() {
        Output::Wait(at) => {
            assert_eq!(at, Duration::MAX);
            None
        }
        other => Some(other),
    })
    .collect();
    assert!(outputs.iter().any(|o| matches!(o, Output::Announce { .. })));
}
