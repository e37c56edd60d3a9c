//! Peers behind routers meet through one that both are connected to (BEP 55).

use std::net::SocketAddr;

use bytes::Bytes;
use gt_wire::punch::{Fault, Message, NAME};
use gt_wire::swarm::{Input, Options};
use gt_wire::{InfoHash, PeerId};

use super::town::{RELAY, Town, addr};

fn options(n: usize) -> Options {
    let mut options = Options::new(PeerId([n as u8 + 1; 20]), InfoHash([7; 20]), n as u64);
    options.extensions = vec!["gt_references".into()];
    options.port = Some(6881);
    options.punch = true;
    options
}

#[test]
fn two_behind_routers_meet_through_a_third() {
    let mut town = Town::new((0..3).map(options).collect());
    town.run(180);
    assert!(town.refused.contains(&(1, 2)) || town.refused.contains(&(2, 1)));
    assert!(town.are_linked(1, 2) && town.are_linked(2, 1));
    // One connection of the two stays.
    assert_eq!(town.swarms[1].peers().len(), 2);
    assert_eq!(town.swarms[RELAY].peers().len(), 2);
}

/// Two that are told of each other in one moment call each other in one moment.
#[test]
fn of_two_one_is_told_first() {
    let without = |n| {
        let mut options = options(n);
        options.punch = false;
        options
    };
    let mut town = Town::new((0..9).map(without).collect());
    town.run(2);
    let both = |town: &Town| {
        let calls = town.refused.iter();
        calls
            .filter(|(from, to)| town.refused.contains(&(*to, *from)))
            .count()
    };
    // Everybody is called by somebody or calls, and nobody calls them all.
    assert_eq!((town.refused.len(), both(&town)), (28, 0));
    for n in 1..9 {
        let calls = town.refused.iter().filter(|call| call.0 == n).count();
        assert!((1..7).contains(&calls), "{n} calls {calls}");
    }
    // The others are told when the first have tried.
    town.run(120);
    assert_eq!(both(&town), 56);
}

#[test]
fn nobody_is_called_where_one_does_not_understand_it() {
    let without = |n| {
        let mut options = options(n);
        options.punch = n != 2;
        options
    };
    let mut town = Town::new((0..3).map(without).collect());
    town.run(600);
    assert!(!town.refused.is_empty());
    assert_eq!(town.punched, []);
    assert!(!town.are_linked(1, 2));
    // A private torrent's peers come from its tracker alone.
    let private = |n| {
        let mut options = options(n);
        options.private = true;
        options
    };
    let mut town = Town::new((0..3).map(private).collect());
    town.say(1, RELAY, NAME, Message::Rendezvous(addr(2)).write());
    town.run(600);
    assert_eq!(town.punched, []);
}

#[test]
fn a_relay_cannot_send_us_anywhere_without_end() {
    let mut town = Town::new((0..2).map(options).collect());
    town.run(5);
    // Strangers' words about our own network, low ports and ourselves count
    // for nothing.
    for bad in [
        "10.0.0.9:6881",
        "127.0.0.1:6881",
        "20.7.1.1:25",
        "20.0.1.1:6881",
    ] {
        town.say(
            RELAY,
            1,
            NAME,
            Message::Connect(bad.parse().unwrap()).write(),
        );
    }
    assert_eq!(town.punched, []);
    for n in 10..210u32 {
        let [_, a, b, c] = (n * 70_000).to_be_bytes();
        let victim = SocketAddr::from(([30, a, b, c], 6881));
        town.say(RELAY, 1, NAME, Message::Connect(victim).write());
        town.handle(1, Input::ConnectFailed { addr: victim });
    }
    assert!(town.punched.len() <= 20, "{}", town.punched.len());
    assert!(town.are_linked(1, RELAY));
}

#[test]
fn a_relay_says_why_not_and_works_for_nobody_without_end() {
    let mut town = Town::new((0..3).map(options).collect());
    // Nobody is there: no call comes of it, and the asker is not thrown out.
    town.say(1, RELAY, NAME, Message::Rendezvous(addr(9)).write());
    assert_eq!(town.punched, []);
    for _ in 0..500 {
        town.say(1, RELAY, NAME, Message::Rendezvous(addr(2)).write());
    }
    // The first twenty of a minute are passed on, and called once.
    assert!(town.are_linked(1, RELAY));
    assert!(town.are_linked(1, 2));
    let garbage = Bytes::from_static(b"\x01\x07");
    town.say(1, RELAY, NAME, garbage);
    assert!(!town.are_linked(1, RELAY));
    assert_eq!(
        Fault::NotConnected.to_string(),
        "not connected to that peer"
    );
}
