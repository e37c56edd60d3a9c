//! What an origin hands one peer that takes all, one that passes, and a crowd.

use std::collections::BTreeMap;
use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::message::Message;
use gt_wire::swarm::{ConnId, Input};
use gt_wire::{PieceIndex, turn};

use crate::stage::{QUEUE, Stage};

const CONN: ConnId = ConnId(1);
const PIECES: usize = 40;

/// An origin and a peer that has nothing and wants everything.
fn origin(piece: usize) -> Stage {
    let mut stage = Stage::new(PIECES, piece, true);
    enter(&mut stage, CONN);
    stage
}

/// A peer comes that has nothing and wants everything.
fn enter(stage: &mut Stage, conn: ConnId) {
    stage.join(conn, true);
    stage.say(conn, Message::HaveNone);
    stage.say(conn, Message::Interested);
}

/// Answers the oldest grant by asking for what was handed out.
fn answer(stage: &mut Stage, from: u32, bytes: u32) -> PieceIndex {
    let piece = stage.grants(CONN)[0].1.unwrap();
    stage.take(CONN, piece, from, bytes);
    piece
}

fn blocks(stage: &Stage) -> usize {
    stage.heard(CONN, |message| matches!(message, Message::Piece { .. }))
}

/// Some of them do not look for seconds whether there is more than they were
/// shown, and there is nobody to give on what they are handed.
#[test]
fn a_peer_of_another_kind_is_shown_all_once_it_has_been_alone_for_a_while() {
    let shown = |stage: &Stage| stage.heard(CONN, |message| matches!(message, Message::Have(_)));
    let stranger = |stage: &mut Stage, conn: ConnId| {
        stage.join(conn, false);
        stage.say(conn, Message::HaveNone);
        stage.say(conn, Message::Interested);
    };
    let quarters = |stage: &mut Stage, count: usize| {
        (0..count).for_each(|_| stage.pass(Duration::from_millis(250)));
    };
    let mut stage = Stage::new(PIECES, 64 * BLOCK, true);
    stranger(&mut stage, CONN);
    quarters(&mut stage, 1);
    let first = shown(&stage);
    assert!((1..PIECES / 2).contains(&first), "{first} at first");
    quarters(&mut stage, 3);
    assert_eq!(shown(&stage), PIECES);

    // In a crowd it is handed one piece after the other.
    let mut stage = Stage::new(PIECES, 64 * BLOCK, true);
    stranger(&mut stage, CONN);
    quarters(&mut stage, 1);
    stranger(&mut stage, ConnId(2));
    quarters(&mut stage, 8);
    assert!(shown(&stage) < PIECES / 2, "{} in a crowd", shown(&stage));

    // And so is one of our own, though it is alone.
    let mut stage = origin(64 * BLOCK);
    quarters(&mut stage, 8);
    assert!(shown(&stage) < PIECES / 2, "{} of our own", shown(&stage));
}

/// It would pass on the rest, and pieces that are not wanted are lost to others
/// for a while.
#[test]
fn a_peer_is_handed_no_more_than_it_takes_requests_for() {
    let mut stage = origin(64 * BLOCK);
    let mut most = 0;
    for n in 0..PIECES {
        assert!(!stage.grants(CONN).is_empty(), "nothing after {n} pieces");
        most = most.max(stage.grants(CONN).len());
        // One at a time, so that the line is idle between them and the origin
        // finds that more should be under way.
        let piece = answer(&mut stage, 0, 64 * BLOCK as u32);
        stage.serve();
        assert_eq!(blocks(&stage), 64 * (n + 1));
        stage.say(CONN, Message::Have(piece));
    }
    assert!(most > 4, "the window never grew");
    assert!(most <= QUEUE / 64, "{most} grants at a time");
}

/// It passed because it has enough, and that is over when it was served.
#[test]
fn who_passes_while_it_is_served_is_handed_the_next_piece_at_once() {
    let mut stage = origin(64 * BLOCK);
    answer(&mut stage, 0, 64 * BLOCK as u32);
    let passed = answer(&mut stage, 0, 0);
    while !stage.grants(CONN).is_empty() {
        answer(&mut stage, 0, 0);
    }
    stage.serve();
    assert_eq!(blocks(&stage), 64);
    assert!(!stage.grants(CONN).is_empty(), "left alone for its passes");
    // What was not wanted is last in the order, not first.
    let again = |(_, piece): &(u32, _)| *piece == Some(passed);
    assert!(!stage.grants(CONN).iter().any(again));
}

