//! Who gives what when others wait, by hand: a giver serves one after the other,
//! and a taker lets who has time give what another would give late.

use std::time::Duration;

use bytes::Bytes;
use gt_vfs::content::BLOCK;
use gt_wire::handshake::Abilities;
use gt_wire::message::Message;
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content, Input};
use gt_wire::{Block, PieceIndex, turn};

use crate::stage::Stage;

const BUSY: ConnId = ConnId(1);
const IDLE: [ConnId; 2] = [ConnId(2), ConnId(3)];
const BLOCKS: usize = 16;
const LENGTH: usize = BLOCKS * BLOCK;

fn block(n: usize) -> Block {
    Block {
        piece: PieceIndex(0),
        offset: (n * BLOCK) as u32,
        length: BLOCK as u32,
    }
}

/// A swarm that asked one peer for all of its only piece.
fn taker() -> Stage {
    let matter = Matter::v1(LENGTH, LENGTH);
    let content = Content::new(matter.known.clone());
    let mut stage = Stage::with(matter, content);
    for conn in [BUSY].into_iter().chain(IDLE) {
        stage.shake(conn, Abilities::OURS);
        stage.say(conn, Message::HaveAll);
    }
    assert!(asked_by_turn(&mut stage, BUSY).is_empty());
    let piece = PieceIndex(0);
    assert_eq!(
        stage.turns(BUSY).pop(),
        Some(turn::Message::Whole { piece }),
        "all of it was asked for"
    );
    stage
}

/// Gives a turn, and returns what is asked for by it block by block.
fn asked_by_turn(stage: &mut Stage, conn: ConnId) -> Vec<Block> {
    let bytes = LENGTH as u32;
    stage.turn(conn, &turn::Message::Grant { bytes, piece: None });
    stage.asked(conn)
}

/// Lets blocks come with such a time between them.
fn come(stage: &mut Stage, conn: ConnId, blocks: std::ops::Range<usize>, pace: Duration) {
    for n in blocks {
        stage.pass(pace);
        stage.send(conn, block(n));
    }
}

#[test]
fn who_has_time_gives_half_of_what_another_would_give_late() {
    let mut stage = taker();
    come(&mut stage, BUSY, 0..2, Duration::from_millis(10));
    // Of fourteen three come in any case; of the others the last half.
    let asked = asked_by_turn(&mut stage, IDLE[0]);
    let last: Vec<Block> = (10..BLOCKS).map(block).collect();
    assert_eq!(asked, last);
    let cancelled = |m: &Message| matches!(m, Message::Cancel(block) if last.contains(block));
    assert_eq!(stage.heard(BUSY, cancelled), last.len());
    // Two give it by now.
    assert_eq!(asked_by_turn(&mut stage, IDLE[1]), []);
    for n in 10..BLOCKS {
        stage.send(IDLE[0], block(n));
    }
    for n in 2..10 {
        stage.send(BUSY, block(n));
    }
    stage.finish(PieceIndex(0));
}

/// What comes soon is on its way, and would come twice.
#[test]
fn who_gives_quickly_is_left_to_it() {
    let mut stage = taker();
    come(&mut stage, BUSY, 0..2, Duration::from_micros(300));
    assert_eq!(asked_by_turn(&mut stage, IDLE[0]), []);
    // Nor is the rest of what comes slowly, once that is not much.
    let mut stage = taker();
    come(&mut stage, BUSY, 0..9, Duration::from_millis(4));
    assert_eq!(asked_by_turn(&mut stage, IDLE[0]), []);
    assert_eq!(stage.heard(BUSY, |m| matches!(m, Message::Cancel(_))), 0);
}

/// What waits in two connections leaves by both alike, and neither piece is
/// whole before the other.
#[test]
fn beside_others_a_connection_has_one_block_waiting() {
    for others in [true, false] {
        let mut stage = Stage::new(40, LENGTH, true);
        let near = Abilities::OURS.with_trip(Duration::from_millis(10));
        for conn in [BUSY]
            .into_iter()
            .chain(IDLE.into_iter().filter(|_| others))
        {
            stage.shake(conn, near);
        }
        assert!(stage.reads.is_empty());
        stage.say(BUSY, Message::HaveNone);
        if !others {
            // Who is alone is asked what it wants.
            let piece = stage.grants(BUSY)[0].1.unwrap();
            stage.take(BUSY, piece, 0, LENGTH as u32);
        }
        let waiting = stage.reads.len();
        match others {
            true => assert_eq!(waiting, 1),
            false => assert_eq!(waiting, BLOCKS, "nobody else is there"),
        }
    }
}

/// Returns the pieces that are served in the order of their blocks: the first
/// peer asks for one that many have, the second for another, and the third for
/// one that nobody else has. We have so many of eight.
fn served(ours: u32) -> Vec<u32> {
    let matter = Matter::v1(8 * LENGTH, LENGTH);
    let mut content = Content::new(matter.known.clone());
    for piece in 0..ours {
        content.have.insert(piece);
    }
    let mut stage = Stage::with(matter, content);
    for n in 10..22 {
        stage.join(ConnId(n), false);
        stage.say(ConnId(n), Message::Bitfield(Bytes::from_static(&[0x7f])));
    }
    let asking = [(BUSY, 1), (IDLE[0], 2), (IDLE[1], 0)];
    for (conn, _) in asking {
        stage.join(conn, false);
        stage.say(conn, Message::HaveNone);
        stage.say(conn, Message::Interested);
    }
    for (conn, piece) in asking {
        for n in 0..BLOCKS {
            let piece = PieceIndex(piece);
            stage.say(conn, Message::Request(Block { piece, ..block(n) }));
        }
    }
    let mut order: Vec<u32> = Vec::new();
    while let Some((id, block)) = stage.reads.pop_front() {
        if order.last() != Some(&block.piece.0) {
            order.push(block.piece.0);
        }
        let result = Ok(stage.matter.read(block));
        stage.handle(Input::BlockRead { id, result });
    }
    order
}

/// Nobody waits for the others when everybody waits for the last.
#[test]
fn a_piece_that_lags_is_served_first_near_the_end() {
    assert_eq!(served(7), [1, 0, 1, 2]);
    assert_eq!(served(5), [1, 2, 0], "all of it is rare at the beginning");
}

/// One who asks for rare pieces without end keeps nobody waiting without end.
#[test]
fn others_wait_for_a_bounded_number_of_rare_pieces() {
    let matter = Matter::v1(64 * BLOCK, BLOCK);
    let mut content = Content::new(matter.known.clone());
    for piece in 0..60 {
        content.have.insert(piece);
    }
    let mut stage = Stage::with(matter, content);
    for n in 10..22 {
        stage.join(ConnId(n), false);
        // The last eight pieces, of which we have four.
        let last = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0xff]);
        stage.say(ConnId(n), Message::Bitfield(last));
    }
    for conn in [BUSY, IDLE[0]] {
        stage.join(conn, false);
        stage.say(conn, Message::HaveNone);
        stage.say(conn, Message::Interested);
    }
    let of = |piece| {
        Message::Request(Block {
            piece: PieceIndex(piece),
            ..block(0)
        })
    };
    for piece in 0..50 {
        stage.say(BUSY, of(piece));
    }
    stage.say(IDLE[0], of(57));
    let mut before = 0;
    while let Some((id, block)) = stage.reads.pop_front() {
        if block.piece.0 == 57 {
            break;
        }
        before += 1;
        let result = Ok(stage.matter.read(block));
        stage.handle(Input::BlockRead { id, result });
    }
    // Twelve others have it: eight places for each of three doublings.
    assert!((20..30).contains(&before), "after {before}");
}
