//! Blocks that are given on before their piece is whole: one giver, one in the
//! middle, which is the swarm, and one taker.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gt_vfs::content::BLOCK;
use gt_wire::hashes::{HashSpan, Served, Tree};
use gt_wire::message::Message;
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content, Input};
use gt_wire::{Block, FileIndex, PieceIndex, turn};

use crate::stage::Stage;

const GIVER: ConnId = ConnId(1);
const TAKER: ConnId = ConnId(2);
const STOCK: ConnId = ConnId(3);
const BLOCKS: usize = 8;
const PIECES: usize = 20;
const LENGTH: u32 = (BLOCKS * BLOCK) as u32;
const PIECE: PieceIndex = PieceIndex(7);

fn matter() -> Matter {
    Matter::v2(&[PIECES * BLOCKS * BLOCK - 99], BLOCKS * BLOCK)
}

fn span(matter: &Matter, piece: PieceIndex) -> (Tree, HashSpan) {
    let root = matter.known.files()[0].root.unwrap();
    let tree = Tree {
        root,
        blocks: (PIECES * BLOCKS) as u64,
        piece_row: BLOCKS.trailing_zeros(),
    };
    let span = HashSpan {
        root,
        base: 0,
        index: piece.0 * BLOCKS as u32,
        length: BLOCKS as u32,
        proofs: tree.height() - 1,
    };
    (tree, span)
}

/// The leaves of a piece and their uncles.
fn proof(matter: &Matter, piece: PieceIndex) -> Bytes {
    let (tree, span) = span(matter, piece);
    let leaves = matter.digests(piece, false, true, |_| true).leaves;
    let rows = Served::from_layer(tree, matter.known.layer(FileIndex(0)).unwrap());
    rows.answer_leaves(&span, &leaves).unwrap()
}

fn leaves(matter: &Matter, piece: PieceIndex) -> Bytes {
    proof(matter, piece).slice(..32 * BLOCKS)
}

/// A swarm that has nothing, and three peers: one has all, the others nothing.
fn middle(matter: Matter, content: Content) -> Stage {
    let mut stage = Stage::with(matter, content);
    for conn in [TAKER, STOCK] {
        stage.join(conn, conn == TAKER);
        stage.say(conn, Message::HaveNone);
        stage.say(conn, Message::Interested);
    }
    stage.join(GIVER, true);
    stage.say(GIVER, Message::HaveAll);
    stage
}

fn v2() -> Stage {
    let matter = matter();
    let known = matter.known.clone();
    middle(matter, Content::new(known))
}

fn hand(stage: &mut Stage, piece: PieceIndex) {
    let grant = turn::Message::Grant {
        bytes: LENGTH,
        piece: Some(piece),
    };
    stage.turn(GIVER, &grant);
}

fn prove(stage: &mut Stage, piece: PieceIndex, hashes: Bytes) {
    let proof = turn::Message::Proof { piece, hashes };
    stage.turn(GIVER, &proof);
}

/// The giver has told the leaves and handed out the piece, all of which was
/// asked of it.
fn handed(stage: &mut Stage) -> Vec<Block> {
    let hashes = leaves(&stage.matter, PIECE);
    prove(stage, PIECE, hashes);
    hand(stage, PIECE);
    let asked = stage.asked(GIVER);
    assert_eq!(asked, stage.matter.known.blocks(PIECE).collect::<Vec<_>>());
    asked
}

fn give(stage: &mut Stage, block: Block, right: bool) {
    let mut data = BytesMut::from(&stage.matter.read(block)[..]);
    data[0] ^= u8::from(!right);
    let Block { piece, offset, .. } = block;
    let data = data.freeze();
    stage.say(
        GIVER,
        Message::Piece {
            piece,
            offset,
            data,
        },
    );
}

fn hashed(stage: &mut Stage, right: bool) {
    for piece in std::mem::take(&mut stage.hashing) {
        let result = Ok(stage.matter.digests(piece, false, true, |_| right));
        stage.handle(Input::PieceHashed { piece, result });
    }
}

fn got(stage: &mut Stage) -> usize {
    stage.serve();
    stage.heard(TAKER, |message| matches!(message, Message::Piece { .. }))
}

fn refused(stage: &Stage) -> usize {
    stage.heard(TAKER, |message| matches!(message, Message::Reject(_)))
}