/// A piece that is longer than a turn does not wait for each of its turns.
#[test]
fn the_turns_of_a_long_piece_come_together() {
    let blocks_each = (turn::MOST / BLOCK as u32) as usize;
    let mut stage = origin(4 * blocks_each * BLOCK);
    let grants = stage.grants(CONN);
    let of_it = grants.iter().filter(|grant| **grant == grants[0]).count();
    assert_eq!(of_it, 4, "{grants:?}");
    for n in 0..4 {
        answer(&mut stage, n * turn::MOST, turn::MOST);
    }
    stage.serve();
    assert_eq!(blocks(&stage), 4 * blocks_each);
}

/// Whoever it was handed to has left with it, and so has the next.
#[test]
fn what_has_left_with_all_who_had_it_is_handed_out_at_once() {
    let mut stage = origin(BLOCK);
    let (next, last) = (ConnId(2), ConnId(3));
    for conn in [next, last] {
        enter(&mut stage, conn);
    }
    let piece = answer(&mut stage, 0, BLOCK as u32);
    stage.serve();
    // It has given it on before it says that it has it.
    stage.say(next, Message::Have(piece));
    let handed = |stage: &Stage| {
        let mut grants = stage.grants(last).iter();
        grants.any(|(_, of)| *of == Some(piece))
    };
    for conn in [CONN, next] {
        assert!(!handed(&stage), "somebody has it");
        stage.handle(Input::Disconnected { conn });
    }
    assert!(handed(&stage), "{:?}", stage.grants(last));
}

/// What a slow uplink holds comes late to all, the last pieces too.
#[test]
fn who_passes_pieces_on_quickly_is_handed_more_of_them() {
    let mut stage = origin(BLOCK);
    let peers: Vec<ConnId> = (1..=12).map(ConnId).collect();
    for conn in &peers[1..] {
        enter(&mut stage, *conn);
    }
    let is_slow = |conn: ConnId| conn.0 > 6;
    // To whom pieces go, and when they are with a second peer.
    let (mut to, mut going) = (BTreeMap::new(), Vec::new());
    let mut handed = [0; 2];
    while handed.iter().sum::<u32>() < PIECES as u32 {
        for conn in &peers {
            while let Some((_, Some(piece))) = stage.grants(*conn).front().copied() {
                stage.take(*conn, piece, 0, BLOCK as u32);
                to.insert(piece, *conn);
            }
        }
        // The line is busy: a block goes out, and then the next.
        let (id, block) = stage.reads.pop_front().unwrap();
        let result = Ok(stage.matter.read(block));
        stage.handle(Input::BlockRead { id, result });
        let conn = to[&block.piece];
        stage.say(conn, Message::Have(block.piece));
        let takes = if is_slow(conn) { 80 } else { 10 };
        going.push((stage.now + Duration::from_millis(takes), block.piece, conn));
        handed[usize::from(is_slow(conn))] += 1;
        stage.pass(Duration::from_millis(20));
        let now = stage.now;
        for (_, piece, conn) in going.extract_if(.., |(at, ..)| *at <= now) {
            let second = peers[conn.0 as usize % peers.len()];
            stage.say(second, Message::Have(piece));
        }
    }
    assert!(handed[0] > 3 * handed[1], "{handed:?}");
}

/// With a second copy it would be through in the origin's books, and nobody else
/// would get it before the end.
#[test]
fn two_who_sit_on_a_piece_did_not_pass_it_on() {
    // So few that none is given a second time without need.
    let mut stage = Stage::new(18, BLOCK, true);
    let peers: Vec<ConnId> = (1..=3).map(ConnId).collect();
    for conn in &peers {
        enter(&mut stage, *conn);
    }
    let kept = stage.grants(CONN)[0].1.unwrap();
    let (mut to, mut rest) = (Vec::new(), vec![Vec::new(); peers.len()]);
    for time in 0..12 {
        for (n, conn) in peers.iter().enumerate() {
            while let Some((_, Some(piece))) = stage.grants(*conn).front().copied() {
                stage.take(*conn, piece, 0, BLOCK as u32);
                stage.serve();
                stage.say(*conn, Message::Have(piece));
                if piece == kept {
                    to.push(*conn);
                    continue;
                }
                // The next has it soon, and who comes after that later.
                stage.say(peers[(n + 1) % 3], Message::Have(piece));
                rest[(n + 2) % 3].push(piece);
            }
        }
        // Nobody is helped out who gets something.
        for (conn, rest) in peers.iter().zip(&mut rest) {
            if rest.len() > 1 && time % 3 == 0 {
                stage.say(*conn, Message::Have(rest.remove(0)));
            }
        }
        stage.pass(Duration::from_millis(250));
    }
    assert!(rest.iter().all(|rest| !rest.is_empty()), "{rest:?}");
    to.sort_unstable();
    assert_eq!(to, peers);
}

