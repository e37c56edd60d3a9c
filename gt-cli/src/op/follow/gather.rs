//! What waits for more seals goes from peer to peer: whoever holds a proposal
//! says who has sealed it, as far as he knows, and whoever knows of others asks
//! for it. So those who seal need never be online together; anybody who
//! follows the repository carries it from one to the other.
//!
//! ```text
//!   have (text, who) ──▶ known, by the same people? ── yes ──▶ nothing
//!                                 │ no
//!                        want (text) ──▶ pack ──▶ joined, judged
//!                          complete: it holds │ not yet: kept, told on
//! ```
//!
//! The same words bring late seals to a statement that holds already, seals of
//! delegates who had not confirmed a charter, and evidence.
//!
//! Nothing is kept that no delegate has sealed, one seal of each; a delegate has
//! room for a few texts, so that one of them cannot crowd the others out.

mod asking;

use std::time::Instant;

use bytes::Bytes;
use gt_trust::charter::Delegate;
use gt_trust::judge::{self, LineFault};
use gt_trust::offer::{Gathered, Want};
use gt_trust::{Charter, Epoch, Mark, Offer, Sequence, Statement, Time, limits};
use gt_wire::references::Rid as Secret;
use gt_wire::swarm::ConnId;

use super::asked::Answered;
use super::{Error, Follow};
use crate::held::Held;
use crate::op::news;
use crate::op::proposal::{self, Proposal, Text};
use crate::told::Told;
use asking::Kept;

pub(super) use asking::Gathering;

impl Follow {
    /// Looks at what waits in this repository, if it has changed, and tells
    /// others what is new.
    pub(super) fn gather(&mut self) -> Result<(), Error> {
        let state = self.options.state.clone();
        let now = (self.options.now)();
        let stamp = state.stamp(now)?;
        if stamp.is_some() && stamp == self.gathering.stamp {
            return Ok(());
        }
        self.gathering.stamp = stamp;
        self.charters = state.charters()?;
        let newest = self.charters.last();
        let newest = newest.map(|charter| (charter.text.epoch, charter.seals.len()));
        if self.gathering.charter(newest) {
            // What holds by that is found by the next look at the mark.
            let now = Time(now);
            proposal::settle_waiting(&state, self.options.rid, &self.options.believed, now)?;
        }
        // Sealed once more, here and by hand: others get those seals too.
        if let Some(there) = state.accepted()?
            && let Some(held) = self.newest.as_mut()
            && held.text.identity() == there.text.identity()
        {
            held.seals = there.seals;
        }
        let before = std::mem::take(&mut self.gathering.kept);
        for proposal in state.proposals()? {
            if self.is_over(&proposal.text) {
                state.forget_proposal(&proposal.text.identity())?;
            } else {
                self.hold(&proposal, true, &[])?;
            }
        }
        for proposal in self.standing()? {
            let besides = match &proposal.text {
                Text::Statement(_) => state_evidence(self)?,
                Text::Charter(_) => Vec::new(),
            };
            self.hold(&proposal, false, &besides)?;
        }
        let news: Vec<Gathered> = self
            .gathering
            .kept
            .iter()
            .filter(|(identity, kept)| before.get(identity).is_none_or(|old| old.said != kept.said))
            .map(|(_, kept)| kept.said)
            .collect();
        let mut heard = std::collections::BTreeSet::new();
        let conns: Vec<ConnId> = self
            .shared
            .iter()
            .filter(|(_, who)| heard.insert(**who))
            .map(|(conn, _)| *conn)
            .collect();
        for conn in conns {
            for said in &news {
                self.tell_gathered(conn, said);
            }
        }
        self.ask_gathered();
        Ok(())
    }

    /// Tells a peer of all that is gathered here.
    pub(super) fn tell_all_gathered(&mut self, conn: ConnId) {
        for kept in self.gathering.kept.values() {
            self.tell_gathered(conn, &kept.said);
        }
    }

    fn tell_gathered(&self, conn: ConnId, said: &Gathered) {
        let rid = Secret(*self.options.rid.as_bytes());
        self.node.send_have(conn, rid, said.to_bytes().into());
    }

