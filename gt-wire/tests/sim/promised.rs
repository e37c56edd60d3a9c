//! Turns for pieces that were not verified yet.

use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::message::Message;
use gt_wire::swarm::{ConnId, Input};
use gt_wire::{Block, PieceIndex, turn};

use crate::stage::Stage;

const GIVER: ConnId = ConnId(1);
const TAKER: ConnId = ConnId(2);
const STOCK: ConnId = ConnId(3);
const BLOCKS: usize = 8;
const LENGTH: u32 = (BLOCKS * BLOCK) as u32;
const TRIP: Duration = Duration::from_millis(10);

/// The giver sends what it was asked for, but for the last `less` blocks.
fn give(stage: &mut Stage, asked: &[Block], less: usize) {
    for block in &asked[..asked.len() - less] {
        stage.pass(Duration::from_micros(500));
        stage.send(GIVER, *block);
    }
}

fn hashed(stage: &mut Stage, right: bool) {
    for piece in std::mem::take(&mut stage.hashing) {
        let result = Ok(stage.matter.digests(piece, true, false, |_| right));
        stage.handle(Input::PieceHashed { piece, result });
    }
}

fn heard_of(stage: &Stage, conn: ConnId, piece: PieceIndex) -> usize {
    stage.heard(conn, |message| *message == Message::Have(piece))
}

fn pieces(stage: &Stage, conn: ConnId, of: PieceIndex) -> usize {
    stage.heard(
        conn,
        |message| matches!(message, Message::Piece { piece, .. } if *piece == of),
    )
}

/// One piece is here, and the round trip to the taker is known; of the next one
/// all blocks but two have come, and the taker has asked for all of it.
fn promised() -> (Stage, PieceIndex, Vec<Block>) {
    let mut stage = Stage::new(4, BLOCKS * BLOCK, false);
    for conn in [TAKER, STOCK] {
        stage.join(conn, conn == TAKER);
        stage.say(conn, Message::HaveNone);
        stage.say(conn, Message::Interested);
    }
    stage.join(GIVER, false);
    stage.say(GIVER, Message::HaveAll);
    stage.say(GIVER, Message::Unchoke);
    let mut asked = stage.asked(GIVER);
    let first = asked[0].piece;
    let rest = asked.split_off(BLOCKS);
    give(&mut stage, &asked, 0);
    hashed(&mut stage, true);
    // Grants for the first piece; passed, but for one.
    stage.pass(TRIP);
    stage.take(TAKER, first, 0, LENGTH);
    stage.serve();
    assert_eq!(pieces(&stage, TAKER, first), BLOCKS);
    stage.say(TAKER, Message::Have(first));
    while !stage.grants(TAKER).is_empty() {
        stage.pass(TRIP);
        stage.take(TAKER, first, 0, 0);
    }
    // The round trip is looked at now and then.
    stage.pass(Duration::from_millis(200));

    let mut asked = rest;
    asked.extend(stage.asked(GIVER));
    let second = asked[0].piece;
    asked.retain(|block| block.piece == second);
    assert_eq!(asked.len(), BLOCKS);
    give(&mut stage, &asked, 2);
    let granted: Vec<_> = stage.grants(TAKER).iter().collect();
    assert_eq!(granted, [&(LENGTH, Some(second))], "not promised, once");
    for conn in [TAKER, STOCK] {
        assert_eq!(heard_of(&stage, conn, second), 0, "it is not here yet");
    }
    stage.take(TAKER, second, 0, LENGTH);
    assert_eq!(pieces(&stage, TAKER, second), 0);
    assert!(stage.reads.is_empty(), "given unverified");
    let left = asked.split_off(BLOCKS - 2);
    (stage, second, left)
}

#[test]
fn requests_for_a_promised_piece_wait_until_it_is_verified() {
    let (mut stage, piece, left) = promised();
    give(&mut stage, &left, 0);
    stage.serve();
    assert_eq!(pieces(&stage, TAKER, piece), 0, "before its hash");
    hashed(&mut stage, true);
    stage.serve();
    assert_eq!(pieces(&stage, TAKER, piece), BLOCKS);
    stage.pass(Duration::from_secs(1));
    for conn in [TAKER, STOCK] {
        assert_eq!(heard_of(&stage, conn, piece), 1);
    }
}

