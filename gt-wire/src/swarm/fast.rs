//! Pieces that are given to those who wait (BEP 6): a newcomer of another kind
//! may ask for ten pieces while it is choked, so that it has something to
//! trade; which ones follows from its net, so that calling again brings it no
//! others. Our own kind take turns and need none.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use sha1::{Digest as _, Sha1};

use super::Swarm;
use super::input::ConnId;
use super::link::Link;
use crate::InfoHash;
use crate::geometry::{Block, PieceIndex};
use crate::message::Message;

/// Pieces that are given so, and the number of pieces from which on a peer
/// has enough to trade.
const GIVEN: usize = 10;

/// Pieces of either kind that are remembered of one peer.
const REMEMBERED: usize = 32;

/// What one peer and we said of such pieces.
#[derive(Debug, Default)]
pub(super) struct Fast {
    /// What it may ask for while we choke it.
    given: BTreeSet<PieceIndex>,
    /// Bytes that it may still ask for so.
    left: u64,
    /// What we may ask for while it chokes us.
    pub(super) allowed: BTreeSet<PieceIndex>,
    /// What it would like us to ask for.
    pub(super) suggested: BTreeSet<PieceIndex>,
}

impl Link {
    /// Tells whether the peer may be asked for a piece now.
    pub(super) fn may_be_asked(&self, piece: PieceIndex) -> bool {
        !self.peer.is_choking() || self.fast.allowed.contains(&piece)
    }

    /// Tells whether a block is given although the peer is choked, and counts
    /// it.
    pub(super) fn gives_fast(&mut self, block: Block) -> bool {
        let poor = (self.peer.have().count() as usize) < GIVEN;
        let length = u64::from(block.length);
        let gives = poor && self.fast.given.contains(&block.piece) && self.fast.left >= length;
        if gives {
            self.fast.left -= length;
        }
        gives
    }
}

impl Swarm {
    /// Tells a peer which pieces it may ask for at once.
    pub(super) fn allow_fast(&mut self, conn: ConnId) {
        let (Some(torrent), Some(link)) = (&self.torrent, self.links.get_mut(&conn)) else {
            return;
        };
        let pieces = torrent.geometry.pieces();
        let ours = link.peer.handshake().is_none_or(|h| h.peer_id.is_ours());
        let IpAddr::V4(ip) = link.addr.ip().to_canonical() else {
            // BEP 6 says how for IPv4 only.
            return;
        };
        // Of a small torrent that would be most of it.
        if ours || !link.peer.abilities().fast() || (pieces as usize) < 4 * GIVEN {
            return;
        }
        let chosen = chosen(ip, self.options.info_hash, pieces, GIVEN);
        let has = |piece: &PieceIndex| torrent.have.has(piece.0);
        link.fast.given = chosen.into_iter().map(PieceIndex).filter(has).collect();
        link.fast.left = link.fast.given.len() as u64 * torrent.geometry.piece_length();
        for piece in link.fast.given.clone() {
            self.say(conn, Message::AllowedFast(piece));
        }
    }

    pub(super) fn was_allowed(&mut self, conn: ConnId, piece: PieceIndex) {
        if let Some(link) = self.links.get_mut(&conn)
            && link.fast.allowed.len() < REMEMBERED
        {
            link.fast.allowed.insert(piece);
            self.refill(conn);
        }
    }

    /// Chooses what to fetch of a peer that chokes us.
    pub(super) fn choose_allowed(&self, conn: ConnId) -> Option<PieceIndex> {
        let (torrent, link) = (self.torrent.as_ref()?, self.links.get(&conn)?);
        let asks = |piece: &&PieceIndex| {
            let loose = torrent.loose.contains_key(piece);
            let partial = torrent.partials.get(piece);
            link.peer.have().has(piece.0)
                && !link.refused.contains(piece)
                && (loose || torrent.picker.is_open(**piece))
                && partial.is_none_or(|p| p.only.is_none_or(|only| only == conn))
        };
        link.fast.allowed.iter().find(asks).copied()
    }

    pub(super) fn was_suggested(&mut self, conn: ConnId, piece: PieceIndex) {
        let lacks = self.torrent.as_ref().is_some_and(|t| t.lacks(piece.0));
        if let Some(link) = self.links.get_mut(&conn)
            && lacks
            && link.fast.suggested.len() < REMEMBERED
        {
            link.fast.suggested.insert(piece);
        }
    }
}

