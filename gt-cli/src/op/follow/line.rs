//! A line of charters that is too long for one pack comes epoch by epoch, in
//! parts; each is judged and kept before the next is asked for, so that nobody
//! holds more for a stranger than one part.

use gt_trust::{Charter, Mark, Offer, Sequence, Time};
use gt_wire::swarm::ConnId;

use super::{Error, Follow};
use crate::held::Held;
use crate::state::Sealed;
use crate::told::Told;

/// Returns as many charters as fit, from the first on, with their seals.
pub(super) fn part(line: &[&Sealed<Charter>], certificates: &[u8]) -> Offer {
    let mut offer = Offer::new(Vec::new(), Vec::new(), Vec::new(), certificates.to_vec());
    for charter in line {
        let mut more = offer.clone();
        more.charters.push(charter.text.as_bytes().to_vec());
        more.seals.extend(charter.seals.iter().cloned());
        if !more.fits() {
            break;
        }
        offer = more;
    }
    offer
}

impl Follow {
    /// Returns what we tell others that we hold: the newest statement, or the
    /// newest charter where its epoch has none yet.
    pub(super) fn holds(&self) -> Option<Mark> {
        let mark = self.watermark.map(|held| held.mark);
        let Some(newest) = self.charters.last() else {
            return mark;
        };
        let epoch = newest.text.epoch;
        match mark {
            Some(mark) if mark.epoch >= epoch => Some(mark),
            None if epoch.0 == 0 => None,
            _ => Some(Mark::new(epoch, Sequence(0), newest.text.identity())),
        }
    }

    /// Judges a part of the line of charters, and asks for the next.
    pub(super) fn line_part(&mut self, conn: ConnId, offer: &Offer) -> Result<(), Error> {
        let state = &self.options.state;
        let held = Held::read(state)?;
        if self.options.places.pin.is_some() && self.watermark.is_none() {
            // What a pin names lies in a part to come: until then nothing may
            // be believed that it does not lead to.
            let from = self.address_of(conn);
            let why = "expected a line of charters that fits one offer, since a charter is pinned \
                       and nothing is held yet; clone without the pin and compare gt charter show";
            let why = why.to_owned();
            self.told.push_back(Told::Refused { from, why });
            return Ok(());
        }
        let now = Time((self.options.now)());
        let judged = held
            .receiver(self.options.rid, &offer.charters, None, None)
            .map_err(|e| e.to_string())
            .and_then(|receiver| {
                receiver
                    .succession(&offer.charters, &offer.seals, &offer.keyring, now)
                    .map_err(|e| e.to_string())
            });
        let line = match judged {
            Ok(line) => line,
            Err(why) => {
                self.refuse(conn, &why);
                return Ok(());
            }
        };
        let before = self.charters.len();
        if line.links.len() <= before {
            let why = match line.stopped {
                Some(why) => why.to_string(),
                None => "expected further charters, got none".to_owned(),
            };
            self.refuse(conn, &why);
            return Ok(());
        }
        if !offer.keyring.is_empty() {
            state.remember_keyring(&offer.keyring)?;
        }
        self.keep_charters(&line.links)?;
        // The next part, from the same peer.
        self.asked.crowded(conn);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gt_trust::charter::{Contents, Delegate};
    use gt_trust::key::OwnKey;
    use gt_trust::{Epoch, Identity, ObjectFormat};

    use super::*;

    #[test]
    fn parts_fit_and_begin_where_the_other_end_stands() {
        let key = OwnKey::generate("a", Time(1), [7; 32]).unwrap();
        let delegate = Delegate::OpenPgp(key.fingerprint());
        let mut charter = Charter::found("a", [1; 32], ObjectFormat::Sha1, delegate).unwrap();
        let mut line = Vec::new();
        for epoch in 1..=200 {
            let mut contents: Contents = (*charter).clone();
            contents.nonce = None;
            contents.epoch = Epoch(epoch);
            contents.previous = Some(Identity::of(charter.as_bytes()));
            let next = Charter::new(contents).unwrap();
            let text = std::mem::replace(&mut charter, next);
            let seals = vec![b"seal".to_vec()];
            line.push(Sealed { text, seals });
        }
        let all: Vec<&Sealed<Charter>> = line.iter().collect();
        let one = part(&all, b"certificates");
        assert!(one.fits() && one.statement.is_empty());
        let count = one.charters.len();
        assert!((50..100).contains(&count), "{count}");
        assert_eq!(one.charters[0], line[0].text.as_bytes());
        let next = part(&all[count..], b"certificates");
        assert_eq!(next.charters[0], line[count].text.as_bytes());
    }
}
