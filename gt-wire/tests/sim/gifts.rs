//! Pieces that are given unasked, from the handshake on: what an origin gives to
//! whom, and what a taker makes of it.

use std::time::Duration;

use gt_vfs::content::BLOCK;
use gt_wire::handshake::Abilities;
use gt_wire::message::Message;
use gt_wire::simulator::Matter;
use gt_wire::swarm::{ConnId, Content, Input};
use gt_wire::{Block, PieceIndex, turn};

use crate::stage::Stage;

const CONN: ConnId = ConnId(1);
const OTHER: ConnId = ConnId(2);
const BLOCKS: usize = 8;
const PIECES: usize = 40;
const LENGTH: u32 = (BLOCKS * BLOCK) as u32;

fn origin() -> Stage {
    Stage::new(PIECES, BLOCKS * BLOCK, true)
}

/// A newcomer by a long line.
fn new() -> Abilities {
    far().with_nothing()
}

fn far() -> Abilities {
    Abilities::OURS.with_trip(Duration::from_millis(50))
}

fn blocks(stage: &Stage, conn: ConnId) -> usize {
    stage.heard(conn, |message| matches!(message, Message::Piece { .. }))
}

/// Its handshake says all that has to be known: the first blocks are on their
/// way before its extension handshake is.
#[test]
fn who_has_nothing_is_given_pieces_at_its_handshake() {
    let mut stage = origin();
    stage.shake(CONN, new());
    let gifts = stage.gifts(CONN).clone();
    assert!(!gifts.is_empty(), "nothing was given");
    let told = |piece: &PieceIndex| stage.heard(CONN, |m| *m == Message::Have(*piece)) == 1;
    assert!(gifts.iter().all(told), "a gift that it was not shown");
    stage.serve_on();
    assert!(blocks(&stage, CONN) >= BLOCKS * gifts.len());
    assert!(stage.grants(CONN).is_empty());
}

/// It may have come back with half of everything.
#[test]
fn who_may_have_pieces_says_so_first() {
    let mut stage = origin();
    stage.shake(CONN, far());
    assert!(stage.gifts(CONN).is_empty() && stage.reads.is_empty());
    stage.say(CONN, Message::HaveNone);
    assert!(!stage.gifts(CONN).is_empty());
}

/// Older ones and stock peers would be sent what they did not ask for.
#[test]
fn who_does_not_know_gifts_is_given_none() {
    let mut stage = origin();
    for (conn, turns) in [(CONN, true), (OTHER, false)] {
        stage.join(conn, turns);
        stage.say(conn, Message::HaveNone);
        stage.say(conn, Message::Interested);
        assert!(stage.gifts(conn).is_empty());
    }
    assert!(
        stage.reads.is_empty(),
        "somebody is sent what it did not ask for"
    );
    assert!(!stage.grants(CONN).is_empty());
}

/// What is not wanted stays here, and its peer is asked from then on.
#[test]
fn a_gift_that_is_refused_ends_and_is_offered_again() {
    let mut stage = origin();
    stage.shake(CONN, new());
    let given = stage.gifts(CONN).len();
    for _ in 1..given {
        stage.answer(CONN, LENGTH);
    }
    let refused = stage.answer(CONN, 0);
    stage.serve();
    // Some may have been read by then, but not all.
    let of_it = |m: &Message| matches!(m, Message::Piece { piece, .. } if *piece == refused);
    let more = stage.heard(CONN, of_it);
    assert!(more < BLOCKS, "all of it was sent");
    let rest = |m: &Message| matches!(m, Message::Reject(block) if block.piece == refused);
    assert_eq!(stage.heard(CONN, rest), BLOCKS - more);
    assert!(stage.gifts(CONN).is_empty(), "it was given more");
    assert!(!stage.grants(CONN).is_empty());
    let mut seen = Vec::new();
    while !stage.grants(CONN).is_empty() {
        let piece = stage.grants(CONN)[0].1.unwrap();
        stage.take(CONN, piece, 0, LENGTH);
        stage.serve();
        stage.say(CONN, Message::Have(piece));
        seen.push(piece);
    }
    assert!(seen.contains(&refused), "it was lost: {seen:?}");
}

/// A giver's side, by hand: the swarm has nothing.
fn taker(matter: Matter) -> Stage {
    let content = Content::new(matter.known.clone());
    let mut stage = Stage::with(matter, content);
    stage.shake(CONN, Abilities::OURS);
    stage.say(CONN, Message::HaveNone);
    stage
}

fn offer(stage: &mut Stage, piece: u32) {
    let piece = PieceIndex(piece);
    stage.say(CONN, Message::Have(piece));
    stage.turn(CONN, &turn::Message::Gift { piece });
}

fn give(stage: &mut Stage, piece: u32) {
    let blocks = stage.matter.known.blocks(PieceIndex(piece));
    send(stage, CONN, blocks.collect());
}

fn send(stage: &mut Stage, conn: ConnId, blocks: Vec<Block>) {
    for block in blocks {
        stage.send(conn, block);
    }
}

