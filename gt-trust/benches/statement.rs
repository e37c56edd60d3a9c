//! One statement of 10,000 refs: read, and judged with its one signature.
//!
//! The aim is 5 ms besides the public-key operations. `judge` begins with the
//! bytes, so that it has `parse` in it, and it has the seal, which is measured
//! by itself as `seal`. `follow` judges the next statement, in which a
//! hundred refs moved, against the one held, under a charter with rules.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gt_trust::charter::{Charter, Delegate, Rule};
use gt_trust::judge::{Judgement, Receiver, judge};
use gt_trust::key::OwnKey;
use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};
use gt_trust::statement::{Draft, Move};
use gt_trust::{
    Identity, Keyring, Mark, ObjectFormat, Offer, Oid, Seal, Statement, Time, Watermark,
};

const REFS: u32 = 10_000;
const NOW: Time = Time(1_800_000_000);

/// Rules that take in every branch, one of them, and tags.
const RULES: [&str; 3] = [
    "refs/heads/* any 1 fast-forward",
    "refs/heads/people/1/topic-1 any 1 free",
    "refs/tags/* any 1 immutable",
];

struct Made {
    receiver: Receiver<'static>,
    offer: Offer,
    key: OwnKey,
    statement: Statement,
}

fn made(rules: &[&str]) -> Result<Made, Box<dyn std::error::Error>> {
    let key = OwnKey::generate("Ann <ann@example.org>", NOW, [7; 32])?;
    let delegate = Delegate::OpenPgp(key.fingerprint());
    let founded = Charter::found("a project", [1; 32], ObjectFormat::Sha1, delegate)?;
    let mut contents = (*founded).clone();
    for rule in rules {
        contents.rules.push(Rule::parse(rule).ok_or("no rule")?);
    }
    let charter = Charter::new(contents)?;
    let rid = charter.rid().ok_or("not the first charter")?;
    let mut draft = Draft::first(rid, charter.identity(), ObjectFormat::Sha1, NOW);
    draft.keyring(Some(Identity::of(&key.certificate()?)));
    for n in 0..REFS {
        let oid = Oid::from_bytes(&[n.to_be_bytes().as_slice(), &[9; 16]].concat())?;
        let name = format!("refs/heads/people/{}/topic-{n}", n % 97).parse()?;
        draft.set(name, oid, Move::FastForward);
    }
    let statement = draft.finish()?;
    let offer = sealed(&charter, &key, &statement)?;
    Ok(Made {
        receiver: Receiver::new(rid, &offer.charters)?,
        offer,
        key,
        statement,
    })
}

fn sealed(
    charter: &Charter,
    key: &OwnKey,
    statement: &Statement,
) -> Result<Offer, Box<dyn std::error::Error>> {
    let blob = blob_oid(ObjectFormat::Sha1, statement.as_bytes());
    let ann = Tagger::new("Ann", "ann@example.org", NOW)?;
    let unsigned = Unsigned::new(Subject::of_statement(statement), blob, ann);
    let signature = key.sign(unsigned.payload(), NOW)?;
    let seal = unsigned.with_signature(signature.as_bytes())?;
    Ok(Offer::new(
        vec![charter.as_bytes().to_vec()],
        statement.as_bytes().to_vec(),
        vec![seal.as_bytes().to_vec()],
        key.certificate()?,
    ))
}

fn statement(c: &mut Criterion) {
    let Made {
        receiver, offer, ..
    } = made(&[]).expect("fixed input makes an offer");
    let mut group = c.benchmark_group("10,000 refs");
    group.sample_size(20);
    group.bench_function("parse", |b| {
        b.iter(|| Statement::parse(black_box(&offer.statement)).expect("it was just written"));
    });
    group.bench_function("judge", |b| {
        b.iter(|| accepted(judge(&receiver, black_box(&offer), NOW)));
    });
    let keyring = Keyring::parse(&offer.keyring, None).expect("it was just made");
    let seal = Seal::parse(&offer.seals[0]).expect("it was just made");
    group.bench_function("seal", |b| {
        b.iter(|| black_box(&seal).verify(&keyring, NOW).expect("it is good"));
    });
    let ruled = made(&RULES).expect("fixed input makes an offer");
    let held = &ruled.statement;
    let mut draft = held.next(NOW);
    for line in held.refs.iter().step_by(100) {
        let oid = Oid::from_bytes(&[8; 20]).expect("a name");
        draft.set(line.name.clone(), oid, Move::FastForward);
    }
    let next = draft.finish().expect("fixed input makes a statement");
    let charter = ruled.receiver.charter();
    let offer = sealed(charter, &ruled.key, &next).expect("a seal");
    let receiver = ruled.receiver.clone();
    let receiver = receiver
        .watermark(Some(Watermark::new(held.mark(), NOW)))
        .held(Some(held));
    group.bench_function("follow", |b| {
        b.iter(|| accepted(judge(&receiver, black_box(&offer), NOW)));
    });
    group.finish();
}

fn accepted(judgement: Judgement) -> Mark {
    match judgement {
        Judgement::Accept(accepted) => accepted.watermark.mark,
        other => panic!("expected Accept, got {other:?}"),
    }
}

criterion_group!(benches, statement);
criterion_main!(benches);
