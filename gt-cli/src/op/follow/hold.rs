//! What is held: snapshots opened, brought, served, and let go.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::Bytes;
use gt_pack::chain::Chain;
use gt_pack::import::Leniency;
use gt_trust::judge::check_history_narrowed;
use gt_trust::{Time, Watermark};
use gt_wire::references::Rid as Secret;

use super::snapshot::Snapshot;
use super::{Error, Follow, KEPT, Options};
use crate::held::Held;
use crate::history::Ancestry;
use crate::state::Sealed;
use crate::told::Told;

impl Follow {
    /// Makes an accepted statement the newest one: its snapshot is opened and
    /// others hear of it.
    pub(super) async fn take_up(
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
        self.gather()?;
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

    pub(super) async fn open_newest(&mut self) -> Result<(), Error> {
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
        self.checks = Leniency::of(self.options.state.common_dir()).ok();
        self.refused = false;
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
            // Several of us may bring the same: each import is checked and
            // comes in as a whole, so that nobody has to wait for another.
            if let Some(bytes) = reel {
                if let Some(why) = snapshot.put_last_reel(bytes.clone()).await? {
                    self.refused = true;
                    self.told.push_back(Told::Failed(why));
                    return Ok(());
                }
                let state = &self.options.state;
                let here = state.common_dir().to_path_buf();
                let made = snapshot.make(here, state.partial(), bytes).await?;
                self.told.extend(made.into_iter().map(Told::Made));
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

    /// Opens the last snapshot that is whole, where the newest one is not: it
    /// was served before this node started, and goes on being served.
    pub(super) async fn open_before(&mut self) -> Result<(), Error> {
        let Some(newest) = self.snapshots.back().filter(|newest| !newest.complete) else {
            return Ok(());
        };
        let mut next = newest.statement.previous;
        while let Some(mark) = next {
            // No more are kept than a few.
            let Some(sealed) = self.options.state.statement(&mark.identity)? else {
                break;
            };
            let mut before = Snapshot::open(&self.options, &sealed.text, None)?;
            if before.is_whole()? {
                before.complete = true;
                before.torrent = match before.torrent(&self.sources)? {
                    Some(torrent) => Some(self.node.add(torrent).await?),
                    None => None,
                };
                self.snapshots.push_front(before);
                break;
            }
            next = sealed.text.previous;
        }
        Ok(())
    }

    /// Everything of the newest statement is here.
    pub(super) async fn complete(&mut self) -> Result<(), Error> {
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
        let ruled = rule(&self.options, &snapshot.statement)?;
        if let Some(why) = ruled {
            self.told.push_back(Told::Failed(why));
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
        Ok(())
    }

    /// Takes the newest snapshot out of service where its packs were taken
    /// away, and brings again what is missing.
    pub(super) async fn notice_loss(&mut self) -> Result<(), Error> {
        let Some(snapshot) = self.snapshots.back() else {
            return Ok(());
        };
        if !snapshot.complete || snapshot.is_whole()? {
            return Ok(());
        }
        if let Some(lost) = self.snapshots.pop_back()
            && let Some(torrent) = lost.torrent
        {
            self.node.remove(torrent).await;
        }
        self.told.push_back(Told::Stalled(
            "packs of reels were taken away from objects/pack; bringing them again".to_owned(),
        ));
        self.open_newest().await
    }

    /// Judges again what was refused, where the person has changed the checks
    /// since: the bytes still lie here.
    pub(super) async fn judge_again(&mut self) -> Result<(), Error> {
        if !self.refused || Leniency::of(self.options.state.common_dir()).ok() == self.checks {
            return Ok(());
        }
        let newest = self.newest.as_ref().map(|newest| newest.text.identity());
        if let Some(last) = self.snapshots.back()
            && !last.complete
            && Some(last.identity) == newest
        {
            if let Some(torrent) = last.torrent {
                self.node.remove(torrent).await;
            }
            self.snapshots.pop_back();
        }
        self.told.push_back(Told::Stalled(
            "git's configuration of the checks has changed; judging again what was refused"
                .to_owned(),
        ));
        self.open_newest().await
    }
}

/// Holds what came against the charter's rules for refs; says what is wrong.
fn rule(options: &Options, statement: &gt_trust::Statement) -> Result<Option<String>, Error> {
    let state = &options.state;
    let Some(charter) = state.charter()? else {
        return Ok(None);
    };
    if charter.text.rules.is_empty() || state.ruled()? == Some(statement.identity()) {
        return Ok(None);
    }
    let before = match state.ruled()? {
        Some(identity) => state.statement(&identity)?.map(|sealed| sealed.text),
        None => None,
    };
    // A new epoch may go back behind what was held.
    let before = before.filter(|before| before.epoch == statement.epoch);
    let history = Ancestry::new(options.git.elsewhere(state.common_dir()));
    let keyrings = Held::read(state)?.keyrings();
    let now = Time((options.now)());
    let checked = check_history_narrowed(
        &charter.text,
        before.as_ref(),
        statement,
        &keyrings,
        &history,
        options.believed.narrows(),
        now,
    );
    match checked {
        Ok(()) => {
            state.keep_ruled(&statement.identity())?;
            Ok(None)
        }
        Err(why) => Ok(Some(why.to_string())),
    }
}
