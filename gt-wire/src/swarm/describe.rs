//! The info dictionary of a torrent that is known by its hash alone (BEP 9):
//! from all who have it at once; if what comes of that is wrong, from each of
//! them alone, so that it is known who lied.

use bytes::Bytes;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::Swarm;
use super::input::ConnId;
use super::output::{Event, Reason};
use crate::metadata::{self, Gather};

/// What has come of it.
#[derive(Debug, Default)]
pub(super) struct Describe {
    gather: Option<Gather<ConnId>>,
    /// Whether each peer is asked for the whole.
    alone: bool,
    /// Whether it is here, and right.
    done: bool,
}

impl Swarm {
    /// Asks a peer for the next part of the info dictionary, where it is
    /// wanted.
    pub(super) fn fetch_info(&mut self, conn: ConnId) {
        if self.torrent.is_some() || !self.options.fetch_info || self.describe.done {
            return;
        }
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let extensions = link.extensions.as_ref();
        let speaks = extensions.is_some_and(|e| e.number(metadata::NAME).is_some());
        let size = extensions.and_then(|e| e.metadata_size).filter(|_| speaks);
        let describe = &mut self.describe;
        if !describe.alone && describe.gather.is_none() {
            describe.gather = size.and_then(Gather::new);
        }
        let gather = describe.gather.as_mut();
        let request = match gather.filter(|g| size == Some(g.total())) {
            Some(gather) => gather.request(conn),
            // One that promises another size than the first is asked alone:
            // one of the two lies.
            None => {
                if link.fetch.is_none() && !link.fetched {
                    link.fetch = size.and_then(metadata::Fetch::new);
                    link.fetched = link.fetch.is_some();
                }
                link.fetch.as_mut().and_then(metadata::Fetch::request)
            }
        };
        if let Some(request) = request {
            self.say_extended(conn, metadata::NAME, request.write());
        }
    }

    fn fetch_info_of_all(&mut self) {
        for conn in self.conns() {
            self.fetch_info(conn);
        }
    }

    /// Notes that a peer is gone, whose part others are asked for.
    pub(super) fn forget_describer(&mut self, conn: ConnId) {
        if let Some(gather) = &mut self.describe.gather {
            gather.forget(conn);
            if !self.stopped {
                self.fetch_info_of_all();
            }
        }
    }

    pub(super) fn hear_metadata(&mut self, conn: ConnId, payload: &Bytes) {
        let message = match metadata::Message::read(payload) {
            Ok(message) => message,
            Err(why) => return self.lose(conn, Reason::Protocol(why.to_string()), true),
        };
        match message {
            metadata::Message::Request(part) => {
                let stuffed = self.links.get(&conn).is_none_or(|l| l.queued > 1 << 20);
                let answer = match &self.options.info {
                    Some(info) if !stuffed => metadata::Serve::new(info.clone()).answer(part),
                    _ => metadata::Message::Reject(part),
                };
                self.say_extended(conn, metadata::NAME, answer.write());
            }
            metadata::Message::Data { part, total, data } => {
                self.got_info(conn, part, total, &data)
            }
            metadata::Message::Reject(_) => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.fetch = None;
                }
                if let Some(gather) = &mut self.describe.gather {
                    gather.refuse(conn);
                    self.fetch_info_of_all();
                }
            }
            metadata::Message::Unknown => {}
        }
    }

    fn got_info(&mut self, conn: ConnId, part: u32, total: u32, data: &Bytes) {
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        let wrong = || {
            let why = "expected the part of the info dictionary that was asked for";
            Reason::Protocol(why.to_owned())
        };
        if let Some(fetch) = &mut link.fetch {
            if !fetch.take(part, total, data) {
                return self.lose(conn, wrong(), true);
            }
            if !fetch.is_whole() {
                return self.fetch_info(conn);
            }
            let info = link.fetch.take().map(metadata::Fetch::finish);
            let info = info.unwrap_or_default();
            self.describe.done |= self.describes(&info);
            return self.event(Event::Metadata { conn, info });
        }
        let Some(gather) = &mut self.describe.gather else {
            // What was asked for before all was here.
            return;
        };
        if !gather.take(conn, part, total, data) {
            return self.lose(conn, wrong(), true);
        }
        let Some(info) = gather.finish() else {
            return self.fetch_info(conn);
        };
        self.describe.gather = None;
        if self.describes(&info) {
            self.describe.done = true;
            return self.event(Event::Metadata { conn, info });
        }
        self.describe.alone = true;
        self.fetch_info_of_all();
    }

    /// Tells whether an info dictionary has our hash.
    fn describes(&self, info: &[u8]) -> bool {
        let v1: [u8; 20] = Sha1::digest(info).into();
        let v2: [u8; 32] = Sha256::digest(info).into();
        let ours = [Some(self.options.info_hash), self.options.other_hash];
        let mut ours = ours.into_iter().flatten();
        ours.any(|hash| hash.0 == v1 || hash.0[..] == v2[..20])
    }
}
