//! `gt_references`: which repositories both ends of a connection follow, and
//! what their heads are (BEP 10 extension, payloads of the caller's).
//!
//! A repository's secret name (rid) never goes over the wire. Each end sends,
//! for every rid that it follows, 16 bytes that only somebody who knows the
//! rid can compute, and that are of use on this connection only. Where both
//! ends have shown theirs, the repository is shared, and messages name it by
//! the sender's 16 bytes. Whoever does not know a rid learns nothing of it.
//!
//! What `have`, `want` and `pack` hold are bytes of the caller's. A pack is
//! taken only as the answer to a want, one at a time for each connection and
//! rid, in parts for which memory is given as they arrive.

mod assembly;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::swarm::ConnId;
use crate::{PeerId, limits};

use assembly::Assembly;
use wire::{Kind, Message};

/// The extension's name in handshakes (BEP 10).
pub const EXTENSION: &str = "gt_references";

/// The secret name of a repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid(pub [u8; 32]);

impl std::fmt::Debug for Rid {
    /// Shows too little to be of use in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rid({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// What one end shows of a rid on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Follow(pub [u8; 16]);

impl Follow {
    /// Returns the value that `sender` shows to `receiver`.
    pub fn of(rid: Rid, sender: PeerId, receiver: PeerId) -> Self {
        let digest = Sha256::new()
            .chain_update(b"gt-follow")
            .chain_update(rid.0)
            .chain_update(sender.0)
            .chain_update(receiver.0)
            .finalize();
        let mut value = [0; 16];
        value.copy_from_slice(&digest[..16]);
        Self(value)
    }
}

/// How much strangers may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most values that one peer may show.
    pub follows: usize,
    /// The longest `have`, in bytes.
    pub have: usize,
    /// The longest `want`, in bytes.
    pub want: usize,
    /// The longest pack, in bytes.
    pub pack: usize,
    /// The longest reel that rides along, in bytes.
    pub reel: usize,
    /// Bytes of unfinished packs of all connections together.
    pub unfinished: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            follows: limits::REFERENCES_FOLLOWS,
            have: limits::REFERENCES_HAVE,
            want: limits::REFERENCES_WANT,
            pack: limits::REFERENCES_PACK,
            reel: limits::REFERENCES_REEL,
            unfinished: limits::REFERENCES_UNFINISHED,
        }
    }
}

/// Something that happened on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// The peer understands the extension.
    Open {
        /// Who it is.
        peer: PeerId,
    },
    /// A payload of the extension came.
    Message(Bytes),
    /// The connection ended.
    Closed,
    /// The caller tells of a head.
    Have {
        /// Of which repository.
        rid: Rid,
        /// Its words.
        bytes: Bytes,
    },
    /// The caller asks for a pack.
    Want {
        /// Of which repository.
        rid: Rid,
        /// Its words.
        bytes: Bytes,
    },
    /// The caller answers a want.
    Pack {
        /// Of which repository.
        rid: Rid,
        /// The pack.
        pack: Bytes,
        /// A small reel to ride along.
        reel: Option<Bytes>,
    },
}

/// Something to do or to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send this payload by the extension.
    Send {
        /// To whom.
        conn: ConnId,
        /// At most 16 KiB and a header.
        payload: Bytes,
    },
    /// Both ends follow a repository.
    Shared {
        /// Where.
        conn: ConnId,
        /// Which.
        rid: Rid,
    },
    /// A peer told of a head.
    Have {
        /// Who.
        conn: ConnId,
        /// Of which repository.
        rid: Rid,
        /// Its words.
        bytes: Bytes,
    },
    /// A peer asks for a pack.
    Want {
        /// Who.
        conn: ConnId,
        /// Of which repository.
        rid: Rid,
        /// Its words.
        bytes: Bytes,
    },
    /// A peer answered our want.
    Pack {
        /// Who.
        conn: ConnId,
        /// Of which repository.
        rid: Rid,
        /// The pack, whole.
        pack: Bytes,
        /// The reel that rode along.
        reel: Option<Bytes>,
    },
    /// A pack was let go because too many others were unfinished; the want
    /// may be repeated.
    Crowded {
        /// Whose.
        conn: ConnId,
        /// Of which repository.
        rid: Rid,
    },
    /// A peer broke the rules; the connection shall end.
    Misbehaved {
        /// Who.
        conn: ConnId,
        /// How.
        why: Misbehaviour,
    },
}