/// Returns the pieces that BEP 6 chooses for an address.
fn chosen(ip: Ipv4Addr, info_hash: InfoHash, pieces: u32, count: usize) -> Vec<u32> {
    let [a, b, c, _] = ip.octets();
    let mut x: [u8; 20] = Sha1::new()
        .chain_update([a, b, c, 0])
        .chain_update(info_hash.0)
        .finalize()
        .into();
    let mut chosen = Vec::new();
    let count = count.min(pieces as usize);
    while chosen.len() < count {
        for word in x.as_chunks::<4>().0 {
            let piece = u32::from_be_bytes(*word) % pieces;
            if chosen.len() < count && !chosen.contains(&piece) {
                chosen.push(piece);
            }
        }
        x = Sha1::digest(x).into();
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::PeerId;
    use crate::geometry::{File, Geometry};
    use crate::handshake::{Abilities, Handshake};
    use crate::message::Decoder;
    use crate::swarm::{Content, Input, Options, Output};

    #[test]
    fn as_bep_6_has_it() {
        let ip = Ipv4Addr::new(80, 4, 4, 200);
        let hash = InfoHash([0xaa; 20]);
        let seven = [1059, 431, 808, 1217, 287, 376, 1188];
        assert_eq!(chosen(ip, hash, 1313, 7), seven);
        assert_eq!(chosen(ip, hash, 1313, 9)[7..], [353, 508]);
        // Another address of its net brings nothing new.
        assert_eq!(chosen(Ipv4Addr::new(80, 4, 4, 1), hash, 1313, 7), seven);
        assert_eq!(chosen(ip, hash, 3, 10).len(), 3);
    }

    /// A swarm that has all of fifty pieces but the first, or only that.
    fn swarm(lacks_first: bool) -> Swarm {
        let path = gt_vfs::VPath::parse(b"file").unwrap();
        let file = File::new(path, 50 << 14);
        let geometry = Geometry::v1(1 << 14, vec![file], vec![[0; 20]; 50]).unwrap();
        let mut content = Content::new(geometry);
        for piece in 0..50 {
            if lacks_first == (piece > 0) {
                content.have.insert(piece);
            }
        }
        let mut options = Options::new(PeerId([1; 20]), InfoHash([7; 20]), 1);
        options.content = Some(content);
        Swarm::new(options)
    }

    /// Lets somebody of another kind say something, and returns what it hears
    /// and what is read for it.
    fn hear(swarm: &mut Swarm, words: &[Message]) -> (Vec<Message>, usize) {
        let conn = ConnId(1);
        let addr = "80.4.4.200:6881".parse().unwrap();
        let now = Duration::from_secs(1);
        let outgoing = false;
        swarm.handle(
            now,
            Input::Connected {
                conn,
                addr,
                outgoing,
            },
        );
        let shake = Handshake {
            abilities: Abilities([0, 0, 0, 0, 0, 0, 0, 4]),
            info_hash: InfoHash([7; 20]),
            peer_id: PeerId(*b"-XX0000-abcdefghijkl"),
        };
        let mut bytes = shake.encode().to_vec();
        for word in words {
            bytes.extend_from_slice(&word.clone().to_bytes());
        }
        let bytes = Bytes::from(bytes);
        swarm.handle(now, Input::Received { conn, bytes });
        let mut decoder = Decoder::new(50);
        let (mut heard, mut reads) = (Vec::new(), 0);
        loop {
            match swarm.poll() {
                Output::Wait(_) => break,
                Output::Send { bytes, .. } => decoder.push(bytes),
                Output::Read { .. } => reads += 1,
                _ => {}
            }
        }
        assert!(decoder.take_prefix::<68>().is_some());
        while let Some(message) = decoder.next().unwrap() {
            heard.push(message);
        }
        (heard, reads)
    }

    fn block(piece: u32) -> Block {
        Block {
            piece: PieceIndex(piece),
            offset: 0,
            length: 1 << 14,
        }
    }

    #[test]
    fn a_newcomer_is_given_something_while_it_waits() {
        let (heard, _) = hear(&mut swarm(true), &[Message::HaveNone]);
        let allowed: Vec<u32> = heard
            .iter()
            .filter_map(|m| match m {
                Message::AllowedFast(piece) => Some(piece.0),
                _ => None,
            })
            .collect();
        let ip = Ipv4Addr::new(80, 4, 4, 200);
        let mut expected = chosen(ip, InfoHash([7; 20]), 50, GIVEN);
        expected.retain(|piece| *piece != 0);
        expected.sort_unstable();
        assert_eq!(allowed, expected);
        let other = (1..50).find(|n| !allowed.contains(n)).unwrap();
        let ask = |piece| [Message::HaveNone, Message::Request(block(piece))];
        let (heard, reads) = hear(&mut swarm(true), &ask(other));
        assert!(reads == 0 && heard.contains(&Message::Reject(block(other))));
        let (heard, reads) = hear(&mut swarm(true), &ask(allowed[0]));
        assert!(reads == 1 && !heard.contains(&Message::Reject(block(allowed[0]))));
        // Not again and again.
        let mut words = vec![Message::HaveNone];
        words.extend((0..40).map(|_| Message::Request(block(allowed[0]))));
        let (heard, _) = hear(&mut swarm(true), &words);
        let rejected = heard.iter().filter(|m| matches!(m, Message::Reject(_)));
        assert!(rejected.count() >= 40 - GIVEN);
    }

    #[test]
    fn what_is_allowed_is_asked_for_and_what_is_suggested_comes_first() {
        let asked = |words: &[Message]| -> Vec<u32> {
            let (heard, _) = hear(&mut swarm(false), words);
            let asked = heard.iter().filter_map(|m| match m {
                Message::Request(block) => Some(block.piece.0),
                _ => None,
            });
            asked.collect()
        };
        let all = Message::HaveAll;
        assert_eq!(asked(std::slice::from_ref(&all)), Vec::<u32>::new());
        let allowed = Message::AllowedFast(PieceIndex(33));
        assert_eq!(asked(&[all.clone(), allowed]), [33]);
        let words = [all, Message::Suggest(PieceIndex(44)), Message::Unchoke];
        assert_eq!(asked(&words)[0], 44);
    }
}
