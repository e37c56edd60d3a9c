use proptest::prelude::*;

use super::*;

fn peers(ids: bool) -> impl Strategy<Value = Vec<Peer>> {
    let four = any::<(Ipv4Addr, u16)>().prop_map(SocketAddr::from);
    let six = any::<(Ipv6Addr, u16)>().prop_map(SocketAddr::from);
    let id = any::<[u8; 20]>().prop_map(move |id| ids.then_some(PeerId(id)));
    let list = |address: BoxedStrategy<SocketAddr>| {
        let peer = (address, id.clone()).prop_map(|(address, id)| Peer { address, id });
        prop::collection::vec(peer, 0..20)
    };
    // Compact answers keep the families apart, IPv4 first.
    (list(four.boxed()), list(six.boxed())).prop_map(|(four, six)| [four, six].concat())
}

fn answer(ids: bool) -> impl Strategy<Value = Answer> {
    let seconds = || (0..=u64::from(u32::MAX)).prop_map(Duration::from_secs);
    let count = || prop::option::of(0..=i64::MAX as u64);
    let words = || "[^\\p{C}]{0,40}";
    let willing = (
        seconds(),
        prop::option::of(seconds()),
        count(),
        count(),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..30)),
        prop::option::of(words()),
        peers(ids),
    )
        .prop_map(
            |(interval, min_interval, complete, incomplete, tracker_id, warning, peers)| {
                Answer::Peers(Peers {
                    interval,
                    min_interval,
                    complete,
                    incomplete,
                    tracker_id,
                    warning,
                    peers,
                })
            },
        );
    prop_oneof![4 => willing, 1 => words().prop_map(Answer::Failure)]
}

proptest! {
    #[test]
    fn reads_compact_as_written(answer in answer(false)) {
        prop_assert_eq!(Answer::read(&answer.write(Form::Compact)), Ok(answer));
    }

    #[test]
    fn reads_dictionaries_as_written(answer in answer(true)) {
        let bytes = answer.write(Form::Dictionaries { ids: true });
        prop_assert_eq!(Answer::read(&bytes), Ok(answer));
    }

    #[test]
    fn dictionaries_keep_ids_back_when_told(answer in answer(true)) {
        let bytes = answer.write(Form::Dictionaries { ids: false });
        if let Answer::Peers(read) = Answer::read(&bytes).unwrap() {
            prop_assert!(read.peers.iter().all(|peer| peer.id.is_none()));
        }
    }
}

fn willing(body: &[u8]) -> Peers {
    match Answer::read(body).unwrap() {
        Answer::Peers(peers) => peers,
        Answer::Failure(why) => panic!("refused: {why}"),
    }
}

/// The form in which opentracker answers: compact, counts first, a field of
/// its own (`downloaded`) between the known ones.
#[test]
fn reads_opentracker() {
    let body = b"d8:completei2e10:downloadedi7e10:incompletei1e8:intervali1756e\
        12:min intervali878e5:peers12:\x7f\0\0\x01\x1a\xe1\x0a\0\0\x02\xc8\xd5e";
    let peers = willing(body);
    assert_eq!(peers.interval, Duration::from_secs(1756));
    assert_eq!(peers.min_interval, Some(Duration::from_secs(878)));
    assert_eq!((peers.complete, peers.incomplete), (Some(2), Some(1)));
    let addresses: Vec<_> = peers.peers.iter().map(|p| p.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:6881", "10.0.0.2:51413"]);
}

#[test]
fn reads_unsorted_keys_ipv6_and_host_names() {
    let body = b"d5:peersld4:porti1e2:ip7:1.2.3.4ed2:ip11:example.org4:porti2eed2:ip3:::1\
        4:porti3e7:peer id20:aaaaaaaaaaaaaaaaaaaaee8:intervali60e\
        6:peers618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x09e";
    let peers = willing(body);
    let addresses: Vec<_> = peers.peers.iter().map(|p| p.address.to_string()).collect();
    assert_eq!(addresses, ["1.2.3.4:1", "[::1]:3", "[::1]:9"]);
    assert_eq!(peers.peers[1].id, Some(PeerId(*b"aaaaaaaaaaaaaaaaaaaa")));
}

#[test]
fn failure_stands_above_everything_and_drives_no_terminal() {
    let body = b"d14:failure reason9:no\x1b[2J\xff\r\n8:intervali60ee";
    let Ok(Answer::Failure(why)) = Answer::read(body) else {
        panic!("expected a failure");
    };
    assert_eq!(why, "no [2J\u{fffd}  ");
}

#[test]
fn long_words_are_cut() {
    let long = Answer::Failure("x".repeat(1 << 16)).write(Form::Compact);
    assert!(matches!(Answer::read(&long), Ok(Answer::Failure(why)) if why.len() == limits::WORDS));
}

#[test]
fn refuses_what_is_no_answer() {
    for (body, error) in [
        (
            &b"d5:peers7:abcdefge"[..],
            "expected \"peers\" in pieces of 6 bytes, got 7 bytes",
        ),
        (
            b"d6:peers617:abcdefghijklmnopqe",
            "expected \"peers6\" in pieces of 18 bytes, got 17 bytes",
        ),
        (b"d5:peersi1ee", "expected a string or a list as \"peers\""),
        (
            b"d5:peersli1eee",
            "expected a list of dictionaries as \"peers\"",
        ),
        (
            b"d5:peersld2:ip1:aeee",
            "expected a number from 0 to 65535 as \"port\"",
        ),
        (
            b"d5:peersld2:ip1:a4:porti65536eeee",
            "expected a number from 0 to 65535 as \"port\"",
        ),
        (b"d5:peersld4:porti1eeee", "expected a string as \"ip\""),
        (
            b"d5:peersld2:ip1:a7:peer id3:abc4:porti1eeee",
            "expected 20 bytes as \"peer id\"",
        ),
        (
            b"d8:intervali-1ee",
            "expected a number from 0 as \"interval\"",
        ),
        (
            b"d8:interval2:60e",
            "expected a number from 0 as \"interval\"",
        ),
        (
            b"d14:failure reasoni1ee",
            "expected a string as \"failure reason\"",
        ),
        (
            b"<html>",
            "expected a bencoded value, got something else at byte 0",
        ),
        (b"", "expected more bytes, got the end at byte 0"),
        (b"i1e", "expected a dictionary, got an integer"),
        (b"dede", "expected the end, got more bytes at byte 2"),
    ] {
        let got = Answer::read(body).unwrap_err().to_string();
        assert_eq!(got, error, "{}", body.escape_ascii());
    }
}

#[test]
fn a_last_newline_is_borne() {
    assert_eq!(
        willing(b"d8:intervali9ee\r\n").interval,
        Duration::from_secs(9)
    );
}

#[test]
fn misses_are_filled_with_the_usual() {
    let peers = willing(b"d5:peers0:e");
    assert_eq!(peers.interval, limits::INTERVAL_UNTOLD);
    assert!(peers.peers.is_empty() && peers.min_interval.is_none());
}