/// Free riders keep what they are handed, and it goes to who passes pieces on.
#[test]
fn who_keeps_a_piece_is_handed_no_other() {
    let mut stage = origin(BLOCK);
    let peers: Vec<ConnId> = (1..=8).map(ConnId).collect();
    for conn in &peers[1..] {
        enter(&mut stage, *conn);
    }
    let keeps = |conn: ConnId| conn.0 > 4;
    let (mut to, mut handed, mut kept) = (BTreeMap::new(), [0; 2], 0);
    for _ in 0..200 {
        for conn in &peers {
            while let Some((_, Some(piece))) = stage.grants(*conn).front().copied() {
                stage.take(*conn, piece, 0, BLOCK as u32);
                kept += u32::from(to.insert(piece, *conn).is_some_and(keeps));
            }
        }
        // One block goes out, and then the next.
        if let Some((id, block)) = stage.reads.pop_front() {
            let result = Ok(stage.matter.read(block));
            stage.handle(Input::BlockRead { id, result });
            let conn = to[&block.piece];
            stage.say(conn, Message::Have(block.piece));
            handed[usize::from(keeps(conn))] += 1;
            if !keeps(conn) {
                let others = peers.iter().filter(|other| **other != conn);
                others.for_each(|other| stage.say(*other, Message::Have(block.piece)));
            }
        }
        stage.pass(Duration::from_millis(20));
    }
    assert_eq!(handed[1], 4);
    assert_eq!(kept, 4, "what they keep is handed to others");
    // With what an origin gives a second time, a twentieth.
    assert!((PIECES..=PIECES + 2).contains(&handed[0]), "{handed:?}");
}

/// Whoever is complete leaves, so that nobody passes on what completes the rest.
#[test]
fn where_most_left_complete_everybody_else_is_shown_everything() {
    for complete in [true, false] {
        let mut stage = origin(BLOCK);
        let others = [ConnId(2), ConnId(3)];
        for conn in others {
            enter(&mut stage, conn);
        }
        answer(&mut stage, 0, BLOCK as u32);
        answer(&mut stage, 0, BLOCK as u32);
        stage.serve();
        for conn in others {
            let piece = stage.grants(conn)[0].1.unwrap();
            stage.take(conn, piece, 0, BLOCK as u32);
            stage.serve();
        }
        for conn in others {
            for n in 0..PIECES as u32 - u32::from(!complete) {
                stage.say(conn, Message::Have(PieceIndex(n)));
            }
        }
        for conn in others {
            stage.handle(Input::Disconnected { conn });
            stage.pass(Duration::from_millis(1));
        }
        let shown = stage.heard(CONN, |m| matches!(m, Message::Have(_)));
        assert_eq!(shown == PIECES, complete, "{shown} pieces");
    }
}

/// All wait for the last pieces, and who was handed one is alone with it: once
/// nothing else is left, each goes to a second peer, up to a share of all.
#[test]
fn the_last_pieces_are_given_to_a_second_peer() {
    let mut stage = Stage::new(PIECES, BLOCK, true);
    let peers = [CONN, ConnId(2), ConnId(3)];
    for conn in peers {
        enter(&mut stage, conn);
    }
    let mut handed: Vec<(PieceIndex, ConnId)> = Vec::new();
    while let Some(conn) = peers.into_iter().find(|c| !stage.grants(*c).is_empty()) {
        let piece = stage.grants(conn)[0].1.unwrap();
        stage.take(conn, piece, 0, BLOCK as u32);
        stage.serve();
        stage.pass(Duration::from_millis(1));
        stage.say(conn, Message::Have(piece));
        handed.push((piece, conn));
    }
    let mut to: BTreeMap<PieceIndex, Vec<(usize, ConnId)>> = BTreeMap::new();
    for (at, (piece, conn)) in handed.into_iter().enumerate() {
        to.entry(piece).or_default().push((at, conn));
    }
    assert_eq!(to.len(), PIECES);
    let again: Vec<_> = to.values().filter(|peers| peers.len() > 1).collect();
    assert_eq!(again.len(), PIECES / 20, "five hundredths of all: {to:?}");
    for peers in again {
        let [(at, one), (_, two)] = peers[..] else {
            panic!("a third time: {peers:?}");
        };
        assert_ne!(one, two);
        assert!(at >= PIECES - 8, "it was the {at}th of {PIECES}");
    }
}