fn heard_of(stage: &Stage, conn: ConnId) -> usize {
    stage.heard(conn, |message| matches!(message, Message::Have(_)))
}

/// The taker was promised the piece, and asked for all of it.
fn taken(stage: &mut Stage) -> Vec<Block> {
    let asked = handed(stage);
    assert_eq!(stage.grants(TAKER).len(), 1);
    assert_eq!(stage.grants(TAKER)[0], (LENGTH, Some(PIECE)));
    stage.take(TAKER, PIECE, 0, LENGTH);
    assert_eq!(got(stage), 0);
    asked
}

#[test]
fn a_block_goes_on_before_its_piece_is_whole() {
    let mut stage = v2();
    let asked = taken(&mut stage);
    // The taker has no piece, and may not know the layer.
    let (tree, span) = span(&stage.matter, PIECE);
    let [(PIECE, hashes, 0)] = stage.proofs(TAKER) else {
        panic!("{:?}", stage.proofs(TAKER));
    };
    let right = stage.matter.digests(PIECE, false, true, |_| true).leaves;
    assert_eq!(span.check(tree.height(), hashes), Ok(right));
    for (n, block) in asked.iter().enumerate() {
        assert_eq!(got(&mut stage), n, "before it came");
        give(&mut stage, *block, true);
        assert_eq!(got(&mut stage), n + 1, "at once");
        for conn in [TAKER, STOCK] {
            assert_eq!(heard_of(&stage, conn), 0, "the piece is not whole");
        }
    }
    hashed(&mut stage, true);
    stage.pass(Duration::from_secs(1));
    for conn in [TAKER, STOCK] {
        assert_eq!(heard_of(&stage, conn), 1);
    }
    assert_eq!(stage.proofs(TAKER).len(), 1, "once");
    assert_eq!(refused(&stage), 0);
}

/// Who has pieces knows the layer, and is told the leaves with the first block
/// only, if it takes the piece at all.
#[test]
fn the_leaves_go_before_the_first_block() {
    let mut stage = v2();
    stage.say(TAKER, Message::Have(PieceIndex(2)));
    let asked = handed(&mut stage);
    assert!(stage.proofs(TAKER).is_empty());
    stage.take(TAKER, PIECE, 0, LENGTH);
    let told = leaves(&stage.matter, PIECE);
    assert_eq!(stage.proofs(TAKER), [(PIECE, told, 0)]);
    give(&mut stage, asked[3], true);
    assert_eq!(got(&mut stage), 1);
}

/// The piece may be under way, and promised, before anybody told its leaves.
#[test]
fn leaves_that_come_late_are_told_to_who_waits() {
    let mut stage = v2();
    hand(&mut stage, PIECE);
    let asked = stage.asked(GIVER);
    stage.take(TAKER, PIECE, 0, LENGTH);
    give(&mut stage, asked[0], true);
    assert_eq!(got(&mut stage), 0, "nothing is known of it");
    assert!(stage.proofs(TAKER).is_empty());
    let hashes = leaves(&stage.matter, PIECE);
    prove(&mut stage, PIECE, hashes);
    assert_eq!(stage.proofs(TAKER).len(), 1);
    assert_eq!(got(&mut stage), 1);
}

#[test]
fn a_wrong_block_goes_nowhere_and_its_sender_is_banned() {
    let mut stage = v2();
    let asked = taken(&mut stage);
    give(&mut stage, asked[0], true);
    give(&mut stage, asked[1], false);
    assert_eq!(stage.gone, [GIVER]);
    assert_eq!(got(&mut stage), 1);
    // The right one stays, the others come from somebody else.
    stage.join(ConnId(4), true);
    stage.say(ConnId(4), Message::HaveAll);
    let grant = turn::Message::Grant {
        bytes: LENGTH,
        piece: None,
    };
    stage.turn(ConnId(4), &grant);
    assert_eq!(stage.asked(ConnId(4)), asked[1..]);
    assert_eq!(got(&mut stage), 1);
}