/// How a peer broke the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Bytes that are no message of this extension.
    #[error("expected a references message, got {0}")]
    Malformed(&'static str),
    /// More values than the limit.
    #[error("expected at most {0} follow values, got more")]
    Follows(usize),
    /// A message about a value that the peer never showed.
    #[error("expected a follow value shown before, got another")]
    Unshown,
    /// A have, want, pack or reel that is too long.
    #[error("expected at most {limit} bytes of {what}, got {got}")]
    TooLong {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What came.
        got: u64,
    },
    /// A pack that nobody asked for.
    #[error("expected packs only as answers, got one unasked")]
    Unasked,
    /// A part that does not continue the one before.
    #[error("expected the part at byte {expected}, got the one at {got}")]
    Gap {
        /// Where the next part begins.
        expected: u64,
        /// Where this one says it begins.
        got: u64,
    },
}

/// The extension over all connections of a node, without sockets: feed it
/// with [`handle`](Self::handle), then drain [`poll`](Self::poll).
#[derive(Debug)]
pub struct References {
    own: PeerId,
    limits: Limits,
    rids: BTreeSet<Rid>,
    links: BTreeMap<ConnId, Link>,
    unfinished: usize,
    out: VecDeque<Output>,
}

/// One connection.
#[derive(Debug)]
struct Link {
    peer: PeerId,
    /// What the peer has shown.
    shown: BTreeSet<Follow>,
    /// Those of them that we follow too.
    shared: BTreeMap<Follow, Rid>,
    /// Wants of ours that wait for a pack, and how far each has come.
    wants: BTreeMap<Rid, Option<Assembly>>,
}

impl References {
    /// Returns a machine that follows nothing, for the peer `own`.
    pub fn new(own: PeerId, limits: Limits) -> Self {
        Self {
            own,
            limits,
            rids: BTreeSet::new(),
            links: BTreeMap::new(),
            unfinished: 0,
            out: VecDeque::new(),
        }
    }

    /// Follows a repository, on open connections too.
    pub fn follow(&mut self, rid: Rid) {
        if !self.rids.insert(rid) {
            return;
        }
        let own = self.own;
        for (conn, link) in &mut self.links {
            let value = Follow::of(rid, own, link.peer);
            self.out.push_back(Output::Send {
                conn: *conn,
                payload: Message::Follow(vec![value]).encode(),
            });
            let theirs = Follow::of(rid, link.peer, own);
            if link.shown.contains(&theirs) {
                link.shared.insert(theirs, rid);
                self.out.push_back(Output::Shared { conn: *conn, rid });
            }
        }
    }

    /// Follows a repository no more. Peers are not told; what they say of it
    /// is passed over.
    pub fn unfollow(&mut self, rid: Rid) {
        self.rids.remove(&rid);
        for link in self.links.values_mut() {
            link.shared.retain(|_, shared| *shared != rid);
            if let Some(Some(assembly)) = link.wants.remove(&rid) {
                self.unfinished -= assembly.held();
            }
        }
    }

    /// Takes one thing that happened on a connection.
    pub fn handle(&mut self, conn: ConnId, input: Input) {
        match input {
            Input::Open { peer } => self.open(conn, peer),
            Input::Closed => self.close(conn),
            Input::Message(payload) => {
                if let Err(why) = self.message(conn, &payload) {
                    self.close(conn);
                    self.out.push_back(Output::Misbehaved { conn, why });
                }
            }
            Input::Have { rid, bytes } => self.say(conn, rid, [Kind::Have(bytes)]),
            Input::Want { rid, bytes } => {
                if let Some(link) = self.links.get_mut(&conn)
                    && link.shared.values().any(|shared| *shared == rid)
                {
                    link.wants.entry(rid).or_insert(None);
                    self.say(conn, rid, [Kind::Want(bytes)]);
                }
            }
            Input::Pack { rid, pack, reel } => {
                let parts = wire::Part::cut(&pack, reel.as_ref(), limits::REFERENCES_PART);
                self.say(conn, rid, parts.map(Kind::Part));
            }
        }
    }

