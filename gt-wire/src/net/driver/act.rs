//! What a swarm wants done.

use std::time::Duration;

use gt_vfs::Verdict;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::super::announce;
use super::super::disk::Job;
use super::{Driver, News};
use crate::geometry::FileIndex;
use crate::net::room::LAY_APART;
use crate::net::{Event, TorrentId, trace};
use crate::references;
use crate::source::Announce;
use crate::swarm::{self, ConnId, Input, Output, Totals};

impl Driver {
    /// Does everything that a swarm wants, until it waits.
    pub(super) fn drain(&mut self, torrent: TorrentId) {
        loop {
            let Some(room) = self.rooms.get_mut(&torrent) else {
                return;
            };
            match room.swarm.poll() {
                Output::Wait(until) => {
                    let note = room.note_at.filter(|_| !room.noting);
                    let until = note.map_or(until, |at| at.min(until));
                    let wake = (until < Duration::MAX).then_some(until);
                    if room.wake != wake {
                        if let Some(before) = room.wake {
                            self.wakes.remove(&(before, torrent));
                        }
                        if let Some(at) = wake {
                            self.wakes.insert((at, torrent));
                        }
                        room.wake = wake;
                    }
                    return;
                }
                output => self.act(torrent, output),
            }
        }
    }

    fn act(&mut self, torrent: TorrentId, output: Output) {
        match output {
            Output::Connect { addr } => self.dial(torrent, addr, false),
            Output::Punch { addr } => self.dial(torrent, addr, true),
            Output::Send { conn, bytes } => {
                if let Some(link) = self.links.get(&conn) {
                    link.send(bytes);
                }
            }
            Output::Disconnect { conn, .. } => {
                self.links.remove(&conn);
            }
            Output::Read { id, block } => self.file_job(torrent, Job::Read(id, block)),
            Output::Write { block, bytes } => self.file_job(torrent, Job::Write(block, bytes)),
            Output::Hash {
                piece,
                sha1,
                leaves,
            } => self.file_job(
                torrent,
                Job::Hash {
                    piece,
                    sha1,
                    leaves,
                },
            ),
            Output::CloseFile { file } => self.file_job(torrent, Job::Close(file)),
            Output::Fetch { mirror, block } => {
                if let Some(room) = self.rooms.get_mut(&torrent) {
                    room.fetch(torrent, mirror, block, &self.news);
                }
            }
            Output::Unfetch { mirror, block } => {
                if let Some(room) = self.rooms.get(&torrent) {
                    room.unfetch(mirror, block);
                }
            }
            Output::Announce {
                event,
                totals,
                want,
            } => self.announce(torrent, event, totals, want),
            Output::Extended {
                conn,
                name,
                payload,
            } => {
                if name == references::EXTENSION {
                    self.references
                        .handle(conn, references::Input::Message(payload));
                    self.refer();
                }
            }
            Output::PeerReady {
                conn,
                peer_id,
                extensions,
            } => {
                if extensions.number(references::EXTENSION).is_some() {
                    self.references
                        .handle(conn, references::Input::Open { peer: peer_id });
                }
                let addr = self.links.get(&conn).map(|link| link.addr);
                let new = self.rooms.get_mut(&torrent).map(|r| r.ready.insert(conn));
                if let (Some(addr), Some(true)) = (addr, new) {
                    let event = Event::PeerConnected {
                        torrent,
                        conn,
                        addr,
                        peer_id,
                    };
                    self.trace(torrent, Some(conn), &event);
                    self.feed.tell(&event);
                }
                self.refer();
            }
            Output::Event(event) => self.event(torrent, event),
            Output::Wait(_) => {}
        }
    }

    fn dial(&mut self, torrent: TorrentId, addr: std::net::SocketAddr, punch: bool) {
        let Some(seat) = self.seats.take(addr.ip()) else {
            self.todo
                .push_back((torrent, Input::ConnectFailed { addr }));
            return;
        };
        let Some(hash) = self.rooms.get(&torrent).and_then(|r| r.hashes.first()) else {
            return;
        };
        let (news, lock, hash) = (self.news.clone(), self.lock.clone(), *hash);
        tokio::spawn(async move {
            let stream = match punch {
                true => lock.punch(addr, hash).await,
                false => lock.connect(addr, hash).await,
            };
            let stream = stream.ok().map(|s| (s, seat));
            let dialled = News::Dialled {
                torrent,
                addr,
                stream,
            };
            let _ = news.send(dialled).await;
        });
    }

    fn file_job(&mut self, torrent: TorrentId, job: Job) {
        if let Some(store) = self.rooms.get(&torrent).and_then(|r| r.store.as_ref()) {
            self.disk.push(torrent, store, job);
        }
    }

    fn announce(
        &mut self,
        torrent: TorrentId,
        event: Option<crate::source::Event>,
        totals: Totals,
        want: u32,
    ) {
        let Some(room) = self.rooms.get_mut(&torrent) else {
            return;
        };
        let announces = room.hashes.iter().map(|info_hash| Announce {
            info_hash: *info_hash,
            peer_id: self.peer_id,
            port: self.port,
            uploaded: totals.uploaded,
            downloaded: totals.downloaded,
            left: totals.left,
            event,
            want: Some(want),
        });
        room.pending += 1;
        announce::announce(
            torrent,
            &room.sources,
            announces.collect(),
            self.news.clone(),
        );
    }