fn hashed(stage: &mut Stage) {
    for piece in std::mem::take(&mut stage.hashing) {
        let result = Ok(stage.matter.digests(piece, true, false, |_| true));
        stage.handle(Input::PieceHashed { piece, result });
    }
}

fn takes(stage: &Stage) -> Vec<u32> {
    let turns = stage.turns(CONN).into_iter();
    let taken = turns.filter_map(|turn| match turn {
        turn::Message::Take { bytes } => Some(bytes),
        _ => None,
    });
    taken.collect()
}

#[test]
fn a_gift_that_lacks_is_taken_without_being_asked_for() {
    let mut stage = taker(Matter::v1(PIECES * BLOCKS * BLOCK, BLOCKS * BLOCK));
    offer(&mut stage, 7);
    assert_eq!(takes(&stage), [LENGTH]);
    assert_eq!(stage.asked(CONN), []);
    give(&mut stage, 7);
    hashed(&mut stage);
    assert_eq!(stage.done, [PieceIndex(7)]);
    // The same once more is refused, and what comes of it does no harm.
    offer(&mut stage, 7);
    assert_eq!(takes(&stage), [LENGTH, 0]);
    for _ in 0..3 {
        give(&mut stage, 7);
    }
    assert!(
        stage.gone.is_empty(),
        "a giver that could not know was thrown out"
    );
}

/// Gifts are no way to send what nobody wants for ever.
#[test]
fn who_goes_on_giving_what_is_refused_is_thrown_out() {
    let mut stage = taker(Matter::v1(PIECES * BLOCKS * BLOCK, BLOCKS * BLOCK));
    offer(&mut stage, 7);
    give(&mut stage, 7);
    hashed(&mut stage);
    let mut sent = 0;
    while stage.gone.is_empty() {
        offer(&mut stage, 7);
        give(&mut stage, 7);
        sent += 1;
        assert!(sent < 100, "{sent} gifts that were refused");
    }
    assert!(sent > 16, "thrown out after {sent}");
}

/// A giver that promises and does not give holds its piece up no longer than
/// one that was asked.
#[test]
fn a_gift_that_does_not_come_is_fetched_elsewhere() {
    let mut stage = taker(Matter::v1(PIECES * BLOCKS * BLOCK, BLOCKS * BLOCK));
    offer(&mut stage, 7);
    stage.shake(OTHER, Abilities::OURS);
    stage.say(OTHER, Message::HaveAll);
    stage.say(OTHER, Message::Unchoke);
    let of_it = |blocks: &[Block]| blocks.iter().any(|b| b.piece == PieceIndex(7));
    let mut waited = 0;
    loop {
        let asked = stage.asked(OTHER);
        if of_it(&asked) {
            break;
        }
        send(&mut stage, OTHER, asked);
        hashed(&mut stage);
        stage.pass(Duration::from_millis(100));
        waited += 1;
        assert!(waited < 100, "nobody else was asked");
    }
}

/// In v2 a newcomer can take nothing that is not proven to it first.
#[test]
fn a_gift_to_who_lacks_the_layer_comes_after_its_proof() {
    let matter = Matter::v2(&[PIECES * BLOCKS * BLOCK], BLOCKS * BLOCK);
    let content = Content::whole(matter.known.clone());
    let mut stage = Stage::with(matter, content);
    for conn in [CONN, OTHER] {
        stage.shake(conn, new());
    }
    let conns = [CONN, OTHER];
    let unproven = |stage: &Stage| conns.iter().any(|conn| !stage.gifts(*conn).is_empty());
    assert!(!unproven(&stage), "given before it was hashed");
    for piece in std::mem::take(&mut stage.hashing) {
        let result = Ok(stage.matter.digests(piece, false, true, |_| true));
        stage.handle(Input::PieceHashed { piece, result });
    }
    for conn in conns {
        while !stage.grants(conn).is_empty() {
            let piece = stage.grants(conn)[0].1.unwrap();
            stage.take(conn, piece, 0, LENGTH);
            stage.serve_on();
            stage.say(conn, Message::Have(piece));
        }
        for piece in stage.gifts(conn) {
            let proven = |(of, ..): &(PieceIndex, _, _)| of == piece;
            assert!(
                stage.proofs(conn).iter().any(proven),
                "{piece} is not proven"
            );
        }
        assert!(!stage.gifts(conn).is_empty(), "nothing was given at all");
    }
}