#[test]
fn leaves_that_lead_elsewhere_ban_who_told_them() {
    for uncles in [false, true] {
        let mut stage = v2();
        let mut hashes = match uncles {
            true => proof(&stage.matter, PIECE),
            false => leaves(&stage.matter, PIECE),
        }
        .to_vec();
        hashes[37] ^= 1;
        prove(&mut stage, PIECE, hashes.into());
        assert_eq!(stage.gone, [GIVER]);
        assert!(stage.grants(TAKER).is_empty());
    }
}

#[test]
fn as_many_leaves_as_no_piece_has_end_the_connection() {
    let mut stage = v2();
    let hashes = leaves(&stage.matter, PIECE).slice(32..);
    prove(&mut stage, PieceIndex(500), hashes.clone());
    assert!(stage.gone.is_empty(), "there is no such piece");
    prove(&mut stage, PIECE, hashes);
    assert_eq!(stage.gone, [GIVER]);
}

#[test]
fn nobody_waits_for_a_giver_that_falls_silent() {
    let mut stage = v2();
    let asked = taken(&mut stage);
    stage.pass(Duration::from_millis(400));
    give(&mut stage, asked[0], true);
    assert_eq!(got(&mut stage), 1);
    // There was progress; for half a second none is needed.
    stage.pass(Duration::from_millis(400));
    assert_eq!(refused(&stage), 0);
    stage.pass(Duration::from_millis(110));
    assert_eq!(refused(&stage), BLOCKS - 1);
    // What comes after all is not sent to who was refused.
    give(&mut stage, asked[1], true);
    assert_eq!(got(&mut stage), 1);
}

#[test]
fn nobody_waits_for_a_giver_that_leaves() {
    let mut stage = v2();
    let asked = taken(&mut stage);
    give(&mut stage, asked[0], true);
    let conn = GIVER;
    stage.handle(Input::Disconnected { conn });
    assert_eq!(got(&mut stage), 1);
    stage.pass(Duration::from_millis(510));
    assert_eq!(refused(&stage), BLOCKS - 1);
}

/// The disk holds something else than what came: nobody is to blame, and
/// nobody is told of the piece.
#[test]
fn a_piece_of_right_blocks_that_the_hash_refuses_is_fetched_again() {
    let mut stage = v2();
    let asked = handed(&mut stage);
    for block in &asked {
        give(&mut stage, *block, true);
    }
    stage.take(TAKER, PIECE, 0, LENGTH);
    hashed(&mut stage, false);
    assert!(stage.gone.is_empty());
    stage.pass(Duration::from_secs(1));
    assert_eq!(heard_of(&stage, TAKER), 0);
    hand(&mut stage, PIECE);
    assert_eq!(stage.asked(GIVER), asked);
}

/// Who knows only the root takes a piece whose hash is proven, and gives it on,
/// before it has learnt the layer.
#[test]
fn a_newcomer_takes_a_piece_before_it_knows_the_layer() {
    let matter = matter();
    let roots = matter.roots.clone();
    let mut stage = middle(matter, Content::new(roots));
    let hashes = leaves(&stage.matter, PIECE);
    prove(&mut stage, PIECE, hashes);
    hand(&mut stage, PIECE);
    assert!(stage.asked(GIVER).is_empty(), "nothing proves these leaves");
    let hashes = proof(&stage.matter, PIECE);
    prove(&mut stage, PIECE, hashes.clone());
    let asked = stage.asked(GIVER);
    assert_eq!(asked.len(), BLOCKS, "the turn had waited");
    assert_eq!(stage.proofs(TAKER), [(PIECE, hashes, 0)]);
    stage.take(TAKER, PIECE, 0, LENGTH);
    for block in asked {
        give(&mut stage, block, true);
    }
    assert_eq!(got(&mut stage), BLOCKS);
    hashed(&mut stage, true);
    stage.pass(Duration::from_secs(1));
    assert_eq!(heard_of(&stage, STOCK), 1);
}

/// Fetches a piece by its proof alone.
fn fetch_proven(stage: &mut Stage, piece: PieceIndex) {
    let hashes = proof(&stage.matter, piece);
    prove(stage, piece, hashes);
    hand(stage, piece);
    for block in stage.asked(GIVER) {
        give(stage, block, true);
    }
    hashed(stage, true);
}