    /// Takes note of a text and of those who have sealed it.
    fn hold(&mut self, text: &Proposal, waits: bool, besides: &[String]) -> Result<(), Error> {
        let now = Time((self.options.now)());
        let sealers = text.sealers(&self.options.state, self.options.rid, now)?;
        let who: Vec<Delegate> = sealers.into_iter().map(|(who, _)| who).collect();
        if who.is_empty() {
            return Ok(());
        }
        let said = Gathered::new(self.options.rid, mark_of(&text.text), &who, besides);
        let kept = Kept {
            who,
            size: text.text.as_bytes().len(),
            said,
            waits,
        };
        self.gathering.kept.insert(text.text.identity(), kept);
        Ok(())
    }

    /// Returns the texts that hold and may get more seals: the newest charter
    /// and the newest statement, where more than one delegate can seal.
    fn standing(&self) -> Result<Vec<Proposal>, Error> {
        let Some(newest) = self.charters.last().filter(|c| c.text.delegates.len() > 1) else {
            return Ok(Vec::new());
        };
        let state = &self.options.state;
        let mut standing = Vec::new();
        if newest.text.epoch > Epoch(0) {
            let mut charter = Proposal::new(
                Text::Charter(newest.text.clone().into()),
                state.certificates()?,
            );
            charter.seals.clone_from(&newest.seals);
            standing.push(charter);
        }
        if let Some(statement) = state.accepted()? {
            let keyring = state.keyring_of(&statement.text)?.unwrap_or_default();
            let mut held = Proposal::new(Text::Statement(statement.text.into()), keyring);
            held.seals = statement.seals;
            standing.push(held);
        }
        Ok(standing)
    }

    /// Tells whether a proposal has lost its place, or holds.
    fn is_over(&self, text: &Text) -> bool {
        let mark = mark_of(text);
        match text {
            Text::Charter(_) => mark.epoch <= self.epoch(),
            Text::Statement(_) => self.watermark.is_some_and(|held| mark <= held.mark),
        }
    }

    fn epoch(&self) -> Epoch {
        let newest = self.charters.last();
        newest.map_or(Epoch(0), |charter| charter.text.epoch)
    }

    /// A peer told who has sealed a text.
    pub(super) fn heard_gathered(&mut self, conn: ConnId, said: Gathered) {
        self.gathering.hears(conn, said);
        self.ask_gathered();
    }

    /// Asks for what is to be asked for, one thing at a time of each peer.
    pub(super) fn ask_gathered(&mut self) {
        // Who holds nothing yet learns first what is newest.
        let Some(held) = self.watermark.filter(|_| !self.options.only_learn) else {
            return;
        };
        let epoch = self.epoch();
        self.gathering.consider(|gathering, said| {
            let mark = said.mark;
            match gathering.kept.get(&mark.identity) {
                Some(kept) => kept.said.mark == mark && kept.said.who != said.who,
                None if mark.sequence == Sequence(0) => mark.epoch.0 == epoch.0 + 1,
                None => mark.epoch == epoch && mark > held.mark,
            }
        });
        let rid = Secret(*self.options.rid.as_bytes());
        let now = Instant::now();
        self.gathering.give_up(now);
        let (asked, shared) = (&self.asked, &self.shared);
        let free = |conn| !asked.is_waiting_for(conn) && shared.contains_key(&conn);
        while let Some((conn, mark)) = self.gathering.next(free) {
            let want = Want::of_text(self.options.rid, mark);
            self.node.send_want(conn, rid, want.to_bytes().into());
            self.gathering.sent(conn, mark, now);
        }
    }

    /// Returns the pack of a text that is gathered here; `None` where it is
    /// not, or holds as the newest statement.
    pub(super) fn gathered_pack(&self, mark: &Mark) -> Result<Option<Bytes>, Error> {
        let waiting = self.options.state.proposal(&mark.identity)?;
        let standing = || -> Result<Option<Proposal>, Error> {
            let mut all = self.standing()?.into_iter();
            Ok(all
                .find(|p| matches!(p.text, Text::Charter(_)) && p.text.identity() == mark.identity))
        };
        let found = match waiting {
            Some(found) => Some(found),
            None => standing()?,
        };
        let Some(found) = found else { return Ok(None) };
        let now = Time((self.options.now)());
        let sealers = found.sealers(&self.options.state, self.options.rid, now)?;
        let seals = sealers.into_iter().map(|(_, seal)| seal).collect();
        Ok(Some(found.for_peers(seals).into()))
    }

