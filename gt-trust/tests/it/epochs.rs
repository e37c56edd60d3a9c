//! How charters follow on each other, rule 4 of PROTOCOL.md section 3.

use gt_trust::charter::{Charter, Contents, Delegate, default_charter_threshold};
use gt_trust::judge::{
    Accepted, Judgement, LineFault, Receiver, ReceiverError, Refusal, SealFault,
};
use gt_trust::key::OwnKey;
use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};
use gt_trust::signature::Fault;
use gt_trust::statement::Draft;
use gt_trust::{Epoch, Identity, ObjectFormat, Offer, Rid, Sequence, Statement, Time, judge};

use crate::publisher::{NOW, Publisher, accepted, after, own_key, refused, seal_with};

/// A repository and the keys of everybody who ever was a delegate.
struct House {
    rid: Rid,
    line: Vec<Charter>,
    seals: Vec<Vec<u8>>,
    keys: Vec<OwnKey>,
}

impl House {
    /// Delegates 1 to `count`, of whom `threshold` must seal.
    fn new(count: u8, threshold: u64) -> Self {
        let publisher = Publisher::several(count, threshold);
        Self {
            rid: publisher.rid(),
            line: vec![publisher.charter],
            seals: Vec::new(),
            keys: (1..=9).map(own_key).collect(),
        }
    }

    fn keyring(&self) -> Vec<u8> {
        self.keys
            .iter()
            .flat_map(|k| k.certificate().unwrap())
            .collect()
    }

    fn delegate(&self, n: usize) -> Delegate {
        Delegate::OpenPgp(self.keys[n - 1].fingerprint())
    }

    /// A charter after `before` with these delegates.
    fn charter(&self, before: &Charter, delegates: &[usize], threshold: u64) -> Charter {
        let mut contents: Contents = (**before).clone();
        contents.nonce = None;
        contents.epoch = Epoch(before.epoch.0 + 1);
        contents.previous = Some(before.identity());
        contents.delegates = delegates.iter().map(|n| self.delegate(*n)).collect();
        contents.threshold = threshold;
        contents.charter_threshold = default_charter_threshold(delegates.len() as u64, threshold);
        Charter::new(contents).unwrap()
    }

    fn seal_charter(&self, charter: &Charter, by: &[usize]) -> Vec<Vec<u8>> {
        by.iter()
            .map(|n| {
                let blob = blob_oid(ObjectFormat::Sha1, charter.as_bytes());
                let tagger = Tagger::new("Ann", "ann@example.org", NOW).unwrap();
                let subject = Subject::of_charter(self.rid, charter);
                let unsigned = Unsigned::new(subject, blob, tagger);
                let signature = self.keys[n - 1].sign(unsigned.payload(), NOW).unwrap();
                unsigned
                    .with_signature(signature.as_bytes())
                    .unwrap()
                    .as_bytes()
                    .to_vec()
            })
            .collect()
    }

    /// Makes a charter the newest.
    fn succeed(&mut self, delegates: &[usize], threshold: u64, by: &[usize]) -> &mut Self {
        let charter = self.charter(&self.line[self.line.len() - 1], delegates, threshold);
        self.seals.extend(self.seal_charter(&charter, by));
        self.line.push(charter);
        self
    }

    fn newest(&self) -> &Charter {
        self.line.last().unwrap()
    }

    /// The statement of this sequence under a charter.
    fn statement(
        &self,
        charter: &Charter,
        sequence: u64,
        previous: Option<&Statement>,
    ) -> Statement {
        let draft = Draft::first(self.rid, charter.identity(), ObjectFormat::Sha1, NOW);
        let mut contents = (*draft.finish().unwrap()).clone();
        contents.epoch = charter.epoch;
        contents.sequence = Sequence(sequence);
        contents.previous = previous.map(Statement::mark);
        contents.keyring = Some(Identity::of(&self.keyring()));
        Statement::new(contents).unwrap()
    }

    fn seals(&self, statement: &Statement, by: &[usize]) -> Vec<Vec<u8>> {
        by.iter()
            .map(|n| seal_with(statement, NOW, |p| self.keys[n - 1].sign(p, NOW).unwrap()))
            .collect()
    }