/// The layer is learnt of those who learnt it: few are invited by the origin.
#[test]
fn an_origin_tells_the_layer_to_few_of_a_crowd() {
    let matter = Matter::v2(&[4096 * 2 * BLOCK], 2 * BLOCK);
    let content = Content::whole(matter.known.clone());
    let mut stage = Stage::with(matter, content);
    let hash = |stage: &mut Stage| {
        for piece in std::mem::take(&mut stage.hashing) {
            let result = Ok(stage.matter.digests(piece, false, true, |_| true));
            stage.handle(Input::PieceHashed { piece, result });
        }
    };
    for n in 1..=20 {
        stage.shake(ConnId(n), new());
        hash(&mut stage);
    }
    // The first was alone and is asked; what it leaves is given to the others.
    while let Some((_, Some(piece))) = stage.grants(CONN).front().copied() {
        stage.take(CONN, piece, 0, 2 * BLOCK as u32);
        stage.serve();
        hash(&mut stage);
    }
    let given = |n: &u64| !stage.gifts(ConnId(*n)).is_empty();
    assert!(
        (1..=20).filter(given).count() > 2,
        "few were given anything"
    );
    let invited = |n: &u64| stage.turns(ConnId(*n)).contains(&turn::Message::Layers);
    let all = (1..=20).filter(invited).count();
    assert!((1..=2).contains(&all), "{all} were invited");
}

/// A list of pieces says as much as so many messages, and no piece that is not
/// there.
#[test]
fn a_list_of_pieces_is_taken_and_a_wrong_one_refused() {
    let mut stage = origin();
    stage.shake(CONN, new());
    stage.say(CONN, Message::HaveNone);
    let pieces: Vec<PieceIndex> = (0..PIECES as u32 - 1).map(PieceIndex).collect();
    stage.turn(CONN, &turn::Message::Pieces { pieces });
    assert!(stage.gone.is_empty());
    let last = PieceIndex(PIECES as u32 - 1);
    stage.turn(CONN, &turn::Message::Pieces { pieces: vec![last] });
    assert!(stage.gone.is_empty(), "it has all now");
    let beyond = vec![PieceIndex(PIECES as u32)];
    stage.turn(CONN, &turn::Message::Pieces { pieces: beyond });
    assert_eq!(stage.gone, [CONN]);
    for wrong in [
        turn::Message::Gift {
            piece: PieceIndex(PIECES as u32),
        },
        turn::Message::Whole {
            piece: PieceIndex(u32::MAX),
        },
    ] {
        let mut stage = origin();
        stage.shake(CONN, new());
        stage.turn(CONN, &wrong);
        assert_eq!(stage.gone, [CONN], "{wrong:?}");
    }
}

/// A take of a whole piece is served as its requests would be, and one without a
/// grant is refused as they are.
#[test]
fn a_take_of_a_whole_piece_is_all_of_its_requests() {
    let mut stage = origin();
    stage.shake(CONN, Abilities::OURS);
    stage.say(CONN, Message::HaveNone);
    while !stage.gifts(CONN).is_empty() {
        // One that is choosy is asked.
        stage.answer(CONN, 0);
    }
    stage.serve();
    let before = blocks(&stage, CONN);
    let piece = stage.grants(CONN)[0].1.unwrap();
    stage.turn(CONN, &turn::Message::Whole { piece });
    stage.serve();
    assert_eq!(blocks(&stage, CONN), before + BLOCKS);
    let mut stage = origin();
    stage.join(CONN, true);
    stage.say(CONN, Message::HaveAll);
    stage.turn(CONN, &turn::Message::Whole { piece });
    stage.serve();
    assert_eq!(blocks(&stage, CONN), 0);
    let refused = |m: &Message| matches!(m, Message::Reject(_));
    assert_eq!(stage.heard(CONN, refused), BLOCKS);
}

#[test]
fn the_rest_of_a_refused_gift_is_not_what_is_asked_for_afterwards() {
    let mut stage = taker(Matter::v1(PIECES * BLOCKS * BLOCK, BLOCKS * BLOCK));
    let (other, piece) = (ConnId(9), PieceIndex(7));
    stage.join(other, true);
    stage.say(other, Message::HaveNone);
    stage.say(other, Message::Have(piece));
    let grant = turn::Message::Grant {
        bytes: LENGTH,
        piece: Some(piece),
    };
    stage.turn(other, &grant);
    assert_eq!(stage.asked(other).len(), BLOCKS);
    // It is on its way already, and then its giver leaves.
    offer(&mut stage, 7);
    assert_eq!(takes(&stage), [0]);
    stage.handle(Input::Disconnected { conn: other });
    stage.turn(CONN, &grant);
    let whole = turn::Message::Whole { piece };
    assert!(stage.turns(CONN).contains(&whole));
    // The answer to the refusal comes after that.
    let blocks: Vec<Block> = stage.matter.known.blocks(piece).collect();
    for block in &blocks {
        stage.say(CONN, Message::Reject(*block));
    }
    give(&mut stage, 7);
    hashed(&mut stage);
    assert_eq!(stage.done, [piece]);
}

/// By a long line a connection has at first about as much under way as it lets
/// out before an answer: what waits behind that would go out beside pieces of
/// others that are due before it.
#[test]
fn the_first_pieces_by_a_long_line_do_not_wait_in_a_connection() {
    let mut stage = origin();
    stage.shake(CONN, new());
    assert!(!stage.gifts(CONN).is_empty(), "nothing was given");
    stage.serve();
    let first = blocks(&stage, CONN);
    assert!((1..=3).contains(&first), "{first} blocks at once");
    stage.serve_on();
    assert!(blocks(&stage, CONN) >= BLOCKS, "the piece is not there");
}