    /// A text came that was asked for.
    pub(super) async fn gathered(
        &mut self,
        conn: ConnId,
        mark: Mark,
        pack: &[u8],
    ) -> Result<(), Error> {
        let mut got = match Proposal::from_pack(pack) {
            Ok(got) => got,
            Err(why) => {
                self.refuse(conn, &why.to_string());
                return Ok(());
            }
        };
        let is_it = got.text.identity() == mark.identity;
        if let Some(kept) = self.options.state.proposal(&got.text.identity())? {
            got.join(&kept);
        }
        match got.text.clone() {
            Text::Statement(text) => {
                let offer = Offer::new(
                    got.charters,
                    text.as_bytes().to_vec(),
                    [got.charter_seals, got.seals].concat(),
                    got.keyring,
                );
                match self.watermark {
                    Some(held) if is_it && held.mark == text.mark() => self.late(&offer, &text),
                    // What was asked for is gone: it sent its newest one.
                    _ => {
                        let answered = Answered::default();
                        self.judge_offer(conn, &offer, None, answered).await
                    }
                }
            }
            Text::Charter(text) if is_it => self.succeed(conn, &got, &text),
            Text::Charter(_) => {
                self.refuse(conn, "expected the text that it told of, got another");
                Ok(())
            }
        }
    }

    /// Keeps seals that came late on the statement that holds.
    fn late(&mut self, offer: &Offer, text: &Statement) -> Result<(), Error> {
        let now = Time((self.options.now)());
        self.keep_news(offer, now)?;
        let state = &self.options.state;
        let held = Held::read(state)?;
        let believed = &self.options.believed;
        let Ok(receiver) = held.receiver(self.options.rid, &[], None, believed.narrows()) else {
            return Ok(());
        };
        let late = receiver.late_seals(offer, now);
        if !late.is_empty() {
            state.add_seals(&text.identity(), &late)?;
            self.newest = state.accepted()?;
            let seals = self.newest.as_ref().map_or(0, |newest| newest.seals.len());
            self.told
                .push_back(told(&Text::Statement(text.clone().into()), seals, true));
        }
        self.gather()
    }

    /// Keeps a statement that was judged and lacks seals, to pass it on.
    pub(super) fn keep_waiting(
        &mut self,
        offer: &Offer,
        judged: &judge::Proposal,
    ) -> Result<(), Error> {
        let text = Text::Statement(judged.statement.clone().into());
        let mut proposal = Proposal::new(text, offer.keyring.clone());
        proposal.seals.clone_from(&judged.seals);
        self.look_for_rivals(&proposal)?;
        let who: Vec<Delegate> = judged
            .sealed_by
            .iter()
            .map(|s| s.delegate.clone())
            .collect();
        self.keep_gathered(&proposal, &who)
    }

    /// Finds delegates who have sealed another text of the same place.
    fn look_for_rivals(&self, proposal: &Proposal) -> Result<(), Error> {
        let mark = mark_of(&proposal.text);
        let state = &self.options.state;
        let mut seals = proposal.seals.clone();
        for (identity, kept) in &self.gathering.kept {
            if kept.waits && kept.said.mark.rivals(&mark) {
                seals.extend(state.proposal(identity)?.into_iter().flat_map(|p| p.seals));
            }
        }
        if seals.len() == proposal.seals.len() {
            return Ok(());
        }
        let offer = Offer::new(Vec::new(), Vec::new(), seals, proposal.keyring.clone());
        let held = Held::read(state)?;
        if let Ok(receiver) = held.receiver(self.options.rid, &[], None, None) {
            let now = Time((self.options.now)());
            state.keep_evidence(&receiver.evidence_in(&offer, now))?;
        }
        Ok(())
    }