    fn offer_of(
        &self,
        charters: &[Charter],
        seals: &[Vec<u8>],
        statement: &Statement,
        by: &[usize],
    ) -> Offer {
        Offer::new(
            charters.iter().map(|c| c.as_bytes().to_vec()).collect(),
            statement.as_bytes().to_vec(),
            [seals, &self.seals(statement, by)].concat(),
            self.keyring(),
        )
    }

    /// The first statement under the newest charter, sealed by these.
    fn offer(&self, by: &[usize]) -> Offer {
        let statement = self.statement(self.newest(), 1, None);
        self.offer_of(&self.line, &self.seals, &statement, by)
    }

    fn newcomer(&self, offer: &Offer) -> Judgement {
        judge(
            &Receiver::new(self.rid, &offer.charters).unwrap(),
            offer,
            NOW,
        )
    }

    fn first(&self) -> Vec<Vec<u8>> {
        vec![self.line[0].as_bytes().to_vec()]
    }
}

#[track_caller]
fn too_few(judgement: Judgement) -> (usize, u64, usize, u64, Vec<SealFault>) {
    match refused(judgement) {
        Refusal::Line(LineFault::TooFewSeals {
            before,
            needed_before,
            own,
            needed,
            faults,
            ..
        }) => (before, needed_before, own, needed, faults),
        other => panic!("expected TooFewSeals, got {other:?}"),
    }
}

#[test]
fn charter_needs_old_and_new_seals() {
    // Three delegates, two of whom seal charters; the next list is 3, 4, 5.
    for (by, expected) in [
        (&[1, 2][..], Some((2, 0))),
        (&[3, 4], Some((1, 2))),
        (&[1, 3], Some((2, 1))),
        (&[4, 5], Some((0, 2))),
        (&[1, 3, 4], None),
        (&[1, 2, 4, 5], None),
    ] {
        let mut house = House::new(3, 1);
        house.succeed(&[3, 4, 5], 1, by);
        let judgement = house.newcomer(&house.offer(&[4]));
        match expected {
            None => {
                let accepted = accepted(judgement);
                assert_eq!(accepted.charters.len(), 2, "{by:?}");
                assert_eq!(accepted.charters[1].charter, house.line[1]);
            }
            Some((old, new)) => {
                let (before, needed_before, own, needed, _) = too_few(judgement);
                assert_eq!(
                    (before, needed_before, own, needed),
                    (old, 2, new, 2),
                    "{by:?}"
                );
            }
        }
    }
}

/// Who has not sealed the charter that names them is listed and does not count.
#[test]
fn a_delegate_that_has_not_sealed_the_charter_is_not_confirmed() {
    let mut house = House::new(3, 1);
    house.succeed(&[3, 4, 5], 1, &[1, 3, 4]);
    let refusal = refused(house.newcomer(&house.offer(&[5])));
    let Refusal::NoSeal { faults } = refusal else {
        panic!("expected NoSeal, got {refusal:?}");
    };
    let expected = SealFault::Signature(Fault::NotConfirmed(house.delegate(5)));
    assert_eq!(faults, [expected]);
    // It seals later: it counts.
    let late = house.seal_charter(house.newest(), &[5]);
    house.seals.extend(late);
    let accepted = accepted(house.newcomer(&house.offer(&[5])));
    assert_eq!(accepted.charters[1].confirmed.len(), 3);
}

#[test]
fn one_of_n_cannot_expel() {
    let mut house = House::new(3, 1);
    house.succeed(&[1], 1, &[1]);
    let (before, needed, ..) = too_few(house.newcomer(&house.offer(&[1])));
    assert_eq!((before, needed), (1, 2));
}

