//! A repository with its delegates, made of fixed seeds: nothing in it differs
//! from run to run.

use gt_trust::charter::{Charter, Contents, Delegate, default_charter_threshold};
use gt_trust::judge::{Accepted, Judgement, Receiver, Refusal, judge};
use gt_trust::key::OwnKey;
use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};
use gt_trust::statement::{Draft, Move};
use gt_trust::{
    Epoch, Identity, ObjectFormat, Offer, Oid, RefName, Rid, Seal, Statement, Time, Watermark,
};

/// The moment at which every test begins.
pub(crate) const NOW: Time = Time(1_800_000_000);
pub(crate) const DAY: u64 = 86_400;

pub(crate) struct Publisher {
    pub(crate) charter: Charter,
    pub(crate) keys: Vec<OwnKey>,
    pub(crate) keyring: Vec<u8>,
}

pub(crate) fn after(seconds: u64) -> Time {
    Time(NOW.0 + seconds)
}

pub(crate) fn oid(n: u8) -> Oid {
    Oid::from_bytes(&[n; 20]).unwrap()
}

pub(crate) fn name(text: &str) -> RefName {
    text.parse().unwrap()
}

pub(crate) fn own_key(seed: u8) -> OwnKey {
    OwnKey::generate(&format!("Key {seed} <{seed}@example.org>"), NOW, [seed; 32]).unwrap()
}

/// Seals a statement with whatever signs.
pub(crate) fn seal_with(
    statement: &Statement,
    time: Time,
    sign: impl FnOnce(&[u8]) -> String,
) -> Vec<u8> {
    let blob = blob_oid(statement.object_format, statement.as_bytes());
    let tagger = Tagger::new("Ann", "ann@example.org", time).unwrap();
    let unsigned = Unsigned::new(Subject::of_statement(statement), blob, tagger);
    let signature = sign(unsigned.payload());
    [unsigned.payload(), signature.as_bytes()].concat()
}

impl Publisher {
    /// A repository of one delegate.
    pub(crate) fn one() -> Self {
        Self::several(1, 1)
    }

    /// A repository of several delegates.
    pub(crate) fn several(count: u8, threshold: u64) -> Self {
        let keys: Vec<OwnKey> = (1..=count).map(own_key).collect();
        let prints = keys.iter().map(OwnKey::fingerprint);
        let keyring = keys.iter().flat_map(|k| k.certificate().unwrap()).collect();
        Self::with(
            prints.map(Delegate::OpenPgp).collect(),
            threshold,
            keyring,
            keys,
        )
    }

    pub(crate) fn with(
        delegates: Vec<Delegate>,
        threshold: u64,
        keyring: Vec<u8>,
        keys: Vec<OwnKey>,
    ) -> Self {
        let first = delegates[0].clone();
        let founded = Charter::found("a project", [1; 32], ObjectFormat::Sha1, first).unwrap();
        let mut contents: Contents = (*founded).clone();
        contents.threshold = threshold;
        contents.charter_threshold = default_charter_threshold(delegates.len() as u64, threshold);
        contents.delegates = delegates;
        assert_eq!(contents.epoch, Epoch(0));
        Self {
            charter: Charter::new(contents).unwrap(),
            keys,
            keyring,
        }
    }

    pub(crate) fn rid(&self) -> Rid {
        self.charter.rid().unwrap()
    }

    pub(crate) fn draft(&self) -> Draft {
        let mut draft = Draft::first(self.rid(), self.charter.identity(), ObjectFormat::Sha1, NOW);
        draft.keyring(Some(Identity::of(&self.keyring)));
        draft
    }

    /// The first statement: main, dev and a tag.
    pub(crate) fn first(&self) -> Statement {
        let mut draft = self.draft();
        for (n, text) in ["refs/heads/dev", "refs/heads/main", "refs/tags/v1"]
            .iter()
            .enumerate()
        {
            draft.set(name(text), oid(n as u8 + 1), Move::FastForward);
        }
        draft.head(Some(name("refs/heads/main")));
        draft.finish().unwrap()
    }

    /// A statement that puts main elsewhere.
    pub(crate) fn next(&self, before: &Statement, to: u8, created: Time) -> Statement {
        let mut draft = before.next(created);
        draft.set(name("refs/heads/main"), oid(to), Move::FastForward);
        draft.finish().unwrap()
    }

    pub(crate) fn seal(&self, by: usize, statement: &Statement) -> Vec<u8> {
        let time = statement.created;
        seal_with(statement, time, |payload| {
            self.keys[by].sign(payload, time).unwrap()
        })
    }

    /// The statement with the seals of these delegates.
    pub(crate) fn offer_by(&self, statement: &Statement, by: &[usize]) -> Offer {
        let seals = by.iter().map(|n| self.seal(*n, statement)).collect();
        self.offer_sealed(statement, seals)
    }

    pub(crate) fn offer_sealed(&self, statement: &Statement, seals: Vec<Vec<u8>>) -> Offer {
        Offer::new(
            vec![self.charter.as_bytes().to_vec()],
            statement.as_bytes().to_vec(),
            seals,
            self.keyring.clone(),
        )
    }

    pub(crate) fn offer(&self, statement: &Statement) -> Offer {
        self.offer_by(statement, &[0])
    }

    pub(crate) fn receiver(&self) -> Receiver<'static> {
        Receiver::new(self.rid(), &[self.charter.as_bytes().to_vec()]).unwrap()
    }

    /// Judges as one who has accepted `held`.
    pub(crate) fn judge(&self, held: Option<Watermark>, offer: &Offer, now: Time) -> Judgement {
        judge(&self.receiver().watermark(held), offer, now)
    }
}

#[track_caller]
pub(crate) fn accepted(judgement: Judgement) -> Accepted {
    match judgement {
        Judgement::Accept(accepted) => *accepted,
        other => panic!("expected Accept, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(judgement: Judgement) -> Refusal {
    match judgement {
        Judgement::Refused(refusal) => *refusal,
        other => panic!("expected Refused, got {other:?}"),
    }
}

pub(crate) fn parsed(seal: &[u8]) -> Seal {
    Seal::parse(seal).unwrap()
}