    fn keep_gathered(&mut self, proposal: &Proposal, who: &[Delegate]) -> Result<(), Error> {
        let known = self.gathering.kept.get(&proposal.text.identity());
        let size = proposal.text.as_bytes().len();
        match known {
            Some(kept) if who.iter().all(|who| kept.who.contains(who)) => return Ok(()),
            Some(_) => {}
            None if self.gathering.has_room(who, size) => {}
            None => return Ok(()),
        }
        // One seal of each: those that were here come first.
        let now = Time((self.options.now)());
        let state = &self.options.state;
        let mut whole = proposal.clone();
        whole.charters.clear();
        whole.charter_seals.clear();
        if let Some(kept) = state.proposal(&proposal.text.identity())? {
            whole.seals = [kept.seals, whole.seals].concat();
        }
        let sealers = whole.sealers(state, self.options.rid, now)?;
        whole.seals = sealers.into_iter().map(|(_, seal)| seal).collect();
        state.keep_proposal(&whole)?;
        self.told
            .push_back(told(&whole.text, whole.seals.len(), false));
        self.gathering.stamp = None;
        self.gather()
    }

    /// Judges a charter by itself: the next one, or more seals on the newest.
    fn succeed(&mut self, conn: ConnId, got: &Proposal, text: &Charter) -> Result<(), Error> {
        let state = &self.options.state;
        let now = Time((self.options.now)());
        let held = Held::read(state)?;
        let receiver = match held.receiver(self.options.rid, &[], None, None) {
            Ok(receiver) => receiver,
            Err(why) => {
                self.told.push_back(Told::Failed(why.to_string()));
                return Ok(());
            }
        };
        let offered = [text.as_bytes().to_vec()];
        let judged = receiver.succession(&offered, &got.seals, &got.keyring, now);
        let line = match judged {
            Ok(line) => line,
            Err(why @ judge::Refusal::Line(LineFault::TwoCharters { .. })) => {
                let seals = got.seals.clone();
                let offer = Offer::new(offered.to_vec(), Vec::new(), seals, Vec::new());
                news::keep_rivals(state, self.options.rid, &offer)?;
                let from = self.address_of(conn);
                let why = why.to_string();
                self.told.push_back(Told::Refused { from, why });
                return Ok(());
            }
            Err(why) => {
                self.refuse(conn, &why.to_string());
                return Ok(());
            }
        };
        let newest = line.links.last().filter(|link| link.charter == *text);
        if let Some(newest) = newest {
            if !got.keyring.is_empty() && text.epoch > self.epoch() {
                // Not in place of those that the present statement names.
                state.remember_keyring(&got.keyring)?;
            }
            let seals = newest.seals.len();
            self.keep_charters(&line.links)?;
            self.told.push_back(told(&got.text, seals, true));
            self.gathering.stamp = None;
            return self.gather();
        }
        match line.stopped {
            Some(LineFault::TooFewSeals { identity, .. }) if identity == text.identity() => {
                let sealers = got.sealers(state, self.options.rid, now)?;
                if sealers.is_empty() {
                    self.refuse(conn, "expected a seal by a delegate, got none");
                    return Ok(());
                }
                let who: Vec<Delegate> = sealers.into_iter().map(|(who, _)| who).collect();
                self.keep_gathered(got, &who)
            }
            // It does not follow on what holds here.
            _ => Ok(()),
        }
    }
}

fn state_evidence(follow: &Follow) -> Result<Vec<String>, Error> {
    let mut names = follow.options.state.evidence()?;
    names.sort();
    names.truncate(limits::GOSSIP);
    Ok(names)
}

/// The place of a text; a charter has no sequence.
fn mark_of(text: &Text) -> Mark {
    match text {
        Text::Statement(text) => text.mark(),
        Text::Charter(text) => Mark::new(text.epoch, Sequence(0), text.identity()),
    }
}

fn told(text: &Text, seals: usize, holds: bool) -> Told {
    let mark = mark_of(text);
    Told::Gathered {
        charter: matches!(text, Text::Charter(_)),
        epoch: mark.epoch.0,
        sequence: mark.sequence.0,
        identity: mark.identity.to_string(),
        seals,
        holds,
    }
}