#[test]
fn two_charters_one_epoch_stops() {
    let mut house = House::new(3, 1);
    house.succeed(&[1, 2, 4], 1, &[1, 2]);
    let held = accepted(house.newcomer(&house.offer(&[1])));
    let rival = house.charter(&house.line[0], &[2, 3, 5], 1);
    let rival_seals = house.seal_charter(&rival, &[2, 3]);
    let two = [house.line[1].identity(), rival.identity()];
    // A newcomer is shown both, whichever comes first.
    for charters in [
        vec![house.line[0].clone(), house.line[1].clone(), rival.clone()],
        vec![house.line[0].clone(), rival.clone(), house.line[1].clone()],
    ] {
        let statement = house.statement(&rival, 1, None);
        let seals = [&house.seals[..], &rival_seals].concat();
        let refusal = refused(house.newcomer(&house.offer_of(&charters, &seals, &statement, &[3])));
        let Refusal::Line(LineFault::TwoCharters { epoch, one, other }) = refusal else {
            panic!("expected TwoCharters, got {refusal:?}");
        };
        assert_eq!(epoch, Epoch(1));
        assert!(two.contains(&one) && two.contains(&other) && one != other);
    }
    // Whoever holds one stays there.
    let statement = house.statement(&rival, 2, None);
    let offer = house.offer_of(
        &[house.line[0].clone(), rival.clone()],
        &rival_seals,
        &statement,
        &[3],
    );
    let charters: Vec<_> = house.line.iter().map(|c| c.as_bytes().to_vec()).collect();
    let follower = Receiver::new(house.rid, &charters)
        .unwrap()
        .believes_charter(Some(house.line[1].identity()))
        .unwrap()
        .charter_seals(&held.charters[1].seals)
        .watermark(Some(held.watermark));
    let refusal = refused(judge(&follower, &offer, NOW));
    let expected = LineFault::TwoCharters {
        epoch: Epoch(1),
        one: house.line[1].identity(),
        other: rival.identity(),
    };
    assert_eq!(refusal, Refusal::Line(expected));
    // With too few seals it is no rival, and nobody is stopped by it.
    let next = house.statement(house.newest(), 2, None);
    let lone = house.seal_charter(&rival, &[3]);
    let charters = [&house.line[..], std::slice::from_ref(&rival)].concat();
    let _: Accepted = accepted(judge(
        &follower,
        &house.offer_of(&charters, &lone, &next, &[1]),
        NOW,
    ));
}

#[test]
fn epoch_skip_refused() {
    let mut house = House::new(1, 1);
    let mut contents = (*house.charter(&house.line[0], &[1], 1)).clone();
    contents.epoch = Epoch(2);
    let skipping = Charter::new(contents).unwrap();
    house.seals = house.seal_charter(&skipping, &[1]);
    house.line.push(skipping);
    let refusal = refused(house.newcomer(&house.offer(&[1])));
    let expected = LineFault::EpochSkip {
        expected: Epoch(1),
        got: Epoch(2),
    };
    assert_eq!(refusal, Refusal::Line(expected));
    // The one between is missing: the same.
    let mut house = House::new(1, 1);
    house.succeed(&[1, 2], 1, &[1, 2]).succeed(&[1], 1, &[1, 2]);
    accepted(house.newcomer(&house.offer(&[1])));
    house.line.remove(1);
    let refusal = refused(house.newcomer(&house.offer(&[1])));
    assert!(matches!(
        refusal,
        Refusal::Line(LineFault::EpochSkip { .. })
    ));
    // Nor a statement whose charter nobody has.
    let later = house.statement(house.newest(), 1, None);
    let offer = house.offer_of(&house.line[..1], &[], &later, &[1]);
    assert_eq!(
        refused(house.newcomer(&offer)),
        Refusal::NoCharter(Epoch(2))
    );
}

