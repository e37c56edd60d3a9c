use gt_wire::PeerId;
use gt_wire::source::Announce;
use proptest::prelude::*;

use super::*;

fn request(hash: u8, id: u8, port: u16, left: u64, event: Option<Event>) -> Request {
    Request::new(Announce {
        info_hash: InfoHash([hash; 20]),
        peer_id: PeerId([id; 20]),
        port,
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        want: None,
    })
}

fn peers(answer: Answer) -> Peers {
    match answer {
        Answer::Peers(peers) => peers,
        Answer::Failure(why) => panic!("refused: {why}"),
    }
}

fn addresses(peers: &Peers) -> Vec<String> {
    let mut list: Vec<_> = peers.peers.iter().map(|p| p.address.to_string()).collect();
    list.sort();
    list
}

const AT: Duration = Duration::from_secs(1000);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn two_meet_and_neither_is_given_itself() {
    let mut registry = Registry::default();
    let first = peers(registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0));
    assert!(first.peers.is_empty());
    assert_eq!(first.interval, Duration::from_secs(15));
    let second = peers(registry.announce(AT, ip("192.0.2.2"), &request(1, 2, 20, 0, None), 0));
    assert_eq!(addresses(&second), ["192.0.2.1:10"]);
    assert_eq!(second.peers[0].id, Some(PeerId([1; 20])));
    assert_eq!((second.complete, second.incomplete), (Some(1), Some(1)));
    let again = peers(registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0));
    assert_eq!(addresses(&again), ["192.0.2.2:20"]);
    assert_eq!((registry.torrents(), registry.peers()), (1, 2));
}

#[test]
fn torrents_do_not_mix() {
    let mut registry = Registry::default();
    registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0);
    let other = peers(registry.announce(AT, ip("192.0.2.2"), &request(2, 2, 20, 5, None), 0));
    assert!(other.peers.is_empty());
}

#[test]
fn stopped_removes_only_the_one_who_says_it() {
    let mut registry = Registry::default();
    registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0);
    let stop = request(1, 1, 10, 5, Some(Event::Stopped));
    let foreign = peers(registry.announce(AT, ip("192.0.2.9"), &stop, 0));
    assert!(foreign.peers.is_empty());
    assert_eq!(registry.peers(), 1);
    let own = peers(registry.announce(AT, ip("192.0.2.1"), &stop, 0));
    assert_eq!((own.complete, own.incomplete), (Some(0), Some(0)));
    assert_eq!((registry.torrents(), registry.peers()), (0, 0));
    assert!(registry.entries.is_empty() && registry.ends.is_empty());
}

#[test]
fn the_silent_are_forgotten_at_their_time() {
    let mut registry = Registry::default();
    registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0);
    let end = AT + Pace::default().remember;
    registry.expire(end - Duration::from_nanos(1));
    assert_eq!(registry.peers(), 1);
    registry.expire(end);
    assert_eq!((registry.torrents(), registry.peers()), (0, 0));
}

#[test]
fn announcing_again_renews() {
    let mut registry = Registry::default();
    let mut now = AT;
    for _ in 0..10 {
        registry.announce(now, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0);
        now += Pace::default().remember - Duration::from_secs(1);
    }
    registry.expire(now);
    assert_eq!((registry.peers(), registry.ends.len()), (1, 1));
}

#[test]
fn completed_counts_once() {
    let mut registry = Registry::default();
    let from = ip("192.0.2.1");
    registry.announce(AT, from, &request(1, 1, 10, 5, Some(Event::Started)), 0);
    for _ in 0..2 {
        registry.announce(AT, from, &request(1, 1, 10, 0, Some(Event::Completed)), 0);
    }
    let hash = InfoHash([1; 20]);
    let unknown = InfoHash([9; 20]);
    let scrape::Answer::Counts(counts) = registry.scrape(AT, &scrape::Request(vec![hash, unknown]))
    else {
        panic!("refused");
    };
    let expected = scrape::Counts {
        complete: 1,
        downloaded: 1,
        incomplete: 0,
    };
    assert_eq!(counts, BTreeMap::from([(hash, expected)]));
}

#[test]
fn own_family_comes_first_and_both_ends_of_one_host_are_one() {
    let mut registry = Registry::default();
    registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0);
    registry.announce(AT, ip("2001:db8::1"), &request(1, 2, 20, 5, None), 0);
    let mut ask = request(1, 3, 30, 5, None);
    ask.announce.want = Some(1);
    let six = peers(registry.announce(AT, ip("2001:db8::3"), &ask, 0));
    assert_eq!(addresses(&six), ["[2001:db8::1]:20"]);
    ask.announce.want = None;
    let four = peers(registry.announce(AT, ip("::ffff:192.0.2.3"), &ask, 0));
    assert_eq!(addresses(&four), ["192.0.2.1:10", "[2001:db8::1]:20"]);
}

#[test]
fn loopback_is_given_to_loopback_only() {
    let mut registry = Registry::default();
    registry.announce(AT, ip("127.0.0.1"), &request(1, 1, 10, 5, None), 0);
    let far = peers(registry.announce(AT, ip("192.0.2.2"), &request(1, 2, 20, 5, None), 0));
    assert!(far.peers.is_empty());
    let near = peers(registry.announce(AT, ip("127.0.0.1"), &request(1, 3, 30, 5, None), 0));
    assert_eq!(addresses(&near), ["127.0.0.1:10", "192.0.2.2:20"]);
}