/// Who knew the layer may be gone before anybody learnt it.
#[test]
fn what_was_taken_without_the_layer_is_proven_to_others_who_lack_it() {
    let matter = matter();
    let roots = matter.roots.clone();
    let mut stage = middle(matter, Content::new(roots));
    stage.say(TAKER, Message::Have(PieceIndex(2)));
    fetch_proven(&mut stage, PIECE);
    let conn = GIVER;
    stage.handle(Input::Disconnected { conn });
    stage.pass(Duration::from_secs(1));
    let told = proof(&stage.matter, PIECE);
    let [(PIECE, hashes, _)] = stage.proofs(TAKER) else {
        panic!("{:?}", stage.proofs(TAKER));
    };
    assert_eq!(*hashes, told);
    assert!(!stage.grants(TAKER).is_empty());
    assert_eq!(heard_of(&stage, TAKER), 1);
    assert_eq!(stage.done, [], "after a restart nothing would prove it");
}

#[test]
fn pieces_that_are_proven_one_by_one_make_the_layer() {
    let matter = Matter::v2(&[PIECES * BLOCKS * BLOCK - 99], BLOCKS * BLOCK);
    let roots = matter.roots.clone();
    let mut stage = middle(matter, Content::new(roots));
    let all: Vec<PieceIndex> = (0..PIECES as u32).map(PieceIndex).collect();
    for piece in &all {
        assert_eq!(stage.done, []);
        fetch_proven(&mut stage, *piece);
    }
    assert_eq!(stage.done, all);
    let (tree, _) = span(&stage.matter, PIECE);
    let asked = tree.requests()[0];
    stage.say(STOCK, Message::HashRequest(asked));
    let answered = |m: &Message| matches!(m, Message::Hashes { span, .. } if *span == asked);
    assert_eq!(stage.heard(STOCK, answered), 1);
}

/// The origin tells the leaves of what it hands out, once it has hashed that.
#[test]
fn an_origin_tells_the_leaves_of_what_it_hands_out() {
    let matter = matter();
    let known = matter.known.clone();
    let mut stage = Stage::with(matter, Content::whole(known));
    for conn in [GIVER, TAKER] {
        stage.join(conn, true);
        stage.say(conn, Message::HaveNone);
    }
    assert!(!stage.hashing.is_empty());
    hashed(&mut stage, true);
    let mut handed = 0;
    for conn in [GIVER, TAKER] {
        let grants = stage.grants(conn).iter();
        let mut pieces: Vec<PieceIndex> = grants.map(|grant| grant.1.unwrap()).collect();
        let mut told: Vec<_> = stage.proofs(conn).iter().map(|proof| proof.0).collect();
        handed += pieces.len();
        pieces.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, pieces);
        for (piece, hashes, _) in stage.proofs(conn) {
            assert_eq!(*hashes, proof(&stage.matter, *piece));
        }
    }
    assert!(handed > 0);
}

/// One whose disk is not what it was tells nothing.
#[test]
fn an_origin_with_a_wrong_piece_tells_no_leaves() {
    let matter = matter();
    let known = matter.known.clone();
    let mut stage = Stage::with(matter, Content::whole(known));
    for conn in [GIVER, TAKER] {
        stage.join(conn, true);
        stage.say(conn, Message::HaveNone);
    }
    hashed(&mut stage, false);
    assert!(stage.proofs(GIVER).is_empty() && stage.proofs(TAKER).is_empty());
}

#[test]
fn in_v1_nothing_is_proven_and_nothing_goes_on_early() {
    let matter = Matter::v1(PIECES * BLOCKS * BLOCK, BLOCKS * BLOCK);
    let known = matter.known.clone();
    let mut stage = middle(matter, Content::new(known));
    prove(&mut stage, PIECE, vec![1; 32 * BLOCKS].into());
    assert!(stage.gone.is_empty());
    hand(&mut stage, PIECE);
    let asked = stage.asked(GIVER);
    assert!(stage.grants(TAKER).is_empty());
    for block in &asked {
        give(&mut stage, *block, true);
    }
    assert!(stage.grants(TAKER).is_empty());
    let result = Ok(stage.matter.digests(PIECE, true, false, |_| true));
    stage.handle(Input::PieceHashed {
        piece: PIECE,
        result,
    });
    stage.take(TAKER, PIECE, 0, LENGTH);
    assert_eq!(got(&mut stage), BLOCKS);
    assert!(stage.proofs(TAKER).is_empty());
}
