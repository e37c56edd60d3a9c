//! Following a repository: a node that learns statements, judges them, brings
//! what they name, and serves all of it to others.
//!
//! ```text
//! topic swarm ── have / want / pack ──▶ judge ──▶ mark on disk ──▶ snapshot swarm
//!                                                                     │ reels close in order
//!                                       refs (of a mirror) ◀── complete
//! ```

mod asked;
mod peers;
mod snapshot;
mod wants;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gt_pack::chain::Chain;
use gt_pack::small;
use gt_trust::judge::{Evidence, Receiver, Refusal};
use gt_trust::offer::{Have, Want};
use gt_trust::seal::Subject;
use gt_trust::{
    Charter, Judgement, Keyring, Mark, Offer, Rid, Seal, Time, Watermark, judge, limits,
};
use gt_wire::net::{self, Event, Node, Torrent, TorrentId};
use gt_wire::references::{Output as Reference, Rid as Secret};
use gt_wire::swarm::ConnId;
use gt_wire::{InfoHash, PeerId, PeerSource};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::convert;
use crate::git::Git;
use crate::history::Ancestry;
use crate::state::{self, Lock, Sealed, State};
use crate::told::{PeerTraffic, Told, Traffic};
use asked::{Answered, Asked, Heard};
use snapshot::Snapshot;
use wants::{Key, Turn, Wants};

pub use peers::{Places, Tried};

/// How often the repository is looked at for a statement that was published
/// in it, and for figures to tell.
const TICK: Duration = Duration::from_millis(100);
/// A reel up to this size rides along with the statement (PROTOCOL: 64 KiB).
const RIDES_ALONG: u64 = 64 * 1024;
/// Snapshots that are served beside the newest one.
const KEPT: usize = 1;

/// What to follow, and how.
pub struct Options {
    /// Git, for history and refs.
    pub git: Git,
    /// The repository's state.
    pub state: State,
    /// Which repository.
    pub rid: Rid,
    /// Trackers and peers.
    pub places: Places,
    /// Where to listen; empty for a free port on every interface.
    pub listen: Vec<SocketAddr>,
    /// Where the reels of a first clone wait until all are there.
    pub cache: Option<PathBuf>,
    /// Whether a first statement may have expired.
    pub allow_stale: bool,
    /// Whether a statement is only learnt and nothing brought yet; see
    /// [`Follow::bring`].
    pub only_learn: bool,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

/// A repository that is being followed.
pub struct Follow {
    options: Options,
    node: Node,
    events: mpsc::Receiver<Event>,
    tick: Interval,
    topic: TorrentId,
    sources: Vec<Arc<dyn PeerSource>>,
    told: VecDeque<Told>,
    charter: Option<Sealed<Charter>>,
    newest: Option<Sealed<gt_trust::Statement>>,
    watermark: Option<Watermark>,
    snapshots: VecDeque<Snapshot>,
    /// Connections on which the repository is shared, and with whom: a peer may
    /// have several, in several swarms. Its id alone is a word that another
    /// one can say too.
    shared: BTreeMap<ConnId, (IpAddr, PeerId)>,
    peers: BTreeMap<ConnId, (SocketAddr, PeerId)>,
    asked: Asked,
    wants: Wants,
    /// Held while reels come in, so that no other gt writes into the chain.
    lock: Option<Lock>,
    bringing: bool,
    last_traffic: Vec<Traffic>,
}

impl Follow {
    /// Starts a node and begins to look for others who follow the repository.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: Options) -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| Error::Io(std::io::Error::other(e.to_string())))?;
        let mut net = net::Options::new(seed).resume(match &options.cache {
            Some(cache) => cache.join("resume"),
            None => options.state.resume(),
        });
        if options.listen.is_empty() {
            net = net.listen(SocketAddr::from(([0, 0, 0, 0], 0)));
        }
        for address in &options.listen {
            net = net.listen(*address);
        }
        let node = Node::start(net)?;
        let events = node.events();
        let sources = options.places.sources(&node.peer_id())?;
        let mut topic = Torrent::topic(InfoHash(options.rid.topic()));
        topic.sources.clone_from(&sources);
        node.follow(Secret(*options.rid.as_bytes()));
        let charter = options.state.charter()?;
        let newest = options.state.accepted()?;
        let watermark = options.state.watermark()?;
        let topic = node.add(topic).await?;
        node.add_peers(topic, &options.places.peers);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut follow = Self {
            bringing: !options.only_learn,
            options,
            node,
            events,
            tick,
            topic,
            sources,
            told: VecDeque::new(),
            charter,
            newest,
            watermark,
            snapshots: VecDeque::new(),
            shared: BTreeMap::new(),
            peers: BTreeMap::new(),
            asked: Asked::default(),
            wants: Wants::default(),
            lock: None,
            last_traffic: Vec::new(),
        };
        follow.asked.holds(follow.watermark.map(|w| w.mark));
        if let Some(address) = follow.node.local_addr() {
            let id = hex(&follow.node.peer_id().0);
            follow.told.push_back(Told::Listening { address, id });
        }
        if let Some(newest) = &follow.newest {
            follow.told.push_back(Told::Statement {
                sequence: newest.text.sequence.0,
                stale: stale(&newest.text, (follow.options.now)()),
                from: None,
            });
        }
        if follow.bringing {
            follow.open_newest().await?;
        }
        Ok(follow)
    }

