//! What is said on the topic: who has news, who wants it, and whether what
//! came is believed.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use gt_pack::small;
use gt_trust::judge::{Evidence, Receiver, Refusal};
use gt_trust::offer::{Have, Want};
use gt_trust::seal::Subject;
use gt_trust::{Charter, Judgement, Keyring, Mark, Offer, Rid, Seal, Time, judge, limits};
use gt_wire::references::{Output as Reference, Rid as Secret};
use gt_wire::swarm::ConnId;

use super::asked::{Answered, Heard};
use super::wants::{Key, Turn};
use super::{Error, Follow, RIDES_ALONG};
use crate::convert;
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
        if let Some(next) = self.asked.next(Instant::now()) {
            self.ask(next);
        }
    }

    /// Asks a peer for what it told of.
    pub(super) fn ask(&mut self, conn: ConnId) {
        let held = self.watermark.map(|w| w.mark);
        self.asked.sent(conn);
        let want = Want::new(self.options.rid, held);
        let rid = Secret(*self.options.rid.as_bytes());
        self.node.send_want(conn, rid, want.to_bytes().into());
    }

    pub(super) fn have(&self) -> Option<Bytes> {
        let mark = self.watermark?.mark;
        Some(Have::new(self.options.rid, mark).to_bytes().into())
    }

    /// Ends a connection whose payload failed.
    fn refuse(&mut self, conn: ConnId, why: &str) {
        let from = self.address_of(conn);
        self.node.ban(conn, why);
        self.told.push_back(Told::Refused {
            from,
            why: why.to_owned(),
        });
    }

    /// Sends the newest statement with all that a stranger needs to judge it,
    /// and the one small reel that the other end lacks, if it is just one.
    pub(super) fn answer(&mut self, conn: ConnId, want: &Want) -> Result<(), Error> {
        let (Some(newest), Some(charter)) = (&self.newest, &self.charter) else {
            return Ok(());
        };
        let held = match &want.held {
            Some(mark) => self.options.state.statement(&mark.identity)?,
            None => None,
        };
        let offer = Offer::new(
            vec![charter.text.as_bytes().to_vec()],
            newest.text.as_bytes().to_vec(),
            charter.seals.iter().chain(&newest.seals).cloned().collect(),
            self.options
                .state
                .keyring_of(&newest.text)?
                .unwrap_or_default(),
        );
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
            .and_then(|held| self.small_reel(&held.text, &newest.text));
        let rid = Secret(*self.options.rid.as_bytes());
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
            Ok(offer) => offer,
            Err(why) => {
                self.refuse(conn, &why);
                return Ok(());
            }
        };
        let now = (self.options.now)();
        let judgement = match self.judge(&offer, Time(now)) {
            Ok(judgement) => judgement,
            Err(Unjudged::State(e)) => return Err(e.into()),
            Err(Unjudged::Offer(why)) => {
                self.refuse(conn, &why);
                return Ok(());
            }
        };
        let from = self.address_of(conn);
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
                self.keep_evidence(&accepted.evidence)?;
                if self.charter.is_none() {
                    self.charter = Some(self.keep_charter(&offer, Time(now))?);
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
                Refusal::LostRace { ref evidence, .. } => self.keep_evidence(evidence)?,
                other => self.refuse(conn, &other.to_string()),
            },
            Judgement::Proposal(proposal) => self.told.push_back(Told::Refused {
                from,
                why: format!(
                    "expected {} seals, got {}: a proposal moves nothing",
                    proposal.needed,
                    proposal.sealed_by.len()
                ),
            }),
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
        let charters = match &self.charter {
            Some(charter) => vec![charter.text.as_bytes().to_vec()],
            None => offer.charters.clone(),
        };
        let keyring = self.options.state.keyring()?.unwrap_or_default();
        let remembered = self.options.state.remembered_keyrings()?;
        let seals = self.newest.as_ref().map_or(&[][..], |n| &n.seals);
        let receiver = Receiver::new(self.options.rid, &charters)
            .and_then(|receiver| receiver.pin(self.options.places.pin))
            .map_err(|e| Unjudged::Offer(e.to_string()))?
            .watermark(self.watermark)
            .seals(seals)
            .keyring(&keyring)
            .remembered(&remembered)
            .allow_stale(self.options.allow_stale);
        Ok(judge(&receiver, offer, now))
    }

    fn keep_evidence(&self, evidence: &[Evidence]) -> Result<(), state::Error> {
        for evidence in evidence {
            let [one, other] = evidence.marks();
            let name = format!("{}-{}", one.identity, other.identity);
            self.options
                .state
                .keep_evidence(&name, &evidence.to_bytes())?;
        }
        Ok(())
    }

    /// Keeps the charter by which the first statement was judged, and those
    /// seals of it that its delegates made.
    fn keep_charter(&self, offer: &Offer, now: Time) -> Result<Sealed<Charter>, Error> {
        let rid = self.options.rid;
        let bytes = offer
            .charters
            .iter()
            .find(|bytes| Rid::of_charter(bytes) == rid)
            .ok_or(Error::Stopped)?;
        let seals = Charter::parse(bytes)
            .map(|charter| seals_of_charter(rid, &charter, offer, now))
            .unwrap_or_default();
        self.options.state.keep_charter(bytes, &seals)?;
        // It is read back, so that what serves others is what lies there.
        self.options.state.charter()?.ok_or(Error::Stopped)
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
        Offer::from_objects(objects).map_err(|e| e.to_string())
    }
}

/// Returns the seals of a charter that its delegates made, one for each.
/// Whatever else came along would be passed on by us for ever.
fn seals_of_charter(rid: Rid, charter: &Charter, offer: &Offer, now: Time) -> Vec<Vec<u8>> {
    let delegates: Vec<_> = charter
        .delegates
        .iter()
        .filter_map(|d| d.openpgp())
        .collect();
    let Ok(keyring) = Keyring::parse(&offer.keyring, Some(&delegates)) else {
        return Vec::new();
    };
    let subject = Subject::of_charter(rid, charter);
    let mut by = Vec::new();
    let mut kept = Vec::new();
    let mut in_vain = 0;
    for bytes in &offer.seals {
        let Ok(seal) = Seal::parse(bytes) else {
            continue;
        };
        if *seal.subject() != subject || in_vain == limits::SEAL_CHECKS {
            continue;
        }
        match seal.verify(&keyring, now) {
            Ok(signer) if delegates.contains(&signer.primary) && !by.contains(&signer.primary) => {
                by.push(signer.primary);
                kept.push(bytes.clone());
            }
            _ => in_vain += 1,
        }
    }
    kept
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