#[test]
fn port_zero_is_given_peers_and_not_kept() {
    let mut registry = Registry::default();
    registry.announce(AT, ip("192.0.2.1"), &request(1, 1, 10, 5, None), 0);
    let answer = peers(registry.announce(AT, ip("192.0.2.2"), &request(1, 2, 0, 5, None), 0));
    assert_eq!(addresses(&answer), ["192.0.2.1:10"]);
    assert_eq!(registry.peers(), 1);
}

#[test]
fn each_ceiling_holds() {
    let options = Options {
        torrents: 2,
        peers: 4,
        peers_per_torrent: 2,
        entries_per_source: 3,
        ..Options::default()
    };
    let mut registry = Registry::new(options.clone());
    let tell = |registry: &mut Registry, hash, from: &str, port: u16| {
        registry.announce(AT, ip(from), &request(hash, port as u8, port, 5, None), 0)
    };
    tell(&mut registry, 1, "192.0.2.1", 1);
    tell(&mut registry, 1, "192.0.2.1", 2);
    // The torrent is full: peers, a warning, no entry; those inside renew.
    let full = peers(tell(&mut registry, 1, "192.0.2.2", 3));
    assert!(full.warning.unwrap().contains("full"));
    assert_eq!(full.peers.len(), 2);
    assert!(
        peers(tell(&mut registry, 1, "192.0.2.1", 2))
            .warning
            .is_none()
    );
    // The source is full.
    tell(&mut registry, 2, "192.0.2.1", 4);
    let source = peers(tell(&mut registry, 2, "192.0.2.1", 5));
    assert!(source.warning.unwrap().contains("address"));
    // No third torrent.
    assert!(matches!(
        tell(&mut registry, 3, "192.0.2.2", 6),
        Answer::Failure(_)
    ));
    assert_eq!((registry.torrents(), registry.peers()), (2, 3));
    // No fifth peer anywhere.
    let mut registry = Registry::new(Options {
        peers_per_torrent: 9,
        ..options
    });
    for n in 1..=6 {
        tell(&mut registry, 1, &format!("192.0.2.{n}"), n);
    }
    assert_eq!(registry.peers(), 4);
}

#[test]
fn wanting_much_has_a_ceiling_and_chance_follows_the_seed() {
    let mut registry = Registry::default();
    for n in 1..=300 {
        registry.announce(AT, ip("127.0.0.1"), &request(1, 0, n, 5, None), 0);
    }
    let mut ask = request(1, 1, 999, 5, None);
    let mut given = |want, seed| {
        ask.announce.want = want;
        peers(registry.announce(AT, ip("127.0.0.1"), &ask, seed)).peers
    };
    assert_eq!(given(Some(u32::MAX), 1).len(), limits::WANT_MOST as usize);
    assert_eq!(given(None, 1).len(), limits::WANT_DEFAULT as usize);
    assert_eq!(given(Some(0), 1).len(), 0);
    assert_eq!(given(None, 1), given(None, 1));
    assert_ne!(given(None, 1), given(None, 2));
}

/// The naive tracker: a list.
#[derive(Default)]
struct Model(Vec<(u8, SocketAddr, u64, Duration)>);

proptest! {
    /// Whatever comes, registry and list agree on who is there.
    #[test]
    fn agrees_with_a_list(steps in prop::collection::vec(
        (0_u8..3, 0_u8..4, 1_u16..4, 0_u64..2, 0_u8..4, 0_u64..400),
        1..80,
    )) {
        let mut registry = Registry::default();
        let mut model = Model::default();
        let mut now = Duration::ZERO;
        for (seed, (hash, host, port, left, event, pause)) in steps.into_iter().enumerate() {
            now += Duration::from_secs(pause);
            let from = match host {
                3 => ip("2001:db8::7"),
                n => IpAddr::from([192, 0, 2, n]),
            };
            let event = match event {
                1 => Some(Event::Started),
                2 => Some(Event::Completed),
                3 => Some(Event::Stopped),
                _ => None,
            };
            let address = SocketAddr::new(from, port);
            let id = host * 16 + port as u8;
            let answer = peers(registry.announce(now, from, &request(hash, id, port, left, event), seed as u64));
            model.0.retain(|(h, a, _, end)| *end > now && (*h, *a) != (hash, address));
            let mut others: Vec<_> = model.0.iter().filter(|m| m.0 == hash).map(|m| m.1).collect();
            if event == Some(Event::Stopped) {
                others.clear();
            } else {
                model.0.push((hash, address, left, now + Pace::default().remember));
            }
            let mut given: Vec<_> = answer.peers.iter().map(|peer| peer.address).collect();
            given.sort();
            others.sort();
            prop_assert_eq!(given, others);
            let swarm = || model.0.iter().filter(|m| m.0 == hash);
            prop_assert_eq!(answer.complete, Some(swarm().filter(|m| m.2 == 0).count() as u64));
            prop_assert_eq!(answer.incomplete, Some(swarm().filter(|m| m.2 != 0).count() as u64));
            prop_assert_eq!(registry.peers(), model.0.len());
            prop_assert_eq!(registry.entries.values().sum::<usize>(), model.0.len());
        }
    }
}