/// Delegates who left keep their keys. Their majority makes another charter,
/// and whoever has the true one pinned does not look.
#[test]
fn retired_majority_loses_to_pin() {
    let mut house = House::new(3, 1);
    house
        .succeed(&[3, 4, 5], 1, &[1, 2, 3, 4])
        .succeed(&[4, 5, 6], 1, &[3, 4, 5]);
    let rival = house.charter(&house.line[0], &[1, 2], 1);
    let rival_seals = house.seal_charter(&rival, &[1, 2]);
    let truth = house.statement(house.newest(), 1, None);
    let mixed = [&house.line[..], std::slice::from_ref(&rival)].concat();
    let seals = [&house.seals[..], &rival_seals].concat();
    let offer = house.offer_of(&mixed, &seals, &truth, &[4]);
    let pinned = |pin: &Charter, offer: &Offer| {
        Receiver::new(house.rid, &offer.charters)
            .unwrap()
            .pin(Some(pin.identity()))
    };
    let stopped = refused(house.newcomer(&offer));
    assert!(matches!(
        stopped,
        Refusal::Line(LineFault::TwoCharters { .. })
    ));
    for pin in &house.line[1..] {
        accepted(judge(&pinned(pin, &offer).unwrap(), &offer, NOW));
    }
    // What the retired say is refused under the pin.
    let lie = house.statement(&rival, 9, None);
    let offer = house.offer_of(&mixed, &seals, &lie, &[1]);
    let refusal = refused(judge(&pinned(house.newest(), &offer).unwrap(), &offer, NOW));
    assert!(
        matches!(refusal, Refusal::OtherCharter { .. }),
        "{refusal:?}"
    );
    // And without the true line nothing leads to the pin.
    let alone = house.offer_of(&[house.line[0].clone(), rival], &rival_seals, &lie, &[1]);
    assert_eq!(
        pinned(house.newest(), &alone).unwrap_err(),
        ReceiverError::Pin(house.newest().identity())
    );
}

/// A stolen key has published the highest number there is. The next charter
/// goes back to before it.
#[test]
fn the_first_statement_of_an_epoch_may_shorten_history() {
    let mut house = House::new(2, 1);
    let good = house.statement(&house.line[0], 1, None);
    let stolen = house.statement(&house.line[0], u64::MAX - 1, Some(&good));
    let offer = house.offer_of(&house.line, &[], &stolen, &[2]);
    let held = accepted(house.newcomer(&offer));
    house.succeed(&[1, 3], 1, &[1, 2, 3]);
    let again = house.statement(house.newest(), 1, Some(&good));
    let receiver = || {
        Receiver::new(house.rid, &house.first())
            .unwrap()
            .watermark(Some(held.watermark))
            .held(Some(&stolen))
    };
    let offer = house.offer_of(&house.line, &house.seals, &again, &[3]);
    let back = accepted(judge(&receiver(), &offer, NOW));
    assert!(back.shortened && back.watermark.mark > held.watermark.mark);
    // One that stands on the head is no such thing.
    let upon = house.statement(house.newest(), 1, Some(&stolen));
    let offer = house.offer_of(&house.line, &house.seals, &upon, &[3]);
    assert!(!accepted(judge(&receiver(), &offer, NOW)).shortened);
    // What the thief says now stands under an old charter.
    let more = house.statement(&house.line[0], u64::MAX - 1, None);
    let charters: Vec<_> = house.line.iter().map(|c| c.as_bytes().to_vec()).collect();
    let follower = Receiver::new(house.rid, &charters)
        .unwrap()
        .believes_charter(Some(house.newest().identity()))
        .unwrap()
        .watermark(Some(back.watermark));
    let offer = house.offer_of(&house.line, &house.seals, &more, &[2]);
    let refusal = refused(judge(&follower, &offer, NOW));
    assert!(matches!(refusal, Refusal::Rollback { .. }));
}

/// A thousand epochs are drawn; more are not.
#[test]
fn many_epochs_are_followed_and_not_too_many() {
    let mut house = House::new(1, 1);
    for _ in 0..40 {
        house.succeed(&[1], 1, &[1]);
    }
    let judged = accepted(house.newcomer(&house.offer(&[1])));
    assert_eq!(judged.charters.len(), 41);
    // A later time changes nothing: what is believed needs no seals.
    let charters: Vec<_> = house.line.iter().map(|c| c.as_bytes().to_vec()).collect();
    let follower = Receiver::new(house.rid, &charters)
        .unwrap()
        .believes_charter(Some(house.newest().identity()))
        .unwrap();
    let mut offer = house.offer(&[1]);
    offer.charters.clear();
    offer.seals.drain(..40);
    let seals = house.seals.clone();
    let follower = follower.charter_seals(&seals);
    accepted(judge(&follower, &offer, Time(after(5).0)));
}