    /// Returns the next thing to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn open(&mut self, conn: ConnId, peer: PeerId) {
        // Ourselves, or a connection that was opened already: an extension
        // handshake may come again.
        if peer == self.own || self.links.contains_key(&conn) {
            return;
        }
        let values: Vec<Follow> = self
            .rids
            .iter()
            .take(self.limits.follows)
            .map(|rid| Follow::of(*rid, self.own, peer))
            .collect();
        // Sorted, so that their order tells nothing either.
        let values: BTreeSet<Follow> = values.into_iter().collect();
        if !values.is_empty() {
            let values = values.into_iter().collect();
            self.out.push_back(Output::Send {
                conn,
                payload: Message::Follow(values).encode(),
            });
        }
        self.links.insert(
            conn,
            Link {
                peer,
                shown: BTreeSet::new(),
                shared: BTreeMap::new(),
                wants: BTreeMap::new(),
            },
        );
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(link) = self.links.remove(&conn) {
            let assemblies = link.wants.values().flatten();
            self.unfinished -= assemblies.map(Assembly::held).sum::<usize>();
        }
    }

    /// Sends about a repository, if the peer has shown that it knows it.
    fn say(&mut self, conn: ConnId, rid: Rid, kinds: impl IntoIterator<Item = Kind>) {
        let Some(link) = self.links.get(&conn) else {
            return;
        };
        if !link.shared.values().any(|shared| *shared == rid) {
            return;
        }
        let follow = Follow::of(rid, self.own, link.peer);
        let sends = kinds.into_iter().map(|kind| Output::Send {
            conn,
            payload: Message::About(follow, kind).encode(),
        });
        self.out.extend(sends);
    }

    fn message(&mut self, conn: ConnId, payload: &Bytes) -> Result<(), Misbehaviour> {
        let Some(link) = self.links.get_mut(&conn) else {
            return Ok(());
        };
        match Message::read(payload)? {
            Message::Follow(values) => {
                if link.shown.len() + values.len() > self.limits.follows {
                    return Err(Misbehaviour::Follows(self.limits.follows));
                }
                link.shown.extend(values.iter().copied());
                for rid in &self.rids {
                    let theirs = Follow::of(*rid, link.peer, self.own);
                    if values.contains(&theirs) && link.shared.insert(theirs, *rid).is_none() {
                        self.out.push_back(Output::Shared { conn, rid: *rid });
                    }
                }
                Ok(())
            }
            Message::About(follow, kind) => {
                if !link.shown.contains(&follow) {
                    return Err(Misbehaviour::Unshown);
                }
                match link.shared.get(&follow) {
                    Some(rid) => {
                        let rid = *rid;
                        self.about(conn, rid, kind)
                    }
                    // Followed no more; the peer cannot know yet.
                    None => Ok(()),
                }
            }
        }
    }

    fn about(&mut self, conn: ConnId, rid: Rid, kind: Kind) -> Result<(), Misbehaviour> {
        let within = |what, bytes: &Bytes, limit| match bytes.len() {
            got if got > limit => Err(Misbehaviour::TooLong {
                what,
                limit,
                got: got as u64,
            }),
            _ => Ok(()),
        };
        match kind {
            Kind::Have(bytes) => {
                within("have", &bytes, self.limits.have)?;
                self.out.push_back(Output::Have { conn, rid, bytes });
                Ok(())
            }
            Kind::Want(bytes) => {
                within("want", &bytes, self.limits.want)?;
                self.out.push_back(Output::Want { conn, rid, bytes });
                Ok(())
            }
            Kind::Part(part) => self.part(conn, rid, &part),
        }
    }

    fn part(&mut self, conn: ConnId, rid: Rid, part: &wire::Part) -> Result<(), Misbehaviour> {
        let Some(link) = self.links.get_mut(&conn) else {
            return Ok(());
        };
        let assembly = link.wants.get_mut(&rid).ok_or(Misbehaviour::Unasked)?;
        let assembly = match assembly {
            Some(assembly) => assembly,
            None => assembly.insert(Assembly::begin(part, &self.limits)?),
        };
        let before = assembly.held();
        let done = assembly.take(part)?;
        self.unfinished += assembly.held();
        self.unfinished -= before;
        if self.unfinished > self.limits.unfinished {
            self.unfinished -= assembly.held();
            assembly.crowd();
        }
        if done && let Some(Some(assembly)) = link.wants.remove(&rid) {
            self.unfinished -= assembly.held();
            self.out.push_back(match assembly.finish() {
                Some((pack, reel)) => Output::Pack {
                    conn,
                    rid,
                    pack,
                    reel,
                },
                None => Output::Crowded { conn, rid },
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
