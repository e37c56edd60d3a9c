//! What is said on the topic: who has news, who wants it, and whether what
//! came is believed.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use gt_pack::small;
use gt_trust::judge::{LineFault, Link, Proposal, Refusal, SealFault};
use gt_trust::offer::{Gathered, Have, Want};
use gt_trust::signature::Fault;
use gt_trust::{Charter, Judgement, Mark, Offer, Time, judge, limits};
use gt_wire::references::{Output as Reference, Rid as Secret};
use gt_wire::swarm::ConnId;

use super::asked::{Answered, Heard};
use super::wants::{Key, Turn};
use super::{Error, Follow, RIDES_ALONG, line};
use crate::convert;
use crate::held::Held;
use crate::op::news;
use crate::state::{self, Sealed};
use crate::told::Told;

impl Follow {
    pub(super) async fn referenced(&mut self, reference: Reference) -> Result<(), Error> {
        match reference {
            Reference::Shared { conn, rid } if self.is_ours(rid) => {
                let addr = self.address_of(conn);
                if let Some((addr, peer)) = self.peers.get(&conn) {
                    let who = (addr.ip(), *peer);
                    let heard = self.shared.values().any(|other| *other == who);
                    self.shared.insert(conn, who);
                    // The same peer in another swarm has heard, or will.
                    if heard {
                        return Ok(());
                    }
                }
                self.told.push_back(Told::Follower(addr));
                if let Some(have) = self.have() {
                    self.node.send_have(conn, rid, have);
                }
                self.tell_all_gathered(conn);
            }
            Reference::Have { conn, rid, bytes }
                if self.is_ours(rid) && Gathered::is_one(&bytes) =>
            {
                match Gathered::parse(&bytes) {
                    Ok(said) if said.rid != self.options.rid => {
                        self.refuse(conn, "expected a have of this repository, got another's");
                    }
                    Ok(said) => self.heard_gathered(conn, said),
                    Err(e) => self.refuse(conn, &e.to_string()),
                }
            }
            Reference::Have { conn, rid, bytes } if self.is_ours(rid) => {
                match Have::parse(&bytes) {
                    Ok(have) if have.rid != self.options.rid => {
                        self.refuse(conn, "expected a have of this repository, got another's");
                    }
                    Ok(have) => self.heard(conn, have.mark),
                    Err(e) => self.refuse(conn, &e.to_string()),
                }
            }
            Reference::Want { conn, rid, bytes } if self.is_ours(rid) => {
                match Want::parse(&bytes) {
                    Ok(want) if want.rid != self.options.rid => {
                        self.refuse(conn, "expected a want of this repository, got another's");
                    }
                    Ok(want) => self.wanted(conn, want)?,
                    Err(e) => self.refuse(conn, &e.to_string()),
                }
            }
            Reference::Crowded { conn, rid } if self.is_ours(rid) => {
                // It is asked again at the next look, after those who wait.
                self.asked.crowded(conn);
                self.gathering.crowded(conn);
            }
            Reference::Pack {
                conn,
                rid,
                pack,
                reel,
            } if self.is_ours(rid) => self.received(conn, &pack, reel).await?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn is_ours(&self, rid: Secret) -> bool {
        rid.0 == *self.options.rid.as_bytes()
    }

    pub(super) fn address_of(&self, conn: ConnId) -> SocketAddr {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        self.peers.get(&conn).map_or(unknown, |(addr, _)| *addr)
    }

    /// A peer told of its newest statement: only what is higher is asked for;
    /// whoever is behind hears of ours.
    fn heard(&mut self, conn: ConnId, mark: Mark) {
        match self.asked.heard(conn, mark) {
            // Its answer to something else comes first; then it is asked.
            Heard::Ask if self.gathering.is_busy(conn) => {}
            Heard::Ask => self.ask(conn),
            Heard::Known if self.watermark.is_some_and(|ours| ours.mark == mark) => {
                let addr = self.address_of(conn);
                self.told.push_back(Told::Confirmed(addr));
            }
            Heard::Known | Heard::Wait | Heard::Again => {}
        }
    }

    /// A peer asked for ours: it is answered as often as its budget allows.
    pub(super) fn wanted(&mut self, conn: ConnId, want: Want) -> Result<(), Error> {
        let Some((addr, peer)) = self.peers.get(&conn) else {
            return Ok(());
        };
        let key = Key::of(*addr, *peer);
        match self.wants.came(conn, key, want, Instant::now()) {
            Turn::Now => self.answer(conn, &want)?,
            Turn::Later => {}
            Turn::TooMany => self.refuse(conn, "expected one want at a time, got another"),
        }
        Ok(())
    }

    /// Asks the next peer, if one is to be asked.
    pub(super) fn ask_next(&mut self) {
        let gathering = &self.gathering;
        let busy = |conn| gathering.is_busy(conn);
        if let Some(next) = self.asked.next(Instant::now(), busy) {
            self.ask(next);
        }
        self.ask_gathered();
    }

    /// Asks a peer for what it told of.
    pub(super) fn ask(&mut self, conn: ConnId) {
        self.asked.sent(conn);
        let want = Want::new(self.options.rid, self.holds());
        let rid = Secret(*self.options.rid.as_bytes());
        self.node.send_want(conn, rid, want.to_bytes().into());
    }

    pub(super) fn have(&self) -> Option<Bytes> {
        let mark = self.watermark?.mark;
        Some(Have::new(self.options.rid, mark).to_bytes().into())
    }

    /// Ends a connection whose payload failed.
    pub(super) fn refuse(&mut self, conn: ConnId, why: &str) {
        let from = self.address_of(conn);
        self.node.ban(conn, why);
        self.told.push_back(Told::Refused {
            from,
            why: why.to_owned(),
        });
    }

    /// Sends the newest statement with all that a stranger needs to judge it,
    /// and the one small reel that the other end lacks, if it is just one; else
    /// the headers of all reels, by which it may be able to make them.
    pub(super) fn answer(&mut self, conn: ConnId, want: &Want) -> Result<(), Error> {
        let Some(newest) = self.newest.as_ref().filter(|_| !self.charters.is_empty()) else {
            return Ok(());
        };
        let rid = Secret(*self.options.rid.as_bytes());
        if let Some(text) = &want.text
            && let Some(pack) = self.gathered_pack(text)?
        {
            self.node.send_pack(conn, rid, pack, None);
            return Ok(());
        }
        let held = match &want.held {
            Some(mark) => self.options.state.statement(&mark.identity)?,
            None => None,
        };
        // Those before are held at the other end, and believed.
        let known = want.held.map_or(0, |mark| mark.epoch.0);
        let line: Vec<_> = self
            .charters
            .iter()
            .filter(|charter| charter.text.epoch.0 >= known)
            .collect();
        let whole = Offer::new(
            line.iter().map(|c| c.text.as_bytes().to_vec()).collect(),
            newest.text.as_bytes().to_vec(),
            line.iter()
                .flat_map(|charter| &charter.seals)
                .chain(&newest.seals)
                .cloned()
                .chain(self.gossip()?)
                .collect(),
            self.options
                .state
                .keyring_of(&newest.text)?
                .unwrap_or_default(),
        );
        let is_part = line.len() > 1 && !whole.fits();
        let offer = match is_part {
            true => line::part(&line, &self.options.state.certificates()?),
            false => whole,
        };
        let objects: Vec<small::Object> = offer
            .objects()
            .into_iter()
            .map(|object| small::Object {
                kind: match object.kind {
                    gt_trust::offer::Kind::Blob => gt_pack::Kind::Blob,
                    _ => gt_pack::Kind::Tag,
                },
                bytes: object.bytes,
            })
            .collect();
        let bases: Vec<Vec<u8>> = held.iter().map(|h| h.text.as_bytes().to_vec()).collect();
        let pack = small::write(&objects, &bases);
        let reel = held
            .as_ref()
            .and_then(|held| self.small_reel(&held.text, &newest.text))
            .or_else(|| self.snapshots.back()?.headers(RIDES_ALONG))
            .filter(|_| want.text.is_none() && !is_part);
        self.node.send_pack(conn, rid, pack.into(), reel);
        Ok(())
    }

    /// Returns the bytes of the reel that leads from one statement to the
    /// next, where it is one, small, and here.
    fn small_reel(
        &self,
        held: &gt_trust::Statement,
        newest: &gt_trust::Statement,
    ) -> Option<Bytes> {
        let (last, before) = newest.reels.split_last()?;
        if held.reels != before || last.length > RIDES_ALONG {
            return None;
        }
        let snapshot = self.snapshots.back()?;
        snapshot.read_reel(before.len())
    }

    /// Judges what a peer answered, before anything else is spent on it.
    async fn received(
        &mut self,
        conn: ConnId,
        pack: &[u8],
        reel: Option<Bytes>,
    ) -> Result<(), Error> {
        let other = self.asked.is_waiting_for(conn);
        if let Some(mark) = self.gathering.answered(conn, other) {
            let done = self.gathered(conn, mark, pack).await;
            self.ask_next();
            return done;
        }
        let asked = self.asked.answered(conn);
        let done = self.judge_pack(conn, pack, reel, asked).await;
        self.ask_next();
        done
    }

    async fn judge_pack(
        &mut self,
        conn: ConnId,
        pack: &[u8],
        reel: Option<Bytes>,
        asked: Answered,
    ) -> Result<(), Error> {
        let offer = match self.read_offer(pack, asked.held) {
            Ok(offer) if offer.statement.is_empty() => return self.line_part(conn, &offer),
            Ok(offer) => offer,
            Err(why) => {
                self.refuse(conn, &why);
                return Ok(());
            }
        };
        self.judge_offer(conn, &offer, reel, asked).await
    }

    pub(super) async fn judge_offer(
        &mut self,
        conn: ConnId,
        offer: &Offer,
        reel: Option<Bytes>,
        asked: Answered,
    ) -> Result<(), Error> {
        let now = (self.options.now)();
        let judgement = match self.judge(offer, Time(now)) {
            Ok(judgement) => judgement,
            Err(Unjudged::State(e)) => return Err(e.into()),
            Err(Unjudged::Offer(why)) => {
                self.refuse(conn, &why);
                return Ok(());
            }
        };
        let from = self.address_of(conn);
        let is_first = self.charters.is_empty();
        // Whatever becomes of the rest: a revocation is never forgotten, and
        // neither is evidence.
        self.keep_news(offer, Time(now))?;
        match judgement {
            Judgement::Accept(accepted) => {
                // Others would refuse the statement without them.
                if offer.keyring.is_empty()
                    && accepted.statement.keyring.is_some()
                    && self
                        .options
                        .state
                        .keyring_of(&accepted.statement)?
                        .is_none()
                {
                    self.refuse(
                        conn,
                        "expected the keyring that the statement names, got none",
                    );
                    return Ok(());
                }
                self.options.state.keep_evidence(&accepted.evidence)?;
                self.keep_charters(&accepted.charters)?;
                if accepted.shortened {
                    self.told.push_back(Told::Shortened {
                        epoch: accepted.statement.epoch.0,
                    });
                }
                let sealed = Sealed {
                    text: accepted.statement,
                    seals: accepted.seals,
                };
                let moved = self.options.state.accept(
                    sealed.text.as_bytes(),
                    &sealed.seals,
                    &offer.keyring,
                    &accepted.watermark,
                )?;
                if !moved {
                    // Another gt was faster; the next look finds what it took.
                    return Ok(());
                }
                // Before the first one nobody was known to be a delegate.
                if is_first {
                    self.keep_news(offer, Time(now))?;
                }
                self.told.push_back(Told::Statement {
                    sequence: sealed.text.sequence.0,
                    stale: accepted.stale.map(|age| age.0),
                    from: Some(from),
                });
                self.take_up(sealed, accepted.watermark, reel).await?;
            }
            Judgement::Refused(refusal) => match *refusal {
                // It told of something higher, which it does not have.
                Refusal::Same | Refusal::Rollback { .. }
                    if asked.told > self.answered_with(&refusal) =>
                {
                    self.refuse(conn, "expected what it told of, got less");
                }
                // Another connection was faster.
                Refusal::Same => {}
                // To be behind is no fault: the other end will catch up.
                Refusal::Rollback { .. } | Refusal::Stale { .. } => {
                    self.told.push_back(Told::Refused {
                        from,
                        why: refusal.to_string(),
                    });
                }
                Refusal::LostRace { ref evidence, .. } => {
                    self.options.state.keep_evidence(evidence)?;
                }
                Refusal::Line(LineFault::TwoCharters { .. }) => {
                    news::keep_rivals(&self.options.state, self.options.rid, offer)?;
                    self.told.push_back(Told::Refused {
                        from,
                        why: refusal.to_string(),
                    });
                }
                // The peer is honest, and others believe whom we do not.
                Refusal::NoSeal { ref faults } if faults.iter().any(is_disbelief) => {
                    self.told.push_back(Told::Refused {
                        from,
                        why: refusal.to_string(),
                    });
                }
                other => self.refuse(conn, &other.to_string()),
            },
            Judgement::Proposal(proposal) => {
                // It was told of as the newest; else it is what it was called.
                if asked.told.is_some() {
                    self.told.push_back(Told::Refused {
                        from,
                        why: too_few(&proposal),
                    });
                }
                if self.watermark.is_some() {
                    self.keep_waiting(offer, &proposal)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the mark of an answer that is not above ours.
    fn answered_with(&self, refusal: &Refusal) -> Option<Mark> {
        match refusal {
            Refusal::Rollback { got, .. } => Some(*got),
            _ => self.watermark.map(|ours| ours.mark),
        }
    }

    fn judge(&self, offer: &Offer, now: Time) -> Result<Judgement, Unjudged> {
        let held = Held::read(&self.options.state)?;
        let receiver = held
            .receiver(
                self.options.rid,
                &offer.charters,
                self.options.places.pin,
                self.options.believed.narrows(),
            )
            .map_err(|e| Unjudged::Offer(e.to_string()))?
            .allow_stale(self.options.allow_stale);
        Ok(judge(&receiver, offer, now))
    }

    /// Keeps the charters by which a statement was judged, and reads them
    /// back, so that what serves others is what lies there.
    pub(super) fn keep_charters(&mut self, links: &[Link]) -> Result<(), Error> {
        let state = &self.options.state;
        if let Some(typed) = self.options.adopt.take() {
            state.keep_address(&typed)?;
        }
        for link in links {
            let epoch = usize::try_from(link.charter.epoch.0).unwrap_or(usize::MAX);
            let held = self.charters.get(epoch);
            let same = held.filter(|held| held.text == link.charter);
            let is_known =
                |held: &Sealed<Charter>| link.seals.iter().all(|seal| held.seals.contains(seal));
            if !same.is_some_and(is_known) {
                state.keep_charter(&link.charter, &link.seals)?;
            }
        }
        self.charters = state.charters()?;
        Ok(())
    }

    /// Returns the seals of those who have equivocated, for everybody to see.
    fn gossip(&self) -> Result<Vec<Vec<u8>>, Error> {
        let mut seals: Vec<Vec<u8>> = Vec::new();
        for evidence in self
            .options
            .state
            .read_evidence()?
            .iter()
            .take(limits::GOSSIP)
        {
            for seal in evidence.seals() {
                let known = seals.contains(seal)
                    || self.newest.as_ref().is_some_and(|n| n.seals.contains(seal));
                if !known {
                    seals.push(seal.clone());
                }
            }
        }
        Ok(seals)
    }

    /// Keeps revocations and evidence that came with an offer.
    pub(super) fn keep_news(&self, offer: &Offer, now: Time) -> Result<(), Error> {
        let (state, rid) = (&self.options.state, self.options.rid);
        Ok(news::keep(state, rid, offer, &[], now)?)
    }

    /// Reads a pack of texts under the ceilings for strangers.
    ///
    /// Deltas may stand on the statement that was held when it was asked for.
    fn read_offer(&self, pack: &[u8], held: Option<Mark>) -> Result<Offer, String> {
        let held = match held {
            Some(mark) => self
                .options
                .state
                .statement(&mark.identity)
                .map_err(|e| e.to_string())?,
            None => None,
        };
        let base = |oid: &gt_vfs::ObjectId| {
            let text = held.as_ref()?.text.as_bytes();
            // What carries an offer is a SHA-1 pack, whatever the repository.
            let blob = gt_trust::Oid::of_object(gt_trust::ObjectFormat::Sha1, "blob", text);
            (convert::object_id(&blob)? == *oid).then(|| text.to_vec())
        };
        let objects = small::read(pack, &base, &small::Budget::default())
            .map_err(|e| e.to_string())?
            .into_iter()
            .map(|object| {
                let kind = match object.kind {
                    gt_pack::Kind::Blob => gt_trust::offer::Kind::Blob,
                    gt_pack::Kind::Tag => gt_trust::offer::Kind::Tag,
                    other => return Err(format!("expected blobs and tags, got a {other}")),
                };
                Ok(gt_trust::offer::Object::new(kind, object.bytes))
            })
            .collect::<Result<Vec<_>, String>>()?;
        Offer::part_from_objects(objects).map_err(|e| e.to_string())
    }
}

/// Says what a statement lacks, and whose seals did not count here.
fn too_few(proposal: &Proposal) -> String {
    let mut words = format!(
        "expected {} seals, got {}: a proposal moves nothing",
        proposal.needed,
        proposal.sealed_by.len()
    );
    for fault in proposal.faults.iter().filter(|fault| is_disbelief(fault)) {
        words.push_str(&format!("; {fault}"));
    }
    words
}

/// Tells whether a seal is good, by a delegate whom the person does not believe.
fn is_disbelief(fault: &SealFault) -> bool {
    matches!(fault, SealFault::Signature(Fault::NotBelieved(..)))
}

/// Why an offer was not judged.
enum Unjudged {
    /// Our own disk.
    State(state::Error),
    /// What came.
    Offer(String),
}

impl From<state::Error> for Unjudged {
    fn from(e: state::Error) -> Self {
        Self::State(e)
    }
}
