//! The last pieces, by hand: all of them are asked for, and whoever gives a turn
//! has nothing better to do.

use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::handshake::Abilities;
use gt_wire::message::Message;
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content};
use gt_wire::{Block, PieceIndex, turn};

use crate::stage::Stage;

const SLOW: ConnId = ConnId(1);
const OTHERS: [ConnId; 3] = [ConnId(2), ConnId(3), ConnId(4)];
const BLOCKS: usize = 8;
const LENGTH: usize = BLOCKS * BLOCK;

/// A swarm that lacks so many pieces, and has asked one peer for all of them. It
/// got all but one block of each of the first.
fn taker(pieces: usize, first: u32) -> Stage {
    let matter = Matter::v1(pieces * LENGTH, LENGTH);
    let content = Content::new(matter.known.clone());
    let mut stage = Stage::with(matter, content);
    for conn in [SLOW].into_iter().chain(OTHERS) {
        stage.shake(conn, Abilities::OURS);
        stage.say(conn, Message::HaveAll);
    }
    for piece in 0..pieces as u32 {
        grant(&mut stage, SLOW);
        for n in 1..BLOCKS * usize::from(piece < first) {
            let Some(turn::Message::Whole { piece }) = stage.turns(SLOW).pop() else {
                panic!("it took nothing");
            };
            stage.send(SLOW, block(piece, n));
        }
    }
    let whole = |turn: &turn::Message| matches!(turn, turn::Message::Whole { .. });
    let taken = stage.turns(SLOW).into_iter().filter(whole);
    assert_eq!(taken.count(), pieces);
    stage
}

fn grant(stage: &mut Stage, conn: ConnId) {
    let bytes = LENGTH as u32;
    stage.turn(conn, &turn::Message::Grant { bytes, piece: None });
}

/// Gives a turn; returns how many bytes were taken and what was asked for.
fn taken(stage: &mut Stage, conn: ConnId) -> (u32, Vec<Block>) {
    grant(stage, conn);
    match stage.turns(conn).pop() {
        Some(turn::Message::Take { bytes }) => (bytes, stage.asked(conn)),
        other => panic!("{other:?}"),
    }
}

fn block(piece: PieceIndex, n: usize) -> Block {
    let (offset, length) = ((n * BLOCK) as u32, BLOCK as u32);
    Block {
        piece,
        offset,
        length,
    }
}

#[test]
fn the_last_blocks_come_of_all_who_have_time_for_them() {
    let mut stage = taker(1, 0);
    let piece = PieceIndex(0);
    assert_eq!(taken(&mut stage, OTHERS[0]), (0, vec![]), "it is not late");
    stage.pass(Duration::from_millis(60));
    for (n, conn) in OTHERS.into_iter().enumerate() {
        let last = block(piece, BLOCKS - 1 - n);
        assert_eq!(taken(&mut stage, conn), (BLOCK as u32, vec![last]));
        assert_eq!(taken(&mut stage, conn), (0, vec![]), "one at a time");
    }
    // The first is told what it need not send, and all is well if it does.
    for (n, conn) in OTHERS.into_iter().enumerate() {
        stage.send(conn, block(piece, BLOCKS - 1 - n));
    }
    assert_eq!(stage.heard(SLOW, |m| matches!(m, Message::Cancel(_))), 3);
    for n in 0..BLOCKS {
        stage.send(SLOW, block(piece, n));
    }
    stage.finish(piece);
}

#[test]
fn of_the_piece_that_lacks_most_first() {
    let mut stage = taker(2, 0);
    for n in 0..3 {
        stage.send(SLOW, block(PieceIndex(0), n));
    }
    stage.pass(Duration::from_millis(60));
    for (n, conn) in OTHERS.into_iter().take(2).enumerate() {
        let last = block(PieceIndex(1), BLOCKS - 1 - n);
        assert_eq!(taken(&mut stage, conn), (BLOCK as u32, vec![last]));
    }
}

/// As long as many are on their way, uplinks have better things to do.
#[test]
fn while_many_pieces_come_nothing_is_asked_for_twice() {
    let mut stage = taker(5, 2);
    stage.pass(Duration::from_millis(60));
    for conn in OTHERS {
        assert_eq!(taken(&mut stage, conn), (0, vec![]));
    }
}