fn refused(stage: &Stage) -> usize {
    stage.heard(TAKER, |message| matches!(message, Message::Reject(_)))
}

#[test]
fn what_was_asked_of_a_promised_piece_is_refused_where_it_is_wrong() {
    let (mut stage, piece, left) = promised();
    give(&mut stage, &left, 0);
    hashed(&mut stage, false);
    assert_eq!(stage.gone, [GIVER]);
    assert_eq!(refused(&stage), BLOCKS);
    stage.serve();
    assert_eq!(pieces(&stage, TAKER, piece), 0);
}

#[test]
fn nobody_waits_for_a_promised_piece_that_does_not_come() {
    let (mut stage, piece, left) = promised();
    stage.pass(Duration::from_millis(490));
    assert_eq!(refused(&stage), 0);
    stage.pass(Duration::from_millis(20));
    assert_eq!(refused(&stage), BLOCKS);
    // It comes after all, and is given as every other.
    give(&mut stage, &left, 0);
    hashed(&mut stage, true);
    assert_eq!(heard_of(&stage, TAKER, piece), 1);
    stage.take(TAKER, piece, 0, LENGTH);
    stage.serve();
    assert_eq!(pieces(&stage, TAKER, piece), BLOCKS);
}

#[test]
fn requests_that_wait_can_be_taken_back() {
    let (mut stage, piece, left) = promised();
    let block = Block {
        piece,
        offset: 0,
        length: BLOCK as u32,
    };
    stage.say(TAKER, Message::Cancel(block));
    assert_eq!(refused(&stage), 1);
    give(&mut stage, &left, 0);
    hashed(&mut stage, true);
    stage.serve();
    assert_eq!(pieces(&stage, TAKER, piece), BLOCKS - 1);
}

/// Nothing is here, and a giver of turns has one piece.
fn giver(has: PieceIndex) -> Stage {
    let mut stage = Stage::new(4, BLOCKS * BLOCK, false);
    stage.join(GIVER, true);
    stage.say(GIVER, Message::HaveNone);
    stage.say(GIVER, Message::Have(has));
    stage
}

#[test]
fn what_a_giver_refused_and_then_has_is_asked_of_it_again() {
    let mut stage = giver(PieceIndex(0));
    let grant = |piece| turn::Message::Promise {
        bytes: LENGTH,
        piece,
    };
    // It promised the next one, and it does not come in time.
    let second = PieceIndex(1);
    stage.turn(GIVER, &grant(second));
    stage.turn(GIVER, &grant(second));
    let mut asked = stage.asked(GIVER);
    let of_it = |block: &&Block| block.piece == second;
    assert_eq!(asked.iter().filter(of_it).count(), BLOCKS);
    asked.retain(|block| block.piece == second);
    for block in asked {
        stage.say(GIVER, Message::Reject(block));
    }
    stage.turn(GIVER, &grant(second));
    assert!(!stage.asked(GIVER).iter().any(|b| of_it(&b)), "not yet");
    stage.say(GIVER, Message::Have(second));
    let grant = turn::Message::Grant {
        bytes: LENGTH,
        piece: None,
    };
    stage.turn(GIVER, &grant);
    let asked = stage.asked(GIVER);
    assert_eq!(asked.iter().filter(of_it).count(), BLOCKS);
}

#[test]
fn what_a_giver_refused_is_asked_of_it_again_after_a_while() {
    let piece = PieceIndex(2);
    let mut stage = giver(piece);
    let grant = turn::Message::Grant {
        bytes: LENGTH,
        piece: Some(piece),
    };
    stage.turn(GIVER, &grant);
    let asked = stage.asked(GIVER);
    assert_eq!(asked.len(), BLOCKS);
    for block in asked {
        stage.say(GIVER, Message::Reject(block));
    }
    // Who offers what it refuses shall not keep the piece from others.
    stage.turn(GIVER, &grant);
    assert_eq!(stage.asked(GIVER).len(), 0);
    stage.pass(Duration::from_secs(2));
    stage.turn(GIVER, &grant);
    assert_eq!(stage.asked(GIVER).len(), BLOCKS);
}