    fn event(&mut self, torrent: TorrentId, event: swarm::Event) {
        let now = self.now();
        let Some(room) = self.rooms.get_mut(&torrent) else {
            return;
        };
        let told = match event {
            swarm::Event::PieceDone(piece) => {
                room.changed(now, false);
                room.look();
                let told = Event::Progress {
                    torrent,
                    have: room.swarm.have().map_or(0, |h| h.count()),
                    pieces: room.swarm.geometry().map_or(0, |g| g.pieces()),
                };
                self.file_job(torrent, Job::Verified(piece));
                told
            }
            swarm::Event::LayerLearnt(_) => {
                // Without it no piece of the file can be checked after a kill,
                // and all of them would be fetched again. Many layers that
                // come one after the other share a note.
                let soonest = room.laid.map_or(now, |at| at + LAY_APART);
                room.note_at = Some(now.max(soonest));
                room.learnt = true;
                return;
            }
            swarm::Event::Complete => {
                room.close_mirrors();
                Event::Complete { torrent }
            }
            swarm::Event::Failed(fault) => Event::Failed {
                torrent,
                why: fault.to_string(),
            },
            swarm::Event::Stalled { failure, .. } => Event::Stalled {
                torrent,
                why: failure.to_string(),
            },
            swarm::Event::ReadFailed { failure, .. } => Event::Stalled {
                torrent,
                why: failure.to_string(),
            },
            swarm::Event::Banned { addr, why } => {
                room.banned.insert(addr);
                let why = why.to_string();
                Event::Banned { torrent, addr, why }
            }
            swarm::Event::Metadata { conn, info } => {
                let v1: [u8; 20] = Sha1::digest(&info).into();
                let v2 = Sha256::digest(&info);
                let fits = |hash: &crate::InfoHash| hash.0 == v1 || hash.0[..] == v2[..20];
                if !room.hashes.iter().any(fits) {
                    let why = "sent another info dictionary than the torrent's".to_owned();
                    self.todo.push_back((torrent, Input::Ban { conn, why }));
                    return;
                }
                Event::Metadata { torrent, info }
            }
            swarm::Event::MirrorGone { mirror, why } => {
                let source = room.close_mirror(mirror);
                let why = format!("{source}: {why}");
                Event::SourceFailed { torrent, why }
            }
            swarm::Event::PeerGone { conn, addr, why } => {
                room.settle(conn);
                let event = Event::PeerDisconnected {
                    torrent,
                    conn,
                    addr,
                    why: why.to_string(),
                };
                self.trace(torrent, Some(conn), &event);
                self.links.remove(&conn);
                self.references.handle(conn, references::Input::Closed);
                return self.feed.tell(&event);
            }
            // Told when the disk has done it, with the verdict.
            swarm::Event::FileDone(_) | swarm::Event::PieceFailed(_) => return,
        };
        self.trace(torrent, None, &told);
        self.feed.tell(&told);
    }

    fn trace(&self, torrent: TorrentId, conn: Option<ConnId>, event: &Event) {
        let link = conn.and_then(|conn| self.links.get(&conn));
        let room = || self.rooms.get(&torrent).map(|room| &room.span);
        if let Some(span) = link.map(|link| &link.span).or_else(room) {
            trace::event(span, event);
        }
    }

    /// Tells of a verdict.
    pub(super) fn file_closed(&mut self, torrent: TorrentId, file: FileIndex, verdict: Verdict) {
        let now = self.now();
        let Some(room) = self.rooms.get_mut(&torrent) else {
            return;
        };
        if verdict.is_accept() {
            room.closed.insert(file);
        }
        room.changed(now, true);
        let path = room.swarm.geometry().and_then(|g| g.file(file));
        if let Some(path) = path.map(|f| f.path.clone()) {
            let event = Event::FileClosed {
                torrent,
                path,
                verdict,
            };
            self.trace(torrent, None, &event);
            self.feed.tell(&event);
        }
    }

    /// Does what the references machine wants.
    pub(super) fn refer(&mut self) {
        while let Some(output) = self.references.poll() {
            match output {
                references::Output::Send { conn, payload } => {
                    let say = Input::SendExtended {
                        conn,
                        name: references::EXTENSION.to_owned(),
                        payload,
                    };
                    self.about(conn, say);
                }
                references::Output::Misbehaved { conn, why } => self.ban(conn, why.to_string()),
                news => self.feed.tell(&Event::References(news)),
            }
        }
    }

    pub(super) fn ban(&mut self, conn: ConnId, why: String) {
        if let Some(link) = self.links.get(&conn)
            && let Some(room) = self.rooms.get_mut(&link.torrent)
        {
            room.look();
        }
        self.about(conn, Input::Ban { conn, why });
    }
}