    /// Returns the statement that holds now.
    pub fn statement(&self) -> Option<&gt_trust::Statement> {
        self.newest.as_ref().map(|n| &n.text)
    }

    /// Returns what was tried to find others, for a message to the person.
    pub fn tried(&self) -> Tried {
        let followers: Vec<_> = self.shared.keys().map(|c| self.address_of(*c)).collect();
        self.options.places.tried(&followers)
    }

    /// Tells whether everything of the newest statement is here, and for a
    /// mirror its refs have moved.
    pub fn is_settled(&self) -> bool {
        match (self.snapshots.back(), &self.newest) {
            (Some(snapshot), Some(newest)) => {
                snapshot.complete && snapshot.identity == newest.text.identity()
            }
            _ => false,
        }
    }

    /// Returns what has happened and was not yet told.
    pub fn drain(&mut self) -> impl Iterator<Item = Told> + '_ {
        self.told.drain(..)
    }

    /// Begins to bring what the newest statement names, where
    /// [`Options::only_learn`] kept it from doing so.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bring(&mut self) -> Result<(), Error> {
        self.bringing = true;
        self.open_newest().await
    }

    /// Waits for the next thing that happens. Cancelling it loses nothing.
    ///
    /// # Errors
    /// See [`Error`]; following cannot go on then.
    pub async fn next(&mut self) -> Result<Told, Error> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Ok(told);
            }
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.happened(event).await?,
                    None => return Err(Error::Stopped),
                },
                _ = self.tick.tick() => self.look().await?,
            }
        }
    }

    /// Ends the node in good order: last announces, resume data on the disk.
    pub async fn stop(&mut self) {
        self.node.shutdown().await;
        self.lock = None;
    }

    async fn happened(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::PeerConnected {
                torrent,
                conn,
                addr,
                peer_id,
            } => {
                self.peers.insert(conn, (addr, peer_id));
                if torrent == self.topic
                    && let Some(snapshot) = self.snapshots.back()
                    && let Some(id) = snapshot.torrent
                {
                    self.node.add_peers(id, &[addr]);
                }
            }
            Event::PeerDisconnected { conn, .. } => {
                self.peers.remove(&conn);
                self.shared.remove(&conn);
                self.wants.gone(conn);
                self.asked.gone(conn);
                self.ask_next();
            }
            Event::References(reference) => self.referenced(reference).await?,
            Event::Progress {
                torrent,
                have,
                pieces,
            } if self.is_newest(torrent) => {
                let bytes = match self.node.stats(torrent).await {
                    Some(stats) => stats.totals.downloaded,
                    None => 0,
                };
                self.told.push_back(Told::Progress {
                    have: have.into(),
                    total: pieces.into(),
                    bytes,
                });
            }
            Event::FileClosed { path, verdict, .. } => self.told.push_back(match verdict {
                gt_vfs::Verdict::Accept => Told::Reel(path.to_string()),
                gt_vfs::Verdict::Reject { why } => Told::Failed(format!("{path}: {why}")),
            }),
            Event::Complete { torrent } if self.is_newest(torrent) => self.complete().await?,
            Event::Failed { torrent, why } if self.is_newest(torrent) => {
                self.told.push_back(Told::Failed(why));
            }
            Event::Stalled { torrent, why } if self.is_newest(torrent) => {
                self.told.push_back(Told::Stalled(why));
            }
            _ => {}
        }
        Ok(())
    }

    fn is_newest(&self, torrent: TorrentId) -> bool {
        self.snapshots
            .back()
            .is_some_and(|s| s.torrent == Some(torrent))
    }

    async fn referenced(&mut self, reference: Reference) -> Result<(), Error> {
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

    fn is_ours(&self, rid: Secret) -> bool {
        rid.0 == *self.options.rid.as_bytes()
    }

    fn address_of(&self, conn: ConnId) -> SocketAddr {
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
    fn wanted(&mut self, conn: ConnId, want: Want) -> Result<(), Error> {
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
    fn ask_next(&mut self) {
        if let Some(next) = self.asked.next(Instant::now()) {
            self.ask(next);
        }
    }

    /// Asks a peer for what it told of.
    fn ask(&mut self, conn: ConnId) {
        let held = self.watermark.map(|w| w.mark);
        self.asked.sent(conn);
        let want = Want::new(self.options.rid, held);
        let rid = Secret(*self.options.rid.as_bytes());
        self.node.send_want(conn, rid, want.to_bytes().into());
    }

    fn have(&self) -> Option<Bytes> {
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
    fn answer(&mut self, conn: ConnId, want: &Want) -> Result<(), Error> {
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

    /// Makes an accepted statement the newest one: its snapshot is opened and
    /// others hear of it.
    async fn take_up(
        &mut self,
        sealed: Sealed<gt_trust::Statement>,
        watermark: Watermark,
        reel: Option<Bytes>,
    ) -> Result<(), Error> {
        self.newest = Some(sealed);
        self.watermark = Some(watermark);
        self.asked.holds(Some(watermark.mark));
        if self.bringing {
            self.open_newest_with(reel).await?;
        }
        if let Some(have) = self.have() {
            let rid = Secret(*self.options.rid.as_bytes());
            let mut heard = BTreeSet::new();
            for (conn, who) in &self.shared {
                if heard.insert(*who) {
                    self.node.send_have(*conn, rid, have.clone());
                }
            }
        }
        Ok(())
    }

    async fn open_newest(&mut self) -> Result<(), Error> {
        self.open_newest_with(None).await
    }

    /// Opens the snapshot of the newest statement, if it is not open, and
    /// puts in the reel that rode along.
    async fn open_newest_with(&mut self, reel: Option<Bytes>) -> Result<(), Error> {
        let Some(newest) = &self.newest else {
            return Ok(());
        };
        let identity = newest.text.identity();
        if self
            .snapshots
            .back()
            .is_some_and(|s| s.identity == identity)
        {
            return Ok(());
        }
        let before = self.snapshots.back().map(|s| s.statement.clone());
        let mut snapshot = Snapshot::open(&self.options, &newest.text, before.as_ref())?;
        // No object is new: the same torrent serves the new statement too.
        if let Some(last) = self.snapshots.back_mut()
            && snapshot.has_files_of(last)
        {
            let whole = last.complete;
            snapshot.torrent = last.torrent;
            *last = snapshot;
            if whole {
                self.complete().await?;
            }
            return Ok(());
        }
        if !snapshot.is_whole()? {
            if self.lock.is_none() {
                let state = self.options.state.clone();
                self.lock = Some(tokio::task::spawn_blocking(move || state.lock()).await??);
            }
            if let Some(bytes) = reel
                && let Some(why) = snapshot.put_last_reel(bytes).await?
            {
                self.told.push_back(Told::Failed(why));
                return Ok(());
            }
        }
        // One that is being replaced before it was complete: its partial
        // reels are the new one's too.
        if let Some(before) = self.snapshots.back()
            && !before.complete
            && let Some(torrent) = before.torrent
        {
            self.node.remove(torrent).await;
            self.snapshots.pop_back();
        }
        let whole = snapshot.is_whole()?;
        snapshot.torrent = match snapshot.torrent(&self.sources)? {
            Some(torrent) => Some(self.node.add(torrent).await?),
            None => None,
        };
        if let Some(id) = snapshot.torrent {
            let mut known: Vec<SocketAddr> = self.peers.values().map(|(addr, _)| *addr).collect();
            known.extend(&self.options.places.peers);
            known.sort();
            known.dedup();
            self.node.add_peers(id, &known);
        }
        self.snapshots.push_back(snapshot);
        while self.snapshots.len() > 1 + KEPT {
            if let Some(old) = self.snapshots.pop_front()
                && let Some(torrent) = old.torrent
            {
                self.node.remove(torrent).await;
            }
        }
        if whole {
            self.complete().await?;
        }
        Ok(())
    }

    /// Everything of the newest statement is here.
    async fn complete(&mut self) -> Result<(), Error> {
        let Some(snapshot) = self.snapshots.back_mut() else {
            return Ok(());
        };
        if snapshot.complete {
            return Ok(());
        }
        let chain = Chain::open(self.options.state.common_dir())?;
        if let Some(name) = snapshot.ref_outside(&chain)? {
            self.told.push_back(Told::Failed(format!(
                "expected every ref inside of the reels, got {name}, which no reel has"
            )));
            return Ok(());
        }
        snapshot.complete = true;
        let sequence = snapshot.statement.sequence.0;
        let statement = snapshot.statement.clone();
        snapshot.clear_cached();
        self.told.push_back(Told::Complete { sequence });
        if self.options.state.is_mirror() {
            let git = self.options.git.elsewhere(self.options.state.common_dir());
            let moved =
                crate::op::mirror::apply(&self.options.state, &statement, &Ancestry::new(git));
            match moved {
                Ok(moved) => self.told.push_back(Told::Refs { sequence, moved }),
                Err(e) => self.told.push_back(Told::Failed(e.to_string())),
            }
        }
        self.lock = None;
        Ok(())
    }

    /// Looks whether a statement was published in this repository, and at the
    /// figures.
    async fn look(&mut self) -> Result<(), Error> {
        // While it is being replaced the file is one or the other.
        let watermark = self.options.state.watermark()?;
        if let Some(there) = watermark
            && self.watermark.as_ref().is_none_or(|w| w.mark < there.mark)
            && let Some(sealed) = self.options.state.accepted()?
        {
            self.charter = self.options.state.charter()?;
            self.told.push_back(Told::Statement {
                sequence: sealed.text.sequence.0,
                stale: None,
                from: None,
            });
            self.take_up(sealed, there, None).await?;
        }
        self.ask_next();
        for (conn, want) in self.wants.due(Instant::now()) {
            self.answer(conn, &want)?;
        }
        let mut rows = Vec::new();
        for snapshot in &self.snapshots {
            let Some(torrent) = snapshot.torrent else {
                continue;
            };
            if let Some(stats) = self.node.stats(torrent).await {
                rows.push(Traffic {
                    sequence: snapshot.statement.sequence.0,
                    uploaded: stats.totals.uploaded,
                    downloaded: stats.totals.downloaded,
                    peers: stats
                        .peers
                        .iter()
                        .map(|row| PeerTraffic {
                            id: row.peer_id.map(|id| hex(&id.0)).unwrap_or_default(),
                            address: row.addr,
                            gave: row.got,
                            got: row.given,
                        })
                        .collect(),
                });
            }
        }
        for row in &rows {
            if !self.last_traffic.contains(row) {
                self.told.push_back(Told::Traffic(row.clone()));
            }
        }
        self.last_traffic = rows;
        Ok(())
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

/// For how many seconds a statement has been expired.
fn stale(statement: &gt_trust::Statement, now: u64) -> Option<u64> {
    now.checked_sub(statement.expires.0).filter(|s| *s > 0)
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state of gt in the repository.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The disk or a socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A place to find peers at.
    #[error(transparent)]
    Place(#[from] peers::Error),
    /// The node does not take a torrent.
    #[error(transparent)]
    Add(#[from] net::AddError),
    /// A snapshot cannot be opened.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// The chain of reels.
    #[error(transparent)]
    Chain(#[from] gt_pack::chain::Error),
    /// The node ended.
    #[error("the node has stopped")]
    Stopped,
    /// A thread of work ended.
    #[error("a task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}
